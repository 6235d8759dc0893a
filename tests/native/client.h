/* SPDX-License-Identifier: MIT */
/*
 * client.h - a handle on the broker; what the library calls are made of
 *
 * Linked into the backend's programs in place of libxenstore, libxengnttab and
 * libxenevtchn, and into the tests. As with the real ones, one thread at a time
 * uses a handle, with the exceptions that evtchn.c names.
 */
#ifndef NATIVE_CLIENT_H
#define NATIVE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* @event: readable where the broker has something to tell this handle */
struct nx_conn {
	int fd;
	int event;
	struct nx_port *table;
};

/* Of the domain that NX_ENV_DOMID names. False with errno. */
bool nx_open(struct nx_conn *c, bool nonblock);
/* As another domain: the tests have several in one process. */
bool nx_open_as(struct nx_conn *c, uint32_t domid, bool nonblock);
void nx_close(struct nx_conn *c);

/*
 * One call and its answer; false with errno. data, where not NULL, receives
 * what came after the answer, allocated, with a NUL behind it; fd, where not
 * NULL, the descriptor beside it.
 */
bool nx_call(struct nx_conn *c, struct nx_call call, const void *payload,
	     struct nx_reply *reply, void **data, int *fd);

/*
 * For programs that are several domains at once: handles that are opened by the
 * real libraries' names from now on, by this thread, are of domid.
 */
void nx_be(uint32_t domid);

#endif /* NATIVE_CLIENT_H */
