/* SPDX-License-Identifier: MIT */
/*
 * grants.h - a guest's granted pages: read its directories, map and unmap
 *
 * Owns the gnttab handle of the worker and all use of it. Knows nothing of
 * requests. A grant reference is a number of the guest's choice: the hypervisor
 * decides what it gives, here only counts are bounded.
 */
#ifndef VGPU_BACKEND_GRANTS_H
#define VGPU_BACKEND_GRANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <xengnttab.h>

#include "limits.h"

/*
 * @refs: room for the references of the largest buffer, allocated once so that
 *	no guest makes the worker grow
 */
struct grants {
	xengnttab_handle *xgt;
	uint32_t domid;
	uint32_t *refs;
};

/* Opens gntdev; false with errno. */
bool grants_open(struct grants *g, uint32_t domid);
void grants_close(struct grants *g);

/*
 * Walks the chain of directories from gref first and maps the nr pages that it
 * names, 1 ... BACK_MAX_BUFFER_PAGES, in order, contiguously.
 * VGPU_RSP_GRANT: Xen refused a grant; VGPU_RSP_INVALID: the chain is shorter
 * or longer than nr pages need.
 */
enum vgpu_status grants_map_directory(struct grants *g, uint32_t first,
				      uint32_t nr, bool read_only, void **base);

/*
 * Maps the nr pages of the last grants_map_directory() once more, writable, at
 * most VGPUIF_MAX_ARENA_PAGES. No page follows the one that it follows there,
 * and from four pages on no two are neighbours in both. NULL where Xen refused
 * one.
 */
void *grants_map_scattered(struct grants *g, uint32_t nr);

/* Maps nr grants for reading and writing; NULL where Xen refused one. */
void *grants_map(struct grants *g, uint32_t *refs, uint32_t nr);

/* base and nr as mapped. */
void grants_unmap(struct grants *g, void *base, uint32_t nr);

#endif /* VGPU_BACKEND_GRANTS_H */
