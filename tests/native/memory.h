/* SPDX-License-Identifier: MIT */
/*
 * memory.h - a guest's memory: pages, and grants of them
 *
 * Used by the frontend's thread. Pages are numbers; guest_at() is where this
 * process sees them.
 */
#ifndef NATIVE_MEMORY_H
#define NATIVE_MEMORY_H

#include "client.h"

struct guest_mem {
	struct nx_conn conn;
	int fd;
	uint8_t *base;
	uint32_t pages;
	uint32_t hint;
	bool *taken;
};

bool guest_open(struct guest_mem *m, uint32_t domid);
void guest_close(struct guest_mem *m);

/* n pages that follow each other, zeroed; the first, or 0: there are none. */
uint32_t guest_alloc(struct guest_mem *m, uint32_t n);
void guest_free(struct guest_mem *m, uint32_t page, uint32_t n);

static inline void *guest_at(const struct guest_mem *m, uint32_t page)
{
	return m->base + page * NX_PAGE;
}

/* The pages in this order, side by side; guest_view_end() ends it. */
void *guest_view(const struct guest_mem *m, const uint32_t *pages, uint32_t n);
void guest_view_end(void *view, uint32_t n);

/* Grants pages to a domain; the references into refs. */
bool guest_grant(struct guest_mem *m, uint32_t to, bool read_only,
		 const uint32_t *pages, uint32_t n, uint32_t *refs);
/* All or none; false with EBUSY where one is mapped. */
bool guest_end_grant(struct guest_mem *m, const uint32_t *refs, uint32_t n);

#endif /* NATIVE_MEMORY_H */
