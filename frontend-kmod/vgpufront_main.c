// SPDX-License-Identifier: GPL-2.0
/*
 * vgpufront_main.c - the xenbus device's life
 *
 * Owns struct vgf_dev from probe to its last reference, and the frontend's
 * side of the state diagram in <xen/io/vgpuif.h>. Callbacks run in the
 * xenwatch thread (or in rmmod) and must not wait for the backend, except when
 * the device goes away, and then not for long.
 *
 *   backend        frontend does                          its new state
 *   -------------  -------------------------------------  --------------
 *   InitWait       reads facts, grants, publishes         Initialised
 *   Connected      takes requests, /dev/vgpufront<n>      Connected
 *   Closing        completes all with "device lost"       Closing
 *   Closed, gone   ends its grants                        Closed
 *   Initialising,  (restarted while it was connected)
 *   InitWait       as for Closed, then negotiates again   Initialising
 *
 * A guest that was saved and restored, or migrated, begins anew: see resume(),
 * and class_changed() where the device's directories come later than the guest.
 */
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <xen/platform_pci.h>
#include <xen/xen.h>
#include "vgpufront.h"

/* How long a device that goes away waits for the backend to be Closed. */
#define CLOSE_TIMEOUT_US	(5 * USEC_PER_SEC)
#define CLOSE_POLL_US		(2 * USEC_PER_MSEC)

struct workqueue_struct *vgf_wq;

static DEFINE_MUTEX(devs_lock);
static LIST_HEAD(devs);

static void dev_release(struct kref *kref)
{
	struct vgf_dev *vgf = container_of(kref, struct vgf_dev, kref);

	ida_destroy(&vgf->ctx_ids);
	bitmap_free(vgf->handles);
	mutex_destroy(&vgf->life);
	kvfree(vgf);
}

void vgf_dev_put(struct vgf_dev *vgf)
{
	kref_put(&vgf->kref, dev_release);
}

/* The interrupt found the backend breaking the protocol. */
static void broken_work(struct work_struct *work)
{
	struct vgf_dev *vgf = container_of(work, struct vgf_dev, broken_work);
	enum vgpufront_violation how;
	struct vgpu_response rsp;
	RING_IDX prod;

	mutex_lock(&vgf->life);
	spin_lock_irq(&vgf->lock);
	how = vgf->ring.violation;
	rsp = vgf->ring.bad;
	prod = vgf->ring.bad_prod;
	spin_unlock_irq(&vgf->lock);

	if (how == VGPUFRONT_BAD_PRODUCER)
		xenbus_dev_error(vgf->xbdev, -EPROTO,
				 "broken backend: %s (%u)",
				 vgpufront_violation_text(how), prod);
	else
		xenbus_dev_error(vgf->xbdev, -EPROTO,
				 "broken backend: %s (id %u, op %u, status %u, retired %u)",
				 vgpufront_violation_text(how), rsp.id, rsp.op,
				 rsp.status, rsp.retired);
	/* Not where it was closed before this work ran. */
	if (vgf->linked)
		xenbus_switch_state(vgf->xbdev, XenbusStateClosing);
	mutex_unlock(&vgf->life);
}

/* Backend in InitWait. Under life. */
static void negotiate(struct vgf_dev *vgf)
{
	struct xenbus_device *xbdev = vgf->xbdev;

	if (vgf->state == VGPUFRONT_STATE_BROKEN)
		return;
	/* Published already: a second event for the same InitWait. */
	if (xbdev->state == XenbusStateInitialised)
		return;

	vgf_link_settle(vgf);
	if (vgf->attempts == VGF_MAX_ATTEMPTS) {
		dev_err(&xbdev->dev, "gave up: the backend closed %u times before it was connected\n",
			vgf->attempts);
		vgf->attempts++;
	}
	if (vgf->attempts > VGF_MAX_ATTEMPTS)
		return;

	vgf->attempts++;
	xenbus_switch_state(xbdev, XenbusStateInitialising);
	if (vgf_facts_read(vgf, &vgf->facts) || vgf_link_setup(vgf))
		return;
	xenbus_switch_state(xbdev, XenbusStateInitialised);
}

