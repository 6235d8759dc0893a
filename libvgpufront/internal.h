/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of libvgpufront share
 *
 *   device.c   open, close, info, poll descriptor, process
 *   stream.c   streams: numbers, positions, first failures; fences
 *   object.c   handles, and what refers to what has one
 *   buffer.c   the caller's buffers
 *   memory.c   memory of the device, and where it is
 *   copy.c     copies and fills
 *   builtin.c  built-in kernels, the vector add of ordinary memory too
 *   module.c   modules and their functions
 *   launch.c   launches
 *   event.c    events
 *   request.c  requests that nobody waits for: the short way into a batch
 *   op.c       operations: made, begun, waited for, asked, freed
 *   advance.c  how an operation is cut into chunks and goes on
 *   chunk.c    how the memory of a chunk gets to the backend and back
 *   staging.c  memory of the library that small operands are copied through
 *   queue.c    what the kernel gets next, in batches; who sends it
 *   enter.c    who reaps completions and who waits; leader and followers
 *   sys.c      the system calls; unit tests link a double in its place
 *   wire.c     what is taken from <xen/io/vgpuif.h>
 *   error.c    texts
 *   list.h     lists
 *
 * One lock per device, dev->lock, guards every field below that is not marked
 * otherwise. It is never held over a system call that waits for the backend.
 *
 * Order: what is in a batch goes to the kernel in the order it was put there.
 * So requests of a stream are in order when each is put into a batch behind the
 * one before. Most are, in the call itself. Those that can not be yet (behind a
 * copy that goes piece by piece, say) are operations in the stream's list; what
 * is called for behind them becomes an operation, too.
 *
 * Who sends: one thread at a time ("sending"). It takes the oldest batch. A
 * thread that has just called for work waits until it is sent ("flush").
 *
 * Who reaps: one thread at a time, the leader, is in ENTER to reap. The others
 * that wait sleep on their struct waiter; a leader that leaves wakes one. A
 * thread whose operation is held up by another one leads only where nobody else
 * can. On a device that one thread alone uses, the leader's ENTER sends, too
 * ("combining"): one system call for work and its answer. With other threads it
 * would keep their work from being sent until the answer comes, for all
 * requests of the kernel's must go one call after the other.
 *
 * Who makes an operation go on: "kick" says there is something to do for it,
 * "busy" that a thread is doing it, without the lock. A thread in
 * vgpu_op_wait() does it for its own operation, and while that is not finished
 * for those that nobody waits for; vgpu_process() for all that nobody waits
 * for. So a thread's call never returns late because of another's work.
 * Operations without memory to bring ("cheap") are not left to anybody: the
 * thread that finds them kicked makes them go on.
 */
#ifndef LIBVGPUFRONT_INTERNAL_H
#define LIBVGPUFRONT_INTERNAL_H

#include <pthread.h>
#include <stdint.h>

#include <uapi/vgpufront.h>

#include "list.h"
#include "sys.h"
#include "vgpufront.h"

#define VISIBLE __attribute__((visibility("default")))

#define PAGE 4096u

/* Operands up to this many bytes are copied, larger ones are pinned. */
#define COPY_MAX (64u * 1024)
/* Bytes of a chunk of pinned memory, all operands together. */
#define CHUNK_BYTES (12u << 20)
/* Elements of a chunk whose operands are all in buffers. */
#define CHUNK_DIRECT (1u << 30)
/* Chunks of one operation that exist at a time. */
#define WINDOW 3

/* Requests submitted and completions reaped in one call. */
#define BATCH 64
/* One with the leader, one with the sender, one to put requests into. */
#define BATCHES 3
/* Bytes of arguments in a batch. The largest ones fit several times. */
#define BLOB_ROOM (32u * 1024)

#define ARENA_PAGES 64
#define MAX_ARENAS 8

#define NR_OPERANDS 3

