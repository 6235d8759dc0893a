// SPDX-License-Identifier: MIT
/*
 * lib_abuse_quiet.c - quiet requests: what is refused, failures, batches, more
 * of them than ring and arena hold, and files that close; part of lib_abuse
 *
 * An EVENT_WAIT for an event that nobody recorded succeeds on any engine; a
 * LAUNCH of a function that is none fails on any.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_abuse.h"

#define STATUS "/sys/kernel/debug/vgpufront/0/status"
#define BATCH 64
#define ADDS 16
#define PATIENCE_MS 150000
#define FLOOD 4096
#define LAUNCHES 512
#define STREAMS 4
#define ELEMENTS (1u << 18)

static struct vgpufront_sqe quiet(uint8_t op, uint16_t stream)
{
	struct vgpufront_sqe sqe = request(99, op);

	sqe.flags = VGPUFRONT_SQE_QUIET;
	sqe.stream = stream;
	return sqe;
}

static struct vgpufront_sqe quiet_wait(uint16_t stream)
{
	struct vgpufront_sqe sqe = quiet(VGPUFRONT_OP_EVENT_WAIT, stream);

	sqe.handle.handle = 1;
	return sqe;
}

static struct vgpufront_sqe quiet_launch(uint16_t stream)
{
	static unsigned char args[VGPUFRONT_MAX_ARGS];
	static struct vgpufront_reloc relocs[VGPUFRONT_MAX_RELOCS];
	struct vgpufront_sqe sqe = quiet(VGPUFRONT_OP_LAUNCH, stream);

	for (unsigned int i = 0; i < VGPUFRONT_MAX_RELOCS; i++)
		relocs[i].handle = MEM(1);
	sqe.launch.function = 1;
	for (unsigned int i = 0; i < 3; i++)
		sqe.launch.grid[i] = sqe.launch.block[i] = 1;
	sqe.launch.args = (uintptr_t)args;
	sqe.launch.args_len = sizeof(args);
	sqe.launch.relocs = (uintptr_t)relocs;
	sqe.launch.nr_relocs = VGPUFRONT_MAX_RELOCS;
	return sqe;
}

static int fence(int fd, uint16_t stream, uint64_t *op)
{
	struct vgpufront_sqe sqe = request(1, VGPUFRONT_OP_FENCE);
	struct vgpufront_cqe cqe = {.value = 0};
	int err;

	sqe.stream = stream;
	err = one(fd, &sqe, &cqe);
	if (op)
		*op = cqe.value;
	return err;
}

static bool no_function(int err)
{
	return err == -ENOENT || err == -ENXIO;
}

/* One line of the device's status; 0 where it has none of that name. */
static unsigned long counter(const char *name)
{
	unsigned long value = 0, found;
	char line[128], key[64];
	FILE *f = fopen(STATUS, "r");

	if (!f)
		bail(STATUS);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %lu", key, &found) == 2 &&
		    !strcmp(key, name))
			value = found;
	fclose(f);
	return value;
}

/* Waits until it is 0. */
static bool settled(const char *name)
{
	for (unsigned int i = 0; i < PATIENCE_MS / 10 && counter(name); i++)
		usleep(10000);
	return !counter(name);
}

static void test_refused(int fd)
{
	static const uint8_t loud[] = {
		VGPUFRONT_OP_NOP, VGPUFRONT_OP_MODULE_LOAD,
		VGPUFRONT_OP_FUNCTION_GET, VGPUFRONT_OP_FENCE,
		VGPUFRONT_OP_STREAM_DESTROY};
	struct vgpufront_sqe sqe;
	unsigned int wrong = 0, i;

	for (i = 0; i < sizeof(loud); i++) {
		sqe = quiet(loud[i], 0);
		if (loud[i] == VGPUFRONT_OP_FUNCTION_GET)
			sqe.function_get.name_len = 1;
		wrong += one(fd, &sqe, NULL) != -EINVAL;
	}
	is((int)wrong, 0, "operations that can not be quiet: EINVAL");
	sqe = quiet(VGPUFRONT_OP_FILL, 0);
	sqe.fill.handle = 200;
	is(one(fd, &sqe, NULL), -ENOENT,
	   "a quiet request that is refused completes at once");
	sqe = quiet_launch(0);
	sqe.launch.args = KERNEL_ADDRESS;
	is(one(fd, &sqe, NULL), -EFAULT, "with a bad address, too");
	is(fence(fd, 0, NULL), 0, "and is no failure of its stream");
}

static void test_failure(int fd)
{
	struct vgpufront_sqe sqes[3] = {quiet_wait(1), quiet_launch(1),
					quiet(VGPUFRONT_OP_MEM_FREE, 1)};
	uint64_t op;

	sqes[2].handle.handle = MEM(555);
	is(submit(fd, sqes, 3), 3, "three quiet requests, of which two fail");
	is(fence(fd, 2, NULL), 0, "another stream's fence knows of none");
	ok(no_function(fence(fd, 1, &op)), "their stream's fence does");
	is((int)op, VGPUFRONT_OP_LAUNCH, "and tells which was the first");
	is(fence(fd, 1, &op), 0, "the next fence is good again");
	is((int)drain(fd), 0, "and none of them had a completion");
}

