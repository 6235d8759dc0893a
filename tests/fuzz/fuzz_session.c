// SPDX-License-Identifier: MIT
/*
 * fuzz_session.c - a guest that asks for what it likes, and an engine that ends
 * jobs when and how it likes
 *
 * The input is read as moves: requests that are nearly right, octets of the
 * arena and of requests changed at will, jobs that end, in order on each stream,
 * and, in every other run, a GPU that is given and taken. What must hold: each
 * request is done once, and answered or retired as its flags say; no job reaches
 * outside what it names, or names what has gone, or is worked on without the GPU;
 * device memory stays within its quota; and when all contexts are gone, so is
 * everything.
 *
 * With -fsanitize=fuzzer this is a libFuzzer target (build it with
 * -DVGPU_LIBFUZZER); alone it is a TAP test with a fixed number of random runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "session.h"
#include "../../cuda/job_check.h"

#define SLOTS 32
#define CTXS 2
#define QUOTA 5000
#define MAX_PAGES 16
#define ARENA (2 * VGPUIF_PAGE_SIZE)

struct mapping {
	struct mapping *next;
	size_t bytes;
	uint8_t *base;
};

/*
 * @due, @due_quiet: requests to be answered, and to be retired
 * @op_due: of those to be answered, by id and op
 * @queued: with the engine, oldest first; @ended: to be reaped
 * @page: the lease, in runs where leased
 * @clock: nanoseconds; every look takes some
 */
static struct {
	struct session session;
	struct vgpu_stats stats;
	struct ring ring;
	_Alignas(8) uint8_t arena[ARENA];
	unsigned int due, due_quiet;
	unsigned int op_due[256][256];
	struct mapping *mappings;
	struct vgpu_job *queued, *ended;
	struct lease page;
	bool leased;
	uint64_t clock;
	unsigned int mems, modules, streams;
	bool no_streams;
	const uint8_t *data;
	size_t left;
	unsigned int jobs, good, refused;
} f;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_session: %s\n", what);
	abort();
}

static uint32_t octet(void)
{
	if (!f.left)
		return 0;
	f.left--;
	return *f.data++;
}

static uint32_t below(uint32_t n)
{
	return octet() % n;
}

/* Mostly small; now and then at an end of what there is. */
static uint64_t number(uint32_t small)
{
	static const uint64_t ends[] = {
		UINT64_MAX, 1ull << 63,	   UINT32_MAX, 1ull << 31,
		4096,	    4096 - 4,	   ARENA,      VGPU_MAX_ARGS + 1,
		QUOTA,	    UINT64_MAX / 2};
	uint32_t n = octet();

	return n < 240 ? n % small : ends[n % (sizeof(ends) / 8)];
}

