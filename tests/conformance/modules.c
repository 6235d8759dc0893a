// SPDX-License-Identifier: MIT
/*
 * modules.c - images that load and images that must not, and their functions
 *
 * Where there is a GPU: the compiler's own words for a bad image come back, and
 * an image that is cut short is refused, never followed beyond its end. Where
 * there is none, each of these jobs says so.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "code.h"

/* An image that ends where the next octet faults. */
static const void *at_end(struct operand *o, const void *image, size_t len)
{
	unsigned char *to;

	operand_make(o, (len + 3) / 4, AT_END);
	to = (unsigned char *)(o->bits + o->count) - len;
	memcpy(to, image, len);
	operand_protect(o, PROT_READ);
	return to;
}

static void case_load(struct run *r)
{
	const size_t len = (size_t)(kernels_ptx_end - kernels_ptx);
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_module module;
	struct operand image;
	struct vgpu_job job;
	struct code code;
	char log[64];

	if (code_load(r, s, &code)) {
		check_counts(r, s, &code, "after loading");
		code_unload(r, &code);
	}
	/* A log that has nothing to say is empty, not what was there before. */
	memset(log, 'x', sizeof(log));
	job_load(&job, s, &module, VGPU_MODULE_PTX, at_end(&image, kernels_ptx, len),
		 len);
	job.operand[1] = in_host(log, sizeof(log));
	run_well(r, &job, "PTX at the end of memory");
	CHECK(r, memchr(log, '\0', sizeof(log)), "the log has no end");
	vgpu_engine_module_unload(r->eng, &module);
	/* Twice the same module, and one that was never loaded. */
	vgpu_engine_module_unload(r->eng, &module);
	operand_free(&image);
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_many(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct code code[4];

	for (int round = 0; round < (r->quick ? 1 : 5); round++) {
		for (int i = 0; i < 4 && !r->wrong[0]; i++)
			code_load(r, s, &code[i]);
		for (int i = 0; i < 4 && !r->wrong[0]; i++) {
			check_counts(r, s, &code[i], "one of four modules");
			code_unload(r, &code[i]);
		}
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void check_params(struct run *r, const struct vgpu_param *got,
			 unsigned int n)
{
	static const struct vgpu_param want[4] = {
		{ 0, 1 }, { 8, 24 }, { 32, 2 }, { 40, 8 },
	};

	for (unsigned int i = 0; i < 4; i++)
		CHECK(r, i < n ? got[i].offset == want[i].offset &&
				 got[i].size == want[i].size :
				 got[i].offset == 0x7777 && got[i].size == 0x7777,
		      "parameter %u of %u: %u octets at %u", i, n, got[i].size,
		      got[i].offset);
}

static void case_functions(struct run *r)
{
	static const char *const missing[] = { "saxp", "saxpy2", "dynamic", "", " " };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_function fn;
	struct vgpu_engine_module none = { 0 };
	struct vgpu_param params[4];
	struct vgpu_job job;
	struct code code;

	if (!code_load(r, s, &code)) {
		vgpu_engine_stream_destroy(r->eng, s);
		return;
	}
	for (unsigned int room = 0; room <= 4; room++) {
		memset(params, 0x77, sizeof(params));
		job_function(&job, s, &code.module, &fn, "odd");
		job.operand[0] = in_host(params, room * sizeof(params[0]));
		run_well(r, &job, "function");
		CHECK(r, job.value == (48 | UINT64_C(4) << 32), "value 0x%llx",
		      (unsigned long long)job.value);
		check_params(r, params, room);
	}
	for (unsigned int i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		job_function(&job, s, &code.module, &fn, missing[i]);
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_NO_HANDLE && !fn.priv,
		      "function \"%s\": status %u", missing[i], job.status);
	}
	job_function(&job, s, &none, &fn, "saxpy");
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_NO_HANDLE,
	      "function of a module that is not there: status %u", job.status);
	check_counts(r, s, &code, "after missing functions");
	code_unload(r, &code);
	vgpu_engine_stream_destroy(r->eng, s);
}

/* Refused, with room for a log before a page that faults. */
static void refuse(struct run *r, struct vgpu_engine_stream *s, uint32_t format,
		   const void *image, size_t len, const char *what, bool says)
{
	static const uint32_t rooms[] = { 1024, 4, 0 };
	struct vgpu_engine_module module;
	struct vgpu_engine_function fn;
	struct operand copy, log;
	struct vgpu_job job;
	const char *text;

	for (unsigned int i = 0; i < 3; i++) {
		operand_make(&log, rooms[i] / 4, AT_END);
		memset(log.bits, 'x', rooms[i]);
		text = (const char *)log.bits;
		job_load(&job, s, &module, format, at_end(&copy, image, len), len);
		job.operand[1] = in_host(rooms[i] ? log.bits : NULL, rooms[i]);
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_BAD_IMAGE && !module.priv,
		      "%s: status %u", what, job.status);
		CHECK(r, !rooms[i] || memchr(text, '\0', rooms[i]),
		      "%s: a log of %u octets has no end", what, rooms[i]);
		CHECK(r, !rooms[i] || !says || text[0],
		      "%s: the compiler has nothing to say", what);
		if (!i && says)
			printf("# %s: %s: %.*s\n", r->label, what,
			       (int)strcspn(text, "\n"), text);
		job_function(&job, s, &module, &fn, "saxpy");
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_NO_HANDLE,
		      "%s: and its function: status %u", what, job.status);
		vgpu_engine_module_unload(r->eng, &module);
		operand_free(&copy);
		operand_free(&log);
	}
}

