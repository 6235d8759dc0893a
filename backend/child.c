// SPDX-License-Identifier: MIT
/*
 * child.c - starts vgpu-worker (see child.h)
 *
 * libxenstore has a thread of its own, so between fork and exec only
 * async-signal-safe calls are made.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto.h"

/*
 * Where vgpu-worker is: in the build tree it lies beside our directory, once
 * installed in LIBEXECDIR.
 */
static const char *worker_path(void)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	for (int up = 0; up < 2 && n > 0; up++) {
		path[n] = '\0';
		n = strrchr(path, '/') ? strrchr(path, '/') - path : 0;
	}
	if (n > 0) {
		strcpy(path + n, "/libexec/vgpu-worker");
		if (!access(path, X_OK))
			return path;
	}
	return LIBEXECDIR "/vgpu-worker";
}

/*
 * In the child: theirs becomes descriptor target, what lies above is closed. What
 * a guest's kernel prints goes nowhere: CUDA writes it to standard output.
 */
static _Noreturn void become(const char *path, char *const argv[], int theirs,
			     int target)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (theirs == target)
		fcntl(theirs, F_SETFD, 0);
	else
		dup2(theirs, target);
	close_range(target < 3 ? 3 : target + 1, ~0u, 0);
	execv(path, argv);
	_exit(127);
}

static bool spawn(struct child *c, char *const argv[], int fds[2], int target)
{
	const char *path = worker_path();
	int err;

	c->pid = fork();
	if (c->pid == 0)
		become(path, argv, fds[1], target);
	err = errno;
	close(fds[1]);
	if (c->pid < 0) {
		close(fds[0]);
		*c = CHILD_NONE;
		errno = err;
		return false;
	}
	c->fd = fds[0];
	return true;
}

bool child_spawn_worker(struct child *c)
{
	char *argv[] = {"vgpu-worker", NULL};
	int fds[2];

	*c = CHILD_NONE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return false;
	return spawn(c, argv, fds, WORKER_FD);
}

bool child_spawn_probe(struct child *c, const char *engine, unsigned int gpu)
{
	char engine_arg[WORKER_ENGINE_NAME], gpu_arg[16];
	char *argv[] = {"vgpu-worker", "--probe", "--engine", engine_arg,
			"--gpu",       gpu_arg,	  NULL};
	int fds[2];

	*c = CHILD_NONE;
	snprintf(engine_arg, sizeof(engine_arg), "%s", engine);
	snprintf(gpu_arg, sizeof(gpu_arg), "%u", gpu);
	if (pipe2(fds, O_CLOEXEC))
		return false;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return spawn(c, argv, fds, STDOUT_FILENO);
}

void child_kill(const struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

void child_forget(struct child *c)
{
	if (c->fd >= 0)
		close(c->fd);
	*c = CHILD_NONE;
}

void child_describe(int status, char *buf, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(buf, size, "signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
}