/* ---- doubles ---------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

/* Of the input alone, so that a run can be had again. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	f.clock += 3000;
	ts->tv_sec = 1 + f.clock / 1000000000;
	ts->tv_nsec = f.clock % 1000000000;
	return 0;
}

void ring_respond(struct ring *r, const struct vgpu_response *rsp)
{
	(void)r;
	must(rsp->status <= VGPU_RSP_MAX, "a status that is none");
	must(rsp->id < 256 && f.op_due[rsp->id][rsp->op],
	     "an answer that nobody waits for");
	f.op_due[rsp->id][rsp->op]--;
	f.due--;
}

void ring_retire(struct ring *r)
{
	(void)r;
	must(f.due_quiet, "a quiet request was done twice");
	f.due_quiet--;
}

enum vgpu_status grants_map_directory(struct grants *g, uint32_t first,
				      uint32_t nr, bool read_only, void **base)
{
	struct mapping *m = malloc(sizeof(*m));

	(void)g;
	(void)read_only;
	must(nr <= MAX_PAGES, "more pages than may be mapped");
	if (first == 63 || !m) {
		free(m);
		return VGPU_RSP_GRANT;
	}
	m->bytes = (size_t)nr * VGPUIF_PAGE_SIZE;
	m->base = aligned_alloc(VGPUIF_PAGE_SIZE, m->bytes);
	must(m->base, "out of memory");
	memset(m->base, 0, m->bytes);
	m->next = f.mappings;
	f.mappings = m;
	*base = m->base;
	return VGPU_RSP_OK;
}

void grants_unmap(struct grants *g, void *base, uint32_t nr)
{
	struct mapping **link = &f.mappings;
	struct mapping *m;

	(void)g;
	while (*link && (*link)->base != base)
		link = &(*link)->next;
	m = *link;
	must(m && m->bytes == (size_t)nr * VGPUIF_PAGE_SIZE,
	     "unmapped what was not mapped");
	*link = m->next;
	free(m->base);
	free(m);
}

static struct vgpu_engine_stream *fake_stream_create(struct vgpu_engine *eng)
{
	(void)eng;
	if (f.no_streams)
		return NULL;
	f.streams++;
	return malloc(1);
}

static void fake_stream_destroy(struct vgpu_engine *eng,
				struct vgpu_engine_stream *stream)
{
	(void)eng;
	for (struct vgpu_job *job = f.queued; job; job = job->next)
		must(job->stream != stream, "a stream with jobs was destroyed");
	f.streams--;
	free(stream);
}

static struct vgpu_engine_region *fake_region_add(struct vgpu_engine *eng,
						  void *base, size_t bytes,
						  bool read_only)
{
	(void)eng;
	(void)read_only;
	return bytes == VGPUIF_PAGE_SIZE ? NULL : base;
}

static void fake_region_remove(struct vgpu_engine *eng,
			       struct vgpu_engine_region *region)
{
	(void)eng;
	(void)region;
}

static bool names_mem(const struct vgpu_job *job,
		      const struct vgpu_engine_mem *mem)
{
	bool named = job->mem == mem;

	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		named |= job->operand[i].mem == mem;
	for (uint32_t i = 0; i < job->launch.nr_relocs; i++)
		named |= job->launch.reloc[i].target.mem == mem;
	return named;
}

static void fake_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem)
{
	(void)eng;
	for (struct vgpu_job *job = f.queued; job; job = job->next)
		must(!names_mem(job, mem), "memory was freed in use");
	f.mems -= mem->address != 0;
}

static void fake_module_unload(struct vgpu_engine *eng,
			       struct vgpu_engine_module *module)
{
	(void)eng;
	for (struct vgpu_job *job = f.queued; job; job = job->next) {
		const struct vgpu_engine_function *fn = job->launch.function;

		must(job->module != module, "a module was unloaded in use");
		must(!fn || fn->priv != module || !module->priv,
		     "a module was unloaded with a launch in flight");
	}
	f.modules -= module->priv != NULL;
}

/* The engine's own rules, and what it cannot know: where the memory ends. */
static void check_job(const struct vgpu_job *job)
{
	must(vgpu_job_check(job) == VGPU_RSP_OK, "what can be no job");
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		const struct vgpu_engine_operand *op = &job->operand[i];
		size_t unit = job->op == VGPU_OP_BUILTIN ? 4 : 1;
		const struct mapping *m = f.mappings;
		const uint8_t *p = op->host;

		while (m && (p < m->base || p > m->base + m->bytes))
			m = m->next;
		must(!p || (m && op->count * unit <=
					 (size_t)(m->base + m->bytes - p)),
		     "an operand outside all mappings");
	}
}

static void append(struct vgpu_job **list, struct vgpu_job *job)
{
	while (*list)
		list = &(*list)->next;
	job->next = NULL;
	*list = job;
}

static bool is_mark(const struct vgpu_job *job)
{
	return job->op == VGPU_OP_FENCE || job->op == VGPU_OP_EVENT_RECORD ||
	       job->op == VGPU_OP_EVENT_WAIT;
}

static void fake_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	(void)eng;
	check_job(job);
	must(!f.leased || is_mark(job) ||
		     (f.page.word & LEASE_HELD && f.page.word & LEASE_BUSY),
	     "work without the GPU");
	f.jobs++;
	append(&f.queued, job);
}

static struct vgpu_job *fake_reap(struct vgpu_engine *eng)
{
	struct vgpu_job *list = f.ended;

	(void)eng;
	f.ended = NULL;
	return list;
}

static void fake_info(struct vgpu_engine *eng, struct vgpu_engine_info *out)
{
	(void)eng;
	memset(out, 0, sizeof(*out));
}

static bool fake_arm(struct vgpu_engine *eng)
{
	(void)eng;
	return !f.ended;
}

static const struct vgpu_engine_ops fake_ops = {
	.name = "fuzz",
	.info = fake_info,
	.stream_create = fake_stream_create,
	.stream_destroy = fake_stream_destroy,
	.region_add = fake_region_add,
	.region_remove = fake_region_remove,
	.mem_free = fake_mem_free,
	.module_unload = fake_module_unload,
	.submit = fake_submit,
	.reap = fake_reap,
	.arm = fake_arm,
};

static struct vgpu_engine fake_engine = {.ops = &fake_ops};

/* ---- moves ------------------------------------------------------------ */

