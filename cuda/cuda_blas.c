// SPDX-License-Identifier: MIT
/*
 * cuda_blas.c - sgemm: by cuBLAS where there is one, else by a kernel of our own
 *
 * Owns the library, opened once for the process when first needed, and an
 * engine's handle; and the workspace of each CUstream that needs one, which goes
 * with it. cuBLAS loads kernels when it first needs them, and the driver then waits
 * for those that run. So a shape that is new is queued on one of the pool's
 * threads, while the queues are held; one that is known on any thread. One lock
 * guards the handle while work is queued, not while it is done.
 *
 * Must never need cuBLAS at build time. Its functions are declared here as the
 * library has had them since version 11.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_cuda.h"

/* Enumerations of <cublas_api.h> and <library_types.h>. */
#define STATUS_SUCCESS		0
#define STATUS_ALLOC_FAILED	3
#define STATUS_INVALID_VALUE	7
#define STATUS_ARCH_MISMATCH	8
#define STATUS_NOT_SUPPORTED	15
#define OP_N			0
#define OP_T			1
/* Binary32 all the way. */
#define DEFAULT_MATH		0

/* What NVIDIA recommends for this generation. */
#define WORKSPACE	((size_t)32 << 20)

/* Shapes that are remembered: one that comes again needs no further kernel. */
#define SHAPES		256

#define BLAS_CALLS(X)							  \
	X(create, "cublasCreate_v2", (void **handle))			  \
	X(destroy, "cublasDestroy_v2", (void *handle))			  \
	X(property, "cublasGetProperty", (int which, int *value))	  \
	X(set_math, "cublasSetMathMode", (void *handle, int mode))	  \
	X(set_stream, "cublasSetStream_v2",				  \
	  (void *handle, CUstream stream))				  \
	X(set_workspace, "cublasSetWorkspace_v2",			  \
	  (void *handle, void *at, size_t bytes))			  \
	X(sgemm, "cublasSgemm_v2",					  \
	  (void *handle, int op_a, int op_b, int m, int n, int k,	  \
	   const float *alpha, const float *a, int lda, const float *b,  \
	   int ldb, const float *beta, float *c, int ldc))

static struct {
#define BLAS_MEMBER(name, symbol, params) int (*name) params;
	BLAS_CALLS(BLAS_MEMBER)
#undef BLAS_MEMBER
	const char *file;
	char missing[VGPU_ENGINE_TEXT];
} lib;

struct cuda_blas {
	pthread_mutex_t lock;
	void *handle;
	bool tried;
	uint64_t shape[SHAPES];		/* hashes, each where it belongs */
};

static void *open_file(void)
{
	static const char *const files[] = { "libcublas.so.13",
					     "libcublas.so.12",
					     "libcublas.so.11" };
	void *file = NULL;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !file; i++) {
		file = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
		lib.file = files[i];
	}
	return file;
}

static void library_open(void)
{
	void *file = open_file();

	if (!file) {
		snprintf(lib.missing, sizeof(lib.missing),
			 "no libcublas.so.13, .12 or .11");
		return;
	}
#define BLAS_LOOK_UP(name, symbol, params)				\
	lib.name = (__typeof__(lib.name))dlsym(file, symbol);		\
	if (!lib.name)							\
		snprintf(lib.missing, sizeof(lib.missing),		\
			 "%s has no %s", lib.file, symbol);
	BLAS_CALLS(BLAS_LOOK_UP)
#undef BLAS_LOOK_UP
	/* Stays: it has threads and memory of its own by now. */
}

/* Is there a library? */
static bool library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, library_open);
	return !lib.missing[0];
}

void blas_describe(char text[VGPU_ENGINE_TEXT])
{
	int version[3] = { 0, 0, 0 };

	if (!library()) {
		snprintf(text, VGPU_ENGINE_TEXT,
			 "%.50s: sgemm by a kernel of our own", lib.missing);
		return;
	}
	for (int i = 0; i < 3; i++)
		lib.property(i, &version[i]);
	snprintf(text, VGPU_ENGINE_TEXT, "%s, version %d.%d.%d", lib.file,
		 version[0], version[1], version[2]);
}

/* With the lock. NULL: do without. */
static void *handle_of(struct cuda_blas *blas)
{
	if (blas->tried)
		return blas->handle;
	blas->tried = true;
	if (!library() || lib.create(&blas->handle) != STATUS_SUCCESS)
		blas->handle = NULL;
	else if (lib.set_math(blas->handle, DEFAULT_MATH) != STATUS_SUCCESS) {
		lib.destroy(blas->handle);
		blas->handle = NULL;
	}
	return blas->handle;
}

/* Queues it; the lock is held. */
static int queue(void *handle, const struct vgpu_sgemm *p,
		 const CUdeviceptr at[VGPU_ENGINE_OPERANDS],
		 const struct way *way)
{
	void *workspace = (void *)(uintptr_t)*way->workspace;
	float alpha, beta;
	int err;

	memcpy(&alpha, &p->alpha, sizeof(alpha));
	memcpy(&beta, &p->beta, sizeof(beta));
	err = lib.set_stream(handle, way->stream);
	if (err == STATUS_SUCCESS)
		err = lib.set_workspace(handle, workspace, WORKSPACE);
	if (err == STATUS_SUCCESS)
		err = lib.sgemm(handle, p->trans_a ? OP_T : OP_N,
				p->trans_b ? OP_T : OP_N, (int)p->m, (int)p->n,
				(int)p->k, &alpha,
				(const float *)(uintptr_t)at[0], (int)p->lda,
				(const float *)(uintptr_t)at[1], (int)p->ldb,
				&beta, (float *)(uintptr_t)at[2], (int)p->ldc);
	return err;
}