/* Backend in Connected. Under life. */
static void connected(struct vgf_dev *vgf)
{
	struct xenbus_device *xbdev = vgf->xbdev;
	int err;

	if (xbdev->state != XenbusStateInitialised || !vgf->linked)
		return;

	err = vgf_link_up(vgf);
	if (err) {
		vgf_link_down(vgf, VGPUFRONT_STATE_CLOSING);
		xenbus_dev_fatal(xbdev, err, "offering /dev/%s", vgf->name);
		return;
	}
	vgf->attempts = 0;
	dev_info(&xbdev->dev, "%s: %s on %s, served by domain %u\n", vgf->name,
		 vgf->facts.engine, vgf->facts.gpu_name, vgf->domid);
	xenbus_switch_state(xbdev, XenbusStateConnected);
}

/* Backend Closed or gone. Under life. */
static void closed(struct vgf_dev *vgf)
{
	struct xenbus_device *xbdev = vgf->xbdev;

	/* Not begun yet: this backend is Closed from an earlier life of ours. */
	if (xbdev->state == XenbusStateInitialising)
		return;
	vgf_link_settle(vgf);
	xenbus_frontend_closed(xbdev);
}

static void backend_changed(struct xenbus_device *xbdev,
			    enum xenbus_state state)
{
	struct vgf_dev *vgf = dev_get_drvdata(&xbdev->dev);

	mutex_lock(&vgf->life);
	if (vgf->shutdown)
		goto out;

	switch (state) {
	case XenbusStateInitWait:
		negotiate(vgf);
		break;
	case XenbusStateConnected:
		connected(vgf);
		break;
	case XenbusStateClosing:
		if (xbdev->state == XenbusStateInitialising ||
		    xbdev->state == XenbusStateClosed)
			break;
		vgf_link_down(vgf, VGPUFRONT_STATE_CLOSING);
		xenbus_switch_state(xbdev, XenbusStateClosing);
		break;
	case XenbusStateInitialising:
		/* Restarted: what we published is stale, InitWait follows. */
		if (!vgf->linked)
			break;
		dev_warn(&xbdev->dev, "backend restarted\n");
		vgf_link_settle(vgf);
		xenbus_switch_state(xbdev, XenbusStateInitialising);
		break;
	case XenbusStateUnknown:
	case XenbusStateClosed:
		closed(vgf);
		break;
	case XenbusStateInitialised:
	case XenbusStateReconfiguring:
	case XenbusStateReconfigured:
		break;
	}
out:
	mutex_unlock(&vgf->life);
}

static bool backend_has_closed(struct xenbus_device *xbdev)
{
	switch (xenbus_read_driver_state(xbdev->otherend)) {
	case XenbusStateInitialised:
	case XenbusStateConnected:
	case XenbusStateClosing:
		return false;
	default:
		return true;
	}
}

/*
 * Close for good: in order where the backend plays along, and else without it
 * after a while. Polls, as the watch may be gone or its thread be this one.
 */
static void shut(struct vgf_dev *vgf)
{
	struct xenbus_device *xbdev = vgf->xbdev;
	bool linked, done;

	mutex_lock(&vgf->life);
	vgf->shutdown = true;
	linked = vgf->linked;
	vgf_link_down(vgf, VGPUFRONT_STATE_CLOSING);
	/*
	 * Without our directory the backend can not see that we are closing; and
	 * after a restore without it the core knows no other end.
	 */
	if (linked && xbdev->otherend &&
	    xenbus_exists(XBT_NIL, xbdev->nodename, "state"))
		xenbus_switch_state(xbdev, XenbusStateClosing);
	else
		linked = false;
	mutex_unlock(&vgf->life);

	cancel_work_sync(&vgf->broken_work);
	if (linked && read_poll_timeout(backend_has_closed, done, done,
					CLOSE_POLL_US, CLOSE_TIMEOUT_US, false,
					xbdev))
		dev_warn(&xbdev->dev, "backend does not close\n");

	mutex_lock(&vgf->life);
	vgf_link_settle(vgf);
	mutex_unlock(&vgf->life);
}

