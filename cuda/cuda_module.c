// SPDX-License-Identifier: MIT
/*
 * cuda_module.c - a guest's own code: modules, functions, launches
 *
 * Owns what a module's and a function's priv point to. module_load() and
 * function_get() run on the pool's threads: the driver compiles, and waits for
 * kernels to end. launch_check() and launch_issue() run on any thread, under the
 * pool's lock or before the job has ended on a lane; module_unload() and
 * modules_sweep() on the caller's.
 *
 * Unloading a module waits for all kernels of the GPU to end, and a guest's may
 * never do. So it is put off until no job is on a queue. A guest that never lets
 * that happen waits itself, when it loads more.
 *
 * An image is copied once, before anything looks at it: the guest may change it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_cuda.h"

/* Unloading put off, at most, before a load makes up for it. */
#define DEAD_MOST	16
/* A marker behind each launch that takes longer costs nothing to speak of. */
#define BRIEF_NS	100000
#define LOG_BYTES	16384
/* Zeros behind an image: an end for text, and room for a reader's haste. */
#define IMAGE_SPARE	4096

struct function {
	CUfunction fn;
	unsigned int threads;		/* of a block, at most */
	unsigned int shared;		/* dynamic, octets, at most */
	bool brief;			/* its last launch was */
	struct function *next;
};

struct module {
	CUmodule module;
	struct function *functions;
	struct module *next;		/* of those to be unloaded */
};

struct cuda_modules {
	pthread_mutex_t lock;		/* for all lists here */
	struct module *dead;
	unsigned int nr_dead;
};

/* Text for people, cut to the operand. Another party may write there too. */
static void write_log(const struct vgpu_job *job, const char *text)
{
	const struct vgpu_engine_operand *log = &job->operand[1];
	size_t len = strlen(text);

	if (!log->count)
		return;
	if (len >= log->count)
		len = log->count - 1;
	memcpy(log->host, text, len);
	((char *)log->host)[len] = '\0';
}

static bool is_refusal(CUresult err)
{
	switch (err) {
	case CUDA_ERROR_INVALID_VALUE:
	case CUDA_ERROR_INVALID_IMAGE:
	case CUDA_ERROR_NO_BINARY_FOR_GPU:
	case CUDA_ERROR_INVALID_PTX:
	case CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
	case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
	case CUDA_ERROR_JIT_COMPILATION_DISABLED:
	case CUDA_ERROR_INVALID_SOURCE:
	case CUDA_ERROR_FILE_NOT_FOUND:
	case CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND:
	case CUDA_ERROR_SHARED_OBJECT_INIT_FAILED:
	case CUDA_ERROR_INVALID_HANDLE:
	case CUDA_ERROR_NOT_FOUND:
	case CUDA_ERROR_NOT_SUPPORTED:
		return true;
	default:
		return false;
	}
}

static uint16_t load(struct cuda_engine *eng, const struct vgpu_job *job,
		     const unsigned char *image, CUmodule *module)
{
	const struct cuda_driver *cu = eng->dev.cu;
	char *error = calloc(2, LOG_BYTES), *info = error + LOG_BYTES;
	char why[VGPU_ENGINE_WHY];
	CUjit_option option[] = { CU_JIT_ERROR_LOG_BUFFER,
				  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
				  CU_JIT_INFO_LOG_BUFFER,
				  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES };
	void *value[] = { error, (void *)(uintptr_t)(LOG_BYTES - 1), info,
			  (void *)(uintptr_t)(LOG_BYTES - 1) };
	CUresult err;

	if (!error)
		return VGPU_RSP_NO_MEMORY;
	err = cu->cuModuleLoadDataEx(module, image, 4, option, value);
	if (err == CUDA_SUCCESS)
		write_log(job, info);
	else if (error[0])
		write_log(job, error);
	else {
		cuda_why(cu, why, "cuModuleLoadDataEx", err);
		write_log(job, why);
	}
	free(error);
	if (err == CUDA_SUCCESS)
		return VGPU_RSP_OK;
	return is_refusal(err) ? VGPU_RSP_BAD_IMAGE : cuda_failed(eng, err);
}

/* A private copy, with zeros behind. */
static unsigned char *copy_image(const struct vgpu_engine_operand *op)
{
	unsigned char *image = calloc(1, op->count + IMAGE_SPARE);

	if (image)
		memcpy(image, op->host, op->count);
	return image;
}

static struct module *take_dead(struct cuda_modules *ms, unsigned int most)
{
	struct module *m = NULL;

	pthread_mutex_lock(&ms->lock);
	if (ms->nr_dead > most) {
		m = ms->dead;
		ms->dead = m->next;
		ms->nr_dead--;
	}
	pthread_mutex_unlock(&ms->lock);
	return m;
}

/* Waits for kernels that run. The context is current. */
static void unload(struct cuda_engine *eng, struct module *m)
{
	eng->dev.cu->cuModuleUnload(m->module);
	free(m);
}

