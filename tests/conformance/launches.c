// SPDX-License-Identifier: MIT
/*
 * launches.c - the guest's own kernels: results, arguments, order, and launches
 * that cannot be
 *
 * For engines with a GPU. What each kernel does is in kernels.ptx.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "code.h"

static void saxpy_args(struct args *args, uint64_t x, uint64_t y, uint32_t n,
		       float alpha)
{
	args->len = 0;
	args_put64(args, 0, x);
	args_put64(args, 8, y);
	args_put32(args, 16, n);
	args_put32(args, 20, bits_of(alpha));
}

static void check_saxpy(struct run *r, const char *what, float alpha,
			const uint32_t *x, const uint32_t *y,
			const uint32_t *got, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t want = bits_of(fmaf(alpha, float_of(x[i]),
					     float_of(y[i])));

		CHECK(r, same_bits(want, got[i]),
		      "%s: element %u of %u is 0x%08x, not 0x%08x", what, i, n,
		      got[i], want);
	}
}

/* Blocks of 256 threads for n elements. */
static uint32_t blocks(uint32_t n)
{
	return (n + 255) / 256;
}

static void case_saxpy(struct run *r)
{
	static const uint32_t sizes[] = { 1, 255, 1000, 300007 };
	struct vgpu_engine_mem mx, my;
	struct operand x, y, got;
	struct args args;
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	for (unsigned int i = 0; i < 4; i++) {
		uint32_t n = sizes[i];

		operand_make(&x, n, AT_END);
		operand_make(&y, n, AT_END);
		operand_make(&got, n, AT_END);
		operand_fill(&x, 1);
		operand_fill(&y, 2);
		mem_make(r, b.s, &mx, n * 4ull);
		mem_make(r, b.s, &my, n * 4ull);
		mem_write(r, b.s, &mx, x.bits, n * 4ull);
		mem_write(r, b.s, &my, y.bits, n * 4ull);
		saxpy_args(&args, mx.address, my.address, n, -3.7f);
		job_launch(&job, b.s, &b.code.fn[CODE_saxpy], blocks(n), 256,
			   &args);
		run_well(r, &job, "launch");
		CHECK(r, job.time_ns, "a launch took no time");
		mem_read(r, b.s, &my, got.bits, n * 4ull);
		check_saxpy(r, "saxpy", -3.7f, x.bits, y.bits, got.bits, n);
		vgpu_engine_mem_free(r->eng, &mx);
		vgpu_engine_mem_free(r->eng, &my);
		operand_free(&x);
		operand_free(&y);
		operand_free(&got);
	}
	bench_close(r, &b);
}

/* Addresses that only the engine knows: of memory, and of a region. */
static void case_relocations(struct run *r)
{
	enum { N = 1000, AT = 12 };
	struct vgpu_engine_mem mem;
	uint32_t x[N], y[N], got[N];
	struct operand ox = { .bits = x, .count = N }, oy = { .bits = y, .count = N };
	struct vgpu_engine_reloc reloc[2];
	struct mapping map;
	struct args args;
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	operand_fill(&ox, 3);
	operand_fill(&oy, 4);
	mem_make(r, b.s, &mem, 2 * sizeof(x) + AT);
	mapping_make(r, &map, 2 * N, false, 1);
	/* Both in memory; then one in the region, in which it is written too. */
	for (int way = 0; way < (map.region ? 3 : 1); way++) {
		uint64_t at_x = way == 1 ? 0 : AT, at_y = way == 2 ? 8 : AT + sizeof(x);

		memcpy(map.base + (way == 2 ? 8 : 0), way == 2 ? y : x, sizeof(x));
		job_copy(&job, b.s, in_mem(&mem, AT, sizeof(x)),
			 in_host(x, sizeof(x)));
		run_well(r, &job, "copy");
		job_copy(&job, b.s, in_mem(&mem, AT + sizeof(x), sizeof(y)),
			 in_host(y, sizeof(y)));
		run_well(r, &job, "copy");
		memset(reloc, 0, sizeof(reloc));
		reloc[0].target = way == 1 ? in_mapping(&map, at_x, 0) :
					     in_mem(&mem, at_x, 0);
		reloc[1].target = way == 2 ? in_mapping(&map, at_y, 0) :
					     in_mem(&mem, at_y, 0);
		reloc[1].at = 8;
		/* What is in the blob in their places is nothing. */
		saxpy_args(&args, UINT64_MAX, 0x1234, N, 0.3f);
		job_launch(&job, b.s, &b.code.fn[CODE_saxpy], blocks(N), 256,
			   &args);
		job.launch.reloc = reloc;
		job.launch.nr_relocs = 2;
		run_well(r, &job, "launch with relocations");
		if (way == 2) {
			memcpy(got, map.base + 8, sizeof(got));
		} else {
			job_copy(&job, b.s, in_host(got, sizeof(got)),
				 in_mem(&mem, AT + sizeof(x), sizeof(got)));
			run_well(r, &job, "copy");
		}
		check_saxpy(r, way ? "a relocation to a region" :
				     "relocations to memory", 0.3f, x, y, got, N);
	}
	printf("# %s: relocations to a region: %s\n", r->label,
	       map.region ? "tried" : "there is none");
	mapping_free(r, &map);
	vgpu_engine_mem_free(r->eng, &mem);
	bench_close(r, &b);
}

