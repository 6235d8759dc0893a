// SPDX-License-Identifier: MIT
/*
 * trace.c - counts system calls (see trace.h)
 */
#include "trace.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/ptrace.h>
#include <unistd.h>

enum { STARTING, WATCHING, REFUSED };

/* Shared by both; what the watcher alone writes comes first. */
struct trace {
	struct trace_counts counts;
	uint32_t state;
	pid_t self;
	pid_t watcher;
};

static void count(struct trace *t, pid_t tid, bool self)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(info), &info) <=
		    0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (self) {
		__atomic_add_fetch(&t->counts.self, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_add_fetch(&t->counts.other, 1, __ATOMIC_RELAXED);
	if (info.entry.nr < TRACE_CALLS)
		__atomic_add_fetch(&t->counts.by[info.entry.nr], 1,
				   __ATOMIC_RELAXED);
}

/* Runs until killed: whoever is watched then goes on by itself. */
static _Noreturn void watch(struct trace *t)
{
	int status;
	pid_t tid;

	for (;;) {
		int sig = 0;

		tid = waitpid(-1, &status, __WALL);
		if (tid < 0)
			_exit(0);
		if (!WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			count(t, tid, tid == t->self);
		else if (status >> 16 == 0)
			sig = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)sig);
	}
}

static bool seize(pid_t tid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
	int status;

	return !ptrace(PTRACE_SEIZE, tid, NULL, (void *)options) &&
	       !ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) &&
	       waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) &&
	       !ptrace(PTRACE_SYSCALL, tid, NULL, NULL);
}

static bool seize_all(pid_t pid)
{
	char path[64];
	struct dirent *e;
	bool ok = true;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (ok && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			ok = seize(atoi(e->d_name));
	closedir(dir);
	return ok;
}

static _Noreturn void watcher(struct trace *t, pid_t other)
{
	bool ok;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ok = seize_all(other) && seize_all(t->self);
	__atomic_store_n(&t->state, ok ? WATCHING : REFUSED, __ATOMIC_RELEASE);
	if (!ok)
		_exit(0);
	watch(t);
}

struct trace *trace_begin(pid_t other)
{
	struct trace *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t state;
	pid_t pid;

	if (t == MAP_FAILED)
		return NULL;
	t->self = getpid();
	/* Where Yama guards processes, a child needs our leave. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	fflush(NULL);
	pid = fork();
	if (!pid)
		watcher(t, other);
	if (pid < 0) {
		munmap(t, sizeof(*t));
		return NULL;
	}
	/* By the parent alone: the child's view of it is 0. */
	t->watcher = pid;
	/* No system call is cut short by it. */
	while ((state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE)) ==
	       STARTING)
		;
	if (state == WATCHING)
		return t;
	trace_end(t);
	return NULL;
}

void trace_read(const struct trace *t, struct trace_counts *out)
{
	memcpy(out, &t->counts, sizeof(*out));
}

void trace_end(struct trace *t)
{
	kill(t->watcher, SIGKILL);
	while (waitpid(t->watcher, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(t, sizeof(*t));
}

static const char *call_name(unsigned int nr)
{
	static const struct {
		unsigned int nr;
		const char *name;
	} names[] = {
		{SYS_read, "read"},
		{SYS_write, "write"},
		{SYS_poll, "poll"},
		{SYS_ppoll, "ppoll"},
		{SYS_ioctl, "ioctl"},
		{SYS_futex, "futex"},
		{SYS_recvfrom, "recvfrom"},
		{SYS_sendto, "sendto"},
		{SYS_mmap, "mmap"},
		{SYS_munmap, "munmap"},
		{SYS_sched_yield, "sched_yield"},
		{SYS_clock_gettime, "clock_gettime"},
		{SYS_restart_syscall, "restart_syscall"},
		{SYS_nanosleep, "nanosleep"},
		{SYS_clock_nanosleep, "clock_nanosleep"},
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].nr == nr)
			return names[i].name;
	return NULL;
}

void trace_names(const struct trace_counts *from, const struct trace_counts *to,
		 char *text, size_t size)
{
	uint64_t left[TRACE_CALLS];
	size_t len = 0;

	*text = '\0';
	for (unsigned int i = 0; i < TRACE_CALLS; i++)
		left[i] = to->by[i] - from->by[i];
	while (len < size - 1) {
		unsigned int most = 0;
		char number[24];
		const char *name;

		for (unsigned int i = 1; i < TRACE_CALLS; i++)
			if (left[i] > left[most])
				most = i;
		if (!left[most])
			return;
		name = call_name(most);
		snprintf(number, sizeof(number), "call %u:", most);
		len += snprintf(text + len, size - len, "%s%s %llu",
				len ? ", " : "", name ? name : number,
				(unsigned long long)left[most]);
		left[most] = 0;
	}
}

static uint64_t sleeps_of(const char *path)
{
	static const char key[] = "\nvoluntary_ctxt_switches:";
	char text[4096];
	size_t n;
	char *at;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strstr(text, key);
	return at ? strtoull(at + sizeof(key) - 1, NULL, 10) : 0;
}

uint64_t trace_sleeps(pid_t pid)
{
	char path[320];
	struct dirent *e;
	uint64_t sum = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.32s/status", pid,
			 e->d_name);
		sum += sleeps_of(path);
	}
	if (dir)
		closedir(dir);
	return sum;
}
