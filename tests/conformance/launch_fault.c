// SPDX-License-Identifier: MIT
/*
 * launch_fault.c - a guest's kernel that faults, and one that never ends
 *
 * Each list of cases is the last thing that its process does with the GPU. What
 * is left must not be waited for: jobs end, and everything can be taken back.
 */
#include <stdlib.h>
#include <string.h>

#include "code.h"

#define JOBS		20
/* What waits for a kernel that never ends waits longer than any busy machine. */
#define SOON_NS		UINT64_C(60000000000)

static bool well_or_lost(const struct vgpu_job *job)
{
	return job->status == VGPU_RSP_OK || job->status == VGPU_RSP_DEVICE_LOST;
}

/* Every kind of job on a lost engine: DEVICE_LOST, at once, with no effect. */
static void check_lost(struct run *r, struct bench *b,
		       struct vgpu_engine_mem *mem)
{
	struct vgpu_engine_module module;
	struct vgpu_engine_function fn;
	struct vgpu_engine_mem more;
	struct args args = { .len = 0 };
	uint64_t start = now_ns();
	uint32_t host = 7;
	struct vgpu_job job[8];

	args_put64(&args, 0, mem->address);
	job_launch(&job[0], b->s, &b->code.fn[CODE_count], 1, 1, &args);
	job_copy(&job[1], b->s, in_host(&host, 4), in_mem(mem, 0, 4));
	job_fill(&job[2], b->s, in_mem(mem, 0, 4), 1, 4);
	job_alloc(&job[3], b->s, &more, 4096);
	job_load(&job[4], b->s, &module, VGPU_MODULE_PTX, kernels_ptx,
		 (uint64_t)(kernels_ptx_end - kernels_ptx));
	job_function(&job[5], b->s, &b->code.module, &fn, "count");
	job_add(&job[6], b->s, &host, &host, &host, 1);
	job_fence(&job[7], b->s);
	for (unsigned int i = 0; i < 8; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, 8, NULL, NULL);
	for (unsigned int i = 0; i < 7; i++)
		CHECK(r, job[i].status == VGPU_RSP_DEVICE_LOST,
		      "op %u on a lost engine: status %u", job[i].op,
		      job[i].status);
	CHECK(r, job[7].status == VGPU_RSP_OK, "a fence on a lost engine: status %u",
	      job[7].status);
	CHECK(r, host == 7, "a lost engine wrote to host memory");
	CHECK(r, now_ns() - start < SOON_NS, "8 jobs took a lost engine %llu ms",
	      (unsigned long long)(now_ns() - start) / 1000000);
	vgpu_engine_mem_free(r->eng, &more);
	vgpu_engine_module_unload(r->eng, &module);
}

/*
 * `bad` is submitted between others, on its own stream and on another one, and
 * ends with `status`. Those of the other one are over before: they might be blamed
 * as long as nobody has seen their end.
 */
static void run_bad(struct run *r, struct bench *b, struct vgpu_job *bad,
		    uint16_t status)
{
	struct vgpu_engine_stream *other = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_event event = { 0 };
	struct vgpu_engine_mem mem;
	struct vgpu_job job[JOBS], wait, record, last;
	struct args args = { .len = 0 };
	uint64_t start;

	mem_make(r, b->s, &mem, 8);
	args_put64(&args, 0, mem.address);
	for (unsigned int i = 0; i < JOBS; i++)
		job_launch(&job[i], i % 2 ? b->s : other,
			   &b->code.fn[CODE_count], 1, 1, &args);
	for (unsigned int i = 0; i < JOBS / 2; i += 2)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, JOBS / 4, NULL, NULL);
	for (unsigned int i = 1; i < JOBS / 2; i += 2)
		vgpu_engine_submit(r->eng, &job[i]);
	vgpu_engine_submit(r->eng, bad);
	job_event(&record, b->s, VGPU_OP_EVENT_RECORD, &event);
	job_event(&wait, other, VGPU_OP_EVENT_WAIT, &event);
	vgpu_engine_submit(r->eng, &record);
	vgpu_engine_submit(r->eng, &wait);
	for (unsigned int i = JOBS / 2; i < JOBS; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	job_fence(&last, other);
	vgpu_engine_submit(r->eng, &last);
	start = now_ns();
	reap_jobs(r, JOBS + 4 - JOBS / 4, NULL, NULL);
	printf("# %s: the end came after %llu ms\n", r->label,
	       (unsigned long long)(now_ns() - start) / 1000000);
	CHECK(r, now_ns() - start < SOON_NS, "the end came after %llu ms",
	      (unsigned long long)(now_ns() - start) / 1000000);
	CHECK(r, bad->status == status, "the launch has status %u, not %u",
	      bad->status, status);
	CHECK(r, record.status == VGPU_RSP_OK && wait.status == VGPU_RSP_OK &&
	      last.status == VGPU_RSP_OK, "record %u, wait %u, fence %u",
	      record.status, wait.status, last.status);
	for (unsigned int i = 0; i < JOBS; i++) {
		bool behind = i >= JOBS / 2;

		CHECK(r, behind ? job[i].status == VGPU_RSP_DEVICE_LOST :
				  well_or_lost(&job[i]),
		      "job %u %s it, on %s stream: status %u", i,
		      behind ? "behind" : "before",
		      i % 2 ? "its" : "another", job[i].status);
	}
	check_lost(r, b, &mem);
	vgpu_engine_mem_free(r->eng, &mem);
	vgpu_engine_stream_destroy(r->eng, other);
}

