// SPDX-License-Identifier: MIT
/*
 * cuda_jobs.c - which way a job takes: the pool's hooks
 *
 * count(), begin() and share() run on any thread, with the pool's lock; part()
 * on the pool's threads, without it. Owns nothing. Must never wait for the GPU
 * but in part().
 *
 * Begun without waiting: what the GPU does by itself, with operands that it
 * reaches. To the threads go host memory in no region, and calls of the driver
 * that take long or wait for kernels to end: sgemm of a new shape (cuBLAS loads
 * kernels when it first needs them), modules, much memory.
 */
#include "engine_cuda.h"
#include "job_check.h"

/* The driver maps more in a millisecond a GiB, with its caller waiting. */
#define ALLOC_MOST	((uint64_t)64 << 20)
/* Of a copy by threads, octets. */
#define COPY_MIN	((uint64_t)256 << 10)
#define COPY_MAX	((uint64_t)8 << 20)

static bool is_builtin(const struct vgpu_job *job, uint16_t kernel)
{
	return job->op == VGPU_OP_BUILTIN && job->kernel == kernel;
}

/* Operands that lie in memory: of the others nothing is set. */
static unsigned int nr_operands(const struct vgpu_job *job)
{
	switch (job->op) {
	case VGPU_OP_BUILTIN:
		return VGPU_ENGINE_OPERANDS;
	case VGPU_OP_COPY:
	case VGPU_OP_MODULE_LOAD:
		return 2;
	case VGPU_OP_FILL:
	case VGPU_OP_FUNCTION_GET:
		return 1;
	default:
		return 0;
	}
}

static unsigned int writes(const struct vgpu_job *job)
{
	if (job->op == VGPU_OP_BUILTIN)
		return vgpu_builtin_writes(job->kernel);
	/* The image of a module is read, and its log written. */
	return job->op == VGPU_OP_MODULE_LOAD ? 1u << 1 : 1u << 0;
}

/* The GPU's memory is there, and what is in a region is so in full. */
static uint16_t places_ok(const struct vgpu_job *job)
{
	uint64_t unit = job->op == VGPU_OP_BUILTIN ? sizeof(float) : 1;

	for (unsigned int i = 0; i < nr_operands(job); i++) {
		const struct vgpu_engine_operand *op = &job->operand[i];

		if (op->mem && !memory_there(job, op->mem))
			return VGPU_RSP_NO_HANDLE;
		if (!op->mem && op->region && op->count &&
		    !region_holds(op, op->count * unit, writes(job) >> i & 1))
			return VGPU_RSP_INVALID;
	}
	return VGPU_RSP_OK;
}

static uint16_t modules_ok(struct cuda_engine *eng, const struct vgpu_job *job)
{
	if (job->op != VGPU_OP_MODULE_LOAD && job->op != VGPU_OP_FUNCTION_GET &&
	    job->op != VGPU_OP_LAUNCH)
		return VGPU_RSP_OK;
	if (!eng->dev.facts.modules)
		return VGPU_RSP_UNSUPPORTED;
	if (job->op == VGPU_OP_LAUNCH)
		return launch_check(eng, job);
	if (job->op == VGPU_OP_FUNCTION_GET &&
	    !__atomic_load_n(&job->module->priv, __ATOMIC_ACQUIRE))
		return VGPU_RSP_NO_HANDLE;
	return VGPU_RSP_OK;
}

/* Operands of a COPY or a BUILTIN that the CPU need not touch. */
static bool all_in_place(const struct vgpu_job *job)
{
	for (unsigned int i = 0; i < nr_operands(job); i++)
		if (!in_place(&job->operand[i]))
			return false;
	return true;
}

static bool names_memory(const struct vgpu_job *job)
{
	return job->operand[0].mem || job->operand[1].mem ||
	       job->operand[2].mem;
}

/* Elements or octets of what can be cut, else 1. */
static uint64_t units(const struct vgpu_job *job)
{
	if (is_builtin(job, VGPU_KERNEL_DEBUG_FAULT) ||
	    is_builtin(job, VGPU_KERNEL_REDUCE_SUM))
		return 1;
	if (is_builtin(job, VGPU_KERNEL_SGEMM))
		return job->sgemm->m && job->sgemm->n;
	if (job->op == VGPU_OP_BUILTIN || job->op == VGPU_OP_COPY ||
	    job->op == VGPU_OP_FILL)
		return job->operand[0].count;
	return 1;
}

static uint64_t count(void *engine, struct vgpu_job *job)
{
	struct cuda_engine *eng = engine;

	job->status = vgpu_job_check(job);
	if (job->status == VGPU_RSP_OK)
		job->status = places_ok(job);
	if (job->status == VGPU_RSP_OK)
		job->status = modules_ok(eng, job);
	if (job->status == VGPU_RSP_OK && job->op == VGPU_OP_MEM_ALLOC &&
	    !eng->memory)
		job->status = VGPU_RSP_UNSUPPORTED;
	return job->status == VGPU_RSP_OK ? units(job) : 0;
}

