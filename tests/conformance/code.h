/* SPDX-License-Identifier: MIT */
/*
 * code.h - the kernels of kernels.ptx, for cases that load and launch them
 *
 * All of it runs on the test's one thread.
 */
#ifndef VGPU_TESTS_CODE_H
#define VGPU_TESTS_CODE_H

#include "conformance.h"

/* kernels_ptx.S. The PTX ends without a NUL. */
extern const unsigned char kernels_ptx[], kernels_ptx_end[];
/* Where the build has the tools for it, else NULL: machine code for sm_90 ... */
extern const unsigned char kernels_cubin[] __attribute__((weak));
extern const unsigned char kernels_cubin_end[] __attribute__((weak));
/* ... and the same with PTX for all others. */
extern const unsigned char kernels_fatbin[] __attribute__((weak));
extern const unsigned char kernels_fatbin_end[] __attribute__((weak));

/* X(name, octets of its arguments, its parameters) */
#define CODE_LIST(X)		\
	X(saxpy,    24, 4)	\
	X(count,    8, 1)	\
	X(exchange, 16, 2)	\
	X(gather,   20, 3)	\
	X(odd,      48, 4)	\
	X(nothing,  0, 0)	\
	X(delay,    8, 1)	\
	X(spin,     8, 1)	\
	X(store,    8, 1)

enum code_kernel {
#define CODE_ENUM(name, octets, params) CODE_##name,
	CODE_LIST(CODE_ENUM)
#undef CODE_ENUM
	NR_CODE
};

struct code_kernel_facts {
	const char *name;
	uint32_t octets, params;
};

extern const struct code_kernel_facts code_facts[NR_CODE];

struct code {
	struct vgpu_engine_module module;
	struct vgpu_engine_function fn[NR_CODE];
};

/* An argument blob, with room for what kernels.ptx has. */
struct args {
	_Alignas(8) unsigned char octets[64];
	uint32_t len;
};

void args_put(struct args *args, uint32_t at, const void *from, uint32_t len);
void args_put64(struct args *args, uint32_t at, uint64_t v);
void args_put32(struct args *args, uint32_t at, uint32_t v);

void job_load(struct vgpu_job *job, struct vgpu_engine_stream *s,
	      struct vgpu_engine_module *module, uint32_t format,
	      const void *image, uint64_t len);
void job_function(struct vgpu_job *job, struct vgpu_engine_stream *s,
		  struct vgpu_engine_module *module,
		  struct vgpu_engine_function *fn, const char *name);
/* In one dimension. args: the job's own, until it is reaped. */
void job_launch(struct vgpu_job *job, struct vgpu_engine_stream *s,
		struct vgpu_engine_function *fn, uint32_t grid, uint32_t block,
		struct args *args);

/* kernels.ptx and all of its functions. False, and FAIL(), where it is not so. */
bool code_load(struct run *r, struct vgpu_engine_stream *s, struct code *code);
void code_unload(struct run *r, struct code *code);

/* A stream and the kernels: each case that launches has its own. */
struct bench {
	struct vgpu_engine_stream *s;
	struct code code;
};

/* False, and FAIL(), where the kernels do not load. */
bool bench_open(struct run *r, struct bench *b);
void bench_close(struct run *r, struct bench *b);

/* Launches `count` on a counter in device memory and looks whether it counts. */
void check_counts(struct run *r, struct vgpu_engine_stream *s, struct code *code,
		  const char *when);

#endif /* VGPU_TESTS_CODE_H */
