// SPDX-License-Identifier: MIT
/*
 * sched.c - who has a GPU, and for how long (see sched.h)
 *
 * Every call brings the account up to its moment first: account(). After that,
 * times lie in the past and only states decide. All sums are bounded: a step of
 * time by MAX_STEP_NS, virtual time ahead of the others by MAX_AHEAD, what a
 * capped client owes by MAX_DEBT; so nothing here overflows, whatever a clock or
 * a worker says.
 */
#include "sched.h"

#include <stddef.h>

/* 13 days; times SCHED_WEIGHT or 100 it still is far from 2^63. */
#define MAX_STEP_NS (1ULL << 50)
#define MAX_AHEAD (1LL << 60)
#define MAX_DEBT (1LL << 60)
/* Of virtual time, in one look ahead. */
#define MAX_LEVEL (1ULL << 40)
/* What is reckoned is not worth asking again earlier: no timer is finer. */
#define MIN_AHEAD_NS 1000

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/* Of virtual times, which wrap around. */
static bool before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

static bool has_gpu(const struct sched_client *c)
{
	return c->state == SCHED_RUNNING || c->state == SCHED_LEAVING;
}

static bool may_run(const struct sched_client *c)
{
	return c->state == SCHED_WAITING && !c->parked;
}

static uint64_t holders(const struct sched *s)
{
	uint64_t n = 0;

	for (const struct sched_client *c = s->clients; c; c = c->next)
		n += has_gpu(c);
	return n;
}

static uint64_t after(const struct sched *s, uint64_t ns)
{
	return s->now + (ns > MIN_AHEAD_NS ? ns : MIN_AHEAD_NS);
}

bool sched_contended(const struct sched *s)
{
	for (const struct sched_client *c = s->clients; c; c = c->next)
		if (may_run(c))
			return true;
	return false;
}

/* ---- caps -------------------------------------------------------------- */

static int64_t least_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * With how much a client that ran out may go on: half of what a period gives, but
 * no crumb, and no more than is of use at a time.
 */
static int64_t tokens_useful(const struct sched *s,
			     const struct sched_client *c)
{
	int64_t half = (int64_t)c->cap * SCHED_CAP_PERIOD_NS / 2;
	int64_t crumb = (int64_t)s->params.min_run_ns * 100;

	return least_of(most_of(half, crumb),
			(int64_t)s->params.slice_ns * 100);
}

/*
 * What a capped client can save up: what a period gives. Who waits for others
 * saves at least a slice, for it would lose its share to the cap otherwise.
 */
static int64_t tokens_most(const struct sched *s, const struct sched_client *c)
{
	int64_t period = (int64_t)c->cap * SCHED_CAP_PERIOD_NS;
	int64_t slice = (int64_t)s->params.slice_ns * 100;

	return most_of(period,
		       c->state == SCHED_WAITING ? slice : tokens_useful(s, c));
}

static void tokens_judge(const struct sched *s, struct sched_client *c)
{
	if (!c->cap)
		c->parked = false;
	else if (c->tokens <= 0)
		c->parked = true;
	else if (c->tokens >= tokens_useful(s, c))
		c->parked = false;
}

static void tokens_give(const struct sched *s, struct sched_client *c,
			uint64_t tokens)
{
	int64_t most = tokens_most(s, c);

	if (c->tokens < most) {
		c->tokens += (int64_t)tokens;
		if (c->tokens > most)
			c->tokens = most;
	}
	tokens_judge(s, c);
}

/* ---- accounts ---------------------------------------------------------- */

static uint64_t slice_of(const struct sched *s, const struct sched_client *c)
{
	return s->params.slice_ns * SCHED_WEIGHT / c->weight;
}

static void charge(struct sched *s, struct sched_client *c, uint64_t ns)
{
	uint64_t weighted = ns * SCHED_WEIGHT + c->rest;

	c->vtime += weighted / c->weight;
	c->rest = weighted % c->weight;
	if ((int64_t)(c->vtime - s->vtime) > MAX_AHEAD)
		c->vtime = s->vtime + MAX_AHEAD;
	c->used_ns += ns;
	if (!c->cap)
		return;
	c->tokens -= (int64_t)ns * 100;
	if (c->tokens < -MAX_DEBT)
		c->tokens = -MAX_DEBT;
}

/* No more than a slice of credit. */
static void limit_credit(const struct sched *s, struct sched_client *c)
{
	uint64_t least = s->vtime - slice_of(s, c);

	if (before(c->vtime, least))
		c->vtime = least;
}

