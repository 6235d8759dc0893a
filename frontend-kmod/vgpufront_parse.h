/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * vgpufront_parse.h - reading what another domain wrote into xenstore
 *
 * Pure functions on strings, without kernel services, so that the unit tests
 * run the same source.
 */
#ifndef VGPUFRONT_PARSE_H
#define VGPUFRONT_PARSE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

/*
 * A decimal number of at most max: digits only, no sign, no white space, no
 * leading zeros. False, and *out untouched, for anything else.
 */
bool vgpufront_parse_u64(const char *s, uint64_t max, uint64_t *out);

/* Is word one of the words of list, which single spaces separate? */
bool vgpufront_list_has(const char *list, const char *word);

/*
 * Copy text for people: what is not printable ASCII becomes '?', what does not
 * fit into size octets with the NUL is cut off. The rest of dst is zeroed.
 */
void vgpufront_copy_text(char *dst, size_t size, const char *src);

#endif /* VGPUFRONT_PARSE_H */
