// SPDX-License-Identifier: MIT
/*
 * memory.c - device memory: that it is there, zeroed, in order with what uses it,
 * and gone again
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance.h"

#define LARGE	((3u << 20) + 5)

/* Of memory that has just been made: every octet is 0. */
static void check_zero(struct run *r, struct vgpu_engine_stream *s,
		       struct vgpu_engine_mem *mem)
{
	unsigned char *got = malloc(mem->bytes), *zero = calloc(1, mem->bytes);

	memset(got, 0x77, mem->bytes);
	mem_read(r, s, mem, got, mem->bytes);
	check_octets(r, "fresh memory", zero, got, mem->bytes);
	free(got);
	free(zero);
}

/* What was written to memory must not be found in the next that is made. */
static void case_zeroed(struct run *r)
{
	static const uint32_t sizes[] = { 1, 3, 256, 4097, 70001, LARGE };
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_mem mem[N];
	struct vgpu_job job;

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < N; i++) {
			mem_make(r, s, &mem[i], sizes[i]);
			check_zero(r, s, &mem[i]);
			job_fill(&job, s, in_mem(&mem[i], 0, sizes[i]), 0xa5, 1);
			run_well(r, &job, "fill");
		}
		for (int i = 0; i < N; i++)
			vgpu_engine_mem_free(r->eng, &mem[(i + round) % N]);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

/* Refused, and neither the engine nor the machine is the worse for it. */
static void case_too_much(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_facts facts;
	struct vgpu_engine_mem mem, small;
	struct vgpu_job job;
	uint64_t sizes[] = { UINT64_MAX, UINT64_MAX - 4096, UINT64_C(1) << 62,
			     UINT64_C(1) << 47, 0 };

	vgpu_engine_facts(r->eng, &facts);
	sizes[4] = facts.memory + 1;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		job_alloc(&job, s, &mem, sizes[i]);
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_NO_MEMORY && !mem.address &&
		      !job.value, "%llu bytes: status %u, address 0x%llx",
		      (unsigned long long)sizes[i], job.status,
		      (unsigned long long)mem.address);
		/* The caller need not know whether there is anything. */
		vgpu_engine_mem_free(r->eng, &mem);
		mem_make(r, s, &small, 4096);
		check_zero(r, s, &small);
		vgpu_engine_mem_free(r->eng, &small);
	}
	job_alloc(&job, s, &mem, 0);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_INVALID, "no bytes: status %u",
	      job.status);
	vgpu_engine_stream_destroy(r->eng, s);
}

/* Half of what is free, again and again: what is freed is there for the next. */
static void case_freed(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_info info;
	struct vgpu_engine_mem mem, many[64];

	vgpu_engine_info(r->eng, &info);
	for (int i = 0; i < 10; i++) {
		mem_make(r, s, &mem, r->quick ? 32 << 20 : info.mem_free / 2);
		vgpu_engine_mem_free(r->eng, &mem);
	}
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 64; i++)
			mem_make(r, s, &many[i], 1 + (uint64_t)i * i * 97);
		for (int i = 0; i < 64; i++)
			vgpu_engine_mem_free(r->eng,
					     &many[(i * 13 + round) % 64]);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void refuse(struct run *r, struct vgpu_job *job, uint16_t status,
		   const char *what)
{
	run_job(r, job);
	CHECK(r, job->status == status, "%s: status %u, not %u", what,
	      job->status, status);
	CHECK(r, job->path == VGPU_PATH_NONE || r->remote, "%s: path \"%s\"",
	      what, vgpu_path_name(job->path));
}

static void refuse_outside(struct run *r, struct vgpu_engine_stream *s,
			   struct vgpu_engine_mem *mem, void *host)
{
	struct vgpu_job job;

