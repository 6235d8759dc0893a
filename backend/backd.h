/* SPDX-License-Identifier: MIT */
/*
 * backd.h - the supervisor's state, shared by its files
 *
 * One process, one thread, one struct backd. What changes it: watches of
 * xenstore, messages and deaths of children, signals, and time; all of that
 * comes through the loop in vgpubackd.c.
 */
#ifndef VGPU_BACKEND_BACKD_H
#define VGPU_BACKEND_BACKD_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

#include "arbiter.h"
#include "device.h"
#include "offer.h"
#include "remember.h"

/* Own domain's backends; relative, so that a driver domain finds its own. */
#define BACKEND_DIR "backend/" VGPUIF_CLASS

/*
 * What every worker is told.
 *
 * @poll_us, @max_mapped_pages, @max_launch_ms: as the options of these names
 * @kernels: bits of enum vgpu_kernel that guests may ask for
 * @mps_pipe: directory of the MPS daemon for devices with mps=1; NULL: none
 */
struct policy {
	uint32_t poll_us;
	uint32_t max_mapped_pages;
	uint32_t max_launch_ms;
	uint32_t kernels;
	const char *mps_pipe;
};

/*
 * @arbiter: hands GPUs from worker to worker
 * @remember: gives remembered domains their devices back; NULL: not here
 * @devices: all known, unordered; changed by scan() alone
 * @rescan: something happened that scan() must see
 * @lost: the connection to xenstored is
 * @stopping: SIGTERM came: every device is being closed, none is offered
 */
struct backd {
	struct xs_handle *xs;
	struct policy policy;
	struct offers offers;
	struct arbiter *arbiter;
	struct remember *remember;
	struct device *devices;
	bool rescan;
	bool lost;
	bool stopping;
};

/*
 * Brings the list of devices in line with xenstore: what is there is found or
 * made and checked, what is not is stopped and, once it has no worker, freed.
 * Removes what domains that are gone have left. Idempotent, so that no event
 * needs to be understood, only noticed.
 */
void scan(struct backd *bd);

/*
 * A watch with this token fired for this path. Only noted, without a word to xenstored: a
 * guest can change its nodes as fast as xenstored takes it, and what we did for
 * each change would take longer than the change, while events queue up in our
 * memory and those of other guests behind them. scan_noticed() then looks once
 * at each device that was noted. What the toolstack changes of a device that
 * runs (device_config.h) is no reason to look at anything else.
 */
void scan_notice(struct backd *bd, const char *path, const char *token);
void scan_noticed(struct backd *bd);

/* NULL: not known. */
struct device *scan_find(struct backd *bd, uint32_t domid, uint32_t devid);

#endif /* VGPU_BACKEND_BACKD_H */
