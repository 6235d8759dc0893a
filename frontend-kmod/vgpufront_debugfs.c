// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_debugfs.c - /sys/kernel/debug/vgpufront/<n>/
 *
 * Read-only views for developers: status has one "name value" a line, latency
 * one "upper bound in ns, count" a line. Runs in system calls; the files are
 * gone, and no read of them runs, once vgf_debugfs_remove() has returned.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "vgpufront.h"

static struct dentry *root;

static const char *const state_text[] = {
	[VGPUFRONT_STATE_DISCONNECTED] = "disconnected",
	[VGPUFRONT_STATE_CONNECTED] = "connected",
	[VGPUFRONT_STATE_CLOSING] = "closing",
	[VGPUFRONT_STATE_BROKEN] = "broken",
};

/* Under life, so that the shared page stays; under lock, for one moment. */
static void show_ring(struct seq_file *m, struct vgf_dev *vgf)
{
	const struct vgpufront_ring *r = &vgf->ring;
	const struct vgpu_sring *sring = r->front.sring;

	seq_printf(m, "ring_slots %u\n", RING_SIZE(&r->front));
	seq_printf(m, "ring_free %u\n", vgpufront_ring_free(r));
	seq_printf(m, "in_flight %u\n", vgpufront_ring_in_flight(r));
	seq_printf(m, "quiet_in_flight %u\n", vgpufront_ring_quiet(r));
	seq_printf(m, "req_prod_pvt %u\n", r->front.req_prod_pvt);
	seq_printf(m, "rsp_cons %u\n", r->front.rsp_cons);
	seq_printf(m, "shared_req_prod %u\n", READ_ONCE(sring->req_prod));
	seq_printf(m, "shared_req_event %u\n", READ_ONCE(sring->req_event));
	seq_printf(m, "shared_rsp_prod %u\n", READ_ONCE(sring->rsp_prod));
	seq_printf(m, "shared_rsp_event %u\n", READ_ONCE(sring->rsp_event));
	seq_printf(m, "arena_size %u\n", vgf->blocks.size);
	seq_printf(m, "arena_in_use %u\n",
		   vgpufront_arena_in_use(&vgf->blocks));
}

static unsigned int count(const struct list_head *list)
{
	const struct list_head *node;
	unsigned int n = 0;

	list_for_each(node, list)
		n++;

	return n;
}

static int status_show(struct seq_file *m, void *unused)
{
	struct vgf_dev *vgf = m->private;
	const struct vgf_stats *stats = &vgf->stats;

	if (mutex_lock_interruptible(&vgf->life))
		return -EINTR;
	spin_lock_irq(&vgf->lock);
	seq_printf(m, "state %s\n", state_text[vgf->state]);
	seq_printf(m, "reason %s\n",
		   vgpufront_violation_text(vgf->ring.violation));
	seq_printf(m, "generation %u\n", vgf->generation);
	seq_printf(m, "backend_domid %u\n", vgf->domid);
	if (vgf->linked)
		show_ring(m, vgf);
	seq_printf(m, "requests %llu\n", stats->requests);
	seq_printf(m, "responses %llu\n", stats->responses);
	seq_printf(m, "quiet %llu\n", stats->quiet);
	seq_printf(m, "retired %llu\n", stats->retired);
	seq_printf(m, "notify_sent %llu\n", stats->notify_sent);
	seq_printf(m, "notify_suppressed %llu\n", stats->notify_suppressed);
	seq_printf(m, "irqs %llu\n", stats->irqs);
	seq_printf(m, "irqs_spurious %llu\n", stats->irqs_spurious);
	seq_printf(m, "protocol_errors %llu\n", stats->protocol_errors);
	seq_printf(m, "unmap_errors %llu\n", stats->unmap_errors);
	seq_printf(m, "contexts %u\n", count(&vgf->contexts));
	seq_printf(m, "contexts_closing %u\n", count(&vgf->dying));
	seq_printf(m, "buffers %u\n", count(&vgf->buffers));
	seq_printf(m, "buffers_closing %u\n", vgf->nr_background);
	spin_unlock_irq(&vgf->lock);
	seq_printf(m, "grants_in_use %d\n", atomic_read(&vgf->grants_in_use));
	seq_printf(m, "grants_kept %d\n", atomic_read(&vgf->grants_kept));
	mutex_unlock(&vgf->life);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(status);

static int latency_show(struct seq_file *m, void *unused)
{
	struct vgf_dev *vgf = m->private;
	unsigned int i;

	spin_lock_irq(&vgf->lock);
	for (i = 0; i < VGF_LATENCY_BUCKETS; i++)
		if (vgf->stats.latency[i])
			seq_printf(m, "%llu %llu\n", 2ULL << i,
				   vgf->stats.latency[i]);
	spin_unlock_irq(&vgf->lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(latency);

void vgf_debugfs_init(void)
{
	root = debugfs_create_dir(VGF_NAME, NULL);
}

void vgf_debugfs_exit(void)
{
	debugfs_remove(root);
}

void vgf_debugfs_add(struct vgf_dev *vgf)
{
	char dir[12];

	snprintf(dir, sizeof(dir), "%u", vgf->devid);
	vgf->debugfs = debugfs_create_dir(dir, root);
	debugfs_create_file("status", 0400, vgf->debugfs, vgf, &status_fops);
	debugfs_create_file("latency", 0400, vgf->debugfs, vgf, &latency_fops);
}

void vgf_debugfs_remove(struct vgf_dev *vgf)
{
	debugfs_remove(vgf->debugfs);
}
