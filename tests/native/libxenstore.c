// SPDX-License-Identifier: MIT
/*
 * libxenstore.c - the libxenstore calls of backend and tests, over the broker
 *
 * Errors are those of xenstored. A watch event makes xs_fileno() readable and
 * is fetched by xs_check_watch(). One thread a handle.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "client.h"

struct xs_handle {
	struct nx_conn conn;
};

struct xs_handle *xs_open(unsigned long flags)
{
	struct xs_handle *h = calloc(1, sizeof(*h));

	(void)flags;
	if (h && nx_open(&h->conn, true))
		return h;
	free(h);
	return NULL;
}

void xs_close(struct xs_handle *h)
{
	if (!h)
		return;
	nx_close(&h->conn);
	free(h);
}

/* path NUL more */
static bool call(struct xs_handle *h, uint32_t op, xs_transaction_t t,
		 const char *path, const void *more, size_t len,
		 struct nx_reply *r, void **data)
{
	size_t path_len = strlen(path) + 1;
	char *payload = malloc(path_len + len);
	bool ok;
	int err;

	if (!payload)
		return false;
	memcpy(payload, path, path_len);
	if (len)
		memcpy(payload + path_len, more, len);
	ok = nx_call(
		&h->conn,
		(struct nx_call){.op = op, .len = path_len + len, .arg = {t}},
		payload, r, data, NULL);
	err = errno;
	free(payload);
	errno = err;
	return ok;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path,
	      unsigned int *len)
{
	struct nx_reply r;
	void *data;

	if (!call(h, NX_XS_READ, t, path, NULL, 0, &r, &data))
		return NULL;
	if (len)
		*len = r.len;
	return data;
}

/* One block: the pointers, then the names. */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path,
		    unsigned int *num)
{
	unsigned int n = 0;
	struct nx_reply r;
	char **names, *text;
	void *data;

	*num = 0;
	if (!call(h, NX_XS_DIR, t, path, NULL, 0, &r, &data))
		return NULL;
	for (uint32_t i = 0; i < r.len; i++)
		n += !((char *)data)[i];
	names = malloc((n + 1) * sizeof(*names) + r.len);
	if (names) {
		text = memcpy(names + n + 1, data, r.len);
		for (; *num < n; ++*num, text += strlen(text) + 1)
			names[*num] = text;
	}
	free(data);
	return names;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path,
	      const void *data, unsigned int len)
{
	return call(h, NX_XS_WRITE, t, path, data, len, NULL, NULL);
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	return call(h, NX_XS_MKDIR, t, path, NULL, 0, NULL, NULL);
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	return call(h, NX_XS_RM, t, path, NULL, 0, NULL, NULL);
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t,
			const char *path, struct xs_permissions *perms,
			unsigned int num)
{
	return call(h, NX_XS_PERMS, t, path, perms, num * sizeof(*perms), NULL,
		    NULL);
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	return call(h, NX_XS_WATCH, 0, path, token, strlen(token) + 1, NULL,
		    NULL);
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	return call(h, NX_XS_UNWATCH, 0, path, token, strlen(token) + 1, NULL,
		    NULL);
}

int xs_fileno(struct xs_handle *h)
{
	return h->conn.event;
}

char **xs_check_watch(struct xs_handle *h)
{
	struct nx_reply r;
	char **pair, *text;
	uint64_t count;
	void *data;

	if (read(h->conn.event, &count, sizeof(count)) != sizeof(count) ||
	    !nx_call(&h->conn, (struct nx_call){.op = NX_XS_EVENT}, NULL, &r,
		     &data, NULL))
		return NULL;
	pair = malloc(2 * sizeof(*pair) + r.len);
	if (pair) {
		text = memcpy(pair + 2, data, r.len);
		pair[XS_WATCH_PATH] = text;
		pair[XS_WATCH_TOKEN] = text + strlen(text) + 1;
	}
	free(data);
	return pair;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	struct nx_reply r;

	if (!nx_call(&h->conn, (struct nx_call){.op = NX_XS_START}, NULL, &r,
		     NULL, NULL))
		return XBT_NULL;
	return r.val[0];
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	return nx_call(&h->conn,
		       (struct nx_call){.op = NX_XS_END, .arg = {t, abort}},
		       NULL, NULL, NULL, NULL);
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	struct nx_reply r;

	return nx_call(&h->conn,
		       (struct nx_call){.op = NX_XS_DOMAIN, .arg = {domid}},
		       NULL, &r, NULL, NULL) &&
	       r.val[0];
}
