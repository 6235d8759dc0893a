// SPDX-License-Identifier: MIT
/*
 * events.c - order between streams: what EVENT_WAIT waits for, and what it does
 * not
 *
 * All jobs of a case are submitted before any is reaped, so that an engine that
 * lets a stream go on too early shows it, and one that forgets to wake a stream
 * hangs (reap_jobs() ends the program then).
 */
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define RECORD	VGPU_OP_EVENT_RECORD
#define WAIT	VGPU_OP_EVENT_WAIT

static void check_well(struct run *r, const struct vgpu_job *job, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		CHECK(r, job[i].status == VGPU_RSP_OK,
		      "job %u (op %u) of %u: status %u", i, job[i].op, n,
		      job[i].status);
}

/*
 * One stream writes numbers, the other one reads them: each must wait for the
 * other's step. With one pair of events, recorded anew each round, or a pair
 * for each.
 */
static void two_streams(struct run *r, bool same, uint32_t words)
{
	enum { ROUNDS = 100, STEPS = 6 };
	struct vgpu_engine_stream *w = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_stream *rd = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_event written[ROUNDS], is_read[ROUNDS];
	struct vgpu_job *job = calloc(ROUNDS * STEPS, sizeof(*job));
	struct vgpu_engine_mem mem;
	uint32_t got[ROUNDS];
	unsigned int k = 0;

	memset(written, 0, sizeof(written));
	memset(is_read, 0, sizeof(is_read));
	memset(got, 0xee, sizeof(got));
	mem_make(r, w, &mem, words * 4ull);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int e = same ? 0 : i, before = same || !i ? 0 : i - 1;

		/* In the first round: of an event that was never recorded. */
		job_event(&job[k++], w, WAIT, &is_read[before]);
		job_fill(&job[k++], w, in_mem(&mem, 0, words * 4ull), i + 1, 4);
		job_event(&job[k++], w, RECORD, &written[e]);
		job_event(&job[k++], rd, WAIT, &written[e]);
		job_copy(&job[k++], rd, in_host(&got[i], 4),
			 in_mem(&mem, (words - 1) * 4ull, 4));
		job_event(&job[k++], rd, RECORD, &is_read[e]);
	}
	for (unsigned int i = 0; i < k; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, k, NULL, NULL);
	check_well(r, job, k);
	for (unsigned int i = 0; i < ROUNDS; i++)
		CHECK(r, got[i] == i + 1, "round %u of %u words: %u was read", i,
		      words, got[i]);
	vgpu_engine_mem_free(r->eng, &mem);
	vgpu_engine_stream_destroy(r->eng, w);
	vgpu_engine_stream_destroy(r->eng, rd);
	free(job);
}

static void case_two_streams(struct run *r)
{
	two_streams(r, false, 1);
	two_streams(r, true, 1);
	two_streams(r, false, 100003);
	two_streams(r, true, 100003);
}

struct order {
	struct vgpu_job *done[8];
	unsigned int nr;
};

static void note(struct vgpu_job *job, void *arg)
{
	struct order *order = arg;

	if (order->nr < 8)
		order->done[order->nr++] = job;
}

/* A wait is for the last record before it, and for none if there is none. */
static void case_never_recorded(struct run *r)
{
	struct vgpu_engine_stream *a = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_stream *b = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_event event = { 0 };
	struct operand x;
	struct vgpu_job early, late, big, record;
	struct order order = { .nr = 0 };

	job_event(&early, b, WAIT, &event);
	run_well(r, &early, "a wait for nothing");

	operand_make(&x, r->quick ? 50000 : 4 << 20, AT_END);
	operand_fill(&x, 5);
	job_event(&early, b, WAIT, &event);
	job_add(&big, a, x.bits, x.bits, x.bits, x.count);
	job_event(&record, a, RECORD, &event);
	job_event(&late, b, WAIT, &event);
	vgpu_engine_submit(r->eng, &early);
	vgpu_engine_submit(r->eng, &big);
	vgpu_engine_submit(r->eng, &record);
	vgpu_engine_submit(r->eng, &late);
	reap_jobs(r, 4, note, &order);
	CHECK(r, order.done[0] == &early, "a wait for nothing waited");
	CHECK(r, order.done[1] == &big && order.done[2] == &record &&
	      order.done[3] == &late, "a wait was over before its record");
	CHECK(r, record.value && !late.value, "values %llu and %llu",
	      (unsigned long long)record.value, (unsigned long long)late.value);

	/* Long done: nobody waits any more. */
	job_event(&late, b, WAIT, &event);
	run_well(r, &late, "a wait for what is done");
	operand_free(&x);
	vgpu_engine_stream_destroy(r->eng, a);
	vgpu_engine_stream_destroy(r->eng, b);
}

/*
 * An event recorded on a slow stream and then on an idle one: who waited for the
 * first record must not go on with the second.
 */
