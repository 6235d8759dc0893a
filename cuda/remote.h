/* SPDX-License-Identifier: MIT */
/*
 * remote.h - addresses of an engine elsewhere, and how long either end waits
 *
 * What the remote engine (engine_remote.c) and vgpu-engined (engined.c) have in
 * common besides the frames (remote_proto.h, remote_frame.h). The functions
 * keep nothing and may be called from any thread. They resolve no names, start
 * no program and read no file: the caller may be confined.
 *
 *	unix:PATH		a Unix stream socket
 *	tcp:HOST:PORT		HOST: IPv4, [IPv6] or localhost; PORT: 1 ... 65535
 *	/PATH			a character device: a virtio-serial port, a serial
 *				line, a pseudo-terminal. For the remote engine it
 *				may be a pattern of glob(7): the first device that
 *				nobody else uses is taken.
 *
 * A character device is a byte stream without connections: whoever opens it
 * locks it (flock), and sets a terminal to raw mode.
 */
#ifndef VGPU_CUDA_REMOTE_H
#define VGPU_CUDA_REMOTE_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine.h"

#define REMOTE_ADDRESS	256	/* octets of an address, with its NUL */

enum remote_kind { REMOTE_UNIX, REMOTE_TCP, REMOTE_DEVICE };

struct remote_address {
	enum remote_kind kind;
	char text[REMOTE_ADDRESS];	/* as it was given */
	const char *path;		/* in text; NULL for tcp */
	socklen_t len;			/* of sa; 0 for a device */
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} sa;
};

/*
 * Reads an address. False with one line in why: what is wrong, and behind how
 * many characters. Port 0, for a listener "any free one", needs any_port.
 */
bool remote_parse(const char *text, bool any_port, struct remote_address *out,
		  char why[VGPU_ENGINE_WHY]);

/* Is this tcp: address one that only this host can reach? */
bool remote_is_loopback(const struct remote_address *addr);

/*
 * Opens a character device, locks it, sets a terminal to raw mode. Returns a
 * descriptor that does not block, or -1 with one line in why and errno set
 * (EBUSY: somebody else has it). Does not block.
 */
int remote_open_device(const char *path, char why[VGPU_ENGINE_WHY]);

/* All in milliseconds. */
struct remote_times {
	unsigned int hello;	/* the far end's first sign */
	unsigned int hold;	/* WELCOME after HOLD */
	unsigned int ping;	/* silence before PING, while something is owed */
	unsigned int silence;	/* and after it, before the far end is gone */
	unsigned int retry;	/* first wait before connecting again; doubles */
	unsigned int retry_max;	/* longest such wait */
	unsigned int give_up;	/* without an answer after a break: lost */
};

#define REMOTE_TIMES							\
	{								\
		.hello = 5000, .hold = 60000, .ping = 2500,		\
		.silence = 7500, .retry = 100, .retry_max = 2000,	\
		.give_up = 15000,					\
	}

/* The remote engine with other times than REMOTE_TIMES, for tests. */
struct vgpu_engine *remote_open(const char *address,
				const struct remote_times *times,
				char why[VGPU_ENGINE_WHY]);

#endif /* VGPU_CUDA_REMOTE_H */