uint16_t module_load(struct cuda_engine *eng, const struct vgpu_job *job)
{
	unsigned char *image;
	const char *refused;
	struct module *m;
	uint16_t status;

	write_log(job, "");
	while ((m = take_dead(eng->modules, DEAD_MOST)))
		unload(eng, m);
	image = copy_image(&job->operand[0]);
	m = calloc(1, sizeof(*m));
	if (!image || !m) {
		free(image);
		free(m);
		return VGPU_RSP_NO_MEMORY;
	}
	refused = image_refused(job->format, image, job->operand[0].count);
	if (refused) {
		write_log(job, refused);
		status = VGPU_RSP_BAD_IMAGE;
	} else {
		status = load(eng, job, image, &m->module);
	}
	free(image);
	if (status != VGPU_RSP_OK)
		free(m);
	else
		__atomic_store_n(&job->module->priv, m, __ATOMIC_RELEASE);
	return status;
}

/* Asks for the parameters, and writes as many as fit. */
static CUresult layout(const struct cuda_driver *cu, CUfunction fn,
		       const struct vgpu_engine_operand *out, uint32_t *nr,
		       size_t *args_len)
{
	struct vgpu_param *param = out->host;
	size_t offset, size;
	CUresult err;

	*args_len = 0;
	for (*nr = 0;; (*nr)++) {
		err = cu->cuFuncGetParamInfo(fn, *nr, &offset, &size);
		/* There are no more. */
		if (err == CUDA_ERROR_INVALID_VALUE)
			return CUDA_SUCCESS;
		if (err != CUDA_SUCCESS)
			return err;
		*args_len = offset + size;
		if (*args_len > VGPU_MAX_ARGS)
			return CUDA_SUCCESS;
		if (*nr < out->count / sizeof(*param))
			param[*nr] = (struct vgpu_param){
				.offset = (uint16_t)offset,
				.size = (uint16_t)size,
			};
	}
}

/* The limits of launches; and all the shared memory that the GPU has. */
static CUresult limits(const struct cuda_engine *eng, struct function *f)
{
	const struct cuda_driver *cu = eng->dev.cu;
	int threads = 0, fixed = 0, most = eng->dev.shared;
	CUresult err;

	err = cu->cuFuncGetAttribute(
		&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f->fn);
	if (err == CUDA_SUCCESS)
		err = cu->cuFuncGetAttribute(
			&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f->fn);
	if (err != CUDA_SUCCESS)
		return err;
	most = most > fixed ? most - fixed : 0;
	/* Where it cannot be had, what is there without asking remains. */
	if (cu->cuFuncSetAttribute(
		    f->fn, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
		    most) != CUDA_SUCCESS)
		err = cu->cuFuncGetAttribute(
			&most, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
			f->fn);
	f->threads = threads > 0 ? (unsigned int)threads : 0;
	f->shared = most > 0 ? (unsigned int)most : 0;
	return err;
}

static uint16_t look_up(struct cuda_engine *eng, struct vgpu_job *job,
			struct function *f)
{
	const struct module *m = job->module->priv;
	size_t args_len = 0;
	uint32_t nr = 0;
	CUresult err;

	err = eng->dev.cu->cuModuleGetFunction(&f->fn, m->module, job->name);
	if (err == CUDA_ERROR_NOT_FOUND || err == CUDA_ERROR_INVALID_VALUE)
		return VGPU_RSP_NO_HANDLE;
	if (err == CUDA_SUCCESS)
		err = layout(eng->dev.cu, f->fn, &job->operand[0], &nr,
			     &args_len);
	if (err == CUDA_SUCCESS && args_len > VGPU_MAX_ARGS)
		return VGPU_RSP_UNSUPPORTED;
	if (err == CUDA_SUCCESS)
		err = limits(eng, f);
	if (is_refusal(err))
		return VGPU_RSP_BAD_IMAGE;
	if (err != CUDA_SUCCESS)
		return cuda_failed(eng, err);
	job->function->args_len = (uint32_t)args_len;
	job->value = (uint64_t)nr << 32 | args_len;
	return VGPU_RSP_OK;
}

uint16_t function_get(struct cuda_engine *eng, struct vgpu_job *job)
{
	struct module *m = job->module->priv;
	struct function *f = calloc(1, sizeof(*f));
	uint16_t status;

	if (!f)
		return VGPU_RSP_NO_MEMORY;
	status = look_up(eng, job, f);
	if (status != VGPU_RSP_OK) {
		free(f);
		return status;
	}
	pthread_mutex_lock(&eng->modules->lock);
	f->next = m->functions;
	m->functions = f;
	pthread_mutex_unlock(&eng->modules->lock);
	__atomic_store_n(&job->function->priv, f, __ATOMIC_RELEASE);
	return VGPU_RSP_OK;
}