static void test_batch(int fd)
{
	unsigned long pushes, sent, puts, silent;
	struct vgpufront_sqe sqes[BATCH];

	for (unsigned int i = 0; i < BATCH; i++)
		sqes[i] = quiet_wait(0);
	is(fence(fd, 0, NULL), 0, "a fence");
	/* What is left of other files sends requests, too. */
	ok(settled("contexts_closing") && settled("buffers_closing"),
	   "after which nobody else uses the ring");
	sent = counter("notify_sent");
	pushes = sent + counter("notify_suppressed");
	puts = counter("requests");
	silent = counter("quiet");
	is(submit(fd, sqes, BATCH), BATCH, "a batch of quiet requests");
	is((int)(counter("requests") - puts), BATCH, "is that many requests");
	is((int)(counter("notify_sent") + counter("notify_suppressed") -
		 pushes),
	   1, "published at once");
	ok(counter("notify_sent") - sent <= 1, "with one event at most");
	ok(counter("quiet") - silent >= BATCH - 2,
	   "of which two have an answer in a ring of 128 slots");
	is(fence(fd, 0, NULL), 0, "all are done");
	is((int)counter("quiet"), (int)counter("retired"),
	   "and their slots are back");
	is((int)counter("arena_in_use"), 0, "and so is the arena");
}

/* Behind the long work's: a and b, and c, which is 0. */
static unsigned int quiet_fills(struct vgpufront_sqe *sqes, uint32_t handle)
{
	const float value[] = {1.5f, 2.25f, 0};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		sqes[i] = quiet(VGPUFRONT_OP_FILL, 0);
		sqes[i].fill.handle = handle;
		memcpy(&sqes[i].fill.pattern, &value[i], 4);
		sqes[i].fill.width = 4;
		sqes[i].fill.offset = LONG_OCTETS + (uint64_t)i * ELEMENTS * 4;
		sqes[i].fill.length = ELEMENTS * 4;
	}
	return i;
}

/* c = a + c */
static struct vgpufront_sqe quiet_add(uint32_t handle)
{
	struct vgpufront_sqe sqe = add(99, handle, handle, handle, ELEMENTS);

	sqe.flags = VGPUFRONT_SQE_QUIET;
	sqe.builtin.operand[0].offset = LONG_OCTETS;
	sqe.builtin.operand[1].offset = LONG_OCTETS + 2ull * ELEMENTS * 4;
	sqe.builtin.operand[2].offset = LONG_OCTETS + 2ull * ELEMENTS * 4;
	return sqe;
}

/* All of it quiet, the long work in the middle. */
static bool submit_held(int fd, uint32_t handle, unsigned int level)
{
	struct vgpufront_sqe sqes[3 + ADDS + LONG_WORK];
	unsigned int n = quiet_fills(sqes, handle), i;

	for (i = 0; i < LONG_WORK; i++, n++) {
		sqes[n] = long_work(99, handle, level);
		sqes[n].flags = VGPUFRONT_SQE_QUIET;
	}
	for (i = 0; i < ADDS; i++)
		sqes[n++] = quiet_add(handle);
	return submit(fd, sqes, n) == (int)n;
}

/* Buffers are held until quiet work on them is done. */
static void test_buffers_held(int fd)
{
	unsigned int level, wrong = 0, i;
	struct buffer buf;
	bool taken = true, fenced = true;
	int err = 0;
	float *v;

	for (level = 0; level < LONG_LEVELS && !err; level++) {
		buf = buffer_new(fd, LONG_OCTETS + 3 * ELEMENTS * 4);
		taken = submit_held(fd, buf.handle, level) && taken;
		err = buffer_free(fd, buf.handle);
		fenced = !fence(fd, 0, NULL) && fenced;
		v = (float *)buf.ptr + LONG_OCTETS / 4;
		for (i = 0; i < ELEMENTS; i++)
			wrong += v[2 * ELEMENTS + i] != ADDS * 1.5f ||
				 v[i] != 1.5f;
		if (!err)
			munmap(buf.ptr, buf.size);
	}
	ok(taken, "quiet work on a buffer");
	is(err, -EBUSY, "which is not freed under it");
	ok(fenced, "it is done at the fence");
	is((int)wrong, 0, "and right");
	if (err)
		buffer_end(fd, &buf);
}

/* True: all were taken, by calls that wait. */
static bool flood(int fd, struct vgpufront_sqe (*make)(uint16_t stream),
		  unsigned int total)
{
	struct vgpufront_sqe sqes[BATCH];
	unsigned int taken = 0, i;
	int n;

	for (i = 0; i < BATCH; i++)
		sqes[i] = make((uint16_t)(i % STREAMS));
	while (taken < total) {
		n = submit(fd, sqes, BATCH);
		if (n <= 0)
			return false;
		taken += (unsigned int)n;
	}
	return true;
}

