// SPDX-License-Identifier: MIT
/*
 * neighbour.c - players and their director (see neighbour.h)
 */
#include "neighbour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A player that is told something has taken it in by then. */
#define TAKE_MS 60000

/* The driver compiles it, for both sides alike. */
#define FMA(x) "	fma.rn.f32 " x ", " x ", %x, %y;\n"
#define FMA_ALL FMA("%a") FMA("%b") FMA("%c") FMA("%d")
const char neighbour_ptx[] =
	".version 6.0\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry " NEIGHBOUR_KERNEL
	"(.param .u64 counter, .param .u32 rounds)\n"
	"{\n"
	"	.reg .pred %p;\n"
	"	.reg .b32 %i, %t, %k;\n"
	"	.reg .b64 %at;\n"
	"	.reg .f32 %a, %b, %c, %d, %x, %y;\n"
	"	ld.param.u64 %at, [counter];\n"
	"	cvta.to.global.u64 %at, %at;\n"
	"	ld.param.u32 %i, [rounds];\n"
	"	mov.u32 %t, %tid.x;\n"
	"	mov.u32 %k, %ctaid.x;\n"
	"	or.b32 %k, %k, %t;\n"
	"	cvt.rn.f32.u32 %y, %t;\n"
	"	mov.f32 %x, 0f3f000000;\n"
	"	mov.f32 %a, %y;\n"
	"	add.rn.f32 %b, %a, 0f3f800000;\n"
	"	add.rn.f32 %c, %b, 0f3f800000;\n"
	"	add.rn.f32 %d, %c, 0f3f800000;\n"
	"again:\n" FMA_ALL FMA_ALL FMA_ALL FMA_ALL "	sub.u32 %i, %i, 1;\n"
	"	setp.ne.u32 %p, %i, 0;\n"
	"	@%p bra again;\n"
	/* No sum is below 0, which the compiler does not know. */
	"	add.rn.f32 %a, %a, %b;\n"
	"	add.rn.f32 %c, %c, %d;\n"
	"	add.rn.f32 %a, %a, %c;\n"
	"	setp.lt.f32 %p, %a, 0f00000000;\n"
	"	@%p st.global.f32 [%at], %a;\n"
	"	setp.ne.u32 %p, %k, 0;\n"
	"	@%p ret;\n"
	"	red.global.add.u32 [%at], 1;\n"
	"	ret;\n"
	"}\n";
const size_t neighbour_ptx_size = sizeof(neighbour_ptx);

const struct neighbour_kind neighbour_kinds[NR_WORKS] = {
	[WORK_SHORT] = {"20 us kernels", 20000, NEIGHBOUR_MAX_DEPTH},
	[WORK_LONG] = {"1 ms kernels", 1000000, 2},
};

const char *neighbour_name_add(char name[BENCH_TEXT], uint32_t kind,
			       const char *mode)
{
	snprintf(name, BENCH_TEXT, "idle one's add, %s%s%s",
		 kind < NR_WORKS ? "beside " : "alone",
		 kind < NR_WORKS ? neighbour_kinds[kind].name : "", mode);
	return name;
}

const char *neighbour_name_share(char name[BENCH_TEXT], uint32_t kind,
				 uint32_t first, uint32_t second,
				 const char *mode)
{
	if (second)
		snprintf(name, BENCH_TEXT, "%s, both busy, %u:%u%s",
			 neighbour_kinds[kind].name, first, second, mode);
	else
		snprintf(name, BENCH_TEXT, "%s, one alone%s",
			 neighbour_kinds[kind].name, mode);
	return name;
}

static bool play_work(struct player *p, const struct player_ops *ops, void *me)
{
	uint32_t in_flight = 0;

	while (p->order == PLAYER_WORK) {
		if (in_flight == neighbour_kinds[p->kind].depth) {
			if (!ops->take(me))
				return false;
			in_flight--;
			p->done++;
		}
		if (!ops->put(me, p->kind))
			return false;
		in_flight++;
	}
	for (; in_flight; in_flight--, p->done++)
		if (!ops->take(me))
			return false;
	return true;
}

static bool play_some_adds(struct player *p, const struct player_ops *ops,
			   void *me)
{
	uint32_t adds = PLAYER_ADDS;
	uint64_t start;

	for (uint32_t i = 0; i < p->wanted; i++) {
		usleep(neighbour_idle_us());
		start = bench_now();
		if (!ops->add(me))
			return false;
		p->ns[i] = bench_now() - start;
	}
	/* Unless it has been told something else meanwhile. */
	atomic_compare_exchange_strong(&p->order, &adds, PLAYER_REST);
	return true;
}

void player_run(struct player *p, const struct player_ops *ops, void *me)
{
	bool ok = true;

	while (ok && p->order != PLAYER_END) {
		p->doing = p->order;
		if (p->doing == PLAYER_WORK)
			ok = play_work(p, ops, me);
		else if (p->doing == PLAYER_ADDS)
			ok = play_some_adds(p, ops, me);
		else
			usleep(100);
	}
	p->broken = !ok;
	p->doing = PLAYER_END;
}

