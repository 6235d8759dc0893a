// SPDX-License-Identifier: MIT
/*
 * fuzz_remote_jobs.c - JOBs and FREEs that mean what they like, in a child of
 * vgpu-engined
 *
 * Each record of the input is a frame, or something that happens: a job ends, a
 * session begins. The engine is a double that looks at each job it is given.
 * What must hold: all that a job works on lies in its buffer or in memory that
 * is there; nothing is given back while a job names it; each job has one answer
 * in its session; and nothing is left when a session ends.
 *
 * With -fsanitize=fuzzer this is a libFuzzer target (build it with
 * -DVGPU_LIBFUZZER); alone it is a TAP test with a fixed number of random runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cuda/engined_parts.h"
#include "../../cuda/job_check.h"

/* A record: what is to happen, and the frame, cut to what follows. */
struct record {
	uint8_t what;
	uint8_t size_lo, size_hi;	/* octets of data, of JOB */
	uint8_t spare;
	struct remote_job job;
	unsigned char data[160];
};

static struct {
	struct parts parts;
	struct remote_in in;
	struct remote_out out;
	struct vgpu_job *flying[ENGINED_WINDOW];
	unsigned int nr_flying;
	unsigned int nr_jobs, nr_right, nr_answers, nr_mem, nr_modules;
} f;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_remote_jobs: %s\n", what);
	abort();
}

static bool names(const struct vgpu_job *job, const void *object)
{
	for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
		if (job->operand[i].mem == object)
			return true;
	for (uint32_t i = 0; i < job->launch.nr_relocs; i++)
		if (job->launch.reloc[i].target.mem == object)
			return true;
	return job->mem == object || job->module == object;
}

static void given_back(const void *object)
{
	for (unsigned int i = 0; i < f.nr_flying; i++)
		must(!names(f.flying[i], object), "given back while it is used");
}

static void check_host(const struct vgpu_engine_operand *op, uint64_t unit)
{
	const unsigned char *at = op->host, *first = f.parts.memory;
	const unsigned char *end = first + (ENGINED_WINDOW + 1) *
						   (REMOTE_DATA_MAX + 4096ul);

	must(op->count <= REMOTE_DATA_MAX / unit && at >= first &&
	     at + op->count * unit <= end, "an operand outside its buffer");
}

static void check_operand(const struct vgpu_engine_operand *op, uint64_t unit)
{
	if (!op->mem) {
		if (op->count)
			check_host(op, unit);
		return;
	}
	must(op->offset <= op->mem->bytes &&
	     op->count <= (op->mem->bytes - op->offset) / unit,
	     "an operand outside its memory");
}

static void check_launch(const struct vgpu_engine_launch *l)
{
	const struct vgpu_engine_operand args = {
		.host = l->args, .count = l->args_len,
	};

	must(l->function && l->args_len <= VGPU_MAX_ARGS &&
	     l->nr_relocs <= VGPU_MAX_RELOCS, "a launch that is none");
	check_host(&args, 1);
	for (uint32_t i = 0; i < l->nr_relocs; i++) {
		must(l->reloc[i].at + 8u <= l->args_len, "a relocation outside");
		check_operand(&l->reloc[i].target, 1);
	}
}

static void fuzz_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	uint64_t unit = job->op == VGPU_OP_BUILTIN ? 4 : 1;

	(void)eng;
	must(vgpu_job_check(job) == VGPU_RSP_OK, "a job that is none");
	if (job->op == VGPU_OP_MODULE_LOAD) {
		must(job->operand[0].count <= VGPU_MAX_IMAGE, "a huge image");
		/* All of it is there to be read. */
		for (uint64_t i = 0; i < job->operand[0].count; i += 64)
			f.nr_right += ((unsigned char *)
					       job->operand[0].host)[i] & 0;
		check_operand(&job->operand[1], 1);
	} else {
		for (unsigned int i = 0; i < VGPU_ENGINE_OPERANDS; i++)
			check_operand(&job->operand[i], unit);
	}
	if (job->op == VGPU_OP_LAUNCH)
		check_launch(&job->launch);
	if (job->op == VGPU_OP_FUNCTION_GET)
		must(strlen(job->name) <= VGPU_MAX_KERNEL_NAME, "a long name");
	f.nr_mem += job->op == VGPU_OP_MEM_ALLOC;
	f.nr_modules += job->op == VGPU_OP_MODULE_LOAD;
	f.nr_right += job->op != VGPU_OP_FENCE;
	f.nr_jobs++;
	f.flying[f.nr_flying++] = job;
}

static struct vgpu_job *to_reap;

static struct vgpu_job *fuzz_reap(struct vgpu_engine *eng)
{
	struct vgpu_job *job = to_reap;

	(void)eng;
	to_reap = NULL;
	return job;
}

static void fuzz_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem)
{
	(void)eng;
	given_back(mem);
	f.nr_mem--;
}

static void fuzz_unload(struct vgpu_engine *eng,
			struct vgpu_engine_module *module)
{
	(void)eng;
	given_back(module);
	/* One whose image never came in was never loaded. */
	if (module->priv)
		f.nr_modules--;
}