static void case_recorded_again(struct run *r)
{
	enum { JOBS = 9 };
	struct vgpu_engine_stream *s[4];
	const uint64_t bytes = r->quick ? 1 << 20 : 32 << 20;
	struct vgpu_engine_event event = { 0 };
	struct vgpu_engine_mem mem;
	struct vgpu_job job[JOBS];
	uint32_t got, other;

	for (int i = 0; i < 4; i++)
		s[i] = vgpu_engine_stream_create(r->eng);
	mem_make(r, s[0], &mem, bytes);
	for (uint32_t round = 1; round <= 20; round++) {
		got = other = 0;
		job_fill(&job[0], s[0], in_mem(&mem, 0, bytes), 0, 4);
		job_fill(&job[1], s[0], in_mem(&mem, 0, bytes), round, 4);
		job_event(&job[2], s[0], RECORD, &event);
		job_event(&job[3], s[1], WAIT, &event);
		job_copy(&job[4], s[1], in_host(&got, 4),
			 in_mem(&mem, bytes - 4, 4));
		job_event(&job[5], s[2], RECORD, &event);
		job_event(&job[6], s[3], WAIT, &event);
		job_copy(&job[7], s[3], in_host(&other, 4), in_host(&round, 4));
		job_fence(&job[8], s[1]);
		for (int i = 0; i < JOBS; i++)
			vgpu_engine_submit(r->eng, &job[i]);
		reap_jobs(r, JOBS, NULL, NULL);
		check_well(r, job, JOBS);
		CHECK(r, got == round, "round %u: %u was read", round, got);
		CHECK(r, other == round, "round %u: %u was copied", round, other);
	}
	vgpu_engine_mem_free(r->eng, &mem);
	for (int i = 0; i < 4; i++)
		vgpu_engine_stream_destroy(r->eng, s[i]);
}

/* A number goes round the streams, each adds one to it: no wake-up is lost. */
static void case_circle(struct run *r)
{
	enum { STREAMS = 16, ROUNDS = 40, STEPS = 3 };
	const unsigned int n = STREAMS * ROUNDS;
	struct vgpu_engine_stream *s[STREAMS];
	struct vgpu_engine_event event[STREAMS];
	struct vgpu_job *job = calloc(n * STEPS, sizeof(*job));
	float number = 0, one = 1;
	uint64_t last = 0;

	memset(event, 0, sizeof(event));
	for (unsigned int i = 0; i < STREAMS; i++)
		s[i] = vgpu_engine_stream_create(r->eng);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int me = i % STREAMS;

		job_event(&job[i * STEPS], s[me], WAIT,
			  &event[(me + STREAMS - 1) % STREAMS]);
		job_add(&job[i * STEPS + 1], s[me], &number, &one, &number, 1);
		job_event(&job[i * STEPS + 2], s[me], RECORD, &event[me]);
	}
	for (unsigned int i = 0; i < n * STEPS; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, n * STEPS, NULL, NULL);
	check_well(r, job, n * STEPS);
	CHECK(r, number == (float)n, "%u additions gave %g", n, (double)number);
	for (unsigned int i = 0; i < n; i++) {
		CHECK(r, job[i * STEPS + 2].value >= last,
		      "record %u is older than the one before it", i);
		last = job[i * STEPS + 2].value;
	}
	for (unsigned int i = 0; i < STREAMS; i++)
		vgpu_engine_stream_destroy(r->eng, s[i]);
	free(job);
}

/* Many streams wait for one record; they and the event are gone at once. */
static void case_many(struct run *r)
{
	enum { STREAMS = 40 };
	struct vgpu_engine_stream *s[STREAMS], *first;
	struct vgpu_engine_event *event;
	struct vgpu_job job[STREAMS * 2], big, record;
	struct operand x;
	float sum[STREAMS];

	operand_make(&x, r->quick ? 50000 : 1 << 20, AT_END);
	for (int round = 0; round < 5; round++) {
		operand_zero(&x);
		x.bits[x.count - 1] = bits_of(21);
		event = calloc(1, sizeof(*event));
		first = vgpu_engine_stream_create(r->eng);
		job_add(&big, first, x.bits, x.bits, x.bits, x.count);
		job_event(&record, first, RECORD, event);
		vgpu_engine_submit(r->eng, &big);
		vgpu_engine_submit(r->eng, &record);
		for (int i = 0; i < STREAMS; i++) {
			sum[i] = 0;
			s[i] = vgpu_engine_stream_create(r->eng);
			job_event(&job[2 * i], s[i], WAIT, event);
			job_copy(&job[2 * i + 1], s[i], in_host(&sum[i], 4),
				 in_host(&x.bits[x.count - 1], 4));
			vgpu_engine_submit(r->eng, &job[2 * i]);
			vgpu_engine_submit(r->eng, &job[2 * i + 1]);
		}
		reap_jobs(r, STREAMS * 2 + 2, NULL, NULL);
		check_well(r, job, STREAMS * 2);
		for (int i = 0; i < STREAMS; i++) {
			CHECK(r, sum[i] == 42, "stream %d read %g", i,
			      (double)sum[i]);
			vgpu_engine_stream_destroy(r->eng, s[i]);
		}
		vgpu_engine_stream_destroy(r->eng, first);
		free(event);
	}
	operand_free(&x);
}

/* A stream that waits for itself has nothing to wait for. */
static void case_own(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct vgpu_engine_event event = { 0 };
	struct vgpu_job job[60];
	float x = 1, one = 1;

	for (unsigned int i = 0; i < 60; i += 3) {
		job_add(&job[i], s, &x, &one, &x, 1);
		job_event(&job[i + 1], s, RECORD, &event);
		job_event(&job[i + 2], s, WAIT, &event);
	}
	for (unsigned int i = 0; i < 60; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, 60, NULL, NULL);
	check_well(r, job, 60);
	CHECK(r, x == 21, "20 additions gave %g", (double)x);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case event_cases[] = {
	{ "events: two streams, 100 rounds of writing and reading", case_two_streams, ALWAYS },
	{ "events: a wait is for the last record before it", case_never_recorded, ALWAYS },
	{ "events: recorded again on another stream", case_recorded_again, ALWAYS },
	{ "events: 16 streams in a circle, 40 times", case_circle, ALWAYS },
	{ "events: 40 streams wait for one record", case_many, ALWAYS },
	{ "events: a stream that waits for itself", case_own, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
