// SPDX-License-Identifier: MIT
/*
 * life.c - the descriptor, what an idle engine costs, its threads, and that open
 * and close leave nothing behind
 */
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

static bool readable(struct run *r, int timeout_ms)
{
	struct pollfd pfd = { .fd = vgpu_engine_fd(r->eng), .events = POLLIN };

	return poll(&pfd, 1, timeout_ms) == 1 && pfd.revents & POLLIN;
}

/* Waits until there is something to reap: armed, or because it is there. */
static bool await_job(struct run *r)
{
	return !vgpu_engine_arm(r->eng) || readable(r, 60000);
}

static void case_descriptor(struct run *r)
{
	enum { JOBS = 100 };
	struct vgpu_engine_stream *s = vgpu_engine_stream_create(r->eng);
	int fd = vgpu_engine_fd(r->eng);
	uint32_t a = 0x3f800000, c[JOBS];
	struct vgpu_job job[JOBS], *done, *last = NULL;
	int i, n = 0;

	CHECK(r, fcntl(fd, F_GETFD) & FD_CLOEXEC, "is inherited across exec");
	CHECK(r, !vgpu_engine_reap(r->eng), "a job out of nothing");
	CHECK(r, vgpu_engine_arm(r->eng), "not armed, before any job");
	CHECK(r, !readable(r, 0), "readable before any job");
	job_add(&job[0], s, &a, &a, &c[0], 1);
	vgpu_engine_submit(r->eng, &job[0]);
	CHECK(r, readable(r, 60000), "not readable after a job");
	CHECK(r, !vgpu_engine_arm(r->eng), "armed, with a job to reap");
	CHECK(r, readable(r, 0), "not readable any more, before the reap");
	CHECK(r, vgpu_engine_reap(r->eng) == &job[0], "the wrong job");
	CHECK(r, !readable(r, 0), "still readable after the reap");
	CHECK(r, !vgpu_engine_reap(r->eng), "the same job twice");

	/* Nobody asked for an announcement: the caller looks for itself. */
	vgpu_engine_submit(r->eng, &job[0]);
	while (!(done = vgpu_engine_reap(r->eng)))
		;
	CHECK(r, done == &job[0], "the wrong job");
	CHECK(r, !readable(r, 0), "readable without having been armed");

	/* Finished jobs pile up; each is there, oldest first. */
	for (i = 0; i < JOBS; i++) {
		job_add(&job[i], s, &a, &a, &c[i], 1);
		vgpu_engine_submit(r->eng, &job[i]);
	}
	while (n < JOBS && await_job(r)) {
		for (done = vgpu_engine_reap(r->eng); done; done = done->next) {
			CHECK(r, done == &job[n], "job %d in place of %d",
			      (int)(done - job), n);
			last = done;
			n++;
		}
	}
	CHECK(r, n == JOBS && last == &job[JOBS - 1], "%d jobs of %d", n, JOBS);
	CHECK(r, fd == vgpu_engine_fd(r->eng), "another descriptor than before");
	vgpu_engine_stream_destroy(r->eng, s);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void case_idle(struct run *r)
{
	uint64_t used = cpu_ns();

	CHECK(r, !readable(r, 300), "readable without a job");
	used = cpu_ns() - used;
	CHECK(r, used < 30000000, "%llu us of processor time in 300 ms of waiting",
	      (unsigned long long)used / 1000);
}

/*
 * Does thread `task` of this process block SIGTERM? One that was joined, and is
 * about to go, takes no signal either.
 */
static bool blocks_sigterm(const char *task)
{
	char path[300], line[256], what = 'X';
	unsigned long long mask = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &what);
		if (sscanf(line, "SigBlk: %llx", &mask) == 1)
			break;
	}
	if (f)
		fclose(f);
	return what == 'X' || what == 'Z' || mask >> (SIGTERM - 1) & 1;
}

/* A signal must find the program's thread, not one of the engine's. */
static void case_signals(struct run *r)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *task;
	unsigned int n = 0;
	char self[16];

	snprintf(self, sizeof(self), "%d", getpid());
	while (dir && (task = readdir(dir))) {
		if (task->d_name[0] == '.' || !strcmp(task->d_name, self))
			continue;
		n++;
		CHECK(r, blocks_sigterm(task->d_name),
		      "thread %s does not block SIGTERM", task->d_name);
	}
	if (dir)
		closedir(dir);
	CHECK(r, n, "no threads found");
	CHECK(r, !blocks_sigterm(self), "the program's own mask was changed");
}

static unsigned int entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static unsigned long vm_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!f || fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * ((unsigned long)sysconf(_SC_PAGESIZE) / 1024);
}

static void open_work_close(struct run *r)
{
	struct vgpu_engine_stream *s[3];
	uint32_t a[1000], c[1000];
	struct vgpu_job job;
	int i;

	memset(a, 0x3f, sizeof(a));
	open_engine(r);
	for (i = 0; i < 3; i++) {
		s[i] = vgpu_engine_stream_create(r->eng);
		job_add(&job, s[i], a, a, c, 1000);
		run_job(r, &job);
		check_sum(r, a, a, c, 1000);
	}
	for (i = 0; i < 3; i++)
		vgpu_engine_stream_destroy(r->eng, s[i]);
	vgpu_engine_close(r->eng);
}

static void case_open_close(struct run *r)
{
	struct vgpu_engine *outer = r->eng;
	unsigned int fds, tasks, after = 0;
	unsigned long vm, heap;
	time_t deadline;
	int i, rounds = r->quick ? 2 : 10;

	open_work_close(r);
	fds = entries("/proc/self/fd");
	tasks = entries("/proc/self/task");
	vm = vm_kib();
	heap = mallinfo2().uordblks / 1024;
	for (i = 0; i < rounds; i++)
		open_work_close(r);
	CHECK(r, entries("/proc/self/fd") == fds,
	      "%u descriptors, %u before", entries("/proc/self/fd"), fds);
	/* A joined thread leaves /proc a moment later. */
	deadline = time(NULL) + 60;
	do {
		sched_yield();
		after = entries("/proc/self/task");
	} while (after > tasks && time(NULL) < deadline);
	CHECK(r, after <= tasks, "%u threads, %u before", after, tasks);
	CHECK(r, mallinfo2().uordblks / 1024 <= heap + 256,
	      "%lu KiB of heap, %lu before",
	      (unsigned long)mallinfo2().uordblks / 1024, heap);
	CHECK(r, vm_kib() <= vm + 32768, "%lu KiB of memory, %lu before",
	      vm_kib(), vm);
	r->eng = outer;
}

const struct conformance_case life_cases[] = {
	{ "the descriptor", case_descriptor, ALWAYS },
	{ "idle without busy waiting", case_idle, ALWAYS },
	{ "signals are left to the program", case_signals, UNLESS_QUICK },
	{ "open and close leave nothing behind", case_open_close, ALWAYS },
	{ NULL, NULL, ALWAYS },
};
