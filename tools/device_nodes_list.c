/* SPDX-License-Identifier: MIT */
/*
 * device_nodes_list.c - which devices there are (see device_nodes.h)
 *
 * Reads only.
 */
#include "device_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/vgpuif.h>

#include "values.h"
#include "vgpu_nodes.h"

static bool parse_devid(const char *text, unsigned int *devid)
{
	uint64_t v;

	if (!vgpu_parse_uint(text, strlen(text), DEVICE_LINE_DEVID_MAX, &v))
		return false;
	*devid = v;
	return true;
}

/* The devices in one backend domain, appended at dev[n]; the new n. */
static size_t add_devices(struct xs_handle *xs, unsigned int back,
			  unsigned int guest, struct vgpu_dev *dev, size_t n,
			  size_t max)
{
	char path[DOMAIN_PATH_LEN];
	unsigned int devs, id;
	char **names;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", back,
		 VGPUIF_CLASS, guest);
	names = xs_directory(xs, XBT_NULL, path, &devs);
	for (unsigned int i = 0; names && i < devs && n < max; i++)
		if (parse_devid(names[i], &id))
			dev[n++] = (struct vgpu_dev){back, guest, id};
	free(names);
	return n;
}

/* Has one of dev[0 ... n - 1] this frontend? */
static bool listed(const struct vgpu_dev *dev, size_t n, unsigned int guest,
		   unsigned int devid)
{
	for (size_t i = 0; i < n; i++)
		if (dev[i].guest == guest && dev[i].devid == devid)
			return true;
	return false;
}

/*
 * Frontends of a guest whose backend has no directory: the domain that it was in
 * is gone, and xenstore's part of that domain with it. backend-id is the guest's
 * to write; all that is done with it is to remove this device.
 */
static size_t add_orphans(struct xs_handle *xs, unsigned int guest,
			  struct vgpu_dev *dev, size_t n, size_t max)
{
	char path[DOMAIN_PATH_LEN];
	unsigned int devs, id;
	char **names;

	snprintf(path, sizeof(path), "/local/domain/%u/device/%s", guest,
		 VGPUIF_CLASS);
	names = xs_directory(xs, XBT_NULL, path, &devs);
	for (unsigned int i = 0; names && i < devs && n < max; i++) {
		struct vgpu_dev d = {.guest = guest};
		char *back;

		if (!parse_devid(names[i], &id) || listed(dev, n, guest, id))
			continue;
		d.devid = id;
		nodes_front_path(&d, path);
		back = nodes_read(xs, XBT_NULL, path, VGPU_NODE_BACKEND_ID);
		if (back && domain_parse_id(back, &d.back))
			dev[n++] = d;
		free(back);
	}
	free(names);
	return n;
}

size_t nodes_list(struct xs_handle *xs, unsigned int guest,
		  struct vgpu_dev *dev, size_t max)
{
	unsigned int doms, guests, back, id;
	char path[DOMAIN_PATH_LEN];
	char **dom, **name;
	size_t n = 0;

	dom = xs_directory(xs, XBT_NULL, "/local/domain", &doms);
	for (unsigned int i = 0; dom && i < doms; i++) {
		if (!domain_parse_id(dom[i], &back))
			continue;
		snprintf(path, sizeof(path), "/local/domain/%u/backend/%s",
			 back, VGPUIF_CLASS);
		name = xs_directory(xs, XBT_NULL, path, &guests);
		for (unsigned int k = 0; name && k < guests; k++)
			if (domain_parse_id(name[k], &id) &&
			    (guest == ANY_DOMAIN || guest == id))
				n = add_devices(xs, back, id, dev, n, max);
		free(name);
	}
	for (unsigned int i = 0; dom && i < doms; i++)
		if (domain_parse_id(dom[i], &id) &&
		    (guest == ANY_DOMAIN || guest == id))
			n = add_orphans(xs, id, dev, n, max);
	free(dom);
	return n;
}
