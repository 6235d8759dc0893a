// SPDX-License-Identifier: MIT
/*
 * fault.c - a kernel that faults: what becomes of it and of all other jobs
 *
 * On a GPU the fault is real, and the process cannot use CUDA again: these
 * cases run alone (--fault). The cpu engine has nothing to lose by it.
 */
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define JOBS	20
#define LARGE	(3 << 20)

static void job_fault(struct vgpu_job *job, struct vgpu_engine_stream *s)
{
	job_add(job, s, NULL, NULL, NULL, 0);
	job->kernel = VGPU_KERNEL_DEBUG_FAULT;
}

static bool dies_of_it(struct run *r)
{
	struct vgpu_engine_facts facts;

	vgpu_engine_facts(r->eng, &facts);
	return !strcmp(facts.engine, "cuda");
}

/* Small and large jobs in flight, then the fault, then more. */
static void case_fault(struct run *r)
{
	struct vgpu_engine_stream *s[3];
	struct vgpu_job job[JOBS], fault, after;
	struct operand small[JOBS], large;
	bool dies = dies_of_it(r);

	for (unsigned int i = 0; i < 3; i++)
		s[i] = vgpu_engine_stream_create(r->eng);
	operand_make(&large, r->quick ? 50000 : LARGE, AT_END);
	operand_fill(&large, 1);
	for (unsigned int i = 0; i < JOBS; i++) {
		struct operand *o = i % 10 ? &small[i] : &large;

		operand_make(&small[i], 1024, AT_END);
		operand_fill(&small[i], 2 + i);
		/* What is written is looked at by nobody: it may be half. */
		job_add(&job[i], s[i % 2], o->bits, o->bits, o->bits, o->count);
	}
	job_fault(&fault, s[2]);
	job_add(&after, s[2], small[0].bits, small[0].bits, small[0].bits,
		1024);
	for (unsigned int i = 0; i < JOBS / 2; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	vgpu_engine_submit(r->eng, &fault);
	vgpu_engine_submit(r->eng, &after);
	for (unsigned int i = JOBS / 2; i < JOBS; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, JOBS + 2, NULL, NULL);
	CHECK(r, fault.status == VGPU_RSP_FAULT, "the fault has status %u",
	      fault.status);
	CHECK(r, fault.path == VGPU_PATH_NONE || r->remote,
	      "the fault took path \"%s\"", vgpu_path_name(fault.path));
	CHECK(r, after.status == (dies ? VGPU_RSP_DEVICE_LOST : VGPU_RSP_OK),
	      "the job behind it has status %u", after.status);
	for (unsigned int i = 0; i < JOBS; i++)
		CHECK(r, job[i].status == VGPU_RSP_OK ||
		      (dies && job[i].status == VGPU_RSP_DEVICE_LOST),
		      "job %u beside it has status %u", i, job[i].status);
	for (unsigned int i = 0; i < JOBS; i++)
		operand_free(&small[i]);
	operand_free(&large);
	for (unsigned int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(r->eng, s[i]);
}

/* Answered at once, whatever way they would have taken. */
static void case_afterwards(struct run *r)
{
	static const uint32_t counts[] = { 0, 1, 1024, 100000, LARGE };
	uint16_t status = dies_of_it(r) ? VGPU_RSP_DEVICE_LOST : VGPU_RSP_OK;
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct operand o;
	struct vgpu_job job;

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		operand_make(&o, counts[i], AT_END);
		operand_fill(&o, i);
		job_add(&job, s, o.bits, o.bits, o.bits, counts[i]);
		run_job(r, &job);
		CHECK(r, job.status == (counts[i] ? status : VGPU_RSP_OK),
		      "%u elements: status %u", counts[i], job.status);
		operand_free(&o);
	}
	job_fence(&job, s);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "a fence: status %u", job.status);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case fault_cases[] = {
	{ "a fault, with jobs in flight beside it", case_fault, ALWAYS },
	{ "jobs after a fault", case_afterwards, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
