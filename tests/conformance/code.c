// SPDX-License-Identifier: MIT
/*
 * code.c - the kernels of kernels.ptx: loading, finding, launching (see code.h)
 */
#include <string.h>

#include "code.h"

const struct code_kernel_facts code_facts[NR_CODE] = {
#define CODE_FACTS(name, octets, params) { #name, octets, params },
	CODE_LIST(CODE_FACTS)
#undef CODE_FACTS
};

void args_put(struct args *args, uint32_t at, const void *from, uint32_t len)
{
	memcpy(args->octets + at, from, len);
	if (args->len < at + len)
		args->len = at + len;
}

void args_put64(struct args *args, uint32_t at, uint64_t v)
{
	args_put(args, at, &v, sizeof(v));
}

void args_put32(struct args *args, uint32_t at, uint32_t v)
{
	args_put(args, at, &v, sizeof(v));
}

void job_load(struct vgpu_job *job, struct vgpu_engine_stream *s,
	      struct vgpu_engine_module *module, uint32_t format,
	      const void *image, uint64_t len)
{
	*module = (struct vgpu_engine_module){ 0 };
	job_op(job, s, VGPU_OP_MODULE_LOAD);
	job->module = module;
	job->format = format;
	job->operand[0] = in_host(image, len);
}

void job_function(struct vgpu_job *job, struct vgpu_engine_stream *s,
		  struct vgpu_engine_module *module,
		  struct vgpu_engine_function *fn, const char *name)
{
	*fn = (struct vgpu_engine_function){ 0 };
	job_op(job, s, VGPU_OP_FUNCTION_GET);
	job->module = module;
	job->function = fn;
	job->name = name;
}

void job_launch(struct vgpu_job *job, struct vgpu_engine_stream *s,
		struct vgpu_engine_function *fn, uint32_t grid, uint32_t block,
		struct args *args)
{
	job_op(job, s, VGPU_OP_LAUNCH);
	job->launch = (struct vgpu_engine_launch){
		.function = fn,
		.grid = { grid, 1, 1 },
		.block = { block, 1, 1 },
		.args = args->octets,
		.args_len = args->len,
	};
}

bool code_load(struct run *r, struct vgpu_engine_stream *s, struct code *code)
{
	struct vgpu_job job[1 + NR_CODE];
	char log[2000] = "";

	job_load(&job[0], s, &code->module, VGPU_MODULE_PTX, kernels_ptx,
		 (uint64_t)(kernels_ptx_end - kernels_ptx));
	job[0].operand[1] = in_host(log, sizeof(log));
	for (unsigned int i = 0; i < NR_CODE; i++)
		job_function(&job[1 + i], s, &code->module, &code->fn[i],
			     code_facts[i].name);
	for (unsigned int i = 0; i < 1 + NR_CODE; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, 1 + NR_CODE, NULL, NULL);
	CHECK(r, job[0].status == VGPU_RSP_OK, "loading PTX: status %u, log \"%.300s\"",
	      job[0].status, log);
	for (unsigned int i = 0; i < NR_CODE; i++) {
		const struct vgpu_job *get = &job[1 + i];

		CHECK(r, get->status == VGPU_RSP_OK, "function %s: status %u",
		      code_facts[i].name, get->status);
		CHECK(r, get->value == (code_facts[i].octets |
					(uint64_t)code_facts[i].params << 32) &&
		      code->fn[i].args_len == code_facts[i].octets,
		      "function %s: value 0x%llx, %u octets of arguments",
		      code_facts[i].name, (unsigned long long)get->value,
		      code->fn[i].args_len);
	}
	return !r->wrong[0];
}

void code_unload(struct run *r, struct code *code)
{
	vgpu_engine_module_unload(r->eng, &code->module);
}

bool bench_open(struct run *r, struct bench *b)
{
	b->s = vgpu_engine_stream_create(r->eng);
	if (code_load(r, b->s, &b->code))
		return true;
	vgpu_engine_stream_destroy(r->eng, b->s);
	return false;
}

void bench_close(struct run *r, struct bench *b)
{
	code_unload(r, &b->code);
	vgpu_engine_stream_destroy(r->eng, b->s);
}

void check_counts(struct run *r, struct vgpu_engine_stream *s, struct code *code,
		  const char *when)
{
	struct args args = { .len = 0 };
	struct vgpu_engine_mem mem;
	struct vgpu_job job;
	uint32_t counter = 0;

	mem_make(r, s, &mem, 4);
	args_put64(&args, 0, mem.address);
	job_launch(&job, s, &code->fn[CODE_count], 1, 1, &args);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "%s: a good launch has status %u",
	      when, job.status);
	mem_read(r, s, &mem, &counter, 4);
	CHECK(r, counter == 1, "%s: a good launch counted %u", when, counter);
	vgpu_engine_mem_free(r->eng, &mem);
}
