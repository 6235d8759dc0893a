// SPDX-License-Identifier: MIT
/*
 * test_backend_code.c - modules, functions, launches, events, and the end of
 * all that a context has
 *
 * Session, ring, grants and engine as in device_double.h.
 */
#include "device_double.h"

static void module_and_function(void **state)
{
	struct vgpu_request r = module_load(1, 1, 1);

	(void)state;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	map(1, 1);
	map(1, 2);
	r.u.module_load.image.offset = 3;
	r.u.module_load.log.handle = 2;
	r.u.module_load.log.count = 7;
	r.u.module_load.log.offset = 5;
	later(&r);
	assert_int_equal(queued->format, VGPU_MODULE_PTX);
	assert_ptr_equal(queued->operand[0].host, memory + 3);
	assert_int_equal(queued->operand[0].count, 100);
	assert_ptr_equal(queued->operand[1].host, memory + 5);
	assert_int_equal(queued->operand[1].count, 7);
	assert_int_equal(unmap(1, 2), VGPU_RSP_BUSY);
	/* Named before it is there; its name is the guest's. */
	r = function_get(2, 1, 1, 1);
	later(&r);
	memset(arena, 'x', sizeof(arena));
	assert_string_equal(queued->next->name, "kernel");
	assert_ptr_equal(queued->next->module, queued->module);
	assert_null(queued->next->operand[0].host);
	finish(2, VGPU_RSP_OK);
	assert_true(last()->value == (3ull << 32 | 24));
	r = function_get(3, 1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_EXISTS);
	/* Modules, functions, events and memory have a space each. */
	r = handle(VGPU_OP_EVENT_RECORD, 4, 1, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
	make_mem(1, 1, 1);
	assert_int_equal(stats.objects, 4);
}

static void bad_images_and_names(void **state)
{
	struct vgpu_request r = module_load(1, 1, 1);

	(void)state;
	map_flags(1, 1, VGPU_BUF_READ_ONLY);
	r.u.module_load.image.count = 4097;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	r = module_load(1, 1, 1);
	r.u.module_load.log = r.u.module_load.image;
	assert_int_equal(now(&r), VGPU_RSP_ACCESS);
	/* Rejected by the compiler: it has no name, and nothing is left. */
	r = module_load(1, 1, 1);
	later(&r);
	finish(1, VGPU_RSP_BAD_IMAGE);
	assert_int_equal(last()->status, VGPU_RSP_BAD_IMAGE);
	r = function_get(2, 1, 1, 1);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	assert_int_equal(unmap(1, 1), VGPU_RSP_OK);

	make_function(1);
	r = function_get(2, 1, 1, 2);
	arena[66] = '\0';
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	arena[66] = '\x7f';
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	arena[66] = '\xc3';
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	r = function_get(2, 1, 1, 2);
	r.u.function_get.params.handle = 1;
	r.u.function_get.params.count = 4;
	r.u.function_get.params.offset = 2;
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
	r.u.function_get.params.offset = 4096;
	assert_int_equal(now(&r), VGPU_RSP_RANGE);
	r.u.function_get.params.offset = 4092;
	later(&r);
	assert_ptr_equal(queued->operand[0].host, memory + 4092);
	assert_int_equal(queued->operand[0].count, 4);
	/* The module has no such kernel. */
	finish(1, VGPU_RSP_NO_HANDLE);
	r = launch(3, 1, 2);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
}

static void unload_waits_for_launches(void **state)
{
	struct vgpu_request a = launch(1, 1, 1), b = launch(2, 1, 1);
	struct vgpu_request get = function_get(3, 1, 1, 9);
	struct vgpu_request e = handle(VGPU_OP_MODULE_UNLOAD, 4, 1, 1);

	(void)state;
	make_function(1);
	later(&a);
	b.stream = 1;
	later(&b);
	later(&get);
	later(&e);
	/* Its functions have gone with it. */
	a.id = 5;
	assert_int_equal(now(&a), VGPU_RSP_NO_HANDLE);
	a.u.launch.function = 9;
	assert_int_equal(now(&a), VGPU_RSP_NO_HANDLE);
	assert_int_equal(now(&get), VGPU_RSP_INVALID);
	get.id = 5;
	assert_int_equal(now(&get), VGPU_RSP_NO_HANDLE);
	finish(1, VGPU_RSP_OK);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(modules, 1);
	/* One that is found no more fails as any. */
	finish(1, VGPU_RSP_NO_HANDLE);
	assert_int_equal(modules, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->op, VGPU_OP_MODULE_UNLOAD);
	assert_int_equal(modules, 0);
	assert_int_equal(stats.objects, 0);
	/* The number is free. */
	a = module_load(6, 1, 1);
	assert_int_equal(done(&a), VGPU_RSP_OK);
}

/* A launch on another stream holds the module beyond its unload. */
static void function_in_flight_holds_its_module(void **state)
{
	struct vgpu_request r = launch(1, 1, 1);

	(void)state;
	make_function(1);
	r.stream = 3;
	later(&r);
	end(VGPU_OP_MODULE_UNLOAD, 1, 1);
	assert_int_equal(modules, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(modules, 0);
}

static void launch_has_its_own_arguments(void **state)
{
	struct vgpu_request r = launch(1, 1, 1);
	const struct vgpu_engine_launch *l;
	uint64_t args[3];

	(void)state;
	make_function(1);
	make_mem(1, 5, 100);
	map(1, 2);
	memset(arena, 0x11, sizeof(arena));
	reloc(&r, VGPU_HANDLE_MEM | 5, 16, 100);
	reloc(&r, 2, 0, 4000);
	r.u.launch.shared = 77;
	r.stream = 1;
	later(&r);
	memset(arena, 0xff, sizeof(arena));
	l = &queued->launch;
	memcpy(args, l->args, sizeof(args));
	assert_int_equal((uintptr_t)l->args % 8, 0);
	assert_int_equal(l->args_len, 24);
	assert_true(args[1] == 0x1111111111111111);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(l->grid[i], i + 1);
		assert_int_equal(l->block[i], i + 1);
	}
	assert_int_equal(l->shared, 77);
	assert_int_equal(l->nr_relocs, 2);
	assert_int_equal(l->reloc[0].at, 16);
	assert_true(l->reloc[0].target.mem->bytes == 100);
	assert_int_equal(l->reloc[0].target.offset, 100);
	assert_int_equal(l->reloc[0].target.count, 0);
	assert_int_equal(l->reloc[1].at, 0);
	assert_ptr_equal(l->reloc[1].target.host, memory + 4000);
	assert_ptr_equal(l->reloc[1].target.region, s->bufs.table[2].region);
	/* What is named is in use. */
	assert_int_equal(unmap(1, 2), VGPU_RSP_BUSY);
	end(VGPU_OP_MEM_FREE, 1, 5);
	assert_int_equal(mems, 1);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(mems, 0);
	assert_int_equal(stats.launches, 1);
	assert_int_equal(unmap(1, 2), VGPU_RSP_OK);
}

static void bad_relocations(void **state)
{
	static const struct {
		const char *name;
		uint32_t target;
		uint16_t at;
		uint64_t offset;
		enum vgpu_status want;
	} list[] = {
		{"the last octets", VGPU_HANDLE_MEM | 5, 16, 0, VGPU_RSP_OK},
		{"behind the arguments", VGPU_HANDLE_MEM | 5, 24, 0,
		 VGPU_RSP_INVALID},
		{"at the top", VGPU_HANDLE_MEM | 5, 0xfff8, 0,
		 VGPU_RSP_INVALID},
		{"misaligned", VGPU_HANDLE_MEM | 5, 4, 0, VGPU_RSP_INVALID},
		{"memory's end", VGPU_HANDLE_MEM | 5, 0, 100, VGPU_RSP_OK},
		{"behind memory's end", VGPU_HANDLE_MEM | 5, 0, 101,
		 VGPU_RSP_RANGE},
		{"offset of all bits", VGPU_HANDLE_MEM | 5, 0, ~0ull,
		 VGPU_RSP_RANGE},
		{"buffer's end", 2, 0, 4096, VGPU_RSP_OK},
		{"behind the buffer's end", 2, 0, 4097, VGPU_RSP_RANGE},
		{"no memory", VGPU_HANDLE_MEM | 6, 0, 0, VGPU_RSP_NO_HANDLE},
		{"no buffer", 9, 0, 0, VGPU_RSP_NO_HANDLE},
		{"handle 0", 0, 0, 0, VGPU_RSP_NO_HANDLE},
		{"read-only buffer", 3, 0, 0, VGPU_RSP_ACCESS},
		{"a buffer out of reach", 4, 0, 0, VGPU_RSP_UNSUPPORTED},
	};
	struct vgpu_reloc dirty = {.handle = 2, .reserved0 = 1};
	struct vgpu_request r;

	(void)state;
	make_function(1);
	make_mem(1, 5, 100);
	map(1, 2);
	map_flags(1, 3, VGPU_BUF_READ_ONLY);
	regions_fail = true;
	map(1, 4);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		enum vgpu_status got;

		r = launch(1, 1, 1);
		/* A good one first, which a bad one must let go of. */
		reloc(&r, 2, 8, 0);
		memset(arena + 128 + 24 + 8, 0, 8);
		reloc(&r, list[i].target, list[i].at, list[i].offset);
		session_request(s, &r);
		if (queued)
			finish(1, VGPU_RSP_OK);
		got = last()->status;
		if (got != list[i].want)
			fail_msg("%s: status %d, want %d", list[i].name, got,
				 list[i].want);
		assert_int_equal(s->bufs.table[2].uses, 0);
		assert_int_equal(s->nr_inflight, 0);
	}
	r = launch(1, 1, 1);
	reloc(&r, 2, 0, 0);
	memcpy(arena + 128 + 24, &dirty, sizeof(dirty));
	assert_int_equal(now(&r), VGPU_RSP_INVALID);
}

