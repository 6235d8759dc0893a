// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_link.c - the connection: ring, arena, event channel, their nodes
 *
 * Owns what is shared with the backend for as long as a connection lasts.
 * All under vgf_dev.life, in process context:
 *
 *   setup   grants, event channel and nodes are there for the backend to read
 *   up      requests flow, a new generation begins
 *   down    no request goes out any more, everything in flight is completed
 *           with "device lost"; the backend may still have all mapped
 *   settle  the backend is closed (or gone, or was waited for long enough):
 *           the port is closed and every grant ended
 *
 * Nothing shared is freed before settle.
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <xen/events.h>
#include "vgpu_nodes.h"
#include "vgpufront.h"

static int write_nodes(struct vgf_dev *vgf, struct xenbus_transaction xbt)
{
	const char *dir = vgf->xbdev->nodename;
	unsigned int i;
	char ref[16];
	int err;

	err = xenbus_printf(xbt, dir, VGPU_NODE_VERSION, "%u", VGPUIF_VERSION);
	if (!err)
		err = xenbus_printf(xbt, dir, VGPU_NODE_RING_PAGE_ORDER, "%u",
				    ilog2(vgf->nr_ring_pages));
	if (!err && vgf->nr_ring_pages == 1)
		err = xenbus_printf(xbt, dir, VGPU_NODE_RING_REF, "%u",
				    vgf->ring_refs[0]);
	for (i = 0; !err && vgf->nr_ring_pages > 1 && i < vgf->nr_ring_pages;
	     i++) {
		snprintf(ref, sizeof(ref), VGPU_NODE_RING_REF_FMT, i);
		err = xenbus_printf(xbt, dir, ref, "%u", vgf->ring_refs[i]);
	}
	if (!err)
		err = xenbus_printf(xbt, dir, VGPU_NODE_EVENT_CHANNEL, "%u",
				    vgf->evtchn);
	if (!err)
		err = xenbus_printf(xbt, dir, VGPU_NODE_ARENA_PAGES, "%u",
				    vgf->arena_grants.nr_pages);
	if (!err)
		err = xenbus_printf(xbt, dir, VGPU_NODE_ARENA_REF, "%u",
				    vgf_grants_first_dir(&vgf->arena_grants));

	return err;
}

static int publish(struct vgf_dev *vgf)
{
	struct xenbus_transaction xbt;
	int err;

	do {
		err = xenbus_transaction_start(&xbt);
		if (err)
			break;
		err = write_nodes(vgf, xbt);
		if (err) {
			xenbus_transaction_end(xbt, 1);
			break;
		}
		err = xenbus_transaction_end(xbt, 0);
	} while (err == -EAGAIN);

	return err;
}

static int setup_memory(struct vgf_dev *vgf)
{
	domid_t domid = vgf->xbdev->otherend_id;
	unsigned int nr_arena = vgf->facts.arena_pages;
	int err;

	vgf->nr_ring_pages = 1 << vgf->facts.ring_page_order;
	err = xenbus_setup_ring(vgf->xbdev, GFP_KERNEL, &vgf->ring_pages,
				vgf->nr_ring_pages, vgf->ring_refs);
	if (err)
		return err;
	atomic_add(vgf->nr_ring_pages, &vgf->grants_in_use);

	err = vgf_grants_claim(&vgf->arena_grants, nr_arena);
	if (err)
		return err;
	vgf->arena = vgf_pages_alloc(nr_arena);
	if (!vgf->arena)
		return -ENOMEM;
	vgf_grants_make(vgf, &vgf->arena_grants, domid, vgf->arena, false);

	return 0;
}

static int setup_events(struct vgf_dev *vgf)
{
	int irq, err;

	err = xenbus_alloc_evtchn(vgf->xbdev, &vgf->evtchn);
	if (err)
		return err;
	irq = bind_evtchn_to_irqhandler_lateeoi(vgf->evtchn, vgf_interrupt, 0,
						vgf->name, vgf);
	if (irq <= 0) {
		xenbus_free_evtchn(vgf->xbdev, vgf->evtchn);
		return irq ? irq : -ENXIO;
	}
	vgf->irq = irq;

	return 0;
}

