/* SPDX-License-Identifier: MIT */
/*
 * remember.h - gives remembered domains their devices back
 *
 * In the toolstack's domain, the supervisor's thread. What vgpuctl has written
 * into the state file (../tools/registry.h) is attached again whenever a domain
 * of that UUID or name is there: after a reboot, xl restore or a plain xl
 * create, each of which makes a domain with a new id.
 *
 * Each domain is looked at once; what an administrator takes from it after that
 * stays away. Must never wait for anybody but xenstored and, where a domain's
 * UUID or name has changed, the disk; nor use a file that it cannot read.
 */
#ifndef VGPU_BACKEND_REMEMBER_H
#define VGPU_BACKEND_REMEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

struct remember;

/*
 * NULL, and logged, in a domain that is not the toolstack's: no other may write
 * to the directories of guests. The other functions do nothing with NULL. path
 * must stay.
 */
struct remember *remember_start(struct xs_handle *xs, const char *path);
void remember_end(struct remember *r);

/* A watch fired. True: it concerns nobody else. */
bool remember_watch(struct remember *r, const char *path, const char *token);

/* Does what is due at now, milliseconds of clock_ms(). */
void remember_run(struct remember *r, uint64_t now);

/* When remember_run() has something to do without a notice; 0: never. */
uint64_t remember_deadline(const struct remember *r);

#endif /* VGPU_BACKEND_REMEMBER_H */