static bool begins(struct cuda_engine *eng, const struct vgpu_job *job)
{
	switch (job->op) {
	case VGPU_OP_LAUNCH:
		return true;
	case VGPU_OP_MEM_ALLOC:
		/* Jobs behind it need the address when they begin. */
		return job->mem->bytes <= ALLOC_MOST && !queues_held(eng);
	case VGPU_OP_COPY:
	case VGPU_OP_FILL:
		return all_in_place(job);
	case VGPU_OP_BUILTIN:
		if (job->kernel == VGPU_KERNEL_SGEMM)
			return blas_is_ready(eng, job);
		return (job->kernel == VGPU_KERNEL_SAXPY ||
			job->kernel == VGPU_KERNEL_REDUCE_SUM) &&
		       all_in_place(job);
	default:
		return false;
	}
}

static uint8_t path_of(const struct vgpu_job *job)
{
	if (job->op == VGPU_OP_MEM_ALLOC)
		return VGPU_PATH_NONE;
	if (job->op == VGPU_OP_COPY &&
	    (!job->operand[0].mem || !job->operand[1].mem))
		return VGPU_PATH_PIPELINED;
	return VGPU_PATH_ZERO_COPY;
}

static bool begin_job(struct cuda_engine *eng, struct vgpu_job *job,
		      unsigned int behind, uint32_t *note)
{
	struct queued *q;

	if (atomic_load(&eng->lost) || (behind && *note & NOTE_STAGED))
		return false;
	if (is_builtin(job, VGPU_KERNEL_VECTOR_ADD))
		return direct_begin(eng, job, behind, note);
	q = begins(eng, job) ? queue_take(eng, job, behind, note) : NULL;
	if (!q)
		return false;
	job->path = path_of(job);
	queue_put(eng, q);
	return true;
}

static bool begin(void *engine, struct vgpu_job *job, unsigned int behind,
		  uint32_t *note)
{
	uint64_t before = hook_enter(engine);
	bool begun = begin_job(engine, job, behind, note);

	hook_leave(engine, before);
	return begun;
}

static bool ready(void *engine)
{
	uint64_t before = hook_enter(engine);
	bool ready = queues_ready(engine);

	hook_leave(engine, before);
	return ready;
}

static void collect(void *engine, struct pool *pool)
{
	uint64_t before = hook_enter(engine);

	queues_collect(engine, pool);
	hook_leave(engine, before);
}

uint16_t job_start(struct cuda_engine *eng, struct queued *q)
{
	CUresult err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);

	if (err == CUDA_SUCCESS && !is_builtin(q->job, VGPU_KERNEL_VECTOR_ADD))
		return issue(eng, q->job, &q->way);
	if (err == CUDA_SUCCESS)
		err = direct_start(eng, q);
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}

static struct pool_share share(void *engine, const struct vgpu_job *job,
			       uint64_t n)
{
	struct cuda_engine *eng = engine;
	struct pool_share share = { .part = n, .width = 1 };

	if (is_builtin(job, VGPU_KERNEL_VECTOR_ADD) && !names_memory(job))
		return lane_share(eng, job, n);
	if (job->op != VGPU_OP_COPY || all_in_place(job))
		return share;
	share.width = eng->nr_lanes;
	share.part = (n - 1) / share.width + 1;
	if (share.part < COPY_MIN)
		share.part = COPY_MIN;
	if (share.part > COPY_MAX)
		share.part = COPY_MAX;
	return share;
}

static uint16_t part(void *engine, unsigned int thread,
		     const struct vgpu_job *job, uint64_t first, uint64_t n,
		     uint8_t *path)
{
	struct cuda_engine *eng = engine;
	struct lane *lane = &eng->lane[thread];
	CUresult err;

	if (atomic_load(&eng->lost))
		return VGPU_RSP_DEVICE_LOST;
	err = eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx);
	if (err != CUDA_SUCCESS)
		return cuda_failed(eng, err);
	if (is_builtin(job, VGPU_KERNEL_VECTOR_ADD) && !names_memory(job))
		return lane_part(eng, lane, job, first, n, path);
	if (job->op == VGPU_OP_COPY && !all_in_place(job))
		return copy_part(eng, lane, job, first, n, path);
	*path = path_of(job);
	/* Not cut: this thread alone has it, and may write what came of it. */
	return whole_run(eng, lane, (struct vgpu_job *)(uintptr_t)job, path);
}

const struct pool_ops cuda_pool_ops = {
	.count = count,
	.part = part,
	.share = share,
	.begin = begin,
	.ready = ready,
	.collect = collect,
};
