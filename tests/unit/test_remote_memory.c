// SPDX-License-Identifier: MIT
/*
 * test_remote_memory.c - the remote engine's memory, modules and launches: far
 * ends that are honest, that lie, and that go
 */
#include "remote_script.h"

#define BYTES 1000

/* What the engine is asked for, in this order on one stream. */
enum ask { ALLOC, TO, FROM, FILL, LOAD, GET, RUN, NR_ASKS };

static struct vgpu_engine *eng;
static struct vgpu_engine_stream *stream;
static struct vgpu_engine_mem mem;
static struct vgpu_engine_module module;
static struct vgpu_engine_function function;
static unsigned char host[BYTES];
static char text[64];
static struct vgpu_param params[8];
static uint64_t args[2];
static struct vgpu_engine_reloc reloc;

/* FREEs that came before the last job. */
static unsigned int frees;

static const struct vgpu_param there[] = {{0, 8}, {8, 4}};

static struct tried ask(enum ask what)
{
	static const uint8_t ops[] = {
		VGPU_OP_MEM_ALLOC, VGPU_OP_COPY, VGPU_OP_COPY, VGPU_OP_FILL,
		VGPU_OP_MODULE_LOAD, VGPU_OP_FUNCTION_GET, VGPU_OP_LAUNCH,
	};
	const struct vgpu_engine_operand here = {.host = host, .count = BYTES};
	const struct vgpu_engine_operand far = {.mem = &mem, .count = BYTES};
	struct tried t = {.job = {.op = ops[what], .stream = stream}};
	struct vgpu_job *job = &t.job;

	job->mem = &mem;
	job->module = &module;
	job->function = &function;
	job->name = "kernel";
	job->format = VGPU_MODULE_PTX;
	job->width = 4;
	job->operand[0] = what == TO || what == FILL ? far : here;
	job->operand[1] = what == TO ? here : far;
	if (what == LOAD)
		job->operand[1] = (struct vgpu_engine_operand){
			.host = text, .count = sizeof(text)};
	if (what == GET)
		job->operand[0] = (struct vgpu_engine_operand){
			.host = params, .count = sizeof(params)};
	reloc = (struct vgpu_engine_reloc){{.mem = &mem, .offset = 9}, .at = 0};
	job->launch = (struct vgpu_engine_launch){
		.function = &function,
		.grid = {1, 1, 1},
		.block = {32, 1, 1},
		.args_len = 12,
		.args = args,
		.nr_relocs = 1,
		.reloc = &reloc,
	};
	return t;
}

static void begin(const struct remote_times *times)
{
	memset(&mem, 0, sizeof(mem));
	memset(&module, 0, sizeof(module));
	memset(&function, 0, sizeof(function));
	mem.bytes = BYTES;
	eng = open_quick(times);
	stream = vgpu_engine_stream_create(eng);
}

static void end(void)
{
	vgpu_engine_module_unload(eng, &module);
	vgpu_engine_mem_free(eng, &mem);
	vgpu_engine_stream_destroy(eng, stream);
	vgpu_engine_close(eng);
	end_script();
}

/* What an answer is to be, in place of the right one. */
struct lie {
	enum ask to;
	uint16_t status;
	uint64_t value;
	size_t octets;
	const char *data;
};

/* The right answer to the JOB that was read. */
static struct lie truth(void)
{
	const struct remote_job *j = the_job();
	struct lie t = {0};

	switch (j->op) {
	case VGPU_OP_MEM_ALLOC:
		t.value = 0x10000;
		break;
	case VGPU_OP_COPY:
		t.octets = j->operand[0].memory ? 0 : j->operand[0].count;
		break;
	case VGPU_OP_MODULE_LOAD:
		t.data = "fine\n\tas\x1b is";
		t.octets = strlen(t.data);
		break;
	case VGPU_OP_FUNCTION_GET:
		t.value = 12 | UINT64_C(2) << 32;
		t.data = (const char *)there;
		t.octets = sizeof(there);
		break;
	}
	return t;
}

static void answer(int fd, const struct lie *lie)
{
	const struct remote_done d = {.status = lie->status, .value = lie->value};

	peer_make_done(&done_frame, job_frame.h.id, &d, lie->data, lie->octets);
	peer_put(fd, &done_frame);
}

