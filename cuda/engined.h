/* SPDX-License-Identifier: MIT */
/*
 * engined.h - the parts of vgpu-engined
 *
 *   engined.c         options, the gate, the loop, signals
 *   engined_listen.c  what is listened on, and what is refused to
 *   engined_clients.c who has which place, and who has to leave
 *   engined_child.c   starts this program again, to serve or to try the engine
 *   engined_serve.c   the child: one connection, one engine
 *   engined_parts.c   the child's parts: from JOB to DONE
 *   engined_jobs.c    what a JOB asks for, checked
 *   engined_objects.c what a client's numbers stand for
 *
 * The parent never opens an engine: CUDA does not survive a fork, and a fault
 * on the GPU ends all engines of a process.
 */
#ifndef VGPU_CUDA_ENGINED_H
#define VGPU_CUDA_ENGINED_H

#include <sys/types.h>

#include "remote.h"
#include "remote_frame.h"

#define ENGINED_CLIENTS		64	/* connections at a time */
#define ENGINED_LISTENERS	16
/* In a child: the connection, or where the gate writes its result. */
#define ENGINED_FD		3
/* In a socket's child: a pipe that it closes when the client is welcome. */
#define ENGINED_SILENT_FD	4

struct engined_options {
	const char *engine;
	unsigned int gpu;
	unsigned int max_launch_ms;	/* 0: for ever */
	bool insecure;
	unsigned int nr_listen;
	const char *listen[ENGINED_LISTENERS];
};

/* What the gate found; goes through a pipe in one piece. */
struct engined_gate {
	bool passed;
	char why[VGPU_ENGINE_WHY];
	struct vgpu_engine_facts facts;
};

/* In the child; neither returns. */
_Noreturn void engined_gate(const struct engined_options *opt);
_Noreturn void engined_serve(const struct engined_options *opt,
			     const char *client);

/*
 * Starts this program again with that mode ("--serve", "--gate"), fd as
 * ENGINED_FD, and silent_fd (-1: none) as ENGINED_SILENT_FD. Returns its pid,
 * or -1 with errno set.
 */
pid_t engined_spawn(const struct engined_options *opt, const char *mode,
		    const char *client, int fd, int silent_fd);

/* Where clients come from. */
struct listener {
	struct remote_address addr;
	int fd;			/* listening; -1 for a device */
	dev_t dev;		/* of the Unix socket we made */
	ino_t ino;
	pid_t child;		/* of a device; 0: none */
	uint64_t started;	/* when it was, ms */
	uint64_t start_at;	/* when it is to be, ms; 0: now */
	unsigned int wait;	/* before it is started again, ms */
};

/*
 * May this be listened on? False with why. Without insecure only a Unix
 * socket, a character device and a loopback address may.
 */
bool listener_check(const char *address, bool insecure, struct listener *l,
		    char why[VGPU_ENGINE_WHY]);
/* Listens; for a device: sees that it is there. False with why. */
bool listener_open(struct listener *l, char why[VGPU_ENGINE_WHY]);
/* The socket's path goes, if it is still the one we made. */
void listener_close(struct listener *l);
/*
 * Accepts a connection; client: who that is. -1: none, with errno set.
 */
int listener_accept(struct listener *l, char *client, size_t size);

/* The clients of sockets; all zero: none. */
struct clients {
	struct {
		pid_t pid;		/* of its child; 0: the place is free */
		bool silent;		/* was not welcomed yet, as far as known */
		int silent_fd;		/* hangs up when it was */
		uint64_t since;		/* ms */
		char name[96];
	} place[ENGINED_CLIENTS];
};

/* Accepts a connection, and starts a child for it or tells it why not. */
void clients_accept(struct clients *clients, const struct engined_options *opt,
		    struct listener *l);
/* Frees its place, where it had one. */
void clients_ended(struct clients *clients, pid_t pid);
/* Returns how many there are. */
unsigned int clients_signal(const struct clients *clients, int sig);

#endif /* VGPU_CUDA_ENGINED_H */