static int probe(struct xenbus_device *xbdev, const struct xenbus_device_id *id)
{
	const char *last = strrchr(xbdev->nodename, '/');
	struct vgf_dev *vgf;
	u64 devid;

	if (!last || !vgpufront_parse_u64(last + 1, INT_MAX, &devid)) {
		xenbus_dev_fatal(xbdev, -EINVAL, "no device number in %s",
				 xbdev->nodename);
		return -EINVAL;
	}
	/* Large: it has the records of all ids in it. */
	vgf = kvzalloc(sizeof(*vgf), GFP_KERNEL);
	if (!vgf) {
		xenbus_dev_fatal(xbdev, -ENOMEM, "allocating the device");
		return -ENOMEM;
	}

	kref_init(&vgf->kref);
	mutex_init(&vgf->life);
	spin_lock_init(&vgf->lock);
	ida_init(&vgf->ctx_ids);
	init_waitqueue_head(&vgf->wq);
	INIT_WORK(&vgf->reclaim_work, vgf_reclaim);
	INIT_WORK(&vgf->broken_work, broken_work);
	INIT_LIST_HEAD(&vgf->contexts);
	INIT_LIST_HEAD(&vgf->dying);
	INIT_LIST_HEAD(&vgf->buffers);
	INIT_LIST_HEAD(&vgf->turns);
	INIT_LIST_HEAD(&vgf->wake_list);
	vgf->devid = devid;
	if (devid)
		snprintf(vgf->name, sizeof(vgf->name), VGF_NAME "%u",
			 vgf->devid);
	else
		strscpy(vgf->name, VGF_NAME, sizeof(vgf->name));
	vgf->misc.minor = MISC_DYNAMIC_MINOR;
	vgf->misc.name = vgf->name;
	vgf->misc.fops = &vgf_fops;
	vgf->misc.parent = &xbdev->dev;
	vgf->xbdev = xbdev;
	dev_set_drvdata(&xbdev->dev, vgf);
	vgf_debugfs_add(vgf);

	mutex_lock(&devs_lock);
	list_add_tail(&vgf->node, &devs);
	mutex_unlock(&devs_lock);

	/* An earlier module may have left Closed behind. */
	xenbus_switch_state(xbdev, XenbusStateInitialising);

	return 0;
}

static void detach(struct xenbus_device *xbdev)
{
	struct vgf_dev *vgf = dev_get_drvdata(&xbdev->dev);

	mutex_lock(&devs_lock);
	list_del(&vgf->node);
	mutex_unlock(&devs_lock);

	/* No new file; those that are open stay, lost, and hold vgf. */
	if (vgf->misc_registered)
		misc_deregister(&vgf->misc);
	shut(vgf);
	vgf_debugfs_remove(vgf);
	mutex_lock(&vgf->life);
	vgf->xbdev = NULL;
	mutex_unlock(&vgf->life);
	flush_work(&vgf->reclaim_work);
	dev_set_drvdata(&xbdev->dev, NULL);
	vgf_dev_put(vgf);
}

/* What the return value is depends on the kernel's backports, see Kbuild. */
#ifdef VGF_REMOVE_VOID
static void remove(struct xenbus_device *xbdev)
{
	detach(xbdev);
}
#else
static int remove(struct xenbus_device *xbdev)
{
	detach(xbdev);

	return 0;
}
#endif

/* Also before a save after which the guest goes on where it is. */
static int suspend(struct xenbus_device *xbdev)
{
	vgf_suspend(dev_get_drvdata(&xbdev->dev));

	return 0;
}

/*
 * After save and restore, or migration: the grant table and all ports are new,
 * and so is the backend. As if it had been lost, and found again.
 *
 * The references of the grants are ours all the while, in the new table too,
 * where their entries are empty: they are ended like any others, once. The
 * xenwatch thread runs this, so no callback of ours does meanwhile.
 */
static int resume(struct xenbus_device *xbdev)
{
	vgf_begin_anew(dev_get_drvdata(&xbdev->dev));

	return 0;
}

/* A device of ours that the xenbus core could not resume, with a reference. */
static struct xenbus_device *not_resumed(void)
{
	struct xenbus_device *xbdev = NULL;
	struct vgf_dev *vgf;