static void case_bad_relocations(struct run *r)
{
	struct vgpu_engine_mem mem, none = { .bytes = 64 };
	struct vgpu_engine_reloc reloc;
	uint32_t host = 0;
	struct args args = { .len = 0 };
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	mem_make(r, b.s, &mem, 64);
	for (int bad = 0; bad < 5; bad++) {
		uint16_t want = VGPU_RSP_INVALID;

		args_put64(&args, 0, 0);
		reloc = (struct vgpu_engine_reloc){ .target = in_mem(&mem, 0, 0) };
		if (bad == 0) {
			reloc.at = 4;
		} else if (bad == 1) {
			reloc.at = 8;
		} else if (bad == 2) {
			reloc.target.offset = 65;
		} else if (bad == 3) {
			reloc.target = in_host(&host, 0);
			want = VGPU_RSP_UNSUPPORTED;
		} else {
			reloc.target.mem = &none;
			want = VGPU_RSP_NO_HANDLE;
		}
		job_launch(&job, b.s, &b.code.fn[CODE_count], 1, 1, &args);
		job.launch.reloc = &reloc;
		job.launch.nr_relocs = 1;
		run_job(r, &job);
		CHECK(r, job.status == want, "bad relocation %d: status %u, not %u",
		      bad, job.status, want);
	}
	check_counts(r, b.s, &b.code, "after bad relocations");
	vgpu_engine_mem_free(r->eng, &mem);
	bench_close(r, &b);
}

static void case_shared(struct run *r)
{
	enum { N = 256 };
	struct vgpu_engine_mem in, out;
	uint32_t v[N], got[N];
	struct args args = { .len = 0 };
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	for (uint32_t i = 0; i < N; i++)
		v[i] = i * i + 7;
	mem_make(r, b.s, &in, sizeof(v));
	mem_make(r, b.s, &out, sizeof(v));
	mem_write(r, b.s, &in, v, sizeof(v));
	args_put64(&args, 0, out.address);
	args_put64(&args, 8, in.address);
	job_launch(&job, b.s, &b.code.fn[CODE_exchange], 1, N, &args);
	job.launch.shared = N * 4;
	run_well(r, &job, "launch with shared memory");
	mem_read(r, b.s, &out, got, sizeof(got));
	for (uint32_t i = 0; i < N; i++)
		CHECK(r, got[i] == v[N - 1 - i] + 2 * v[(i + 1) % N],
		      "element %u is %u", i, got[i]);
	vgpu_engine_mem_free(r->eng, &in);
	vgpu_engine_mem_free(r->eng, &out);
	bench_close(r, &b);
}

/* Addresses that the guest put into memory itself. */
static void case_table(struct run *r)
{
	enum { N = 20 };
	struct vgpu_engine_mem table, out, mem[N];
	uint64_t addresses[N];
	uint32_t got[N];
	struct args args = { .len = 0 };
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	mem_make(r, b.s, &table, sizeof(addresses));
	mem_make(r, b.s, &out, sizeof(got));
	for (uint32_t i = 0; i < N; i++) {
		uint32_t v = 1000 + i;

		mem_make(r, b.s, &mem[i], 4);
		mem_write(r, b.s, &mem[i], &v, 4);
		addresses[i] = mem[i].address;
	}
	mem_write(r, b.s, &table, addresses, sizeof(addresses));
	args_put64(&args, 0, table.address);
	args_put64(&args, 8, out.address);
	args_put32(&args, 16, N);
	job_launch(&job, b.s, &b.code.fn[CODE_gather], 1, 32, &args);
	run_well(r, &job, "launch with a table of addresses");
	mem_read(r, b.s, &out, got, sizeof(got));
	for (uint32_t i = 0; i < N; i++) {
		CHECK(r, got[i] == 1000 + i, "element %u is %u", i, got[i]);
		vgpu_engine_mem_free(r->eng, &mem[i]);
	}
	vgpu_engine_mem_free(r->eng, &table);
	vgpu_engine_mem_free(r->eng, &out);
	bench_close(r, &b);
}

