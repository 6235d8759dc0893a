// SPDX-License-Identifier: MIT
/*
 * peer.c - floors under a round trip, and the process bare work runs in
 *
 * The floors: nothing that goes to another process and back by the same means
 * can be faster, so a NOP's time above its floor is what ring and backend cost.
 */
#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neighbour.h"

/* A driver or a GPU that hangs ends the peer. */
#define BARE_LIMIT_S 300

/* Both words in one line, and nothing else there. */
struct line {
	_Alignas(64) uint64_t ping;
	uint64_t pong;
};

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static pid_t fork_peer(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void end_peer(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static _Noreturn void answer_line(struct line *l)
{
	for (uint64_t i = 1;; i++) {
		while (__atomic_load_n(&l->ping, __ATOMIC_ACQUIRE) != i)
			;
		__atomic_store_n(&l->pong, i, __ATOMIC_RELEASE);
	}
}

static void ask_line(struct line *l, uint64_t i)
{
	__atomic_store_n(&l->ping, i, __ATOMIC_RELEASE);
	while (__atomic_load_n(&l->pong, __ATOMIC_ACQUIRE) != i)
		;
}

bool peer_cache_line(struct results *r, const struct bench_plan *plan)
{
	struct line *l = shared(sizeof(*l));
	struct samples s = {0};
	uint64_t last, now;
	pid_t pid;

	if (!l)
		return false;
	pid = fork_peer();
	if (!pid)
		answer_line(l);
	if (pid < 0)
		return false;
	for (uint32_t i = 1; i <= plan->polled_ops / 10; i++)
		ask_line(l, i);
	samples_begin(&s, plan->polled_ops);
	last = bench_now();
	for (uint32_t i = 1; i <= plan->polled_ops; i++) {
		ask_line(l, plan->polled_ops / 10 + i);
		now = bench_now();
		samples_add(&s, now - last);
		last = now;
	}
	end_peer(pid);
	results_row(r, SECTION_FLOOR, "cache line ping-pong", &s);
	munmap(l, sizeof(*l));
	free(s.ns);
	return true;
}

static bool pass(int from, int to)
{
	uint64_t n;

	return read(from, &n, sizeof(n)) == sizeof(n) &&
	       write(to, &n, sizeof(n)) == sizeof(n);
}

static bool ask_eventfd(int to, int from)
{
	uint64_t n = 1;

	return write(to, &n, sizeof(n)) == sizeof(n) &&
	       read(from, &n, sizeof(n)) == sizeof(n);
}

bool peer_eventfd(struct results *r, const struct bench_plan *plan)
{
	int ping = eventfd(0, EFD_CLOEXEC), pong = eventfd(0, EFD_CLOEXEC);
	struct samples s = {0};
	uint64_t last, now;
	bool ok = ping >= 0 && pong >= 0;
	pid_t pid = ok ? fork_peer() : -1;

	if (!pid) {
		while (pass(ping, pong))
			;
		_exit(1);
	}
	if (pid < 0)
		return false;
	for (uint32_t i = 0; i < plan->event_ops / 10 && ok; i++)
		ok = ask_eventfd(ping, pong);
	samples_begin(&s, plan->event_ops);
	last = bench_now();
	for (uint32_t i = 0; i < plan->event_ops && ok; i++) {
		ok = ask_eventfd(ping, pong);
		now = bench_now();
		samples_add(&s, now - last);
		last = now;
	}
	end_peer(pid);
	if (ok)
		results_row(r, SECTION_FLOOR, "eventfd ping-pong", &s);
	close(ping);
	close(pong);
	free(s.ns);
	return ok;
}

static _Noreturn void tell_when_woken(int fd, uint64_t *when)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) == sizeof(n))
		__atomic_store_n(when, bench_now(), __ATOMIC_RELEASE);
	_exit(1);
}

bool peer_wake(struct results *r, const struct bench_plan *plan)
{
	uint64_t *when = shared(sizeof(*when)), one = 1, start, end;
	int fd = eventfd(0, EFD_CLOEXEC);
	struct samples s = {0};
	pid_t pid = fd >= 0 && when ? fork_peer() : -1;
	bool ok = pid > 0;

	if (!pid)
		tell_when_woken(fd, when);
	samples_begin(&s, plan->idle_adds);
	while (ok && s.n < plan->idle_adds) {
		usleep(neighbour_idle_us());
		__atomic_store_n(when, 0, __ATOMIC_RELAXED);
		start = bench_now();
		ok = write(fd, &one, sizeof(one)) == sizeof(one);
		while (ok && !(end = __atomic_load_n(when, __ATOMIC_ACQUIRE)))
			;
		if (ok)
			samples_add(&s, end - start);
	}
	if (pid > 0)
		end_peer(pid);
	if (ok)
		results_row(r, SECTION_BARE_NEIGHBOUR,
			    "wake-up of a process asleep as long", &s);
	close(fd);
	if (when)
		munmap(when, sizeof(*when));
	free(s.ns);
	return ok;
}

/* What comes back from the process. */
struct apart {
	struct results r;
	char why[256];
	bool ok;
};

bool bare_apart(bare_fn *fn, struct results *r, const struct bench_plan *plan,
		char why[256])
{
	struct apart *a = shared(sizeof(*a));
	int status = -1;
	bool ok;
	pid_t pid;

	if (!a)
		return false;
	a->r = *r;
	pid = fork_peer();
	if (!pid) {
		alarm(BARE_LIMIT_S);
		a->ok = fn(&a->r, plan, a->why);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		snprintf(a->why, sizeof(a->why), "the peer ended with %#x",
			 status);
	ok = !status && a->ok;
	if (!status)
		*r = a->r;
	memcpy(why, a->why, sizeof(a->why));
	munmap(a, sizeof(*a));
	return ok;
}