	mutex_lock(&devs_lock);
	list_for_each_entry(vgf, &devs, node) {
		if (vgf->xbdev->otherend)
			continue;
		xbdev = vgf->xbdev;
		get_device(&xbdev->dev);
		vgf_begin_anew(vgf);
		break;
	}
	mutex_unlock(&devs_lock);

	return xbdev;
}

/*
 * Something changed below device/vgpu, or xenstore is another one: all watches
 * fire once after each restore, when the devices have been resumed.
 *
 * The toolstack may make the directories of a restored guest's device late, or
 * never. Then the core cannot resume it, does not call resume(), and forgets
 * the other end, and the device is never looked at again, as directories that
 * appear are taken for its own. So it is removed here, as the core does with a
 * device whose directory goes. What waits for it is told that it is lost.
 */
static void class_changed(struct xenbus_watch *watch, const char *path,
			  const char *token)
{
	struct xenbus_device *xbdev;

	while ((xbdev = not_resumed())) {
		dev_warn(&xbdev->dev, "no backend after a restore\n");
		device_unregister(&xbdev->dev);
		/*
		 * If they have appeared meanwhile nobody else tells the core:
		 * it finds a device when something in it is written.
		 */
		if (xenbus_exists(XBT_NIL, xbdev->nodename, "state"))
			xenbus_printf(XBT_NIL, xbdev->nodename, "state", "%d",
				      XenbusStateInitialising);
		put_device(&xbdev->dev);
	}
}

static struct xenbus_watch class_watch = {
	.node = "device/" VGPUIF_CLASS,
	.callback = class_changed,
};

/*
 * The xenbus core waits at shutdown for a backend that stays in Closing until
 * the frontend is Closed; ours goes on to Closed by itself. So close before.
 */
static int rebooting(struct notifier_block *nb, unsigned long action,
		     void *unused)
{
	struct vgf_dev *vgf;

	mutex_lock(&devs_lock);
	list_for_each_entry(vgf, &devs, node) {
		shut(vgf);
		xenbus_frontend_closed(vgf->xbdev);
	}
	mutex_unlock(&devs_lock);

	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = { .notifier_call = rebooting };

static const struct xenbus_device_id ids[] = { { VGPUIF_CLASS }, { "" } };

static struct xenbus_driver driver = {
	.name = VGF_NAME,
	.ids = ids,
	.not_essential = true,
	.probe = probe,
	.remove = remove,
	.suspend = suspend,
	.resume = resume,
	.otherend_changed = backend_changed,
};

static int __init vgpufront_init(void)
{
	int err;

	if (!xen_domain() || !xen_has_pv_devices())
		return -ENODEV;

	vgf_wq = alloc_workqueue(VGF_NAME, WQ_UNBOUND, 0);
	if (!vgf_wq)
		return -ENOMEM;
	vgf_debugfs_init();
	err = register_reboot_notifier(&reboot_nb);
	if (err)
		goto fail;
	err = xenbus_register_frontend(&driver);
	if (err)
		goto fail_notifier;
	err = register_xenbus_watch(&class_watch);
	if (err)
		goto fail_driver;

	return 0;

fail_driver:
	xenbus_unregister_driver(&driver);
fail_notifier:
	unregister_reboot_notifier(&reboot_nb);
fail:
	vgf_debugfs_exit();
	destroy_workqueue(vgf_wq);

	return err;
}
module_init(vgpufront_init);

static void __exit vgpufront_exit(void)
{
	unregister_xenbus_watch(&class_watch);
	unregister_reboot_notifier(&reboot_nb);
	xenbus_unregister_driver(&driver);
	/* Runs what is left of contexts that were closed just before. */
	destroy_workqueue(vgf_wq);
	vgf_debugfs_exit();
}
module_exit(vgpufront_exit);

MODULE_DESCRIPTION("Xen paravirtual GPU compute frontend");
MODULE_LICENSE("GPL");
MODULE_ALIAS("xen:" VGPUIF_CLASS);
MODULE_VERSION(VGF_VERSION);
