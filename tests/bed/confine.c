// SPDX-License-Identifier: MIT
/*
 * confine: runs a command under a time limit and leaves nothing of it behind.
 *
 * Runs in dom0, once around every test. It is the subreaper of all that the
 * command starts, daemons included, and kills what is left when the command
 * ends. At the limit the command's process group gets SIGTERM, so that a test
 * can still report and clean up; after the grace time all of it is killed.
 * It must never end before the last of its descendants did.
 *
 *   confine [-l] SECONDS GRACE COMMAND ARG...
 *
 * With -l what the command left running may stay, if it ended in time. Ends
 * with the command's status or 128 + signal, after the limit always with 124.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * Kills our children until there are none; what they leave behind becomes
 * ours, since we are the subreaper.
 */
static void kill_all(void)
{
	for (;;) {
		FILE *f = fopen("/proc/thread-self/children", "re");
		int pid, n = 0;

		while (f && fscanf(f, "%d", &pid) == 1) {
			kill(pid, SIGKILL);
			n++;
		}
		if (f)
			fclose(f);
		if (!n || waitpid(-1, NULL, 0) < 0)
			return;
	}
}

/* Waits for the child up to the given time; reaps strangers on the way. */
static int wait_child(pid_t child, const sigset_t *set, long seconds, int *status)
{
	struct timespec now, end, left;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	for (;;) {
		while ((pid = waitpid(-1, status, WNOHANG)) > 0)
			if (pid == child)
				return 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left.tv_sec = end.tv_sec - now.tv_sec;
		left.tv_nsec = 0;
		if (left.tv_sec <= 0)
			return -1;
		sigtimedwait(set, NULL, &left);
	}
}

int main(int argc, char **argv)
{
	bool leave = argc > 1 && !strcmp(argv[1], "-l");
	long seconds, grace;
	sigset_t set;
	pid_t child;
	int status;

	argv += leave;
	argc -= leave;
	if (argc < 4 || (seconds = strtol(argv[1], NULL, 10)) <= 0 ||
	    (grace = strtol(argv[2], NULL, 10)) <= 0) {
		fputs("usage: confine [-l] SECONDS GRACE COMMAND ARG...\n", stderr);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		setsid();
		execvp(argv[3], argv + 3);
		perror(argv[3]);
		_exit(127);
	}
	if (child < 0) {
		perror("confine: fork");
		return 2;
	}
	if (wait_child(child, &set, seconds, &status)) {
		kill(-child, SIGTERM);
		wait_child(child, &set, grace, &status);
		kill_all();
		return 124;
	}
	if (!leave)
		kill_all();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