/* Of those who run or may; or of those who are LEAVING. */
static const struct sched_client *least_of_all(const struct sched *s,
					       bool leaving)
{
	const struct sched_client *least = NULL;

	for (const struct sched_client *c = s->clients; c; c = c->next) {
		if (leaving ? c->state != SCHED_LEAVING :
			      c->state != SCHED_RUNNING && !may_run(c))
			continue;
		if (!least || before(c->vtime, least->vtime))
			least = c;
	}
	return least;
}

/*
 * LEAVING is left out beside others: beside a heavy client's job of a minute, which
 * the others share the GPU with by the driver's slices, time would stand still for
 * them, and it would be credit of a minute. A capped one leaves with nobody else
 * there, and what it has then is no debt.
 */
static void advance(struct sched *s)
{
	const struct sched_client *least = least_of_all(s, false);

	if (!least)
		least = least_of_all(s, true);
	if (least && before(s->vtime, least->vtime))
		s->vtime = least->vtime;
	for (struct sched_client *c = s->clients; c; c = c->next)
		limit_credit(s, c);
}

/* Who has the GPU is charged; where several have it, each for its part. */
static void charge_holders(struct sched *s, uint64_t elapsed)
{
	bool contended = sched_contended(s);
	uint64_t n = holders(s);

	/* Time that nobody wanted passes for all: old debts end. */
	if (!n && !contended)
		s->vtime += elapsed;
	for (struct sched_client *c = s->clients; n; c = c->next) {
		uint64_t part = elapsed / n;

		if (!has_gpu(c))
			continue;
		charge(s, c, part);
		if (!contended)
			c->refundable_ns += part;
		/* What the division left over falls to the next. */
		elapsed -= part;
		n--;
	}
}

static void account(struct sched *s, uint64_t now)
{
	uint64_t elapsed;

	if (now <= s->now)
		return;
	elapsed = now - s->now < MAX_STEP_NS ? now - s->now : MAX_STEP_NS;
	s->now = now;
	charge_holders(s, elapsed);
	for (struct sched_client *c = s->clients; c; c = c->next)
		if (c->cap)
			tokens_give(s, c, elapsed * c->cap);
	advance(s);
}

/* ---- clients ----------------------------------------------------------- */

void sched_init(struct sched *s, const struct sched_params *params)
{
	*s = (struct sched){.params = *params};
}

static void enter(struct sched *s, struct sched_client *c,
		  enum sched_state state)
{
	uint64_t in = s->now - c->since;

	if (c->state == SCHED_WAITING) {
		c->wait_ns += in;
		if (in > c->wait_max_ns)
			c->wait_max_ns = in;
	}
	c->state = state;
	c->since = s->now;
	c->boosted = false;
}

void sched_add(struct sched *s, struct sched_client *c, uint32_t weight,
	       uint32_t cap, uint64_t now)
{
	account(s, now);
	c->weight = weight;
	c->cap = cap;
	c->vtime = s->vtime;
	c->since = s->now;
	c->tokens = tokens_most(s, c);
	c->next = s->clients;
	s->clients = c;
}

