/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the files of vgpu-bench share: times, rows, counts
 *
 * One process measures at a time: the program itself is the frontend, what it
 * is compared with runs in a process of its own (peer.h). All times are
 * nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef VGPU_BENCH_H
#define VGPU_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* How long each thing is measured: quick is for a test of the program. */
struct bench_plan {
	bool quick;
	uint32_t polled_ops;
	uint32_t event_ops;
	uint32_t small_ops;
	uint32_t trial_ops;
	uint32_t large_ops;
	uint64_t budget_ns;
	uint32_t max_elements;
	uint32_t idle_adds;
	uint32_t settle_us;
	uint32_t observe_us;
};

/* Up to here a row has small_ops operations, above as many as its time allows. */
#define BENCH_SMALL 65536

/*
 * Latencies of operations; warm-up is over. sample_more(): another one is
 * wanted, by the number of elements it works on (0: none).
 */
struct samples {
	uint64_t *ns;
	uint32_t n, max;
	uint64_t start;
};

void samples_begin(struct samples *s, uint32_t max);
bool samples_more(const struct samples *s, const struct bench_plan *plan,
		  uint32_t elements);
static inline void samples_add(struct samples *s, uint64_t ns)
{
	s->ns[s->n++] = ns;
}

#define BENCH_TEXT 64

enum bench_section {
	SECTION_FLOOR, /* what two processes need without any of this */
	SECTION_NOP,
	SECTION_BATCH,
	SECTION_BARE,
	SECTION_REFERENCE, /* beside bare: how else one could do it */
	SECTION_IN_PLACE,
	SECTION_STAGED,
	SECTION_BARE_COMPUTE,
	SECTION_COMPUTE, /* calls of the guest's library */
	SECTION_BARE_NEIGHBOUR, /* two processes on one GPU */
	SECTION_NEIGHBOUR,	/* two guests */
	NR_SECTIONS
};

/*
 * One measured thing.
 *
 * @engine: who did the work; "" where there is none
 * @variant: of a peer: how; of the backend: the paths its jobs took
 * @elements: of a vector add, 12 octets each
 * @batch: operations of one measured time
 * @bytes, @flops: of a copy, of a product
 * @engine_ns: of an operation, that the engine was busy with it; 0: not asked
 * @sent, @woken: notifications sent, and wake-ups, per batch and both ways
 * @peer: index of the row that ratio is to, or -1
 * @right: the sums were compared, and exact
 */
struct row {
	enum bench_section section;
	char name[BENCH_TEXT];
	char engine[BENCH_TEXT];
	char variant[BENCH_TEXT];
	uint32_t elements;
	uint32_t batch;
	uint64_t bytes;
	double flops;
	double engine_ns;
	uint32_t ops;
	double p50, p90, p99, p999, max;
	double sent, woken;
	int peer;
	double ratio;
	bool right;
};

/* System calls and sleeps, counted apart from the times. */
struct count_row {
	char name[BENCH_TEXT];
	uint32_t requests;
	bool traced;
	uint64_t front_calls, worker_calls;
	char worker_names[2 * BENCH_TEXT];
	uint64_t front_sleeps, worker_sleeps;
};

/*
 * What a guest's program calls its kernel and hypervisor for, in all: ops
 * batches of launches, with a fence behind each.
 *
 * @enters, @sent: system calls and events, to launch; then those of the fences
 * @events: taken, of both
 */
struct call_row {
	uint32_t batch;
	uint32_t ops;
	uint64_t enters, sent;
	uint64_t fence_enters, fence_sent;
	uint64_t events;
};

/* What keeps a GPU busy: kernels of 20 us, of 1 ms (neighbour.h). */
enum neighbour_work { WORK_SHORT, WORK_LONG, NR_WORKS };

/*
 * Work without pause, by one or by two, for a while.
 *
 * @how: what stood for kernels, where it was none
 * @weight: of the second 0: there was one
 * @done: kernels that ended
 * @used_ns: what the daemon has charged meanwhile; where charged
 * @total: kernels of both in a time, beside those of one alone; 0: not known
 * @off_kernels, @off_charged: the larger deviation from what the weights promise,
 *	per cent of that: of kernels, of what was charged; 0 where there is one
 */
struct share_row {
	enum bench_section section;
	char name[BENCH_TEXT];
	char how[BENCH_TEXT];
	uint32_t kind;
	uint32_t weight[2];
	uint64_t elapsed_ns;
	uint64_t done[2];
	bool charged;
	uint64_t used_ns[2];
	double total;
	double off_kernels, off_charged;
};

/* at_least: the limit is a lower one. */
struct target {
	char name[BENCH_TEXT];
	double value, limit;
	const char *unit;
	bool at_least;
};

static inline bool target_reached(const struct target *t)
{
	return t->at_least ? t->value >= t->limit : t->value <= t->limit;
}

#define MAX_ROWS 128

struct results {
	struct row row[MAX_ROWS];
	unsigned int rows;
	struct count_row count[16];
	unsigned int counts;
	struct call_row call[4];
	unsigned int calls;
	struct share_row share[48];
	unsigned int shares;
	struct target target[48];
	unsigned int targets;
	char skipped[4][2 * BENCH_TEXT];
	unsigned int nr_skipped;
	uint32_t rounds[NR_WORKS];
	char engine[BENCH_TEXT];
	char gpu[BENCH_TEXT];
	char driver[BENCH_TEXT];
	char compute[BENCH_TEXT];
	char tuning[4 * BENCH_TEXT];
	char dma_test[BENCH_TEXT];
	char why_cpu[256];
};

/* A row from samples, which it sorts; the caller fills in the rest. */
struct row *results_row(struct results *r, enum bench_section section,
			const char *name, struct samples *s);
/* The row of that section and size; -1 where there is none. */
int results_find(const struct results *r, enum bench_section section,
		 const char *name, uint32_t elements);
/*
 * "zero-copy:10005" of the backend's statistics now, less what was there before,
 * as "zero-copy".
 */
void results_paths(const char *before, const char *now, char *out, size_t size);
/*
 * An empty row, to be filled; then its total, beside one alone of that mode
 * (neighbour.h), and its deviations.
 */
struct share_row *results_share(struct results *r);
void results_total(const struct results *r, struct share_row *row,
		   const char *mode);
/* What was not measured, and why. */
void results_skip(struct results *r, const char *what, const char *why);
/* Sets peer and ratio of a row, by the medians for the same work. */
void results_compare(struct results *r, struct row *row, int peer);

extern const uint32_t bench_sizes[];
extern const unsigned int bench_nr_sizes;

/* Input i of a vector add: sums are exact only if they are rounded right. */
static inline float bench_a(uint32_t i)
{
	return (float)(i % 8388593u) * 0.3f;
}

static inline float bench_b(uint32_t i)
{
	return (float)(i % 16381u) * 1.7f - 9000.0f;
}

void bench_fill(float *a, float *b, float *c, uint32_t n);
/* Every bit of every sum. */
bool bench_check(const float *c, uint32_t n);

#endif /* VGPU_BENCH_H */
