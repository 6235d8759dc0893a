// SPDX-License-Identifier: MIT
/*
 * negotiate.c - checks the frontend's nodes (see negotiate.h)
 */
#include "negotiate.h"

#include <stdio.h>
#include <stdlib.h>

#include "../xenstore-schema/values.h"
#include "vgpu_nodes.h"

/* The most event channels that Xen gives a domain. */
#define MAX_EVENT_CHANNEL 131071

struct source {
	node_reader *read;
	void *arg;
	char *why;
};

/* A missing node leaves *out as it is where it may be missing. */
static bool number_or(struct source *src, const char *node, bool optional,
		      uint32_t min, uint32_t max, uint32_t *out)
{
	char shown[VGPU_SHOW_LEN];
	unsigned int len = 0;
	uint64_t v;
	char *val = src->read(src->arg, node, &len);
	bool ok = val && vgpu_parse_uint(val, len, max, &v) && v >= min;

	if (ok)
		*out = v;
	else if (val)
		snprintf(src->why, WORKER_WHY,
			 "frontend's %s is \"%.32s\", must be a number %u ... "
			 "%u",
			 node, vgpu_show(shown, val, len), min, max);
	else if (optional)
		ok = true;
	else
		snprintf(src->why, WORKER_WHY, "frontend's %s is missing",
			 node);
	free(val);
	return ok;
}

static bool number(struct source *src, const char *node, uint32_t min,
		   uint32_t max, uint32_t *out)
{
	return number_or(src, node, false, min, max, out);
}

static bool ring_refs(struct source *src, uint32_t order, uint32_t *refs)
{
	char node[24];

	if (order == 0)
		return number(src, VGPU_NODE_RING_REF, 1, UINT32_MAX, refs);
	for (uint32_t i = 0; i < 1u << order; i++) {
		snprintf(node, sizeof(node), VGPU_NODE_RING_REF_FMT, i);
		if (!number(src, node, 1, UINT32_MAX, &refs[i]))
			return false;
	}
	return true;
}

bool negotiate(node_reader *read, void *arg, struct worker_config *cfg,
	       char why[WORKER_WHY])
{
	struct source src = {.read = read, .arg = arg, .why = why};
	uint32_t version;

	cfg->ring_order = 0;
	return number(&src, VGPU_NODE_VERSION, VGPUIF_VERSION, VGPUIF_VERSION,
		      &version) &&
	       number_or(&src, VGPU_NODE_RING_PAGE_ORDER, true, 0,
			 VGPUIF_MAX_RING_PAGE_ORDER, &cfg->ring_order) &&
	       ring_refs(&src, cfg->ring_order, cfg->ring_ref) &&
	       number(&src, VGPU_NODE_EVENT_CHANNEL, 1, MAX_EVENT_CHANNEL,
		      &cfg->event_channel) &&
	       number(&src, VGPU_NODE_ARENA_PAGES, 1, VGPUIF_MAX_ARENA_PAGES,
		      &cfg->arena_pages) &&
	       number(&src, VGPU_NODE_ARENA_REF, 1, UINT32_MAX,
		      &cfg->arena_ref);
}
