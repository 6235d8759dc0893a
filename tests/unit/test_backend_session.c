// SPDX-License-Identifier: MIT
/*
 * test_backend_session.c - what becomes of requests: answers, objects, order
 *
 * Session, rules and buffer table are real; the ring collects answers, the
 * grants hand out memory, and the engine finishes a job when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session.h"

#define SLOTS 32

/* ---- doubles ---------------------------------------------------------- */

static struct vgpu_response answers[1024];
static unsigned int nr_answers;

void ring_respond(struct ring *r, const struct vgpu_response *rsp)
{
	(void)r;
	assert_true(nr_answers < 1024);
	answers[nr_answers++] = *rsp;
}

static int mappings;
static enum vgpu_status map_status;
static bool mapped_read_only;
static uint8_t memory[16 * 4096] __attribute__((aligned(4096)));

enum vgpu_status grants_map_directory(struct grants *g, uint32_t first,
				      uint32_t nr, bool read_only, void **base)
{
	(void)g;
	(void)first;
	(void)nr;
	if (map_status)
		return map_status;
	mapped_read_only = read_only;
	*base = memory;
	mappings++;
	return VGPU_RSP_OK;
}

void grants_unmap(struct grants *g, void *base, uint32_t nr)
{
	(void)g;
	(void)nr;
	assert_ptr_equal(base, memory);
	mappings--;
}

/* Jobs wait in the order they came; finish() moves the first n to reap. */
static struct vgpu_job *queued, *finished;
static int streams;
static unsigned int infos;

static struct vgpu_engine_stream *fake_stream_create(struct vgpu_engine *eng)
{
	(void)eng;
	streams++;
	return malloc(1);
}

static void fake_stream_destroy(struct vgpu_engine *eng,
				struct vgpu_engine_stream *stream)
{
	(void)eng;
	streams--;
	free(stream);
}

static void append(struct vgpu_job **list, struct vgpu_job *job)
{
	while (*list)
		list = &(*list)->next;
	job->next = NULL;
	*list = job;
}

static void fake_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	(void)eng;
	append(&queued, job);
}

static struct vgpu_job *fake_reap(struct vgpu_engine *eng)
{
	struct vgpu_job *list = finished;

	(void)eng;
	finished = NULL;
	return list;
}

static void fake_info(struct vgpu_engine *eng, struct vgpu_engine_info *out)
{
	(void)eng;
	infos++;
	memset(out, 0, sizeof(*out));
	out->mem_total = 1 << 20;
}

static const struct vgpu_engine_ops fake_ops = {
	.name = "fake",
	.info = fake_info,
	.stream_create = fake_stream_create,
	.stream_destroy = fake_stream_destroy,
	.submit = fake_submit,
	.reap = fake_reap,
};

static struct vgpu_engine fake_engine = {.ops = &fake_ops};

/* ---- the device ------------------------------------------------------- */

static struct session *s;
static struct vgpu_stats stats;
static uint8_t arena[8192];

static int setup(void **state)
{
	(void)state;
	nr_answers = 0;
	mappings = streams = 0;
	infos = 0;
	map_status = VGPU_RSP_OK;
	queued = finished = NULL;
	memset(&stats, 0, sizeof(stats));
	s = calloc(1, sizeof(*s));
	s->eng = &fake_engine;
	s->stats = &stats;
	s->arena = arena;
	s->arena_len = sizeof(arena);
	s->mem_quota = 42;
	s->bufs.stats = &stats;
	return session_init(s, SLOTS) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	session_end(s);
	assert_int_equal(mappings, 0);
	assert_int_equal(streams, 0);
	free(s);
	return 0;
}

static void finish(unsigned int n, enum vgpu_status status)
{
	while (n--) {
		struct vgpu_job *job = queued;

		assert_non_null(job);
		queued = job->next;
		job->status = status;
		job->time_ns = 1000;
		append(&finished, job);
	}
	session_reap(s);
}

static struct vgpu_request request(uint8_t op, uint16_t id, uint16_t ctx)
{
	struct vgpu_request r;

	memset(&r, 0, sizeof(r));
	r.op = op;
	r.id = id;
	r.ctx = ctx;
	return r;
}

static const struct vgpu_response *last(void)
{
	assert_true(nr_answers > 0);
	return &answers[nr_answers - 1];
}

/* Sends it and expects the answer at once. */
static enum vgpu_status now(const struct vgpu_request *r)
{
	unsigned int before = nr_answers;

	session_request(s, r);
	assert_int_equal(nr_answers, before + 1);
	assert_int_equal(last()->id, r->id);
	assert_int_equal(last()->op, r->op);
	return last()->status;
}