/* Answers all that is asked for, the last one with a lie if there is one. */
static void *serve(void *arg)
{
	const struct lie *lie = arg;
	int fd = next_client();

	peer_welcome_as(fd, "cuda", "Honest");
	for (int i = 0; peer_next_job(fd, &job_frame); i++) {
		struct lie t = truth();

		frees = peer_frees;
		answer(fd, lie && (int)lie->to == i ? lie : &t);
	}
	close(fd);
	return NULL;
}

static void test_all_right(void **state)
{
	struct tried t[NR_ASKS];
	unsigned int i;

	(void)state;
	run_script(serve, NULL);
	begin(&patient);
	for (i = 0; i < NR_ASKS; i++) {
		t[i] = ask(i);
		memset(host, 1, sizeof(host));
		assert_int_equal(run_one(eng, &t[i]), VGPU_RSP_OK);
		assert_int_equal(t[i].job.path, VGPU_PATH_REMOTE);
	}
	assert_int_equal(mem.address, 0x10000);
	assert_int_equal(t[ALLOC].job.value, 0x10000);
	/* Nothing a terminal would take for more than text. */
	assert_string_equal(text, "fine\n\tas? is");
	assert_int_equal(function.args_len, 12);
	assert_int_equal(t[GET].job.value, 12 | UINT64_C(2) << 32);
	assert_memory_equal(params, there, sizeof(there));
	vgpu_engine_module_unload(eng, &module);
	vgpu_engine_mem_free(eng, &mem);
	/* What is freed first is there for what is allocated next. */
	assert_int_equal(run_one(eng, &t[ALLOC]), VGPU_RSP_OK);
	end();
	assert_int_equal(nr_connections, 1);
	assert_int_equal(frees, 2);
}

static const struct lie lies[] = {
	{.to = ALLOC, .value = 0},
	{.to = ALLOC, .value = 0x10080},
	{.to = ALLOC, .value = UINT64_MAX - 255},
	{.to = ALLOC, .value = 0x10000, .octets = 4},
	{.to = ALLOC, .value = 0x10000, .status = VGPU_RSP_NO_MEMORY},
	{.to = TO, .octets = BYTES},
	{.to = TO, .value = 1},
	{.to = FROM, .octets = BYTES - 1},
	{.to = FROM, .octets = BYTES + 1},
	{.to = FROM, .octets = 0},
	{.to = FROM, .octets = BYTES, .status = VGPU_RSP_NO_HANDLE},
	{.to = FROM, .octets = BYTES, .value = 5},
	{.to = FILL, .octets = 1},
	{.to = FILL, .value = 1},
	{.to = FILL, .status = VGPU_RSP_MAX + 1},
	{.to = LOAD, .octets = sizeof(text) + 1},
	{.to = LOAD, .value = 1},
	{.to = GET, .value = 65536},
	{.to = GET, .value = 1 | UINT64_C(2) << 32, .octets = 8},
	{.to = GET, .value = 12 | UINT64_C(2) << 32, .octets = 4},
	{.to = GET, .value = 12 | UINT64_C(9) << 32, .octets = 36},
	{.to = GET, .value = 11 | UINT64_C(2) << 32, .octets = 8,
	 .data = (const char *)there},
	{.to = GET, .status = VGPU_RSP_NO_HANDLE, .value = 12},
	{.to = RUN, .octets = 8},
	{.to = RUN, .value = 8},
};

/* What no honest far end says ends the session, and what was there with it. */
static void test_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		run_script(serve, (void *)&lies[i]);
		begin(&patient);
		for (enum ask what = 0; what <= lies[i].to; what++) {
			struct tried t = ask(what);
			uint16_t status;

			memset(text, 'x', sizeof(text));
			status = run_one(eng, &t);
			if (what == LOAD)
				assert_non_null(memchr(text, 0, sizeof(text)));
			if (status != (what < lies[i].to ? VGPU_RSP_OK :
							   VGPU_RSP_DEVICE_LOST))
				fail_msg("lie %zu: %d has status %u", i, what,
					 status);
		}
		end();
		assert_int_equal(nr_connections, 1);
	}
}

/* Whatever the far end says, it was busy for no longer than we waited. */
static void *serve_long_times(void *arg)
{
	const struct remote_done d = {.time_ns = UINT64_MAX};
	int fd = next_client();

	(void)arg;
	peer_welcome_as(fd, "cuda", "Honest");
	while (peer_next_job(fd, &job_frame)) {
		peer_make_done(&done_frame, job_frame.h.id, &d, NULL,
			       the_job()->operand[0].count * 4);
		peer_put(fd, &done_frame);
	}
	close(fd);
	return NULL;
}

