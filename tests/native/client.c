// SPDX-License-Identifier: MIT
/*
 * client.c - a handle on the broker (see client.h)
 *
 * Run by whoever made the library call. After nx_open() it only uses the
 * socket that it has: a worker's filter of system calls allows no more.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_FDS 2

static _Thread_local uint32_t be;
static _Thread_local bool be_set;

void nx_be(uint32_t domid)
{
	be = domid;
	be_set = true;
}

static bool send_all(int fd, const void *head, size_t head_len,
		     const void *body, size_t len)
{
	struct iovec iov[2] = {
		{.iov_base = (void *)head, .iov_len = head_len},
		{.iov_base = (void *)body, .iov_len = len},
	};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)(head_len + len);
}

/* The head of the answer, and the descriptors that came with it. */
static bool receive_head(int sock, struct nx_reply *r, int fds[MAX_FDS])
{
	char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
	struct iovec iov = {.iov_base = r, .iov_len = sizeof(*r)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cm;

	for (int i = 0; i < MAX_FDS; i++)
		fds[i] = -1;
	if (recvmsg(sock, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof(*r))
		return false;
	cm = CMSG_FIRSTHDR(&m);
	if (cm && cm->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(cm), cm->cmsg_len - CMSG_LEN(0));
	return true;
}

static bool exchange(struct nx_conn *c, struct nx_call call,
		     const void *payload, struct nx_reply *r, void **data,
		     int fds[MAX_FDS])
{
	char *body;

	if (!send_all(c->fd, &call, sizeof(call), payload, call.len) ||
	    !receive_head(c->fd, r, fds)) {
		errno = EIO;
		return false;
	}
	body = calloc(1, r->len + 1);
	if (!body || (r->len && recv(c->fd, body, r->len, MSG_WAITALL) !=
					(ssize_t)r->len)) {
		free(body);
		errno = EIO;
		return false;
	}
	if (data && !r->err)
		*data = body;
	else
		free(body);
	errno = r->err;
	return !r->err;
}

bool nx_call(struct nx_conn *c, struct nx_call call, const void *payload,
	     struct nx_reply *reply, void **data, int *fd)
{
	struct nx_reply own;
	int fds[MAX_FDS];
	bool ok = exchange(c, call, payload, reply ? reply : &own, data, fds);
	int err = errno;

	for (int i = fd ? 1 : 0; ok && i < MAX_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (fd && ok)
		*fd = fds[0];
	errno = err;
	return ok;
}

bool nx_open_as(struct nx_conn *c, uint32_t domid, bool nonblock)
{
	const struct nx_call hello = {.op = NX_HELLO, .arg = {domid, nonblock}};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv(NX_ENV_SOCKET);
	struct nx_reply r;
	int fds[MAX_FDS];
	int err;

	if (!path) {
		errno = ENOENT;
		return false;
	}
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return false;
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    !exchange(c, hello, NULL, &r, NULL, fds)) {
		err = errno;
		close(c->fd);
		errno = err;
		return false;
	}
	c->event = fds[0];
	c->table = mmap(NULL, NX_TABLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			fds[1], 0);
	close(fds[1]);
	if (c->table == MAP_FAILED)
		abort();
	return true;
}

bool nx_open(struct nx_conn *c, bool nonblock)
{
	const char *domid = getenv(NX_ENV_DOMID);

	if (!be_set)
		nx_be(domid ? strtoul(domid, NULL, 10) : 0);
	return nx_open_as(c, be, nonblock);
}

void nx_close(struct nx_conn *c)
{
	munmap(c->table, NX_TABLE_SIZE);
	close(c->event);
	close(c->fd);
}