static void fuzz_facts(struct vgpu_engine *eng, struct vgpu_engine_facts *out)
{
	(void)eng;
	memset(out, 0, sizeof(*out));
	strcpy(out->engine, "cpu");
	out->modules = true;
}

static bool fuzz_region_test(struct vgpu_engine *eng, void *base, size_t bytes,
			     char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	(void)base;
	(void)bytes;
	why[0] = '\0';
	return false;
}

static struct vgpu_engine_stream *fuzz_stream(struct vgpu_engine *eng)
{
	return (struct vgpu_engine_stream *)eng;
}

static const struct vgpu_engine_ops fuzz_ops = {
	.facts = fuzz_facts,
	.region_test = fuzz_region_test,
	.stream_create = fuzz_stream,
	.mem_free = fuzz_mem_free,
	.module_unload = fuzz_unload,
	.submit = fuzz_submit,
	.reap = fuzz_reap,
};

static struct vgpu_engine fuzz_engine = { .ops = &fuzz_ops };

/* All that is queued is written. */
static void send_all(void)
{
	for (; f.out.count; f.out.count--, f.out.first++) {
		struct remote_out_frame *o =
			&f.out.frame[f.out.first % REMOTE_OUT_FRAMES];

		must(o->head_len == sizeof(struct remote_header) +
					    sizeof(struct remote_done) &&
		     o->data_len >= REMOTE_MARK &&
		     o->data_len <= REMOTE_DATA_MAX + REMOTE_MARK,
		     "an answer that is none");
		must(remote_marked(o->data, o->data_len, f.parts.nonce),
		     "an answer without its mark");
		*o->done = true;
		f.nr_answers++;
	}
	parts_sent(&f.parts);
}

static void end_job(uint8_t which, uint8_t how)
{
	struct vgpu_job *job;

	if (!f.nr_flying)
		return;
	which %= f.nr_flying;
	job = f.flying[which];
	f.flying[which] = f.flying[--f.nr_flying];
	job->next = NULL;
	job->status = how % 4 ? VGPU_RSP_OK : how % (VGPU_RSP_MAX + 1);
	job->value = UINT64_C(0x0102030405060708) * how;
	if (job->op == VGPU_OP_MODULE_LOAD)
		job->module->priv = job;
	to_reap = job;
	parts_reap(&f.parts, &f.out);
	send_all();
}

static void new_session(uint8_t nonce)
{
	uint8_t is[REMOTE_NONCE];

	memset(is, nonce, sizeof(is));
	parts_new_session(&f.parts, &f.out, is);
}

static void take_job(const struct record *r)
{
	size_t size = (size_t)r->size_lo | (size_t)r->size_hi << 8;

	if (r->size_hi > 4)
		size = r->size_lo % (sizeof(r->data) + 1);
	memset(f.in.payload, r->spare, sizeof(r->job) + size);
	memcpy(f.in.payload, &r->job, sizeof(r->job));
	memcpy(f.in.payload + sizeof(r->job), r->data,
	       size < sizeof(r->data) ? size : sizeof(r->data));
	f.in.head.length = (uint32_t)(sizeof(r->job) + size + REMOTE_MARK);
	if (!parts_room(&f.parts, &f.in))
		return;
	parts_take(&f.parts, &f.in, &f.out);
	send_all();
}

static void take_free(const struct record *r)
{
	memcpy(f.in.payload, &r->job, sizeof(struct remote_free));
	parts_free(&f.parts, &f.in);
}

static void happen(const struct record *r)
{
	switch (r->what % 16) {
	case 0:
		new_session(r->spare);
		break;
	case 1:
		take_free(r);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		end_job(r->size_lo, r->spare);
		break;
	default:
		take_job(r);
	}
}

static void run(const uint8_t *data, size_t size)
{
	struct record r;

	f.nr_jobs = f.nr_right = f.nr_answers = f.nr_mem = f.nr_modules = 0;
	for (; size; data += sizeof(r) < size ? sizeof(r) : size,
		     size -= sizeof(r) < size ? sizeof(r) : size) {
		memset(&r, 0, sizeof(r));
		memcpy(&r, data, sizeof(r) < size ? sizeof(r) : size);
		happen(&r);
	}
	new_session(0);
	while (f.nr_flying)
		end_job(0, 1);
	must(!f.parts.nr_busy && !f.parts.nr_running, "parts are left");
	must(!f.nr_mem && !f.nr_modules, "memory or modules are left");
	must(!f.parts.image.data && !f.parts.loading, "an image is left");
}

static void begin(void)
{
	remote_in_init(&f.in, REMOTE_SERVER, parts_init(&f.parts));
	must(f.in.payload, "no memory");
	parts_engine(&f.parts, &fuzz_engine);
}

#ifdef VGPU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.parts.memory)
		begin();
	run(data, size);

	return 0;
}
#else
static uint64_t small(void)
{
	static const uint64_t odd[] = {
		0, 1, 4, 8, 100, 256, 1000, UINT32_MAX, UINT64_MAX,
		UINT64_C(1) << 62, UINT64_MAX - 7, REMOTE_DATA_MAX,
		REMOTE_DATA_MAX + 1,
	};

	return random() % 8 ? (uint64_t)random() % 5 * 4 :
			      odd[random() % (sizeof(odd) / sizeof(odd[0]))];
}

