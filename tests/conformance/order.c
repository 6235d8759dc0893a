// SPDX-License-Identifier: MIT
/*
 * order.c - streams: order in one, independence of several, fences, and jobs
 * that are refused
 */
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define STREAMS	8
#define CHAIN	24

struct chain_job {
	struct vgpu_job job;		/* first: owner points here */
	unsigned int stream, place;
};

struct order {
	struct run *r;
	unsigned int next[STREAMS];	/* place expected next, per stream */
};

static void seen_in_order(struct vgpu_job *job, void *arg)
{
	struct chain_job *cj = (struct chain_job *)job;
	struct order *o = arg;

	CHECK(o->r, job->status == VGPU_RSP_OK, "stream %u, job %u: status %u",
	      cj->stream, cj->place, job->status);
	CHECK(o->r, cj->place == o->next[cj->stream],
	      "stream %u: job %u came back where %u was next", cj->stream,
	      cj->place, o->next[cj->stream]);
	o->next[cj->stream]++;
}

/*
 * On each of several streams a chain in which every job needs the one before
 * (x = x + y, y = y + x, ...), of one part or several, then a fence. All are
 * submitted before any is reaped.
 */
static void case_chains(struct run *r)
{
	static const uint32_t counts[STREAMS] = {
		1, 1000, 4099, 65536, 70001, 200000, 3, 600000,
	};
	struct chain_job *cj = calloc(STREAMS * (CHAIN + 1), sizeof(*cj));
	struct vgpu_engine_stream *s[STREAMS];
	struct operand x[STREAMS], y[STREAMS], want_x, want_y;
	struct order order = { .r = r };
	unsigned int i, k;
	uint64_t e;

	for (i = 0; i < STREAMS; i++) {
		uint64_t count = r->quick ? counts[i] % 5000 : counts[i];

		s[i] = vgpu_engine_stream_create(r->eng);
		operand_make(&x[i], count, AT_END);
		operand_make(&y[i], count, AT_END);
		operand_fill(&x[i], 100 + i);
		operand_fill(&y[i], 200 + i);
	}
	for (k = 0; k <= CHAIN; k++) {
		for (i = 0; i < STREAMS; i++) {
			struct chain_job *j = &cj[i * (CHAIN + 1) + k];

			if (k == CHAIN)
				job_fence(&j->job, s[i]);
			else
				job_add(&j->job, s[i], x[i].bits, y[i].bits,
					k % 2 ? y[i].bits : x[i].bits,
					x[i].count);
			j->stream = i;
			j->place = k;
			vgpu_engine_submit(r->eng, &j->job);
		}
	}
	reap_jobs(r, STREAMS * (CHAIN + 1), seen_in_order, &order);
	for (i = 0; i < STREAMS; i++) {
		operand_make(&want_x, x[i].count, AT_END);
		operand_make(&want_y, x[i].count, AT_END);
		operand_fill(&want_x, 100 + i);
		operand_fill(&want_y, 200 + i);
		for (e = 0; e < x[i].count; e++) {
			uint32_t wx = want_x.bits[e], wy = want_y.bits[e];

			for (k = 0; k < CHAIN; k++) {
				uint32_t sum = add_bits(wx, wy);

				if (k % 2)
					wy = sum;
				else
					wx = sum;
			}
			CHECK(r, same_bits(wx, x[i].bits[e]) &&
			      same_bits(wy, y[i].bits[e]),
			      "stream %u, element %llu: 0x%08x and 0x%08x, not 0x%08x and 0x%08x",
			      i, (unsigned long long)e, x[i].bits[e],
			      y[i].bits[e], wx, wy);
		}
		operand_free(&want_x);
		operand_free(&want_y);
		operand_free(&x[i]);
		operand_free(&y[i]);
		vgpu_engine_stream_destroy(r->eng, s[i]);
	}
	free(cj);
}

static void seen_first(struct vgpu_job *job, void *arg)
{
	struct vgpu_job **first = arg;

	if (!*first)
		*first = job;
}

/*
 * A large job of many parts must not hold up a small one on another stream: the
 * small one is done first. An engine of one thread either always does so or
 * never; with several, a busy machine may stop the thread that has the small
 * one, hence the tries.
 */