/* Until one of the two, order or doing, is that. */
static bool await(struct player *p, const _Atomic uint32_t *what,
		  enum player_order value)
{
	for (int ms = 0; *what != value; ms++) {
		if (p->broken || ms > TAKE_MS) {
			fprintf(stderr, "vgpu-bench: a neighbour %s\n",
				p->broken ? "failed" : "hangs");
			return false;
		}
		usleep(1000);
	}
	return true;
}

static bool tell(struct player *p, enum player_order order)
{
	p->order = order;
	return await(p, &p->doing, order);
}

static bool work(struct player *p, uint32_t kind)
{
	p->kind = kind;
	return tell(p, PLAYER_WORK);
}

static bool snapshot(const struct play *p, uint64_t done[2], uint64_t used[2],
		     uint64_t *at)
{
	if (p->used && !p->used(p->ctx, used))
		return false;
	*at = bench_now();
	for (int i = 0; i < 2; i++)
		done[i] = p->player[i]->done;
	return true;
}

/*
 * Who works has had something done that it began since then; on a machine that is
 * busy with other things that may take longer than is looked.
 */
static void await_progress(const struct play *p, const struct share_row *row,
			   const uint64_t done[2])
{
	for (int i = 0; i < 2; i++)
		for (int ms = 0; row->weight[i] && ms < TAKE_MS &&
				 p->player[i]->done - done[i] <=
					 neighbour_kinds[row->kind].depth;
		     ms++)
			usleep(1000);
}

/* Players work already. */
static bool observe(const struct play *p, struct share_row *row)
{
	uint64_t done[2][2], used[2][2] = {0}, at[2];

	usleep(p->plan->settle_us);
	for (int end = 0; end < 2; end++) {
		if (!snapshot(p, done[end], used[end], &at[end]))
			return false;
		if (end)
			break;
		usleep(p->plan->observe_us);
		await_progress(p, row, done[0]);
	}
	row->elapsed_ns = at[1] - at[0];
	row->charged = p->used;
	for (int i = 0; i < 2; i++) {
		row->done[i] = done[1][i] - done[0][i];
		row->used_ns[i] = used[1][i] - used[0][i];
	}
	return true;
}

static bool play_works(struct play *p, uint32_t kind, uint32_t first,
		       uint32_t second)
{
	struct share_row *row = results_share(p->r);
	bool ok;

	row->section = p->section;
	snprintf(row->how, sizeof(row->how), "%s", p->how);
	row->kind = kind;
	row->weight[0] = first;
	row->weight[1] = second;
	neighbour_name_share(row->name, kind, first, second, p->mode);
	ok = work(p->player[0], kind) &&
	     (!second || work(p->player[1], kind)) && observe(p, row) &&
	     tell(p->player[0], PLAYER_REST) && tell(p->player[1], PLAYER_REST);
	if (ok)
		results_total(p->r, row, p->peer ? p->peer : p->mode);
	return ok;
}

bool play_alone(struct play *p)
{
	for (uint32_t kind = 0; kind < NR_WORKS; kind++)
		if (!play_works(p, kind, 1, 0))
			return false;
	return true;
}

bool play_both(struct play *p, uint32_t kind, uint32_t first, uint32_t second)
{
	return play_works(p, kind, first, second);
}

static bool some_adds(struct play *p, uint32_t kind, struct samples *s)
{
	struct player *who = p->player[1];
	char name[BENCH_TEXT], peer[BENCH_TEXT];
	struct row *row;

	who->wanted = p->plan->idle_adds;
	who->order = PLAYER_ADDS;
	if (!await(who, &who->order, PLAYER_REST))
		return false;
	samples_begin(s, who->wanted);
	for (uint32_t i = 0; i < who->wanted; i++)
		samples_add(s, who->ns[i]);
	row = results_row(p->r, p->section,
			  neighbour_name_add(name, kind, p->mode), s);
	snprintf(row->engine, sizeof(row->engine), "%s", p->r->engine);
	snprintf(row->variant, sizeof(row->variant), "%s", p->how);
	if (p->peer)
		results_compare(
			p->r, row,
			results_find(p->r, SECTION_BARE_NEIGHBOUR,
				     neighbour_name_add(peer, kind, p->peer),
				     0));
	return true;
}

bool play_adds(struct play *p)
{
	struct samples s = {0};
	bool ok = some_adds(p, NR_WORKS, &s);

	for (uint32_t kind = 0; kind < NR_WORKS && ok; kind++)
		ok = work(p->player[0], kind) && some_adds(p, kind, &s) &&
		     tell(p->player[0], PLAYER_REST);
	free(s.ns);
	return ok;
}

void play_end(struct play *p)
{
	for (int i = 0; i < 2; i++)
		p->player[i]->order = PLAYER_END;
}