/* Facts are read. On error the device is on its way to Closed. */
int vgf_link_setup(struct vgf_dev *vgf)
{
	u32 base = vgf_blocks_base(&vgf->facts);
	const char *what;
	int err;

	vgf->linked = true;
	what = "granting ring and arena";
	err = setup_memory(vgf);
	if (err)
		goto fail;

	spin_lock_irq(&vgf->lock);
	vgpufront_ring_init(&vgf->ring, vgf->ring_pages,
			    vgf->nr_ring_pages * PAGE_SIZE);
	vgpufront_arena_init(&vgf->blocks, base,
			     vgf->facts.arena_pages * PAGE_SIZE - base);
	vgf->domid = vgf->xbdev->otherend_id;
	spin_unlock_irq(&vgf->lock);

	what = "binding the event channel";
	err = setup_events(vgf);
	if (err)
		goto fail;

	what = "writing the nodes";
	err = publish(vgf);
	if (err)
		goto fail;

	return 0;

fail:
	xenbus_dev_fatal(vgf->xbdev, err, "%s", what);
	vgf_link_settle(vgf);

	return err;
}

/* The backend is connected. */
int vgf_link_up(struct vgf_dev *vgf)
{
	const struct vgf_facts *facts = &vgf->facts;
	unsigned long *handles, *old;
	int err;

	handles = bitmap_zalloc(facts->max_buffers + 1, GFP_KERNEL);
	if (!handles)
		return -ENOMEM;

	/*
	 * Handles and generation change in one step: what is still there of
	 * an earlier generation does not touch the new handles.
	 */
	spin_lock_irq(&vgf->lock);
	old = vgf->handles;
	vgf->handles = handles;
	vgf->generation++;
	vgf->max_buffers = facts->max_buffers;
	vgf->max_buffer_pages = facts->max_buffer_pages;
	vgf->ctx_destroy = facts->ctx_destroy;
	vgf->up = true;
	vgf->state = VGPUFRONT_STATE_CONNECTED;
	spin_unlock_irq(&vgf->lock);
	bitmap_free(old);

	if (vgf->misc_registered)
		return 0;
	err = misc_register(&vgf->misc);
	if (err)
		return err;
	vgf->misc_registered = true;

	return 0;
}

void vgf_link_down(struct vgf_dev *vgf, u32 state)
{
	spin_lock_irq(&vgf->lock);
	/* What is broken stays so, whatever the backend does next. */
	if (vgf->state != VGPUFRONT_STATE_BROKEN)
		vgf->state = state;
	if (vgf->up) {
		vgf->up = false;
		vgf_fail_all(vgf);
	}
	spin_unlock_irq(&vgf->lock);
}

/* Also where there is no connection: the state is DISCONNECTED (or BROKEN). */
void vgf_link_settle(struct vgf_dev *vgf)
{
	vgf_link_down(vgf, VGPUFRONT_STATE_DISCONNECTED);
	if (!vgf->linked)
		return;
	vgf->linked = false;

	/* Waits for a running interrupt; closes the port. */
	if (vgf->irq)
		unbind_from_irqhandler(vgf->irq, vgf);
	vgf->irq = 0;

	if (vgf->ring_pages) {
		xenbus_teardown_ring(&vgf->ring_pages, vgf->nr_ring_pages,
				     vgf->ring_refs);
		atomic_sub(vgf->nr_ring_pages, &vgf->grants_in_use);
	}
	vgf_grants_end(vgf, &vgf->arena_grants);
	vgf_pages_free(vgf->arena, vgf->facts.arena_pages);
	vgf->arena = NULL;

	spin_lock_irq(&vgf->lock);
	vgf->settled = vgf->generation;
	vgf_kick(vgf);
	spin_unlock_irq(&vgf->lock);
}
