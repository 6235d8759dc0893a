// SPDX-License-Identifier: MIT
/*
 * test_backend_memory.c - device memory and what works on it: names, quota,
 * ends, operands; and how many objects there may be
 *
 * Session, ring, grants and engine as in device_double.h.
 */
#include "device_double.h"

static void memory_is_made_and_freed(void **state)
{
	struct vgpu_request r = mem_alloc(1, 1, 0, 1000);

	(void)state;
	later(&r);
	assert_int_equal(queued->op, VGPU_OP_MEM_ALLOC);
	assert_true(queued->mem->bytes == 1000);
	assert_int_equal(stats.mem_used, 1000);
	assert_int_equal(stats.objects, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->value, 0x1000);
	/* Its context alone can name it; and it exists. */
	r.ctx = 2;
	assert_int_equal(done(&r), VGPU_RSP_OK);
	r.ctx = 1;
	assert_int_equal(now(&r), VGPU_RSP_EXISTS);
	r = handle(VGPU_OP_MEM_FREE, 2, 3, 0);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	assert_int_equal(mems, 2);
	end(VGPU_OP_MEM_FREE, 1, 0);
	assert_int_equal(mems, 1);
	assert_int_equal(stats.mem_used, 1000);
	r = handle(VGPU_OP_MEM_FREE, 2, 1, 0);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	end(VGPU_OP_MEM_FREE, 2, 0);
	assert_int_equal(stats.mem_used, 0);
}

