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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lease.h"
#include "proto.h"

#define MPS_NAME "CUDA_MPS_PIPE_DIRECTORY="
#define NO_MPS "/dev/null/no-mps"
#define MPS_VARIABLE (sizeof(MPS_NAME) + CHILD_MAX_MPS)

/* The socket, and struct arbiter_fds in the order of its members. */
#define GIVEN_MAX 4
/* Behind all that a child has. */
#define GIVEN_ASIDE 64

_Static_assert(LEASE_FD == WORKER_FD + 1 && LEASE_KICK_FD == WORKER_FD + 2 &&
		       LEASE_WAKE_FD == WORKER_FD + 3,
	       "one behind the other");

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
 * Our environment, with the MPS daemon that this child is to use. NULL: none, by a
 * path at which nothing can be: without the variable CUDA would look for one in
 * the usual place. To be freed; the strings are ours and mps's.
 */
static char **environment(char mps[MPS_VARIABLE])
{
	const size_t name = strlen(MPS_NAME);
	char **env, **to;
	size_t n = 0;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	to = env;
	for (char **from = environ; *from; from++)
		if (strncmp(*from, MPS_NAME, name))
			*to++ = *from;
	*to = mps;
	return env;
}

/*
 * What a child gets: descriptors fd[0] ... fd[n - 1] of ours become target and
 * those behind it.
 */
struct given {
	const int *fd;
	unsigned int n;
	int target;
};

/*
 * In the child: what lies above its descriptors is closed. What a guest's kernel
 * prints goes nowhere: CUDA writes it to standard output.
 */
static _Noreturn void become(const char *path, char *const argv[],
			     char *const env[], const struct given *gets)
{
	int end = gets->target + (int)gets->n;
	int null = open("/dev/null", O_RDWR);
	int aside[GIVEN_MAX];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Away from the targets, which may be each other's sources. */
	for (unsigned int i = 0; i < gets->n; i++)
		aside[i] = fcntl(gets->fd[i], F_DUPFD, GIVEN_ASIDE);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	for (unsigned int i = 0; i < gets->n; i++)
		if (dup2(aside[i], gets->target + (int)i) < 0)
			_exit(127);
	close_range(end < 3 ? 3 : end, ~0u, 0);
	execve(path, argv, env);
	_exit(127);
}

/* fds: a pair, of which the child gets the second, before what else it gets. */
static bool spawn(struct child *c, char *const argv[], const char *mps,
		  const struct given *gets, const int fds[2])
{
	char variable[MPS_VARIABLE];
	const char *path = worker_path();
	char **env;
	int err;

	snprintf(variable, sizeof(variable), MPS_NAME "%s", mps ? mps : NO_MPS);
	env = environment(variable);
	c->pid = env ? fork() : -1;
	if (c->pid == 0)
		become(path, argv, env, gets);
	err = errno;
	free(env);
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

bool child_spawn_worker(struct child *c, const struct arbiter_fds *lease,
			const char *mps)
{
	char *argv[] = {"vgpu-worker", NULL};
	int fds[2];

	*c = CHILD_NONE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return false;

	const int gets[GIVEN_MAX] = {fds[1], lease->lease, lease->kick,
				     lease->wake};

	return spawn(c, argv, mps, &(struct given){gets, GIVEN_MAX, WORKER_FD},
		     fds);
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
	return spawn(c, argv, NULL, &(struct given){&fds[1], 1, STDOUT_FILENO},
		     fds);
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
