// SPDX-License-Identifier: MIT
/*
 * fake_cublas.c - a libcublas.so.13 for tests, beside fake_cuda.c
 *
 * sgemm on the fake GPU. With FAKE_CUBLAS_FAIL set no handle is to be had.
 */
#include <stdlib.h>

#include "fake_cuda.h"

struct fake_blas {
	CUstream stream;
	void *workspace;
	size_t bytes;
};

int cublasCreate_v2(struct fake_blas **handle);
int cublasDestroy_v2(struct fake_blas *handle);
int cublasGetProperty(int which, int *value);
int cublasSetMathMode(struct fake_blas *handle, int mode);
int cublasSetStream_v2(struct fake_blas *handle, CUstream stream);
int cublasSetWorkspace_v2(struct fake_blas *handle, void *at, size_t bytes);
int cublasSgemm_v2(struct fake_blas *handle, int op_a, int op_b, int m, int n,
		   int k, const float *alpha, const float *a, int lda,
		   const float *b, int ldb, const float *beta, float *c,
		   int ldc);

int cublasCreate_v2(struct fake_blas **handle)
{
	if (getenv("FAKE_CUBLAS_FAIL"))
		return 1;
	*handle = calloc(1, sizeof(**handle));
	fake_live++;
	return 0;
}

int cublasDestroy_v2(struct fake_blas *handle)
{
	free(handle);
	fake_live--;
	return 0;
}

int cublasGetProperty(int which, int *value)
{
	*value = which ? 0 : 13;
	return 0;
}

int cublasSetMathMode(struct fake_blas *handle, int mode)
{
	(void)handle;
	if (mode)
		fake_misuse("cuBLAS is not told to use binary32");
	return 0;
}

int cublasSetStream_v2(struct fake_blas *handle, CUstream stream)
{
	handle->stream = stream;
	handle->workspace = NULL;
	return 0;
}

int cublasSetWorkspace_v2(struct fake_blas *handle, void *at, size_t bytes)
{
	handle->workspace = at;
	handle->bytes = bytes;
	return 0;
}

int cublasSgemm_v2(struct fake_blas *handle, int op_a, int op_b, int m, int n,
		   int k, const float *alpha, const float *a, int lda,
		   const float *b, int ldb, const float *beta, float *c,
		   int ldc)
{
	const struct fake_sgemm g = {
		.a = a, .b = b, .c = c,
		.lda = (uint64_t)lda, .ldb = (uint64_t)ldb,
		.ldc = (uint64_t)ldc,
		.m = (uint32_t)m, .n = (uint32_t)n, .k = (uint32_t)k,
		.alpha = *alpha, .beta = *beta,
		.trans_a = (uint32_t)op_a, .trans_b = (uint32_t)op_b,
	};

	if (m < 0 || n < 0 || k < 0)
		return 7;
	if (fake_memory(handle->workspace, handle->bytes) != DEVICE)
		fake_misuse("cuBLAS without a workspace of its own");
	return fake_sgemm(handle->stream, &g) == CUDA_SUCCESS ? 0 : 13;
}