	job_copy(&job, s, in_mem(mem, 4090, 7), in_host(host, 7));
	refuse(r, &job, VGPU_RSP_INVALID, "copy beyond the end of memory");
	job_copy(&job, s, in_host(host, 1), in_mem(mem, 4096, 1));
	refuse(r, &job, VGPU_RSP_INVALID, "copy from the end of memory");
	job_copy(&job, s, in_mem(mem, UINT64_MAX - 3, 8), in_host(host, 8));
	refuse(r, &job, VGPU_RSP_INVALID, "an offset that overflows");
	job_copy(&job, s, in_mem(mem, 0, 8), in_host(host, 4));
	refuse(r, &job, VGPU_RSP_INVALID, "counts that differ");
	job_copy(&job, s, in_mem(mem, 0, 8), in_host(NULL, 8));
	refuse(r, &job, VGPU_RSP_INVALID, "copy from nowhere");
	job_fill(&job, s, in_mem(mem, 4092, 8), 1, 4);
	refuse(r, &job, VGPU_RSP_INVALID, "fill beyond the end of memory");
	job_fill(&job, s, in_mem(mem, 0, 9), 1, 3);
	refuse(r, &job, VGPU_RSP_INVALID, "a width of 3");
	job_fill(&job, s, in_mem(mem, 0, 8), 1, 0);
	refuse(r, &job, VGPU_RSP_INVALID, "a width of 0");
	job_fill(&job, s, in_mem(mem, 2, 8), 1, 4);
	refuse(r, &job, VGPU_RSP_INVALID, "a misaligned fill");
	job_fill(&job, s, in_mem(mem, 0, 6), 1, 4);
	refuse(r, &job, VGPU_RSP_INVALID, "a fill that ends within its pattern");
	job_kernel(&job, s, VGPU_KERNEL_SAXPY);
	job.operand[0] = in_mem(mem, 0, 1024);
	job.operand[1] = in_mem(mem, 4, 1024);
	refuse(r, &job, VGPU_RSP_INVALID, "a kernel beyond the end of memory");
	job.operand[1] = in_mem(mem, 2, 1023);
	job.operand[0] = in_mem(mem, 0, 1023);
	refuse(r, &job, VGPU_RSP_INVALID, "a kernel on misaligned memory");
}

/* Memory that is not there, in each job that can name some. */
static void refuse_missing(struct run *r, struct vgpu_engine_stream *s,
			   struct vgpu_engine_mem *none, void *host)
{
	struct vgpu_job job;

	job_copy(&job, s, in_host(host, 16), in_mem(none, 0, 16));
	refuse(r, &job, VGPU_RSP_NO_HANDLE, "copy from memory that is not there");
	job_copy(&job, s, in_mem(none, 0, 16), in_host(host, 16));
	refuse(r, &job, VGPU_RSP_NO_HANDLE, "copy to memory that is not there");
	job_fill(&job, s, in_mem(none, 0, 16), 1, 4);
	refuse(r, &job, VGPU_RSP_NO_HANDLE, "fill of memory that is not there");
	for (unsigned int i = 0; i < 3; i++) {
		job_kernel(&job, s, VGPU_KERNEL_VECTOR_ADD);
		for (unsigned int k = 0; k < 3; k++)
			job.operand[k] = k == i ? in_mem(none, 0, 4) :
						  in_host(host, 4);
		refuse(r, &job, VGPU_RSP_NO_HANDLE,
		       "a kernel on memory that is not there");
	}
}

static void case_refused(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_mem mem, never = { .bytes = 64 }, failed, freed;
	unsigned char host[64] __attribute__((aligned(4))), want[64];
	struct vgpu_job job;

	memset(host, 0x3c, sizeof(host));
	memset(want, 0x3c, sizeof(want));
	mem_make(r, s, &mem, 4096);
	refuse_outside(r, s, &mem, host);
	check_zero(r, s, &mem);
	refuse_missing(r, s, &never, host);
	job_alloc(&job, s, &failed, UINT64_C(1) << 60);
	refuse(r, &job, VGPU_RSP_NO_MEMORY, "2^60 octets");
	refuse_missing(r, s, &failed, host);
	mem_make(r, s, &freed, 64);
	vgpu_engine_mem_free(r->eng, &freed);
	refuse_missing(r, s, &freed, host);
	check_octets(r, "a refused job's host memory", want, host, sizeof(host));
	vgpu_engine_mem_free(r->eng, &mem);
	vgpu_engine_stream_destroy(r->eng, s);
}

#define STREAMS	4
#define ROUNDS	12
#define STEPS	8

struct mixed {
	struct vgpu_engine_stream *s;
	struct vgpu_engine_mem x, y;
	struct vgpu_job job[2 + ROUNDS * STEPS];
	struct operand in[ROUNDS], out[ROUNDS];
	float sum[ROUNDS];
};

/*
 * A stream's work, all submitted before any of it is reaped: memory is made, used
 * at once, and written over before an earlier copy out of it can be late.
 */