/* Sends it and expects no answer yet. */
static void later(const struct vgpu_request *r)
{
	unsigned int before = nr_answers;

	session_request(s, r);
	assert_int_equal(nr_answers, before);
}

static enum vgpu_status map_flags(uint16_t ctx, uint32_t handle, uint32_t flags)
{
	struct vgpu_request r = request(VGPU_OP_BUFFER_MAP, 900, ctx);

	r.u.map.handle = handle;
	r.u.map.flags = flags;
	r.u.map.nr_pages = 1;
	r.u.map.length = 4096;
	return now(&r);
}

static enum vgpu_status map(uint16_t ctx, uint32_t handle)
{
	return map_flags(ctx, handle, 0);
}

static enum vgpu_status unmap(uint16_t ctx, uint32_t handle)
{
	struct vgpu_request r = request(VGPU_OP_BUFFER_UNMAP, 901, ctx);

	r.u.handle.handle = handle;
	return now(&r);
}

static struct vgpu_request add(uint16_t id, uint16_t ctx, uint16_t stream)
{
	struct vgpu_request r = request(VGPU_OP_BUILTIN, id, ctx);

	r.stream = stream;
	r.u.builtin.kernel = VGPU_KERNEL_VECTOR_ADD;
	for (int i = 0; i < 3; i++) {
		r.u.builtin.operand[i].handle = 1;
		r.u.builtin.operand[i].count = 16;
		r.u.builtin.operand[i].offset = 64 * i;
	}
	return r;
}

/* ---- tests ------------------------------------------------------------ */

static void nop_echoes(void **state)
{
	struct vgpu_request r = request(VGPU_OP_NOP, 5, 1);

	(void)state;
	r.u.nop.cookie = 0x1122334455667788;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_true(last()->value == 0x1122334455667788);
	assert_int_equal(last()->time_ns, 0);
	assert_int_equal(last()->retired, 0);
}

static void info_in_the_arena(void **state)
{
	struct vgpu_request r = request(VGPU_OP_INFO, 5, 1);
	const struct vgpu_info *info = (const void *)(arena + 8);

	(void)state;
	memset(arena, 0xff, sizeof(arena));
	map(1, 1);
	map(1, 1);
	r.u.info.arena_offset = 8;
	r.u.info.length = sizeof(*info);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(last()->value, sizeof(*info));
	assert_int_equal(info->mem_total, 1 << 20);
	assert_int_equal(info->mem_quota, 42);
	assert_int_equal(info->requests, 3);
	assert_int_equal(info->errors, 1);
	assert_int_equal(info->nr_buffers, 1);
	for (int i = 0; i < 7; i++)
		assert_int_equal(info->reserved[i], 0);
	assert_int_equal(arena[7], 0xff);
	assert_int_equal(arena[8 + sizeof(*info)], 0xff);
	/* A guest that asks without a pause does not wear out the GPU. */
	for (int i = 0; i < 50; i++)
		now(&r);
	assert_true(infos <= 2);
}

static void job_is_answered_when_done(void **state)
{
	struct vgpu_request r = add(5, 1, 2);

	(void)state;
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
	later(&r);
	assert_int_equal(queued->kernel, VGPU_KERNEL_VECTOR_ADD);
	assert_ptr_equal(queued->operand[2].host, memory + 128);
	assert_int_equal(queued->operand[2].count, 16);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 5);
	assert_int_equal(last()->op, VGPU_OP_BUILTIN);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(last()->time_ns, 1000);
	assert_int_equal(stats.busy_ns, 1000);
	assert_false(s->engine_lost);
}

static void same_stream_same_engine_stream(void **state)
{
	struct vgpu_request r = add(1, 1, 2);
	struct vgpu_engine_stream *first;

	(void)state;
	map(1, 1);
	later(&r);
	first = queued->stream;
	r.id = 2;
	later(&r);
	assert_ptr_equal(queued->next->stream, first);
	r.id = 3;
	r.stream = 3;
	later(&r);
	assert_ptr_not_equal(queued->next->next->stream, first);
	assert_int_equal(streams, 2);
	finish(3, VGPU_RSP_OK);
}

static void fence_goes_behind(void **state)
{
	struct vgpu_request r = add(1, 1, 2);
	struct vgpu_request f = request(VGPU_OP_FENCE, 2, 1);

	(void)state;
	f.stream = 2;
	/* A stream that nothing was sent on has nothing to wait for. */
	assert_int_equal(now(&f), VGPU_RSP_OK);
	assert_int_equal(streams, 0);
	map(1, 1);
	later(&r);
	later(&f);
	assert_int_equal(queued->next->kernel, 0);
	assert_ptr_equal(queued->next->stream, queued->stream);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 2);
}

