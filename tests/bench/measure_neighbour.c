// SPDX-License-Identifier: MIT
/*
 * measure_neighbour.c - two guests on one GPU (see measure_neighbour.h)
 *
 * Each guest is a thread with a frontend of its own, which spins while it waits,
 * as the bare processes do. The backend spins, too; and then once more as it is
 * delivered, where workers sleep when there is nothing to do. Where the engine is
 * no GPU, small vector adds stand for kernels, and nothing is beside them.
 */
#include "measure_neighbour.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../native/mps.h"
#include "../native/world.h"
#include "neighbour.h"
#include "neighbour_guest.h"
#include "peer.h"
#include "vgpu_nodes.h"

#define FIRST_GUEST 7
#define DEFAULT_WEIGHT 256
/* Of the backend's statistics. */
#define USED " gpu_used_ns="
#define FOR_EVER "1000000"

/*
 * @mps: the daemon that both guests' workers are clients of; NULL: none
 * @delivered: the backend sleeps when there is nothing to do
 */
struct house {
	struct world w;
	struct guest guest[2];
	struct mps *mps;
	bool delivered;
	bool gpu;
};

static bool fail(const char *what)
{
	fprintf(stderr, "vgpu-bench: neighbours: %s\n", what);
	return false;
}

static void fact(struct house *h, const char *node, char out[BENCH_TEXT])
{
	char *text = world_back_read(&h->w, FIRST_GUEST, 0, node);

	snprintf(out, BENCH_TEXT, "%s", text ? text : "");
	free(text);
}

static bool guest_begin(struct house *h, int who, const struct results *r)
{
	const char *const nodes[] = {h->mps ? VGPU_NODE_MPS : NULL, "1", NULL};

	return neighbour_guest_begin(&h->guest[who], &h->w, FIRST_GUEST + who,
				     nodes, r);
}

/* As vgpuctl set: while both are connected. */
static void set_weights(struct house *h, const uint32_t weight[2])
{
	char value[16];

	for (int i = 0; i < 2; i++) {
		snprintf(value, sizeof(value), "%u",
			 weight[i] * DEFAULT_WEIGHT);
		world_set(&h->w, FIRST_GUEST + i, 0, VGPU_NODE_WEIGHT, value);
	}
}

/* The last line of a guest's statistics; how many there are. */
static unsigned int last_stats(const struct house *h, int who, uint64_t *ns)
{
	unsigned int lines = 0;
	char path[96], guest[32], text[2048];
	const char *at;
	FILE *log;

	snprintf(guest, sizeof(guest), " domid=%d ", FIRST_GUEST + who);
	snprintf(path, sizeof(path), "%s/backend.log", h->w.dir);
	log = fopen(path, "re");
	while (log && fgets(text, sizeof(text), log)) {
		at = strstr(text, USED);
		if (!at || !strstr(text, guest) || !strchr(text, '\n'))
			continue;
		*ns = strtoull(at + strlen(USED), NULL, 10);
		lines++;
	}
	if (log)
		fclose(log);
	return lines;
}

static bool used(void *ctx, uint64_t ns[2])
{
	struct house *h = ctx;
	unsigned int before[2];

	for (int i = 0; i < 2; i++)
		before[i] = last_stats(h, i, &ns[i]);
	kill(h->w.backend, SIGUSR1);
	for (int i = 0; i < 2; i++)
		for (int ms = 0; last_stats(h, i, &ns[i]) == before[i]; ms++) {
			if (ms > WORLD_TIMEOUT_MS)
				return fail("no statistics from the backend");
			usleep(1000);
		}
	return true;
}

/* Weights are the same whether the backend sleeps or not. */
static bool play_shares(struct house *h, struct play *p)
{
	static const uint32_t weight[][2] = {{1, 1}, {1, 2}, {1, 3}};

	unsigned int n = h->delivered ? sizeof(weight) / sizeof(*weight) : 1;

	for (unsigned int i = 0; i < n; i++) {
		set_weights(h, weight[i]);
		for (uint32_t kind = 0; kind < NR_WORKS; kind++)
			if (!play_both(p, kind, weight[i][0], weight[i][1]))
				return false;
	}
	return true;
}

static const char *const modes[2][2] = {
	{"", NEIGHBOUR_DELIVERED},
	{NEIGHBOUR_MPS, NEIGHBOUR_MPS NEIGHBOUR_DELIVERED},
};

static bool play_house(struct house *h, struct results *r,
		       const struct bench_plan *plan)
{
	struct play p = {
		.r = r,
		.plan = plan,
		.section = SECTION_NEIGHBOUR,
		.mode = modes[!!h->mps][h->delivered],
		.peer = !h->gpu ? NULL :
			h->mps	? NEIGHBOUR_MPS :
				  "",
		.how = h->gpu ? "" : "vector adds of 1,024: no GPU, no kernel",
		.player = {&h->guest[0].player, &h->guest[1].player},
		.ctx = h,
	};

	/* Alone is alone: the other one is not there yet. */
	if (!guest_begin(h, 0, r))
		return false;
	fact(h, VGPU_NODE_GPU_NAME, r->gpu);
	fact(h, VGPU_NODE_DRIVER_VERSION, r->driver);
	fact(h, VGPU_NODE_COMPUTE_CAPABILITY, r->compute);
	if (!play_alone(&p) || !guest_begin(h, 1, r))
		return false;
	p.used = used;
	return play_adds(&p) && play_shares(h, &p);
}

