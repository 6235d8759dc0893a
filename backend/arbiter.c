// SPDX-License-Identifier: MIT
/*
 * arbiter.c - leases on one side, the policy on the other (see arbiter.h)
 *
 * The thread sleeps in epoll: on each worker's kick, and on one timer for the
 * moments that the policy names. The lock is over everything here, so that a turn
 * may be taken by either thread: by the arbiter's when it is woken, and by the
 * supervisor's, at once, when it adds, removes or sets. Under the lock nothing
 * blocks: words are atomic, and a send to a socket waits for nothing that its
 * reader may hold.
 *
 * No wake-up is lost. A worker changes its word, then kicks; epoll tells of each
 * kick after the last look (edge-triggered: the eventfd is never read). Whatever
 * is changed here in a word is changed by one atomic operation that returns what
 * the worker had set by then, and what it sets later it kicks for.
 */
#include "arbiter_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"

#define EVENTS 64

/*
 * @armed: when the timer fires, UINT64_MAX: it does not
 * @spin_until: when the thread sleeps, if nothing happens
 * @dead: removed; the thread may have events of theirs in hand, and frees them
 */
struct arbiter {
	pthread_t thread;
	pthread_mutex_t lock;
	int epoll;
	int timer;
	uint64_t armed;
	uint64_t poll_ns;
	uint64_t spin_until;
	bool stopping;
	struct arbiter_client *dead;
	struct arbiter_gpu gpu[BACK_MAX_GPUS];
};

static void arm(struct arbiter *a)
{
	struct itimerspec when = {0};
	uint64_t at = UINT64_MAX;

	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++)
		if (a->gpu[i].at < at)
			at = a->gpu[i].at;
	if (a->stopping)
		at = 1;
	/* One that fires too early costs a turn, one for each change more. */
	if (at >= a->armed)
		return;
	a->armed = at;
	/* Absolute; 0, which no clock says any more, would disarm it. */
	when.it_value.tv_sec = at / 1000000000;
	when.it_value.tv_nsec = at % 1000000000;
	timerfd_settime(a->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- the thread -------------------------------------------------------- */

static void free_dead(struct arbiter *a)
{
	while (a->dead) {
		struct arbiter_client *c = a->dead;

		a->dead = c->next;
		free(c);
	}
}

/* One turn a GPU, whatever happened on it. */
static void handle(struct arbiter *a, const struct epoll_event *events, int n)
{
	bool due[BACK_MAX_GPUS] = {false};
	uint64_t now = clock_ns();

	for (int i = 0; i < n; i++) {
		struct arbiter_client *c = events[i].data.ptr;

		if (!c || c->removed)
			continue;
		arbiter_look(&a->gpu[c->gpu], c, now);
		due[c->gpu] = true;
	}
	if (a->armed <= now)
		a->armed = UINT64_MAX;
	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++)
		if (due[i] || a->gpu[i].at <= now)
			arbiter_turn(&a->gpu[i], now);
	a->spin_until = now + a->poll_ns;
	for (unsigned int i = 0; i < BACK_MAX_GPUS && a->poll_ns; i++)
		if (a->gpu[i].spin_until > a->spin_until)
			a->spin_until = a->gpu[i].spin_until;
	arm(a);
}

/*
 * What is about to happen is looked for: to be woken takes longer than to hand on
 * a GPU. The clock of the timer runs meanwhile as ever.
 */
static int await(struct arbiter *a, struct epoll_event events[EVENTS],
		 uint64_t spin_until)
{
	int n = epoll_wait(a->epoll, events, EVENTS, 0);

	while (!n && clock_ns() < spin_until) {
		/* Who has to act first may need this processor. */
		sched_yield();
		n = epoll_wait(a->epoll, events, EVENTS, 0);
	}
	return n ? n : epoll_wait(a->epoll, events, EVENTS, -1);
}

static void *run(void *arg)
{
	struct epoll_event events[EVENTS];
	struct arbiter *a = arg;
	bool stopping = false;
	uint64_t spin = 0;

	while (!stopping) {
		int n = await(a, events, spin);

		pthread_mutex_lock(&a->lock);
		handle(a, events, n);
		/* What was in hand is done, and no event of theirs comes again. */
		free_dead(a);
		stopping = a->stopping;
		spin = a->spin_until;
		pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

static bool watch(struct arbiter *a, int fd, void *what)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = what};

	return fd >= 0 && !epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static bool start_thread(struct arbiter *a)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&a->thread, NULL, run, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return !err;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void free_arbiter(struct arbiter *a)
{
	close_fd(a->epoll);
	close_fd(a->timer);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

struct arbiter *arbiter_start(const struct sched_params *params)
{
	struct arbiter *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return NULL;
	pthread_mutex_init(&a->lock, NULL);
	a->armed = UINT64_MAX;
	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++) {
		sched_init(&a->gpu[i].sched, params);
		a->gpu[i].at = UINT64_MAX;
	}
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	/* Not epoll_wait's own timeout: that one may be 50 us late. */
	a->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->epoll >= 0 && watch(a, a->timer, NULL) && start_thread(a))
		return a;
	err = errno;
	free_arbiter(a);
	errno = err;
	return NULL;
}

