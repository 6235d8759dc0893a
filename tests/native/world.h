/* SPDX-License-Identifier: MIT */
/*
 * world.h - a world of its own for one test: broker, backend, toolstack
 *
 * Owns a directory, the broker's process and vgpubackd's, and plays the
 * toolstack through a handle of domain 0. One thread. What is no matter of what
 * is tested (no memory, no process) ends the program with a line on stderr.
 *
 * The backend's programs are taken from the directory of the running program:
 * ./vgpubackd and ../libexec/vgpu-worker.
 */
#ifndef NATIVE_WORLD_H
#define NATIVE_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <xenstore.h>
#include <xen/io/xenbus.h>

#include "client.h"

/* Longer than anything takes; where it is reached, something hangs. */
#define WORLD_TIMEOUT_MS 60000
#define WORLD_OPTIONS 16

struct world {
	char dir[64];
	pid_t broker;
	pid_t backend;
	struct nx_conn ctl;
	struct xs_handle *xs;
};

void world_start(struct world *w);
/*
 * Stops the backend where it runs, and the broker. False, and why on stderr,
 * where one of them, or a worker, ended as it should not have, or a sanitizer
 * wrote a report.
 */
bool world_end(struct world *w);
/* The backend's log, to stderr. */
void world_show_log(const struct world *w);

/*
 * vgpubackd in domain 0. options: further words of its command line, at most
 * WORLD_OPTIONS, ended by NULL; or NULL.
 */
void world_backend_start(struct world *w, const char *engine,
			 const char *const *options);
/* Sends it a signal and waits for its end: the status of waitpid(2). */
int world_backend_end(struct world *w, int sig);
/* A worker's main thread, which alone answers, stands still from now on. */
void world_freeze(pid_t pid);

void world_domain_make(struct world *w, uint32_t domid, uint32_t max_grants);
/* As xl destroy: the domain goes, then its nodes. */
void world_domain_destroy(struct world *w, uint32_t domid);
struct nx_count world_count(struct world *w, uint32_t domid);
/* Waits until no page of the domain is mapped and no port of it bound. */
bool world_wait_unmapped(struct world *w, uint32_t domid);
/* The next n commits of transactions, whoever's, end in EAGAIN. */
void world_conflict(struct world *w, unsigned int n);

/* As vgpuctl attach and detach. */
void world_attach(struct world *w, uint32_t domid, uint32_t devid);
/* nodes: more of the backend's directory, name and value by turns, then NULL. */
void world_attach_with(struct world *w, uint32_t domid, uint32_t devid,
		       const char *const *nodes);
void world_detach(struct world *w, uint32_t domid, uint32_t devid);
/* As vgpuctl set: such a node, of a device that is there. */
void world_set(struct world *w, uint32_t domid, uint32_t devid,
	       const char *node, const char *value);
/* A node of the backend's directory, allocated; NULL where it is missing. */
char *world_back_read(struct world *w, uint32_t domid, uint32_t devid,
		      const char *node);
/* Waits for the backend's state; false, and the log, after the timeout. */
bool world_wait_back(struct world *w, uint32_t domid, uint32_t devid,
		     enum xenbus_state state);
/* Waits until backend/vgpu/<domid> is gone. */
bool world_wait_removed(struct world *w, uint32_t domid);

/*
 * Waits with this handle until the node has the value (NULL: is gone); false
 * after the timeout.
 */
bool store_wait(struct xs_handle *xs, const char *path, const char *value);

#endif /* NATIVE_WORLD_H */
