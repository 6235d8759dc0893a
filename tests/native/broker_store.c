// SPDX-License-Identifier: MIT
/*
 * broker_store.c - xenstored: the calls on nodes, transactions, watches
 *
 * As C xenstored 4.17 does it, as far as anything here can see: a transaction
 * works on a copy and ends in EAGAIN where a node that it looked at or changed
 * has changed meanwhile; a watch fires at once when it is set, and then for
 * every change at or below its path that its domain may read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "broker_nodes.h"

#define PATH_LEN 512

/* @cut: octets of the path that the watcher did not write */
struct watch {
	struct watch *next;
	struct conn *conn;
	char path[PATH_LEN];
	char token[PATH_LEN];
	size_t cut;
};

struct event {
	struct event *next;
	struct conn *conn;
	size_t len;
	char text[2 * PATH_LEN];
};

/* One step of a transaction, done again on the live store at its end. */
struct step {
	struct step *next;
	uint32_t op;
	char path[PATH_LEN];
	size_t len;
	uint8_t *data;
};

/* A node that a transaction depends on, and its gen at the start; 0: none. */
struct seen {
	struct seen *next;
	char path[PATH_LEN];
	uint64_t gen;
};

struct tx {
	struct tx *next;
	struct conn *conn;
	uint32_t id;
	struct nodes nodes;
	struct step *steps, **last;
	struct seen *seen;
};

static struct nodes live;
static struct watch *watches;
static struct event *events;
static struct tx *txs;
static uint32_t last_tx;
static unsigned int conflicts;

static void queue(const struct watch *w, const char *path)
{
	struct event *e = broker_alloc(1, sizeof(*e)), **end = &events;
	const char *shown = path[0] == '@' ? path : path + w->cut;
	uint64_t one = 1;

	while (*end)
		end = &(*end)->next;
	*end = e;
	e->conn = w->conn;
	e->len = snprintf(e->text, sizeof(e->text), "%s%c%s", shown, '\0',
			  w->token) +
		 1;
	if (write(w->conn->event, &one, sizeof(one)) != sizeof(one))
		broker_die("eventfd");
}

static void fire(const char *path, const struct node *node, bool exact)
{
	for (struct watch *w = watches; w; w = w->next) {
		if (exact ? strcmp(path, w->path) : !path_below(path, w->path))
			continue;
		if (node_allows(node, w->conn->domid, XS_PERM_READ))
			queue(w, path);
	}
}

void store_special(const char *name)
{
	for (struct watch *w = watches; w; w = w->next)
		if (!strcmp(w->path, name) && !w->conn->domid)
			queue(w, name);
}

