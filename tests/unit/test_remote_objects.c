// SPDX-License-Identifier: MIT
/*
 * test_remote_objects.c - modules, functions and launches of a client of
 * vgpu-engined, right or not, and how long what it made lives
 */
#include "remote_parts.h"

/* A part of an image: so much of it, from there on. */
static uint16_t image_part(uint32_t number, uint64_t total, uint64_t from,
			   size_t octets, uint32_t room)
{
	static unsigned char image[REMOTE_DATA_MAX];

	memset(image, 'a' + (int)(from % 26), sizeof(image));
	return try_job(&(struct remote_job){.op = VGPU_OP_MODULE_LOAD,
					    .number = number,
					    .param = VGPU_MODULE_PTX,
					    .room = room,
					    .operand = {OP(0, from, total)}},
		       image, octets);
}

/* The same, of a part that is not the last one: a fence, so to say. */
static void image_goes_on(uint32_t number, uint64_t total, uint64_t from,
			  size_t octets)
{
	assert_int_equal(image_part(number, total, from, octets, 0),
			 VGPU_RSP_OK);
	assert_int_equal(submitted[0]->op, VGPU_OP_FENCE);
	finish(0, VGPU_RSP_OK);
	send_all();
}

static void load(uint32_t number)
{
	assert_int_equal(image_part(number, 10, 0, 10, 0), VGPU_RSP_OK);
	assert_int_equal(submitted[0]->op, VGPU_OP_MODULE_LOAD);
	finish(0, VGPU_RSP_OK);
	send_all();
}

static void test_module_load(void **state)
{
	const struct vgpu_engine_operand *op;
	const unsigned char *answer;
	size_t octets;

	(void)state;
	image_goes_on(3, 300000, 0, 200000);
	/* Its rest, of it, from there, and no other one between. */
	assert_int_equal(image_part(3, 300000, 199999, 100001, 0),
			 VGPU_RSP_INVALID);
	assert_int_equal(image_part(3, 300001, 200000, 100001, 0),
			 VGPU_RSP_INVALID);
	assert_int_equal(image_part(4, 300000, 200000, 100000, 0),
			 VGPU_RSP_NO_HANDLE);
	assert_int_equal(image_part(4, 10, 0, 10, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(3, 300000, 200000, 100001, 0),
			 VGPU_RSP_INVALID);
	/* A log is for the last one. */
	assert_int_equal(image_part(3, 300000, 200000, 5, 5), VGPU_RSP_INVALID);
	assert_int_equal(image_part(3, 300000, 200000, 100000, 100),
			 VGPU_RSP_OK);
	op = submitted[0]->operand;
	assert_int_equal(submitted[0]->op, VGPU_OP_MODULE_LOAD);
	assert_int_equal(op[0].count, 300000);
	assert_int_equal(((char *)op[0].host)[199999], 'a');
	assert_int_equal(((char *)op[0].host)[200000], 'a' + 200000 % 26);
	assert_int_equal(op[1].count, 100);
	/* While the engine has it, there is no room for another one. */
	assert_int_equal(parts.nr_running, 1);
	peer_make_job(&f, 2, &(struct remote_job){.op = VGPU_OP_MODULE_LOAD,
						  .number = 9,
						  .param = VGPU_MODULE_PTX,
						  .operand = {OP(0, 0, 1)}},
		      "x", 1);
	take_frame();
	assert_int_equal(parts.part[1].refused, VGPU_RSP_INVALID);
	strcpy(op[1].host, "line 7: no such thing");
	finish(0, VGPU_RSP_BAD_IMAGE);
	assert_int_equal(last_done(&octets, &answer)->status,
			 VGPU_RSP_BAD_IMAGE);
	assert_int_equal(octets, strlen("line 7: no such thing"));
	assert_memory_equal(answer, "line 7: no such thing", octets);
	finish(1, VGPU_RSP_OK);
	send_all();
	/* Its number is taken still. */
	assert_int_equal(image_part(3, 10, 0, 10, 0), VGPU_RSP_EXISTS);
	assert_true(take_free(REMOTE_KIND_MODULE, 3));
	load(3);
	assert_int_equal(nr_unloaded, 1);
}

static void test_module_load_bad(void **state)
{
	(void)state;
	assert_int_equal(image_part(1, 10, 0, 0, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, 0, 0, 1, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, 10, 0, 11, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, 10, UINT64_MAX, 10, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, VGPU_MAX_IMAGE + 1, 0, 10, 0),
			 VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, UINT64_MAX, 0, 10, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(0, 10, 0, 10, 0), VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, 10, 0, 10, REMOTE_DATA_MAX + 1),
			 VGPU_RSP_INVALID);
	assert_int_equal(image_part(1, 10, 5, 5, 0), VGPU_RSP_NO_HANDLE);
	/* One that is given up makes room for the next. */
	image_goes_on(1, VGPU_MAX_IMAGE, 0, 1000);
	assert_true(take_free(REMOTE_KIND_MODULE, 1));
	assert_null(parts.image.data);
	load(1);
	parts_teardown(NULL);
	engine_modules = false;
	parts_setup(NULL);
	engine_modules = true;
	assert_int_equal(image_part(1, 10, 0, 10, 0), VGPU_RSP_NO_GPU);
}

