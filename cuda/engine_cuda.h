/* SPDX-License-Identifier: MIT */
/*
 * engine_cuda.h - what the files of the cuda engine share
 *
 * A job takes one of these ways:
 *
 *   queues  cuda_queue.c   begun without waiting: put on a CUstream, behind the
 *                          jobs of its stream; a word in memory says how far the
 *                          GPU is. All that needs no work of the CPU, and vector
 *                          adds small enough to be copied by whoever begins them
 *                          (cuda_direct.c)
 *   lanes   cuda_lane.c    on the pool's threads, when all before it in its
 *                          stream is done: large vector adds and copies, part by
 *                          part; and what makes its thread wait (cuda_whole.c)
 *
 * cuda_jobs.c says which; for vector adds by eng->tune, measured by cuda_tune.c
 * when the engine is opened. What a job is on the GPU is the same both ways:
 * cuda_issue.c.
 */
#ifndef VGPU_ENGINE_CUDA_H
#define VGPU_ENGINE_CUDA_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "cuda_device.h"
#include "pool.h"
#include "wire.h"

#define MAX_LANES	12
/* Threads that keep the copy engines busy, without copies by the CPU. */
#define COPY_LANES	4
#define MAX_QUEUES	64

/* Memory on the GPU for the kernels of one CUstream: sums, then a counter. */
#define SCRATCH_SUMS	1024
#define SCRATCH_COUNTER	(SCRATCH_SUMS * sizeof(double))
#define SCRATCH_BYTES	(SCRATCH_COUNTER + 256)

struct cuda_blas;
struct cuda_direct;
struct cuda_modules;
struct cuda_queues;
struct queue;
struct watchdog;

/* Owned by cuda_lane.c. Sizes in elements of an operand. */
struct lane {
	CUstream stream;
	CUevent done;
	CUevent half[2];		/* of a staged copy: that half is over */
	unsigned char *host;		/* pinned staging: a, b, c */
	CUdeviceptr mapped;		/* the same memory, as the GPU sees it */
	uint64_t host_size;
	unsigned char *first_host;	/* what the lane began with, if it has more */
	CUdeviceptr mem;		/* a, b, c on the GPU; 0: none */
	CUdeviceptr workspace;		/* cuda_blas.c's; 0: none yet */
	bool grown, mem_tried;		/* asked for more, had or not */
};

/* In elements: the largest job that ... */
struct cuda_tune {
	uint64_t zero_copy;	/* one kernel does across the bus, in place */
	uint64_t inline_copy;	/* the caller's thread copies */
};

struct cuda_engine {
	struct vgpu_engine base;
	struct cuda_device dev;
	struct pool *pool;
	uint64_t max_job_ns;
	CUdeviceptr scratch;		/* queues', then lanes' */
	CUstream memory;		/* where memory is given back; never busy */
	_Atomic uint64_t freed;		/* bytes, since the pool was trimmed */
	unsigned int nr_lanes;
	struct lane lane[MAX_LANES];
	struct cuda_queues *queues;
	struct cuda_direct *direct;
	struct cuda_modules *modules;
	struct cuda_blas *blas;
	struct watchdog *watchdog;
	struct cuda_tune tune;		/* the caller's thread */
	bool no_regions;		/* a region_test() failed */
	atomic_bool lost;
	atomic_bool stuck;		/* lost, and a kernel still runs */
	atomic_bool fault_made;		/* by a job that asked for it */
	_Atomic uint64_t in_hook;	/* one of the pool's is at work since, or 0 */
	atomic_uint launches;		/* guests' kernels in flight */
	atomic_uint blame;		/* what one of them will end with, or 0 */
};

/* Host memory that the GPU reaches in place. */
struct vgpu_engine_region {
	unsigned char *base;
	size_t bytes;
	CUdeviceptr mapped;
	bool read_only;
};

/*
 * Notes an error of the GPU: unless it is only memory that was short, the
 * context is dead. Returns what the job that met it ends with: where a guest's
 * kernel is in flight, a fault is not this job's. Any thread.
 */
uint16_t cuda_failed(struct cuda_engine *eng, CUresult err);

/* Where the GPU finds element `first` of an operand in a region. */
static inline CUdeviceptr region_address(const struct vgpu_engine_operand *op,
					 uint64_t first)
{
	return op->region->mapped +
	       (CUdeviceptr)((unsigned char *)op->host - op->region->base) +
	       first * sizeof(float);
}

static inline bool all_in_regions(const struct vgpu_job *job)
{
	return job->operand[0].region && job->operand[1].region &&
	       job->operand[2].region;
}

/* One CUstream's means, for the calls that put a job on it. */
struct way {
	CUstream stream;
	CUdeviceptr scratch;		/* SCRATCH_BYTES */
	CUdeviceptr *workspace;		/* cuda_blas.c's */
	CUdeviceptr word;		/* or 0: for kernels that say when they end */
	uint32_t seq;			/* what they write there */
	bool host;			/* an operand is in host memory */
	bool queued;			/* out: something of the job is on it */
	bool marked;			/* out: it says when it ends */
};

