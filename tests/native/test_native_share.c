// SPDX-License-Identifier: MIT
/*
 * test_native_share.c - guests that share a GPU, through the unmodified backend
 *
 * On the cpu engine, which is as exclusive as a GPU: who has it, and for how long,
 * is the arbiter's business and not the engine's. Shares are what the supervisor
 * has charged while all had work waiting. What a worker that stands still loses is
 * made up for in the turns that follow, as long as it is less than a slice. On a
 * machine that is busy with other things one may stand still for longer, and a
 * share is another one for a while; so one that is not right is looked at for
 * longer. Worlds as in path.h.
 */
#include "path.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Half a millisecond of work or so; and so many of them wait that a guest has work
 * left even where this test is not given a processor for a while.
 */
#define ADD_FLOATS (1u << 18)
#define DEPTH 128

#define MAX_GUESTS 3

/*
 * A guest that always has work.
 *
 * @put, @done: requests
 */
struct load {
	struct front *front;
	struct vectors v;
	uint64_t put;
	uint64_t done;
};

static struct front other[MAX_GUESTS - 1];
static struct load load[MAX_GUESTS];
static unsigned int guests;

static int begin(void **state)
{
	static const char *const options[] = {"--slice-us", "10000", NULL};

	(void)state;
	guests = 0;
	return path_begin_with("cpu", options);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void take_load(struct front *front, uint32_t floats)
{
	struct load *l = &load[guests++];

	*l = (struct load){.front = front};
	path_connect(front);
	vectors_make(front, &l->v, 1, floats, 0, false);
}

/* The first guest is there already, with the nodes' defaults. */
static void first_guest(uint32_t floats)
{
	take_load(&f, floats);
}

static void next_guest(uint32_t domid, const char *const *nodes,
		       uint32_t floats)
{
	struct front *front = &other[guests - 1];

	world_domain_make(&w, domid, NX_MAX_GRANTS);
	world_attach_with(&w, domid, 0, nodes);
	assert_true(front_open(front, domid, 0));
	take_load(front, floats);
}

static void take_answers(struct load *l)
{
	struct vgpu_response rsp;
	int rc;

	while ((rc = front_get(l->front, &rsp)) > 0) {
		assert_int_equal(rsp.status, VGPU_RSP_OK);
		l->done++;
	}
	assert_int_equal(rc, 0);
}

static void give_work(struct load *l, unsigned int depth)
{
	struct vgpu_request req = vectors_share(&l->v, 0, 1);
	uint64_t before = l->put;

	while (l->put - l->done < depth) {
		assert_true(front_put(l->front, &req) >= 0);
		l->put++;
	}
	if (l->put != before)
		front_push(l->front);
}

static void keep_busy(struct load *l)
{
	take_answers(l);
	give_work(l, DEPTH);
}

static void all_busy(void)
{
	for (unsigned int i = 0; i < guests; i++)
		keep_busy(&load[i]);
	sched_yield();
}

static void all_busy_for(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		all_busy();
}

/* Its last answer, and that all of them were right. */
static void finish(struct load *l)
{
	struct vgpu_response rsp;

	while (l->done < l->put) {
		assert_int_equal(front_next(l->front, &rsp), 1);
		assert_int_equal(rsp.status, VGPU_RSP_OK);
		l->done++;
	}
	vectors_check(&l->v);
}

static void leave(struct load *l)
{
	finish(l);
	vectors_unmap(l->front, &l->v);
	vectors_free(l->front, &l->v);
	path_disconnect(l->front);
	if (l->front != &f)
		front_close(l->front);
}

static void all_leave(void)
{
	for (unsigned int i = 0; i < guests; i++)
		leave(&load[i]);
}

/* ---- statistics -------------------------------------------------------- */

static unsigned int stats_lines(uint32_t domid)
{
	char path[96], part[32], line[4096];
	unsigned int n = 0;
	FILE *log;

	snprintf(path, sizeof(path), "%s/backend.log", w.dir);
	snprintf(part, sizeof(part), " event=stats domid=%u ", domid);
	log = fopen(path, "re");
	while (log && fgets(line, sizeof(line), log))
		n += strstr(line, part) && strchr(line, '\n');
	if (log)
		fclose(log);
	return n;
}

static uint64_t last_number(uint32_t domid, const char *key)
{
	char part[32], field[32];
	char *line, *at;
	uint64_t n;

	snprintf(part, sizeof(part), " event=stats domid=%u ", domid);
	snprintf(field, sizeof(field), " %s=", key);
	line = path_log(part);
	assert_non_null(line);
	at = strstr(line, field);
	assert_non_null(at);
	n = strtoull(at + strlen(field), NULL, 10);
	free(line);
	return n;
}

/* What each has been charged until now; they go on meanwhile. */
static void charged(uint64_t used_ns[MAX_GUESTS])
{
	const uint64_t give_up = now_ns() + WORLD_TIMEOUT_MS * 1000000ull;
	unsigned int before[MAX_GUESTS];

	for (unsigned int i = 0; i < guests; i++)
		before[i] = stats_lines(load[i].front->domid);
	kill(w.backend, SIGUSR1);
	for (unsigned int i = 0; i < guests; i++) {
		while (stats_lines(load[i].front->domid) == before[i]) {
			assert_true(now_ns() < give_up);
			all_busy();
		}
		used_ns[i] = last_number(load[i].front->domid, "gpu_used_ns");
	}
}

#define MS 1000000ull
#define TOLERANCE 0.05

/* Since the first one began. */
static const uint64_t look_ns[] = {500 * MS, 2000 * MS, 8000 * MS, 20000 * MS};

#define LOOKS (sizeof(look_ns) / sizeof(look_ns[0]))

static bool is_about(double is, double want)
{
	return is > want - TOLERANCE && is < want + TOLERANCE;
}

/* Each one's part of what was charged while all were busy. */
static void parts_are(double a, double b, double c)
{
	const double want[MAX_GUESTS] = {a, b, c};
	uint64_t before[MAX_GUESTS], after[MAX_GUESTS], sum;
	const uint64_t start = now_ns();
	double is[MAX_GUESTS] = {0};
	bool right = false;

	charged(before);
	for (unsigned int look = 0; look < LOOKS && !right; look++) {
		while (now_ns() < start + look_ns[look])
			all_busy();
		charged(after);
		sum = 0;
		for (unsigned int i = 0; i < guests; i++)
			sum += after[i] - before[i];
		right = true;
		for (unsigned int i = 0; i < guests; i++) {
			is[i] = (double)(after[i] - before[i]) / (double)sum;
			right &= is_about(is[i], want[i]);
		}
	}
	if (!right)
		fail_msg("parts are %.3f %.3f %.3f", is[0], is[1], is[2]);
}

/* The part of so much time that one guest alone is charged. */
static double part_of_time(uint64_t ns)
{
	uint64_t before[MAX_GUESTS], after[MAX_GUESTS], t0;

	charged(before);
	t0 = now_ns();
	all_busy_for(ns);
	charged(after);
	return (double)(after[0] - before[0]) / (double)(now_ns() - t0);
}

/* ---- tests ------------------------------------------------------------- */

static const char *const no_nodes[] = {NULL};

static void three_at_once_and_all_exact(void **state)
{
	(void)state;
	first_guest(1000);
	next_guest(8, no_nodes, 1 << 16);
	next_guest(9, no_nodes, ADD_FLOATS);
	for (int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < guests; i++)
			vectors_fill(&load[i].v, round * 3 + i);
		all_busy_for(40 * MS);
		for (unsigned int i = 0; i < guests; i++)
			finish(&load[i]);
	}
	all_leave();
}