static uint16_t get(uint32_t number, uint32_t module, const char *name,
		    uint32_t room)
{
	return try_job(&(struct remote_job){.op = VGPU_OP_FUNCTION_GET,
					    .number = number, .param = module,
					    .room = room}, name, strlen(name));
}

static void test_function_get(void **state)
{
	static char longest[VGPU_MAX_KERNEL_NAME + 2];
	const struct vgpu_param params[] = {{0, 8}, {8, 4}};
	const unsigned char *answer;
	size_t octets;

	(void)state;
	load(1);
	assert_int_equal(get(5, 1, "add", 400), VGPU_RSP_OK);
	assert_string_equal(submitted[0]->name, "add");
	assert_int_equal(submitted[0]->operand[0].count, 400);
	memcpy(submitted[0]->operand[0].host, params, sizeof(params));
	submitted[0]->value = 12 | UINT64_C(2) << 32;
	finish(0, VGPU_RSP_OK);
	assert_int_equal(last_done(&octets, &answer)->value,
			 12 | UINT64_C(2) << 32);
	assert_int_equal(octets, sizeof(params));
	assert_memory_equal(answer, params, octets);
	send_all();
	assert_int_equal(get(5, 1, "sub", 0), VGPU_RSP_EXISTS);
	/* As many as there is room for. */
	assert_int_equal(get(6, 1, "sub", 4), VGPU_RSP_OK);
	submitted[0]->value = 12 | UINT64_C(0xffffffff) << 32;
	finish(0, VGPU_RSP_OK);
	last_done(&octets, &answer);
	assert_int_equal(octets, 4);
	send_all();
	/* One that is not found has no number. */
	assert_int_equal(get(7, 1, "none", 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_NO_HANDLE);
	send_all();
	assert_int_equal(get(7, 2, "add", 0), VGPU_RSP_NO_HANDLE);
	assert_int_equal(get(7, 1, "", 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_NO_HANDLE);
	send_all();
	assert_int_equal(get(7, 1, "a\nb", 0), VGPU_RSP_INVALID);
	assert_int_equal(get(7, 1, "a\x7f", 0), VGPU_RSP_INVALID);
	assert_int_equal(get(7, 1, "add", 3), VGPU_RSP_INVALID);
	assert_int_equal(get(7, 1, "add", REMOTE_DATA_MAX + 4),
			 VGPU_RSP_INVALID);
	assert_int_equal(get(0, 1, "add", 0), VGPU_RSP_INVALID);
	memset(longest, 'x', VGPU_MAX_KERNEL_NAME + 1);
	assert_int_equal(get(7, 1, longest, 0), VGPU_RSP_INVALID);
	longest[VGPU_MAX_KERNEL_NAME] = '\0';
	assert_int_equal(get(7, 1, longest, 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_OK);
}

struct launch_data {
	struct remote_launch l;
	unsigned char args[16];
	struct remote_reloc reloc[2];
};

static const struct launch_data right_launch = {
	.l = {{1, 2, 3}, {4, 5, 6}, 12, 2},
	.reloc = {{.memory = 1, .at = 0, .offset = 50},
		  {.memory = 2, .at = 0, .offset = 100}},
};

static uint16_t launch(const struct launch_data *l, size_t octets)
{
	return try_job(&(struct remote_job){.op = VGPU_OP_LAUNCH, .number = 5,
					    .param = 77}, l, octets);
}

static void test_launch(void **state)
{
	struct launch_data l = right_launch;
	const struct vgpu_engine_launch *is;

	(void)state;
	alloc(1, 100);
	alloc(2, 100);
	load(1);
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_NO_HANDLE);
	assert_int_equal(get(5, 1, "add", 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_OK);
	send_all();
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_OK);
	is = &submitted[0]->launch;
	assert_int_equal(is->grid[2], 3);
	assert_int_equal(is->block[0], 4);
	assert_int_equal(is->shared, 77);
	assert_int_equal(is->args_len, 12);
	assert_int_equal((uintptr_t)is->args % 8, 0);
	assert_int_equal(is->nr_relocs, 2);
	assert_int_equal(is->reloc[0].target.offset, 50);
	assert_int_equal(is->reloc[1].target.mem->bytes, 100);
	finish(0, VGPU_RSP_OK);
	send_all();
	assert_int_equal(launch(&l, sizeof(l) - 1), VGPU_RSP_INVALID);
	assert_int_equal(launch(&l, sizeof(l.l) - 1), VGPU_RSP_INVALID);
	assert_int_equal(launch(&l, 0), VGPU_RSP_INVALID);
	l.args[12] = 1;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l.args[12] = 0;
	l.reloc[1].offset = 101;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_RANGE);
	l.reloc[1].offset = UINT64_MAX;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_RANGE);
	l.reloc[1].offset = 0;
	l.reloc[1].memory = 3;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_NO_HANDLE);
	l.reloc[1].memory = 2;
	l.reloc[1].at = 8;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l.reloc[1].at = 65528;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l.reloc[1].at = 4;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l = right_launch;
	l.l.args_len = VGPU_MAX_ARGS + 1;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l.l.args_len = UINT32_MAX;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l = right_launch;
	l.l.nr_relocs = UINT32_MAX;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_INVALID);
	l = right_launch;
	l.l.block[1] = 0;
	assert_int_equal(launch(&l, sizeof(l)), VGPU_RSP_LAUNCH);
}