static void make(struct vgpu_job *job)
{
	if (job->op == VGPU_OP_MEM_ALLOC) {
		job->mem->address = 256;
		f.mems++;
	}
	if (job->op == VGPU_OP_MODULE_LOAD) {
		job->module->priv = job->module;
		f.modules++;
	}
	if (job->op == VGPU_OP_FUNCTION_GET)
		job->function->priv = job->module;
}

/* The first job of the same stream as the n-th. */
static void end_job(unsigned int n, uint16_t status)
{
	struct vgpu_job **link = &f.queued;
	struct vgpu_job *job = f.queued;

	while (job && n-- && job->next)
		job = job->next;
	if (!job)
		return;
	while ((*link)->stream != job->stream)
		link = &(*link)->next;
	job = *link;
	*link = job->next;
	job->status = status;
	job->path = VGPU_PATH_HOST;
	if (!status)
		make(job);
	append(&f.ended, job);
	session_reap(&f.session);
}

static uint32_t any_memory(void)
{
	uint32_t n = octet();

	return n % 2 ? VGPU_HANDLE_MEM | (n / 2 % 4) : 1 + n / 2 % 3;
}

static void any_operand(struct vgpu_operand *op, uint32_t handle,
			uint32_t count)
{
	op->handle = handle;
	op->count = number(count);
	op->offset = number(64) * 4;
}

static void fill_map(struct vgpu_buffer_map_req *r)
{
	r->handle = below(4);
	r->flags = below(4) == 0;
	r->directory = octet() % 64;
	r->nr_pages = 1 + below(3);
	r->first_offset = below(3) * 4;
	r->length = r->nr_pages * 4096 - r->first_offset - below(8);
}

static void fill_builtin(struct vgpu_builtin_req *r)
{
	struct vgpu_sgemm p = {2, 2, 2, 2, 2, 2, 0, 0, 0, 0};
	uint32_t n = number(100);

	r->kernel = 1 + below(5);
	for (unsigned int i = 0; i < VGPU_MAX_OPERANDS; i++) {
		any_operand(&r->operand[i], any_memory(), 8);
		r->operand[i].count = n;
	}
	if (r->kernel == VGPU_KERNEL_REDUCE_SUM)
		r->operand[1].count = 1;
	if (r->kernel == VGPU_KERNEL_SAXPY ||
	    r->kernel == VGPU_KERNEL_REDUCE_SUM)
		memset(&r->operand[2], 0, sizeof(r->operand[2]));
	if (r->kernel != VGPU_KERNEL_SGEMM)
		return;
	p.m = number(4);
	p.lda = number(6);
	p.trans_b = below(3);
	r->param_len = sizeof(p);
	r->param = number(128);
	if (r->param < ARENA - sizeof(p))
		memcpy(f.arena + r->param, &p, sizeof(p));
}

static void fill_launch(struct vgpu_launch_req *r)
{
	struct vgpu_reloc reloc = {0};

	r->function = 1 + below(3);
	for (unsigned int i = 0; i < 3; i++) {
		r->grid[i] = 1 + number(9);
		r->block[i] = 1 + below(4);
	}
	r->args_len = number(64);
	r->args_offset = number(32) * 8;
	r->nr_relocs = below(4) ? below(3) : octet();
	for (unsigned int i = 0; i < r->nr_relocs; i++) {
		size_t at = (size_t)r->args_offset +
			    (r->args_len + 7u) / 8 * 8 + i * sizeof(reloc);

		reloc.handle = any_memory();
		reloc.at = number(9) * 8;
		if (at + sizeof(reloc) <= ARENA)
			memcpy(f.arena + at, &reloc, sizeof(reloc));
	}
}

static void fill_module(struct vgpu_request *r)
{
	struct vgpu_module_load_req *load = &r->u.module_load;
	struct vgpu_function_get_req *get = &r->u.function_get;

	if (r->op == VGPU_OP_MODULE_LOAD) {
		load->module = below(3);
		load->format = 1 + below(3);
		any_operand(&load->image, 1 + below(3), 999);
		if (below(2))
			any_operand(&load->log, 1 + below(3), 999);
		return;
	}
	get->module = below(3);
	get->function = 1 + below(3);
	get->name_offset = number(200);
	get->name_len = 1 + number(20);
	if (below(4) == 0)
		any_operand(&get->params, 1 + below(3), 99);
	if (below(8) && get->name_offset < 200)
		memset(f.arena + get->name_offset, 'k', 20);
}