/* Absolute, and made of what xenstored takes. */
static int absolute(const struct call *c, char path[PATH_LEN])
{
	const char *given = (const char *)c->payload;
	int n = *given == '/' || *given == '@' ?
			snprintf(path, PATH_LEN, "%s", given) :
			snprintf(path, PATH_LEN, "/local/domain/%u/%s",
				 c->conn->domid, given);

	if (n >= PATH_LEN || !*given || strstr(path, "//") ||
	    (n > 1 && path[n - 1] == '/') ||
	    strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789-/_@") != (size_t)n)
		return EINVAL;
	return 0;
}

static void see(struct tx *tx, const char *path)
{
	struct node *node;
	struct seen *s;

	if (!tx)
		return;
	for (s = tx->seen; s; s = s->next)
		if (!strcmp(s->path, path))
			return;
	s = broker_alloc(1, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "%s", path);
	node = nodes_find(&tx->nodes, path);
	s->gen = node ? node->gen : 0;
	s->next = tx->seen;
	tx->seen = s;
}

/* A new node is a change of the directory it comes into. */
static void see_making(struct tx *tx, const char *path)
{
	char up[PATH_LEN];

	snprintf(up, sizeof(up), "%s", path);
	see(tx, up);
	while (tx && !nodes_find(&tx->nodes, up) && path_parent(up))
		see(tx, up);
}

/* ENOENT only to who may look where it would be. */
static int lookup(struct nodes *s, const struct conn *conn, const char *path,
		  unsigned int want, struct node **out)
{
	struct node *node = nodes_find(s, path);
	const struct node *near = node ? node : nodes_nearest(s, path);

	*out = node;
	if (!near || !node_allows(near, conn->domid, want))
		return EACCES;
	return node ? 0 : ENOENT;
}

static void apply_rm(struct nodes *s, const char *path)
{
	struct node *node = nodes_find(s, path);

	if (s == &live) {
		fire(path, node, false);
		for (size_t i = 0; i < live.n; i++)
			if (path_below(live.node[i].path, path) &&
			    strcmp(live.node[i].path, path))
				fire(live.node[i].path, &live.node[i], true);
	}
	nodes_remove(s, path);
}

static int apply_perms(struct node *node, const void *data, size_t len)
{
	unsigned int n = len / sizeof(node->perm[0]);

	if (!n || n > MAX_PERMS || len % sizeof(node->perm[0]))
		return EINVAL;
	memcpy(node->perm, data, len);
	node->perms = n;
	return 0;
}

/* The change itself; permission has been looked at. */
static int apply(struct nodes *s, uint32_t domid, uint32_t op, const char *path,
		 const void *data, size_t len)
{
	struct node *node = nodes_find(s, path);
	int err = 0;

	if (op == NX_XS_RM) {
		if (node)
			apply_rm(s, path);
		return 0;
	}
	if (op == NX_XS_MKDIR && node)
		return 0;
	node = nodes_make(s, path, domid);
	if (op == NX_XS_WRITE)
		nodes_set(node, data, len);
	if (op == NX_XS_PERMS)
		err = apply_perms(node, data, len);
	if (s == &live)
		fire(path, node, false);
	return err;
}

static void tx_drop(struct tx *tx)
{
	struct tx **link = &txs;

	while (*link != tx)
		link = &(*link)->next;
	*link = tx->next;
	for (struct step *s = tx->steps, *next; s; s = next) {
		next = s->next;
		free(s->data);
		free(s);
	}
	for (struct seen *s = tx->seen, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	nodes_drop(&tx->nodes);
	free(tx);
}

static struct tx *tx_find(const struct conn *conn, uint32_t id)
{
	for (struct tx *tx = txs; tx; tx = tx->next)
		if (tx->conn == conn && tx->id == id)
			return tx;
	return NULL;
}

static int tx_start(struct call *c)
{
	struct tx *tx = broker_alloc(1, sizeof(*tx));

	tx->conn = c->conn;
	tx->id = ++last_tx;
	tx->last = &tx->steps;
	nodes_copy(&tx->nodes, &live);
	tx->next = txs;
	txs = tx;
	c->r.val[0] = tx->id;
	return 0;
}

static int tx_end(struct call *c)
{
	struct tx *tx = tx_find(c->conn, c->h.arg[0]);
	int err = 0;

	if (!tx)
		return ENOENT;
	if (!c->h.arg[1] && conflicts) {
		conflicts--;
		err = EAGAIN;
	}
	for (struct seen *s = tx->seen; s && !c->h.arg[1]; s = s->next) {
		struct node *node = nodes_find(&live, s->path);

		if ((node ? node->gen : 0) != s->gen)
			err = EAGAIN;
	}
	for (struct step *s = tx->steps; s && !err && !c->h.arg[1]; s = s->next)
		apply(&live, c->conn->domid, s->op, s->path, s->data, s->len);
	tx_drop(tx);
	return err;
}

static int change(struct call *c, struct tx *tx, const char *path)
{
	struct nodes *s = tx ? &tx->nodes : &live;
	size_t used = strlen((char *)c->payload) + 1;
	const uint8_t *data = c->payload + used;
	struct node *node;
	struct step *step;
	int err;

	if (c->h.op == NX_XS_RM)
		see(tx, path);
	else
		see_making(tx, path);
	err = lookup(s, c->conn, path, XS_PERM_WRITE, &node);
	if (err == EACCES || (err && c->h.op == NX_XS_PERMS))
		return err;
	if (err && c->h.op == NX_XS_RM) {
		char up[PATH_LEN];

		/* Nothing to remove is success where there is a parent. */
		snprintf(up, sizeof(up), "%s", path);
		return path_parent(up) && nodes_find(s, up) ? 0 : ENOENT;
	}
	/* Only the owner says who may what. */
	if (c->h.op == NX_XS_PERMS && c->conn->domid &&
	    node->perm[0].id != c->conn->domid)
		return EACCES;
	err = apply(s, c->conn->domid, c->h.op, path, data, c->h.len - used);
	if (!tx || err)
		return err;
	step = broker_alloc(1, sizeof(*step));
	step->op = c->h.op;
	snprintf(step->path, sizeof(step->path), "%s", path);
	step->len = c->h.len - used;
	step->data = broker_alloc(1, step->len + 1);
	memcpy(step->data, data, step->len);
	*tx->last = step;
	tx->last = &step->next;
	return 0;
}

static int read_value(struct call *c, struct tx *tx, const char *path)
{
	struct node *node;
	int err;

	see(tx, path);
	err = lookup(tx ? &tx->nodes : &live, c->conn, path, XS_PERM_READ,
		     &node);
	if (err)
		return err;
	call_data(c, broker_alloc(1, node->len + 1), node->len);
	memcpy(c->data, node->value, node->len);
	return 0;
}

static int read_dir(struct call *c, struct tx *tx, const char *path)
{
	struct nodes *s = tx ? &tx->nodes : &live;
	size_t len = strlen(path), used = 0;
	struct node *node;
	char *names;
	int err;

	see(tx, path);
	err = lookup(s, c->conn, path, XS_PERM_READ, &node);
	if (err)
		return err;
	names = broker_alloc(s->n, PATH_LEN);
	for (size_t i = 0; i < s->n; i++) {
		const char *sub = s->node[i].path;

		if (path_below(sub, path) && sub[len] == '/' &&
		    !strchr(sub + len + 1, '/'))
			used += sprintf(names + used, "%s", sub + len + 1) + 1;
	}
	call_data(c, names, used);
	return 0;
}

static int watch_add(struct call *c, const char *path)
{
	const char *given = (const char *)c->payload;
	const char *token = given + strlen(given) + 1;
	struct watch *w;

	for (w = watches; w; w = w->next)
		if (w->conn == c->conn && !strcmp(w->path, path) &&
		    !strcmp(w->token, token))
			return EEXIST;
	w = broker_alloc(1, sizeof(*w));
	w->conn = c->conn;
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->token, sizeof(w->token), "%s", token);
	w->cut = strlen(path) - strlen(given);
	w->next = watches;
	watches = w;
	queue(w, path);
	return 0;
}

static int watch_remove(struct call *c, const char *path)
{
	const char *token = (char *)c->payload + strlen((char *)c->payload) + 1;

	for (struct watch **link = &watches; *link; link = &(*link)->next) {
		struct watch *w = *link;

		if (w->conn != c->conn || strcmp(w->path, path) ||
		    strcmp(w->token, token))
			continue;
		*link = w->next;
		free(w);
		return 0;
	}
	return ENOENT;
}

static int next_event(struct call *c)
{
	for (struct event **link = &events; *link; link = &(*link)->next) {
		struct event *e = *link;

		if (e->conn != c->conn)
			continue;
		call_data(c, broker_alloc(1, e->len), e->len);
		memcpy(c->data, e->text, e->len);
		*link = e->next;
		free(e);
		return 0;
	}
	return EAGAIN;
}

int store_call(struct call *c)
{
	char path[PATH_LEN];
	struct tx *tx = NULL;

	if (c->h.op == NX_XS_START)
		return tx_start(c);
	if (c->h.op == NX_XS_END)
		return tx_end(c);
	if (c->h.op == NX_XS_EVENT)
		return next_event(c);
	if (absolute(c, path))
		return EINVAL;
	if (c->h.op == NX_XS_WATCH)
		return watch_add(c, path);
	if (c->h.op == NX_XS_UNWATCH)
		return watch_remove(c, path);
	if (c->h.arg[0]) {
		tx = tx_find(c->conn, c->h.arg[0]);
		if (!tx)
			return ENOENT;
	}
	if (c->h.op == NX_XS_READ)
		return read_value(c, tx, path);
	if (c->h.op == NX_XS_DIR)
		return read_dir(c, tx, path);
	return change(c, tx, path);
}

void store_conflict(unsigned int n)
{
	conflicts = n;
}

void store_conn_gone(struct conn *conn)
{
	for (struct watch **link = &watches; *link;) {
		struct watch *w = *link;

		if (w->conn != conn) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		free(w);
	}
	for (struct event **link = &events; *link;) {
		struct event *e = *link;

		if (e->conn != conn) {
			link = &e->next;
			continue;
		}
		*link = e->next;
		free(e);
	}
	for (struct tx *tx = txs, *next; tx; tx = next) {
		next = tx->next;
		if (tx->conn == conn)
			tx_drop(tx);
	}
}

/* What xl gives a new domain: its directory is dom0's, for it to read. */
void store_domain_made(uint32_t domid)
{
	const struct xs_permissions mine[] = {
		{.id = 0, .perms = XS_PERM_NONE},
		{.id = domid, .perms = XS_PERM_READ},
	};
	static const char *const dirs[] = {"", "/device"};
	char path[PATH_LEN], id[16];

	snprintf(id, sizeof(id), "%u", domid);
	for (unsigned int i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "/local/domain/%u%s", domid,
			 dirs[i]);
		apply(&live, 0, NX_XS_MKDIR, path, NULL, 0);
		apply(&live, 0, NX_XS_PERMS, path, mine, sizeof(mine));
	}
	snprintf(path, sizeof(path), "/local/domain/%u/domid", domid);
	apply(&live, 0, NX_XS_WRITE, path, id, strlen(id));
}
