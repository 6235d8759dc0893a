/* SPDX-License-Identifier: MIT */
/*
 * check.h - holds a xenstore tree against vgpu.schema
 *
 * Reads only. Prints one line per finding. Nothing that a guest wrote is
 * trusted or printed unescaped.
 */
#ifndef VGPU_SCHEMA_CHECK_H
#define VGPU_SCHEMA_CHECK_H

#include <stdio.h>

#include <xenstore.h>

/*
 * Checks every vgpu device of every domain, as transaction t sees the store.
 * Findings go to out. Returns how many there are, or -1 with errno when
 * xenstore cannot be read. *devices counts the backend directories seen.
 */
int schema_check(struct xs_handle *h, xs_transaction_t t, FILE *out,
		 unsigned int *devices);

#endif