static void most_relocations(void **state)
{
	struct vgpu_request r = launch(1, 1, 1);

	(void)state;
	make_function(1);
	make_mem(1, 5, 100);
	memset(arena, 0, sizeof(arena));
	r.u.launch.args_len = VGPU_MAX_ARGS;
	for (uint16_t i = 0; i < VGPU_MAX_RELOCS; i++)
		reloc(&r, i % 2 ? 1 : VGPU_HANDLE_MEM | 5,
		      VGPU_MAX_ARGS - 8 * (i + 1), i);
	later(&r);
	assert_int_equal(queued->launch.nr_relocs, VGPU_MAX_RELOCS);
	assert_int_equal(queued->launch.reloc[62].target.offset, 62);
	assert_int_equal(s->bufs.table[1].uses, VGPU_MAX_RELOCS / 2);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(s->bufs.table[1].uses, 0);
	/* All of them the same place, and every one bad but the first. */
	r = launch(1, 1, 1);
	for (int i = 0; i < VGPU_MAX_RELOCS; i++)
		reloc(&r, i ? 9 : VGPU_HANDLE_MEM | 5, 0, 0);
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	end(VGPU_OP_MEM_FREE, 1, 5);
	assert_int_equal(mems, 0);
}

/* The engine alone can know: of sizes, of arguments, of time. */
static void launches_that_fail(void **state)
{
	struct vgpu_request r = launch(1, 1, 1);

	(void)state;
	make_function(1);
	later(&r);
	finish(1, VGPU_RSP_LAUNCH);
	assert_int_equal(last()->status, VGPU_RSP_LAUNCH);
	assert_int_equal(stats.launches, 0);
	/* It can be launched again. */
	later(&r);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(stats.launches, 1);
	r.ctx = 2;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
}

