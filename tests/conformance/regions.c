// SPDX-License-Identifier: MIT
/*
 * regions.c - memory that an engine is told of, so that it reaches it in place
 *
 * An engine without use for regions says so, and all must be right nevertheless.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

#define PAGE	MAPPING_PAGE

static const uint32_t *words_of(const struct vgpu_job *job, unsigned int i)
{
	return job->operand[i].host;
}

static bool in_place(const struct vgpu_job *job)
{
	return job->operand[0].region && job->operand[1].region &&
	       job->operand[2].region;
}

/* What the path says must fit where the operands are. */
static void check_path(struct run *r, const struct vgpu_job *job)
{
	bool direct = job->path == VGPU_PATH_ZERO_COPY ||
		      job->path == VGPU_PATH_PIPELINED;
	bool staged = job->path == VGPU_PATH_STAGED_ZERO_COPY ||
		      job->path == VGPU_PATH_STAGED_PIPELINED;

	if (r->remote || strcmp(r->engine, "cuda"))
		return;
	CHECK(r, in_place(job) ? direct : staged,
	      "path \"%s\" of a job %s", vgpu_path_name(job->path),
	      in_place(job) ? "in regions" : "partly in no region");
}

/* Elements of one size: aligned, each operand off by itself, at both ends. */
static void add_in(struct run *r, uint64_t count)
{
	static const unsigned int off[][3] = {
		{ 0, 0, 0 }, { 1, 1, 1 }, { 1, 0, 0 }, { 0, 3, 2 }, { 7, 5, 33 },
	};
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct mapping a, b, c;
	struct vgpu_job job;

	mapping_make(r, &a, count + 64, true, 1);
	mapping_make(r, &b, count + 64, true, 100000);
	mapping_make(r, &c, count + 64, false, 200000);
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		uint32_t before, after;

		job_add(&job, s, NULL, NULL, NULL, count);
		mapping_place(&job, 0, &a, count, off[i][0]);
		mapping_place(&job, 1, &b, count, off[i][1]);
		mapping_place(&job, 2, &c, count, off[i][2]);
		before = words_of(&job, 2)[-1];
		after = off[i][2] ? words_of(&job, 2)[count] : 0;
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_OK, "status %u", job.status);
		check_sum(r, words_of(&job, 0), words_of(&job, 1),
			  words_of(&job, 2), count);
		check_path(r, &job);
		CHECK(r, words_of(&job, 2)[-1] == before &&
		      (!off[i][2] || words_of(&job, 2)[count] == after),
		      "words beside %llu elements were written",
		      (unsigned long long)count);
	}
	mapping_free(r, &a);
	mapping_free(r, &b);
	mapping_free(r, &c);
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_sizes(struct run *r)
{
	static const uint32_t sizes[] = {
		1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 1023, 1024, 4092,
		4095, 4096, 4097, 16385, 65537, 262145, 1 << 20, 3000003,
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (!r->quick || sizes[i] < 70000)
			add_in(r, sizes[i]);
}

/* Larger than what any engine does in one go. */
static void case_large(struct run *r)
{
	add_in(r, (40 << 20) + 5);
}

/* Every way in which some operands have regions and some have none. */
static void case_mixed(struct run *r)
{
	static const uint32_t sizes[] = { 1000, 100001, 2000003 };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);

	for (size_t i = 0; i < (r->quick ? 1 : 3); i++) {
		struct mapping m[3];
		struct vgpu_job job;

		for (unsigned int k = 0; k < 3; k++)
			mapping_make(r, &m[k], sizes[i], k < 2,
				     k * 100000 + 5);
		for (unsigned int mask = 0; mask < 8; mask++) {
			memset(m[2].base, 0, m[2].pages * PAGE);
			job_add(&job, s, NULL, NULL, NULL, sizes[i]);
			for (unsigned int k = 0; k < 3; k++) {
				mapping_place(&job, k, &m[k], sizes[i], k);
				if (mask >> k & 1)
					job.operand[k].region = NULL;
			}
			run_job(r, &job);
			CHECK(r, job.status == VGPU_RSP_OK, "status %u",
			      job.status);
			check_sum(r, words_of(&job, 0), words_of(&job, 1),
				  words_of(&job, 2), sizes[i]);
			check_path(r, &job);
		}
		for (unsigned int k = 0; k < 3; k++)
			mapping_free(r, &m[k]);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_in_place(struct run *r)
{
	const uint64_t count = r->quick ? 5003 : 700001;
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	uint32_t *keep = malloc(count * 4);
	struct mapping a, b;
	struct vgpu_job job;

	mapping_make(r, &a, count, false, 11);
	mapping_make(r, &b, count, true, 100012);
	job_add(&job, s, NULL, NULL, NULL, count);
	mapping_place(&job, 0, &a, count, 1);
	mapping_place(&job, 1, &b, count, 2);
	mapping_place(&job, 2, &a, count, 1);
	memcpy(keep, words_of(&job, 0), count * 4);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "a = a + b: status %u", job.status);
	check_sum(r, keep, words_of(&job, 1), words_of(&job, 2), count);

	memcpy(keep, words_of(&job, 0), count * 4);
	job_add(&job, s, NULL, NULL, NULL, count);
	for (unsigned int i = 0; i < 3; i++)
		mapping_place(&job, i, &a, count, 1);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "a = a + a: status %u", job.status);
	check_sum(r, keep, keep, words_of(&job, 2), count);
	free(keep);
	mapping_free(r, &a);
	mapping_free(r, &b);
	vgpu_engine_stream_destroy(r->eng, s);
}

