// SPDX-License-Identifier: MIT
/*
 * measure_lib.c - times and counts of a guest's program (see measure_lib.h)
 *
 * The unmodified library over the device in user space (../native/guest.h). What
 * a measured time has in it is what a program pays: its calls of the library.
 */
#include "measure_lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../libvgpufront/vgpufront.h"
#include "../native/guest.h"
#include "compute.h"

#define MAX_GRANTS 200000
#define MAX_PAGES "200000"
#define THREADS 32
/* Products and copies before those that count. */
#define WARM_UP 3

/*
 * A program with one thing to launch, and how often it did. Without a GPU, a
 * saxpy of one element stands for a launch: it counts, too.
 */
struct program {
	struct vgpu_device *dev;
	struct vgpu_module *mod;
	struct vgpu_function *fn;
	struct vgpu_mem *counter;
	struct vgpu_mem *one;
	uint64_t address;
	uint32_t launched;
	bool gpu;
};

static bool ok(int err, const char *what)
{
	if (err)
		fprintf(stderr, "vgpu-bench: %s: %s\n", what,
			vgpu_strerror(err));
	return !err;
}

static bool load(struct program *p)
{
	if (!p->gpu)
		return ok(vgpu_mem_alloc(p->dev, 4, 0, &p->one), "memory") &&
		       ok(vgpu_fill(p->dev, vgpu_at(p->one, 0), 0x3f800000, 4,
				    4, 0),
			  "fill");
	return ok(vgpu_module_load(p->dev, compute_ptx, compute_ptx_size, NULL,
				   0, &p->mod),
		  "module") &&
	       ok(vgpu_function_get(p->mod, COMPUTE_KERNEL, &p->fn),
		  "function");
}

/* spin: neither side ever sleeps; else the backend is given poll_us. */
static bool program_begin(struct program *p, const struct results *r, bool spin,
			  const char *poll_us)
{
	const char *const options[] = {"--max-mapped-pages", MAX_PAGES,
				       poll_us ? "--poll-us" : NULL, poll_us,
				       NULL};
	const struct guest_mode mode = {
		.engine = r->engine,
		.options = options,
		.max_grants = MAX_GRANTS,
		.spin = spin,
	};

	*p = (struct program){.gpu = !strcmp(r->engine, "cuda")};
	if (!guest_begin(&mode))
		return false;
	return ok(vgpu_open(NULL, &p->dev), "open") &&
	       ok(vgpu_mem_alloc(p->dev, 4, 0, &p->counter), "memory") &&
	       ok(vgpu_mem_address(p->counter, &p->address), "address") &&
	       load(p) && ok(vgpu_fence(p->dev, 0), "fence");
}

/* Not one was lost, or done twice. */
static bool counted(struct program *p)
{
	uint32_t is;
	float sum;

	if (!ok(vgpu_copy_out(p->dev, &is, vgpu_at(p->counter, 0), 4, 0),
		"copy") ||
	    !ok(vgpu_fence(p->dev, 0), "fence"))
		return false;
	memcpy(&sum, &is, sizeof(sum));
	if (p->gpu ? is == p->launched : sum == p->launched)
		return true;
	fprintf(stderr, "vgpu-bench: not %u launches were counted\n",
		p->launched);
	return false;
}

static bool program_end(struct program *p, bool done)
{
	done = done && counted(p);
	vgpu_close(p->dev);
	return guest_end() && done;
}

/* What the backend says of work between the two. */
struct meter {
	char by_path[512];
	uint64_t busy_ns;
};

static bool meter_read(struct program *p, struct meter *m)
{
	struct vgpu_device_info info;

	if (!ok(vgpu_get_info(p->dev, &info), "info"))
		return false;
	m->busy_ns = info.busy_ns;
	guest_stat("by_path", m->by_path, sizeof(m->by_path));
	return true;
}

static bool meter_end(struct program *p, const struct meter *from, uint32_t ops,
		      struct row *row)
{
	struct meter now;

	if (!meter_read(p, &now))
		return false;
	row->engine_ns = (double)(now.busy_ns - from->busy_ns) / ops;
	results_paths(from->by_path, now.by_path, row->variant,
		      sizeof(row->variant));
	return true;
}

static int launch(struct program *p)
{
	void *const params[] = {&p->address};

	p->launched++;
	if (p->gpu)
		return vgpu_launch(p->fn, (struct vgpu_dim){1, 1, 1},
				   (struct vgpu_dim){THREADS, 1, 1}, 0, 0,
				   params);
	return vgpu_saxpy(p->dev, 1, vgpu_at(p->one, 0), vgpu_at(p->counter, 0),
			  1, 0);
}

static bool launch_batch(struct program *p, uint32_t n)
{
	int err = 0;

	if (n == 1)
		return ok(launch(p), "launch");
	vgpu_batch_begin(p->dev);
	for (uint32_t i = 0; i < n && !err; i++)
		err = launch(p);
	return ok(vgpu_batch_end(p->dev), "batch") && ok(err, "launch");
}