static void case_odd(struct run *r)
{
	const uint32_t last = 0xcafe1234;
	const uint16_t half = 0xbeef;
	struct vgpu_engine_mem out;
	uint32_t got[3];
	struct args args;
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	mem_make(r, b.s, &out, sizeof(got));
	memset(&args, 0x55, sizeof(args));
	args.len = 0;
	args_put(&args, 0, "\x9d", 1);
	args_put(&args, 8 + 20, &last, sizeof(last));
	args_put(&args, 32, &half, sizeof(half));
	args_put64(&args, 40, out.address);
	job_launch(&job, b.s, &b.code.fn[CODE_odd], 1, 1, &args);
	run_well(r, &job, "launch with odd parameters");
	mem_read(r, b.s, &out, got, sizeof(got));
	CHECK(r, got[0] == 0x9d && got[1] == last && got[2] == half,
	      "0x%x, 0x%x, 0x%x arrived", got[0], got[1], got[2]);
	args.len = 0;
	job_launch(&job, b.s, &b.code.fn[CODE_nothing], 3, 5, &args);
	job.launch.args = NULL;
	run_well(r, &job, "launch without parameters");
	vgpu_engine_mem_free(r->eng, &out);
	bench_close(r, &b);
}

/* Copies before and behind launches, on three streams, all submitted at once. */
static void case_order(struct run *r)
{
	enum { STREAMS = 3, ROUNDS = 20, STEPS = 5, N = 5000 };
	struct vgpu_engine_stream *s[STREAMS];
	struct vgpu_engine_mem x[STREAMS], y[STREAMS];
	struct vgpu_job *job;
	struct args *args;
	float (*in)[N], (*out)[N];
	unsigned int k = 0;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	job = calloc(STREAMS * ROUNDS * STEPS, sizeof(*job));
	args = calloc(STREAMS * ROUNDS, sizeof(*args));
	in = calloc(STREAMS * ROUNDS, sizeof(*in));
	out = calloc(STREAMS * ROUNDS, sizeof(*out));
	for (unsigned int i = 0; i < STREAMS; i++) {
		s[i] = vgpu_engine_stream_create(r->eng);
		mem_make(r, s[i], &x[i], N * 4);
		mem_make(r, s[i], &y[i], N * 4);
	}
	for (unsigned int n = 0; n < STREAMS * ROUNDS; n++) {
		unsigned int i = n % STREAMS;

		for (unsigned int e = 0; e < N; e++)
			in[n][e] = (float)((n * 31 + e) % 1000);
		saxpy_args(&args[n], x[i].address, y[i].address, N, 2);
		job_copy(&job[k++], s[i], in_mem(&x[i], 0, N * 4),
			 in_host(in[n], N * 4));
		job_fill(&job[k++], s[i], in_mem(&y[i], 0, N * 4),
			 bits_of((float)n), 4);
		job_launch(&job[k++], s[i], &b.code.fn[CODE_saxpy], blocks(N),
			   256, &args[n]);
		job_copy(&job[k++], s[i], in_host(out[n], N * 4),
			 in_mem(&y[i], 0, N * 4));
		job_fill(&job[k++], s[i], in_mem(&x[i], 0, N * 4), 0xff, 1);
	}
	for (unsigned int i = 0; i < k; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, k, NULL, NULL);
	for (unsigned int i = 0; i < k; i++)
		CHECK(r, job[i].status == VGPU_RSP_OK, "job %u (op %u): status %u",
		      i, job[i].op, job[i].status);
	for (unsigned int n = 0; n < STREAMS * ROUNDS; n++)
		for (unsigned int e = 0; e < N; e++)
			CHECK(r, out[n][e] == 2 * in[n][e] + (float)n,
			      "stream %u, round %u, element %u is %g, not %g",
			      n % STREAMS, n / STREAMS, e, (double)out[n][e],
			      (double)(2 * in[n][e] + (float)n));
	for (unsigned int i = 0; i < STREAMS; i++) {
		vgpu_engine_mem_free(r->eng, &x[i]);
		vgpu_engine_mem_free(r->eng, &y[i]);
		vgpu_engine_stream_destroy(r->eng, s[i]);
	}
	bench_close(r, &b);
	free(job);
	free(args);
	free(in);
	free(out);
}