enum { HANDLES_MEM, HANDLES_MODULE, HANDLES_FUNCTION, HANDLES_EVENT, HANDLES };

/* Numbers for objects: those given back, then those never given out. */
struct handles {
	uint32_t next; /* 1 ... next have been given out */
	uint32_t nr_free, room;
	uint32_t *free;
};

enum object_type { OBJECT_BUFFER, OBJECT_MEM, OBJECT_MODULE, OBJECT_EVENT };

/* What the backend knows by a handle. dev, type and handle do not change. */
struct object {
	struct list node; /* in dev->objects or dev->buffers */
	struct vgpu_device *dev;
	enum object_type type;
	uint32_t handle;
	unsigned int refs;     /* the caller's, and of operations */
	unsigned int unsent;   /* operations that name it, in no batch yet */
	struct vgpu_op *ender; /* the one that ends it, held by these */
};

/* A buffer of the caller. ptr ... flags do not change. */
struct vgpu_buffer {
	struct object obj;
	unsigned char *ptr;
	size_t size;
	size_t mapped; /* bytes to munmap; 0: memory of the caller */
	unsigned int flags;
};

struct vgpu_mem {
	struct object obj;
	size_t size;	       /* does not change */
	struct vgpu_op *alloc; /* until it is done */
	int err;
	bool found; /* in dev->addresses */
	uint64_t address;
};

struct vgpu_module {
	struct object obj;
	pthread_mutex_t get_lock; /* one vgpu_function_get() at a time */
	struct list functions;
};

/* None of it changes once it is in the list. */
struct vgpu_function {
	struct list node;
	struct vgpu_module *mod;
	uint32_t handle;
	uint16_t args_len, nr_params;
	char *name;
	struct param {
		uint16_t offset, size;
	} params[];
};

struct vgpu_event {
	struct object obj;
	struct list unsent;	/* operations that name it, in no batch yet */
	struct vgpu_op *record; /* the last one, until it is done */
	bool recorded;		/* atomic: read without the lock */
	int err;
	uint64_t ns;
};

/* The failure of the work at a position of a stream; err 0: none. */
struct failure {
	uint64_t at;
	int err;
};

struct stream {
	uint16_t nr; /* does not change */
	bool used, created;
	bool quiet; /* requests without an answer since the last fence */
	unsigned int unsent;	/* operations not all in batches */
	uint64_t position;	/* of the last call */
	struct failure failure; /* the first one, for the next fence */
	struct list ops;	/* not done, in the order of their calls */
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
	unsigned int nr;    /* operands */
};

/*
 *  FREE -> STARTING -> READY -> QUEUED -> SENT -> DONE -> FINISHING -> FREE
 *
 * STARTING, FINISHING: the thread that has the operation busy maps or copies,
 * without the lock. READY: in dev->pending. QUEUED: in a batch. SENT: the kernel
 * has it, or, with "sending", a thread is giving it to the kernel.
 */
enum chunk_state {
	CHUNK_FREE,
	CHUNK_STARTING,
	CHUNK_READY,
	CHUNK_QUEUED,
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
	uint64_t time_ns, value;
	unsigned int nr_handles; /* registered for this chunk */
	uint32_t handles[NR_OPERANDS];
	struct run run;
	struct vgpufront_sqe sqe;
};

struct operand {
	unsigned char *ptr;
	struct vgpu_buffer *buf; /* NULL: ordinary memory */
	bool output;
};

enum op_kind {
	OP_SINGLE,   /* one request, as it is */
	OP_FENCE,    /* the same, behind which all earlier ones are done */
	OP_ADD,	     /* operands a, b, c */
	OP_COPY_IN,  /* operand: the source */
	OP_COPY_OUT, /* operand: the destination */
	OP_FUNCTION, /* operand: the layout of the parameters */
};

