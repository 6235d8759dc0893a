// SPDX-License-Identifier: MIT
/*
 * results.c - facts, and vector add: every size, every kind of float, every
 * way operands may lie in memory
 *
 * Operands end or begin at pages that fault, and inputs are read-only: an
 * engine that touches one element too many dies here.
 */
#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

#define QUICK_MAX	70000
#define HUGE_ELEMENTS	(UINT64_C(256) << 20)
/* More than 32 bits can count in elements, let alone octets. */
#define VAST_ELEMENTS	((UINT64_C(1) << 32) / 2 + 5)

static void case_facts(struct run *r)
{
	struct vgpu_engine_facts f;
	struct vgpu_engine_info info;

	memset(&f, 0xee, sizeof(f));
	memset(&info, 0xee, sizeof(info));
	vgpu_engine_facts(r->eng, &f);
	vgpu_engine_info(r->eng, &info);
	if (r->remote) {
		CHECK(r, !strcmp(f.engine, "cpu") || !strcmp(f.engine, "cuda"),
		      "the far engine is called \"%.90s\"", f.engine);
		CHECK(r, strstr(f.tuning, strchr(r->engine, ':') + 1),
		      "tuning \"%.180s\" has no address", f.tuning);
	} else {
		CHECK(r, !strcmp(f.engine, r->engine),
		      "engine is called \"%.90s\"", f.engine);
	}
	CHECK(r, !strcmp(r->eng->ops->name, r->remote ? "remote" : r->engine),
	      "ops have another name");
	CHECK(r, f.gpu_name[0] && memchr(f.gpu_name, 0, sizeof(f.gpu_name)),
	      "no gpu_name");
	CHECK(r, !strcmp(f.builtins, "vector-add saxpy sgemm reduce-sum"),
	      "builtins are \"%.90s\"", f.builtins);
	CHECK(r, f.modules == !strcmp(f.engine, "cuda"),
	      "has %s modules", f.modules ? "" : "no");
	CHECK(r, f.memory >= 64 << 20, "memory is %llu bytes",
	      (unsigned long long)f.memory);
	CHECK(r, info.mem_total && info.mem_free &&
	      info.mem_free <= info.mem_total,
	      "%llu bytes of %llu are free", (unsigned long long)info.mem_free,
	      (unsigned long long)info.mem_total);
	CHECK(r, info.utilization <= 100, "utilization is %u", info.utilization);
	CHECK(r, info.temperature_mc < 150000, "temperature is %u",
	      info.temperature_mc);
	if (!strcmp(f.engine, "cuda")) {
		CHECK(r, !strncmp(f.gpu_uuid, "GPU-", 4) &&
		      strlen(f.gpu_uuid) == 40, "gpu_uuid is \"%.90s\"",
		      f.gpu_uuid);
		CHECK(r, strchr(f.compute_capability, '.'),
		      "compute_capability is \"%.90s\"", f.compute_capability);
	} else {
		CHECK(r, !f.gpu_uuid[0] && !f.compute_capability[0],
		      "a processor with the uuid or capability of a GPU");
	}
	printf("# %s: %s, %s %s, driver %s, %llu MiB (%llu free), %u mC, %u mW, %u %%\n",
	       r->label, f.gpu_name, f.gpu_uuid, f.compute_capability,
	       f.driver_version, (unsigned long long)f.memory >> 20,
	       (unsigned long long)info.mem_free >> 20, info.temperature_mc,
	       info.power_mw, info.utilization);
}

static void add_once(struct run *r, uint64_t count, enum place place)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct operand a, b, c;
	struct vgpu_job job;
	uint64_t t0, t1;

	operand_make(&a, count, place);
	operand_make(&b, count, place);
	operand_make(&c, count, place);
	operand_fill(&a, 1 + (uint32_t)count);
	operand_fill(&b, 2 + (uint32_t)count);
	operand_protect(&a, PROT_READ);
	operand_protect(&b, PROT_READ);
	job_add(&job, s, a.bits, b.bits, c.bits, count);
	t0 = now_ns();
	run_job(r, &job);
	t1 = now_ns();
	CHECK(r, job.status == VGPU_RSP_OK, "status %u", job.status);
	CHECK(r, !count || (job.time_ns > 0 && job.time_ns <= t1 - t0),
	      "time_ns is %llu in a job that took %llu",
	      (unsigned long long)job.time_ns, (unsigned long long)(t1 - t0));
	check_sum(r, a.bits, b.bits, c.bits, count);
	if (count >= 1 << 20)
		printf("# %s: %llu elements in %llu us\n", r->label,
		       (unsigned long long)count,
		       (unsigned long long)job.time_ns / 1000);
	operand_free(&a);
	operand_free(&b);
	operand_free(&c);
	vgpu_engine_stream_destroy(r->eng, s);
}