static void events(void **state)
{
	struct vgpu_request r = handle(VGPU_OP_EVENT_WAIT, 1, 1, 5);
	struct vgpu_engine_event *event;

	(void)state;
	/* No mark: nothing to wait for, and no stream is made for it. */
	assert_int_equal(now(&r), VGPU_RSP_OK);
	assert_int_equal(streams, 0);
	r.op = VGPU_OP_EVENT_DESTROY;
	assert_int_equal(now(&r), VGPU_RSP_NO_HANDLE);
	r.op = VGPU_OP_EVENT_RECORD;
	later(&r);
	event = queued->event;
	r.op = VGPU_OP_EVENT_WAIT;
	r.id = 2;
	r.stream = 4;
	later(&r);
	assert_ptr_equal(queued->next->event, event);
	/* The mark moves on. */
	r.op = VGPU_OP_EVENT_RECORD;
	r.id = 3;
	later(&r);
	assert_ptr_equal(queued->next->next->event, event);
	assert_int_equal(stats.objects, 1);
	/* Forgotten, made anew: another one; who waits goes on waiting. */
	end(VGPU_OP_EVENT_DESTROY, 1, 5);
	r.id = 4;
	later(&r);
	assert_ptr_not_equal(queued->next->next->next->event, event);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->value, 77);
	assert_int_equal(stats.objects, 2);
	finish(2, VGPU_RSP_OK);
	assert_int_equal(stats.objects, 1);
	/* A mark that could not be set leaves the event. */
	finish(1, VGPU_RSP_NO_MEMORY);
	assert_int_equal(stats.objects, 1);
	end(VGPU_OP_EVENT_DESTROY, 1, 5);
	assert_int_equal(stats.objects, 0);
}