static void id_in_flight_is_refused(void **state)
{
	struct vgpu_request r = add(65535, 1, 0);
	struct vgpu_request n = request(VGPU_OP_NOP, 65535, 9);

	(void)state;
	map(1, 1);
	later(&r);
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	assert_int_equal(now(&n), VGPU_RSP_INVALID);
	/* And the first one goes on, once. */
	assert_null(queued->next);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(now(&n), VGPU_RSP_OK);
}

static void handles(void **state)
{
	(void)state;
	assert_int_equal(unmap(1, 1), VGPU_RSP_NO_HANDLE);
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
	assert_int_equal(map(1, 1), VGPU_RSP_EXISTS);
	assert_int_equal(map(2, 1), VGPU_RSP_EXISTS);
	assert_int_equal(mappings, 1);
	/* Another context can not name it. */
	assert_int_equal(unmap(2, 1), VGPU_RSP_NO_HANDLE);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
	assert_int_equal(mappings, 0);
	assert_int_equal(unmap(1, 1), VGPU_RSP_NO_HANDLE);
	assert_int_equal(map(2, 1), VGPU_RSP_OK);
}

static void failed_map_leaves_nothing(void **state)
{
	(void)state;
	map_status = VGPU_RSP_GRANT;
	assert_int_equal(map(1, 1), VGPU_RSP_GRANT);
	assert_int_equal(stats.buffers, 0);
	assert_int_equal(stats.bytes_mapped, 0);
	assert_int_equal(unmap(1, 1), VGPU_RSP_NO_HANDLE);
}

static void mapped_pages_are_bounded(void **state)
{
	struct vgpu_request r = request(VGPU_OP_BUFFER_MAP, 1, 1);

	(void)state;
	r.u.map.nr_pages = BACK_MAX_MAPPED_PAGES / 2;
	r.u.map.length = (uint64_t)r.u.map.nr_pages * 4096;
	r.u.map.handle = 1;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	r.u.map.handle = 2;
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(map(1, 3), VGPU_RSP_QUOTA);
	assert_int_equal(unmap(1, 2), VGPU_RSP_OK);
	assert_int_equal(map(1, 3), VGPU_RSP_OK);
}

static void operands_are_checked(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	map(1, 1);
	r.u.builtin.operand[1].handle = 4096;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	r = add(1, 2, 0);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	r = add(1, 1, 0);
	r.u.builtin.operand[2].offset = 4096 - 60;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	map_flags(1, 2, VGPU_BUF_READ_ONLY);
	assert_true(mapped_read_only);
	r = add(1, 1, 0);
	r.u.builtin.operand[0].handle = 2;
	r.u.builtin.operand[2].handle = 2;
	assert_int_equal(now(&r), VGPU_RSP_ACCESS);
	/* Nothing else happened: no stream, no job, no use of the buffers. */
	assert_int_equal(streams, 0);
	assert_null(queued);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
	assert_int_equal(unmap(1, 2), VGPU_RSP_OK);
}

static void buffer_in_use_stays(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	r.id = 2;
	later(&r);
	assert_int_equal(unmap(1, 1), VGPU_RSP_BUSY);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(unmap(1, 1), VGPU_RSP_BUSY);
	assert_int_equal(mappings, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
}

static void one_operand_is_a_use(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		map(1, i + 1);
		r.u.builtin.operand[i].handle = i + 1;
	}
	later(&r);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(unmap(1, i), VGPU_RSP_BUSY);
	finish(1, VGPU_RSP_OK);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(unmap(1, i), VGPU_RSP_OK);
}

static void streams_are_bounded(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	for (unsigned int i = 0; i < BACK_MAX_STREAMS; i++) {
		r.stream = i;
		later(&r);
		finish(1, VGPU_RSP_OK);
	}
	r.stream = BACK_MAX_STREAMS;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	/* The end of the context gives them all back. */
	r = request(VGPU_OP_CTX_DESTROY, 2, 1);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(streams, 0);
	map(1, 1);
	r = add(1, 1, BACK_MAX_STREAMS);
	later(&r);
	finish(1, VGPU_RSP_OK);
}

static void pool_holds_a_full_ring(void **state)
{
	(void)state;
	map(1, 1);
	for (uint16_t id = 0; id < SLOTS; id++) {
		struct vgpu_request r = add(id, 1, id % 3);

		later(&r);
	}
	assert_int_equal(s->nr_inflight, SLOTS);
	finish(SLOTS, VGPU_RSP_OK);
	assert_int_equal(s->nr_inflight, 0);
	assert_int_equal(stats.status[VGPU_RSP_OK], SLOTS + 1);
}

