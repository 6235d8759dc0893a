/* SPDX-License-Identifier: MIT */
/*
 * path.h - what the tests of whole paths share: a world, a guest, vectors
 *
 * One world at a time, made anew for each test: backend running, guest 7 with
 * device 0 attached and its frontend opened. Asserts by cmocka.
 */
#ifndef NATIVE_PATH_H
#define NATIVE_PATH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "buffer.h"
#include "front.h"
#include "world.h"

#define GUEST 7

extern struct world w;
extern struct front f;

/* Setup and teardown of a test. Whatever it did, nothing must be left. */
int path_begin(void **state);
/* The same for a setup of one's own, with another backend than cpu, NULL. */
int path_begin_with(const char *engine, const char *const *options);
int path_end(void **state);

#define PATH_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(name, path_begin, path_end)

/* Another guest with a device, and its frontend. */
void path_guest(struct front *front, uint32_t domid);

/* Ring of 16 pages, arena of 16. */
void path_connect(struct front *front);
/* Closes and asserts that the guest has everything back. */
void path_disconnect(struct front *front);
/* Nothing of the guest is mapped or bound, by anybody. */
void path_nothing_left(uint32_t domid);

/* a and b (read-only), and c, of n floats: granted, mapped, filled. */
struct vectors {
	struct front_buffer a, b, c;
	uint32_t n;
};

void vectors_make(struct front *front, struct vectors *v, uint32_t handle,
		  uint32_t n, uint32_t first_offset, bool scattered);
/* Nothing is mapped any more. */
void vectors_free(struct front *front, struct vectors *v);
void vectors_unmap(struct front *front, struct vectors *v);
/* Fills a and b from a seed, and c with what cannot be right. */
void vectors_fill(struct vectors *v, uint32_t seed);
/* c is a + b to the bit. */
void vectors_check(const struct vectors *v);

/*
 * The part of a vector add that stream does where streams of them share the
 * work: none writes what another one does, which would be undefined.
 */
struct vgpu_request vectors_share(const struct vectors *v, unsigned int stream,
				  unsigned int streams);

/* Puts n such requests, stream after stream, and publishes them. */
void path_flood(struct front *front, const struct vectors *v, unsigned int n,
		unsigned int streams);

/* The guest's device has an error node with this in it. */
bool path_error_says(const char *part);

/*
 * What a frontend does with a backend that has closed: takes the answers that
 * are there, gives up the rest. The number of both; each status is OK or
 * "device lost".
 */
unsigned int path_settle(struct front *front, unsigned int *answered);

/* The backend has closed: all grants can be ended, then all works again. */
void path_recovers(struct vectors *v);

/* The last line of the backend's log with part in it, allocated, or NULL. */
char *path_log(const char *part);
/* The last line with part in it also has more in it. */
bool path_log_says(const char *part, const char *more);
/* A number of the last event=stats, which a worker's end writes. */
uint64_t path_stat(const char *key);

#endif /* NATIVE_PATH_H */