static bool guests(struct results *r, const struct bench_plan *plan,
		   struct mps *mps, bool delivered)
{
	const char *options[5] = {NULL};
	int n = 0;
	struct house *h = calloc(1, sizeof(*h));
	bool done;

	if (!h)
		abort();
	h->mps = mps;
	h->delivered = delivered;
	h->gpu = !strcmp(r->engine, "cuda");
	if (!delivered) {
		options[n++] = "--poll-us";
		options[n++] = FOR_EVER;
	}
	if (mps) {
		options[n++] = "--mps-pipe";
		options[n] = mps->dir;
	}
	world_start(&h->w);
	world_backend_start(&h->w, r->engine, options);
	done = play_house(h, r, plan);
	if (!done)
		world_show_log(&h->w);
	for (int i = 0; i < 2; i++)
		done = neighbour_guest_end(&h->guest[i], done) && done;
	done = world_end(&h->w) && done;
	free(h);
	return done;
}

static bool beside_bare(struct results *r, const struct bench_plan *plan,
			bare_fn *bare, struct mps *mps)
{
	char why[256] = "";

	if (!bare_apart(bare, r, plan, why)) {
		fprintf(stderr, "vgpu-bench: bare neighbours: %s\n", why);
		return false;
	}
	return guests(r, plan, mps, false) && guests(r, plan, mps, true);
}

bool measure_neighbours(struct results *r, const struct bench_plan *plan)
{
	struct mps mps;
	char why[256];
	bool done;

	if (!peer_wake(r, plan))
		return fail("a process cannot be woken");
	if (strcmp(r->engine, "cuda")) {
		results_skip(r, "two bare processes on one GPU", "no GPU");
		results_skip(r, "neighbours by MPS", "no GPU");
		return guests(r, plan, NULL, true);
	}
	if (!beside_bare(r, plan, bare_neighbours, NULL))
		return false;
	if (!mps_begin(&mps, why)) {
		results_skip(r, "neighbours by MPS", why);
		return true;
	}
	mps_join(&mps);
	done = beside_bare(r, plan, bare_neighbours_mps, &mps);
	mps_never();
	mps_end(&mps);
	return done;
}

static void target(struct results *r, const char *name, double value,
		   double limit, const char *unit, bool at_least)
{
	struct target *t = &r->target[r->targets++];

	*t = (struct target){
		.value = value,
		.limit = limit,
		.unit = unit,
		.at_least = at_least,
	};
	snprintf(t->name, sizeof(t->name), "%s", name);
}

static void add_targets(struct results *r, const char *mode)
{
	static const double limit_us[NR_WORKS] = {
		[WORK_SHORT] = 150,
		[WORK_LONG] = 1300,
	};
	char name[BENCH_TEXT];

	for (uint32_t kind = 0; kind < NR_WORKS; kind++) {
		int row = results_find(r, SECTION_NEIGHBOUR,
				       neighbour_name_add(name, kind, mode), 0);

		if (row >= 0)
			target(r, name, r->row[row].p50 / 1000, limit_us[kind],
			       "us", false);
	}
}

static void share_targets(struct results *r, const char *mode)
{
	double kernels = 0, charged = 0;
	char name[BENCH_TEXT];
	bool any = false;

	for (unsigned int i = 0; i < r->shares; i++) {
		const struct share_row *s = &r->share[i];

		neighbour_name_share(name, s->kind, s->weight[0], s->weight[1],
				     mode);
		if (s->section != SECTION_NEIGHBOUR || !s->weight[1] ||
		    strcmp(name, s->name))
			continue;
		any = true;
		if (s->weight[0] == s->weight[1])
			target(r, s->name, 100 * s->total, 90, "% of alone",
			       true);
		if (s->off_kernels > kernels)
			kernels = s->off_kernels;
		if (s->off_charged > charged)
			charged = s->off_charged;
	}
	if (!any)
		return;
	snprintf(name, sizeof(name), "kernels by weight, at worst%s", mode);
	target(r, name, kernels, 5, "% off", false);
	snprintf(name, sizeof(name), "charged by weight, at worst%s", mode);
	target(r, name, charged, 5, "% off", false);
}

void neighbour_targets(struct results *r)
{
	for (int mps = 0; mps < 2; mps++) {
		for (int delivered = 0; delivered < 2; delivered++) {
			add_targets(r, modes[mps][delivered]);
			share_targets(r, modes[mps][delivered]);
		}
	}
}
