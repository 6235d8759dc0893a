/* SPDX-License-Identifier: MIT */
/*
 * broker_nodes.h - a tree of xenstore nodes, and who may do what to them
 *
 * Pure data: no connections, no watches. The live store is one, and each
 * transaction has a copy. Paths are absolute.
 */
#ifndef NATIVE_BROKER_NODES_H
#define NATIVE_BROKER_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore.h>

#define MAX_PERMS 8

/* @gen: of the last change to it or to the list of its children */
struct node {
	char *path;
	char *value;
	size_t len;
	uint64_t gen;
	struct xs_permissions perm[MAX_PERMS];
	unsigned int perms;
};

struct nodes {
	struct node *node;
	size_t n;
	size_t size;
};

struct node *nodes_find(const struct nodes *s, const char *path);
/* The node, or its nearest ancestor. */
struct node *nodes_nearest(const struct nodes *s, const char *path);
/* The node; made with its missing parents, for domid, as xenstored does it. */
struct node *nodes_make(struct nodes *s, const char *path, uint32_t domid);
void nodes_set(struct node *node, const void *value, size_t len);
/* The whole tree below path. */
void nodes_remove(struct nodes *s, const char *path);
void nodes_copy(struct nodes *to, const struct nodes *from);
void nodes_drop(struct nodes *s);

/* The domain of index 0 in a node's list owns it, domain 0 may do anything. */
bool node_allows(const struct node *node, uint32_t domid, unsigned int want);

/* Is path dir itself, or below it? */
bool path_below(const char *path, const char *dir);
/* Cuts the last part; false for "/". */
bool path_parent(char *path);

#endif /* NATIVE_BROKER_NODES_H */