struct vgpu_op {
	struct list node;   /* in dev->ops, oldest first, until done */
	struct list snode;  /* in stream->ops, the same */
	struct list knode;  /* in dev->kicked or dev->cheap, with kick */
	struct list evnode; /* in event->unsent */
	struct vgpu_device *dev;
	struct stream *stream;
	uint64_t position;
	enum op_kind kind;
	bool async;	 /* counted by vgpu_process() */
	bool detached;	 /* the library's: freed when done, fails its stream */
	bool checkpoint; /* a fence of the library's own */
	bool quiet;	 /* is done when it is sent */
	bool after_all;	 /* starts when all earlier ones are done */

	struct vgpufront_sqe sqe; /* of each chunk, but for its memory */
	struct operand operand[NR_OPERANDS];
	unsigned int nr_operands; /* the outputs are last */
	unsigned int unit;	  /* bytes of an element */
	size_t n, next; /* elements: all, and those in a chunk so far */
	struct object **objects; /* that it names */
	unsigned int nr_objects;
	struct object *ends;
	struct vgpu_event *event;

	bool direct;  /* all operands are in buffers */
	bool copy;    /* the others are copied, not pinned */
	bool started; /* no longer held back by the stream */
	bool unsent;  /* not all of it is in batches */
	bool starved; /* waits for resources that another one has */
	bool kick, busy;
	bool done; /* atomic: read without the lock */
	unsigned int waiters;
	size_t chunk_elems;
	unsigned int active; /* chunks not FREE */

	struct failure failure; /* of a fence: the stream's first one */
	int result;
	uint64_t time_ns, value;
	struct chunk chunk[WINDOW];
};

struct waiter {
	struct list node;
	pthread_cond_t cond;
	struct vgpu_op *op; /* NULL: all of the device */
	bool asleep;	    /* and nobody has woken it yet */
};

/* Requests first ... nr - 1 are to be sent. */
struct batch {
	struct list node; /* in dev->queue or dev->free */
	unsigned int first, nr;
	unsigned int blob_used;
	struct vgpufront_sqe sqes[BATCH];
	struct chunk *chunks[BATCH]; /* NULL: nobody's */
	unsigned char blob[BLOB_ROOM] __attribute__((aligned(8)));
};

#define STREAM_PAGE 256
#define STREAM_PAGES ((VGPU_MAX_STREAM + 1) / STREAM_PAGE)

struct vgpu_device {
	int fd; /* does not change */
	pthread_mutex_t lock;
	int epoll_fd, event_fd; /* -1 until vgpu_fd() */
	bool watches_room; /* the former also tells when the ring has room */
	int lost;	   /* 0, or why nothing works any more: -ENODEV ... */
	bool closing;
	bool unsafe_copy; /* atomic: process_vm_writev(2) does not work here */

	/* Which thread uses it, until a second one does. */
	bool owned, shared;
	pthread_t owner;

	struct stream *streams[STREAM_PAGES];
	struct stream *service; /* for work without a stream of the caller's */
	struct handles handles[HANDLES];
	struct list objects; /* but buffers */
	struct list buffers;
	void *addresses; /* tsearch(3) tree of memory by its address */

