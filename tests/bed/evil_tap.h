/* SPDX-License-Identifier: MIT */
/*
 * evil_tap.h - TAP and waiting, for the hostile peers of the bed
 *
 * Each program that includes it has its own count. One thread prints.
 */
#ifndef EVIL_TAP_H
#define EVIL_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include <xenstore.h>

/* Nothing waits so long for what is there: the limit of what hangs. */
#define EVIL_TIMEOUT_MS 150000

/* "ok N - ..." or "not ok N - ...", at once; gives ok back. */
bool tap(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A comment line. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The plan; exit status of the program. */
int tap_end(void);

/* "Bail out!" and exit: what follows would mean nothing. */
void tap_bail(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

int64_t evil_now_ms(void);

/* A node's value, malloced, "" where it is missing. Bails out without memory. */
char *evil_read(struct xs_handle *xs, const char *dir, const char *node);
void evil_write(struct xs_handle *xs, const char *dir, const char *node,
		const char *value);
void evil_write_uint(struct xs_handle *xs, const char *dir, const char *node,
		     uint64_t value);

/* xenbus state of a directory; 0 where there is none. */
unsigned int evil_state(struct xs_handle *xs, const char *dir);

/*
 * Waits, woken by xenstore, until dir/state is one of the states in mask (bit
 * n: state n, bit 0: missing). The state, or -1 when it took too long.
 */
int evil_wait_state(struct xs_handle *xs, const char *dir, unsigned int mask);

#endif