/*
 * Regions come and go, at the same addresses too, with other pages behind them:
 * what an engine keeps of an old one must not be used for a new one.
 */
static void case_come_and_go(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct mapping m[3];
	struct vgpu_job job;

	for (uint32_t round = 0; round < (r->quick ? 3u : 20u); round++) {
		for (unsigned int k = 0; k < 3; k++)
			mapping_make(r, &m[k], 5000, k < 2,
				     round * 1000 + k * 100000);
		job_add(&job, s, NULL, NULL, NULL, 5000);
		for (unsigned int k = 0; k < 3; k++)
			mapping_place(&job, k, &m[k], 5000, 0);
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_OK, "status %u", job.status);
		check_sum(r, words_of(&job, 0), words_of(&job, 1),
			  words_of(&job, 2), 5000);
		for (unsigned int k = 0; k < 3; k++)
			mapping_free(r, &m[(k + round) % 3]);
	}
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_test(struct run *r)
{
	char why[VGPU_ENGINE_WHY] = "";
	struct mapping m;
	size_t i, n;
	bool ok;

	mapping_pages(&m, 300 << 10, PROT_READ | PROT_WRITE);
	memset(m.base, 0x55, m.pages * PAGE);
	ok = vgpu_engine_region_test(r->eng, m.base, m.pages * PAGE, why);
	for (i = 0, n = 0; i < m.pages * PAGE; i++)
		n += m.base[i] != 0;
	CHECK(r, !n, "%zu octets are not zero after the test", n);
	CHECK(r, ok || why[0], "fails without a reason");
	printf("# %s: regions: %s%s\n", r->label, ok ? "yes" : "no, ", why);
	m.region = vgpu_engine_region_add(r->eng, m.base, m.pages * PAGE,
					  false);
	CHECK(r, ok || !m.region, "a region, after the test failed");
	CHECK(r, !ok || m.region, "no region, although the test passed");
	mapping_free(r, &m);
}

/* An operand that is not where it says it is must not be followed. */
static void case_refused(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct mapping m[3];
	struct vgpu_job job;

	for (unsigned int k = 0; k < 3; k++)
		mapping_make(r, &m[k], 1000, k < 2, k * 100000);
	/* Regions that are none cannot be missed. */
	for (unsigned int bad = 0; bad < 4 && m[0].region; bad++) {
		job_add(&job, s, NULL, NULL, NULL, 1000);
		for (unsigned int k = 0; k < 3; k++)
			mapping_place(&job, k, &m[k], 1000, 0);
		if (bad == 0)
			job.operand[1].host = m[1].base - 4;
		else if (bad == 1)
			job.operand[1].host = (uint32_t *)words_of(&job, 1) + 1;
		else if (bad == 2)
			job.operand[0].region = m[1].region;
		else
			job.operand[2] = job.operand[0];
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_INVALID,
		      "mistake %u: status %u", bad, job.status);
		CHECK(r, job.path == VGPU_PATH_NONE, "mistake %u: path \"%s\"",
		      bad, vgpu_path_name(job.path));
	}
	for (unsigned int k = 0; k < 3; k++)
		mapping_free(r, &m[k]);
	vgpu_engine_stream_destroy(r->eng, s);
}

#define STREAMS	6
#define CHAIN	60

struct chained {
	struct vgpu_job job;		/* first: owner points here */
	unsigned int stream, place;
};

struct chains {
	struct run *r;
	unsigned int next[STREAMS];
};

static void seen(struct vgpu_job *job, void *arg)
{
	struct chained *j = (struct chained *)job;
	struct chains *c = arg;

	CHECK(c->r, job->status == VGPU_RSP_OK, "stream %u, job %u: status %u",
	      j->stream, j->place, job->status);
	CHECK(c->r, j->place == c->next[j->stream],
	      "stream %u: job %u came back where %u was next", j->stream,
	      j->place, c->next[j->stream]);
	CHECK(c->r, job->path != VGPU_PATH_NONE && job->time_ns,
	      "a job without a path or a time");
	c->next[j->stream]++;
}

