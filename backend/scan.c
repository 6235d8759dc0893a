// SPDX-License-Identifier: MIT
/*
 * scan.c - brings the list of devices in line with xenstore (see backd.h)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../xenstore-schema/values.h"
#include "backd.h"
#include "log.h"
#include "vgpu_nodes.h"

struct device *scan_find(struct backd *bd, uint32_t domid, uint32_t devid)
{
	for (struct device *d = bd->devices; d; d = d->next)
		if (d->domid == domid && d->devid == devid)
			return d;
	return NULL;
}

/* Is it a node of a known device that may change while it runs? Then that is noted. */
static bool notice_change(struct backd *bd, const char *path)
{
	const char *below = strstr(path, BACKEND_DIR "/");
	unsigned int domid, devid;
	enum config_key key;
	struct device *d;
	int len = 0;

	if (!below ||
	    sscanf(below, BACKEND_DIR "/%u/%u/%n", &domid, &devid, &len) != 2 ||
	    !len)
		return false;
	d = scan_find(bd, domid, devid);
	key = config_key_of(below + len);
	if (!d || key == NR_CONFIG)
		return false;
	d->changed |= 1u << key;
	return true;
}

void scan_notice(struct backd *bd, const char *path, const char *token)
{
	unsigned int domid, devid;
	struct device *d = NULL;

	if (sscanf(token, "%u/%u", &domid, &devid) == 2)
		d = scan_find(bd, domid, devid);
	if (d)
		d->noticed = true;
	else if (!notice_change(bd, path))
		bd->rescan = true;
}

void scan_noticed(struct backd *bd)
{
	for (struct device *d = bd->devices; d; d = d->next)
		if (d->changed)
			device_changed(d);
	/* scan() looks at all of them. */
	for (struct device *d = bd->devices; d && !bd->rescan; d = d->next) {
		if (!d->noticed)
			continue;
		d->noticed = false;
		/* The domain may be gone, which decides how it is closed. */
		if (store_exists(bd->xs, XBT_NULL, d->front, VGPU_NODE_STATE))
			device_check(d);
		else
			bd->rescan = true;
	}
}

/* Marks a device that has a directory; a new one joins the list. */
static struct device *mark(struct backd *bd, uint32_t domid, uint32_t devid)
{
	struct device *d = scan_find(bd, domid, devid);

	if (!d) {
		d = device_new(bd, domid, devid);
		if (!d)
			return NULL;
		d->next = bd->devices;
		bd->devices = d;
	}
	d->seen = true;
	return d;
}

/*
 * No node of a frontend: of a domain that is gone a driver domain sees just that.
 * A node that the toolstack wrote, as drivers write and remove others.
 */
static bool frontend_gone(struct backd *bd, uint32_t domid, uint32_t devid)
{
	char front[STORE_PATH];

	snprintf(front, sizeof(front),
		 "/local/domain/%u/device/" VGPUIF_CLASS "/%u", domid, devid);
	errno = 0;
	return !store_exists(bd->xs, XBT_NULL, front, VGPU_NODE_BACKEND) &&
	       (errno == EACCES || errno == ENOENT);
}

/*
 * A domain that Xen no longer has, or that is dying. xenstored tells that to the
 * toolstack's domain alone; where we may not know, its frontends speak for the
 * domain: those of the n device ids in names.
 */
static bool domain_gone(struct backd *bd, uint32_t domid, char **names,
			unsigned int n)
{
	uint64_t devid;

	errno = 0;
	if (xs_is_domain_introduced(bd->xs, domid))
		return false;
	if (errno != EACCES && errno != EPERM)
		return true;
	for (unsigned int i = 0; i < n; i++)
		if (vgpu_parse_uint(names[i], strlen(names[i]), UINT32_MAX,
				    &devid) &&
		    !frontend_gone(bd, domid, devid))
			return false;
	return n;
}

/* Keeps what we could not look at. */
static void mark_domain(struct backd *bd, uint32_t domid)
{
	for (struct device *d = bd->devices; d; d = d->next)
		if (d->domid == domid)
			d->seen = true;
}

static void scan_domain(struct backd *bd, const char *name)
{
	char dir[STORE_PATH];
	unsigned int n = 0;
	bool gone, kept = false;
	char **names;
	uint64_t domid;

	if (!vgpu_parse_uint(name, strlen(name), DOMID_FIRST_RESERVED - 1,
			     &domid))
		return;
	snprintf(dir, sizeof(dir), BACKEND_DIR "/%u", (unsigned int)domid);
	names = xs_directory(bd->xs, XBT_NULL, dir, &n);
	if (!names && errno != ENOENT) {
		log_event(LOG_ERROR, "scan", F_STR("path", dir),
			  F_STR("why", strerror(errno)));
		mark_domain(bd, domid);
	}
	if (!names)
		return;
	gone = domain_gone(bd, domid, names, n);
	for (unsigned int i = 0; i < n; i++) {
		struct device *d;
		uint64_t devid;

		if (!vgpu_parse_uint(names[i], strlen(names[i]), UINT32_MAX,
				     &devid))
			continue;
		d = mark(bd, domid, devid);
		if (!d)
			continue;
		d->gone = gone;
		device_check(d);
		/* Its directory goes when nothing of the guest is mapped. */
		if (d->worker.pid ||
		    store_exists(bd->xs, XBT_NULL, d->front, VGPU_NODE_STATE))
			kept = true;
	}
	free(names);
	if (!n || (gone && !kept)) {
		store_remove_dir(bd->xs, dir, gone);
		log_event(LOG_INFO, "directory-removed", F_NUM("domid", domid));
	}
}

/* Frees what has no directory any more; a worker has to end first. */
static void sweep(struct backd *bd)
{
	struct device **link = &bd->devices;

	while (*link) {
		struct device *d = *link;

		if (!d->seen && !d->worker.pid) {
			*link = d->next;
			device_free(d);
			continue;
		}
		if (!d->seen) {
			d->gone = domain_gone(bd, d->domid, NULL, 0);
			device_stop(d);
		}
		link = &d->next;
	}
}

void scan(struct backd *bd)
{
	unsigned int n = 0;
	char **names;

	bd->rescan = false;
	for (struct device *d = bd->devices; d; d = d->next)
		d->seen = d->noticed = false;
	names = xs_directory(bd->xs, XBT_NULL, BACKEND_DIR, &n);
	if (!names && errno != ENOENT) {
		/* No answer is no reason to take everything for gone. */
		bd->lost = errno == EBADF;
		log_event(LOG_ERROR, "scan", F_STR("why", strerror(errno)));
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		scan_domain(bd, names[i]);
	free(names);
	sweep(bd);
}
