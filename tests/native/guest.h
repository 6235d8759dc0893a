/* SPDX-License-Identifier: MIT */
/*
 * guest.h - a guest with /dev/vgpufront, for programs on libvgpufront
 *
 * A world (world.h), a connected front, and the device over it (device.h). It
 * needs no header of the wire, whose names the library's header uses, too. One
 * at a time; the calls come from one thread.
 */
#ifndef NATIVE_GUEST_H
#define NATIVE_GUEST_H

#include <sys/types.h>

#include "device.h"

/*
 * @engine: of vgpubackd
 * @options: further words of its command line, ended by NULL, or NULL
 * @max_grants: pages that the guest may grant
 * @spin: see device_begin()
 */
struct guest_mode {
	const char *engine;
	const char *const *options;
	unsigned int max_grants;
	bool spin;
};

/* False, with why and the backend's log on stderr: nothing is left of it. */
bool guest_begin(const struct guest_mode *mode);
/* False, and why on stderr: something did not end as it should have. */
bool guest_end(void);

/* What serves the device: "cpu", "cuda". */
const char *guest_engine(void);
/* The worker's process. */
pid_t guest_worker(void);
/* It answers nothing any more. */
void guest_freeze_worker(void);
/* What the backend has of the guest: pages mapped, and not unmapped. */
unsigned int guest_mapped(void);
/* From the backend's statistics, asked for now: a number, or a quoted text. */
void guest_stat(const char *key, char *out, size_t size);
void guest_show_log(void);

/*
 * A second guest on the same backend, which has no library: begun after and
 * ended before the first. False, and why on stderr.
 */
bool neighbour_begin(void);
bool neighbour_end(void);
/*
 * Its memory is allocated, filled, copied and freed. 0; or -ETIME where the first
 * of it that failed exceeded its time limit, else -EIO.
 */
int neighbour_works(void);
pid_t neighbour_worker(void);

#endif /* NATIVE_GUEST_H */