/* What an operation uses, mostly such that it can be. */
static void make_job(struct record *r)
{
	static const uint8_t ops[] = {
		VGPU_OP_BUILTIN, VGPU_OP_MEM_ALLOC, VGPU_OP_COPY, VGPU_OP_FILL,
		VGPU_OP_MODULE_LOAD, VGPU_OP_FUNCTION_GET, VGPU_OP_LAUNCH,
	};
	struct remote_job *j = &r->job;
	struct remote_launch l = { { 1, 1, 1 }, { 1, 1, 1 }, 16, 2 };
	struct remote_reloc reloc[2] = { { .memory = 1 }, { .memory = 2, .at = 8 } };
	uint64_t count = small();
	size_t size = 0;

	j->op = ops[random() % 7];
	j->stream = (uint32_t)random() % 4;
	for (unsigned int i = 0; i < 3; i++)
		j->operand[i] = (struct remote_operand){
			(uint32_t)random() % 4, 0, small(), count };
	switch (j->op) {
	case VGPU_OP_BUILTIN:
		j->kernel = (uint16_t)(random() % 5 + 1);
		if (j->kernel == VGPU_KERNEL_SGEMM)
			size = sizeof(struct vgpu_sgemm);
		if (j->kernel == VGPU_KERNEL_SAXPY ||
		    j->kernel == VGPU_KERNEL_REDUCE_SUM)
			memset(&j->operand[2], 0, sizeof(j->operand[2]));
		if (j->kernel == VGPU_KERNEL_REDUCE_SUM)
			j->operand[1].count = 1;
		break;
	case VGPU_OP_MEM_ALLOC:
		j->number = (uint32_t)random() % 4;
		memset(j->operand, 0, sizeof(j->operand));
		j->operand[0].count = random() % 3 ? 4096 :
				      random() % 2 ? UINT64_MAX : small();
		break;
	case VGPU_OP_COPY:
		memset(&j->operand[2], 0, sizeof(j->operand[2]));
		if (!j->operand[1].memory)
			size = count;
		for (unsigned int i = 0; i < 2; i++)
			if (!j->operand[i].memory)
				j->operand[i].offset = 0;
		break;
	case VGPU_OP_FILL:
		j->operand[1] = j->operand[2] = (struct remote_operand){ 0 };
		j->width = 1u << random() % 3;
		break;
	case VGPU_OP_MODULE_LOAD:
		memset(j->operand, 0, sizeof(j->operand));
		j->number = (uint32_t)random() % 3 + 1;
		j->param = VGPU_MODULE_PTX;
		j->operand[0].count = 200;
		j->operand[0].offset = random() % 2 * 100;
		size = random() % 3 ? 100 : 200;
		j->room = size == 200 ? (uint32_t)random() % 50 : 0;
		break;
	case VGPU_OP_FUNCTION_GET:
		memset(j->operand, 0, sizeof(j->operand));
		j->number = (uint32_t)random() % 3 + 1;
		j->param = (uint32_t)random() % 3 + 1;
		j->room = (uint32_t)random() % 3 * 8;
		memcpy(r->data, "kernel", 6);
		size = 6;
		break;
	case VGPU_OP_LAUNCH:
		memset(j->operand, 0, sizeof(j->operand));
		j->number = (uint32_t)random() % 3 + 1;
		memcpy(r->data, &l, sizeof(l));
		memcpy(r->data + 48, reloc, sizeof(reloc));
		size = 48 + sizeof(reloc);
		break;
	}
	r->size_lo = (uint8_t)size;
	r->size_hi = (uint8_t)(size >> 8);
}

static void make_record(struct record *r)
{
	memset(r, 0, sizeof(*r));
	r->what = (uint8_t)random();
	/* Sessions are to last. */
	if (r->what % 16 == 0 && random() % 16)
		r->what++;
	r->spare = (uint8_t)random();
	r->size_lo = (uint8_t)random();
	if (r->what % 16 == 1)
		memcpy(&r->job, &(struct remote_free){ random() % 8 == 0, 0,
						       random() % 4 },
		       sizeof(struct remote_free));
	if (r->what % 16 > 5)
		make_job(r);
	if (random() % 4 == 0)
		((uint8_t *)r)[random() % (long)sizeof(*r)] ^=
			(uint8_t)(1 << random() % 8);
}

int main(void)
{
	static struct record r[400];
	unsigned int jobs = 0, right = 0;
	bool good;

	begin();
	for (unsigned int seed = 1; seed <= 2000; seed++) {
		srandom(seed);
		for (unsigned int i = 0; i < 400; i++)
			make_record(&r[i]);
		run((const uint8_t *)r, sizeof(r));
		jobs += f.nr_jobs;
		right += f.nr_right;
	}
	good = right > 20000 && jobs > right;
	printf("1..1\n%s 1 - 2000 runs: %u jobs, %u of them right\n",
	       good ? "ok" : "not ok", jobs, right);

	return !good;
}
#endif