static void weights_are_shares(void **state)
{
	static const char *const heavy[] = {"weight", "512", NULL};
	static const char *const heaviest[] = {"weight", "768", NULL};

	(void)state;
	first_guest(ADD_FLOATS);
	next_guest(8, heavy, ADD_FLOATS);
	parts_are(1. / 3, 2. / 3, 0);
	/* And the third one comes, as heavy as both. */
	next_guest(9, heaviest, ADD_FLOATS);
	parts_are(1. / 6, 1. / 3, 1. / 2);
	all_leave();
}

static void weights_change_while_they_run(void **state)
{
	(void)state;
	first_guest(ADD_FLOATS);
	next_guest(8, no_nodes, ADD_FLOATS);
	parts_are(1. / 2, 1. / 2, 0);
	world_set(&w, 8, 0, "weight", "1024");
	parts_are(1. / 5, 4. / 5, 0);
	assert_true(path_log_says("event=config", "node=weight value=1024"));
	/* A slip of the hand. */
	world_set(&w, 8, 0, "weight", "0");
	parts_are(1. / 5, 4. / 5, 0);
	assert_true(path_log_says("event=config", "kept=1024"));
	all_leave();
}

#define CAP_LOOKS 8
#define CAP_LOOK_NS (500 * MS)

/* Alone, and no more than its cap; which ends as soon as it is taken away. */
static void cap_holds(void **state)
{
	double free, least = .25 + 2 * TOLERANCE;
	int looks = 0;

	(void)state;
	/* Shorter than the cap's period by far. */
	first_guest(1 << 16);
	free = part_of_time(CAP_LOOK_NS);
	world_set(&w, GUEST, 0, "cap", "25");
	while (!is_about(part_of_time(CAP_LOOK_NS << looks), .25))
		assert_true(++looks < CAP_LOOKS);
	world_set(&w, GUEST, 0, "cap", "0");
	looks = 0;
	/* More than the cap gives at its most, and about what it had before. */
	if (least < .67 * free)
		least = .67 * free;
	while (part_of_time(CAP_LOOK_NS << looks) < least)
		assert_true(++looks < CAP_LOOKS);
	all_leave();
}

