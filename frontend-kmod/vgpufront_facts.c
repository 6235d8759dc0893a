// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_facts.c - what the backend published in xenstore
 *
 * Reads each node once for a connection, strictly: a number must be a number
 * in its range, text becomes printable and is cut. Runs in the xenwatch thread
 * under vgf_dev.life. A backend that breaks the rules is refused by name of
 * the node.
 */
#include <linux/limits.h>
#include <linux/slab.h>
#include "vgpu_nodes.h"
#include "vgpufront.h"

static int read_number(struct vgf_dev *vgf, const char *node, u64 min, u64 max,
		       u64 *out)
{
	struct xenbus_device *xbdev = vgf->xbdev;
	char *s = xenbus_read(XBT_NIL, xbdev->otherend, node, NULL);
	bool good;

	if (IS_ERR(s)) {
		xenbus_dev_fatal(xbdev, PTR_ERR(s), "reading %s/%s",
				 xbdev->otherend, node);
		return PTR_ERR(s);
	}
	good = vgpufront_parse_u64(s, max, out) && *out >= min;
	kfree(s);
	if (!good) {
		xenbus_dev_fatal(xbdev, -EINVAL,
				 "%s/%s is not a number from %llu to %llu",
				 xbdev->otherend, node, min, max);
		return -EINVAL;
	}

	return 0;
}

/* Missing text is "". */
static void read_text(struct vgf_dev *vgf, const char *node, char *out,
		      size_t size)
{
	char *s = xenbus_read(XBT_NIL, vgf->xbdev->otherend, node, NULL);

	vgpufront_copy_text(out, size, IS_ERR(s) ? "" : s);
	if (!IS_ERR(s))
		kfree(s);
}

static bool list_node_has(struct vgf_dev *vgf, const char *node,
			  const char *word)
{
	char *s = xenbus_read(XBT_NIL, vgf->xbdev->otherend, node, NULL);
	bool has;

	if (IS_ERR(s))
		return false;
	has = vgpufront_list_has(s, word);
	kfree(s);

	return has;
}

/* The largest block of payload fits, or a LAUNCH could wait for ever. */
static bool arena_suffices(const struct vgf_facts *facts)
{
	return vgf_blocks_base(facts) + VGPUFRONT_MAX_BLOCK <=
	       facts->arena_pages * PAGE_SIZE;
}

#define READ_TEXT(vgf, node, field) \
	read_text(vgf, node, field, sizeof(field))

int vgf_facts_read(struct vgf_dev *vgf, struct vgf_facts *facts)
{
	u64 order, arena_pages, max_buffers, max_pages, gpu_memory = 0;
	char *s;

	if (!list_node_has(vgf, VGPU_NODE_VERSIONS, VGPUIF_VERSION_STR)) {
		xenbus_dev_fatal(vgf->xbdev, -EPROTONOSUPPORT,
				 "%s/%s does not list version " VGPUIF_VERSION_STR,
				 vgf->xbdev->otherend, VGPU_NODE_VERSIONS);
		return -EPROTONOSUPPORT;
	}
	if (read_number(vgf, VGPU_NODE_MAX_RING_PAGE_ORDER, 0,
			VGPUIF_MAX_RING_PAGE_ORDER, &order) ||
	    read_number(vgf, VGPU_NODE_MAX_ARENA_PAGES, 1,
			VGPUIF_MAX_ARENA_PAGES, &arena_pages) ||
	    read_number(vgf, VGPU_NODE_MAX_BUFFERS, 1, U32_MAX, &max_buffers) ||
	    read_number(vgf, VGPU_NODE_MAX_BUFFER_PAGES, 1, U32_MAX,
			&max_pages))
		return -EINVAL;

	memset(facts, 0, sizeof(*facts));
	facts->arena_pages = min_t(u64, arena_pages, VGF_ARENA_PAGES);
	facts->ring_page_order = min_t(u64, order, VGF_RING_PAGE_ORDER);
	facts->max_buffers = min_t(u64, max_buffers, VGF_MAX_WIRE_BUFFERS);
	facts->max_buffer_pages = min_t(u64, max_pages, VGF_MAX_BUFFER_PAGES);
	/* A small arena leaves room for INFO on a small ring alone. */
	while (facts->ring_page_order && !arena_suffices(facts))
		facts->ring_page_order--;
	if (!arena_suffices(facts)) {
		xenbus_dev_fatal(vgf->xbdev, -ENOSPC,
				 "%s/%s: no room for the largest request",
				 vgf->xbdev->otherend,
				 VGPU_NODE_MAX_ARENA_PAGES);
		return -ENOSPC;
	}

	READ_TEXT(vgf, VGPU_NODE_ENGINE, facts->engine);
	READ_TEXT(vgf, VGPU_NODE_GPU_NAME, facts->gpu_name);
	READ_TEXT(vgf, VGPU_NODE_GPU_UUID, facts->gpu_uuid);
	READ_TEXT(vgf, VGPU_NODE_COMPUTE_CAPABILITY, facts->compute_capability);
	READ_TEXT(vgf, VGPU_NODE_DRIVER_VERSION, facts->driver_version);
	READ_TEXT(vgf, VGPU_NODE_OPS, facts->ops);
	READ_TEXT(vgf, VGPU_NODE_BUILTINS, facts->builtins);
	facts->ctx_destroy = list_node_has(vgf, VGPU_NODE_OPS, "ctx-destroy");

	/* Only shown to people: unknown where it is no number. */
	s = xenbus_read(XBT_NIL, vgf->xbdev->otherend, VGPU_NODE_GPU_MEMORY,
			NULL);
	if (!IS_ERR(s)) {
		if (vgpufront_parse_u64(s, U64_MAX, &gpu_memory))
			facts->gpu_memory = gpu_memory;
		kfree(s);
	}

	return 0;
}