static void case_fault(struct run *r)
{
	struct args args = { .len = 0 };
	struct vgpu_job bad;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	/* No memory of anybody is there. */
	args_put64(&args, 0, 16);
	job_launch(&bad, b.s, &b.code.fn[CODE_store], 1, 1, &args);
	run_bad(r, &b, &bad, VGPU_RSP_FAULT);
	bench_close(r, &b);
}

/* Far more than the limit together, but not one of them alone. */
static void case_within(struct run *r)
{
	enum { N = 60 };
	struct vgpu_engine_stream *other = vgpu_engine_stream_create(r->eng);
	struct vgpu_job job[N];
	struct args args = { .len = 0 };
	struct bench b;

	if (!bench_open(r, &b)) {
		vgpu_engine_stream_destroy(r->eng, other);
		return;
	}
	args_put64(&args, 0, r->cfg.max_job_ns / 20);
	for (unsigned int i = 0; i < N; i++) {
		job_launch(&job[i], i % 6 ? b.s : other, &b.code.fn[CODE_delay],
			   1, 1, &args);
		vgpu_engine_submit(r->eng, &job[i]);
	}
	reap_jobs(r, N, NULL, NULL);
	for (unsigned int i = 0; i < N; i++)
		CHECK(r, job[i].status == VGPU_RSP_OK, "launch %u: status %u", i,
		      job[i].status);
	check_counts(r, b.s, &b.code, "within the limit");
	bench_close(r, &b);
	vgpu_engine_stream_destroy(r->eng, other);
}

static void case_never_ends(struct run *r)
{
	struct vgpu_engine_mem flag;
	struct args args = { .len = 0 };
	struct vgpu_job bad;
	uint64_t start;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	mem_make(r, b.s, &flag, 4);
	args_put64(&args, 0, flag.address);
	job_launch(&bad, b.s, &b.code.fn[CODE_spin], 1, 1, &args);
	start = now_ns();
	run_bad(r, &b, &bad, VGPU_RSP_TIMEOUT);
	CHECK(r, now_ns() - start >= r->cfg.max_job_ns, "ended after %llu ms already",
	      (unsigned long long)(now_ns() - start) / 1000000);
	/* The kernel is still at work: taking things back must not wait for it. */
	start = now_ns();
	vgpu_engine_mem_free(r->eng, &flag);
	bench_close(r, &b);
	CHECK(r, now_ns() - start < SOON_NS, "giving back took %llu ms",
	      (unsigned long long)(now_ns() - start) / 1000000);
}

const struct conformance_case launch_fault_cases[] = {
	{ "a launch that faults, with jobs before and behind", case_fault, ALWAYS },
	{ NULL, NULL, ALWAYS },
};

const struct conformance_case within_cases[] = {
	{ "60 launches within the time limit, not together", case_within, ALWAYS },
	{ NULL, NULL, ALWAYS },
};

const struct conformance_case limit_cases[] = {
	{ "a launch that never ends", case_never_ends, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