/*
 * Its worker stands still on the GPU, then dies on it, then its domain goes: the
 * other one works on.
 */
static void who_dies_on_the_gpu_frees_it(void **state)
{
	struct load *dead = &load[0], *alive = &load[1];
	unsigned int answered;
	uint64_t enough;
	pid_t worker;

	(void)state;
	first_guest(ADD_FLOATS);
	next_guest(8, no_nodes, ADD_FLOATS);
	all_busy_for(50 * MS);
	worker = world_count(&w, GUEST).mapper;
	kill(worker, SIGSTOP);
	enough = alive->done + 50;
	while (alive->done < enough)
		keep_busy(alive);
	kill(worker, SIGKILL);
	assert_true(world_wait_back(&w, GUEST, 0, XenbusStateClosed));
	enough = alive->done + 50;
	while (alive->done < enough)
		keep_busy(alive);
	finish(alive);
	assert_int_equal(path_settle(&f, &answered), dead->put - dead->done);
	path_recovers(&dead->v);
	leave(alive);
}

static void guest_that_is_destroyed_frees_it(void **state)
{
	struct load *dead, *alive = &load[0];
	uint64_t enough;

	(void)state;
	first_guest(ADD_FLOATS);
	next_guest(8, no_nodes, ADD_FLOATS);
	dead = &load[1];
	all_busy_for(50 * MS);
	world_domain_destroy(&w, 8);
	guests = 1;
	assert_true(world_wait_removed(&w, 8));
	path_nothing_left(8);
	enough = alive->done + 50;
	while (alive->done < enough)
		keep_busy(alive);
	leave(alive);
	buffer_forget(dead->front, &dead->v.a);
	buffer_forget(dead->front, &dead->v.b);
	buffer_forget(dead->front, &dead->v.c);
	front_close(dead->front);
}

/* Until the answer is this one: a message is on its way. */
static void alloc_says(uint64_t length, int want)
{
	const uint64_t give_up = now_ns() + WORLD_TIMEOUT_MS * 1000000ull;
	struct vgpu_request req = front_request(VGPU_OP_MEM_ALLOC);
	int status;

	do {
		req.op = VGPU_OP_MEM_ALLOC;
		req.u.mem_alloc.handle = VGPU_HANDLE_MEM | 1;
		req.u.mem_alloc.length = length;
		status = front_call(&f, &req, NULL);
		if (status != VGPU_RSP_OK)
			continue;
		memset(&req.u, 0, sizeof(req.u));
		req.op = VGPU_OP_MEM_FREE;
		req.u.handle.handle = VGPU_HANDLE_MEM | 1;
		assert_int_equal(front_call(&f, &req, NULL), VGPU_RSP_OK);
	} while (status != want && now_ns() < give_up);
	assert_int_equal(status, want);
}