static unsigned int mixed_submit(struct run *r, struct mixed *m, uint32_t n)
{
	struct vgpu_job *job = m->job;
	unsigned int k = 0;

	job_alloc(&job[k++], m->s, &m->x, n * 4ull);
	job_alloc(&job[k++], m->s, &m->y, n * 4ull + 4);
	for (int i = 0; i < ROUNDS; i++) {
		job_copy(&job[k++], m->s, in_mem(&m->x, 0, n * 4ull),
			 in_host(m->in[i].bits, n * 4ull));
		job_fill(&job[k++], m->s, in_mem(&m->y, 0, n * 4ull),
			 bits_of((float)i), 4);
		job_kernel(&job[k], m->s, VGPU_KERNEL_SAXPY);
		job[k].param = bits_of(2);
		job[k].operand[0] = in_mem(&m->x, 0, n);
		job[k++].operand[1] = in_mem(&m->y, 0, n);
		job_kernel(&job[k], m->s, VGPU_KERNEL_REDUCE_SUM);
		job[k].operand[0] = in_mem(&m->y, 0, n);
		job[k++].operand[1] = in_mem(&m->y, n * 4ull, 1);
		job_copy(&job[k++], m->s, in_host(m->out[i].bits, n * 4ull),
			 in_mem(&m->y, 0, n * 4ull));
		job_copy(&job[k++], m->s, in_host(&m->sum[i], 4),
			 in_mem(&m->y, n * 4ull, 4));
		job_fence(&job[k++], m->s);
		job_fill(&job[k++], m->s, in_mem(&m->y, 0, n * 4ull + 4), 0xff, 1);
	}
	for (unsigned int i = 0; i < k; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	return k;
}

static void mixed_check(struct run *r, const struct mixed *m, uint32_t n)
{
	for (unsigned int i = 0; i < 2 + ROUNDS * STEPS; i++)
		CHECK(r, m->job[i].status == VGPU_RSP_OK,
		      "job %u (op %u): status %u", i, m->job[i].op,
		      m->job[i].status);
	for (int i = 0; i < ROUNDS; i++) {
		double sum = 0;

		for (uint32_t e = 0; e < n; e++) {
			float want = 2 * float_of(m->in[i].bits[e]) + (float)i;

			sum += want;
			CHECK(r, m->out[i].bits[e] == bits_of(want),
			      "round %d, element %u of %u: %g, not %g", i, e, n,
			      (double)float_of(m->out[i].bits[e]), (double)want);
		}
		CHECK(r, m->sum[i] == (float)sum, "round %d: sum %g, not %g", i,
		      (double)m->sum[i], sum);
	}
}

static void case_mixed(struct run *r)
{
	static const uint32_t counts[STREAMS] = { 3, 1000, 40001, 500003 };
	struct mixed *m = calloc(STREAMS, sizeof(*m));
	unsigned int jobs = 0;

	for (int k = 0; k < STREAMS; k++) {
		uint32_t n = r->quick ? counts[k] % 5000 : counts[k];

		m[k].s = vgpu_engine_stream_create(r->eng);
		for (int i = 0; i < ROUNDS; i++) {
			operand_make(&m[k].in[i], n, AT_END);
			operand_make(&m[k].out[i], n, AT_END);
			/* Small whole numbers: all sums are exact. */
			for (uint32_t e = 0; e < n; e++)
				m[k].in[i].bits[e] =
					bits_of((float)((e * 7 + i) % 16));
			operand_protect(&m[k].in[i], PROT_READ);
		}
		jobs += mixed_submit(r, &m[k], n);
	}
	reap_jobs(r, jobs, NULL, NULL);
	for (int k = 0; k < STREAMS; k++) {
		mixed_check(r, &m[k], (uint32_t)m[k].in[0].count);
		for (int i = 0; i < ROUNDS; i++) {
			operand_free(&m[k].in[i]);
			operand_free(&m[k].out[i]);
		}
		vgpu_engine_mem_free(r->eng, &m[k].x);
		vgpu_engine_mem_free(r->eng, &m[k].y);
		vgpu_engine_stream_destroy(r->eng, m[k].s);
	}
	free(m);
}

/* Made on a stream that is gone by the time others use it. */
static void case_other_streams(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng), *t;
	unsigned char in[5000], out[5000];
	struct vgpu_engine_mem mem;

	for (unsigned int i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7 + i / 256);
	mem_make(r, s, &mem, sizeof(in));
	vgpu_engine_stream_destroy(r->eng, s);
	for (int i = 0; i < 20; i++) {
		s = vgpu_engine_stream_create(r->eng);
		t = vgpu_engine_stream_create(r->eng);
		in[i] ^= 0xff;
		mem_write(r, s, &mem, in, sizeof(in));
		mem_read(r, t, &mem, out, sizeof(out));
		check_octets(r, "written on one stream, read on another", in, out,
			     sizeof(in));
		vgpu_engine_stream_destroy(r->eng, s);
		vgpu_engine_stream_destroy(r->eng, t);
	}
	vgpu_engine_mem_free(r->eng, &mem);
}

const struct conformance_case memory_cases[] = {
	{ "memory: zeroed, also what was used before", case_zeroed, ALWAYS },
	{ "memory: more than there is is refused", case_too_much, ALWAYS },
	{ "memory: what is freed is there again", case_freed, ALWAYS },
	{ "memory: jobs outside it, or without it, are refused", case_refused, ALWAYS },
	{ "memory: 4 streams of mixed work, all submitted at once", case_mixed, ALWAYS },
	{ "memory: outlives its stream, used by others", case_other_streams, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
