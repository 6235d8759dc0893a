// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_suspend.c - the guest is saved or moved, and runs again elsewhere
 *
 * Owns what a device needs before and after that. Runs in the xenwatch thread,
 * which suspends the domain, while all programs are frozen: nobody submits, and
 * no other callback of a xenbus device runs; interrupts and the reclaim work do.
 * It must not take anything from the backend, which goes on meanwhile.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include "vgpufront.h"

/* A write that changes nothing, whatever else writes there at the same time. */
static void touch(struct page *page)
{
	atomic_t *word = kmap_local_page(page);

	atomic_add(0, word);
	kunmap_local(word);
}

static void touch_buffer(const struct vgf_buffer *buf)
{
	unsigned int i;

	for (i = 0; i < buf->nr_pages; i++) {
		touch(buf->pages[i]);
		if (!(i % 1024))
			cond_resched();
	}
}

/*
 * A guest that moves while it runs is copied, and then again those of its pages
 * that were written to. Xen sees what the guest itself writes, and sees a page
 * that the backend gives back, but not what the backend writes to one that it
 * keeps mapped. So results that programs have been told of would stay behind:
 * make the guest write to all such pages. What the toolstack has not read by
 * now it reads when the domain has stopped.
 */
void vgf_suspend(struct vgf_dev *vgf)
{
	struct vgf_buffer *buf;

	spin_lock_irq(&vgf->lock);
	list_for_each_entry(buf, &vgf->buffers, node) {
		if (buf->read_only || (buf->state != VGF_BUF_MAPPED &&
				       buf->state != VGF_BUF_UNMAPPING))
			continue;
		/* Neither released nor off the list as long as it is in use. */
		buf->in_use++;
		spin_unlock_irq(&vgf->lock);
		touch_buffer(buf);
		spin_lock_irq(&vgf->lock);
		buf->in_use--;
	}
	/* What could not go on because of that. */
	vgf_kick(vgf);
	wake_up_all(&vgf->wq);
	spin_unlock_irq(&vgf->lock);
}

/* Nothing is left of the connection, nor of what its backend did. */
void vgf_begin_anew(struct vgf_dev *vgf)
{
	cancel_work_sync(&vgf->broken_work);
	mutex_lock(&vgf->life);
	vgf_link_settle(vgf);
	vgf->attempts = 0;
	/* The backend that broke the rules stayed behind. */
	spin_lock_irq(&vgf->lock);
	vgf->state = VGPUFRONT_STATE_DISCONNECTED;
	spin_unlock_irq(&vgf->lock);
	mutex_unlock(&vgf->life);
}