static void quota_is_exact(void **state)
{
	struct vgpu_request r = mem_alloc(1, 1, 2, QUOTA - 1000 + 1);

	(void)state;
	make_mem(1, 1, 1000);
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r.u.mem_alloc.length = UINT64_MAX;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r.u.mem_alloc.length = QUOTA - 1000;
	assert_int_equal(done(&r), VGPU_RSP_OK);
	assert_int_equal(stats.mem_used, QUOTA);
	r = mem_alloc(1, 2, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	end(VGPU_OP_MEM_FREE, 1, 2);
	assert_int_equal(done(&r), VGPU_RSP_OK);
	assert_int_equal(stats.mem_used, 1001);
}

/* The administrator changes it while the guest has memory. */
static void quota_changes(void **state)
{
	struct vgpu_request r = mem_alloc(1, 1, 3, 1);

	(void)state;
	make_mem(1, 1, 1000);
	make_mem(1, 2, 500);
	s->objects.quota = 1200;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r.u.mem_alloc.length = UINT64_MAX;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	/* What is there stays, and works. */
	assert_int_equal(stats.mem_used, 1500);
	end(VGPU_OP_MEM_FREE, 1, 2);
	r.u.mem_alloc.length = 201;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r.u.mem_alloc.length = 200;
	assert_int_equal(done(&r), VGPU_RSP_OK);
	assert_int_equal(stats.mem_used, 1200);
	s->objects.quota = 1201;
	r = mem_alloc(1, 2, 1, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
}

/* Then the GPU says what is too much, but for what would overflow. */
static void no_quota(void **state)
{
	struct vgpu_request r = mem_alloc(1, 1, 1, 1ull << 50);

	(void)state;
	s->objects.quota = 0;
	later(&r);
	r = mem_alloc(2, 1, 2, UINT64_MAX);
	assert_int_equal(now(&r), VGPU_RSP_NO_MEMORY);
	r = mem_alloc(2, 1, 2, UINT64_MAX / 2 - (1ull << 50) + 1);
	assert_int_equal(now(&r), VGPU_RSP_NO_MEMORY);
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_int_equal(stats.mem_used, 0);
}

/* Behind it, on its stream, it can be named before anybody knows. */
static void failed_alloc_leaves_nothing(void **state)
{
	struct vgpu_request a = mem_alloc(1, 1, 1, QUOTA);
	struct vgpu_request f = fill(2, 1, 1);
	struct vgpu_request again = mem_alloc(3, 1, 1, QUOTA);

	(void)state;
	later(&a);
	later(&f);
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_int_equal(last()->status, VGPU_RSP_NO_MEMORY);
	/* The quota is back at once, the object when the last job let go. */
	assert_int_equal(stats.mem_used, 0);
	assert_int_equal(stats.objects, 1);
	f.id = 4;
	assert_int_equal(now(&f), VGPU_RSP_NO_HANDLE);
	later(&again);
	assert_int_equal(stats.objects, 2);
	assert_ptr_not_equal(queued->operand[0].mem, queued->next->mem);
	finish(1, VGPU_RSP_NO_HANDLE);
	assert_int_equal(stats.objects, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(stats.mem_used, QUOTA);
}

/* It was freed, and its number used again, before it could not be made. */
static void failure_of_a_name_used_again(void **state)
{
	struct vgpu_request a = mem_alloc(1, 1, 1, 500);
	struct vgpu_request e = handle(VGPU_OP_MEM_FREE, 2, 1, 1);
	struct vgpu_request b = mem_alloc(3, 1, 1, 70);
	struct vgpu_request f = fill(4, 1, 1);

	(void)state;
	later(&a);
	later(&e);
	later(&b);
	assert_int_equal(stats.mem_used, 570);
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_int_equal(stats.mem_used, 70);
	finish(2, VGPU_RSP_OK);
	/* The second one is there. */
	assert_int_equal(done(&f), VGPU_RSP_OK);
	assert_int_equal(mems, 1);
}

/* Freed in order on its stream, while other streams still work in it. */
static void free_waits_for_what_came_before(void **state)
{
	struct vgpu_request a = fill(1, 1, 1), b = fill(2, 1, 1);
	struct vgpu_request e = handle(VGPU_OP_MEM_FREE, 3, 1, 1);
	struct vgpu_request late = fill(4, 1, 1);

	(void)state;
	make_mem(1, 1, 100);
	later(&a);
	b.stream = 1;
	later(&b);
	later(&e);
	assert_int_equal(queued->next->next->op, VGPU_OP_FENCE);
	assert_ptr_equal(queued->next->next->stream, queued->stream);
	/* Its name is gone at once. */
	assert_int_equal(now(&late), VGPU_RSP_NO_HANDLE);
	late = handle(VGPU_OP_MEM_FREE, 4, 1, 1);
	assert_int_equal(now(&late), VGPU_RSP_NO_HANDLE);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(mems, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 2);
	assert_int_equal(mems, 1);
	assert_int_equal(stats.mem_used, 100);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, 3);
	assert_int_equal(last()->op, VGPU_OP_MEM_FREE);
	assert_int_equal(mems, 0);
	assert_int_equal(stats.mem_used, 0);
}

static void free_on_an_idle_stream(void **state)
{
	struct vgpu_request a = fill(1, 1, 1);
	struct vgpu_request e = handle(VGPU_OP_MEM_FREE, 2, 1, 1);

	(void)state;
	make_mem(1, 1, 100);
	later(&a);
	/* Nothing comes before it there, but the memory is in use. */
	e.stream = 9;
	assert_int_equal(now(&e), VGPU_RSP_OK);
	assert_int_equal(mems, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(mems, 0);
	assert_int_equal(streams, 1);
}

static void objects_are_bounded(void **state)
{
	struct vgpu_request r = handle(VGPU_OP_EVENT_RECORD, 1, 1, 1);

	(void)state;
	for (uint32_t i = 0; i < BACK_MAX_OBJECTS; i++) {
		r.u.handle.handle = i + 1;
		r.ctx = 1 + i % 3;
		assert_int_equal(done(&r), VGPU_RSP_OK);
		nr_answers = 0;
	}
	assert_int_equal(stats.objects, BACK_MAX_OBJECTS);
	/* Wherever in the table it is: the number alone is no name. */
	for (uint32_t i = 0; i < 2 * BACK_MAX_OBJECTS; i++) {
		uint32_t n = i % BACK_MAX_OBJECTS;

		r = handle(VGPU_OP_EVENT_DESTROY, 1,
			   1 + (n + 1 + i / BACK_MAX_OBJECTS) % 3, n + 1);
		assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
		nr_answers = 0;
	}
	r = handle(VGPU_OP_EVENT_RECORD, 1, 1, 1);
	r.u.handle.handle = BACK_MAX_OBJECTS + 1;
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r = mem_alloc(1, 1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	assert_int_equal(stats.mem_used, 0);
	end(VGPU_OP_EVENT_DESTROY, 1, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
	/* A context takes its own with it, a part at a time. */
	r = request(VGPU_OP_CTX_DESTROY, 5, 1);
	later(&r);
	assert_true(s->ending);
	for (int i = 0; s->ending && i < BACK_MAX_OBJECTS; i++)
		assert_true(session_reap(s));
	assert_int_equal(last()->id, 5);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_false(session_reap(s));
	assert_int_equal(mems, 0);
	assert_int_equal(stats.objects, BACK_MAX_OBJECTS / 3 * 2);
}

/* There is no stream to make it on. */
static void nothing_is_made_without_a_stream(void **state)
{
	struct vgpu_request r = handle(VGPU_OP_EVENT_RECORD, 1, 2, 1);

	(void)state;
	for (unsigned int i = 0; i < BACK_MAX_STREAMS; i++) {
		r.stream = i;
		assert_int_equal(done(&r), VGPU_RSP_OK);
	}
	map(1, 1);
	r = mem_alloc(1, 1, 1, 100);
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r = module_load(1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	r = handle(VGPU_OP_EVENT_RECORD, 1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_QUOTA);
	assert_int_equal(stats.objects, 1);
	assert_int_equal(stats.mem_used, 0);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
}

static void copy_any_way(void **state)
{
	struct vgpu_request r = request(VGPU_OP_COPY, 1, 1);

	(void)state;
	make_mem(1, 1, 100);
	map(1, 2);
	map_flags(1, 3, VGPU_BUF_READ_ONLY);
	r.u.copy.dst = VGPU_HANDLE_MEM | 1;
	r.u.copy.src = 3;
	r.u.copy.dst_offset = 1;
	r.u.copy.src_offset = 4096 - 99;
	r.u.copy.length = 99;
	later(&r);
	assert_ptr_equal(queued->operand[1].host, memory + 4096 - 99);
	assert_ptr_equal(queued->operand[1].region, s->bufs.table[3].region);
	assert_non_null(queued->operand[0].mem);
	assert_null(queued->operand[0].host);
	assert_int_equal(queued->operand[0].offset, 1);
	assert_int_equal(queued->operand[0].count, 99);
	assert_int_equal(queued->operand[1].count, 99);
	/* In use from both ends. */
	assert_int_equal(unmap(1, 3), VGPU_RSP_BUSY);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(unmap(1, 3), VGPU_RSP_OK);
	/* Nothing, but not of nothing. */
	r.u.copy.length = 0;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	r.u.copy.src = 2;
	assert_int_equal(done(&r), VGPU_RSP_OK);
	/* Within the guest's memory, and within the device's. */
	r.u.copy.dst = 2;
	r.u.copy.length = 50;
	assert_int_equal(done(&r), VGPU_RSP_OK);
	r.u.copy.dst = r.u.copy.src = VGPU_HANDLE_MEM | 1;
	r.u.copy.src_offset = 50;
	assert_int_equal(done(&r), VGPU_RSP_OK);
}

static void bad_copies(void **state)
{
	struct vgpu_request r = request(VGPU_OP_COPY, 1, 1);

	(void)state;
	make_mem(1, 1, 100);
	map(1, 2);
	map_flags(1, 3, VGPU_BUF_READ_ONLY);
	r.u.copy.dst = VGPU_HANDLE_MEM | 1;
	r.u.copy.src = 2;
	r.u.copy.length = 101;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	r.u.copy.length = UINT64_MAX;
	r.u.copy.dst_offset = 1;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	r.u.copy.length = 1;
	r.u.copy.dst_offset = UINT64_MAX;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	r.u.copy.dst_offset = 0;
	r.u.copy.src_offset = 4096;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	r.u.copy.src_offset = 0;
	r.u.copy.dst = 3;
	assert_int_equal(now(&r), VGPU_RSP_ACCESS);
	r.ctx = 2;
	r.u.copy.dst = VGPU_HANDLE_MEM | 1;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	/* Nothing holds what was all right about them. */
	assert_int_equal(unmap(1, 2), VGPU_RSP_OK);
	end(VGPU_OP_MEM_FREE, 1, 1);
	assert_int_equal(mems, 0);
}

static void fill_takes_any_width(void **state)
{
	struct vgpu_request r = fill(1, 1, 1);

	(void)state;
	make_mem(1, 1, 101);
	r.u.fill.pattern = 0xab;
	r.u.fill.width = 1;
	r.u.fill.offset = 37;
	later(&r);
	assert_int_equal(queued->op, VGPU_OP_FILL);
	assert_int_equal(queued->pattern, 0xab);
	assert_int_equal(queued->width, 1);
	assert_int_equal(queued->operand[0].offset, 37);
	assert_int_equal(queued->operand[0].count, 64);
	finish(1, VGPU_RSP_OK);
	r.u.fill.offset = 38;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	map_flags(1, 2, VGPU_BUF_READ_ONLY);
	r.u.fill.handle = 2;
	assert_int_equal(now(&r), VGPU_RSP_ACCESS);
}

static void kernels_mix_memories(void **state)
{
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map_flags(1, 1, VGPU_BUF_READ_ONLY);
	make_mem(1, 7, 64);
	r.u.builtin.kernel = VGPU_KERNEL_SAXPY;
	r.u.builtin.param = 0x40000000;
	r.u.builtin.operand[1].handle = VGPU_HANDLE_MEM | 7;
	r.u.builtin.operand[1].offset = 0;
	memset(&r.u.builtin.operand[2], 0, sizeof(struct vgpu_operand));
	later(&r);
	assert_int_equal(queued->param, 0x40000000);
	assert_ptr_equal(queued->operand[0].host, memory);
	assert_int_equal(queued->operand[1].count, 16);
	assert_non_null(queued->operand[1].mem);
	assert_null(queued->operand[2].mem);
	assert_null(queued->operand[2].host);
	assert_int_equal(queued->operand[2].count, 0);
	finish(1, VGPU_RSP_OK);
	/* y is written to. */
	r.u.builtin.operand[1].handle = 1;
	assert_int_equal(now(&r), VGPU_RSP_ACCESS);
}

static void sgemm_has_its_own_block(void **state)
{
	const struct vgpu_sgemm p = {.m = 2,
				     .n = 8,
				     .k = 2,
				     .lda = 2,
				     .ldb = 2,
				     .ldc = 2,
				     .alpha = 1};
	struct vgpu_request r = add(1, 1, 0);

	(void)state;
	map(1, 1);
	/* Of any alignment. */
	memcpy(arena + 33, &p, sizeof(p));
	r.u.builtin.kernel = VGPU_KERNEL_SGEMM;
	r.u.builtin.param = 33;
	r.u.builtin.param_len = sizeof(p);
	later(&r);
	/* The guest changes its mind: too late. */
	memset(arena, 0xff, sizeof(arena));
	assert_memory_equal(queued->sgemm, &p, sizeof(p));
	finish(1, VGPU_RSP_OK);
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);
}

static void info_tells_use(void **state)
{
	struct vgpu_request r = request(VGPU_OP_INFO, 5, 1);
	const struct vgpu_info *info = (const void *)arena;

	(void)state;
	make_function(1);
	make_mem(1, 1, 1234);
	r.u.info.length = sizeof(*info);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(info->mem_used, 1234);
	assert_int_equal(info->nr_objects, 3);
	assert_int_equal(info->launches, 0);
	r = launch(1, 1, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
	r = request(VGPU_OP_INFO, 5, 1);
	r.u.info.length = sizeof(*info);
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(info->launches, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_is_made_and_freed),
		TEST(quota_is_exact),
		TEST(quota_changes),
		TEST(no_quota),
		TEST(failed_alloc_leaves_nothing),
		TEST(failure_of_a_name_used_again),
		TEST(free_waits_for_what_came_before),
		TEST(free_on_an_idle_stream),
		TEST(objects_are_bounded),
		TEST(nothing_is_made_without_a_stream),
		TEST(copy_any_way),
		TEST(bad_copies),
		TEST(fill_takes_any_width),
		TEST(kernels_mix_memories),
		TEST(sgemm_has_its_own_block),
		TEST(info_tells_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
