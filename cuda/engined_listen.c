// SPDX-License-Identifier: MIT
/*
 * engined_listen.c - what vgpu-engined listens on (see engined.h)
 *
 * Runs on the parent's one thread. What guards an engine is who may reach its
 * address: the frames carry no password and are not encrypted. So a path of a
 * Unix socket is made for its owner and group alone, and anything that other
 * hosts can reach is refused unless the administrator insists. Must never
 * remove a path that is no socket, or that somebody still listens on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engined.h"

static bool fail(char why[VGPU_ENGINE_WHY], const struct listener *l,
		 const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "%.110s: %s", l->addr.text, what);
	return false;
}

bool listener_check(const char *address, bool insecure, struct listener *l,
		    char why[VGPU_ENGINE_WHY])
{
	struct stat st;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (!remote_parse(address, true, &l->addr, why))
		return false;
	if (l->addr.kind == REMOTE_TCP && !insecure &&
	    !remote_is_loopback(&l->addr))
		return fail(why, l,
			    "no loopback address: frames are neither authenticated nor encrypted, so whoever reaches it has the GPU; --insecure-listen insists");
	if (l->addr.kind != REMOTE_DEVICE)
		return true;
	if (stat(l->addr.path, &st))
		return fail(why, l, strerror(errno));
	return S_ISCHR(st.st_mode) || fail(why, l, "not a character device");
}

static int make_socket(const struct listener *l)
{
	return socket(l->addr.sa.any.sa_family,
		      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* A socket that nobody listens on is what a killed process leaves. */
static bool remove_stale(struct listener *l, char why[VGPU_ENGINE_WHY])
{
	struct stat st;
	int fd, err;

	if (lstat(l->addr.path, &st))
		return fail(why, l, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fail(why, l, "is there, and is no socket");
	fd = make_socket(l);
	err = fd < 0 || !connect(fd, &l->addr.sa.any, l->addr.len) ? 0 : errno;
	if (fd >= 0)
		close(fd);
	if (err != ECONNREFUSED)
		return fail(why, l, "somebody listens there already");
	if (unlink(l->addr.path))
		return fail(why, l, strerror(errno));
	return true;
}

/* The mode is right from the first moment on, whatever the umask is. */
static int bind_private(const struct listener *l)
{
	mode_t old = umask(0117);
	int err = bind(l->fd, &l->addr.sa.any, l->addr.len) ? errno : 0;

	umask(old);
	return err;
}

static bool bind_unix(struct listener *l, char why[VGPU_ENGINE_WHY])
{
	struct stat st;
	int err = bind_private(l);

	if (err == EADDRINUSE) {
		if (!remove_stale(l, why))
			return false;
		err = bind_private(l);
	}
	if (err)
		return fail(why, l, strerror(err));
	if (lstat(l->addr.path, &st))
		return fail(why, l, strerror(errno));
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return true;
}

/* Port 0 became a real one: the address says which. */
static void name_port(struct listener *l)
{
	socklen_t len = sizeof(l->addr.sa);
	char *port = strrchr(l->addr.text, ':') + 1;

	if (getsockname(l->fd, &l->addr.sa.any, &len))
		return;
	snprintf(port, sizeof(l->addr.text) - (size_t)(port - l->addr.text),
		 "%u", ntohs(l->addr.sa.any.sa_family == AF_INET ?
			     l->addr.sa.in.sin_port : l->addr.sa.in6.sin6_port));
}

static bool bind_tcp(struct listener *l, char why[VGPU_ENGINE_WHY])
{
	const int one = 1;

	/* Else a restart would have to wait for old connections to be forgotten. */
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l->fd, &l->addr.sa.any, l->addr.len))
		return fail(why, l, strerror(errno));
	name_port(l);
	return true;
}

bool listener_open(struct listener *l, char why[VGPU_ENGINE_WHY])
{
	int fd;

	if (l->addr.kind == REMOTE_DEVICE) {
		fd = remote_open_device(l->addr.path, why);
		if (fd >= 0)
			close(fd);
		return fd >= 0;
	}
	l->fd = make_socket(l);
	if (l->fd < 0)
		return fail(why, l, strerror(errno));
	if (!(l->addr.kind == REMOTE_UNIX ? bind_unix : bind_tcp)(l, why))
		return false;
	return !listen(l->fd, SOMAXCONN) || fail(why, l, strerror(errno));
}

void listener_close(struct listener *l)
{
	struct stat st;

	/* Before the close: until then nothing else can have our inode. */
	if (l->ino && !lstat(l->addr.path, &st) && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->addr.path);
	l->ino = 0;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static void name_unix(int fd, char *client, size_t size)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	snprintf(client, size, "pid:%d,uid:%u", cred.pid, cred.uid);
}

static void name_tcp(const struct remote_address *peer, char *client,
		     size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (peer->sa.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer->sa.in.sin_addr, host, sizeof(host));
		snprintf(client, size, "%s:%u", host,
			 ntohs(peer->sa.in.sin_port));
	} else {
		inet_ntop(AF_INET6, &peer->sa.in6.sin6_addr, host, sizeof(host));
		snprintf(client, size, "[%s]:%u", host,
			 ntohs(peer->sa.in6.sin6_port));
	}
}

/*
 * Small frames leave at once; and a host that is gone does not keep its place:
 * neither when nothing is said, nor when it owes acknowledgements.
 */
static void set_tcp(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 15 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 4 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 120000 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name,
			   &options[i].value, sizeof(options[i].value));
}

int listener_accept(struct listener *l, char *client, size_t size)
{
	struct remote_address peer = { 0 };
	int fd;

	peer.len = sizeof(peer.sa);
	fd = accept4(l->fd, &peer.sa.any, &peer.len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -1;
	if (l->addr.kind == REMOTE_UNIX) {
		name_unix(fd, client, size);
		return fd;
	}
	name_tcp(&peer, client, size);
	set_tcp(fd);
	return fd;
}