static bool fence(struct program *p)
{
	return ok(vgpu_fence(p->dev, 0), "fence");
}

static struct row *add_row(struct results *r, const struct program *p,
			   const char *name, struct samples *s, uint32_t batch)
{
	struct row *row = results_row(r, SECTION_COMPUTE, name, s);

	row->batch = batch;
	snprintf(row->engine, sizeof(row->engine), "%s", r->engine);
	if (!p->gpu && !strncmp(name, "launch", 6))
		snprintf(row->variant, sizeof(row->variant),
			 "saxpy of 1 element: no GPU, no launch");
	results_compare(r, row, results_find(r, SECTION_BARE_COMPUTE, name, 0));
	return row;
}

/* What the program pays; the end of the batch is awaited outside the time. */
static bool submits(struct program *p, struct results *r,
		    const struct compute_plan *plan, struct samples *s,
		    uint32_t batch)
{
	char name[BENCH_TEXT];
	uint64_t start;

	samples_begin(s, plan->batches);
	while (s->n < plan->batches) {
		start = bench_now();
		if (!launch_batch(p, batch))
			return false;
		samples_add(s, bench_now() - start);
		if (!fence(p))
			return false;
	}
	add_row(r, p, compute_name_submit(name, batch), s, batch);
	return true;
}

/* Bare CUDA knows no batches: the peer of all is its one row. */
static bool runs(struct program *p, struct results *r,
		 const struct compute_plan *plan, struct samples *s,
		 uint32_t batch)
{
	char name[BENCH_TEXT], bare[BENCH_TEXT];
	struct row *row;
	uint64_t start;

	samples_begin(s, plan->runs);
	while (s->n < plan->runs) {
		start = bench_now();
		for (uint32_t i = 0; i < COMPUTE_RUN; i += batch)
			if (!launch_batch(p, batch))
				return false;
		if (!fence(p))
			return false;
		samples_add(s, bench_now() - start);
	}
	row = add_row(r, p, compute_name_run(name, batch), s, COMPUTE_RUN);
	results_compare(r, row,
			results_find(r, SECTION_BARE_COMPUTE,
				     compute_name_run(bare, 1), 0));
	return true;
}

static bool latency(struct program *p, struct results *r,
		    const struct compute_plan *plan, struct samples *s,
		    bool spin)
{
	uint64_t last, now;

	for (int i = 0; i < 50; i++)
		if (!launch_batch(p, 1) || !fence(p))
			return false;
	samples_begin(s, plan->launches);
	last = bench_now();
	while (s->n < plan->launches) {
		if (!launch_batch(p, 1) || !fence(p))
			return false;
		now = bench_now();
		samples_add(s, now - last);
		last = now;
	}
	add_row(r, p, compute_name_latency(spin), s, 1);
	return true;
}

static bool products(struct program *p, struct results *r,
		     const struct compute_plan *plan, struct samples *s,
		     struct vgpu_mem *const mem[3])
{
	const uint32_t n = plan->order;
	struct vgpu_matrix m[3];
	char name[BENCH_TEXT];
	struct meter meter;
	struct row *row;
	uint64_t start;

	if (!meter_read(p, &meter))
		return false;
	for (int i = 0; i < 3; i++)
		m[i] = (struct vgpu_matrix){vgpu_at(mem[i], 0), n, false};
	samples_begin(s, plan->products);
	for (uint32_t i = 0; i < plan->products + WARM_UP; i++) {
		start = bench_now();
		if (!ok(vgpu_sgemm(p->dev, n, n, n, 1, m[0], m[1], 0, m[2], 0),
			"sgemm") ||
		    !fence(p))
			return false;
		if (i >= WARM_UP)
			samples_add(s, bench_now() - start);
	}
	row = add_row(r, p, compute_name_sgemm(name, n), s, 1);
	row->flops = 2.0 * n * n * n;
	return meter_end(p, &meter, plan->products + WARM_UP, row);
}

static bool sgemm(struct program *p, struct results *r,
		  const struct compute_plan *plan, struct samples *s)
{
	size_t bytes = (size_t)plan->order * plan->order * sizeof(float);
	struct vgpu_mem *mem[3];
	float *host[3];
	bool done = true;

	for (int i = 0; i < 3; i++) {
		host[i] = malloc(bytes);
		if (!host[i])
			abort();
	}
	compute_fill_matrices(host[0], host[1], host[2], plan->order);
	for (int i = 0; i < 3 && done; i++)
		done = ok(vgpu_mem_alloc(p->dev, bytes, 0, &mem[i]),
			  "memory") &&
		       ok(vgpu_copy_in(p->dev, vgpu_at(mem[i], 0), host[i],
				       bytes, 0),
			  "copy");
	done = done && fence(p) && products(p, r, plan, s, mem) &&
	       ok(vgpu_copy_out(p->dev, host[2], vgpu_at(mem[2], 0), bytes, 0),
		  "copy") &&
	       fence(p) && compute_check_product(host[2], plan->order);
	/* Memory of the device goes when it is closed. */
	for (int i = 0; i < 3; i++)
		free(host[i]);
	return done;
}

