// SPDX-License-Identifier: MIT
/*
 * gate_double.c - clock, engine and arbiter around a gate (see gate_double.h)
 */
#include "gate_double.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

struct gate *g;
struct lease page;
unsigned int clock_reads, armed;
bool may_arm;

static uint64_t now;
static int kick_fd, wake_fd[2];
static struct vgpu_job jobs[JOBS];
static struct gate_job gate_jobs[JOBS];
static struct vgpu_job *queued, *ended;

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	assert_int_equal(id, CLOCK_MONOTONIC);
	clock_reads++;
	ts->tv_sec = now / 1000000000;
	ts->tv_nsec = now % 1000000000;
	return 0;
}

void pass(uint64_t ns)
{
	now += ns;
}

/* ---- the engine -------------------------------------------------------- */

static void append(struct vgpu_job **list, struct vgpu_job *one)
{
	while (*list)
		list = &(*list)->next;
	one->next = NULL;
	*list = one;
}

static void fake_submit(struct vgpu_engine *eng, struct vgpu_job *one)
{
	(void)eng;
	append(&queued, one);
}

static struct vgpu_job *fake_reap(struct vgpu_engine *eng)
{
	struct vgpu_job *list = ended;

	(void)eng;
	ended = NULL;
	return list;
}

static bool fake_arm(struct vgpu_engine *eng)
{
	(void)eng;
	armed++;
	return may_arm && !ended;
}

static const struct vgpu_engine_ops fake_ops = {
	.name = "fake",
	.submit = fake_submit,
	.reap = fake_reap,
	.arm = fake_arm,
};

static struct vgpu_engine fake_engine = {.ops = &fake_ops};

/* ---- what the test says ------------------------------------------------ */

static int setup(struct lease *lease)
{
	g = calloc(1, sizeof(*g));
	memset(jobs, 0, sizeof(jobs));
	memset(&page, 0, sizeof(page));
	queued = ended = NULL;
	now = 1000000;
	clock_reads = armed = 0;
	may_arm = true;
	kick_fd = eventfd(0, EFD_NONBLOCK);
	if (!g || kick_fd < 0 || pipe2(wake_fd, O_NONBLOCK))
		return -1;
	gate_init(g, &fake_engine, lease, lease ? kick_fd : -1,
		  lease ? wake_fd[0] : -1);
	return 0;
}

int setup_lease(void **state)
{
	(void)state;
	return setup(&page);
}

int setup_alone(void **state)
{
	(void)state;
	return setup(NULL);
}

int teardown(void **state)
{
	(void)state;
	close(kick_fd);
	close(wake_fd[0]);
	close(wake_fd[1]);
	free(g);
	return 0;
}

struct vgpu_job *job(unsigned int n)
{
	return &jobs[n];
}

void submit(unsigned int n)
{
	gate_jobs[n].job = &jobs[n];
	gate_jobs[n].owner = &jobs[n];
	gate_submit(g, &gate_jobs[n]);
}

void work(unsigned int n, uint16_t kind)
{
	jobs[n].op = VGPU_OP_BUILTIN;
	jobs[n].kernel = kind;
	submit(n);
}

void mark(unsigned int n, uint8_t op)
{
	jobs[n].op = op;
	submit(n);
}

static void expect_list(const struct vgpu_job *list, const char *what)
{
	char text[JOBS * 4] = "";

	for (; list; list = list->next)
		sprintf(text + strlen(text), "%s%td", *text ? " " : "",
			list - jobs);
	assert_string_equal(text, what);
}

void engine_has(const char *what)
{
	expect_list(queued, what);
}

void ends(unsigned int n, uint64_t after_ns)
{
	struct vgpu_job **link = &queued;

	pass(after_ns);
	while (*link != &jobs[n]) {
		assert_non_null(*link);
		link = &(*link)->next;
	}
	*link = jobs[n].next;
	append(&ended, &jobs[n]);
}

void turn(const char *what)
{
	struct vgpu_job *done = gate_reap(g);

	expect_list(done, what);
	for (; done; done = done->next)
		assert_ptr_equal(((struct gate_job *)done->owner)->owner, done);
}

bool kicked(void)
{
	uint64_t count;

	if (read(kick_fd, &count, sizeof(count)) != sizeof(count))
		return false;
	assert_int_equal(count, 1);
	return true;
}

bool has(uint32_t bits)
{
	return (page.word & bits) == bits;
}

void grant(void)
{
	const uint64_t one = 1;

	if (lease_grant(&page))
		assert_int_equal(write(wake_fd[1], &one, sizeof(one)),
				 sizeof(one));
}

bool woken(void)
{
	struct pollfd fd = {.fd = wake_fd[0], .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

void warm_up(void)
{
	page.bound_ns = BOUND;
	work(JOBS - 1, 999);
	assert_true(kicked());
	grant();
	turn("");
	ends(JOBS - 1, 1000);
	turn("63");
	assert_false(kicked());
}

void teach(uint16_t kind, uint64_t ns)
{
	work(JOBS - 1, kind);
	ends(JOBS - 1, ns);
	turn("63");
}
