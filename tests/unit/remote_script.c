// SPDX-License-Identifier: MIT
/*
 * remote_script.c - far ends that are scripts (see remote_script.h)
 *
 * Scripts run on one thread at a time, the engine's caller is the test's.
 */
#include "remote_script.h"

#include <pthread.h>

#include "../../backend/log.h"
#include "../../cuda/engine_remote.h"

const struct remote_times quick = {
	.hello = 300,
	.hold = 1500,
	.ping = 100,
	.silence = 200,
	.retry = 5,
	.retry_max = 40,
	.give_up = 700,
};

const struct remote_times patient = {
	.hello = 10 * PEER_MS,
	.hold = 10 * PEER_MS,
	.ping = 10 * PEER_MS,
	.silence = 10 * PEER_MS,
	.retry = 5,
	.retry_max = 40,
	.give_up = 10 * PEER_MS,
};

static char dir[] = "/tmp/vgpu-remote-XXXXXX";
char path[64], address[72], log_path[64];
char why[VGPU_ENGINE_WHY];

struct peer_frame job_frame, done_frame;
unsigned int nr_connections;

static pthread_t thread;
static int listener;
static _Atomic bool ending;
static _Thread_local bool opening;

void run_script(void *(*script)(void *), void *arg)
{
	nr_connections = peer_frees = 0;
	ending = false;
	listener = peer_listen(path);
	assert_int_equal(pthread_create(&thread, NULL, script, arg), 0);
}

void end_script(void)
{
	ending = true;
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
}

int next_client(void)
{
	int fd = peer_accept(listener);

	nr_connections++;
	return fd;
}

bool is_client(void)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};

	while (!poll(&pfd, 1, 20))
		if (ending)
			return false;
	return true;
}

void await_end(int fd)
{
	while (peer_get(fd, &job_frame))
		;
	close(fd);
}

void serve_well(int fd, size_t piece)
{
	peer_welcome(fd, "Honest");
	while (peer_next_job(fd, &job_frame)) {
		peer_answer(&job_frame, &done_frame);
		peer_mark(fd, &done_frame);
		if (!peer_send(fd, &done_frame, peer_octets(&done_frame), piece))
			break;
	}
	close(fd);
}

void answer_with(int fd, const struct remote_done *done)
{
	peer_make_done(&done_frame, job_frame.h.id, done, NULL, 0);
	peer_put(fd, &done_frame);
}

bool __real_remote_link_open(struct remote_link *link,
			     const struct remote_address *addr,
			     const struct remote_times *times,
			     uint64_t deadline, int stop_fd,
			     char reason[VGPU_ENGINE_WHY]);
bool __wrap_remote_link_open(struct remote_link *link,
			     const struct remote_address *addr,
			     const struct remote_times *times,
			     uint64_t deadline, int stop_fd,
			     char reason[VGPU_ENGINE_WHY]);

/* On the engine's own thread nothing is opened for the first time. */
bool __wrap_remote_link_open(struct remote_link *link,
			     const struct remote_address *addr,
			     const struct remote_times *times,
			     uint64_t deadline, int stop_fd,
			     char reason[VGPU_ENGINE_WHY])
{
	return __real_remote_link_open(link, addr, opening ? &patient : times,
				       deadline, stop_fd, reason);
}

struct vgpu_engine *open_quick(const struct remote_times *times)
{
	struct vgpu_engine *eng;

	why[0] = '\0';
	opening = true;
	eng = remote_open(address, times, why);
	opening = false;
	if (!eng)
		fail_msg("%s", why);
	return eng;
}

void expect_refused(const struct remote_times *times, const char *text)
{
	why[0] = '\0';
	assert_null(remote_open(address, times, why));
	if (!strstr(why, text) || !strstr(why, address))
		fail_msg("the reason is \"%s\", not \"%s\"", why, text);
}

void add_make(struct add *add, struct vgpu_engine_stream *stream,
	      uint32_t count)
{
	struct vgpu_job *job = &add->t.job;

	memset(add, 0, sizeof(*add));
	add->count = count;
	add->a = malloc(count * 4);
	add->b = malloc(count * 4);
	for (uint32_t i = 0; i < count; i++) {
		add->a[i] = (float)(i % 4099);
		add->b[i] = (float)(i % 555) + 0.5f;
	}
	job->stream = stream;
	job->op = VGPU_OP_BUILTIN;
	job->kernel = VGPU_KERNEL_VECTOR_ADD;
	job->owner = &add->t;
	for (int i = 0; i < VGPU_ENGINE_OPERANDS; i++) {
		job->operand[i].host = i == 1 ? add->b : add->a;
		job->operand[i].count = count;
	}
}

void add_check(struct add *add, uint16_t status)
{
	assert_int_equal(add->t.times_reaped, 1);
	assert_int_equal(add->t.job.status, status);
	for (uint32_t i = 0; status == VGPU_RSP_OK && i < add->count; i++)
		if (add->a[i] != (float)(i % 4099) + add->b[i])
			fail_msg("element %u is %f", i, (double)add->a[i]);
	free(add->a);
	free(add->b);
}

void reap(struct vgpu_engine *eng, unsigned int count)
{
	struct pollfd pfd = {.fd = vgpu_engine_fd(eng), .events = POLLIN};

	while (count) {
		struct vgpu_job *job;

		if (vgpu_engine_arm(eng) && poll(&pfd, 1, PEER_MS) != 1)
			fail_msg("the engine hangs: %u jobs are left", count);
		for (job = vgpu_engine_reap(eng); job; job = job->next) {
			((struct tried *)job->owner)->times_reaped++;
			assert_true(count-- > 0);
		}
	}
	assert_null(vgpu_engine_reap(eng));
}

uint16_t run_one(struct vgpu_engine *eng, struct tried *t)
{
	t->job.owner = t;
	t->times_reaped = 0;
	vgpu_engine_submit(eng, &t->job);
	reap(eng, 1);
	return t->job.status;
}

void submit_all(struct vgpu_engine *eng, struct vgpu_engine_stream *s[3],
		struct add add[JOBS])
{
	static const uint32_t counts[] = {1, 1000, 32768, 32769, 200001};

	for (int i = 0; i < 3; i++)
		s[i] = vgpu_engine_stream_create(eng);
	for (int i = 0; i < JOBS; i++) {
		add_make(&add[i], s[i % 3], counts[i % 5]);
		vgpu_engine_submit(eng, &add[i].t.job);
	}
}

void expect_all_right(void)
{
	struct vgpu_engine *eng = open_quick(&patient);
	struct vgpu_engine_stream *s[3];
	struct add add[JOBS];

	submit_all(eng, s, add);
	reap(eng, JOBS);
	for (int i = 0; i < JOBS; i++)
		add_check(&add[i], VGPU_RSP_OK);
	for (int i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(eng, s[i]);
	vgpu_engine_close(eng);
}

void expect_add(uint32_t count, uint16_t status)
{
	struct vgpu_engine *eng = open_quick(&patient);
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(eng);
	struct add add;

	add_make(&add, s, count);
	run_one(eng, &add.t);
	add_check(&add, status);
	vgpu_engine_stream_destroy(eng, s);
	vgpu_engine_close(eng);
}

int run_remote_tests(const struct CMUnitTest *tests, size_t count)
{
	int failed;

	signal(SIGPIPE, SIG_IGN);
	/* That a connection broke is what is tested, and no news. */
	log_set_level(LOG_ERROR);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	failed = _cmocka_run_group_tests("remote", tests, count, NULL, NULL);
	rmdir(dir);
	return failed;
}
