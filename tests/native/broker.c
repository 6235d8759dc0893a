// SPDX-License-Identifier: MIT
/*
 * broker.c - the broker's loop: connections, calls in, answers out (broker.h)
 *
 * A round looks for the ends of connections once more before it takes calls:
 * what a dead process held is gone before anybody who has seen it die asks.
 */
#include "broker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNS 256

static struct conn *conns[MAX_CONNS];

_Noreturn void broker_die(const char *what)
{
	fprintf(stderr, "native Xen: %s: %s\n", what, strerror(errno));
	_exit(3);
}

void *broker_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		broker_die("memory");
	return p;
}

void call_data(struct call *c, void *data, size_t len)
{
	c->data = data;
	c->r.len = len;
}

static void conn_new(int listener)
{
	struct conn *conn = broker_alloc(1, sizeof(*conn));
	struct ucred cred;
	socklen_t len = sizeof(cred);

	conn->event = -1;
	conn->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (conn->fd < 0)
		broker_die("accept");
	if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		broker_die("peer");
	conn->pid = cred.pid;
	for (int i = 0; i < MAX_CONNS; i++) {
		if (conns[i])
			continue;
		conns[i] = conn;
		return;
	}
	errno = EMFILE;
	broker_die("too many handles");
}

static void conn_gone(int i)
{
	struct conn *conn = conns[i];

	conns[i] = NULL;
	store_conn_gone(conn);
	grant_conn_gone(conn);
	port_conn_gone(conn);
	close(conn->fd);
	if (conn->event >= 0)
		close(conn->event);
	free(conn);
}

static int hello(struct call *c)
{
	struct conn *conn = c->conn;

	conn->domid = c->h.arg[0];
	conn->nonblock = c->h.arg[1];
	if (!domain_exists(conn->domid))
		return ESRCH;
	conn->event = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE |
					 (conn->nonblock ? EFD_NONBLOCK : 0));
	if (conn->event < 0)
		broker_die("eventfd");
	c->fd[0] = conn->event;
	c->fd[1] = port_table_fd();
	c->fds = 2;
	return 0;
}

static int dispatch(struct call *c)
{
	if (c->h.op == NX_HELLO)
		return hello(c);
	if (c->h.op >= NX_CREATE || c->h.op == NX_XS_DOMAIN)
		return domain_call(c);
	/* A handle survives its domain, and can do nothing any more. */
	if (!domain_exists(c->conn->domid))
		return ESRCH;
	if (c->h.op <= NX_XS_END)
		return store_call(c);
	if (c->h.op <= NX_LEFT)
		return grant_call(c);
	return port_call(c);
}

static bool answer(struct call *c)
{
	char control[CMSG_SPACE(sizeof(c->fd))] = {0};
	struct iovec iov[2] = {
		{.iov_base = &c->r, .iov_len = sizeof(c->r)},
		{.iov_base = c->data, .iov_len = c->r.len},
	};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	size_t left = sizeof(c->r) + c->r.len;
	struct cmsghdr *cm;
	ssize_t n;

	if (c->fds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(c->fds * sizeof(int));
		cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(c->fds * sizeof(int));
		memcpy(CMSG_DATA(cm), c->fd, c->fds * sizeof(int));
	}
	/* Blocking, so that only a dead peer cuts it short. */
	n = sendmsg(c->conn->fd, &m, MSG_NOSIGNAL);
	return n >= 0 && (size_t)n == left;
}

static bool receive(int fd, void *to, size_t len)
{
	return !len || recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

/* False: the other side is gone. */
static bool serve(struct conn *conn)
{
	struct call c = {.conn = conn};
	bool ok;

	if (!receive(conn->fd, &c.h, sizeof(c.h)))
		return false;
	if (c.h.len > NX_MAX_PAYLOAD)
		broker_die("call of a strange size");
	/* A NUL behind it, so that strings end. */
	c.payload = broker_alloc(1, c.h.len + 1);
	ok = receive(conn->fd, c.payload, c.h.len);
	if (ok) {
		c.r.err = dispatch(&c);
		if (c.r.err)
			c.r.len = c.fds = 0;
		ok = answer(&c);
	}
	free(c.payload);
	free(c.data);
	return ok;
}

static int fill(struct pollfd *fds, int listener)
{
	int n = 0;

	for (int i = 0; i < MAX_CONNS; i++)
		fds[n++] = (struct pollfd){.fd = conns[i] ? conns[i]->fd : -1,
					   .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = listener, .events = POLLIN};
	return n;
}

_Noreturn void broker_main(int listener)
{
	struct pollfd seen[MAX_CONNS + 1], now[MAX_CONNS + 1];
	int n;

	port_init();
	domain_call(&(struct call){
		.h = {.op = NX_CREATE, .arg = {0, NX_MAX_GRANTS}}});
	for (;;) {
		n = fill(seen, listener);
		if (poll(seen, n, -1) < 0 && errno != EINTR)
			broker_die("poll");
		fill(now, listener);
		poll(now, n, 0);
		for (int i = 0; i < MAX_CONNS; i++)
			if (conns[i] && (now[i].revents & POLLHUP))
				conn_gone(i);
		for (int i = 0; i < MAX_CONNS; i++)
			if (conns[i] && (seen[i].revents & POLLIN) &&
			    !serve(conns[i]))
				conn_gone(i);
		if (seen[n - 1].revents)
			conn_new(listener);
	}
}