static void test_time_is_clamped(void **state)
{
	uint64_t start;
	struct add add;

	(void)state;
	run_script(serve_long_times, NULL);
	begin(&patient);
	add_make(&add, stream, 3 * 32768);
	start = now_ms();
	assert_int_equal(run_one(eng, &add.t), VGPU_RSP_OK);
	/* Three parts, none longer than all of it. */
	assert_in_range(add.t.job.time_ns, 1,
			3 * (now_ms() - start + 2) * 1000000);
	free(add.a);
	free(add.b);
	end();
}

/* It answers so many jobs, goes, and is there again. */
static void *serve_and_come_back(void *arg)
{
	const int *answers = arg;
	int fd = next_client();

	peer_welcome_as(fd, "cuda", "Honest");
	for (int i = 0; i < *answers; i++) {
		struct lie t;

		NEED(peer_next_job(fd, &job_frame));
		t = truth();
		answer(fd, &t);
	}
	/* Until all that was answered has been freed, or the job is there. */
	peer_next_job(fd, &job_frame);
	close(fd);
	if (!is_client())
		return NULL;
	fd = next_client();
	peer_welcome_as(fd, "cuda", "Honest");
	while (peer_next_job(fd, &job_frame)) {
		peer_answer(&job_frame, &done_frame);
		peer_put(fd, &done_frame);
	}
	close(fd);
	return NULL;
}

/* With memory there, or a module, a break is the end. */
static void check_break(enum ask what, int answers)
{
	struct tried t;

	run_script(serve_and_come_back, &answers);
	begin(&patient);
	t = ask(what);
	if (answers) {
		assert_int_equal(run_one(eng, &t), VGPU_RSP_OK);
		t = ask(FILL);
		t.job.operand[0] = (struct vgpu_engine_operand){
			.host = host, .count = 400, .mem = NULL};
		t.job.op = VGPU_OP_BUILTIN;
		t.job.kernel = VGPU_KERNEL_VECTOR_ADD;
		for (int i = 0; i < 3; i++)
			t.job.operand[i] = (struct vgpu_engine_operand){
				.host = host, .count = 100};
	}
	assert_int_equal(run_one(eng, &t), VGPU_RSP_DEVICE_LOST);
	end();
	assert_int_equal(nr_connections, 1);
}

static void test_break_with_memory(void **state)
{
	(void)state;
	check_break(ALLOC, 1);
	check_break(LOAD, 1);
	check_break(ALLOC, 0);
	check_break(LOAD, 0);
}

/* When all of it has been given back, work goes on as if there had been none. */
static void test_break_after_memory(void **state)
{
	struct tried alloc;
	int answers = 1;
	struct add add;

	(void)state;
	run_script(serve_and_come_back, &answers);
	begin(&patient);
	alloc = ask(ALLOC);
	assert_int_equal(run_one(eng, &alloc), VGPU_RSP_OK);
	vgpu_engine_mem_free(eng, &mem);
	add_make(&add, stream, 1000);
	assert_int_equal(run_one(eng, &add.t), VGPU_RSP_OK);
	add_check(&add, VGPU_RSP_OK);
	end();
	assert_int_equal(nr_connections, 2);
	assert_int_equal(peer_frees, 1);
}

/* What cannot be made leaves nothing: the rest of its stream is told so. */
static void *serve_full(void *arg)
{
	const struct lie full = {.status = VGPU_RSP_NO_MEMORY};
	int fd = next_client();

	(void)arg;
	peer_welcome_as(fd, "cuda", "Honest");
	while (peer_next_job(fd, &job_frame)) {
		frees = peer_frees;
		answer(fd, &full);
	}
	close(fd);
	return NULL;
}

static void test_refused(void **state)
{
	struct tried t[NR_ASKS];

	(void)state;
	run_script(serve_full, NULL);
	begin(&patient);
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = ask(i ? LOAD : ALLOC);
		assert_int_equal(run_one(eng, &t[i]), VGPU_RSP_NO_MEMORY);
	}
	assert_null(mem.priv);
	assert_int_equal(mem.address, 0);
	assert_null(module.priv);
	for (unsigned int i = 0; i < NR_ASKS; i++) {
		if (i == ALLOC || i == LOAD)
			continue;
		t[i] = ask(i);
		assert_int_equal(run_one(eng, &t[i]), VGPU_RSP_NO_HANDLE);
	}
	/* A job more, to see that both numbers were given back before. */
	assert_int_equal(run_one(eng, &t[ALLOC]), VGPU_RSP_NO_MEMORY);
	end();
	assert_int_equal(frees, 2);
	assert_int_equal(nr_connections, 1);
}