static void case_fair(struct run *r)
{
	struct vgpu_engine_stream *s1 = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_stream *s2 = vgpu_engine_stream_create(r->eng);
	struct vgpu_job big, small, *first = NULL;
	struct operand x, y;
	int tries;

	operand_make(&x, 16 << 20, AT_END);
	operand_make(&y, 1024, AT_END);
	operand_fill(&x, 33);
	operand_fill(&y, 34);
	for (tries = 50; tries && first != &small; tries--) {
		first = NULL;
		job_add(&big, s1, x.bits, x.bits, x.bits, x.count);
		job_add(&small, s2, y.bits, y.bits, y.bits, y.count);
		vgpu_engine_submit(r->eng, &big);
		vgpu_engine_submit(r->eng, &small);
		reap_jobs(r, 2, seen_first, &first);
	}
	CHECK(r, first == &small,
	      "1,024 elements on an idle stream waited for 16 Mi on another");
	operand_free(&x);
	operand_free(&y);
	vgpu_engine_stream_destroy(r->eng, s1);
	vgpu_engine_stream_destroy(r->eng, s2);
}

static void case_fence(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_job fence, again;

	job_fence(&fence, s);
	run_job(r, &fence);
	CHECK(r, fence.status == VGPU_RSP_OK, "on an empty stream: status %u",
	      fence.status);
	job_fence(&fence, s);
	job_fence(&again, s);
	vgpu_engine_submit(r->eng, &fence);
	vgpu_engine_submit(r->eng, &again);
	reap_jobs(r, 2, NULL, NULL);
	CHECK(r, again.status == VGPU_RSP_OK, "two fences: status %u",
	      again.status);
	vgpu_engine_stream_destroy(r->eng, s);
}

/* A job that is refused has no effect, and those around it go on. */
static void refuse(struct run *r, const char *what, struct vgpu_job *bad,
		   uint16_t status)
{
	struct vgpu_engine_stream *s = bad->stream;
	uint32_t a[4] = { 0x3f800000, 0x40000000, 0x40400000, 0x40800000 };
	uint32_t c[4], d[4];
	struct chain_job before = { .place = 0 }, refused = { .place = 1 };
	struct chain_job after = { .place = 2 };

	job_add(&before.job, s, a, a, c, 4);
	job_add(&after.job, s, c, a, d, 4);
	refused.job = *bad;
	refused.job.owner = &refused;
	vgpu_engine_submit(r->eng, &before.job);
	vgpu_engine_submit(r->eng, &refused.job);
	vgpu_engine_submit(r->eng, &after.job);
	reap_jobs(r, 3, NULL, NULL);
	CHECK(r, refused.job.status == status, "%s: status %u, not %u", what,
	      refused.job.status, status);
	CHECK(r, before.job.status == VGPU_RSP_OK &&
	      after.job.status == VGPU_RSP_OK,
	      "%s: status %u before and %u after", what, before.job.status,
	      after.job.status);
	check_sum(r, a, a, c, 4);
	check_sum(r, c, a, d, 4);
}

static void case_refused(struct run *r)
{
	static const uint16_t unknown[] = { 0, 5, 6, 30, 99, 65535 };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	uint32_t a[4] = { 1, 2, 3, 4 }, c[4] = { 7, 7, 7, 7 };
	struct vgpu_job job;
	size_t i;

	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		job_add(&job, s, a, a, c, 4);
		job.kernel = unknown[i];
		refuse(r, "unknown kernel", &job, VGPU_RSP_UNSUPPORTED);
	}
	for (i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		job_add(&job, s, a, a, c, 4);
		job.operand[i].count = 3;
		refuse(r, "counts that differ", &job, VGPU_RSP_INVALID);
		job_add(&job, s, a, a, c, 3);
		job.operand[i].host = (char *)job.operand[i].host + 2;
		refuse(r, "misaligned operand", &job, VGPU_RSP_INVALID);
		job_add(&job, s, a, a, c, 4);
		job.operand[i].host = NULL;
		refuse(r, "no operand", &job, VGPU_RSP_INVALID);
	}
	job_add(&job, s, a, a, c, UINT64_MAX / 4 + 1);
	refuse(r, "a length that overflows", &job, VGPU_RSP_INVALID);
	for (i = 0; i < 4; i++)
		CHECK(r, c[i] == 7, "a refused job wrote its output");
	job_add(&job, s, NULL, NULL, NULL, 0);
	refuse(r, "nothing to add", &job, VGPU_RSP_OK);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case order_cases[] = {
	{ "8 streams, chains of 24 jobs and a fence, in order", case_chains, ALWAYS },
	{ "a large job holds up no other stream", case_fair, UNLESS_QUICK },
	{ "fences", case_fence, ALWAYS },
	{ "refused jobs: status, no effect, order kept", case_refused, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
