/* SPDX-License-Identifier: MIT */
/*
 * values.h - how a value in xenstore is read
 *
 * Owns the strict reading of numbers, the names of the xenbus states and the
 * escaping of what a guest wrote. Shared by vgpu-xenstore-check and vgpuctl.
 * Must never accept a spelling that vgpuif.h does not allow.
 */
#ifndef VGPU_VALUES_H
#define VGPU_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads s (len octets, no NUL among them) as a decimal number of at most max.
 * No sign, no leading zero, no space, not empty; false otherwise.
 */
bool vgpu_parse_uint(const char *s, size_t len, uint64_t max, uint64_t *out);

/* "Connected" for 4, ...; "Unknown" for what is no xenbus state. */
const char *vgpu_state_name(unsigned int state);

#define VGPU_SHOW_LEN 100

/*
 * Copies len octets of s to buf so that they can be shown to a person: what is
 * not printable ASCII becomes '?', what is too long ends in "...".
 */
const char *vgpu_show(char buf[VGPU_SHOW_LEN], const char *s, size_t len);

#endif