static void fill_body(struct vgpu_request *r)
{
	switch (r->op) {
	case VGPU_OP_INFO:
		r->u.info.arena_offset = number(100) * 8;
		r->u.info.length = sizeof(struct vgpu_info);
		break;
	case VGPU_OP_BUFFER_MAP:
		fill_map(&r->u.map);
		break;
	case VGPU_OP_BUILTIN:
		fill_builtin(&r->u.builtin);
		break;
	case VGPU_OP_MEM_ALLOC:
		r->u.mem_alloc.handle = VGPU_HANDLE_MEM | below(4);
		r->u.mem_alloc.length = number(250) * 4;
		break;
	case VGPU_OP_COPY:
		r->u.copy.dst = any_memory();
		r->u.copy.src = any_memory();
		r->u.copy.dst_offset = number(200);
		r->u.copy.src_offset = number(200);
		r->u.copy.length = number(200);
		break;
	case VGPU_OP_FILL:
		r->u.fill.handle = any_memory();
		r->u.fill.width = 1u << below(3);
		r->u.fill.pattern = below(2);
		r->u.fill.offset = number(50) * 4;
		r->u.fill.length = number(50) * 4;
		break;
	case VGPU_OP_MODULE_LOAD:
	case VGPU_OP_FUNCTION_GET:
		fill_module(r);
		break;
	case VGPU_OP_LAUNCH:
		fill_launch(&r->u.launch);
		break;
	case VGPU_OP_MEM_FREE:
		r->u.handle.handle = VGPU_HANDLE_MEM | below(4);
		break;
	case VGPU_OP_BUFFER_UNMAP:
	case VGPU_OP_MODULE_UNLOAD:
	case VGPU_OP_EVENT_RECORD:
	case VGPU_OP_EVENT_WAIT:
	case VGPU_OP_EVENT_DESTROY:
		r->u.handle.handle = below(4);
		break;
	default:
		break;
	}
}

static void send(const struct vgpu_request *r)
{
	bool quiet = r->flags & VGPU_REQF_QUIET;
	uint64_t ok = f.stats.status[VGPU_RSP_OK];

	if (quiet && !(r->flags & VGPU_REQF_RETIRE)) {
		f.due_quiet++;
	} else {
		f.due++;
		f.op_due[r->id][r->op]++;
	}
	session_request(&f.session, r);
	f.good += f.stats.status[VGPU_RSP_OK] > ok;
	must(f.stats.mem_used <= QUOTA, "more memory than the quota");
	must(f.stats.objects <= BACK_MAX_OBJECTS, "too many objects");
}

/* A guest makes things more often than it ends them. */
static uint8_t any_op(void)
{
	static const uint8_t instead[] = {
		VGPU_OP_BUFFER_MAP,   VGPU_OP_BUILTIN, VGPU_OP_COPY,
		VGPU_OP_FILL,	      VGPU_OP_LAUNCH,  VGPU_OP_MODULE_LOAD,
		VGPU_OP_FUNCTION_GET,
	};
	uint8_t op = 1 + below(19);
	bool ends = op == VGPU_OP_BUFFER_UNMAP || op == VGPU_OP_MEM_FREE ||
		    op == VGPU_OP_MODULE_UNLOAD || op >= VGPU_OP_STREAM_DESTROY;

	if ((op < VGPU_OP_BUFFER_MAP && below(4)) ||
	    (ends && below(op == VGPU_OP_CTX_DESTROY ? 64 : 8)))
		op = instead[below(sizeof(instead))];
	return op;
}

static void ask(void)
{
	struct vgpu_request r;
	uint32_t flags = octet();

	memset(&r, 0, sizeof(r));
	r.op = any_op();
	r.id = octet();
	r.ctx = 1 + below(CTXS);
	r.stream = below(3);
	r.flags = flags % 8 == 1 ? VGPU_REQF_QUIET : 0;
	if (flags % 8 == 2)
		r.flags = VGPU_REQF_QUIET | VGPU_REQF_RETIRE;
	fill_body(&r);
	if (below(16) == 0)
		((uint8_t *)&r)[2 + below(62)] = octet();
	if (!r.ctx || r.ctx > CTXS)
		r.ctx = 1;
	send(&r);
}

