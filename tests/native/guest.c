// SPDX-License-Identifier: MIT
/*
 * guest.c - world, front and device for programs on libvgpufront (see guest.h)
 */
#include "guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "front.h"
#include "world.h"

#define DOMAIN 7
#define NEIGHBOUR 8
#define NEIGHBOUR_GRANTS 256
/* What the module asks for. */
#define RING_ORDER 2
#define ARENA_PAGES 32

static struct world world;
static struct front front, neighbour;

static bool give_up(void)
{
	world_show_log(&world);
	front_close(&front);
	world_end(&world);
	return false;
}

bool guest_begin(const struct guest_mode *mode)
{
	world_start(&world);
	world_backend_start(&world, mode->engine, mode->options);
	world_domain_make(&world, DOMAIN, mode->max_grants);
	world_attach(&world, DOMAIN, 0);
	if (!front_open(&front, DOMAIN, 0) ||
	    !front_connect(&front, RING_ORDER, ARENA_PAGES) ||
	    !device_begin(&front, mode->spin))
		return give_up();
	return true;
}

/* A device that was lost is Closed: there is nothing to disconnect. */
static bool disconnect(void)
{
	struct nx_count left;

	if (device_lost())
		return front_drop(&front);
	if (!front_disconnect(&front))
		return false;
	left = world_count(&world, DOMAIN);
	if (!left.grants && !left.mapped && !left.ports)
		return true;
	fprintf(stderr, "left: %u grants, %u mapped, %u ports\n", left.grants,
		left.mapped, left.ports);
	return false;
}

bool guest_end(void)
{
	bool ok;

	device_end();
	ok = disconnect();
	front_close(&front);
	return world_end(&world) && ok;
}

const char *guest_engine(void)
{
	return front.limits.engine;
}

pid_t guest_worker(void)
{
	return world_count(&world, DOMAIN).mapper;
}

void guest_freeze_worker(void)
{
	world_freeze(guest_worker());
}

unsigned int guest_mapped(void)
{
	return world_count(&world, DOMAIN).mapped;
}

void guest_show_log(void)
{
	world_show_log(&world);
}

/* The last line of statistics, and how many there are. */
static unsigned int last_stats(char *line, size_t size)
{
	char path[96], text[4096];
	unsigned int lines = 0;
	FILE *log;

	snprintf(path, sizeof(path), "%s/backend.log", world.dir);
	log = fopen(path, "re");
	while (log && fgets(text, sizeof(text), log)) {
		if (!strstr(text, " event=stats ") || !strchr(text, '\n'))
			continue;
		snprintf(line, size, "%s", text);
		lines++;
	}
	if (log)
		fclose(log);
	return lines;
}

void guest_stat(const char *key, char *out, size_t size)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	char line[4096], field[64];
	unsigned int before = last_stats(line, sizeof(line));
	const char *at;
	bool quoted;

	kill(world.backend, SIGUSR1);
	for (int i = 0; last_stats(line, sizeof(line)) == before; i++) {
		if (i > WORLD_TIMEOUT_MS)
			abort();
		nanosleep(&ms, NULL);
	}
	snprintf(field, sizeof(field), " %s=", key);
	at = strstr(line, field);
	if (!at)
		abort();
	at += strlen(field);
	quoted = *at == '"';
	at += quoted;
	snprintf(out, size, "%.*s", (int)strcspn(at, quoted ? "\"\n" : " \n"),
		 at);
}

bool neighbour_begin(void)
{
	world_domain_make(&world, NEIGHBOUR, NEIGHBOUR_GRANTS);
	world_attach(&world, NEIGHBOUR, 0);
	return front_open(&neighbour, NEIGHBOUR, 0) &&
	       front_connect(&neighbour, RING_ORDER, ARENA_PAGES);
}

bool neighbour_end(void)
{
	bool ok = front_disconnect(&neighbour);

	front_close(&neighbour);
	return ok;
}

int neighbour_works(void)
{
	const uint32_t a = VGPU_HANDLE_MEM | 1, b = VGPU_HANDLE_MEM | 2;
	struct vgpu_request req[] = {
		{.op = VGPU_OP_MEM_ALLOC,
		 .u.mem_alloc = {.handle = a, .length = VGPUIF_PAGE_SIZE}},
		{.op = VGPU_OP_MEM_ALLOC,
		 .u.mem_alloc = {.handle = b, .length = VGPUIF_PAGE_SIZE}},
		{.op = VGPU_OP_FILL,
		 .u.fill = {.handle = a, .width = 4, .pattern = 1,
			    .length = VGPUIF_PAGE_SIZE}},
		{.op = VGPU_OP_COPY,
		 .u.copy = {.dst = b, .src = a, .length = VGPUIF_PAGE_SIZE}},
		{.op = VGPU_OP_MEM_FREE, .u.handle = {.handle = a}},
		{.op = VGPU_OP_MEM_FREE, .u.handle = {.handle = b}},
	};
	int status = VGPU_RSP_OK;

	for (size_t i = 0;
	     i < sizeof(req) / sizeof(req[0]) && status == VGPU_RSP_OK; i++)
		status = front_call(&neighbour, &req[i], NULL);
	if (status == VGPU_RSP_OK)
		return 0;
	return status == VGPU_RSP_TIMEOUT ? -ETIME : -EIO;
}

pid_t neighbour_worker(void)
{
	return world_count(&world, NEIGHBOUR).mapper;
}
