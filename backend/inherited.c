// SPDX-License-Identifier: MIT
/*
 * inherited.c - checks and takes what vgpubackd gives (see inherited.h)
 */
#include "inherited.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "limits.h"
#include "log.h"

static _Noreturn void started_by_hand(void)
{
	fputs("vgpu-worker: started by hand? vgpubackd starts it\n", stderr);
	exit(2);
}

void inherited_config(struct worker_config *cfg)
{
	const struct worker_config *c;
	struct msg m;
	ssize_t len = recv(WORKER_FD, &m, sizeof(m), 0);

	c = &m.u.config;
	if (len != sizeof(m) || m.type != MSG_CONFIG ||
	    c->ring_order > VGPUIF_MAX_RING_PAGE_ORDER || !c->arena_pages ||
	    c->arena_pages > VGPUIF_MAX_ARENA_PAGES ||
	    c->log_level > LOG_DEBUG || c->poll_us > BACK_MAX_POLL_US ||
	    !c->max_buffers || c->max_buffers > BACK_MAX_BUFFERS ||
	    !c->max_mapped_pages ||
	    c->max_mapped_pages > BACK_MAX_MAPPED_PAGES ||
	    c->max_launch_ms > BACK_MAX_LAUNCH_MS ||
	    !memchr(c->engine, '\0', sizeof(c->engine)))
		started_by_hand();
	*cfg = *c;
}

struct lease *inherited_lease(void)
{
	struct stat lease, end;
	void *page;

	if (fstat(LEASE_FD, &lease) || lease.st_size < LEASE_BYTES ||
	    fstat(LEASE_KICK_FD, &end) || fstat(LEASE_WAKE_FD, &end))
		started_by_hand();
	page = mmap(NULL, LEASE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		    LEASE_FD, 0);
	return page == MAP_FAILED ? NULL : page;
}