/* Each launch reads what the one before it wrote, without any wait between. */
static void case_thousand(struct run *r)
{
	enum { N = 1000 };
	struct vgpu_job *job;
	struct vgpu_engine_mem mem;
	struct args args = { .len = 0 };
	uint32_t counter = 0;
	uint64_t t0, t1;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	job = calloc(N + 1, sizeof(*job));
	mem_make(r, b.s, &mem, 4);
	args_put64(&args, 0, mem.address);
	for (uint32_t round = 1; round <= 3; round++) {
		for (unsigned int i = 0; i < N; i++)
			job_launch(&job[i], b.s, &b.code.fn[CODE_count], 1, 1,
				   &args);
		job_fence(&job[N], b.s);
		t0 = now_ns();
		for (unsigned int i = 0; i <= N; i++)
			vgpu_engine_submit(r->eng, &job[i]);
		t1 = now_ns();
		reap_jobs(r, N + 1, NULL, NULL);
		printf("# %s: 1,000 launches and a fence: submitted in %llu us, done in %llu us\n",
		       r->label, (unsigned long long)(t1 - t0) / 1000,
		       (unsigned long long)(now_ns() - t0) / 1000);
		for (unsigned int i = 0; i <= N; i++)
			CHECK(r, job[i].status == VGPU_RSP_OK,
			      "launch %u: status %u", i, job[i].status);
		mem_read(r, b.s, &mem, &counter, 4);
		CHECK(r, counter == round * N, "%u launches counted %u",
		      round * N, counter);
	}
	vgpu_engine_mem_free(r->eng, &mem);
	bench_close(r, &b);
	free(job);
}

/* A stream that waits for another one's kernel, which takes a millisecond. */
static void case_events(struct run *r)
{
	enum { ROUNDS = 30, STEPS = 7 };
	struct vgpu_engine_event event = { 0 }, back = { 0 };
	struct vgpu_job *job;
	struct vgpu_engine_stream *t;
	struct args slow = { .len = 0 }, args = { .len = 0 };
	struct vgpu_engine_mem mem;
	uint32_t got[ROUNDS];
	unsigned int k = 0;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	job = calloc(ROUNDS * STEPS, sizeof(*job));
	t = vgpu_engine_stream_create(r->eng);
	mem_make(r, b.s, &mem, 4);
	args_put64(&args, 0, mem.address);
	args_put64(&slow, 0, 1000000);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		job_event(&job[k++], b.s, VGPU_OP_EVENT_WAIT, &back);
		job_launch(&job[k++], b.s, &b.code.fn[CODE_delay], 1, 1, &slow);
		job_launch(&job[k++], b.s, &b.code.fn[CODE_count], 1, 1, &args);
		job_event(&job[k++], b.s, VGPU_OP_EVENT_RECORD, &event);
		job_event(&job[k++], t, VGPU_OP_EVENT_WAIT, &event);
		job_copy(&job[k++], t, in_host(&got[i], 4), in_mem(&mem, 0, 4));
		job_event(&job[k++], t, VGPU_OP_EVENT_RECORD, &back);
	}
	for (unsigned int i = 0; i < k; i++)
		vgpu_engine_submit(r->eng, &job[i]);
	reap_jobs(r, k, NULL, NULL);
	for (unsigned int i = 0; i < k; i++)
		CHECK(r, job[i].status == VGPU_RSP_OK, "job %u (op %u): status %u",
		      i, job[i].op, job[i].status);
	for (unsigned int i = 0; i < ROUNDS; i++)
		CHECK(r, got[i] == i + 1, "round %u read %u", i, got[i]);
	vgpu_engine_stream_destroy(r->eng, t);
	vgpu_engine_mem_free(r->eng, &mem);
	bench_close(r, &b);
	free(job);
}

struct launch_mistake {
	const char *what;
	uint32_t grid[3], block[3];
	uint32_t shared;
	int more_args;
};

