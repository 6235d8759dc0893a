/* SPDX-License-Identifier: MIT */
/* list.h - doubly linked lists with a head. Whoever owns one has a lock for it. */
#ifndef LIBVGPUFRONT_LIST_H
#define LIBVGPUFRONT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}

static inline void list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = n;
}

#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* node is the first member of most of what is in a list. */
#define list_for_each(pos, head)                                               \
	for (pos = (__typeof__(pos))(void *)(head)->next;                      \
	     (struct list *)(void *)pos != (head);                             \
	     pos = (__typeof__(pos))(void *)pos->node.next)

#endif /* LIBVGPUFRONT_LIST_H */
