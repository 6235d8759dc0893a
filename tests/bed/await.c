// SPDX-License-Identifier: MIT
/*
 * await: waits for an event in dom0, so that no test has to sleep.
 *
 * Runs in dom0, called by the bed's test library. It sleeps on xenstore's
 * watches or on inotify, never in a polling loop, never past its time limit.
 *
 *   await SECONDS xs PATH REGEX     the node exists and its value matches
 *   await SECONDS gone PATH         the node does not exist
 *   await SECONDS file PATH REGEX   a line of the file matches
 *
 * Ends with 0, prints the value or line; or with 1 and what is there instead.
 */
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>
#include <xenstore.h>

static struct xs_handle *xs;
static regex_t re;
static char *last; /* value or line seen last, for the report */

static void fail(const char *what)
{
	fprintf(stderr, "await: %s: %s\n", what, strerror(errno));
	exit(2);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool node_matches(const char *path)
{
	free(last);
	last = xs_read(xs, XBT_NULL, path, NULL);
	return last && !regexec(&re, last, 0, NULL, 0);
}

static bool node_gone(const char *path)
{
	free(last);
	last = xs_read(xs, XBT_NULL, path, NULL);
	return !last && errno == ENOENT;
}

static bool file_matches(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t size = 0;
	bool found = false;

	if (!f)
		return false;
	while (!found && getline(&last, &size, f) > 0) {
		last[strcspn(last, "\r\n")] = '\0';
		found = !regexec(&re, last, 0, NULL, 0);
	}
	fclose(f);
	return found;
}

int main(int argc, char **argv)
{
	bool (*reached)(const char *path) = NULL;
	struct pollfd p = { .events = POLLIN };
	const char *path;
	char *end;
	long deadline;

	if (argc == 5 && !strcmp(argv[2], "xs"))
		reached = node_matches;
	else if (argc == 4 && !strcmp(argv[2], "gone"))
		reached = node_gone;
	else if (argc == 5 && !strcmp(argv[2], "file"))
		reached = file_matches;
	if (!reached) {
		fputs("usage: await SECONDS xs PATH REGEX | gone PATH | file PATH REGEX\n", stderr);
		return 2;
	}
	deadline = now_ms() + strtol(argv[1], &end, 10) * 1000;
	path = argv[3];
	if (*end || (argc == 5 && regcomp(&re, argv[4], REG_EXTENDED | REG_NOSUB))) {
		fputs("await: SECONDS or REGEX cannot be read\n", stderr);
		return 2;
	}
	if (reached == file_matches) {
		char *copy = strdup(path);

		p.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (!copy || p.fd < 0 ||
		    inotify_add_watch(p.fd, dirname(copy), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
			fail(path);
		free(copy);
	} else {
		xs = xs_open(0);
		if (!xs || !xs_watch(xs, path, "await"))
			fail("xenstore");
		p.fd = xs_fileno(xs);
	}
	while (!reached(path)) {
		long left = deadline - now_ms();
		char ev[4096];

		if (left <= 0) {
			fprintf(stderr, "await: %s after %s s: %s\n", path, argv[1],
				last ? last : "not there");
			return 1;
		}
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		if (xs)
			free(xs_check_watch(xs));
		else
			while (read(p.fd, ev, sizeof(ev)) > 0)
				;
	}
	if (last)
		puts(last);
	return 0;
}
