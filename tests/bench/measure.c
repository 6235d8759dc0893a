// SPDX-License-Identifier: MIT
/*
 * measure.c - times and counts of the product (see measure.h)
 */
#include "measure.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compute.h"
#include "native.h"
#include "trace.h"
#include "vgpu_nodes.h"

#define FOR_EVER "1000000"

struct nop_mode {
	const char *name;
	const char *floor;
	struct native_mode mode;
	bool pinned;
};

static const struct nop_mode nop_modes[] = {
	{"polled",
	 "cache line ping-pong",
	 {.poll_us = FOR_EVER, .polling = true},
	 false},
	{"polled, each side on a processor",
	 "cache line ping-pong",
	 {.poll_us = FOR_EVER, .polling = true},
	 true},
	{"event, both sleep", "eventfd ping-pong", {.poll_us = "0"}, false},
	{"default, front sleeps", "eventfd ping-pong", {0}, false},
};

static bool fail(const char *what)
{
	fprintf(stderr, "vgpu-bench: %s\n", what);
	return false;
}

/* Puts a batch, publishes it, takes all answers. */
static bool one_batch(struct front *f, struct vgpu_request *req, uint32_t batch)
{
	struct vgpu_response rsp;

	for (uint32_t i = 0; i < batch; i++)
		if (front_put(f, req) < 0)
			return false;
	front_push(f);
	for (uint32_t i = 0; i < batch; i++)
		if (front_next(f, &rsp) != 1 || rsp.status != VGPU_RSP_OK)
			return false;
	return true;
}

static bool many_batches(struct front *f, struct samples *s,
			 struct vgpu_request *req, uint32_t batch, uint32_t ops)
{
	uint64_t last, now;

	for (uint32_t i = 0; i < ops / 10 + 5; i++)
		if (!one_batch(f, req, batch))
			return fail("no answer");
	samples_begin(s, ops);
	last = bench_now();
	for (uint32_t i = 0; i < ops; i++) {
		if (!one_batch(f, req, batch))
			return fail("no answer");
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
	return true;
}

/* Notifications and wake-ups of both sides, from before to now. */
static bool count_events(struct native *n, const struct front_counts *f0,
			 const struct native_stats *s0, uint32_t batches,
			 struct row *row)
{
	const struct front_counts *f1 = &n->f.counts;
	struct native_stats s1;

	if (!native_stats(n, &s1))
		return fail("no statistics from the backend");
	row->sent = (f1->notify_sent - f0->notify_sent + s1.notify_sent -
		     s0->notify_sent) /
		    (double)batches;
	row->woken = (f1->events - f0->events + s1.wakeups - s0->wakeups) /
		     (double)batches;
	return true;
}

static bool measure_batch(struct results *r, struct native *n,
			  struct samples *s, const char *name,
			  const char *floor, uint32_t batch, uint32_t ops)
{
	struct vgpu_request req = front_request(VGPU_OP_NOP);
	struct front_counts before;
	struct native_stats stats;
	struct row *row;

	if (!native_stats(n, &stats))
		return fail("no statistics from the backend");
	before = n->f.counts;
	if (!many_batches(&n->f, s, &req, batch, ops))
		return false;
	row = results_row(r, batch == 1 ? SECTION_NOP : SECTION_BATCH, name, s);
	row->batch = batch;
	results_compare(r, row, results_find(r, SECTION_FLOOR, floor, 0));
	return count_events(n, &before, &stats, ops + ops / 10 + 5, row);
}

/* System calls and sleeps of n requests, on their way as they are timed. */
static bool count_calls(struct results *r, struct native *n, const char *name,
			struct vgpu_request *req, uint32_t requests)
{
	struct count_row *row = &r->count[r->counts++];
	struct trace_counts from, to;
	pid_t self = getpid();
	struct trace *t;
	bool ok = true;

	snprintf(row->name, sizeof(row->name), "%s", name);
	row->requests = requests;
	for (uint32_t i = 0; i < requests && ok; i++) {
		if (i == requests / 10) {
			row->front_sleeps = trace_sleeps(self);
			row->worker_sleeps = trace_sleeps(n->worker);
		}
		ok = one_batch(&n->f, req, 1);
	}
	row->requests -= requests / 10;
	row->front_sleeps = trace_sleeps(self) - row->front_sleeps;
	row->worker_sleeps = trace_sleeps(n->worker) - row->worker_sleeps;

