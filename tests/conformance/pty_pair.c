// SPDX-License-Identifier: MIT
/*
 * pty_pair.c - two character devices with a wire between them, for tests
 *
 * One process, one thread. Makes two pseudo-terminals, prints their paths in
 * one line, and carries octets from either to the other until its standard
 * input ends. Leaves their modes alone: whoever opens them has to set what it
 * needs. Keeps both open, so that one who closes is noticed by nobody, as on a
 * serial line.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct way {
	int from, to;
	size_t len, at;
	char buf[65536];
};

static int make_pty(char name[64])
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, 64) ||
	    open(name, O_RDWR | O_NOCTTY) < 0) {
		perror("pty_pair");
		exit(1);
	}
	return fd;
}

static void carry(struct way *w)
{
	ssize_t n;

	if (w->at == w->len) {
		n = read(w->from, w->buf, sizeof(w->buf));
		w->at = 0;
		w->len = n > 0 ? (size_t)n : 0;
	}
	if (w->at == w->len)
		return;
	n = write(w->to, w->buf + w->at, w->len - w->at);
	if (n > 0)
		w->at += (size_t)n;
}

int main(void)
{
	static struct way way[2];
	char name[2][64];
	int fd[2];

	fd[0] = make_pty(name[0]);
	fd[1] = make_pty(name[1]);
	way[0].from = way[1].to = fd[0];
	way[1].from = way[0].to = fd[1];
	printf("%s %s\n", name[0], name[1]);
	fflush(stdout);
	for (;;) {
		struct pollfd pfd[3] = {
			{ .fd = fd[0] }, { .fd = fd[1] },
			{ .fd = STDIN_FILENO, .events = POLLIN },
		};
		char end[64];

		for (int i = 0; i < 2; i++) {
			bool full = way[i].at < way[i].len;

			pfd[i].events |= full ? 0 : POLLIN;
			pfd[!i].events |= full ? POLLOUT : 0;
		}
		if (poll(pfd, 3, -1) < 0)
			return 1;
		if (pfd[2].revents && read(STDIN_FILENO, end, sizeof(end)) <= 0)
			return 0;
		carry(&way[0]);
		carry(&way[1]);
	}
}
