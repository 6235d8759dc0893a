// SPDX-License-Identifier: MIT
/*
 * fake_module.c - modules, functions and launches of the fake libcuda.so.1
 *
 * Owns the modules. The engine's own kernels are known by name. Of a guest's PTX
 * the names and parameters of its kernels are read, and little else: text that is
 * no PTX, or for a GPU that is not there, is refused in words. Its kernels run if
 * they are those of kernels.ptx; of its machine code the names must be in it.
 * Launches that the engine should have refused end the program.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_cuda.h"

#define FUNCTIONS	32
#define PARAMS		16
#define SHARED_MOST	232448

struct fake_function {
	char name[64];
	fake_kernel kernel;
	int builtin, fault, add;
	unsigned int nr_params;
	struct {
		size_t offset, size;
	} param[PARAMS];
	int fixed, dynamic;		/* shared memory, octets */
};

struct fake_module {
	int guest;
	unsigned int nr;
	struct fake_function fn[FUNCTIONS];
};

static void add_param(struct fake_function *f, size_t size, size_t align)
{
	size_t at = 0;

	if (f->nr_params)
		at = f->param[f->nr_params - 1].offset +
		     f->param[f->nr_params - 1].size;
	if (f->nr_params == PARAMS)
		fake_misuse("a kernel with too many parameters");
	f->param[f->nr_params].offset = (at + align - 1) / align * align;
	f->param[f->nr_params++].size = size;
}

/* .param .u64 name, or .param .align 8 .b8 name[24] */
static void parse_params(struct fake_function *f, const char *p,
			 const char *end)
{
	while ((p = strstr(p, ".param")) && p < end) {
		unsigned int align = 0, bits = 0, count = 1;
		char kind, name[64];

		p += strlen(".param");
		if (sscanf(p, " .align %u .b%u %63[^[][%u]", &align, &bits,
			   name, &count) == 4)
			add_param(f, bits / 8 * count, align);
		else if (sscanf(p, " .%c%u", &kind, &bits) == 2)
			add_param(f, bits / 8, bits / 8);
	}
}

/* .shared .align 4 .b8 fixed[1024]; */
static int parse_shared(const char *p, const char *end)
{
	unsigned int align, count;
	int octets = 0;
	char name[64];

	while ((p = strstr(p, ".shared .align")) && p < end) {
		if (sscanf(p, ".shared .align %u .b8 %63[^[][%u]", &align, name,
			   &count) == 3)
			octets += (int)count;
		p++;
	}
	return octets;
}

/* What is wrong with it, or NULL. */
static const char *parse_ptx(struct fake_module *m, const char *text)
{
	const char *p = text;
	unsigned int target = 0;
	int depth = 0;

	if (!strstr(text, ".version") || !strstr(text, ".target"))
		return "ptxas fatal   : Missing .version directive";
	if (sscanf(strstr(text, ".target"), ".target sm_%u", &target) != 1 ||
	    target > 90)
		return "ptxas fatal   : Unknown .target";
	if (strstr(text, "bad.instruction"))
		return "ptxas error   : Not a name of any known instruction: 'bad'";
	if (strstr(text, ".extern .func"))
		return "ptxas fatal   : Unresolved extern function";
	for (p = text; *p; p++)
		depth += (*p == '{') - (*p == '}');
	if (depth)
		return "ptxas fatal   : Parsing error at the end of the file";
	for (p = text; (p = strstr(p, ".entry")); p++) {
		struct fake_function *f = &m->fn[m->nr++];
		const char *body = strchr(p, '{');
		const char *end = strstr(p + 1, ".entry");

		if (m->nr == FUNCTIONS || !body ||
		    sscanf(p, ".entry %63[a-zA-Z0-9_]", f->name) != 1)
			fake_misuse("PTX that the fake driver cannot read");
		parse_params(f, p, body);
		f->fixed = parse_shared(body, end ? end : body + strlen(body));
		f->dynamic = 49152 - f->fixed;
		f->kernel = fake_guest(f->name);
	}
	return NULL;
}

