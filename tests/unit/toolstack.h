/* SPDX-License-Identifier: MIT */
/*
 * toolstack.h - vgpuctl from its command line to xenstore, and all around it
 *
 * xenstore is fake_xenstore.c, libxl is a few functions, xl is a shell script
 * that notes how it was called, and the backend is a function that fake_xenstore
 * runs after each change. What vgpuctl writes is held against the schema with
 * the checker's own code. The working directory is a fresh one, and the state
 * file "state/devices" in it. Asserts by cmocka.
 */
#ifndef TEST_TOOLSTACK_H
#define TEST_TOOLSTACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_xenstore.h"

#define B "/local/domain/0/backend/vgpu/7/0"
#define F "/local/domain/7/device/vgpu/0"
#define STATE "state/devices"
#define UUID "11111111-2222-3333-4444-555555555555"

/* What vgpuctl printed, both streams. */
extern char said[16384];
/* Is domain 7 dying? Was it there before xl was called? */
extern bool dying, running;

/* Backends: one that serves what it is given, one that does not. */
#define LONG_REASON                                                            \
	"there is no GPU 9, which takes many more words to say than a line "   \
	"of a table has room for, and all of them are of use to somebody"

void backend_serves(void);
void backend_refuses(void);

/* Domains 0 (Domain-0), 7 (guest, UUID) and 8 (drv), and nothing remembered. */
void world(void (*backend)(void));

/* vgpuctl with these words and this state file; its exit status. */
int vgpuctl(const char *words);
/* The same; what it printed has text in it. */
void expect(const char *words, int rc, const char *text);

void expect_node(const char *path, const char *value);
void expect_schema_ok(void);
/* The state file has these records, each with a line end; NULL: is not there. */
void expect_state(const char *records);
/* Puts a state file there. */
void write_state(const char *text);

/* g.cfg; and the calls of xl since then. */
void config(const char *text);
void expect_xl(const char *want);

int toolstack_setup(void **state);
int toolstack_teardown(void **state);

#endif