/* What jobs name stays until they are done, whatever becomes of its number. */
static void test_lives(void **state)
{
	(void)state;
	alloc(1, 100);
	alloc(2, 100);
	load(1);
	assert_int_equal(get(5, 1, "add", 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_OK);
	send_all();
	assert_int_equal(launch(&right_launch, sizeof(right_launch)),
			 VGPU_RSP_OK);
	assert_true(take_free(REMOTE_KIND_MEMORY, 1));
	assert_true(take_free(REMOTE_KIND_MODULE, 1));
	assert_true(take_free(REMOTE_KIND_MODULE, 1));
	assert_int_equal(nr_mem_freed + nr_unloaded, 0);
	/* Their numbers are free, the function's with its module's. */
	assert_null(objects_find(parts.objects, REMOTE_KIND_MEMORY, 1));
	assert_null(objects_find(parts.objects, REMOTE_KIND_FUNCTION, 5));
	finish(0, VGPU_RSP_OK);
	assert_int_equal(nr_mem_freed, 1);
	assert_int_equal(nr_unloaded, 1);
	send_all();
	assert_true(take_free(REMOTE_KIND_MEMORY, 2));
	assert_int_equal(nr_mem_freed, 2);
}

/* The same where the client is gone, in the middle of all. */
static void test_session_ends(void **state)
{
	static const uint8_t other[REMOTE_NONCE] = { 1 };

	(void)state;
	alloc(1, 100);
	alloc(2, 100);
	alloc(3, 100);
	load(1);
	load(2);
	assert_int_equal(get(5, 1, "add", 0), VGPU_RSP_OK);
	finish(0, VGPU_RSP_OK);
	send_all();
	image_goes_on(3, 1000, 0, 10);
	assert_int_equal(launch(&right_launch, sizeof(right_launch)),
			 VGPU_RSP_OK);
	parts_new_session(&parts, &out, other);
	assert_null(parts.image.data);
	assert_int_equal(nr_mem_freed, 1);
	assert_int_equal(nr_unloaded, 2);
	finish(0, VGPU_RSP_OK);
	assert_int_equal(out.count, 0);
	assert_int_equal(nr_mem_freed, 3);
	assert_int_equal(nr_unloaded, 3);
	nr_submitted = 0;
	assert_int_equal(launch(&right_launch, sizeof(right_launch)),
			 VGPU_RSP_NO_HANDLE);
}

/* An image of the session before is with the engine: the next one has to wait. */
static void test_image_of_session(void **state)
{
	static const uint8_t other[REMOTE_NONCE] = { 1 };
	const struct remote_job j = {.op = VGPU_OP_MODULE_LOAD, .number = 1,
				     .param = VGPU_MODULE_PTX,
				     .operand = {OP(0, 0, 1)}};

	(void)state;
	assert_int_equal(image_part(1, 10, 0, 10, 0), VGPU_RSP_OK);
	parts_new_session(&parts, &out, other);
	peer_make_job(&f, 2, &j, "x", 1);
	in.head = f.h;
	memcpy(in.payload, f.body, f.h.length);
	assert_false(parts_room(&parts, &in));
	finish(0, VGPU_RSP_OK);
	assert_int_equal(nr_unloaded, 1);
	assert_true(parts_room(&parts, &in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(test_module_load),
		PARTS_TEST(test_module_load_bad),
		PARTS_TEST(test_function_get),
		PARTS_TEST(test_launch),
		PARTS_TEST(test_lives),
		PARTS_TEST(test_session_ends),
		PARTS_TEST(test_image_of_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
