// SPDX-License-Identifier: MIT
/*
 * neighbour_guest.c - a guest that plays (see neighbour_guest.h)
 */
#include "neighbour_guest.h"

#include <stdio.h>
#include <string.h>

#define MAX_GRANTS 1024
#define ARENA_PAGES 16

/* Handles; in the arena: arguments of each kind, and a name. */
#define IMAGE 4
#define COUNTER (VGPU_HANDLE_MEM | 1)
#define MODULE 1
#define FUNCTION 1
#define ARGS_AT(kind) ((kind)*64)
#define NAME_AT 1024

/* As the kernel's parameters lie, with a relocation behind them. */
struct work_args {
	uint64_t counter;
	uint32_t rounds;
	uint32_t padding;
	struct vgpu_reloc reloc;
};

static bool fail(const char *what)
{
	fprintf(stderr, "vgpu-bench: neighbours: %s\n", what);
	return false;
}

static bool call(struct guest *g, struct vgpu_request req)
{
	return front_call(&g->f, &req, NULL) == VGPU_RSP_OK;
}

static bool put(void *me, uint32_t kind)
{
	struct guest *g = me;

	g->launched++;
	if (front_put(&g->f, &g->work[kind]) < 0)
		return false;
	front_push(&g->f);
	return true;
}

static bool take(void *me)
{
	struct vgpu_response rsp;
	struct guest *g = me;

	return front_next(&g->f, &rsp) == 1 && rsp.status == VGPU_RSP_OK;
}

static bool add(void *me)
{
	struct guest *g = me;

	return front_call(&g->f, &g->add, NULL) == VGPU_RSP_OK;
}

static const struct player_ops ops = {put, take, add};

static bool make_vectors(struct guest *g)
{
	for (int i = 0; i < 3; i++)
		if (!buffer_make(&g->f, &g->buf[i], i + 1,
				 NEIGHBOUR_ELEMENTS * sizeof(float), 0, i < 2,
				 false) ||
		    !call(g, buffer_map_request(&g->buf[i])))
			return false;
	bench_fill(g->buf[0].data, g->buf[1].data, g->buf[2].data,
		   NEIGHBOUR_ELEMENTS);
	g->add = add_request(&g->buf[0], &g->buf[1], &g->buf[2],
			     NEIGHBOUR_ELEMENTS);
	return true;
}

static bool load_module(struct guest *g)
{
	struct vgpu_request load = front_request(VGPU_OP_MODULE_LOAD);
	struct vgpu_request get = front_request(VGPU_OP_FUNCTION_GET);
	struct front_buffer image;

	if (!buffer_make(&g->f, &image, IMAGE, neighbour_ptx_size, 0, true,
			 false) ||
	    !call(g, buffer_map_request(&image)))
		return false;
	memcpy(image.data, neighbour_ptx, neighbour_ptx_size);
	load.u.module_load.module = MODULE;
	load.u.module_load.format = VGPU_MODULE_PTX;
	load.u.module_load.image.handle = IMAGE;
	load.u.module_load.image.count = neighbour_ptx_size - 1;
	memcpy((char *)guest_at(&g->f.mem, g->f.arena_page) + NAME_AT,
	       NEIGHBOUR_KERNEL, strlen(NEIGHBOUR_KERNEL));
	get.u.function_get.module = MODULE;
	get.u.function_get.function = FUNCTION;
	get.u.function_get.name_offset = NAME_AT;
	get.u.function_get.name_len = strlen(NEIGHBOUR_KERNEL);
	return call(g, load) && call(g, get) &&
	       call(g, buffer_unmap_request(&image)) &&
	       buffer_free(&g->f, &image);
}

static bool make_counter(struct guest *g)
{
	struct vgpu_request alloc = front_request(VGPU_OP_MEM_ALLOC);
	struct vgpu_request fill = front_request(VGPU_OP_FILL);

	alloc.u.mem_alloc.handle = COUNTER;
	alloc.u.mem_alloc.length = sizeof(uint32_t);
	fill.u.fill.handle = COUNTER;
	fill.u.fill.width = sizeof(uint32_t);
	fill.u.fill.length = sizeof(uint32_t);
	return call(g, alloc) && call(g, fill);
}