static void case_bad_ptx(struct run *r)
{
	static const char syntax[] =
		".version 7.0\n.target sm_75\n.address_size 64\n"
		".visible .entry f() { bad.instruction %r1; ret; }\n";
	static const char future[] =
		".version 7.0\n.target sm_999\n.address_size 64\n"
		".visible .entry f() { ret; }\n";
	static const char unresolved[] =
		".version 7.0\n.target sm_75\n.address_size 64\n"
		".extern .func nowhere();\n"
		".visible .entry f() { call nowhere; ret; }\n";
	static const char words[] = "This is no program at all.";
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	const size_t len = (size_t)(kernels_ptx_end - kernels_ptx);
	struct code code;

	refuse(r, s, VGPU_MODULE_PTX, syntax, sizeof(syntax) - 1,
	       "an unknown instruction", true);
	refuse(r, s, VGPU_MODULE_PTX, future, sizeof(future) - 1,
	       "an unknown target", true);
	refuse(r, s, VGPU_MODULE_PTX, unresolved, sizeof(unresolved) - 1,
	       "a function that is nowhere", true);
	refuse(r, s, VGPU_MODULE_PTX, words, sizeof(words) - 1, "prose", false);
	refuse(r, s, VGPU_MODULE_PTX, "\0\0\0", 3, "NULs", false);
	refuse(r, s, VGPU_MODULE_PTX, kernels_ptx, len - 3, "PTX cut short", true);
	if (code_load(r, s, &code)) {
		check_counts(r, s, &code, "after bad PTX");
		code_unload(r, &code);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

/* A header that promises more than there is. */
static void refuse_promises(struct run *r, struct vgpu_engine_stream *s)
{
	/* An ELF of 64 bits for CUDA, its tables far beyond its end. */
	static const unsigned char elf[64] = {
		0x7f, 'E', 'L', 'F', 2, 1, 1, 0x33, 7, [16] = 2, [18] = 190,
		[20] = 1, [34] = 0x10, [42] = 0x20, [48] = 0x5a, [49] = 5,
		[52] = 64, [54] = 56, [56] = 3, [58] = 64, [60] = 20, [62] = 1,
	};
	/* The magic number of a fat binary, its version, and 2^40 octets. */
	static const unsigned char fat[16] = {
		0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, [13] = 1,
	};

	refuse(r, s, VGPU_MODULE_CUBIN, elf, sizeof(elf),
	       "an ELF header that points outside", false);
	refuse(r, s, VGPU_MODULE_CUBIN, elf, 17, "half an ELF header", false);
	refuse(r, s, VGPU_MODULE_CUBIN, elf, 1, "one octet of ELF", false);
	refuse(r, s, VGPU_MODULE_FATBIN, fat, sizeof(fat),
	       "a fat binary that promises 2^40 octets", false);
	refuse(r, s, VGPU_MODULE_FATBIN, fat, 5, "half a fat binary's header",
	       false);
	refuse(r, s, VGPU_MODULE_FATBIN, fat, 1, "one octet of a fat binary",
	       false);
}

static void case_bad_binaries(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	const size_t len = (size_t)(kernels_ptx_end - kernels_ptx);
	unsigned char noise[5000];
	uint32_t state = 3;
	struct code code;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)next_random(&state);
	refuse(r, s, VGPU_MODULE_CUBIN, noise, sizeof(noise), "noise as cubin",
	       false);
	refuse(r, s, VGPU_MODULE_FATBIN, noise, sizeof(noise),
	       "noise as fat binary", false);
	/* One format under the name of another one. */
	refuse(r, s, VGPU_MODULE_CUBIN, kernels_ptx, len, "PTX as cubin", false);
	refuse(r, s, VGPU_MODULE_FATBIN, kernels_ptx, len, "PTX as fat binary",
	       false);
	refuse_promises(r, s);
	if (code_load(r, s, &code)) {
		check_counts(r, s, &code, "after bad binaries");
		code_unload(r, &code);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

/* What nvcc built: loads and runs whole, and is refused cut short anywhere. */
static void binary(struct run *r, uint32_t format, const unsigned char *image,
		   const unsigned char *end)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	const size_t len = (size_t)(end - image);
	const size_t cuts[] = { 40, 64, 65, len / 4, len / 2, len * 3 / 4, len - 1 };
	char what[64];
	struct vgpu_job job;
	struct code code;

	job_load(&job, s, &code.module, format, image, len);
	run_well(r, &job, "machine code");
	job_function(&job, s, &code.module, &code.fn[CODE_count], "count");
	run_well(r, &job, "function of machine code");
	if (!r->wrong[0])
		check_counts(r, s, &code, "machine code");
	vgpu_engine_module_unload(r->eng, &code.module);
	for (unsigned int i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		snprintf(what, sizeof(what), "%zu of %zu octets of format %u",
			 cuts[i], len, format);
		refuse(r, s, format, image, cuts[i], what, false);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_binaries(struct run *r)
{
	struct vgpu_engine_facts facts;

	vgpu_engine_facts(r->eng, &facts);
	if (!kernels_cubin) {
		printf("# %s: machine code: built without nvcc, not tried\n",
		       r->label);
		return;
	}
	if (!strcmp(facts.compute_capability, "9.0"))
		binary(r, VGPU_MODULE_CUBIN, kernels_cubin, kernels_cubin_end);
	else
		printf("# %s: cubin for 9.0 not tried on %s\n", r->label,
		       facts.compute_capability);
	binary(r, VGPU_MODULE_FATBIN, kernels_fatbin, kernels_fatbin_end);
}

static void case_invalid(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_module module;
	struct vgpu_job job;

	for (uint32_t format = 0; format < 6; format++) {
		job_load(&job, s, &module, format, "x", 1);
		/* Of the three formats there are, an image that is NULL. */
		if (format >= VGPU_MODULE_PTX && format <= VGPU_MODULE_FATBIN)
			job.operand[0].host = NULL;
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_INVALID, "format %u: status %u",
		      format, job.status);
	}
	job_load(&job, s, &module, VGPU_MODULE_PTX, "x", 0);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_INVALID, "no image: status %u",
	      job.status);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case module_cases[] = {
	{ "modules: PTX loads, its functions are found", case_load, ALWAYS },
	{ "modules: several at a time, unloaded and loaded again", case_many, ALWAYS },
	{ "modules: parameters of functions, functions that are missing", case_functions, ALWAYS },
	{ "modules: bad PTX is refused in the compiler's words", case_bad_ptx, ALWAYS },
	{ "modules: bad binaries are refused", case_bad_binaries, ALWAYS },
	{ "modules: nvcc's binaries run, and are refused cut short", case_binaries, ALWAYS },
	{ "modules: what cannot be a job is refused", case_invalid, ALWAYS },
	{ NULL, NULL, ALWAYS },
};

/* Each says that it needs a GPU, and holds nothing up. */
static void case_no_gpu(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_module module = { 0 };
	struct vgpu_engine_function fn = { 0 };
	struct args args = { .len = 0 };
	struct vgpu_job job[5];
	float x = 1;

	job_add(&job[0], s, &x, &x, &x, 1);
	job_load(&job[1], s, &module, VGPU_MODULE_PTX, kernels_ptx,
		 (uint64_t)(kernels_ptx_end - kernels_ptx));
	job_function(&job[2], s, &module, &fn, "saxpy");
	job_launch(&job[3], s, &fn, 1, 1, &args);
	job_add(&job[4], s, &x, &x, &x, 1);
	for (unsigned int i = 0; i < 5; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, 5, NULL, NULL);
	for (unsigned int i = 0; i < 5; i++)
		CHECK(r, job[i].status == (i % 4 ? VGPU_RSP_NO_GPU : VGPU_RSP_OK),
		      "job %u (op %u): status %u", i, job[i].op, job[i].status);
	CHECK(r, x == 4 && !module.priv && !fn.priv, "1 + 1 + 2 is %g",
	      (double)x);
	vgpu_engine_module_unload(r->eng, &module);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case no_module_cases[] = {
	{ "modules and launches need a GPU", case_no_gpu, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