/*
 * A kernel whose operands are here borrows memory there, and gives it back
 * whatever comes of it. The far end refuses the job of that place.
 */
static void *serve_borrower(void *arg)
{
	const struct lie no = {.status = VGPU_RSP_NO_MEMORY};
	const unsigned int *refuse = arg;
	int fd = next_client();

	peer_welcome(fd, "Honest");
	for (unsigned int i = 0; peer_next_job(fd, &job_frame); i++) {
		struct lie t = truth();

		frees = peer_frees;
		answer(fd, i == *refuse ? &no : &t);
	}
	close(fd);
	return NULL;
}

static void test_borrowed(void **state)
{
	static float x[100], y[100];
	unsigned int refuse;

	(void)state;
	/* ALLOC twice, COPY twice, the kernel, COPY back; then none. */
	for (refuse = 0; refuse <= 7; refuse++) {
		struct tried t = {.job = {
			.op = VGPU_OP_BUILTIN,
			.kernel = VGPU_KERNEL_SAXPY,
			.operand = {{.host = x, .count = 100},
				    {.host = y, .count = 100}},
		}};

		/* Its own six jobs, and the one behind them. */
		if (refuse == 6)
			continue;
		run_script(serve_borrower, &refuse);
		begin(&patient);
		t.job.stream = stream;
		assert_int_equal(run_one(eng, &t), refuse < 6 ?
				 VGPU_RSP_NO_MEMORY : VGPU_RSP_OK);
		/* A frame more: all FREEs before it have been read. */
		t = ask(ALLOC);
		run_one(eng, &t);
		end();
		assert_int_equal(nr_connections, 1);
		assert_in_range(frees, refuse ? 2 : 1, 2);
	}
}

/* Numbers come to an end, and come back. */
static void test_numbers(void **state)
{
	enum { MOST = REMOTE_NUMBERS - 1 };
	struct vgpu_engine_mem *all = calloc(MOST, sizeof(*all));
	struct tried t;

	(void)state;
	run_script(serve, NULL);
	begin(&patient);
	t = ask(ALLOC);
	for (int i = 0; i < MOST; i++) {
		all[i].bytes = 1;
		t.job.mem = &all[i];
		assert_int_equal(run_one(eng, &t), VGPU_RSP_OK);
	}
	t.job.mem = &mem;
	assert_int_equal(run_one(eng, &t), VGPU_RSP_NO_MEMORY);
	for (int i = 0; i < MOST; i++)
		vgpu_engine_mem_free(eng, &all[i]);
	assert_int_equal(run_one(eng, &t), VGPU_RSP_OK);
	end();
	free(all);
	assert_int_equal(nr_connections, 1);
	assert_int_equal(frees, MOST);
}

/* An engine without modules says so here, without a frame. */
static void test_no_modules(void **state)
{
	struct tried t;

	(void)state;
	run_script(serve_borrower, &(unsigned int){100});
	begin(&patient);
	for (enum ask what = LOAD; what <= RUN; what++) {
		t = ask(what);
		memset(text, 'x', sizeof(text));
		assert_int_equal(run_one(eng, &t), VGPU_RSP_NO_GPU);
		assert_int_equal(!text[0], what == LOAD);
		assert_int_equal(t.job.path, VGPU_PATH_NONE);
	}
	end();
}

/* An address that only this process knows is none for a kernel there. */
static void test_host_reloc(void **state)
{
	struct tried t;

	(void)state;
	run_script(serve, NULL);
	begin(&patient);
	t = ask(RUN);
	reloc.target = (struct vgpu_engine_operand){.host = host};
	assert_int_equal(run_one(eng, &t), VGPU_RSP_UNSUPPORTED);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_right),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_time_is_clamped),
		cmocka_unit_test(test_break_with_memory),
		cmocka_unit_test(test_break_after_memory),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_borrowed),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_no_modules),
		cmocka_unit_test(test_host_reloc),
	};

	return RUN_REMOTE_TESTS(tests);
}
