// SPDX-License-Identifier: MIT
/*
 * path.c - a world, a guest, vectors (see path.h)
 */
#include "path.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vgpu_nodes.h"

struct world w;
struct front f;

void path_guest(struct front *front, uint32_t domid)
{
	world_domain_make(&w, domid, NX_MAX_GRANTS);
	world_attach(&w, domid, 0);
	assert_true(front_open(front, domid, 0));
}

int path_begin_with(const char *engine, const char *const *options)
{
	world_start(&w);
	world_backend_start(&w, engine, options);
	path_guest(&f, GUEST);
	return 0;
}

int path_begin(void **state)
{
	(void)state;
	return path_begin_with("cpu", NULL);
}

int path_end(void **state)
{
	int status = 0;
	bool left;

	(void)state;
	if (w.backend)
		status = world_backend_end(&w, SIGTERM);
	left = world_count(&w, GUEST).mapped || world_count(&w, GUEST).bound ||
	       world_count(&w, 0).ports;
	if (status || left) {
		fprintf(stderr, "backend ended with %#x, leaving %s\n", status,
			left ? "pages or ports" : "nothing");
		world_show_log(&w);
	}
	front_close(&f);
	return world_end(&w) && !status && !left ? 0 : -1;
}

void path_connect(struct front *front)
{
	assert_true(front_connect(front, VGPUIF_MAX_RING_PAGE_ORDER, 16));
}

void path_nothing_left(uint32_t domid)
{
	struct nx_count left = world_count(&w, domid);

	assert_int_equal(left.mapped, 0);
	assert_int_equal(left.bound, 0);
	assert_int_equal(left.zombie, 0);
}

void path_disconnect(struct front *front)
{
	assert_true(front_disconnect(front));
	path_nothing_left(front->domid);
	assert_int_equal(world_count(&w, front->domid).grants, 0);
	assert_int_equal(world_count(&w, front->domid).ports, 0);
}

static void make_one(struct front *front, struct front_buffer *b,
		     uint32_t handle, uint32_t n, uint32_t first_offset,
		     bool read_only, bool scattered)
{
	/* A buffer has at least one octet. */
	uint64_t length = n ? n * sizeof(float) : 1;
	struct vgpu_request req;

	assert_true(buffer_make(front, b, handle, length, first_offset,
				read_only, scattered));
	req = buffer_map_request(b);
	assert_int_equal(front_call(front, &req, NULL), VGPU_RSP_OK);
}

void vectors_make(struct front *front, struct vectors *v, uint32_t handle,
		  uint32_t n, uint32_t first_offset, bool scattered)
{
	v->n = n;
	make_one(front, &v->a, handle, n, first_offset, true, scattered);
	make_one(front, &v->b, handle + 1, n, 0, true, scattered);
	make_one(front, &v->c, handle + 2, n, first_offset, false, scattered);
	vectors_fill(v, n);
}

void vectors_unmap(struct front *front, struct vectors *v)
{
	struct front_buffer *const all[] = {&v->a, &v->b, &v->c};
	struct vgpu_request req;

	for (int i = 0; i < 3; i++) {
		req = buffer_unmap_request(all[i]);
		assert_int_equal(front_call(front, &req, NULL), VGPU_RSP_OK);
	}
}

void vectors_free(struct front *front, struct vectors *v)
{
	assert_true(buffer_free(front, &v->a));
	assert_true(buffer_free(front, &v->b));
	assert_true(buffer_free(front, &v->c));
}

/* Any bits but those of infinities and NaNs. */
static uint32_t finite_bits(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed & ~(1u << 30);
}

void vectors_fill(struct vectors *v, uint32_t seed)
{
	uint32_t *a = v->a.data, *b = v->b.data, *c = v->c.data;

	for (uint32_t i = 0; i < v->n; i++) {
		a[i] = finite_bits(&seed);
		b[i] = finite_bits(&seed);
		c[i] = UINT32_MAX;
	}
}

