/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of libvgpufront share
 *
 *   device.c   open, close, info, poll descriptor, process
 *   buffer.c   the caller's buffers
 *   staging.c  memory of the library that small operands are copied through
 *   op.c       operations: made, waited for, asked, freed
 *   advance.c  how an operation is cut into chunks and goes on
 *   enter.c    the one ioctl that submits and reaps; leader and followers
 *   sys.c      the system calls; unit tests link a double in its place
 *   wire.c     what is taken from <xen/io/vgpuif.h>
 *   error.c    texts
 *
 * One lock per device, dev->lock, guards every field below that is not marked
 * otherwise. It is never held over a system call that waits for the backend.
 *
 * Who makes an operation go on: "kick" says there is something to do for it,
 * "busy" that a thread is doing it, without the lock. A thread in
 * vgpu_op_wait() does it for its own operation, and while that is not finished
 * for those that nobody waits for; vgpu_process() for all that nobody waits
 * for. So a thread's call never returns late because of another's work.
 *
 * Who reaps: one thread at a time, the leader, is in ENTER to reap. The others
 * that wait sleep on their struct waiter; a leader that leaves wakes one. Who
 * finds a leader present may still submit, reaping nothing. A thread whose
 * operation is held up by another one leads only where nobody else can.
 */
#ifndef LIBVGPUFRONT_INTERNAL_H
#define LIBVGPUFRONT_INTERNAL_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <uapi/vgpufront.h>

#include "vgpufront.h"

#define VISIBLE __attribute__((visibility("default")))

#define PAGE 4096u

/* Operands up to this many bytes are copied, larger ones are pinned. */
#define COPY_MAX (64u * 1024)
/* Elements of a chunk of pinned memory: 3 x 4 MiB of grants at most. */
#define CHUNK_ELEMS (1u << 20)
/* No smaller ones are tried. */
#define CHUNK_MIN (PAGE / 4)
/* Elements of a chunk whose operands are all in buffers. */
#define CHUNK_DIRECT (1u << 30)
/* Chunks of one operation that exist at a time. */
#define WINDOW 3
/* Requests submitted and completions reaped in one call. */
#define BATCH 64

#define ARENA_PAGES 64
#define MAX_ARENAS 8

#define NR_OPERANDS 3
enum { OPERAND_A, OPERAND_B, OPERAND_C };

struct list {
	struct list *next, *prev;
};

/* A buffer of the caller. ptr ... flags do not change. */
struct vgpu_buffer {
	struct list node;
	struct vgpu_device *dev;
	unsigned char *ptr;
	size_t size;
	size_t mapped; /* bytes to munmap; 0: memory of the caller */
	uint32_t handle;
	unsigned int flags;
	unsigned int users; /* operations not finished */
};

/* Staging memory: one kernel buffer, given out in runs of pages. */
struct arena {
	unsigned char *ptr;
	uint32_t handle;
	unsigned int pages;
	uint64_t used; /* bit i: page i is given out */
};

struct run {
	struct arena *arena; /* NULL: none */
	unsigned int page;
	unsigned int pages; /* of each operand */
};

/*
 *  FREE -> STARTING -> READY -> SENT -> DONE -> FINISHING -> FREE
 *
 * STARTING, FINISHING: the thread that has the operation busy maps or copies,
 * without the lock. READY: in dev->pending. SENT: the kernel has it, or, with
 * "sending", a thread is giving it to the kernel.
 */
enum chunk_state {
	CHUNK_FREE,
	CHUNK_STARTING,
	CHUNK_READY,
	CHUNK_SENT,
	CHUNK_DONE,
	CHUNK_FINISHING,
};

struct chunk {
	struct vgpu_op *op;
	struct chunk *next; /* in dev->pending */
	enum chunk_state state;
	bool sending;
	size_t first, count; /* elements */
	int result;
	uint64_t time_ns;
	unsigned int nr_handles; /* registered for this chunk */
	uint32_t handles[NR_OPERANDS];
	struct run run;
	struct vgpufront_sqe sqe;
};

struct operand {
	unsigned char *ptr;
	struct vgpu_buffer *buf; /* NULL: ordinary memory */
};

struct vgpu_op {
	struct list node; /* in dev->ops, oldest first, until done */
	struct vgpu_device *dev;
	bool fence;
	bool async; /* counted by vgpu_process() */
	uint16_t stream;
	struct operand operand[NR_OPERANDS];
	size_t n, next; /* elements: all, and those in a chunk so far */

	bool direct;  /* all operands are in buffers */
	bool copy;    /* the others are copied, not pinned */
	bool started; /* no longer held back by the stream */
	bool starved; /* waits for resources that another one has */
	bool kick, busy;
	bool done; /* atomic: read without the lock */
	unsigned int waiters;
	size_t chunk_elems;
	unsigned int active; /* chunks not FREE */

	int result;
	uint64_t time_ns;
	struct chunk chunk[WINDOW];
};