/* The layouts of kernels.ptx, for its machine code. */
static const char layouts[] =
	".version 7.0 .target sm_75 "
	".entry count(.param .u64 counter) {}"
	".entry nothing() {}";

static CUresult module_new(struct fake_module *m, CUmodule *module)
{
	struct fake_module *made = malloc(sizeof(*made));

	*made = *m;
	fake_live++;
	*module = (CUmodule)made;
	/* Code is put where the GPU finds it when no kernel runs. */
	fake_drain();
	return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
	struct fake_module m = { .guest = 0 };

	MAY_FAIL(cuModuleLoadData);
	/* A fat binary starts with this number. */
	if (memcmp(image, "\x50\xed\x55\xba", 4))
		return CUDA_ERROR_INVALID_IMAGE;
	return module_new(&m, module);
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image,
			    unsigned int nr, CUjit_option *options,
			    void **values)
{
	struct fake_module m = { .guest = 1 };
	char *error = NULL, *info = NULL;
	const char *wrong;
	size_t room = 0;

	MAY_FAIL(cuModuleLoadDataEx);
	for (unsigned int i = 0; i < nr; i++) {
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
			error = values[i];
		else if (options[i] == CU_JIT_INFO_LOG_BUFFER)
			info = values[i];
		else if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
			room = (size_t)(uintptr_t)values[i];
	}
	if (!error || !info || !room)
		fake_misuse("a module is loaded without logs");
	if (!memcmp(image, "\x7f" "ELF", 4) ||
	    !memcmp(image, "\x50\xed\x55\xba", 4))
		wrong = parse_ptx(&m, layouts);
	else
		wrong = parse_ptx(&m, image);
	if (!wrong)
		return module_new(&m, module);
	snprintf(error, room, "%s\n", wrong);
	return CUDA_ERROR_INVALID_PTX;
}

CUresult cuModuleUnload(CUmodule module)
{
	fake_drain();
	free(module);
	fake_live--;
	return CUDA_SUCCESS;
}

