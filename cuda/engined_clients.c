// SPDX-License-Identifier: MIT
/*
 * engined_clients.c - who has which place of vgpu-engined (see engined.h)
 *
 * Runs on the parent's one thread. A connection may say nothing for days: QEMU
 * holds one for each virtio-serial port, whether a client is behind it or not.
 * So silence alone is no reason to close it. But when all places are taken, the
 * connection that has been silent longest has to leave for the new one.
 *
 * Whether a client has spoken is its child's to know: the child closes a pipe
 * when it welcomes its first one. Must never read an octet of a client, nor
 * take the place of one that was welcomed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../backend/clock.h"
#include "../backend/log.h"
#include "engined.h"

/* Who is about to say HELLO must not have to leave for it. */
#define SILENT_MS	2000
/* Out of memory or descriptors: not at once again. */
#define WAIT_MS		100

/* A free place, or -1. */
static int find_free(const struct clients *clients)
{
	for (int i = 0; i < ENGINED_CLIENTS; i++)
		if (!clients->place[i].pid)
			return i;
	return -1;
}

static void close_pipe(struct clients *clients, int i)
{
	if (clients->place[i].silent)
		close(clients->place[i].silent_fd);
	clients->place[i].silent = false;
}

static bool is_silent(struct clients *clients, int i)
{
	struct pollfd pfd = { .fd = clients->place[i].silent_fd };

	if (clients->place[i].silent && poll(&pfd, 1, 0) == 1)
		close_pipe(clients, i);
	return clients->place[i].silent;
}

/* Ends the client that has been silent longest. Its place, or -1: there is none. */
static int evict(struct clients *clients)
{
	uint64_t since = clock_ms() - SILENT_MS;
	int oldest = -1;

	for (int i = 0; i < ENGINED_CLIENTS; i++) {
		if (clients->place[i].since >= since ||
		    !is_silent(clients, i))
			continue;
		since = clients->place[i].since;
		oldest = i;
	}
	if (oldest < 0)
		return -1;
	log_event(LOG_WARN, "evicted",
		  F_STR("client", clients->place[oldest].name),
		  F_STR("why", "it says nothing, and its place is needed"));
	/* It has no engine, and waits for its client: its end is there at once. */
	kill(clients->place[oldest].pid, SIGKILL);
	waitpid(clients->place[oldest].pid, NULL, 0);
	close_pipe(clients, oldest);
	clients->place[oldest].pid = 0;
	return oldest;
}

/* Too many: said in one frame, without a child. */
static void refuse(int fd, const char *name)
{
	struct {
		struct remote_header h;
		struct remote_refused r;
	} frame = {
		.h = { .magic = REMOTE_MAGIC, .type = REMOTE_REFUSED,
		       .length = sizeof(frame.r) },
		.r = { .reason = REMOTE_REASON_CLIENTS,
		       .version = REMOTE_VERSION },
	};

	snprintf(frame.r.text, sizeof(frame.r.text),
		 "%d clients are connected already, and no more are served",
		 ENGINED_CLIENTS);
	log_event(LOG_WARN, "refused", F_STR("client", name),
		  F_STR("why", frame.r.text));
	if (send(fd, &frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_event(LOG_DEBUG, "refused", F_STR("why", strerror(errno)));
}

static void start(struct clients *clients, int i,
		  const struct engined_options *opt, int fd, const char *name)
{
	int fds[2];
	pid_t pid = -1;

	if (!pipe2(fds, O_CLOEXEC)) {
		pid = engined_spawn(opt, "--serve", name, fd, fds[1]);
		close(fds[1]);
		if (pid < 0)
			close(fds[0]);
	}
	if (pid < 0) {
		log_event(LOG_ERROR, "fork", F_STR("client", name),
			  F_STR("why", strerror(errno)));
		return;
	}
	clients->place[i].pid = pid;
	clients->place[i].silent = true;
	clients->place[i].silent_fd = fds[0];
	clients->place[i].since = clock_ms();
	memcpy(clients->place[i].name, name, sizeof(clients->place[i].name));
}

void clients_accept(struct clients *clients, const struct engined_options *opt,
		    struct listener *l)
{
	char name[sizeof(clients->place[0].name)] = "";
	int fd = listener_accept(l, name, sizeof(name));
	int i;

	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_event(LOG_ERROR, "accept", F_STR("address", l->addr.text),
			  F_STR("why", strerror(errno)));
		poll(NULL, 0, WAIT_MS);
		return;
	}
	i = find_free(clients);
	if (i < 0)
		i = evict(clients);
	if (i < 0)
		refuse(fd, name);
	else
		start(clients, i, opt, fd, name);
	close(fd);
}

void clients_ended(struct clients *clients, pid_t pid)
{
	for (int i = 0; i < ENGINED_CLIENTS; i++) {
		if (clients->place[i].pid != pid)
			continue;
		close_pipe(clients, i);
		clients->place[i].pid = 0;
	}
}

unsigned int clients_signal(const struct clients *clients, int sig)
{
	unsigned int n = 0;

	for (int i = 0; i < ENGINED_CLIENTS; i++)
		if (clients->place[i].pid)
			n += !kill(clients->place[i].pid, sig);
	return n;
}