/* cuda_jobs.c: the pool's hooks; and the calls that put a job on its queue. */
extern const struct pool_ops cuda_pool_ops;
struct queued;
uint16_t job_start(struct cuda_engine *eng, struct queued *q);

/* The GPU reaches it: device memory, or in a region, or nothing at all. */
static inline bool in_place(const struct vgpu_engine_operand *op)
{
	return op->mem || op->region || !op->count;
}
/* Where: for operands in place. */
CUdeviceptr operand_address(const struct vgpu_engine_operand *op);
/*
 * cuda_issue.c: puts a job on a CUstream, with operands in place, or where at[]
 * says. The context is current. Any thread.
 */
uint16_t issue(struct cuda_engine *eng, struct vgpu_job *job, struct way *way);
CUresult issue_builtin(struct cuda_engine *eng, const struct vgpu_job *job,
		       const CUdeviceptr at[VGPU_ENGINE_OPERANDS],
		       struct way *way);

/* A job on a queue, from begin to its end. Owned by cuda_queue.c. */
struct queued {
	struct vgpu_job *job;
	struct queue *queue;
	struct way way;
	bool started;			/* its calls are made */
	uint16_t failed;		/* did not get to the GPU in full: why */
	int staging;			/* cuda_direct.c's slot, or -1 */
	uint64_t start_ns;
	TAILQ_ENTRY(queued) entry;
	TAILQ_ENTRY(queued) held;
};

/*
 * cuda_queue.c. The context is current for open and close.
 *
 * queue_take: a place for the job behind those of its stream, or NULL. queue_put:
 * has job_start() make the job's calls, now or when the queues are not held any
 * more. With the pool's lock.
 */
int queues_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY]);
void queues_close(struct cuda_engine *eng);
struct queued *queue_take(struct cuda_engine *eng, struct vgpu_job *job,
			  unsigned int behind, uint32_t *note);
void queue_put(struct cuda_engine *eng, struct queued *q);
bool queues_ready(void *engine);
void queues_collect(void *engine, struct pool *pool);
/* Nothing of a guest's is on the GPU by way of the queues. */
bool queues_idle(const struct cuda_engine *eng);
/*
 * For calls of the driver that wait for kernels to end, and keep all others
 * waiting meanwhile. queues_hold: starts no job from now on, and returns when
 * those that are started are over; false: the engine is lost. queues_release:
 * goes on. Any thread, without the lock. queues_held: with it.
 */
bool queues_hold(struct cuda_engine *eng);
void queues_release(struct cuda_engine *eng);
bool queues_held(const struct cuda_engine *eng);

/*
 * cuda_watch.c: the watchdog, where there is a time limit. Not 0: an errno.
 */
int watchdog_open(struct cuda_engine *eng);
void watchdog_close(struct cuda_engine *eng);
/* Around what calls the driver with the pool's lock; may be nested. */
static inline uint64_t hook_enter(struct cuda_engine *eng)
{
	uint64_t before = atomic_load_explicit(&eng->in_hook,
					       memory_order_relaxed);

	if (eng->watchdog && !before)
		atomic_store(&eng->in_hook, pool_now_ns());
	return before;
}

static inline void hook_leave(struct cuda_engine *eng, uint64_t before)
{
	if (eng->watchdog && !before)
		atomic_store(&eng->in_hook, 0);
}

/*
 * cuda_direct.c: vector adds through a queue. As the pool's begin; `start` copies
 * in what is staged, and `end` out.
 */
int direct_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY]);
void direct_close(struct cuda_engine *eng);
bool direct_begin(struct cuda_engine *eng, struct vgpu_job *job,
		  unsigned int behind, uint32_t *note);
CUresult direct_start(struct cuda_engine *eng, struct queued *q);
void direct_end(struct cuda_engine *eng, const struct queued *q, bool copy);
/* The most that tune.inline_copy may be. */
#define DIRECT_STAGING	65536
/* In a stream's note: the job begun last needs the CPU at its end. */
#define NOTE_STAGED	0x100u
#define NOTE_QUEUE	0xffu

/* cuda_lane.c. The context is current for open and close. */
int lanes_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY]);
void lanes_close(struct cuda_engine *eng);
uint16_t lane_part(struct cuda_engine *eng, struct lane *lane,
		   const struct vgpu_job *job, uint64_t first, uint64_t count,
		   uint8_t *path);
struct pool_share lane_share(const struct cuda_engine *eng,
			     const struct vgpu_job *job, uint64_t count);
/*
 * For the files that run jobs on lanes. lane_wait: until all that is on the lane
 * is done, or the engine is lost; an error is the end of the GPU, whichever it
 * is. lane_event: until an event of it is.
 */
CUresult lane_wait(struct cuda_engine *eng, struct lane *lane);
CUresult lane_event(struct cuda_engine *eng, CUevent event);
/* More staging memory, if `count` elements are worth it and there is any. */
CUresult lane_grow(struct cuda_engine *eng, struct lane *lane, uint64_t count);
/* Bytes of staging memory that a lane has. */
static inline size_t lane_room(const struct lane *lane)
{
	return VGPU_ENGINE_OPERANDS * lane->host_size * sizeof(float);
}