void sched_remove(struct sched *s, struct sched_client *c, uint64_t now)
{
	struct sched_client **at = &s->clients;

	account(s, now);
	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

/* Credit and debt stay what they are in time of the GPU. */
void sched_set(struct sched *s, struct sched_client *c, uint32_t weight,
	       uint32_t cap, uint64_t now)
{
	__int128 ahead;

	account(s, now);
	ahead = (__int128)(int64_t)(c->vtime - s->vtime) * c->weight / weight;
	if (ahead > MAX_AHEAD)
		ahead = MAX_AHEAD;
	c->vtime = s->vtime + (uint64_t)ahead;
	c->rest = 0;
	c->weight = weight;
	/* What it used uncapped is not held against it. */
	if (!c->cap)
		c->tokens = INT64_MAX;
	c->cap = cap;
	c->tokens = least_of(c->tokens, tokens_most(s, c));
	tokens_judge(s, c);
}

void sched_wake(struct sched *s, struct sched_client *c, uint64_t now)
{
	account(s, now);
	if (c->state != SCHED_IDLING)
		return;
	enter(s, c, SCHED_WAITING);
	/* Behind by some microseconds is whoever took a breath. */
	c->boosted = before(c->vtime, s->vtime - slice_of(s, c) / 2);
}

void sched_left(struct sched *s, struct sched_client *c, bool wants,
		uint64_t now)
{
	account(s, now);
	if (c->state == SCHED_IDLING || (c->state == SCHED_WAITING && wants))
		return;
	enter(s, c, wants ? SCHED_WAITING : SCHED_IDLING);
}

void sched_claim(struct sched *s, struct sched_client *c, uint64_t busy_ns,
		 uint64_t now)
{
	uint64_t claimed;
	uint64_t back;

	account(s, now);
	claimed = busy_ns > c->claimed_ns ? busy_ns - c->claimed_ns : 0;
	back = c->refundable_ns > claimed ? c->refundable_ns - claimed : 0;
	c->claimed_ns = busy_ns;
	c->refundable_ns = 0;
	if (!back)
		return;
	c->used_ns -= back;
	/* Of use is a slice of it, or a period. */
	if (back > MAX_STEP_NS)
		back = MAX_STEP_NS;
	c->vtime -= back * SCHED_WEIGHT / c->weight;
	limit_credit(s, c);
	if (c->cap)
		tokens_give(s, c, back * 100);
}

/* ---- decisions --------------------------------------------------------- */

static bool goes_first(const struct sched_client *a,
		       const struct sched_client *b)
{
	if (a->boosted != b->boosted)
		return a->boosted;
	if (!a->boosted && a->vtime != b->vtime)
		return before(a->vtime, b->vtime);
	return a->since < b->since;
}

static struct sched_client *pick(const struct sched *s)
{
	struct sched_client *first = NULL;

	for (struct sched_client *c = s->clients; c; c = c->next)
		if (may_run(c) && (!first || goes_first(c, first)))
			first = c;
	return first;
}

/* When next is to have the GPU instead of c. */
static uint64_t turn_ends(const struct sched *s, const struct sched_client *c,
			  const struct sched_client *next)
{
	const struct sched_params *p = &s->params;
	uint64_t ahead = next->vtime - c->vtime;
	uint64_t end = c->since + p->slice_ns;
	uint64_t level;

	if (next->boosted && p->min_run_ns < p->slice_ns)
		return c->since + p->min_run_ns;
	if (next->boosted || !before(c->vtime, next->vtime))
		return end;
	/* It would be granted again. Asked about too early: asked once more. */
	if (ahead > MAX_LEVEL)
		ahead = MAX_LEVEL;
	level = after(s, divide_up(ahead * c->weight, SCHED_WEIGHT));
	return level > end ? level : end;
}

/* When the client that runs will have used up its cap, if it is busy. */
static uint64_t cap_ends(const struct sched *s, const struct sched_client *c)
{
	if (!c->cap || c->cap == SCHED_MAX_CAP)
		return UINT64_MAX;
	return after(s, divide_up((uint64_t)c->tokens, 100 - c->cap));
}

static void decide_stay(struct sched *s, struct sched_client *c,
			const struct sched_client *next,
			struct sched_decision *d)
{
	uint64_t end = next ? turn_ends(s, c, next) : UINT64_MAX;

	if (c->parked || end <= s->now) {
		enter(s, c, SCHED_LEAVING);
		d->leave = c;
		return;
	}
	d->at = cap_ends(s, c);
	if (end < d->at)
		d->at = end;
	d->next_at = d->at;
}

/* Beside those who do not leave, but not before all have had their grace. */
static void decide_grant(struct sched *s, struct sched_client *next,
			 struct sched_decision *d)
{
	uint64_t free = s->now;

	for (struct sched_client *c = s->clients; c; c = c->next)
		if (c->state == SCHED_LEAVING &&
		    c->since + s->params.grace_ns > free)
			free = c->since + s->params.grace_ns;
	if (free > s->now) {
		d->at = free;
		return;
	}
	enter(s, next, SCHED_RUNNING);
	next->grants++;
	d->grant = next;
}

static uint64_t first_unparked(const struct sched *s)
{
	uint64_t at = UINT64_MAX;

	for (const struct sched_client *c = s->clients; c; c = c->next) {
		if (c->state == SCHED_WAITING && c->parked) {
			int64_t lacks = tokens_useful(s, c) - c->tokens;
			uint64_t then =
				after(s, divide_up((uint64_t)lacks, c->cap));

			if (then < at)
				at = then;
		}
	}
	return at;
}

struct sched_decision sched_decide(struct sched *s, uint64_t now)
{
	struct sched_decision d = {.at = UINT64_MAX};
	struct sched_client *running = NULL;
	struct sched_client *next;
	uint64_t at;

	account(s, now);
	for (struct sched_client *c = s->clients; c; c = c->next)
		if (c->state == SCHED_RUNNING)
			running = c;
	next = pick(s);
	d.next = next;
	d.next_at = s->now;
	if (running)
		decide_stay(s, running, next, &d);
	else if (next)
		decide_grant(s, next, &d);
	at = first_unparked(s);
	if (at < d.at)
		d.at = at;
	return d;
}
