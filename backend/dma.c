// SPDX-License-Identifier: MIT
/*
 * dma.c - tries pages of the guest before any becomes a region (see dma.h)
 *
 * Run once by the worker's thread, before the guest is told that it is served.
 * Maps and unmaps; keeps nothing.
 */
#include "dma.h"

#include <stdio.h>

#include "log.h"

/* From so many on, pages can be mapped with no neighbours beside each other. */
#define LEAST_PAGES 4

static bool try(struct grants *g, struct vgpu_engine *eng, uint32_t nr,
		char why[VGPU_ENGINE_WHY])
{
	bool passed;
	void *pages;

	/* Would pass where only what lies in one piece works. */
	if (nr < LEAST_PAGES) {
		snprintf(why, VGPU_ENGINE_WHY, "the arena is too small to try");
		return false;
	}
	pages = grants_map_scattered(g, nr);
	if (!pages) {
		snprintf(why, VGPU_ENGINE_WHY,
			 "the arena cannot be mapped twice");
		return false;
	}
	passed = vgpu_engine_region_test(eng, pages,
					 (size_t)nr * VGPUIF_PAGE_SIZE, why);
	grants_unmap(g, pages, nr);
	return passed;
}

bool dma_test(struct grants *g, struct vgpu_engine *eng, uint32_t nr)
{
	char why[VGPU_ENGINE_WHY] = "";
	bool passed = try(g, eng, nr, why);

	log_event(LOG_INFO, "dma-test",
		  F_STR("result", passed ? "passed" : "no-regions"),
		  F_STR("why", why));
	return passed;
}