/*
 * cuda_copy.c: host memory in no region, to and from the GPU through a lane's
 * staging memory; returns when it is done. `host` is read or written once.
 */
CUresult copy_in(struct cuda_engine *eng, struct lane *lane, CUdeviceptr to,
		 const void *host, size_t bytes);
CUresult copy_out(struct cuda_engine *eng, struct lane *lane, void *host,
		  CUdeviceptr from, size_t bytes);
/* A part of a COPY with such an operand. */
uint16_t copy_part(struct cuda_engine *eng, struct lane *lane,
		   const struct vgpu_job *job, uint64_t first, uint64_t count,
		   uint8_t *path);

/*
 * cuda_whole.c: jobs that one thread runs in one go. As lane_part; the job is
 * written to.
 */
uint16_t whole_run(struct cuda_engine *eng, struct lane *lane,
		   struct vgpu_job *job, uint8_t *path);

/*
 * cuda_memory.c. The memory of a MEM_ALLOC: there for other streams when
 * mem->address is set.
 */
int memory_open(struct cuda_engine *eng, char why[VGPU_ENGINE_WHY]);
void memory_close(struct cuda_engine *eng);
bool memory_there(const struct vgpu_job *job,
		  const struct vgpu_engine_mem *mem);
CUdeviceptr memory_address(const struct vgpu_engine_mem *mem);
uint16_t memory_alloc(struct cuda_engine *eng, struct vgpu_job *job,
		      struct way *way);
/* Its MEM_ALLOC is done. */
void memory_made(struct vgpu_job *job);
void memory_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem);
/* For the time of one job, in the order of a CUstream. */
CUresult memory_borrow(struct cuda_engine *eng, CUstream stream,
		       CUdeviceptr *at, size_t bytes);
void memory_return(struct cuda_engine *eng, CUstream stream, CUdeviceptr at);
/* So much was given back, and the GPU is done with it. */
void memory_returned(struct cuda_engine *eng, uint64_t bytes);

/* cuda_module.c: modules, functions, launches. */
int modules_open(struct cuda_engine *eng);
void modules_close(struct cuda_engine *eng);
uint16_t module_load(struct cuda_engine *eng, const struct vgpu_job *job);
uint16_t function_get(struct cuda_engine *eng, struct vgpu_job *job);
uint16_t launch_check(struct cuda_engine *eng, const struct vgpu_job *job);
uint16_t launch_issue(struct cuda_engine *eng, const struct vgpu_job *job,
		      struct way *way);
/* Known to be over soon, by how its function did; with the pool's lock. */
bool launch_is_brief(const struct vgpu_job *job);
void launch_ended(const struct vgpu_job *job, uint64_t ns);
void module_unload(struct vgpu_engine *eng, struct vgpu_engine_module *module);
/* Unloads what no launch needs any more. Nothing is on the GPU. */
void modules_sweep(struct cuda_engine *eng);

/*
 * cuda_image.c: may the driver, which is not told how long it is, be given this
 * image? NULL, or why not. Behind the image is a NUL.
 */
const char *image_refused(uint32_t format, const unsigned char *image,
			  size_t bytes);

/*
 * cuda_blas.c: sgemm, by cuBLAS where there is one, opened when first needed. It
 * makes its thread wait while kernels run, when it loads its own.
 * blas_describe(): its version, or why there is none.
 */
void blas_describe(char text[VGPU_ENGINE_TEXT]);
int blas_init(struct cuda_engine *eng);
void blas_close(struct cuda_engine *eng);
uint16_t blas_sgemm(struct cuda_engine *eng, const struct vgpu_job *job,
		    const CUdeviceptr at[VGPU_ENGINE_OPERANDS], struct way *way,
		    bool may_hold);
/*
 * All of it is in the GPU's memory, and no kernel need be loaded: it may be
 * begun. Does not wait.
 */
bool blas_is_ready(struct cuda_engine *eng, const struct vgpu_job *job);

/* cuda_region.c: as in struct vgpu_engine_ops. */
bool region_test(struct vgpu_engine *eng, void *base, size_t bytes,
		 char why[VGPU_ENGINE_WHY]);
struct vgpu_engine_region *region_add(struct vgpu_engine *eng, void *base,
				      size_t bytes, bool read_only);
void region_remove(struct vgpu_engine *eng, struct vgpu_engine_region *region);
/* All of it lies in its region, and the GPU may write there where it is to. */
bool region_holds(const struct vgpu_engine_operand *op, uint64_t bytes,
		  bool output);

/*
 * cuda_tune.c: measures eng->tune by jobs of its own, for a tenth of a second at
 * most unless one job takes longer, and says in eng->dev.facts.tuning what came
 * of it. The engine is otherwise open.
 */
void tune(struct cuda_engine *eng);

#endif /* VGPU_ENGINE_CUDA_H */
