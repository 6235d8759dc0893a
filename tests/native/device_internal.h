/* SPDX-License-Identifier: MIT */
/*
 * device_internal.h - what the files of the device in user space share
 *
 *   device.c         its files: open, close, facts, mmap; the library's calls
 *   device_buffer.c  BUFFER_ALLOC, BUFFER_FREE
 *   device_enter.c   ENTER
 *   device_ring.c    requests out, responses in, waiting; loss
 *
 * One lock guards everything, as vgf_dev.lock does in the module, and is
 * dropped only in dev_await().
 */
#ifndef NATIVE_DEVICE_INTERNAL_H
#define NATIVE_DEVICE_INTERNAL_H

#include <pthread.h>
#include <uapi/vgpufront.h>

#include "buffer.h"
#include "device.h"
#include "front.h"
#include "vgpufront_arena.h"
#include "vgpufront_sqe.h"

#define MAX_CONTEXTS 16
/* Bits of mmap_offset below the buffer's handle. */
#define MMAP_SHIFT 34
/* Wire ids of contexts, as the module's. */
#define FIRST_CTX 256
/* Slots that only the device's own requests may take. */
#define RESERVED_SLOTS 2

/* A request of the device's own, which a thread waits for. */
struct call {
	bool done;
	struct vgpu_response rsp;
};

/* @in_use: requests in flight that name it. */
struct device_buffer {
	struct front_buffer mem;
	unsigned int in_use;
	bool mapped;
};

/*
 * An open file. @fd polls readable when there is something to reap: an epoll of
 * the event channel and of @event, which tells of completions that are here
 * already (@told).
 */
struct context {
	int fd;
	int event;
	bool told;
	uint16_t id;
	bool on_wire;
	unsigned int inflight;
	struct device_buffer *buf[VGPUFRONT_MAX_BUFFERS];
	struct vgpufront_cqe cqe[VGPUFRONT_MAX_REQUESTS];
	unsigned int cqe_head;
	unsigned int nr_cqes;
};

/* What a ring id in flight stands for: a call, or a request of a context. */
struct inflight {
	struct call *call;
	struct context *ctx;
	bool quiet;
	uint64_t user_data;
	__u64 held[VGPUFRONT_HELD_WORDS];
	uint32_t mark;
};

/*
 * @listening: a thread waits for the event, without the lock; others sleep on
 *	changed
 */
struct device {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct front *f;
	bool spin;
	bool lost;
	bool listening;
	bool info_busy;
	struct vgpufront_info facts;
	struct vgpufront_arena arena;
	struct inflight inflight[VGPUFRONT_MAX_SLOTS];
	bool *wire_handle; /* in use; limits.buffers + 1 */
	uint16_t next_ctx;
	struct context *ctx[MAX_CONTEXTS];
	struct device_counts counts;
	struct front_counts before;
};

extern struct device vdev;

/* device_ring.c; with the lock */

/* INT64_MAX: none. */
int64_t dev_deadline(int64_t timeout_ns);
/*
 * Waits until something came, which may not be what the caller waits for: 0,
 * -ETIME, or -EINTR. Drops the lock meanwhile.
 */
int dev_await(int64_t deadline);
/* Takes what has come, and asks for an event with what comes next. */
void dev_drain(void);
void dev_arm(void);
/* Takes an event that has come, so that nobody is told of it again. */
void dev_take_event(void);
void dev_put(struct vgpu_request *req, const struct inflight *what);
/*
 * Sends a request of the device's own and waits for the answer: 0 with rsp, or
 * -ENODEV.
 */
int dev_call(struct context *ctx, struct vgpu_request *req,
	     struct vgpu_response *rsp);
void dev_complete(struct context *ctx, uint64_t user_data, int result,
		  uint32_t status, uint64_t time_ns, uint64_t value);
int dev_status_errno(unsigned int status);
/* A request that names these buffers of the context begins, or ends. */
static inline void dev_hold(struct context *ctx, const __u64 *held, int more)
{
	for (unsigned int i = 0; i < VGPUFRONT_HELD_WORDS; i++)
		for (__u64 bits = held[i]; bits; bits &= bits - 1)
			ctx->buf[i * 64 + __builtin_ctzll(bits)]->in_use +=
				more;
}

/* Makes every file poll as it should. */
void dev_tell(void);

/* device_buffer.c; with the lock */
int buffer_alloc(struct context *ctx, struct vgpufront_buffer_alloc *arg);
int buffer_release(struct context *ctx,
		   const struct vgpufront_buffer_free *arg);
/* The backend has unmapped all of them. */
void buffers_drop(struct context *ctx);
vgpufront_find buffer_target;

/* device_enter.c; with the lock */
int device_enter(struct context *ctx, struct vgpufront_enter *arg);

/* What the linker puts in the place of the library's (libvgpufront/sys.c). */
int __wrap_sys_open(const char *path);
int __wrap_sys_close(int fd);
int __wrap_sys_ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys_mmap(int fd, size_t size, uint64_t offset, void **ptr);

#endif /* NATIVE_DEVICE_INTERNAL_H */
