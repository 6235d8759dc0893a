// SPDX-License-Identifier: MIT
/*
 * arbiter_player.c - plays a worker (see arbiter_player.h)
 */
#include "arbiter_player.h"

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

const struct sched_params patient = {
	.slice_ns = HOUR, .min_run_ns = MS / 2, .grace_ns = 2 * MS};
const struct sched_params brisk = {
	.slice_ns = 2 * MS, .min_run_ns = MS / 2, .grace_ns = 2 * MS};

void join(struct player *p, struct arbiter *a, uint32_t gpu, uint32_t weight,
	  uint32_t cap)
{
	p->a = a;
	p->c = arbiter_add(a, gpu, weight, cap, &p->fds);
	assert_non_null(p->c);
	p->l = mmap(NULL, LEASE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		    p->fds.lease, 0);
	assert_ptr_not_equal(p->l, MAP_FAILED);
}

void part(struct player *p)
{
	munmap(p->l, LEASE_BYTES);
	arbiter_remove(p->a, p->c);
}

void join_two(struct arbiter *a, struct player *p, struct player *q)
{
	join(p, a, 0, 256, 0);
	join(q, a, 0, 256, 0);
}

void part_two(struct arbiter *a, struct player *p, struct player *q)
{
	part(p);
	part(q);
	arbiter_stop(a);
}

bool kick(const struct player *p)
{
	const uint64_t one = 1;

	return write(p->fds.kick, &one, sizeof(one)) == sizeof(one);
}

struct arbiter_use use_of(const struct player *p)
{
	struct arbiter_use use;

	arbiter_use(p->a, p->c, &use);
	return use;
}

bool start(struct player *p)
{
	if (!lease_start(p->l))
		return false;
	if (!atomic_load(&p->l->busy_since))
		atomic_store(&p->l->busy_since, clock_ns());
	return true;
}

void end(struct player *p, bool keep)
{
	uint64_t since = atomic_exchange(&p->l->busy_since, 0);

	if (since)
		atomic_fetch_add(&p->l->busy_ns, clock_ns() - since);
	if (lease_end(p->l, keep, false))
		kick(p);
}

bool want(struct player *p)
{
	return lease_want(p->l) && kick(p);
}

bool readable(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, timeout_ms) == 1;
}

void drain(int fd)
{
	char buf[64];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

/*
 * As the gate: wants what it has not got, and sleeps until something wakes it.
 * False: nothing did.
 */
static bool sleep_for_grant(struct player *p)
{
	bool ok = true;

	if (lease_sleep(p->l, true))
		kick(p);
	if (lease_word(p->l) & LEASE_WANT) {
		ok = readable(p->fds.wake, TIMEOUT_MS);
		drain(p->fds.wake);
	}
	lease_awake(p->l);
	return ok;
}

bool get(struct player *p)
{
	while (!start(p))
		if (!sleep_for_grant(p))
			return false;
	return true;
}

bool await(const struct player *p, uint32_t mask, uint32_t bits)
{
	uint64_t give_up = clock_ms() + TIMEOUT_MS;

	while ((lease_word(p->l) & mask) != bits) {
		if (clock_ms() > give_up)
			return false;
		sched_yield();
	}
	return true;
}

void pass_time(uint64_t ns)
{
	uint64_t to = clock_ns() + ns;

	while (clock_ns() < to)
		sched_yield();
}