static uint16_t relocs_ok(const struct vgpu_job *job)
{
	const struct vgpu_engine_launch *l = &job->launch;

	for (uint32_t i = 0; i < l->nr_relocs; i++) {
		const struct vgpu_engine_operand *op = &l->reloc[i].target;

		if (op->mem && !memory_there(job, op->mem))
			return VGPU_RSP_NO_HANDLE;
		if (!op->mem && !op->region)
			return VGPU_RSP_UNSUPPORTED;
		if (op->mem ? op->offset > op->mem->bytes :
			      !region_holds(op, 0, true))
			return VGPU_RSP_INVALID;
	}
	return VGPU_RSP_OK;
}

uint16_t launch_check(struct cuda_engine *eng, const struct vgpu_job *job)
{
	const struct vgpu_engine_launch *l = &job->launch;
	const struct function *f =
		__atomic_load_n(&l->function->priv, __ATOMIC_ACQUIRE);
	const struct cuda_device *d = &eng->dev;
	uint64_t threads = 1;

	if (!f)
		return VGPU_RSP_NO_HANDLE;
	if (l->args_len != l->function->args_len || l->shared > f->shared)
		return VGPU_RSP_LAUNCH;
	for (unsigned int i = 0; i < 3; i++) {
		if (l->grid[i] > (uint32_t)d->grid[i] ||
		    l->block[i] > (uint32_t)d->block[i])
			return VGPU_RSP_LAUNCH;
		threads *= l->block[i];
	}
	return threads > f->threads ? VGPU_RSP_LAUNCH : relocs_ok(job);
}

bool launch_is_brief(const struct vgpu_job *job)
{
	const struct function *f = job->launch.function->priv;

	return f->brief;
}

void launch_ended(const struct vgpu_job *job, uint64_t ns)
{
	struct function *f = job->launch.function->priv;

	f->brief = ns < BRIEF_NS;
}

/* The kernel or the GPU refuses sizes that no attribute tells of. */
static bool does_not_fit(CUresult err)
{
	return err == CUDA_ERROR_INVALID_VALUE ||
	       err == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES ||
	       err == CUDA_ERROR_INVALID_CLUSTER_SIZE ||
	       err == CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE ||
	       err == CUDA_ERROR_NOT_SUPPORTED;
}

uint16_t launch_issue(struct cuda_engine *eng, const struct vgpu_job *job,
		      struct way *way)
{
	const struct vgpu_engine_launch *l = &job->launch;
	const struct function *f = l->function->priv;
	size_t args_len = l->args_len;
	void *extra[] = { CU_LAUNCH_PARAM_BUFFER_POINTER, l->args,
			  CU_LAUNCH_PARAM_BUFFER_SIZE, &args_len,
			  CU_LAUNCH_PARAM_END };
	CUresult err;

	for (uint32_t i = 0; i < l->nr_relocs; i++) {
		uint64_t at = operand_address(&l->reloc[i].target);

		memcpy((char *)l->args + l->reloc[i].at, &at, sizeof(at));
	}
	err = eng->dev.cu->cuLaunchKernel(
		f->fn, l->grid[0], l->grid[1], l->grid[2], l->block[0],
		l->block[1], l->block[2], l->shared, way->stream, NULL,
		args_len ? extra : NULL);
	way->queued = err == CUDA_SUCCESS;
	if (does_not_fit(err))
		return VGPU_RSP_LAUNCH;
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}

static void free_functions(struct module *m)
{
	struct function *f;

	while ((f = m->functions)) {
		m->functions = f->next;
		free(f);
	}
}

void module_unload(struct vgpu_engine *base, struct vgpu_engine_module *module)
{
	struct cuda_engine *eng = (struct cuda_engine *)base;
	struct cuda_modules *ms = eng->modules;
	struct module *m = module->priv;

	if (!m)
		return;
	module->priv = NULL;
	free_functions(m);
	pthread_mutex_lock(&ms->lock);
	m->next = ms->dead;
	ms->dead = m;
	ms->nr_dead++;
	pthread_mutex_unlock(&ms->lock);
	if (queues_idle(eng))
		modules_sweep(eng);
}

void modules_sweep(struct cuda_engine *eng)
{
	bool lost = atomic_load(&eng->lost);
	struct module *m;

	if (!__atomic_load_n(&eng->modules->nr_dead, __ATOMIC_RELAXED) ||
	    (!lost && eng->dev.cu->cuCtxSetCurrent(eng->dev.ctx) !=
			      CUDA_SUCCESS))
		return;
	while ((m = take_dead(eng->modules, 0))) {
		/* A lost device has nothing left to unload. */
		if (lost)
			free(m);
		else
			unload(eng, m);
	}
}

int modules_open(struct cuda_engine *eng)
{
	eng->modules = calloc(1, sizeof(*eng->modules));
	if (!eng->modules)
		return -1;
	return pthread_mutex_init(&eng->modules->lock, NULL);
}

void modules_close(struct cuda_engine *eng)
{
	if (!eng->modules)
		return;
	modules_sweep(eng);
	pthread_mutex_destroy(&eng->modules->lock);
	free(eng->modules);
}