static void make_launch(struct guest *g, uint32_t kind, uint32_t rounds)
{
	struct vgpu_request req = front_request(VGPU_OP_LAUNCH);
	const struct work_args args = {
		.rounds = rounds,
		.reloc = {.handle = COUNTER},
	};

	memcpy((char *)guest_at(&g->f.mem, g->f.arena_page) + ARGS_AT(kind),
	       &args, sizeof(args));
	req.u.launch.function = FUNCTION;
	req.u.launch.grid[0] = NEIGHBOUR_BLOCKS;
	req.u.launch.block[0] = NEIGHBOUR_THREADS;
	for (int i = 1; i < 3; i++)
		req.u.launch.grid[i] = req.u.launch.block[i] = 1;
	req.u.launch.args_len = 12;
	req.u.launch.args_offset = ARGS_AT(kind);
	req.u.launch.nr_relocs = 1;
	g->work[kind] = req;
}

static bool make_work(struct guest *g, const uint32_t rounds[NR_WORKS])
{
	if (g->gpu && (!load_module(g) || !make_counter(g)))
		return false;
	for (uint32_t kind = 0; kind < NR_WORKS; kind++) {
		if (g->gpu)
			make_launch(g, kind, rounds[kind]);
		else
			g->work[kind] = g->add;
	}
	return true;
}

/* Not a kernel was lost, or done twice; no sum is wrong. */
static bool right(struct guest *g)
{
	struct vgpu_request copy = front_request(VGPU_OP_COPY);
	uint32_t is;

	if (!bench_check(g->buf[2].data, NEIGHBOUR_ELEMENTS))
		return false;
	if (!g->gpu)
		return true;
	copy.u.copy.dst = 3;
	copy.u.copy.src = COUNTER;
	copy.u.copy.length = sizeof(is);
	if (!call(g, copy))
		return fail("the count of kernels cannot be read");
	memcpy(&is, g->buf[2].data, sizeof(is));
	return is == g->launched || fail("not all kernels were counted");
}

static void *guest_thread(void *arg)
{
	struct guest *g = arg;

	player_run(&g->player, &ops, g);
	return NULL;
}

bool neighbour_guest_begin(struct guest *g, struct world *w, uint32_t domid,
			   const char *const *nodes, const struct results *r)
{
	g->gpu = !strcmp(r->engine, "cuda");
	world_domain_make(w, domid, MAX_GRANTS);
	world_attach_with(w, domid, 0, nodes);
	g->open = front_open(&g->f, domid, 0);
	if (!g->open ||
	    !front_connect(&g->f, VGPUIF_MAX_RING_PAGE_ORDER, ARENA_PAGES))
		return fail("a guest does not connect");
	g->f.polling = g->gpu;
	if (strcmp(g->f.limits.engine, r->engine))
		return fail("another engine serves it");
	if (!make_vectors(g) || !make_work(g, r->rounds))
		return fail("a guest cannot prepare its work");
	/* What the engine does first takes longer. */
	for (int i = 0; i < 20; i++)
		if (!add(g))
			return fail("a vector add failed");
	g->plays = !pthread_create(&g->thread, NULL, guest_thread, g);
	return g->plays;
}

bool neighbour_guest_end(struct guest *g, bool done)
{
	g->player.order = PLAYER_END;
	if (g->plays)
		pthread_join(g->thread, NULL);
	done = done && right(g);
	for (int i = 0; i < 3 && done; i++)
		done = call(g, buffer_unmap_request(&g->buf[i])) &&
		       buffer_free(&g->f, &g->buf[i]);
	if (done)
		done = front_disconnect(&g->f);
	if (g->open)
		front_close(&g->f);
	return done;
}
