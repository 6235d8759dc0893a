// SPDX-License-Identifier: MIT
/*
 * mps.c - starts and ends nvidia-cuda-mps-control (see mps.h)
 */
#include "mps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "nvidia-cuda-mps-control"
#define PIPES "CUDA_MPS_PIPE_DIRECTORY"
#define LOGS "CUDA_MPS_LOG_DIRECTORY"
/* Longer than it takes to start or to end. */
#define LIMIT_MS 10000

/* Not a directory, whatever anybody does. */
#define NOWHERE "/dev/null/mps"

static pid_t run(const struct mps *m, char *const argv[], int in, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		setenv(PIPES, m->dir, 1);
		setenv(LOGS, m->dir, 1);
		dup2(in < 0 ? null : in, STDIN_FILENO);
		dup2(out < 0 ? null : out, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(PROGRAM, argv);
		_exit(127);
	}
	close(null);
	return pid;
}

/* Its socket is there; false: it has ended, or does not come. */
static bool listens(struct mps *m, int *status)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/control", m->dir);
	for (int ms = 0; ms < LIMIT_MS; ms += 10) {
		if (waitpid(m->pid, status, WNOHANG) == m->pid) {
			m->pid = 0;
			return false;
		}
		if (!access(path, F_OK))
			return true;
		usleep(10000);
	}
	return false;
}

static void remove_dir(const struct mps *m)
{
	DIR *dir = opendir(m->dir);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(m->dir);
}

bool mps_begin(struct mps *m, char why[256])
{
	char *argv[] = {PROGRAM, "-f", NULL};
	int status = 0;

	memset(m, 0, sizeof(*m));
	strcpy(m->dir, "/tmp/vgpu-mps-XXXXXX");
	/* Workers may be another user. */
	if (!mkdtemp(m->dir) || chmod(m->dir, 0755)) {
		snprintf(why, 256, "%s: %s", m->dir, strerror(errno));
		return false;
	}
	m->pid = run(m, argv, -1, -1);
	if (m->pid > 0 && listens(m, &status))
		return true;
	snprintf(why, 256, "%s",
		 WIFEXITED(status) && WEXITSTATUS(status) == 127 ?
			 PROGRAM " is not installed" :
			 PROGRAM " does not start");
	mps_end(m);
	return false;
}

/* One command; what the daemon answers, cut to size. */
static void command(const struct mps *m, const char *line, char *out,
		    size_t size)
{
	char *argv[] = {PROGRAM, NULL};
	int in[2], answer[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	*out = '\0';
	if (pipe2(in, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
		return;
	pid = run(m, argv, in[0], answer[1]);
	close(in[0]);
	close(answer[1]);
	if (write(in[1], line, strlen(line)) < 0)
		perror(PROGRAM);
	close(in[1]);
	while (len < size - 1 &&
	       (n = read(answer[0], out + len, size - 1 - len)) > 0)
		len += n;
	out[len] = '\0';
	close(answer[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static bool lists(const char *text, pid_t pid)
{
	char *end;

	while (*text) {
		long n = strtol(text, &end, 10);

		if (n == pid && end != text)
			return true;
		text = end == text ? text + 1 : end;
	}
	return false;
}

bool mps_has_client(const struct mps *m, pid_t pid)
{
	char servers[256], line[64], clients[1024], *save = NULL, *server;

	command(m, "get_server_list\n", servers, sizeof(servers));
	for (server = strtok_r(servers, "\n", &save); server;
	     server = strtok_r(NULL, "\n", &save)) {
		snprintf(line, sizeof(line), "get_client_list %.32s\n", server);
		command(m, line, clients, sizeof(clients));
		if (lists(clients, pid))
			return true;
	}
	return false;
}

void mps_end(struct mps *m)
{
	char none[16];

	if (m->pid > 0) {
		/* It ends its server first. */
		command(m, "quit\n", none, sizeof(none));
		for (int ms = 0; !waitpid(m->pid, NULL, WNOHANG); ms += 10) {
			if (ms == LIMIT_MS)
				kill(m->pid, SIGKILL);
			usleep(10000);
		}
	}
	remove_dir(m);
	memset(m, 0, sizeof(*m));
}

void mps_join(const struct mps *m)
{
	setenv(PIPES, m->dir, 1);
}

void mps_never(void)
{
	setenv(PIPES, NOWHERE, 1);
}
