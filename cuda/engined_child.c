// SPDX-License-Identifier: MIT
/*
 * engined_child.c - vgpu-engined starts itself again (see engined.h)
 *
 * The parent has one thread and no engine, so it may fork; the child becomes a
 * fresh program at once and has nothing of the parent but stderr and one
 * descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../backend/log.h"
#include "engined.h"

static const char *level_name(void)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	return names[log_get_level()];
}

static _Noreturn void become(char *const argv[], int fd, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	/* Nobody is to serve on when the parent was killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (fd == ENGINED_FD)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, ENGINED_FD);
	close_range(ENGINED_FD + 1, ~0u, 0);
	execv("/proc/self/exe", argv);
	_exit(127);
}

pid_t engined_spawn(const struct engined_options *opt, const char *mode,
		    const char *client, int fd)
{
	char gpu[16];
	char *argv[] = {
		"vgpu-engined", (char *)mode, (char *)client,
		"--engine", (char *)opt->engine, "--gpu", gpu,
		"--log-level", (char *)level_name(), NULL,
	};
	pid_t parent = getpid();
	pid_t pid;

	snprintf(gpu, sizeof(gpu), "%u", opt->gpu);
	pid = fork();
	if (pid == 0)
		become(argv, fd, parent);
	return pid;
}