struct waiter {
	struct list node;
	pthread_cond_t cond;
	struct vgpu_op *op; /* NULL: all of the device */
	bool asleep;	    /* and nobody has woken it yet */
};

struct vgpu_device {
	int fd; /* does not change */
	pthread_mutex_t lock;
	int epoll_fd, event_fd; /* -1 until vgpu_fd() */
	bool watches_room; /* the former also tells when the ring has room */
	int lost;	   /* 0, or why nothing works any more: -ENODEV ... */
	bool closing;
	bool unsafe_copy; /* atomic: process_vm_writev(2) does not work here */

	struct list ops;
	struct list buffers;
	struct list waiters;
	bool leader;
	struct chunk *pending, **pending_tail;
	unsigned int inflight; /* chunks the kernel has */
	unsigned int holding;  /* chunks with pins or staging memory */
	unsigned int starved;  /* operations */
	unsigned int releases; /* times a chunk gave its resources back */
	unsigned int finished; /* asynchronous ones since vgpu_process() */

	struct arena arenas[MAX_ARENAS];
	unsigned int nr_arenas, max_arenas;
	bool growing; /* a thread allocates the next arena */
};

/* Doubly linked lists with a head. */
static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}

static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = n;
}

/* node is the first member of everything that is in a list. */
#define list_for_each(pos, head)                                               \
	for (pos = (__typeof__(pos))(void *)(head)->next;                      \
	     (struct list *)(void *)pos != (head);                             \
	     pos = (__typeof__(pos))(void *)pos->node.next)

static inline unsigned int pages_of(size_t bytes)
{
	return bytes / PAGE + !!(bytes % PAGE);
}

/* sys.c: 0 or a value, else a negative errno. */
int sys_open(const char *path);
int sys_close(int fd);
int sys_ioctl(int fd, unsigned long request, void *arg);
int sys_mmap(int fd, size_t size, uint64_t offset, void **ptr);
void sys_munmap(void *ptr, size_t size);
/*
 * Copies between the caller's memory, which may be of any kind or not mapped
 * (-EFAULT), and staging memory.
 */
int sys_copy_in(const struct iovec *user, const struct iovec *staging,
		unsigned int nr);
int sys_copy_out(const struct iovec *user, const struct iovec *staging);

/* wire.c */
extern const uint16_t wire_kernel_vector_add;
const char *wire_text(int err);

/* device.c */
int dev_ioctl(struct vgpu_device *dev, unsigned long request, void *arg);
int dev_free_handle(struct vgpu_device *dev, uint32_t handle);
int dev_lost(const struct vgpu_device *dev);
void dev_notify(struct vgpu_device *dev);
void dev_watch_room(struct vgpu_device *dev);

/* buffer.c */
struct vgpu_buffer *buffer_find(struct vgpu_device *dev, const void *ptr,
				size_t size, bool output);
void buffers_destroy(struct vgpu_device *dev);

/*
 * staging.c. run_get() is called with the lock and may drop it: up to want
 * pages for each operand; -EAGAIN where all are given out, else why there are
 * none. run_operand() is the memory of one.
 */
int run_get(struct vgpu_device *dev, unsigned int want, struct run *run);
void run_put(struct run *run);
unsigned char *run_operand(const struct run *run, unsigned int operand,
			   uint64_t *offset);
int staging_in(struct vgpu_device *dev, const struct iovec *user,
	       const struct iovec *staging, unsigned int nr);
int staging_out(struct vgpu_device *dev, const struct iovec *user,
		const struct iovec *staging);
void staging_destroy(struct vgpu_device *dev);

/* advance.c; with the lock */
void op_kick(struct vgpu_op *op);
void op_kick_held(struct vgpu_device *dev, uint16_t stream);
void dev_kick_starved(struct vgpu_device *dev);
/* Drops the lock meanwhile. The operation is kicked and not busy. */
void op_advance(struct vgpu_op *op);
struct vgpu_op *op_next_kicked(struct vgpu_device *dev);

/*
 * enter.c; with the lock, which dev_enter(), dev_submit() and dev_wait() drop.
 *
 * dev_enter() submits a batch of what is pending and returns how many were
 * taken. With reap, the caller becomes the leader meanwhile and waits for one
 * completion, as long as timeout_ns says; without, it does not wait.
 */
unsigned int dev_enter(struct vgpu_device *dev, bool reap, int64_t timeout_ns);
/* Sends what is pending as far as there is room. */
void dev_submit(struct vgpu_device *dev);
void dev_drop_pending(struct vgpu_device *dev, int err);
void dev_wake_next(struct vgpu_device *dev);
void dev_wake_op(struct vgpu_op *op);
/* Waits for op, or with NULL for all operations; 0 or -ETIME. */
int dev_wait(struct vgpu_device *dev, struct vgpu_op *op, int64_t timeout_ns);

#endif /* LIBVGPUFRONT_INTERNAL_H */
