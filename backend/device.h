/* SPDX-License-Identifier: MIT */
/*
 * device.h - one vgpu device of one guest, as the supervisor sees it
 *
 * Owns the device's backend nodes and its worker. Used by the supervisor's one
 * thread; never blocks on a guest or on a worker, and believes neither.
 */
#ifndef VGPU_BACKEND_DEVICE_H
#define VGPU_BACKEND_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>
#include <xen/io/xenbus.h>

#include "arbiter.h"
#include "child.h"
#include "device_config.h"
#include "pace.h"
#include "proto.h"
#include "store.h"

struct backd;

/*
 *            offer            frontend         worker: READY
 *  [NEW] ------------> [OFFERED] ------> [STARTING] -------> [CONNECTED]
 *    ^  InitWait           | Initialised      |     Connected     |
 *    |                     |                  |                   |
 *    |            refused, |          failed, died, closed,       |
 *    |            closed   |          detached, domain gone       |
 *    |                     v                  v                   |
 *    |   frontend is    Closing            Closing                |
 *    +-- Initialising [CLOSED] <------ [STOPPING] <---------------+
 *        or Closed,   Closed  worker's
 *        online = 1             end
 *
 * [] is the phase; what stands at an arrow's head is the state that is written.
 */
enum device_phase {
	DEV_NEW,
	DEV_OFFERED,
	DEV_STARTING,
	DEV_CONNECTED,
	DEV_STOPPING,
	DEV_CLOSED,
};

/*
 * @dir, @front: the two directories
 * @written: the state that we wrote last, Unknown before
 * @seen: mark of scan()
 * @gone: its domain is not there (any more)
 * @noticed: a watch fired; see scan_notice()
 * @changed: bits of enum config_key: nodes of which a watch fired
 * @config: as of the offer, and what has changed since
 * @share: the worker's part in its GPU; there is one as long as the worker is
 * @deadline: the worker is killed then; 0: none
 * @reports: how many MSG_REPORTs the worker still owes
 * @why: what the error node says; "" where the close is orderly
 */
struct device {
	struct device *next;
	struct backd *bd;
	uint32_t domid;
	uint32_t devid;
	char dir[STORE_PATH];
	char front[STORE_PATH];
	enum device_phase phase;
	enum xenbus_state written;
	bool seen;
	bool gone;
	bool noticed;
	uint32_t changed;
	struct device_config config;
	struct child worker;
	struct arbiter_client *share;
	uint64_t deadline;
	unsigned int reports;
	struct pace pace;
	char why[WORKER_WHY];
};

struct device *device_new(struct backd *bd, uint32_t domid, uint32_t devid);

/* It has no worker. */
void device_free(struct device *d);

/* Reads both ends' state and does what the diagram says. */
void device_check(struct device *d);

/* Applies what the toolstack has changed while it runs, where that can be. */
void device_changed(struct device *d);

/* Closes it in order: SIGTERM, or its directory is gone. */
void device_stop(struct device *d);

/* The worker's socket is readable. */
void device_readable(struct device *d);

/* The worker was waited for. */
void device_worker_exited(struct device *d, int status);

/* When device_expire() is wanted, 0: never. */
uint64_t device_deadline(const struct device *d);
void device_expire(struct device *d, uint64_t now);

/* Asks the worker for its statistics. */
void device_ask_stats(struct device *d);

#endif /* VGPU_BACKEND_DEVICE_H */