/* Each is refused as LAUNCH, and the launch behind it is well. */
static void case_refused(struct run *r)
{
	static const struct launch_mistake mistakes[] = {
		{ "no blocks in x", { 0, 1, 1 }, { 1, 1, 1 }, 0, 0 },
		{ "no blocks in y", { 1, 0, 1 }, { 1, 1, 1 }, 0, 0 },
		{ "no blocks in z", { 1, 1, 0 }, { 1, 1, 1 }, 0, 0 },
		{ "no threads in x", { 1, 1, 1 }, { 0, 1, 1 }, 0, 0 },
		{ "no threads in y", { 1, 1, 1 }, { 1, 0, 1 }, 0, 0 },
		{ "no threads in z", { 1, 1, 1 }, { 1, 1, 0 }, 0, 0 },
		{ "2^31 blocks", { 1u << 31, 1, 1 }, { 1, 1, 1 }, 0, 0 },
		{ "65,536 blocks in y", { 1, 65536, 1 }, { 1, 1, 1 }, 0, 0 },
		{ "2^32 - 1 blocks in z", { 1, 1, UINT32_MAX }, { 1, 1, 1 }, 0, 0 },
		{ "1,025 threads", { 1, 1, 1 }, { 1025, 1, 1 }, 0, 0 },
		{ "65,535 threads", { 1, 1, 1 }, { 65535, 1, 1 }, 0, 0 },
		{ "65 threads in z", { 1, 1, 1 }, { 1, 1, 65 }, 0, 0 },
		{ "2,048 threads", { 1, 1, 1 }, { 32, 32, 2 }, 0, 0 },
		{ "2^32 threads", { 1, 1, 1 }, { 65535, 65535, 65535 }, 0, 0 },
		{ "1 MiB of shared memory", { 1, 1, 1 }, { 1, 1, 1 }, 1 << 20, 0 },
		{ "2^32 - 1 octets of shared memory", { 1, 1, 1 }, { 1, 1, 1 },
		  UINT32_MAX, 0 },
		{ "no arguments", { 1, 1, 1 }, { 1, 1, 1 }, 0, -8 },
		{ "an octet too few", { 1, 1, 1 }, { 1, 1, 1 }, 0, -1 },
		{ "an octet too many", { 1, 1, 1 }, { 1, 1, 1 }, 0, 1 },
		{ "arguments too many", { 1, 1, 1 }, { 1, 1, 1 }, 0, 40 },
	};
	struct vgpu_engine_function none = { .args_len = 8 };
	struct args args = { .len = 0 };
	struct vgpu_engine_mem mem;
	struct vgpu_job job;
	struct bench b;

	if (!bench_open(r, &b))
		return;
	mem_make(r, b.s, &mem, 4);
	args_put64(&args, 0, mem.address);
	for (unsigned int i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		const struct launch_mistake *m = &mistakes[i];

		job_launch(&job, b.s, &b.code.fn[CODE_count], 1, 1, &args);
		memcpy(job.launch.grid, m->grid, sizeof(m->grid));
		memcpy(job.launch.block, m->block, sizeof(m->block));
		job.launch.shared = m->shared;
		job.launch.args_len = (uint32_t)(8 + m->more_args);
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_LAUNCH, "%s: status %u", m->what,
		      job.status);
		check_counts(r, b.s, &b.code, m->what);
	}
	job_launch(&job, b.s, &none, 1, 1, &args);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_NO_HANDLE,
	      "a function that is not there: status %u", job.status);
	vgpu_engine_mem_free(r->eng, &mem);
	bench_close(r, &b);
}

const struct conformance_case launch_cases[] = {
	{ "launches: saxpy in PTX, exact", case_saxpy, ALWAYS },
	{ "launches: relocations to memory and to a region", case_relocations, ALWAYS },
	{ "launches: relocations that cannot be are refused", case_bad_relocations, ALWAYS },
	{ "launches: static and dynamic shared memory", case_shared, ALWAYS },
	{ "launches: a table of addresses in memory", case_table, ALWAYS },
	{ "launches: parameters of odd sizes, and none", case_odd, ALWAYS },
	{ "launches: 3 streams, 20 rounds, between copies and fills", case_order, ALWAYS },
	{ "launches: 1,000 and a fence", case_thousand, ALWAYS },
	{ "launches: events between two streams", case_events, ALWAYS },
	{ "launches that cannot be are refused", case_refused, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
