/* SPDX-License-Identifier: MIT */
/*
 * store.h - how the supervisor reads and writes xenstore
 *
 * Used by the supervisor's one thread. Own paths are relative, so that they
 * are those of whatever domain we run in. Never brings a directory back to
 * life that the toolstack has removed: every write first looks for it, in the
 * same transaction.
 */
#ifndef VGPU_BACKEND_STORE_H
#define VGPU_BACKEND_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

#define STORE_PATH 96

/* A write; value NULL removes the node. */
struct store_node {
	const char *name;
	const char *value;
};

/* dir/node, allocated, NUL added; NULL with errno, ENOENT where it is missing. */
char *store_read(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		 const char *node, unsigned int *len);

/* False, with errno: EINVAL where it is no number of at most max. */
bool store_read_uint(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		     const char *node, uint64_t max, uint64_t *out);

/* False with errno. */
bool store_exists(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		  const char *node);

/*
 * All of the nodes or none, into a backend directory, and only while one of the
 * nodes "frontend" and "state" is there. False where it is gone or xenstored
 * refused, which is logged.
 */
bool store_update(struct xs_handle *xs, const char *dir,
		  const struct store_node *nodes, unsigned int n);

/* Removes dir where it has no entries (any: whatever it has). */
void store_remove_dir(struct xs_handle *xs, const char *dir, bool any);

#endif /* VGPU_BACKEND_STORE_H */
