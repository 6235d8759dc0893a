/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h - the supervisor's scan and state machine, and all around them
 *
 * Over the xenstore double; a worker is the other end of a socketpair, and
 * dies when the test says so. The test plays toolstack, guest and worker.
 * Asserts by cmocka.
 */
#ifndef TEST_SUPERVISOR_H
#define TEST_SUPERVISOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backd.h"
#include "clock.h"
#include "fake_xenstore.h"

#define B "/local/domain/0/backend/vgpu/7/0"
#define F "/local/domain/7/device/vgpu/0"

/* @fd: the worker's end; @mps: the daemon it was given */
struct fake_worker {
	pid_t pid;
	int fd;
	const char *mps;
	unsigned int spawned;
	unsigned int kills;
};

/* What the arbiter was told; @sets: how often it was told anew. */
struct fake_share {
	bool there;
	uint32_t gpu;
	uint32_t weight;
	uint32_t cap;
	unsigned int sets;
};

extern struct fake_worker worker;
extern struct fake_share share;
extern struct backd bd;
/* Does xenstored know the domain? */
extern bool introduced;
/* Why xs_is_domain_introduced() says no; 0: that is the answer. */
extern int introduced_errno;

/* A supervisor whose gate has passed; and that nothing is left of it. */
int setup(void **s);
int teardown(void **s);

void probe_says(const char *text);
/* As the loop: until nothing changes any more. */
void settle(void);

struct device *dev(void);
const char *state(void);
const char *error(void);

/* The toolstack attaches; the guest writes its nodes, and its state. */
void attach(void);
void guest_writes(void);
void frontend(const char *value);
/* All of that, and the worker is ready. */
void connected(void);

void worker_sends(enum msg_type type, const char *why);
struct msg worker_gets(void);
void worker_ends(int status);

#endif /* TEST_SUPERVISOR_H */