/* Of each kind, in flight and not, on several streams; and a neighbour's. */
static void ctx_destroy_takes_all(void **state)
{
	struct vgpu_request r, d = request(VGPU_OP_CTX_DESTROY, 50, 1);
	uint16_t id = 1;

	(void)state;
	make_function(1);
	make_mem(1, 1, 100);
	make_mem(1, 2, 100);
	make_mem(2, 1, 64);
	/* Shares the first one's place in the table of contexts. */
	make_mem(1 + OBJECT_CTXS, 1, 1);
	r = launch(id++, 1, 1);
	reloc(&r, VGPU_HANDLE_MEM | 1, 0, 0);
	later(&r);
	r = handle(VGPU_OP_EVENT_RECORD, id++, 1, 1);
	r.stream = 1;
	later(&r);
	r = handle(VGPU_OP_EVENT_WAIT, id++, 1, 1);
	later(&r);
	r = fill(id++, 1, 2);
	r.stream = 2;
	later(&r);
	r = mem_alloc(id++, 1, 3, 100);
	r.stream = 3;
	later(&r);
	r = handle(VGPU_OP_MEM_FREE, id++, 1, 2);
	r.stream = 2;
	later(&r);
	r = module_load(id++, 1, 2);
	later(&r);
	r = function_get(id++, 1, 2, 2);
	later(&r);
	r = handle(VGPU_OP_MODULE_UNLOAD, id++, 1, 1);
	later(&r);
	r = fill(id++, 2, 1);
	later(&r);
	later(&d);
	r = mem_alloc(id++, 1, 4, 1);
	assert_int_equal(now(&r), VGPU_RSP_BUSY);
	/* All but the neighbour's; one of them fails. */
	finish(4, VGPU_RSP_OK);
	finish(1, VGPU_RSP_NO_MEMORY);
	finish(4, VGPU_RSP_OK);
	assert_int_equal(last()->id, 50);
	assert_int_equal(last()->status, VGPU_RSP_OK);
	assert_int_equal(stats.objects, 2);
	assert_int_equal(stats.mem_used, 65);
	assert_int_equal(mems, 2);
	assert_int_equal(modules, 0);
	assert_int_equal(mappings, 0);
	finish(1, VGPU_RSP_OK);
	r = fill(1, 2, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
}

/* The device goes with all kinds of objects there: see teardown(). */
static void session_end_takes_all(void **state)
{
	struct vgpu_request r = handle(VGPU_OP_EVENT_RECORD, 1, 3, 1);

	(void)state;
	make_function(1);
	make_mem(2, 1, 100);
	assert_int_equal(done(&r), VGPU_RSP_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(module_and_function),
		TEST(bad_images_and_names),
		TEST(unload_waits_for_launches),
		TEST(function_in_flight_holds_its_module),
		TEST(launch_has_its_own_arguments),
		TEST(bad_relocations),
		TEST(most_relocations),
		TEST(launches_that_fail),
		TEST(events),
		TEST(ctx_destroy_takes_all),
		TEST(session_end_takes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