static void test_flood(int fd)
{
	unsigned int i, wrong = 0;

	ok(flood(fd, quiet_wait, FLOOD), "%u quiet requests on %u streams",
	   FLOOD, STREAMS);
	for (i = 0; i < STREAMS; i++)
		wrong += fence(fd, (uint16_t)i, NULL) != 0;
	is((int)wrong, 0, "are done at their fences");
	ok(flood(fd, quiet_launch, LAUNCHES),
	   "%u launches with all the arguments there can be", LAUNCHES);
	for (i = 0; i < STREAMS; i++)
		wrong += !no_function(fence(fd, (uint16_t)i, NULL));
	is((int)wrong, 0, "fail at their fences");
	is((int)drain(fd), 0, "no completion came of any of them");
}

static void test_nonblock(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	struct vgpufront_sqe sqes[BATCH];
	unsigned int taken = 0, short_of = 0, stuck = 0, i;
	int n;

	for (i = 0; i < BATCH; i++)
		sqes[i] = quiet_launch(0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (taken < LAUNCHES && !stuck) {
		n = submit(fd, sqes, BATCH);
		if (n > 0)
			taken += (unsigned int)n;
		else if (n != -EAGAIN)
			break;
		if (n == BATCH)
			continue;
		short_of++;
		stuck += poll(&pfd, 1, PATIENCE_MS) != 1;
	}
	fcntl(fd, F_SETFL, 0);
	ok(taken >= LAUNCHES && short_of && !stuck,
	   "without blocking, poll tells when there is room again (%u times)",
	   short_of);
	ok(no_function(fence(fd, 0, NULL)), "and the fence waits for them");
}

/* ---- several threads, one of which wants answers ---- */

static void *flooder(void *arg)
{
	int fd = *(int *)arg;

	return flood(fd, quiet_launch, LAUNCHES) ? arg : NULL;
}

static void test_threads(int fd)
{
	unsigned int i, wrong = 0;
	pthread_t threads[3];
	void *good;

	for (i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, flooder, &fd))
			bail("thread");
	for (i = 0; i < 20; i++) {
		int other = open_device();
		struct vgpufront_sqe sqe = nop(i);

		wrong += one(other, &sqe, NULL) != 0;
		close(other);
	}
	is((int)wrong, 0, "beside threads that fill the arena others go on");
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &good);
		wrong += !good;
	}
	for (i = 0; i < STREAMS; i++)
		wrong += !no_function(fence(fd, (uint16_t)i, NULL));
	is((int)wrong, 0, "and these get all of theirs through");
}

/* ---- sudden ends ---- */

static void busy_then(bool die)
{
	int fd = open_device();
	struct buffer buf = buffer_new(fd, ELEMENTS * 4);
	struct vgpufront_sqe sqes[BATCH];

	for (unsigned int i = 0; i < BATCH; i++) {
		sqes[i] = i % 2 ? quiet_launch(0) :
				  add(i, buf.handle, buf.handle, buf.handle,
				      ELEMENTS);
		sqes[i].flags = VGPUFRONT_SQE_QUIET;
	}
	if (submit(fd, sqes, BATCH) != BATCH)
		_exit(1);
	if (die)
		raise(SIGKILL);
	munmap(buf.ptr, buf.size);
	close(fd);
}

static void test_sudden_end(int fd)
{
	uint32_t before = device_info(fd).nr_buffers;
	unsigned int i, killed = 0;
	int status;
	pid_t pid;

	for (i = 0; i < 4; i++)
		busy_then(false);
	for (i = 0; i < 4; i++) {
		pid = fork();
		if (!pid) {
			busy_then(true);
			_exit(1);
		}
		killed += waitpid(pid, &status, 0) == pid &&
			  WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	is((int)killed, 4, "processes killed with quiet work in flight");
	is((int)settled_buffers(fd, before), (int)before,
	   "nothing of them, or of files closed so, stays at the backend");
	ok(settled("contexts_closing"), "or in the module");
	is(fence(fd, 0, NULL), 0, "and nobody else is told of their failures");
}

int quiet_for_a_while(void)
{
	struct vgpufront_sqe sqes[10];
	int fd = open_device(), err = 0;
	unsigned int i;

	for (i = 0; i < 10; i++)
		sqes[i] = quiet_wait(0);
	for (i = 0; i < 20 && !err; i++) {
		if (submit(fd, sqes, 10) != 10)
			return 1;
		err = fence(fd, 0, NULL);
	}
	return err;
}

void test_quiet(void)
{
	int fd = open_device();

	test_refused(fd);
	test_failure(fd);
	test_batch(fd);
	test_buffers_held(fd);
	test_flood(fd);
	test_nonblock(fd);
	test_threads(fd);
	test_sudden_end(fd);
	is((int)counter("unmap_errors"), 0,
	   "no buffer was taken back while the backend used it");
	close(fd);
}