static void case_sizes(struct run *r)
{
	static const uint32_t sizes[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 1023, 1024, 1025, 4099, 65535,
		65536, 65537, 524287, 524288, 524289, 1 << 20, (1 << 20) + 1,
		3000003,
	};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (r->quick && sizes[i] > QUICK_MAX)
			break;
		add_once(r, sizes[i], AT_START);
		/* Odd counts: 4-byte aligned, and no more than that. */
		add_once(r, sizes[i], AT_END);
	}
}

static void case_large(struct run *r)
{
	add_once(r, 16 << 20, AT_END);
}

static void case_huge(struct run *r)
{
	add_once(r, HUGE_ELEMENTS, AT_END);
}

/* More elements than 31 bits can count, out of few pages mapped many times. */
static void case_vast(struct run *r)
{
	const size_t period = 8 << 20;
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	struct operand in, out;
	uint32_t *a, *c;
	size_t bytes = VAST_ELEMENTS * 4, at;
	size_t room = (bytes + period - 1) / period * period;
	int fd[2];
	struct vgpu_job job;

	fd[0] = memfd_create("in", MFD_CLOEXEC);
	fd[1] = memfd_create("out", MFD_CLOEXEC);
	a = mmap(NULL, room, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	c = mmap(NULL, room, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ftruncate(fd[0], (off_t)period) || ftruncate(fd[1], (off_t)period) ||
	    a == MAP_FAILED || c == MAP_FAILED)
		exit(255);
	for (at = 0; at < room; at += period) {
		if (mmap((char *)a + at, period, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd[0], 0) == MAP_FAILED ||
		    mmap((char *)c + at, period, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd[1], 0) == MAP_FAILED)
			exit(255);
	}
	in.bits = a;
	out.bits = c;
	in.count = out.count = period / 4;
	operand_fill(&in, 77);
	operand_zero(&out);
	job_add(&job, s, a, a, c, VAST_ELEMENTS);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "status %u", job.status);
	check_sum(r, a, a, c, period / 4);
	printf("# %s: %llu elements in %llu us\n", r->label,
	       (unsigned long long)VAST_ELEMENTS,
	       (unsigned long long)job.time_ns / 1000);
	munmap(a, room);
	munmap(c, room);
	close(fd[0]);
	close(fd[1]);
	vgpu_engine_stream_destroy(r->eng, s);
}

/* Sums known from IEEE 754, not from this host's processor. */
static void case_special(struct run *r)
{
	static const uint32_t table[][3] = {
		{ 0x3f800000, 0x40000000, 0x40400000 }, /* 1 + 2 = 3 */
		{ 0x00000000, 0x80000000, 0x00000000 }, /* 0 + -0 = 0 */
		{ 0x80000000, 0x80000000, 0x80000000 }, /* -0 + -0 = -0 */
		{ 0x3f800000, 0xbf800000, 0x00000000 }, /* 1 - 1 = 0 */
		{ 0x00000001, 0x00000001, 0x00000002 }, /* least subnormals */
		{ 0x007fffff, 0x00000001, 0x00800000 }, /* to the least normal */
		{ 0x00800000, 0x80000001, 0x007fffff }, /* and back */
		{ 0x80000001, 0x00000000, 0x80000001 }, /* subnormal + 0 */
		{ 0x3f800000, 0x33800000, 0x3f800000 }, /* tie, to even */
		{ 0x3f800001, 0x33800000, 0x3f800002 }, /* tie, to even */
		{ 0x3f800000, 0x33800001, 0x3f800001 }, /* above the tie */
		{ 0x7f7fffff, 0x7f7fffff, 0x7f800000 }, /* overflow */
		{ 0x7f7fffff, 0x72ffffff, 0x7f7fffff }, /* just not */
		{ 0x7f7fffff, 0x73000000, 0x7f800000 }, /* tie, overflow */
		{ 0x7f800000, 0x3f800000, 0x7f800000 }, /* inf + 1 */
		{ 0xff800000, 0xff800000, 0xff800000 }, /* -inf - inf */
		{ 0x7f800000, 0xff800000, 0x7fc00000 }, /* inf - inf */
		{ 0x7fc00001, 0x3f800000, 0x7fc00000 }, /* quiet NaN */
		{ 0x7f800001, 0x3f800000, 0x7fc00000 }, /* signalling NaN */
		{ 0x3f800000, 0xffbfffff, 0x7fc00000 },
	};
	enum { N = sizeof(table) / sizeof(table[0]) };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	uint32_t a[N], b[N], c[N];
	struct vgpu_job job;
	size_t i;

	for (i = 0; i < N; i++) {
		a[i] = table[i][0];
		b[i] = table[i][1];
	}
	job_add(&job, s, a, b, c, N);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "status %u", job.status);
	for (i = 0; i < N; i++)
		CHECK(r, same_bits(table[i][2], c[i]),
		      "0x%08x + 0x%08x gave 0x%08x, not 0x%08x", a[i], b[i],
		      c[i], table[i][2]);
	vgpu_engine_stream_destroy(r->eng, s);
}