static void memory_quota_changes_while_it_runs(void **state)
{
	(void)state;
	path_connect(&f);
	alloc_says(1 << 20, VGPU_RSP_OK);
	world_set(&w, GUEST, 0, "mem", "1048575");
	alloc_says(1 << 20, VGPU_RSP_QUOTA);
	world_set(&w, GUEST, 0, "mem", "1048576");
	alloc_says(1 << 20, VGPU_RSP_OK);
	path_disconnect(&f);
}

static void buffers_have_a_quota(void **state)
{
	static const char *const two[] = {"quota-buffers", "2", "quota-pages",
					  "3", NULL};
	struct front *front = &other[0];
	struct front_buffer b[3];
	struct vgpu_request req;

	(void)state;
	world_domain_make(&w, 8, NX_MAX_GRANTS);
	world_attach_with(&w, 8, 0, two);
	assert_true(front_open(front, 8, 0));
	path_connect(front);
	assert_int_equal(front->limits.buffers, 2);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(buffer_make(front, &b[i], i + 1, 2 * NX_PAGE, 0,
					false, false));
	req = buffer_map_request(&b[0]);
	assert_int_equal(front_call(front, &req, NULL), VGPU_RSP_OK);
	/* Four pages, where three may be mapped. */
	req = buffer_map_request(&b[1]);
	assert_int_equal(front_call(front, &req, NULL), VGPU_RSP_QUOTA);
	/* No such handle, where there are two buffers. */
	req = buffer_map_request(&b[2]);
	assert_int_equal(front_call(front, &req, NULL), VGPU_RSP_INVALID);
	req = buffer_unmap_request(&b[0]);
	assert_int_equal(front_call(front, &req, NULL), VGPU_RSP_OK);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(buffer_free(front, &b[i]));
	path_disconnect(front);
	front_close(front);
}

/* The MPS daemon that a guest's worker would join. */
static void mps_is(uint32_t domid, const char *want)
{
	static const char name[] = "CUDA_MPS_PIPE_DIRECTORY=";
	char path[64], *value = NULL;
	unsigned int found = 0;
	size_t size = 0;
	FILE *env;

	snprintf(path, sizeof(path), "/proc/%d/environ",
		 world_count(&w, domid).mapper);
	env = fopen(path, "re");
	assert_non_null(env);
	while (getdelim(&value, &size, '\0', env) > 0) {
		if (strncmp(value, name, strlen(name)))
			continue;
		assert_string_equal(value + strlen(name), want);
		found++;
	}
	assert_int_equal(found, 1);
	free(value);
	fclose(env);
}

static int begin_mps(void **state)
{
	static const char *const options[] = {"--mps-pipe", "/run/x", NULL};

	(void)state;
	guests = 0;
	/* What the daemon's own environment says is for nobody. */
	setenv("CUDA_MPS_PIPE_DIRECTORY", "/run/y", 1);
	path_begin_with("cpu", options);
	unsetenv("CUDA_MPS_PIPE_DIRECTORY");
	return 0;
}

static void mps_is_for_those_who_ask(void **state)
{
	static const char *const yes[] = {"mps", "1", NULL};

	(void)state;
	first_guest(1000);
	next_guest(8, yes, 1000);
	mps_is(GUEST, "/dev/null/no-mps");
	mps_is(8, "/run/x");
	all_busy_for(5 * MS);
	all_leave();
}

#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, path_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARE_TEST(three_at_once_and_all_exact),
		SHARE_TEST(weights_are_shares),
		SHARE_TEST(weights_change_while_they_run),
		SHARE_TEST(cap_holds),
		SHARE_TEST(who_dies_on_the_gpu_frees_it),
		SHARE_TEST(guest_that_is_destroyed_frees_it),
		SHARE_TEST(memory_quota_changes_while_it_runs),
		SHARE_TEST(buffers_have_a_quota),
		cmocka_unit_test_setup_teardown(mps_is_for_those_who_ask,
						begin_mps, path_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
