// SPDX-License-Identifier: MIT
/*
 * store.c - xenstore reads and transactions (see store.h)
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../xenstore-schema/values.h"
#include "log.h"
#include "vgpu_nodes.h"

/* Only the toolstack writes where we do: a conflict is rare and short. */
#define STORE_TRIES 32

static bool join(char path[2 * STORE_PATH], const char *dir, const char *node)
{
	int n = snprintf(path, 2 * STORE_PATH, "%s/%s", dir, node);

	if (n < 2 * STORE_PATH)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

char *store_read(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		 const char *node, unsigned int *len)
{
	char path[2 * STORE_PATH];

	if (!join(path, dir, node))
		return NULL;
	return xs_read(xs, t, path, len);
}

bool store_read_uint(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		     const char *node, uint64_t max, uint64_t *out)
{
	unsigned int len;
	char *val = store_read(xs, t, dir, node, &len);
	bool ok = val && vgpu_parse_uint(val, len, max, out);

	if (val && !ok)
		errno = EINVAL;
	free(val);
	return ok;
}

bool store_exists(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		  const char *node)
{
	unsigned int len;
	char *val = store_read(xs, t, dir, node, &len);

	free(val);
	return val != NULL;
}

static bool write_nodes(struct xs_handle *xs, xs_transaction_t t,
			const char *dir, const struct store_node *nodes,
			unsigned int n)
{
	char path[2 * STORE_PATH];

	/* By hand, one of them may have been removed. */
	if (!store_exists(xs, t, dir, VGPU_NODE_FRONTEND) &&
	    !store_exists(xs, t, dir, VGPU_NODE_STATE))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		const char *val = nodes[i].value;

		if (!join(path, dir, nodes[i].name))
			return false;
		if (val && !xs_write(xs, t, path, val, strlen(val)))
			return false;
		if (!val && !xs_rm(xs, t, path) && errno != ENOENT)
			return false;
	}
	return true;
}

bool store_update(struct xs_handle *xs, const char *dir,
		  const struct store_node *nodes, unsigned int n)
{
	for (int i = 0; i < STORE_TRIES; i++) {
		xs_transaction_t t = xs_transaction_start(xs);
		bool ok;

		if (t == XBT_NULL)
			break;
		ok = write_nodes(xs, t, dir, nodes, n);
		if (!ok) {
			int err = errno;

			xs_transaction_end(xs, t, true);
			errno = err;
			break;
		}
		if (xs_transaction_end(xs, t, false))
			return true;
		if (errno != EAGAIN)
			break;
	}
	if (errno != ENOENT)
		log_event(LOG_ERROR, "xenstore", F_STR("path", dir),
			  F_STR("why", strerror(errno)));
	return false;
}

void store_remove_dir(struct xs_handle *xs, const char *dir, bool any)
{
	xs_transaction_t t = xs_transaction_start(xs);
	unsigned int n = 0;
	char **names;

	if (t == XBT_NULL)
		return;
	names = xs_directory(xs, t, dir, &n);
	free(names);
	if (!names || (n && !any) || !xs_rm(xs, t, dir)) {
		xs_transaction_end(xs, t, true);
		return;
	}
	/* Lost against the toolstack: the next scan sees what it made. */
	xs_transaction_end(xs, t, false);
}
