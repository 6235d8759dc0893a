/* SPDX-License-Identifier: MIT */
/*
 * native.h - a connected frontend on an unmodified backend, for measuring
 *
 * A world of its own (../native/world.h): broker, vgpubackd, one worker, one
 * guest with the running program as its frontend.
 */
#ifndef VGPU_BENCH_NATIVE_H
#define VGPU_BENCH_NATIVE_H

#include "../native/buffer.h"
#include "../native/world.h"
#include "bench.h"

/*
 * @poll_us: the backend's option of that name; NULL: its default
 * @polling: the frontend spins too
 * @staged: nothing of the guest's can be pinned (../native/regions.c)
 */
struct native_mode {
	const char *engine;
	const char *poll_us;
	bool polling;
	bool staged;
};

struct native {
	struct world w;
	struct front f;
	pid_t worker;
	bool ok;
};

/* False, with the backend's log on stderr; native_end() is due all the same. */
bool native_begin(struct native *n, const struct native_mode *mode);
/* False: something ended as it should not have. */
bool native_end(struct native *n);

/* What the backend counts for this device, as in its log. */
struct native_stats {
	uint64_t wakeups, notify_sent;
	char by_path[512];
};

bool native_stats(struct native *n, struct native_stats *out);

/* What the backend's log says last of an event; "" where it says nothing. */
void native_logged(const struct native *n, const char *event, const char *key,
		   char *out, size_t size);

/* A node of the backend's directory; "" where it is missing. */
void native_fact(struct native *n, const char *node, char *out, size_t size);

/* Inputs, read-only, and result of a vector add: granted, mapped, filled. */
struct native_vectors {
	struct front_buffer buf[3];
	uint32_t n;
};

bool native_vectors_make(struct native *n, struct native_vectors *v,
			 uint32_t elements);
bool native_vectors_free(struct native *n, struct native_vectors *v);

#endif /* VGPU_BENCH_NATIVE_H */