/*
 * More jobs in flight than an engine has room for, on several streams, small
 * and large, each needing the one before; every third has an operand in no
 * region, so that the ways alternate within a stream.
 */
static void case_chains(struct run *r)
{
	static const uint32_t counts[STREAMS] = {
		1, 1000, 4099, 70001, 300001, 1200003,
	};
	struct chained *j = calloc(STREAMS * CHAIN, sizeof(*j));
	struct vgpu_engine_stream *s[STREAMS];
	struct mapping x[STREAMS], y[STREAMS];
	struct chains chains = { .r = r };
	uint32_t *want[STREAMS][2];

	for (unsigned int i = 0; i < STREAMS; i++) {
		uint64_t n = r->quick ? counts[i] % 5000 : counts[i];

		s[i] = vgpu_engine_stream_create(r->eng);
		mapping_make(r, &x[i], n, false, i * 1000);
		mapping_make(r, &y[i], n, false, i * 1000 + 100000);
		for (unsigned int k = 0; k < CHAIN; k++) {
			struct chained *c = &j[i * CHAIN + k];

			job_add(&c->job, s[i], NULL, NULL, NULL, n);
			mapping_place(&c->job, 0, &x[i], n, 0);
			mapping_place(&c->job, 1, &y[i], n, 1);
			c->job.operand[2] = c->job.operand[k % 2];
			if (k % 3 == 2)
				c->job.operand[k % 2].region = NULL;
			c->stream = i;
			c->place = k;
		}
		for (unsigned int o = 0; o < 2; o++) {
			want[i][o] = malloc(n * 4);
			memcpy(want[i][o], words_of(&j[i * CHAIN].job, o),
			       n * 4);
		}
		for (unsigned int k = 0; k < CHAIN; k++)
			for (uint64_t e = 0; e < n; e++)
				want[i][k % 2][e] = add_bits(want[i][0][e],
							     want[i][1][e]);
	}
	for (unsigned int k = 0; k < CHAIN; k++)
		for (unsigned int i = 0; i < STREAMS; i++)
			vgpu_engine_submit(r->eng, &j[i * CHAIN + k].job);
	reap_jobs(r, STREAMS * CHAIN, seen, &chains);
	for (unsigned int i = 0; i < STREAMS; i++) {
		const struct vgpu_job *job = &j[i * CHAIN].job;

		for (unsigned int o = 0; o < 2; o++) {
			for (uint64_t e = 0; e < job->operand[o].count; e++)
				CHECK(r, same_bits(want[i][o][e],
						   words_of(job, o)[e]),
				      "stream %u, element %llu: 0x%08x, not 0x%08x",
				      i, (unsigned long long)e,
				      words_of(job, o)[e], want[i][o][e]);
			free(want[i][o]);
		}
		mapping_free(r, &x[i]);
		mapping_free(r, &y[i]);
		vgpu_engine_stream_destroy(r->eng, s[i]);
	}
	free(j);
}

/* Nobody arms: jobs end although only reap looks for them. */
static void case_polled(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct mapping m[3];
	struct vgpu_job job, *done;
	uint64_t end = now_ns() + UINT64_C(60000000000);

	for (unsigned int k = 0; k < 3; k++)
		mapping_make(r, &m[k], 1024, k < 2, k * 100000);
	for (int i = 0; i < 500; i++) {
		job_add(&job, s, NULL, NULL, NULL, 1024);
		for (unsigned int k = 0; k < 3; k++)
			mapping_place(&job, k, &m[k], 1024, 0);
		vgpu_engine_submit(r->eng, &job);
		do {
			done = vgpu_engine_reap(r->eng);
		} while (!done && now_ns() < end);
		CHECK(r, done == &job, "the job does not end");
		if (!done)
			exit(255);
		check_sum(r, words_of(&job, 0), words_of(&job, 1),
			  words_of(&job, 2), 1024);
	}
	for (unsigned int k = 0; k < 3; k++)
		mapping_free(r, &m[k]);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case region_cases[] = {
	{ "regions: the test, and memory zeroed after it", case_test, ALWAYS },
	{ "regions: sizes and alignments, at guard pages, inputs read-only", case_sizes, ALWAYS },
	{ "regions: 40 Mi elements", case_large, UNLESS_QUICK },
	{ "regions: some operands in none", case_mixed, ALWAYS },
	{ "regions: outputs in place of inputs", case_in_place, ALWAYS },
	{ "regions: added and removed", case_come_and_go, ALWAYS },
	{ "regions: operands outside theirs are refused", case_refused, ALWAYS },
	{ "regions: 6 streams, chains of 60 jobs, ways that alternate", case_chains, ALWAYS },
	{ "regions: 500 jobs that nobody waits for", case_polled, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