/* The caller rounds to zero and flushes subnormals; the engine must not. */
static void case_environment(struct run *r)
{
	struct vgpu_engine *outer = r->eng;
	fenv_t saved;

	fegetenv(&saved);
	fesetround(FE_TOWARDZERO);
#ifdef __SSE__
	__builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
	open_engine(r);
	case_special(r);
	vgpu_engine_close(r->eng);
	fesetenv(&saved);
	r->eng = outer;
}

static void case_in_place(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	uint64_t count = r->quick ? 5003 : 700001;
	struct operand a, b, c, keep;
	struct vgpu_job job;

	operand_make(&a, count, AT_END);
	operand_make(&b, count, AT_END);
	operand_make(&c, count, AT_END);
	operand_make(&keep, count, AT_END);
	operand_fill(&a, 11);
	operand_fill(&b, 12);

	memcpy(keep.bits, a.bits, count * 4);
	job_add(&job, s, a.bits, b.bits, a.bits, count);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "a = a + b: status %u", job.status);
	check_sum(r, keep.bits, b.bits, a.bits, count);

	memcpy(keep.bits, b.bits, count * 4);
	job_add(&job, s, a.bits, b.bits, b.bits, count);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "b = a + b: status %u", job.status);
	check_sum(r, a.bits, keep.bits, b.bits, count);

	operand_fill(&a, 13);
	job_add(&job, s, a.bits, a.bits, c.bits, count);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "c = a + a: status %u", job.status);
	check_sum(r, a.bits, a.bits, c.bits, count);

	memcpy(keep.bits, a.bits, count * 4);
	job_add(&job, s, a.bits, a.bits, a.bits, count);
	run_job(r, &job);
	CHECK(r, job.status == VGPU_RSP_OK, "a = a + a: status %u", job.status);
	check_sum(r, keep.bits, keep.bits, a.bits, count);

	operand_free(&a);
	operand_free(&b);
	operand_free(&c);
	operand_free(&keep);
	vgpu_engine_stream_destroy(r->eng, s);
}

struct scribbler {
	struct operand *o;
	atomic_bool stop;
};

static void *scribble(void *arg)
{
	struct scribbler *sc = arg;
	uint32_t state = 99;

	while (!atomic_load(&sc->stop))
		((volatile uint32_t *)sc->o->bits)
			[next_random(&state) % sc->o->count] = state;
	return NULL;
}

/* A guest writes to its buffers while the engine works on them. */
static void case_scribble(struct run *r)
{
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	uint64_t count = r->quick ? 5003 : 300001;
	struct scribbler sc = { .stop = false };
	struct operand a, c;
	struct vgpu_job job;
	pthread_t thread;
	int i;

	operand_make(&a, count, AT_END);
	operand_make(&c, count, AT_END);
	operand_fill(&a, 21);
	sc.o = &a;
	if (pthread_create(&thread, NULL, scribble, &sc))
		exit(255);
	for (i = 0; i < 10; i++) {
		job_add(&job, s, a.bits, a.bits, c.bits, count);
		run_job(r, &job);
		CHECK(r, job.status == VGPU_RSP_OK, "status %u", job.status);
	}
	atomic_store(&sc.stop, true);
	pthread_join(thread, NULL);
	/* And now that nobody writes, the result is right again. */
	job_add(&job, s, a.bits, a.bits, c.bits, count);
	run_job(r, &job);
	check_sum(r, a.bits, a.bits, c.bits, count);
	operand_free(&a);
	operand_free(&c);
	vgpu_engine_stream_destroy(r->eng, s);
}

const struct conformance_case result_cases[] = {
	{ "facts and info", case_facts, ALWAYS },
	{ "special values", case_special, ALWAYS },
	{ "sizes 0 to 3,000,003, at guard pages, inputs read-only", case_sizes, ALWAYS },
	{ "16 Mi elements", case_large, UNLESS_QUICK },
	{ "256 Mi elements", case_huge, IF_HUGE },
	{ "more than 2^31 elements", case_vast, IF_HUGE },
	{ "the caller's rounding and flush-to-zero", case_environment, ALWAYS },
	{ "outputs in place of inputs", case_in_place, ALWAYS },
	{ "operands that change meanwhile", case_scribble, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
