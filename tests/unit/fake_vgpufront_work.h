/* SPDX-License-Identifier: MIT */
/*
 * fake_vgpufront_work.h - between the two halves of the double: its requests,
 * and what the backend's half does with them
 *
 * All but work_run() is called with fake_lock held.
 */
#ifndef FAKE_VGPUFRONT_WORK_H
#define FAKE_VGPUFRONT_WORK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <uapi/vgpufront.h>

#define FAKE_STREAMS 65536

struct fake_buffer {
	bool used;
	bool pinned, read_only;
	unsigned char *ptr;
	uint64_t size;
	unsigned int pages, busy;
	int memfd; /* -1: pinned */
};

/* A mark that an event was moved to. */
struct fake_mark {
	unsigned int refs;
	bool reached;
	uint16_t stream;
	uint64_t index;
};

/* A place in a buffer or in an object that is memory. */
struct fake_place {
	struct fake_buffer *buf;
	struct fake_object *mem;
	uint64_t offset;
};

#define FAKE_PLACES 3
#define FAKE_BLOB VGPUFRONT_MAX_ARGS

struct fake_request {
	struct fake_request *next;
	struct vgpufront_sqe sqe;
	struct vgpufront_cqe cqe;
	uint64_t index; /* how many were taken before */
	int err;	/* what it fails with when its turn comes */
	struct fake_place place[FAKE_PLACES];
	struct fake_object *object; /* that it makes or uses */
	struct fake_mark *mark;
	unsigned char *blob; /* arguments, parameters or name, copied */
	struct fake_place reloc[VGPUFRONT_MAX_RELOCS];
	uint16_t reloc_at[VGPUFRONT_MAX_RELOCS];
};

enum space { SPACE_MEM, SPACE_MODULE, SPACE_FUNCTION, SPACE_EVENT };

struct fake_object {
	struct fake_object *next; /* of those that can be named */
	enum space space;
	uint32_t handle;
	unsigned int refs;
	bool made, failed;
	uint16_t stream;
	uint64_t index;
	unsigned char *ptr; /* memory, or a module's text */
	uint64_t size;
	struct fake_object *module;
	unsigned int kernel;
	struct fake_mark *mark;
};

extern pthread_mutex_t fake_lock;
extern uint64_t fake_mem_used; /* bytes; with the lock */

/* Breaks of the ABI abort(); a request that is refused has an error. */
int work_take(struct fake_request *req);
/* May its turn come, as far as it waits for an event? */
bool work_may_run(const struct fake_request *req);
/* Without the lock: does it. */
int work_run(struct fake_request *req);
void work_done(struct fake_request *req, int result);
/* The context is closed: all its objects are gone. */
void work_reset(void);
unsigned int work_objects(void);
struct fake_buffer *fake_buffer_find(uint32_t handle);

#endif /* FAKE_VGPUFRONT_WORK_H */
