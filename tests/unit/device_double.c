// SPDX-License-Identifier: MIT
/*
 * device_double.c - what a session stands on, in memory (see device_double.h)
 */
#include "device_double.h"

#include <stdlib.h>
#include <string.h>

/* ---- doubles ---------------------------------------------------------- */

struct session *s;
struct vgpu_response answers[1024];
unsigned int nr_answers;

void ring_respond(struct ring *r, const struct vgpu_response *rsp)
{
	(void)r;
	assert_true(nr_answers < 1024);
	answers[nr_answers++] = *rsp;
}

void ring_retire(struct ring *r)
{
	(void)r;
	retired++;
}

unsigned int retired;
int mappings, regions, streams, mems, modules;
bool regions_fail;
enum vgpu_status map_status;
bool mapped_read_only;
uint8_t memory[16 * 4096] __attribute__((aligned(4096)));

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
	/* The GPU is out of the pages before they go back to the guest. */
	assert_true(regions < mappings || regions_fail || !s->bufs.eng);
	mappings--;
}

/* Jobs wait in the order they came; finish() moves the first n to reap. */
struct vgpu_job *queued;
static struct vgpu_job *finished;
unsigned int infos;

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

/* Regions of what is mapped; a name each. */
static struct vgpu_engine_region *fake_region_add(struct vgpu_engine *eng,
						  void *base, size_t bytes,
						  bool read_only)
{
	assert_ptr_equal(eng, s->eng);
	assert_ptr_equal(base, memory);
	assert_int_equal(bytes % 4096, 0);
	assert_int_equal(read_only, mapped_read_only);
	if (regions_fail)
		return NULL;
	regions++;
	assert_int_equal(regions, mappings);
	return malloc(1);
}

static void fake_region_remove(struct vgpu_engine *eng,
			       struct vgpu_engine_region *region)
{
	assert_ptr_equal(eng, s->eng);
	regions--;
	free(region);
}

/* An address no memory has: it was given back. */
#define GONE 0xdead

static void fake_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem)
{
	assert_ptr_equal(eng, s->eng);
	assert_int_not_equal(mem->address, GONE);
	mems -= mem->address != 0;
	mem->address = GONE;
}

static void fake_module_unload(struct vgpu_engine *eng,
			       struct vgpu_engine_module *module)
{
	assert_ptr_equal(eng, s->eng);
	modules -= module->priv != NULL;
	module->priv = NULL;
}

/* What a job names is there until it is reaped. */
static void check_alive(const struct vgpu_job *job)
{
	for (int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		if (job->operand[i].mem)
			assert_int_not_equal(job->operand[i].mem->address,
					     GONE);
	for (uint32_t i = 0; i < job->launch.nr_relocs; i++)
		if (job->launch.reloc[i].target.mem)
			assert_int_not_equal(
				job->launch.reloc[i].target.mem->address, GONE);
}

/* What the job makes is there from now on. */
static void make(struct vgpu_job *job)
{
	switch (job->op) {
	case VGPU_OP_MEM_ALLOC:
		mems++;
		job->mem->address = job->value = 0x1000 * mems;
		break;
	case VGPU_OP_MODULE_LOAD:
		modules++;
		job->module->priv = &modules;
		break;
	case VGPU_OP_FUNCTION_GET:
		job->function->priv = &modules;
		job->function->args_len = 24;
		job->value = 3ull << 32 | 24;
		break;
	case VGPU_OP_EVENT_RECORD:
		job->value = 77;
		break;
	default:
		break;
	}
}

static const struct vgpu_engine_ops fake_ops = {
	.name = "fake",
	.info = fake_info,
	.stream_create = fake_stream_create,
	.stream_destroy = fake_stream_destroy,
	.region_add = fake_region_add,
	.region_remove = fake_region_remove,
	.mem_free = fake_mem_free,
	.module_unload = fake_module_unload,
	.submit = fake_submit,
	.reap = fake_reap,
};

static struct vgpu_engine fake_engine = {.ops = &fake_ops};

/* ---- the device ------------------------------------------------------- */

struct vgpu_stats stats;
uint8_t arena[8192];

int setup(void **state)
{
	(void)state;
	nr_answers = retired = 0;
	mappings = streams = regions = mems = modules = 0;
	regions_fail = false;
	infos = 0;
	map_status = VGPU_RSP_OK;
	queued = finished = NULL;
	memset(&stats, 0, sizeof(stats));
	s = calloc(1, sizeof(*s));
	s->eng = &fake_engine;
	gate_init(&s->gate, s->eng, NULL, -1, -1);
	s->stats = &stats;
	s->arena = arena;
	s->rules.arena_len = sizeof(arena);
	s->rules.max_buffers = BACK_MAX_BUFFERS;
	s->rules.kernels = BACK_KERNELS;
	s->rules.modules = true;
	s->objects.quota = QUOTA;
	s->bufs.eng = &fake_engine;
	s->bufs.max_pages = 1000;
	s->bufs.stats = &stats;
	return session_init(s, SLOTS) ? 0 : -1;
}

int teardown(void **state)
{
	(void)state;
	session_end(s);
	assert_int_equal(mappings, 0);
	assert_int_equal(regions, 0);
	assert_int_equal(streams, 0);
	assert_int_equal(mems, 0);
	assert_int_equal(modules, 0);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.mem_used, 0);
	free(s);
	return 0;
}

void finish(unsigned int n, enum vgpu_status status)
{
	while (n--) {
		struct vgpu_job *job = queued;

		assert_non_null(job);
		queued = job->next;
		job->status = status;
		job->time_ns = 1000;
		job->path = VGPU_PATH_ZERO_COPY;
		check_alive(job);
		if (!status)
			make(job);
		append(&finished, job);
	}
	session_reap(s);
}

