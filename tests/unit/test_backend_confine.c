// SPDX-License-Identifier: MIT
/*
 * test_backend_confine.c - what a filtered worker can and cannot do
 *
 * Every case is a child that puts itself behind the filter and then tries one
 * thing. It ends with 0 where that went as it should, or is killed for it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "confine.h"

/* The status that a child ends with. */
static int confined(bool (*tries)(void), int family)
{
	pid_t pid = fork();
	char why[256];
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(!confine_syscalls(family, why, sizeof(why)) ? 2 :
		      tries()					  ? 0 :
								    1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void allowed(bool (*tries)(void))
{
	assert_int_equal(confined(tries, AF_UNSPEC), 0);
}

static void deadly(bool (*tries)(void))
{
	int status = confined(tries, AF_UNSPEC);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static bool refused(long rc)
{
	return rc == -1 && errno == EPERM;
}

static bool tries_signals(void)
{
	siginfo_t si = {.si_code = SI_QUEUE};
	pid_t other = getppid();

	return refused(kill(other, 0)) && refused(kill(-1, 0)) &&
	       refused(kill(0, 0)) &&
	       refused(syscall(SYS_tgkill, other, other, 0)) &&
	       refused(syscall(SYS_tkill, other, 0)) &&
	       refused(syscall(SYS_rt_sigqueueinfo, other, SIGCONT, &si)) &&
	       refused(syscall(SYS_rt_tgsigqueueinfo, other, other, SIGCONT,
			       &si)) &&
	       refused(syscall(SYS_pidfd_send_signal, -1, SIGCONT, NULL, 0));
}

static bool tries_limits(void)
{
	const struct rlimit limit = {1, 1};

	return refused(prlimit(getppid(), RLIMIT_CPU, &limit, NULL));
}

static bool tries_sockets(void)
{
	return refused(socket(AF_UNIX, SOCK_STREAM, 0));
}

/* An engine elsewhere: a way out, and no way in. */
static bool tries_to_connect(void)
{
	const struct sockaddr_un to = {.sun_family = AF_UNIX,
				       .sun_path = "/nowhere/at/all"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd >= 0 &&
	       connect(fd, (const struct sockaddr *)&to, sizeof(to)) == -1 &&
	       errno == ENOENT &&
	       refused(bind(fd, (const struct sockaddr *)&to, sizeof(to))) &&
	       refused(listen(fd, 1)) && refused(accept(fd, NULL, NULL)) &&
	       refused(socket(AF_INET, SOCK_STREAM, 0)) &&
	       refused(socket(AF_NETLINK, SOCK_RAW, 0));
}

static bool tries_execve(void)
{
	return execl("/bin/true", "true", NULL);
}

static bool tries_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static bool tries_clone(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

static bool tries_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS;
}

static void *thread(void *arg)
{
	return arg;
}

/* What engines and libraries do all day. */
static bool tries_honest_work(void)
{
	struct rlimit limit;
	pthread_t t;
	void *ret;

	return !pthread_create(&t, NULL, thread, &limit) &&
	       !pthread_join(t, &ret) && ret == &limit &&
	       !getrlimit(RLIMIT_NOFILE, &limit) &&
	       !setrlimit(RLIMIT_NOFILE, &limit) && !kill(getpid(), 0) &&
	       !raise(0);
}

static bool tries_abort(void)
{
	abort();
}

static void others_are_out_of_reach(void **state)
{
	(void)state;
	allowed(tries_signals);
	allowed(tries_limits);
	allowed(tries_sockets);
}

static void remote_engine_is_within_reach(void **state)
{
	(void)state;
	assert_int_equal(confined(tries_to_connect, AF_UNIX), 0);
	assert_int_equal(confined(tries_signals, AF_UNIX), 0);
}

static void what_is_deadly(void **state)
{
	(void)state;
	deadly(tries_execve);
	deadly(tries_unshare);
	deadly(tries_clone);
	allowed(tries_clone3);
}

static void honest_work_goes_on(void **state)
{
	int status;

	(void)state;
	allowed(tries_honest_work);
	/* A crash of the engine ends as one. */
	status = confined(tries_abort, AF_UNSPEC);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_are_out_of_reach),
		cmocka_unit_test(remote_engine_is_within_reach),
		cmocka_unit_test(what_is_deadly),
		cmocka_unit_test(honest_work_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
