/* SPDX-License-Identifier: MIT */
/*
 * evil_tap.c - see evil_tap.h
 */
#include "evil_tap.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned int count, failed;

bool tap(bool ok, const char *fmt, ...)
{
	va_list ap;

	count++;
	failed += !ok;
	printf("%sok %u - ", ok ? "" : "not ", count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return ok;
}

void tap_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

int tap_end(void)
{
	printf("1..%u\n", count);
	fflush(stdout);
	return failed ? 1 : 0;
}

void tap_bail(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	exit(2);
}

int64_t evil_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

char *evil_read(struct xs_handle *xs, const char *dir, const char *node)
{
	char path[256];
	char *value;

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	value = xs_read(xs, XBT_NULL, path, NULL);
	if (!value)
		value = strdup("");
	if (!value)
		tap_bail("out of memory");
	return value;
}

void evil_write(struct xs_handle *xs, const char *dir, const char *node,
		const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	if (!xs_write(xs, XBT_NULL, path, value, strlen(value)))
		tap_bail("cannot write %s: %s", path, strerror(errno));
}

void evil_write_uint(struct xs_handle *xs, const char *dir, const char *node,
		     uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	evil_write(xs, dir, node, text);
}

unsigned int evil_state(struct xs_handle *xs, const char *dir)
{
	char *text = evil_read(xs, dir, "state");
	unsigned int state = strlen(text) == 1 ? text[0] - '0' : 0;

	free(text);
	return state < 7 ? state : 0;
}

int evil_wait_state(struct xs_handle *xs, const char *dir, unsigned int mask)
{
	int64_t end = evil_now_ms() + EVIL_TIMEOUT_MS;
	unsigned int state;
	char path[256];
	char **event;
	bool hit;

	snprintf(path, sizeof(path), "%s/state", dir);
	if (!xs_watch(xs, path, "state"))
		tap_bail("cannot watch %s: %s", path, strerror(errno));
	for (;;) {
		struct pollfd fd = {.fd = xs_fileno(xs), .events = POLLIN};
		int64_t left = end - evil_now_ms();

		while ((event = xs_check_watch(xs)))
			free(event);
		state = evil_state(xs, dir);
		hit = mask >> state & 1;
		if (hit || left <= 0)
			break;
		poll(&fd, 1, left);
	}
	xs_unwatch(xs, path, "state");
	return hit ? (int)state : -1;
}
