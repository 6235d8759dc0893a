/* SPDX-License-Identifier: MIT */
/*
 * broker.h - the process that plays Xen and xenstored, shared by its files
 *
 * One process, one thread. It owns all domains, grants, ports and nodes; what a
 * handle holds (mappings, ports, watches, transactions) goes with its
 * connection, as it goes with a file descriptor of Linux, so nothing outlives
 * the process that made it. Calls are from the harness's own programs: they are
 * refused by Xen's rules, not parsed for malice.
 */
#ifndef NATIVE_BROKER_H
#define NATIVE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

/* @fd: -1: free; @event: the handle's eventfd */
struct conn {
	int fd;
	int event;
	bool nonblock;
	uint32_t domid;
	pid_t pid;
};

/* A call on its way through: what came, and what goes back. */
struct call {
	struct conn *conn;
	struct nx_call h;
	uint8_t *payload;
	struct nx_reply r;
	void *data;
	int fd[2];
	unsigned int fds;
};

/* data goes back, and is freed. */
void call_data(struct call *c, void *data, size_t len);

/* Frees and closes nothing, exits with a line: the harness itself is broken. */
_Noreturn void broker_die(const char *what);
void *broker_alloc(size_t n, size_t size);

/* Serves until the listening socket's last client "quits" it: never returns. */
_Noreturn void broker_main(int listener);

/* Each answers with 0 or an errno. */
int store_call(struct call *c);
void store_conn_gone(struct conn *conn);
/* The domain's own directories; "@introduceDomain", "@releaseDomain". */
void store_special(const char *name);
/* The next n commits end in EAGAIN. */
void store_conflict(unsigned int n);
void store_domain_made(uint32_t domid);

int domain_call(struct call *c);
bool domain_exists(uint32_t domid);
int grant_call(struct call *c);
void grant_conn_gone(struct conn *conn);

int port_call(struct call *c);
void port_conn_gone(struct conn *conn);
void port_domain_gone(unsigned int slot);
void port_count(unsigned int slot, struct nx_count *out);
/* The index of a living domain, or -1. */
int domain_slot(uint32_t domid);
void port_init(void);
int port_table_fd(void);

#endif /* NATIVE_BROKER_H */
