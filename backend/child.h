/* SPDX-License-Identifier: MIT */
/*
 * child.h - the processes that the supervisor starts
 *
 * Used by the supervisor's one thread. The supervisor itself never opens an
 * engine: CUDA does not survive a fork, and a sick driver may hang or crash.
 */
#ifndef VGPU_BACKEND_CHILD_H
#define VGPU_BACKEND_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "arbiter.h"

/* The longest path of an MPS daemon's directory. */
#define CHILD_MAX_MPS 1024

/* pid 0: no process, and then fd is -1. */
struct child {
	pid_t pid;
	int fd;
};

#define CHILD_NONE ((struct child){.pid = 0, .fd = -1})

/*
 * vgpu-worker with our socket at WORKER_FD and its lease behind it (lease.h); fd is
 * ours. mps: the directory of the MPS daemon that it shares the GPU through; NULL:
 * none. False with errno.
 */
bool child_spawn_worker(struct child *c, const struct arbiter_fds *lease,
			const char *mps);

/* vgpu-worker --probe, without MPS; fd reads its stdout and does not block. */
bool child_spawn_probe(struct child *c, const char *engine, unsigned int gpu);

void child_kill(const struct child *c);

/* It was waited for. */
void child_forget(struct child *c);

/* "exit status 1", "signal 11 (Segmentation fault)" */
void child_describe(int status, char *buf, size_t size);

#endif /* VGPU_BACKEND_CHILD_H */