	t = ok ? trace_begin(n->worker) : NULL;
	row->traced = t;
	if (!t)
		return ok || fail("no answer");
	for (uint32_t i = 0; i < requests && ok; i++) {
		/* Being stopped to be watched has put both to sleep. */
		if (i == requests / 10)
			trace_read(t, &from);
		ok = one_batch(&n->f, req, 1);
	}
	trace_read(t, &to);
	trace_end(t);
	row->front_calls = to.self - from.self;
	row->worker_calls = to.other - from.other;
	trace_names(&from, &to, row->worker_names, sizeof(row->worker_names));
	return ok || fail("no answer while traced");
}

/* The two first processors that there are, or the set as it was. */
static void pin(const struct native *n, bool on, cpu_set_t *old)
{
	cpu_set_t one;
	int side = 0;

	if (!on) {
		sched_setaffinity(0, sizeof(*old), old);
		return;
	}
	sched_getaffinity(0, sizeof(*old), old);
	for (int cpu = 0; cpu < CPU_SETSIZE && side < 2; cpu++) {
		if (!CPU_ISSET(cpu, old))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(side++ ? n->worker : 0, sizeof(one), &one);
	}
}

static bool nops_of(struct results *r, const struct bench_plan *plan,
		    struct native *n, struct samples *s,
		    const struct nop_mode *m)
{
	static const uint32_t batches[] = {1, 8, 64};
	struct vgpu_request req = front_request(VGPU_OP_NOP);
	uint32_t ops = m->mode.polling ? plan->polled_ops : plan->event_ops;

	for (unsigned int i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
		if (!measure_batch(r, n, s, m->name, m->floor, batches[i],
				   i ? ops / 4 : ops))
			return false;
		if (m->pinned)
			return true;
	}
	return count_calls(r, n, m->name, &req, plan->quick ? 50 : 20000);
}

bool measure_nops(struct results *r, const struct bench_plan *plan,
		  const char *engine)
{
	struct samples s = {0};
	bool ok = true;

	for (unsigned int i = 0;
	     i < sizeof(nop_modes) / sizeof(*nop_modes) && ok; i++) {
		struct native_mode mode = nop_modes[i].mode;
		struct native n;
		cpu_set_t old;

		mode.engine = engine;
		ok = native_begin(&n, &mode);
		if (nop_modes[i].pinned)
			pin(&n, true, &old);
		ok = ok && nops_of(r, plan, &n, &s, &nop_modes[i]);
		if (nop_modes[i].pinned)
			pin(&n, false, &old);
		ok = native_end(&n) && ok;
	}
	free(s.ns);
	return ok;
}

static bool time_adds(struct native *n, const struct bench_plan *plan,
		      struct samples *s, struct vgpu_request *req,
		      uint32_t elements)
{
	struct vgpu_response rsp;
	uint64_t last, now;

	for (int i = 0; i < 5; i++)
		if (front_call(&n->f, req, &rsp) != VGPU_RSP_OK)
			return fail("a vector add failed");
	samples_begin(s, plan->small_ops);
	last = bench_now();
	while (samples_more(s, plan, elements)) {
		if (front_call(&n->f, req, &rsp) != VGPU_RSP_OK)
			return fail("a vector add failed");
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
	return true;
}

static bool add_of(struct results *r, const struct bench_plan *plan,
		   struct native *n, struct samples *s, uint32_t elements,
		   bool staged)
{
	struct native_stats before, after;
	struct native_vectors v;
	struct vgpu_request req;
	struct row *row;

	if (!native_stats(n, &before) || !native_vectors_make(n, &v, elements))
		return fail("cannot make buffers");
	req = add_request(&v.buf[0], &v.buf[1], &v.buf[2], elements);
	if (!time_adds(n, plan, s, &req, elements) || !native_stats(n, &after))
		return false;
	row = results_row(r, staged ? SECTION_STAGED : SECTION_IN_PLACE,
			  staged ? "native, staged" : "native, in place", s);
	row->elements = elements;
	row->right = bench_check(v.buf[2].data, elements);
	snprintf(row->engine, sizeof(row->engine), "%s", r->engine);
	results_paths(before.by_path, after.by_path, row->variant,
		      sizeof(row->variant));
	results_compare(r, row, results_find(r, SECTION_BARE, NULL, elements));
	if (elements == bench_sizes[0] &&
	    !count_calls(r, n,
			 staged ? "vector add of 1,024, staged" :
				  "vector add of 1,024, in place",
			 &req, plan->quick ? 50 : 5000))
		return false;
	return native_vectors_free(n, &v) && row->right;
}

bool measure_adds(struct results *r, const struct bench_plan *plan,
		  const char *engine, bool staged)
{
	const struct native_mode mode = {
		.engine = engine,
		.poll_us = FOR_EVER,
		.polling = true,
		.staged = staged,
	};
	struct samples s = {0};
	struct native n;
	bool ok = native_begin(&n, &mode);

	if (ok && !staged) {
		native_logged(&n, "engine", "tuning", r->tuning,
			      sizeof(r->tuning));
		native_logged(&n, "dma-test", "result", r->dma_test,
			      sizeof(r->dma_test));
		native_fact(&n, VGPU_NODE_GPU_NAME, r->gpu, sizeof(r->gpu));
		native_fact(&n, VGPU_NODE_DRIVER_VERSION, r->driver,
			    sizeof(r->driver));
		native_fact(&n, VGPU_NODE_COMPUTE_CAPABILITY, r->compute,
			    sizeof(r->compute));
	}
	for (unsigned int i = 0; i < bench_nr_sizes && ok; i++)
		if (bench_sizes[i] <= plan->max_elements)
			ok = add_of(r, plan, &n, &s, bench_sizes[i], staged);
	ok = native_end(&n) && ok;
	free(s.ns);
	return ok;
}

static void target(struct results *r, const char *name, double value,
		   double limit, const char *unit)
{
	struct target *t = &r->target[r->targets++];

	snprintf(t->name, sizeof(t->name), "%s", name);
	t->value = value;
	t->limit = limit;
	t->unit = unit;
}

/* Time of one operation of a row. */
static void target_us(struct results *r, const char *name, int row,
		      double limit)
{
	if (row >= 0)
		target(r, name, r->row[row].p50 / r->row[row].batch / 1000,
		       limit, "us");
}

static void target_ratio(struct results *r, const char *name, int row,
			 double limit)
{
	if (row >= 0 && r->row[row].peer >= 0)
		target(r, name, r->row[row].ratio, limit, "x bare");
}

/* Of the speed that bare has. */
static void target_share(struct results *r, const char *name, int row,
			 double limit)
{
	if (row < 0 || r->row[row].peer < 0)
		return;
	target(r, name, 100 / r->row[row].ratio, limit, "% of bare");
	r->target[r->targets - 1].at_least = true;
}

static void compute_targets(struct results *r)
{
	char name[BENCH_TEXT];

	compute_name_submit(name, 64);
	target_us(r, name, results_find(r, SECTION_COMPUTE, name, 0), 1);
	for (int spin = 1; spin >= 0; spin--)
		target_ratio(r, compute_name_latency(spin),
			     results_find(r, SECTION_COMPUTE,
					  compute_name_latency(spin), 0),
			     1.3);
	compute_name_sgemm(name, 4096);
	target_share(r, name, results_find(r, SECTION_COMPUTE, name, 0), 97);
	for (int i = 0; i < NR_COPIES; i++)
		target_share(r, compute_copy_names[i],
			     results_find(r, SECTION_COMPUTE,
					  compute_copy_names[i], 0),
			     90);
}

void measure_targets(struct results *r)
{
	uint32_t large = 64 << 20;

	target_us(r, "NOP, polled", results_find(r, SECTION_NOP, "polled", 0),
		  1.5);
	target_us(r, "NOP, event mode",
		  results_find(r, SECTION_NOP, "event, both sleep", 0), 15);
	target_ratio(r, "vector add of 1,024, in place",
		     results_find(r, SECTION_IN_PLACE, NULL, 1024), 1.3);
	target_ratio(r, "vector add of 64 Mi, in place",
		     results_find(r, SECTION_IN_PLACE, NULL, large), 1.15);
	target_ratio(r, "vector add of 64 Mi, staged",
		     results_find(r, SECTION_STAGED, NULL, large), 1.5);
	compute_targets(r);
}