/* What it is told is what it is asked for: the rest is the arbiter's own test. */
static void arbitrate(uint32_t what)
{
	bool busy = false;

	switch (what % 6) {
	case 0:
		lease_leave(&f.page);
		break;
	case 1:
		lease_contend(&f.page, what & 8);
		break;
	case 2:
		f.page.bound_ns = what & 8 ? 50000 : 0;
		break;
	case 3:
		gate_arm(&f.session.gate);
		gate_awake(&f.session.gate);
		break;
	default:
		if (f.page.word & LEASE_WANT)
			lease_grant(&f.page);
	}
	session_reap(&f.session);
	for (const struct vgpu_job *job = f.queued; job; job = job->next)
		busy |= !is_mark(job);
	must(!(f.page.word & LEASE_BUSY) == !busy,
	     "busy is what has work, and nothing else");
}

static void move(void)
{
	uint32_t kind = octet();

	f.no_streams = kind % 16 == 0;
	if (f.session.lost) {
		end_job(0, VGPU_RSP_DEVICE_LOST);
	} else if (kind < 150 && f.due + f.due_quiet < SLOTS) {
		ask();
	} else if (kind < 152) {
		f.arena[(octet() << 8 | octet()) % ARENA] = octet();
	} else if (kind < 180 && f.leased) {
		arbitrate(octet());
	} else if (kind < 245) {
		end_job(below(8), VGPU_RSP_OK);
	} else {
		/* FAULT, TIMEOUT and DEVICE_LOST end it all: seldom. */
		uint32_t status = below(1000) ? below(11) : octet();

		end_job(below(8), status);
	}
}

/* Every job ends, every context too; then there is nothing left. */
static void wind_up(void)
{
	struct vgpu_request r;

	do {
		lease_grant(&f.page);
		session_reap(&f.session);
		end_job(0, f.session.lost ? VGPU_RSP_DEVICE_LOST : VGPU_RSP_OK);
	} while (f.queued || f.session.gate.first);
	while (session_reap(&f.session))
		;
	must(!f.due && !f.due_quiet, "a request was forgotten");
	must(!f.session.nr_inflight, "an entry of the pool was lost");
	for (uint16_t ctx = 1; ctx <= CTXS; ctx++) {
		memset(&r, 0, sizeof(r));
		r.op = VGPU_OP_CTX_DESTROY;
		r.ctx = ctx;
		send(&r);
		while (session_reap(&f.session))
			;
	}
	must(!f.due, "a context does not end");
	must(!f.mappings && !f.mems && !f.modules && !f.streams,
	     "something is left of ended contexts");
	must(!f.stats.objects && !f.stats.mem_used && !f.stats.buffers &&
		     !f.stats.bytes_mapped,
	     "something is counted that is not there");
	for (unsigned int i = 0; i < 65536 / 64; i++)
		must(!f.session.ids[i], "an id is taken for ever");
}

static void run(const uint8_t *data, size_t size)
{
	struct session *s = &f.session;

	/* Of objects, those are touched that were used. */
	memset(&f.stats, 0, sizeof(f.stats));
	memset(s, 0, offsetof(struct session, objects));
	memset(&s->objects, 0, offsetof(struct objects, pool));
	memset((uint8_t *)s + offsetof(struct session, streams), 0,
	       sizeof(*s) - offsetof(struct session, streams));
	memset(f.arena, 0, sizeof(f.arena));
	s->ring = &f.ring;
	s->eng = &fake_engine;
	f.page = (struct lease){0};
	f.leased = size % 2;
	f.clock = 0;
	gate_init(&s->gate, s->eng, f.leased ? &f.page : NULL, -1, -1);
	s->stats = &f.stats;
	s->arena = f.arena;
	s->rules = (struct rules){ARENA, BACK_MAX_BUFFERS, BACK_KERNELS, true};
	s->objects.quota = QUOTA;
	s->bufs.eng = &fake_engine;
	s->bufs.stats = &f.stats;
	s->bufs.max_pages = MAX_PAGES;
	must(session_init(s, SLOTS), "out of memory");
	f.data = data;
	f.left = size;
	while (f.left)
		move();
	f.refused += f.stats.requests - f.stats.status[VGPU_RSP_OK];
	wind_up();
	session_end(s);
}

#ifdef VGPU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size);
	return 0;
}
#else
int main(void)
{
	static uint8_t data[8192];
	unsigned int seed;
	bool ok;

	for (seed = 1; seed <= 4000; seed++) {
		srandom(seed);
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = random() >> 8;
		/* With a lease, or without one. */
		run(data, sizeof(data) - seed % 2);
	}
	ok = f.jobs > 200000 && f.good > 100000 && f.refused > 100000;
	printf("1..1\n%s 1 - 4000 runs: %u jobs, %u requests refused\n",
	       ok ? "ok" : "not ok", f.jobs, f.refused);
	return !ok;
}
#endif