/* What cuBLAS chooses its kernels by, as far as one can see. FNV-1a. */
static uint64_t shape_of(const struct vgpu_sgemm *p,
			 const CUdeviceptr at[VGPU_ENGINE_OPERANDS])
{
	const uint64_t is[] = { p->m, p->n, p->k, p->lda, p->ldb, p->ldc,
				p->alpha, p->beta, p->trans_a, p->trans_b,
				at[0] % 256, at[1] % 256, at[2] % 256 };
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++)
		h = (h ^ is[i]) * UINT64_C(0x100000001b3);
	return h | 1;
}

static uint64_t *place_of(struct cuda_blas *blas, uint64_t shape)
{
	return &blas->shape[shape / 2 % SHAPES];
}

bool blas_is_ready(struct cuda_engine *eng, const struct vgpu_job *job)
{
	struct cuda_blas *blas = eng->blas;
	CUdeviceptr at[VGPU_ENGINE_OPERANDS];
	uint64_t shape;
	bool ready;

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		if (!job->operand[i].mem)
			return false;
		at[i] = operand_address(&job->operand[i]);
	}
	shape = shape_of(job->sgemm, at);
	/* Where a kernel is being loaded just now a thread may wait for it. */
	if (pthread_mutex_trylock(&blas->lock))
		return false;
	ready = *place_of(blas, shape) == shape;
	pthread_mutex_unlock(&blas->lock);
	return ready;
}

/* Once for each CUstream, and never given back: that would wait for kernels. */
static bool has_workspace(struct cuda_engine *eng, const struct way *way)
{
	const struct cuda_driver *cu = eng->dev.cu;

	return *way->workspace ||
	       cu->cuMemAlloc(way->workspace, WORKSPACE) == CUDA_SUCCESS;
}

/* False: a kernel may be loaded, and the queues are not held. */
static bool try_queue(struct cuda_engine *eng, const struct vgpu_sgemm *p,
		      const CUdeviceptr at[VGPU_ENGINE_OPERANDS],
		      const struct way *way, bool held, int *err)
{
	struct cuda_blas *blas = eng->blas;
	const uint64_t shape = shape_of(p, at);
	uint64_t *place = place_of(blas, shape);
	void *handle;

	pthread_mutex_lock(&blas->lock);
	if (!held && *place != shape) {
		pthread_mutex_unlock(&blas->lock);
		return false;
	}
	handle = handle_of(blas);
	*err = handle ? queue(handle, p, at, way) : STATUS_NOT_SUPPORTED;
	if (*err == STATUS_SUCCESS)
		*place = shape;
	pthread_mutex_unlock(&blas->lock);
	return true;
}

/* As cublasStatus_t; NOT_SUPPORTED where cuBLAS is not to do it. */
static int by_cublas(struct cuda_engine *eng, const struct vgpu_sgemm *p,
		     const CUdeviceptr at[VGPU_ENGINE_OPERANDS],
		     const struct way *way, bool may_hold)
{
	int err = STATUS_NOT_SUPPORTED;

	if (!has_workspace(eng, way) ||
	    try_queue(eng, p, at, way, false, &err) || !may_hold)
		return err;
	if (queues_hold(eng))
		try_queue(eng, p, at, way, true, &err);
	queues_release(eng);
	return err;
}

uint16_t blas_sgemm(struct cuda_engine *eng, const struct vgpu_job *job,
		    const CUdeviceptr at[VGPU_ENGINE_OPERANDS], struct way *way,
		    bool may_hold)
{
	int status = by_cublas(eng, job->sgemm, at, way, may_hold);
	CUresult err;

	switch (status) {
	case STATUS_SUCCESS:
		way->queued = true;
		return VGPU_RSP_OK;
	case STATUS_ALLOC_FAILED:
	case STATUS_INVALID_VALUE:
	case STATUS_ARCH_MISMATCH:
	case STATUS_NOT_SUPPORTED:
		break;
	default:
		return cuda_failed(eng, CUDA_ERROR_UNKNOWN);
	}
	if (atomic_load(&eng->lost))
		return VGPU_RSP_DEVICE_LOST;
	err = issue_builtin(eng, job, at, way);
	return err == CUDA_SUCCESS ? VGPU_RSP_OK : cuda_failed(eng, err);
}

int blas_init(struct cuda_engine *eng)
{
	eng->blas = calloc(1, sizeof(*eng->blas));
	if (!eng->blas)
		return -1;
	return pthread_mutex_init(&eng->blas->lock, NULL);
}

void blas_close(struct cuda_engine *eng)
{
	if (!eng->blas)
		return;
	if (eng->blas->handle)
		lib.destroy(eng->blas->handle);
	pthread_mutex_destroy(&eng->blas->lock);
	free(eng->blas);
}