static void ctx_destroy_waits_for_its_streams(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 1, 1);
	struct vgpu_request other = add(3, 2, 0);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 4, 1);
	struct vgpu_request n = request(VGPU_OP_NOP, 5, 1);

	(void)state;
	map(1, 1);
	map(1, 7);
	map(2, 2);
	for (int i = 0; i < 3; i++)
		other.u.builtin.operand[i].handle = 2;
	later(&a);
	later(&b);
	later(&other);
	later(&d);
	assert_int_equal(mappings, 3);
	/* Meanwhile the context is no place for anything new. */
	assert_int_equal(now(&n), VGPU_RSP_BUSY);
	n.op = VGPU_OP_CTX_DESTROY;
	assert_int_equal(now(&n), VGPU_RSP_BUSY);
	assert_int_equal(map(1, 9), VGPU_RSP_BUSY);
	assert_int_equal(unmap(1, 7), VGPU_RSP_BUSY);
	n.ctx = 3;
	n.op = VGPU_OP_NOP;
	assert_int_equal(now(&n), VGPU_RSP_OK);

	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 1);
	assert_int_equal(mappings, 3);
	finish(1, VGPU_RSP_OK);
	/* Its last job's answer, then its own. */
	assert_int_equal(answers[nr_answers - 2].id, 2);
	assert_int_equal(last()->id, 4);
	assert_int_equal(last()->op, VGPU_OP_CTX_DESTROY);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(mappings, 1);
	assert_int_equal(streams, 1);
	/* The other context lives on, and the number can be used again. */
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 3);
	assert_int_equal(unmap(2, 2), VGPU_RSP_OK);
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
}

static void ctx_destroy_of_nothing(void **state)
{
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 1, 77);

	(void)state;
	assert_int_equal(now(&d), VGPU_RSP_OK);
}

static void unsupported_has_no_effect(void **state)
{
	struct vgpu_request r = request(VGPU_OP_MEM_ALLOC, 1, 1);

	(void)state;
	r.u.mem_alloc.handle = 1;
	r.u.mem_alloc.length = 4096;
	assert_int_equal(now(&r), VGPU_RSP_UNSUPPORTED);
	assert_int_equal(map(1, 1), VGPU_RSP_OK);
}

static void lost_engine_is_noticed(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	finish(1, VGPU_RSP_DEVICE_LOST);
	assert_int_equal(last()->status, VGPU_RSP_DEVICE_LOST);
	assert_true(s->engine_lost);
}

/* A time limit of the GPU leaves its context as dead as a fault does. */
static void timeout_loses_the_engine(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_false(s->engine_lost);
	later(&r);
	finish(1, VGPU_RSP_TIMEOUT);
	assert_int_equal(last()->status, VGPU_RSP_TIMEOUT);
	assert_true(s->engine_lost);
}

static void status_of_no_meaning_is_internal(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	later(&r);
	finish(1, 999);
	assert_int_equal(last()->status, VGPU_RSP_INTERNAL);
}

static void losing_answers_everything_once(void **state)
{
	struct vgpu_request a = add(1, 1, 0), b = add(2, 2, 0);
	struct vgpu_request d = request(VGPU_OP_CTX_DESTROY, 3, 1);
	unsigned int seen = 0, before;

	(void)state;
	map(1, 1);
	map(2, 2);
	for (int i = 0; i < 3; i++)
		b.u.builtin.operand[i].handle = 2;
	later(&a);
	later(&b);
	later(&d);
	before = nr_answers;
	session_lose(s);
	assert_int_equal(nr_answers, before + 3);
	for (unsigned int i = before; i < nr_answers; i++) {
		assert_int_equal(answers[i].status, VGPU_RSP_DEVICE_LOST);
		seen |= 1u << answers[i].id;
	}
	assert_int_equal(seen, 0xe);
	finish(2, VGPU_RSP_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nop_echoes),
		TEST(info_in_the_arena),
		TEST(job_is_answered_when_done),
		TEST(same_stream_same_engine_stream),
		TEST(fence_goes_behind),
		TEST(id_in_flight_is_refused),
		TEST(handles),
		TEST(failed_map_leaves_nothing),
		TEST(mapped_pages_are_bounded),
		TEST(operands_are_checked),
		TEST(buffer_in_use_stays),
		TEST(one_operand_is_a_use),
		TEST(streams_are_bounded),
		TEST(pool_holds_a_full_ring),
		TEST(ctx_destroy_waits_for_its_streams),
		TEST(ctx_destroy_of_nothing),
		TEST(unsupported_has_no_effect),
		TEST(lost_engine_is_noticed),
		TEST(timeout_loses_the_engine),
		TEST(status_of_no_meaning_is_internal),
		TEST(losing_answers_everything_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