void vectors_check(const struct vectors *v)
{
	const float *a = v->a.data, *b = v->b.data, *c = v->c.data;

	for (uint32_t i = 0; i < v->n; i++) {
		volatile float sum = a[i] + b[i];
		uint32_t want, is;

		memcpy(&want, (void *)&sum, sizeof(want));
		memcpy(&is, &c[i], sizeof(is));
		if (want != is)
			fail_msg("c[%u] of %u is %08x, not %08x", i, v->n, is,
				 want);
	}
}

struct vgpu_request vectors_share(const struct vectors *v, unsigned int stream,
				  unsigned int streams)
{
	uint32_t first = (uint64_t)v->n * stream / streams;
	uint32_t end = (uint64_t)v->n * (stream + 1) / streams;
	struct vgpu_request req = add_request(&v->a, &v->b, &v->c, end - first);

	for (int i = 0; i < 3; i++)
		req.u.builtin.operand[i].offset = first * sizeof(float);
	req.stream = stream;
	return req;
}

void path_flood(struct front *front, const struct vectors *v, unsigned int n,
		unsigned int streams)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vgpu_request req =
			vectors_share(v, i % streams, streams);

		assert_true(front_put(front, &req) >= 0);
	}
	front_push(front);
}

bool path_error_says(const char *part)
{
	char *text = world_back_read(&w, GUEST, 0, VGPU_NODE_ERROR);
	bool ok = text && strstr(text, part);

	if (!ok)
		print_error("error is \"%s\", not \"...%s...\"\n",
			    text ? text : "", part);
	free(text);
	return ok;
}

unsigned int path_settle(struct front *front, unsigned int *answered)
{
	unsigned int given_up = 0;
	struct vgpu_response rsp;

	*answered = 0;
	while (front_get(front, &rsp) > 0) {
		assert_true(rsp.status == VGPU_RSP_OK ||
			    rsp.status == VGPU_RSP_DEVICE_LOST);
		++*answered;
	}
	for (unsigned int id = 0; id < VGPUFRONT_MAX_SLOTS; id++)
		given_up += id < RING_SIZE(&front->ring.front) &&
			    vgpufront_ring_abort(&front->ring, id);
	return *answered + given_up;
}

void path_recovers(struct vectors *v)
{
	struct vgpu_request req;

	path_nothing_left(GUEST);
	vectors_free(&f, v);
	assert_true(front_drop(&f));
	assert_int_equal(world_count(&w, GUEST).grants, 0);
	assert_true(front_restart(&f));
	path_connect(&f);
	vectors_make(&f, v, 1, 1000, 0, true);
	req = add_request(&v->a, &v->b, &v->c, v->n);
	assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	vectors_check(v);
	vectors_unmap(&f, v);
	vectors_free(&f, v);
	path_disconnect(&f);
}

char *path_log(const char *part)
{
	char path[96], line[2048], *last = NULL;
	FILE *log;

	snprintf(path, sizeof(path), "%s/backend.log", w.dir);
	log = fopen(path, "re");
	assert_non_null(log);
	while (fgets(line, sizeof(line), log)) {
		if (!strstr(line, part))
			continue;
		free(last);
		last = strdup(line);
	}
	fclose(log);
	return last;
}

bool path_log_says(const char *part, const char *more)
{
	char *line = path_log(part);
	bool ok = line && strstr(line, more);

	if (!ok)
		print_error("no \"%s\" in: %s\n", more, line ? line : part);
	free(line);
	return ok;
}

uint64_t path_stat(const char *key)
{
	char *line = path_log("event=stats"), field[64];
	const char *at;
	uint64_t n;

	assert_non_null(line);
	snprintf(field, sizeof(field), " %s=", key);
	at = strstr(line, field);
	assert_non_null(at);
	n = strtoull(at + strlen(field), NULL, 10);
	free(line);
	return n;
}
