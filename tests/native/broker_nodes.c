// SPDX-License-Identifier: MIT
/*
 * broker_nodes.c - a tree of xenstore nodes (see broker_nodes.h)
 */
#include "broker_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"

static uint64_t generation;

bool path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (!strcmp(dir, "/"))
		return path[0] == '/';
	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

bool path_parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !strcmp(path, "/"))
		return false;
	slash[slash == path] = '\0';
	return true;
}

struct node *nodes_find(const struct nodes *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->node[i].path, path))
			return &s->node[i];
	return NULL;
}

struct node *nodes_nearest(const struct nodes *s, const char *path)
{
	char *up = strdup(path);
	struct node *node;

	if (!up)
		broker_die("memory");
	do
		node = nodes_find(s, up);
	while (!node && path_parent(up));
	free(up);
	return node;
}

static struct node *append(struct nodes *s, const char *path)
{
	struct node *node;

	if (s->n == s->size) {
		s->size = s->size ? 2 * s->size : 64;
		s->node = realloc(s->node, s->size * sizeof(*s->node));
		if (!s->node)
			broker_die("memory");
	}
	node = &s->node[s->n++];
	memset(node, 0, sizeof(*node));
	node->path = strdup(path);
	node->gen = ++generation;
	nodes_set(node, "", 0);
	return node;
}

/* Something came below it or went. */
static void touch_parent(struct nodes *s, const char *path)
{
	char *up = strdup(path);
	struct node *node;

	if (!up)
		broker_die("memory");
	node = path_parent(up) ? nodes_find(s, up) : NULL;
	if (node)
		node->gen = ++generation;
	free(up);
}

struct node *nodes_make(struct nodes *s, const char *path, uint32_t domid)
{
	struct node *node = nodes_find(s, path), *parent, copy = {0};
	char *up;

	if (node)
		return node;
	up = strdup(path);
	if (!up)
		broker_die("memory");
	parent = path_parent(up) ? nodes_make(s, up, domid) : NULL;
	free(up);
	if (parent)
		copy = *parent;
	node = append(s, path);
	memcpy(node->perm, copy.perm, sizeof(node->perm));
	node->perms = copy.perms ? copy.perms : 1;
	if (domid)
		node->perm[0].id = domid;
	touch_parent(s, path);
	return nodes_find(s, path);
}

void nodes_set(struct node *node, const void *value, size_t len)
{
	char *copy = broker_alloc(1, len + 1);

	memcpy(copy, value, len);
	free(node->value);
	node->value = copy;
	node->len = len;
	node->gen = ++generation;
}

static void drop(struct node *node)
{
	free(node->path);
	free(node->value);
}

void nodes_remove(struct nodes *s, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (path_below(s->node[i].path, path))
			drop(&s->node[i]);
		else
			s->node[kept++] = s->node[i];
	}
	s->n = kept;
	touch_parent(s, path);
}

void nodes_copy(struct nodes *to, const struct nodes *from)
{
	to->node = broker_alloc(from->n, sizeof(*to->node));
	to->n = to->size = from->n;
	for (size_t i = 0; i < from->n; i++) {
		to->node[i] = from->node[i];
		to->node[i].path = strdup(from->node[i].path);
		to->node[i].value = broker_alloc(1, from->node[i].len + 1);
		memcpy(to->node[i].value, from->node[i].value,
		       from->node[i].len);
	}
}

void nodes_drop(struct nodes *s)
{
	for (size_t i = 0; i < s->n; i++)
		drop(&s->node[i]);
	free(s->node);
	memset(s, 0, sizeof(*s));
}

bool node_allows(const struct node *node, uint32_t domid, unsigned int want)
{
	if (domid == 0 || node->perm[0].id == domid)
		return true;
	for (unsigned int i = 1; i < node->perms; i++)
		if (node->perm[i].id == domid)
			return (node->perm[i].perms & want) == want;
	return (node->perm[0].perms & want) == want;
}