static CUresult find_builtin(struct fake_module *m, const char *name,
			     CUfunction *fn)
{
	struct fake_function *f = &m->fn[m->nr];

	f->kernel = fake_builtin(name);
	f->add = !strcmp(name, "vgpu_vector_add");
	f->fault = !strcmp(name, "vgpu_fault");
	if (!f->kernel && !f->add && !f->fault)
		return CUDA_ERROR_NOT_FOUND;
	f->builtin = 1;
	m->nr++;
	*fn = (CUfunction)f;
	return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *fn, CUmodule module, const char *name)
{
	struct fake_module *m = (struct fake_module *)module;

	MAY_FAIL(cuModuleGetFunction);
	if (!m->guest)
		return find_builtin(m, name, fn);
	for (unsigned int i = 0; i < m->nr; i++) {
		if (strcmp(m->fn[i].name, name))
			continue;
		*fn = (CUfunction)&m->fn[i];
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetParamInfo(CUfunction fn, size_t i, size_t *offset,
			    size_t *size)
{
	const struct fake_function *f = (struct fake_function *)fn;

	MAY_FAIL(cuFuncGetParamInfo);
	if (i >= f->nr_params)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = f->param[i].offset;
	*size = f->param[i].size;
	return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attr,
			    CUfunction fn)
{
	const struct fake_function *f = (struct fake_function *)fn;

	MAY_FAIL(cuFuncGetAttribute);
	if (attr == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
		*value = 1024;
	else if (attr == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)
		*value = f->fixed;
	else if (attr == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
		*value = f->dynamic;
	else
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction fn, CUfunction_attribute attr, int value)
{
	struct fake_function *f = (struct fake_function *)fn;

	MAY_FAIL(cuFuncSetAttribute);
	if (attr != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ||
	    value > SHARED_MOST - f->fixed)
		return CUDA_ERROR_INVALID_VALUE;
	f->dynamic = value;
	return CUDA_SUCCESS;
}

static CUresult launch_add(CUstream stream, void **params)
{
	struct work w = {
		.type = ADD,
		.src = { *(const void **)params[0], *(const void **)params[1] },
		.dst = *(void **)params[2],
		.len = *(unsigned long long *)params[3] * sizeof(float),
		.counter = *(uint32_t **)params[4],
		.word = *(uint32_t **)params[5],
		.seq = *(uint32_t *)params[6],
	};

	if ((uintptr_t)w.src[0] % 4 || (uintptr_t)w.src[1] % 4 ||
	    (uintptr_t)w.dst % 4)
		return CUDA_ERROR_MISALIGNED_ADDRESS;
	w.spoil = fake_wrong("kernel") ||
		  (fake_wrong("mapped") && fake_memory(w.dst, 1) == PINNED);
	w.drop = fake_is_skipped(w.len) ||
		 (fake_wrong("kernel-in") &&
		  fake_memory(w.src[0], 1) == REGISTERED) ||
		 (fake_wrong("kernel-out") &&
		  fake_memory(w.dst, 1) == REGISTERED);
	/* In flight it is the engine's all the same. */
	if (fake_wrong("word"))
		w.word = NULL;
	return fake_queue(stream, &w);
}

static CUresult launch_builtin(const struct fake_function *f,
			       struct work *w, CUstream stream, void **params)
{
	const struct work fault = { .type = FAULT };

	if (f->fault)
		return fake_queue(stream, &fault);
	if (f->add)
		return launch_add(stream, params);
	/* With the blocks; its parameters as one, or 8 octets each. */
	if (f->kernel == fake_builtin("vgpu_sgemm")) {
		memcpy(w->args, params[0], sizeof(struct fake_sgemm));
		return fake_queue(stream, w);
	}
	for (int i = 0; i < 4; i++) {
		size_t octets = 8;

		/* vgpu_saxpy's alpha, and vgpu_sum's number. */
		if (f->kernel == fake_builtin("vgpu_saxpy"))
			octets = i == 3 ? 4 : 8;
		else if (i == 3)
			break;
		else if (f->kernel == fake_builtin("vgpu_sum") && i == 1)
			octets = 4;
		memcpy(w->args + 8 * i, params[i], octets);
	}
	return fake_queue(stream, w);
}

static CUresult launch_guest(const struct fake_function *f, struct work *w,
			     CUstream stream, void **extra)
{
	size_t want = 0, got = 0;

	if (f->nr_params)
		want = f->param[f->nr_params - 1].offset +
		       f->param[f->nr_params - 1].size;
	if (extra && (extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER ||
		      extra[2] != CU_LAUNCH_PARAM_BUFFER_SIZE ||
		      extra[4] != CU_LAUNCH_PARAM_END))
		fake_misuse("a launch without a blob of arguments");
	if (extra)
		got = *(size_t *)extra[3];
	if (got != want || want > FAKE_ARGS)
		fake_misuse("a launch with a blob of the wrong size");
	if (!f->kernel)
		fake_misuse("a launch of a kernel that the fake driver lacks");
	if (got)
		memcpy(w->args, extra[1], got);
	return fake_queue(stream, w);
}

CUresult cuLaunchKernel(CUfunction fn, unsigned int gx, unsigned int gy,
			unsigned int gz, unsigned int bx, unsigned int by,
			unsigned int bz, unsigned int shared, CUstream stream,
			void **params, void **extra)
{
	const struct fake_function *f = (struct fake_function *)fn;
	struct work w = {
		.type = KERNEL, .kernel = f->kernel, .grid = gx,
		.block = bx * by * bz,
	};

	MAY_FAIL(cuLaunchKernel);
	while (getenv("FAKE_CUDA_HANG"))
		pause();
	if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || gx > INT32_MAX ||
	    !bx || !by || !bz || bx > 1024 || by > 1024 || bz > 64 ||
	    (uint64_t)bx * by * bz > 1024 ||
	    (!f->builtin && shared > (unsigned int)f->dynamic))
		fake_misuse("a launch that no GPU can do");
	if (f->builtin)
		return launch_builtin(f, &w, stream, params);
	return launch_guest(f, &w, stream, extra);
}