static bool copies_of(struct program *p, struct results *r,
		      const struct compute_plan *plan, struct samples *s,
		      enum compute_copy how, struct vgpu_ref to,
		      struct vgpu_ref from)
{
	struct meter meter;
	struct row *row;
	uint64_t start;

	if (!meter_read(p, &meter))
		return false;
	samples_begin(s, plan->copies);
	for (uint32_t i = 0; i < plan->copies + WARM_UP; i++) {
		start = bench_now();
		if (!ok(vgpu_copy(p->dev, to, from, plan->copy_bytes, 0),
			"copy") ||
		    !fence(p))
			return false;
		if (i >= WARM_UP)
			samples_add(s, bench_now() - start);
	}
	row = add_row(r, p, compute_copy_names[how], s, 1);
	row->bytes = plan->copy_bytes;
	return meter_end(p, &meter, plan->copies + WARM_UP, row);
}

static bool copies(struct program *p, struct results *r,
		   const struct compute_plan *plan, struct samples *s)
{
	const size_t bytes = plan->copy_bytes;
	struct vgpu_buffer *buf[2];
	struct vgpu_mem *mem[2];
	bool done = true;

	for (int i = 0; i < 2 && done; i++)
		done = ok(vgpu_buffer_alloc(p->dev, bytes, &buf[i]),
			  "buffer") &&
		       ok(vgpu_mem_alloc(p->dev, bytes, 0, &mem[i]), "memory");
	if (!done)
		return false;
	compute_fill_bytes(vgpu_buffer_ptr(buf[0]), bytes, 1);
	return copies_of(p, r, plan, s, COPY_IN, vgpu_at(mem[0], 0),
			 vgpu_in(buf[0], 0)) &&
	       copies_of(p, r, plan, s, COPY_WITHIN, vgpu_at(mem[1], 0),
			 vgpu_at(mem[0], 0)) &&
	       copies_of(p, r, plan, s, COPY_OUT, vgpu_in(buf[1], 0),
			 vgpu_at(mem[1], 0)) &&
	       compute_check_bytes(vgpu_buffer_ptr(buf[1]), bytes, 1);
}

/* Both asleep: calls of a batch and of the fence behind it, by count. */
static bool calls(struct program *p, struct results *r,
		  const struct compute_plan *plan, uint32_t batch)
{
	struct call_row *row = &r->call[r->calls++];
	struct device_counts before, sent, after;

	*row = (struct call_row){.batch = batch, .ops = plan->batches};
	for (uint32_t i = 0; i < plan->batches; i++) {
		before = device_counts();
		if (!launch_batch(p, batch))
			return false;
		sent = device_counts();
		if (!fence(p))
			return false;
		after = device_counts();
		row->enters += sent.enters - before.enters;
		row->sent += sent.notify_sent - before.notify_sent;
		row->fence_enters += after.enters - sent.enters;
		row->fence_sent += after.notify_sent - sent.notify_sent;
		row->events += after.events - before.events;
	}
	return true;
}

static bool spinning(struct results *r, const struct compute_plan *plan,
		     struct samples *s)
{
	struct program p;
	bool done = program_begin(&p, r, true, "1000000");

	for (unsigned int i = 0; i < compute_nr_batches && done; i++)
		done = submits(&p, r, plan, s, compute_batches[i]);
	for (unsigned int i = 0; i < compute_nr_batches && done; i++)
		done = runs(&p, r, plan, s, compute_batches[i]);
	done = done && latency(&p, r, plan, s, true) && sgemm(&p, r, plan, s) &&
	       copies(&p, r, plan, s);
	return program_end(&p, done);
}

/* The backend as it is delivered. */
static bool sleeping(struct results *r, const struct compute_plan *plan,
		     struct samples *s)
{
	struct program p;
	bool done = program_begin(&p, r, false, NULL);

	return program_end(&p, done && latency(&p, r, plan, s, false));
}

static bool counting(struct results *r, const struct compute_plan *plan)
{
	struct program p;
	bool done = program_begin(&p, r, false, "0");

	for (unsigned int i = 0; i < compute_nr_batches && done; i++)
		done = calls(&p, r, plan, compute_batches[i]);
	return program_end(&p, done);
}

bool measure_lib(struct results *r, const struct bench_plan *bench)
{
	const struct compute_plan plan =
		compute_plan(bench, !strcmp(r->engine, "cuda"));
	struct samples s = {0};
	bool done = spinning(r, &plan, &s) && sleeping(r, &plan, &s) &&
		    counting(r, &plan);

	free(s.ns);
	return done;
}
