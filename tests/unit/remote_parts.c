// SPDX-License-Identifier: MIT
/*
 * remote_parts.c - parts with an engine that is the test's (see remote_parts.h)
 *
 * Runs on the test's one thread.
 */
#include "remote_parts.h"

const char *engine_name = "cuda";
bool engine_modules = true;
struct vgpu_job *submitted[ENGINED_WINDOW];
unsigned int nr_submitted;
unsigned int nr_mem_freed, nr_unloaded;
struct vgpu_job *finished;

struct parts parts;
struct remote_in in;
struct remote_out out;
struct peer_frame f;

static void fake_facts(struct vgpu_engine *eng, struct vgpu_engine_facts *to)
{
	(void)eng;
	memset(to, 0, sizeof(*to));
	strcpy(to->engine, engine_name);
	to->modules = engine_modules;
}

static bool fake_region_test(struct vgpu_engine *eng, void *base, size_t bytes,
			     char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	(void)base;
	(void)bytes;
	why[0] = '\0';
	return false;
}

static struct vgpu_engine_stream *fake_stream(struct vgpu_engine *eng)
{
	return (struct vgpu_engine_stream *)eng;
}

static void fake_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	(void)eng;
	peer_must(nr_submitted < ENGINED_WINDOW, "more jobs than the window");
	submitted[nr_submitted++] = job;
}

static struct vgpu_job *fake_reap(struct vgpu_engine *eng)
{
	struct vgpu_job *job = finished;

	(void)eng;
	finished = NULL;
	return job;
}

static void fake_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem)
{
	(void)eng;
	(void)mem;
	nr_mem_freed++;
}

static void fake_unload(struct vgpu_engine *eng,
			struct vgpu_engine_module *module)
{
	(void)eng;
	(void)module;
	nr_unloaded++;
}

static const struct vgpu_engine_ops fake_ops = {
	.facts = fake_facts,
	.region_test = fake_region_test,
	.stream_create = fake_stream,
	.mem_free = fake_mem_free,
	.module_unload = fake_unload,
	.submit = fake_submit,
	.reap = fake_reap,
};

static struct vgpu_engine fake = { .ops = &fake_ops };

int parts_setup(void **state)
{
	(void)state;
	nr_submitted = nr_mem_freed = nr_unloaded = 0;
	finished = NULL;
	memset(&out, 0, sizeof(out));
	remote_in_init(&in, REMOTE_SERVER, parts_init(&parts));
	parts_engine(&parts, &fake);
	return !in.payload;
}

int parts_teardown(void **state)
{
	(void)state;
	parts_drop_image(&parts);
	objects_forget_all(parts.objects);
	free(parts.objects);
	return 0;
}

void take_frame(void)
{
	in.head = f.h;
	memcpy(in.payload, f.body, f.h.length);
	parts_take(&parts, &in, &out);
}

bool take_free(unsigned int kind, uint32_t number)
{
	const struct remote_free body = { (uint16_t)kind, 0, number };

	peer_make(&f, REMOTE_FREE, 0, &body, sizeof(body));
	in.head = f.h;
	memcpy(in.payload, f.body, f.h.length);
	return parts_free(&parts, &in);
}

void finish(unsigned int place, uint16_t status)
{
	finished = submitted[place];
	finished->next = NULL;
	finished->status = status;
	parts_reap(&parts, &out);
}

void send_all(void)
{
	for (; out.count; out.count--, out.first++) {
		bool *done = out.frame[out.first % REMOTE_OUT_FRAMES].done;

		if (done)
			*done = true;
	}
	parts_sent(&parts);
}

const struct remote_done *last_done(size_t *octets, const unsigned char **data)
{
	const struct remote_out_frame *frame =
		&out.frame[(out.first + out.count - 1) % REMOTE_OUT_FRAMES];
	static struct remote_done done;

	peer_must(out.count > 0, "no answer");
	memcpy(&done, frame->head + sizeof(struct remote_header), sizeof(done));
	*octets = frame->data_len - REMOTE_MARK;
	*data = frame->data;
	return &done;
}

uint16_t try_frame(void)
{
	const unsigned char *data;
	uint16_t status;
	size_t octets;

	nr_submitted = 0;
	take_frame();
	if (nr_submitted && !parts.part[0].refused)
		return VGPU_RSP_OK;
	if (nr_submitted) {
		peer_must(submitted[0]->op == VGPU_OP_FENCE, "not a fence");
		finish(0, VGPU_RSP_OK);
	}
	status = last_done(&octets, &data)->status;
	peer_must(status && !octets, "a refused job that is answered with OK");
	send_all();
	nr_submitted = 0;
	return status;
}

uint16_t try_job(const struct remote_job *j, const void *data, size_t octets)
{
	peer_make_job(&f, 1, j, data, octets);
	return try_frame();
}

void good(const struct remote_job *j, const void *data, size_t octets)
{
	assert_int_equal(try_job(j, data, octets), VGPU_RSP_OK);
	assert_int_equal(nr_submitted, 1);
	finish(0, VGPU_RSP_OK);
	send_all();
	nr_submitted = 0;
}

void bad(const struct remote_job *j, const void *data, size_t octets,
	 uint16_t status)
{
	assert_int_equal(try_job(j, data, octets), status);
}

void alloc(uint32_t number, uint64_t octets)
{
	good(&(struct remote_job){.op = VGPU_OP_MEM_ALLOC,
				  .number = number,
				  .operand = {{.count = octets}}}, NULL, 0);
}
