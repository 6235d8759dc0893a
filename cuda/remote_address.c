// SPDX-License-Identifier: MIT
/*
 * remote_address.c - reads addresses, opens character devices (see remote.h)
 *
 * Runs on any thread of either end. Must never ask a name server, nor follow
 * what is no character device.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "remote.h"

static bool bad(char why[VGPU_ENGINE_WHY], const char *text, size_t at,
		const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "address \"%.100s\", character %zu: %s",
		 text, at + 1, what);
	return false;
}

static bool parse_unix(struct remote_address *a, char why[VGPU_ENGINE_WHY])
{
	const size_t at = strlen("unix:");
	size_t len = strlen(a->text + at);

	if (!len)
		return bad(why, a->text, at, "no path");
	if (len >= sizeof(a->sa.un.sun_path))
		return bad(why, a->text, at + sizeof(a->sa.un.sun_path) - 1,
			   "longer than the path of a Unix socket can be");
	a->kind = REMOTE_UNIX;
	a->path = a->text + at;
	a->sa.un.sun_family = AF_UNIX;
	memcpy(a->sa.un.sun_path, a->path, len + 1);
	a->len = sizeof(a->sa.un);
	return true;
}

/* Digits alone: 1 ... 65535, or 0 where any will do. */
static bool parse_port(const char *text, bool any, uint16_t *port)
{
	size_t len = strspn(text, "0123456789");
	unsigned long value = 0;

	if (!len || len > 5 || text[len] || (text[0] == '0' && len > 1))
		return false;
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (unsigned long)(text[i] - '0');
	*port = htons((uint16_t)value);
	return value <= 65535 && (value || any);
}

static bool parse_host(struct remote_address *a, const char *host, size_t len)
{
	char copy[INET6_ADDRSTRLEN + 2];

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, host, len);
	copy[len] = '\0';
	if (copy[0] == '[' && copy[len - 1] == ']') {
		copy[len - 1] = '\0';
		a->sa.in6.sin6_family = AF_INET6;
		a->len = sizeof(a->sa.in6);
		return inet_pton(AF_INET6, copy + 1, &a->sa.in6.sin6_addr) == 1;
	}
	a->sa.in.sin_family = AF_INET;
	a->len = sizeof(a->sa.in);
	return inet_pton(AF_INET, strcmp(copy, "localhost") ? copy : "127.0.0.1",
			 &a->sa.in.sin_addr) == 1;
}

static bool parse_tcp(struct remote_address *a, bool any_port,
		      char why[VGPU_ENGINE_WHY])
{
	const char *host = a->text + strlen("tcp:");
	const char *colon = strrchr(host, ':');
	uint16_t port;

	a->kind = REMOTE_TCP;
	if (!colon || colon == host)
		return bad(why, a->text, strlen("tcp:"), "not HOST:PORT");
	if (!parse_host(a, host, (size_t)(colon - host)))
		return bad(why, a->text, strlen("tcp:"),
			   "the host is no IPv4 address, no [IPv6] address and not localhost");
	if (!parse_port(colon + 1, any_port, &port))
		return bad(why, a->text, (size_t)(colon + 1 - a->text),
			   "the port is no number from 1 to 65535");
	if (a->sa.any.sa_family == AF_INET)
		a->sa.in.sin_port = port;
	else
		a->sa.in6.sin6_port = port;
	return true;
}

bool remote_parse(const char *text, bool any_port, struct remote_address *out,
		  char why[VGPU_ENGINE_WHY])
{
	memset(out, 0, sizeof(*out));
	if (strlen(text) >= sizeof(out->text))
		return bad(why, text, sizeof(out->text) - 1, "too long");
	strcpy(out->text, text);
	if (!strncmp(text, "unix:", 5))
		return parse_unix(out, why);
	if (!strncmp(text, "tcp:", 4))
		return parse_tcp(out, any_port, why);
	if (text[0] != '/')
		return bad(why, text, 0,
			   "an address is unix:PATH, tcp:HOST:PORT, or the path of a character device");
	out->kind = REMOTE_DEVICE;
	out->path = out->text;
	return true;
}

bool remote_is_loopback(const struct remote_address *addr)
{
	const uint8_t *b = addr->sa.in6.sin6_addr.s6_addr;

	if (addr->sa.any.sa_family == AF_INET)
		return ntohl(addr->sa.in.sin_addr.s_addr) >> 24 == 127;
	if (IN6_IS_ADDR_V4MAPPED(&addr->sa.in6.sin6_addr))
		return b[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&addr->sa.in6.sin6_addr);
}

/* No echo, no line, no signals, no flow control: octets as they are. */
static int make_raw(int fd)
{
	struct termios tio;

	if (!isatty(fd))
		return 0;
	if (tcgetattr(fd, &tio))
		return -1;
	cfmakeraw(&tio);
	tio.c_cflag |= CLOCAL | CREAD;
	tio.c_cc[VMIN] = 1;
	tio.c_cc[VTIME] = 0;
	return tcsetattr(fd, TCSANOW, &tio);
}

static int fail(int fd, int err, char why[VGPU_ENGINE_WHY], const char *path,
		const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "%.150s: %s", path, what);
	if (fd >= 0)
		close(fd);
	errno = err;
	return -1;
}

int remote_open_device(const char *path, char why[VGPU_ENGINE_WHY])
{
	struct stat st;
	int fd;

	/* To open a FIFO or a disk may already do something. */
	if (stat(path, &st))
		return fail(-1, errno, why, path, strerror(errno));
	if (!S_ISCHR(st.st_mode))
		return fail(-1, ENODEV, why, path, "not a character device");
	fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return fail(-1, errno, why, path,
			    errno == EBUSY ? "in use" : strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return fail(fd, errno == EWOULDBLOCK ? EBUSY : errno, why, path,
			    errno == EWOULDBLOCK ? "in use" : strerror(errno));
	if (make_raw(fd))
		return fail(fd, errno, why, path, strerror(errno));
	return fd;
}