struct vgpu_request request(uint8_t op, uint16_t id, uint16_t ctx)
{
	struct vgpu_request r;

	memset(&r, 0, sizeof(r));
	r.op = op;
	r.id = id;
	r.ctx = ctx;
	return r;
}

const struct vgpu_response *last(void)
{
	assert_true(nr_answers > 0);
	return &answers[nr_answers - 1];
}

enum vgpu_status now(const struct vgpu_request *r)
{
	unsigned int before = nr_answers;

	session_request(s, r);
	assert_int_equal(nr_answers, before + 1);
	assert_int_equal(last()->id, r->id);
	assert_int_equal(last()->op, r->op);
	return last()->status;
}

void later(const struct vgpu_request *r)
{
	unsigned int before = nr_answers;

	session_request(s, r);
	assert_int_equal(nr_answers, before);
}

void silent(const struct vgpu_request *r)
{
	unsigned int before = retired;

	later(r);
	assert_int_equal(retired, before + 1);
}

enum vgpu_status done(const struct vgpu_request *r)
{
	later(r);
	finish(1, VGPU_RSP_OK);
	assert_int_equal(last()->id, r->id);
	assert_int_equal(last()->op, r->op);
	return last()->status;
}

enum vgpu_status map_flags(uint16_t ctx, uint32_t handle, uint32_t flags)
{
	struct vgpu_request r = request(VGPU_OP_BUFFER_MAP, 900, ctx);

	r.u.map.handle = handle;
	r.u.map.flags = flags;
	r.u.map.nr_pages = 1;
	r.u.map.length = 4096;
	return now(&r);
}

enum vgpu_status map(uint16_t ctx, uint32_t handle)
{
	return map_flags(ctx, handle, 0);
}

enum vgpu_status unmap(uint16_t ctx, uint32_t handle)
{
	struct vgpu_request r = request(VGPU_OP_BUFFER_UNMAP, 901, ctx);

	r.u.handle.handle = handle;
	return now(&r);
}

struct vgpu_request add(uint16_t id, uint16_t ctx, uint16_t stream)
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

struct vgpu_request mem_alloc(uint16_t id, uint16_t ctx, uint32_t number,
			      uint64_t length)
{
	struct vgpu_request r = request(VGPU_OP_MEM_ALLOC, id, ctx);

	r.u.mem_alloc.handle = VGPU_HANDLE_MEM | number;
	r.u.mem_alloc.length = length;
	return r;
}

struct vgpu_request handle(uint8_t op, uint16_t id, uint16_t ctx,
			   uint32_t number)
{
	struct vgpu_request r = request(op, id, ctx);

	r.u.handle.handle = number;
	if (op == VGPU_OP_MEM_FREE)
		r.u.handle.handle |= VGPU_HANDLE_MEM;
	return r;
}

struct vgpu_request fill(uint16_t id, uint16_t ctx, uint32_t number)
{
	struct vgpu_request r = request(VGPU_OP_FILL, id, ctx);

	r.u.fill.handle = VGPU_HANDLE_MEM | number;
	r.u.fill.width = 4;
	r.u.fill.length = 64;
	return r;
}

struct vgpu_request module_load(uint16_t id, uint16_t ctx, uint32_t module)
{
	struct vgpu_request r = request(VGPU_OP_MODULE_LOAD, id, ctx);

	r.u.module_load.module = module;
	r.u.module_load.format = VGPU_MODULE_PTX;
	r.u.module_load.image.handle = 1;
	r.u.module_load.image.count = 100;
	return r;
}

struct vgpu_request function_get(uint16_t id, uint16_t ctx, uint32_t module,
				 uint32_t function)
{
	struct vgpu_request r = request(VGPU_OP_FUNCTION_GET, id, ctx);

	memcpy(arena + 64, "kernel", 6);
	r.u.function_get.module = module;
	r.u.function_get.function = function;
	r.u.function_get.name_offset = 64;
	r.u.function_get.name_len = 6;
	return r;
}

struct vgpu_request launch(uint16_t id, uint16_t ctx, uint32_t function)
{
	struct vgpu_request r = request(VGPU_OP_LAUNCH, id, ctx);

	r.u.launch.function = function;
	for (int i = 0; i < 3; i++)
		r.u.launch.grid[i] = r.u.launch.block[i] = i + 1;
	r.u.launch.args_len = 24;
	r.u.launch.args_offset = 128;
	return r;
}

void reloc(struct vgpu_request *r, uint32_t target, uint16_t at,
	   uint64_t offset)
{
	struct vgpu_reloc out = {.handle = target, .at = at};
	uint8_t *args = arena + r->u.launch.args_offset;

	if (at + sizeof(offset) <= r->u.launch.args_len)
		memcpy(args + at, &offset, sizeof(offset));
	memcpy(args + (r->u.launch.args_len + 7) / 8 * 8 +
		       r->u.launch.nr_relocs++ * sizeof(out),
	       &out, sizeof(out));
}

void make_mem(uint16_t ctx, uint32_t number, uint64_t length)
{
	struct vgpu_request r = mem_alloc(800, ctx, number, length);

	assert_int_equal(done(&r), VGPU_RSP_OK);
}

void make_function(uint16_t ctx)
{
	struct vgpu_request r = module_load(801, ctx, 1);

	map(ctx, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
	r = function_get(802, ctx, 1, 1);
	assert_int_equal(done(&r), VGPU_RSP_OK);
}

void end(uint8_t op, uint16_t ctx, uint32_t number)
{
	struct vgpu_request r = handle(op, 803, ctx, number);

	assert_int_equal(now(&r), VGPU_RSP_OK);
}