void arbiter_poll(struct arbiter *a, uint32_t poll_us)
{
	pthread_mutex_lock(&a->lock);
	a->poll_ns = (uint64_t)poll_us * 1000;
	pthread_mutex_unlock(&a->lock);
}

void arbiter_stop(struct arbiter *a)
{
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	arm(a);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	free_arbiter(a);
}

/* ---- clients ----------------------------------------------------------- */

/*
 * Of a fixed size for good: whoever shrank it would have us killed by SIGBUS at
 * the next look.
 */
static int make_page(struct lease **lease)
{
	int fd = memfd_create("vgpu-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, LEASE_BYTES) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		close(fd);
		return -1;
	}
	*lease = mmap(NULL, LEASE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	if (*lease != MAP_FAILED)
		return fd;
	close(fd);
	return -1;
}

static bool make_descriptors(struct arbiter_client *c)
{
	int ends[2];

	c->fds = (struct arbiter_fds){-1, -1, -1};
	c->wake = -1;
	c->fds.lease = make_page(&c->lease);
	if (c->fds.lease < 0)
		return false;
	c->fds.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fds.kick < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       ends))
		return false;
	c->fds.wake = ends[0];
	c->wake = ends[1];
	/* Nobody reads what a worker would send, descriptors among it. */
	return !shutdown(c->wake, SHUT_RD);
}

static void close_descriptors(struct arbiter_client *c)
{
	if (c->fds.lease >= 0)
		munmap(c->lease, LEASE_BYTES);
	close_fd(c->fds.lease);
	close_fd(c->fds.kick);
	close_fd(c->fds.wake);
	close_fd(c->wake);
}

/* The supervisor has changed something on this GPU. */
static void changed(struct arbiter *a, struct arbiter_gpu *g, uint64_t now)
{
	arbiter_bounds(g);
	arbiter_turn(g, now);
	arm(a);
}

struct arbiter_client *arbiter_add(struct arbiter *a, uint32_t gpu,
				   uint32_t weight, uint32_t cap,
				   struct arbiter_fds *fds)
{
	struct arbiter_client *c = calloc(1, sizeof(*c));
	struct arbiter_gpu *g = &a->gpu[gpu];
	uint64_t now;

	if (!c)
		return NULL;
	c->gpu = gpu;
	if (!make_descriptors(c) || !watch(a, c->fds.kick, c)) {
		int err = errno;

		close_descriptors(c);
		free(c);
		errno = err;
		return NULL;
	}
	pthread_mutex_lock(&a->lock);
	now = clock_ns();
	sched_add(&g->sched, &c->sched, weight, cap, now);
	c->next = g->clients;
	g->clients = c;
	changed(a, g, now);
	*fds = c->fds;
	pthread_mutex_unlock(&a->lock);
	return c;
}

void arbiter_remove(struct arbiter *a, struct arbiter_client *c)
{
	struct arbiter_gpu *g = &a->gpu[c->gpu];
	struct arbiter_client **link = &g->clients;
	uint64_t now;

	pthread_mutex_lock(&a->lock);
	now = clock_ns();
	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	if (g->next == c)
		g->next = NULL;
	epoll_ctl(a->epoll, EPOLL_CTL_DEL, c->fds.kick, NULL);
	sched_remove(&g->sched, &c->sched, now);
	close_descriptors(c);
	c->removed = true;
	c->next = a->dead;
	a->dead = c;
	changed(a, g, now);
	pthread_mutex_unlock(&a->lock);
}

void arbiter_set(struct arbiter *a, struct arbiter_client *c, uint32_t weight,
		 uint32_t cap)
{
	struct arbiter_gpu *g = &a->gpu[c->gpu];
	uint64_t now;

	pthread_mutex_lock(&a->lock);
	now = clock_ns();
	sched_set(&g->sched, &c->sched, weight, cap, now);
	changed(a, g, now);
	pthread_mutex_unlock(&a->lock);
}

void arbiter_use(struct arbiter *a, struct arbiter_client *c,
		 struct arbiter_use *use)
{
	pthread_mutex_lock(&a->lock);
	arbiter_turn(&a->gpu[c->gpu], clock_ns());
	arm(a);
	*use = (struct arbiter_use){
		.used_ns = c->sched.used_ns,
		.grants = c->sched.grants,
		.wait_ns = c->sched.wait_ns,
		.wait_max_ns = c->sched.wait_max_ns,
	};
	pthread_mutex_unlock(&a->lock);
}