	struct list ops;
	struct list kicked, cheap;
	struct list waiters;
	bool leader;
	bool sending, combining, resend;
	bool combine_held;     /* an operation waits for the latter to end */
	unsigned int flushers; /* threads that wait for the sender */
	pthread_cond_t moved;
	unsigned int batching; /* vgpu_batch_begin() */
	struct list queue, free;
	struct batch *batches;
	uint64_t queued, taken; /* requests ever put into batches; and sent */
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

static inline unsigned int pages_of(size_t bytes)
{
	return (unsigned int)(bytes / PAGE + !!(bytes % PAGE));
}

/* wire.c */
extern const uint16_t wire_kernel_vector_add, wire_kernel_saxpy,
	wire_kernel_sgemm, wire_kernel_reduce_sum;
const char *wire_text(int err);

/* device.c */
int dev_ioctl(struct vgpu_device *dev, unsigned long request, void *arg);
int dev_free_handle(struct vgpu_device *dev, uint32_t handle);
/* A kernel buffer, mapped. */
int dev_alloc_pages(struct vgpu_device *dev, uint64_t size, uint32_t *handle,
		    void **ptr);
int dev_lost(const struct vgpu_device *dev);
/* Takes the lock for a call that sends or waits. */
void dev_lock(struct vgpu_device *dev);
void dev_unlock(struct vgpu_device *dev);
void dev_notify(struct vgpu_device *dev);
void dev_watch_room(struct vgpu_device *dev);
/* What can be done without waiting. With the lock, which it drops. */
void dev_progress(struct vgpu_device *dev);

/* stream.c; with the lock. stream_use(): the stream of a call, or an errno. */
int stream_use(struct vgpu_device *dev, unsigned int nr, struct stream **out);
int stream_service(struct vgpu_device *dev, struct stream **out);
void stream_fail(struct stream *st, uint64_t position, int err);
void stream_refused(struct vgpu_device *dev, uint64_t user_data, int err);
uint64_t stream_quiet_data(const struct stream *st);
void streams_destroy(struct vgpu_device *dev);
void streams_quiesce(struct vgpu_device *dev);
/* What fails in front of it is not to be taken for what fails behind it. */
int stream_checkpoint(struct vgpu_device *dev, struct stream *st);

/* object.c; with the lock */
int handle_get(struct vgpu_device *dev, unsigned int space, uint32_t *handle);
void handle_put(struct vgpu_device *dev, unsigned int space, uint32_t handle);
void object_init(struct object *obj, struct vgpu_device *dev,
		 enum object_type type);
void object_put(struct object *obj);
void object_ended(struct object *obj);
void objects_destroy(struct vgpu_device *dev);
/* The caller's is gone: asks the backend to end it when the stream is there. */
int object_end(struct object *obj, uint8_t op, struct stream *st);
/* Checks a place, without the lock. */
int ref_check(struct vgpu_device *dev, const struct vgpu_ref *ref,
	      uint64_t size, bool output, struct object **obj);

/* buffer.c */
struct vgpu_buffer *buffer_find(struct vgpu_device *dev, const void *ptr,
				size_t size, unsigned int align, bool output);
bool buffer_touched(struct vgpu_device *dev, const void *ptr, size_t size);
void buffers_destroy(struct vgpu_device *dev);

/* memory.c, event.c, module.c: an operation on the object is done */
void mem_allocated(struct vgpu_mem *mem, struct vgpu_op *op);
void mem_destroy(struct vgpu_mem *mem);
void event_recorded(struct vgpu_event *ev, struct vgpu_op *op);
void module_ended(struct vgpu_module *mod);
void module_destroy(struct vgpu_module *mod);

/*
 * request.c: a request that nobody waits for. request_begin() takes the lock
 * and waits for room in a batch; the caller fills sqe and blob in, names the
 * objects, and calls request_end(), which drops the lock. Not where begin failed.
 */
struct request {
	struct vgpu_event
		*event; /* that it waits for, given to begin; or NULL */
	struct vgpu_device *dev;
	struct stream *stream;
	struct vgpufront_sqe *sqe;
	unsigned char *blob;
	unsigned int blob_len;
	struct batch *batch; /* NULL: an operation */
	struct vgpu_op *op;
};

int request_begin(struct request *rq, struct vgpu_device *dev,
		  unsigned int stream, uint8_t op, size_t blob_len,
		  unsigned int nr_objects);
void request_name(struct request *rq, struct object *obj);
int request_end(struct request *rq);

/*
 * staging.c. run_get() is called with the lock and may drop it: up to want
 * pages for each operand; -EAGAIN where all are given out, else why there are
 * none. run_operand() is the memory of one.
 */
int run_get(struct vgpu_device *dev, unsigned int want, unsigned int nr,
	    struct run *run);
void run_put(struct run *run);
unsigned char *run_operand(const struct run *run, unsigned int operand,
			   uint64_t *offset);
int staging_in(struct vgpu_device *dev, const struct iovec *user,
	       const struct iovec *staging, unsigned int nr);
int staging_out(struct vgpu_device *dev, const struct iovec *user,
		const struct iovec *staging);
void staging_destroy(struct vgpu_device *dev);

/* op.c; with the lock. op_new() has room for that many objects and bytes. */
void op_init(struct vgpu_op *op, struct vgpu_device *dev, enum op_kind kind,
	     uint8_t code);
struct vgpu_op *op_new(struct vgpu_device *dev, uint8_t code,
		       unsigned int nr_objects, size_t blob_len);
void op_name(struct vgpu_op *op, struct object *obj);
/* Puts it at its stream's end and begins with it. */
int op_begin(struct vgpu_op *op, struct stream *st);
/* The same, for one that the caller does not wait for. */
int op_start(struct vgpu_op *op, struct stream *st);
/* The same, and waits; its result. */
int op_run(struct vgpu_op *op, struct stream *st);

/* chunk.c; without the lock */
int chunk_bring(struct chunk *chunk);
int chunk_take(struct chunk *chunk);
int chunk_unpin(struct chunk *chunk);

/* advance.c; with the lock */
void op_kick(struct vgpu_op *op);
void dev_kick_starved(struct vgpu_device *dev);
/* Operations held back by a leader that sends. */
void dev_kick_combined(struct vgpu_device *dev);
/* Drops the lock meanwhile. The operation is kicked and not busy. */
void op_advance(struct vgpu_op *op);
struct vgpu_op *op_next_kicked(struct vgpu_device *dev);
void dev_run_cheap(struct vgpu_device *dev);
/* Is all of it in batches, or failed? Then what is behind it may follow. */
void op_queued(struct vgpu_op *op);
void chunk_done(struct chunk *chunk, int result, uint64_t time_ns,
		uint64_t value);

/*
 * queue.c; with the lock. queue_tail(): a batch with room at the end of all, NULL
 * where there is none now. queue_pop(): the next batch to be sent. queue_settle():
 * so many of its requests were taken; the rest is next again.
 */
void queue_init(struct vgpu_device *dev);
struct batch *queue_tail(struct vgpu_device *dev, size_t blob_len);
void queue_chunk(struct chunk *chunk);
bool dev_unsent(const struct vgpu_device *dev);
struct batch *queue_pop(struct vgpu_device *dev);
void queue_settle(struct vgpu_device *dev, struct batch *batch,
		  unsigned int submitted);
void queue_drop(struct vgpu_device *dev, int err);
/* Sends what there is as far as there is room; false: nothing was taken. */
bool dev_submit(struct vgpu_device *dev);
/* The same, where no batch is collected. */
void dev_submit_unless_batching(struct vgpu_device *dev);
/* Waits for room until all that is in batches is sent; -ENODEV ... */
int dev_flush(struct vgpu_device *dev);

/*
 * enter.c; with the lock, which dev_enter() and dev_wait() drop.
 *
 * dev_enter() sends a batch, with submit and where nobody else does, and returns
 * how many requests were taken, or why none (-EAGAIN ...); it waits for room as
 * long as timeout_ns says. With reap, the caller becomes the leader meanwhile and waits for one
 * completion that long.
 */
int dev_enter(struct vgpu_device *dev, bool submit, bool reap,
	      int64_t timeout_ns);
void dev_wake_next(struct vgpu_device *dev);
void dev_wake_op(struct vgpu_op *op);
/* Waits for op, or with NULL for all operations; 0 or -ETIME. */
int dev_wait(struct vgpu_device *dev, struct vgpu_op *op, int64_t timeout_ns);

#endif /* LIBVGPUFRONT_INTERNAL_H */
