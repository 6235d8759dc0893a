// SPDX-License-Identifier: MIT
/*
 * engined_child.c - vgpu-engined starts itself again (see engined.h)
 *
 * The parent has one thread and no engine, so it may fork; the child becomes a
 * fresh program at once and has nothing of the parent but stderr and one
 * descriptor, or two.
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

/* Out of the way of the numbers that the child knows. */
static int aside(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ENGINED_SILENT_FD + 1);
}

static _Noreturn void become(char *const argv[], int fd, int silent_fd,
			     pid_t parent)
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
	fd = aside(fd);
	silent_fd = aside(silent_fd);
	close_range(ENGINED_FD, ENGINED_SILENT_FD, 0);
	dup2(fd, ENGINED_FD);
	if (silent_fd >= 0)
		dup2(silent_fd, ENGINED_SILENT_FD);
	close_range(ENGINED_SILENT_FD + 1, ~0u, 0);
	execv("/proc/self/exe", argv);
	_exit(127);
}

pid_t engined_spawn(const struct engined_options *opt, const char *mode,
		    const char *client, int fd, int silent_fd)
{
	char gpu[16], max_launch[16];
	char *argv[] = {
		"vgpu-engined", (char *)mode, (char *)client,
		"--engine", (char *)opt->engine, "--gpu", gpu,
		"--max-launch-ms", max_launch,
		"--log-level", (char *)level_name(), NULL,
	};
	pid_t parent = getpid();
	pid_t pid;

	snprintf(gpu, sizeof(gpu), "%u", opt->gpu);
	snprintf(max_launch, sizeof(max_launch), "%u", opt->max_launch_ms);
	pid = fork();
	if (pid == 0)
		become(argv, fd, silent_fd, parent);
	return pid;
}
