/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_store.c - the toolstack's nodes of a device
 *
 * Owns every write to xenstore that vgpuctl makes. Adding and closing are one
 * transaction each, as libxl does it for its own device classes. Must never
 * write a node that vgpu.schema gives to the backend or the frontend alone.
 */
#include "vgpuctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/vgpuif.h>
#include <xen/io/xenbus.h>

#include "values.h"
#include "vgpu_nodes.h"

/*
 * A guest owns its half of a device, and can change it so often that every
 * transaction of ours meets a change of its: so none is tried for ever.
 */
#define STORE_TRIES 100

static bool parse_id(const char *text, uint64_t max, unsigned int *id)
{
	uint64_t v;

	if (!vgpu_parse_uint(text, strlen(text), max, &v))
		return false;
	*id = v;
	return true;
}

static bool parse_domid(const char *text, unsigned int *domid)
{
	return parse_id(text, DOMID_FIRST_RESERVED - 1, domid);
}

unsigned int store_own_domid(struct vgpuctl *v)
{
	char *text = xs_read(v->xs, XBT_NULL, "domid", NULL);
	unsigned int domid;

	/* Only dom0 may lack the node. */
	if (!text || !parse_domid(text, &domid))
		domid = 0;
	free(text);
	return domid;
}

void store_domain_name(struct vgpuctl *v, unsigned int domid, char *buf,
		       size_t len)
{
	char path[VGPU_PATH_LEN];
	char *name;

	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	name = xs_read(v->xs, XBT_NULL, path, NULL);
	snprintf(buf, len, "%s", name ? name : "");
	free(name);
}

bool store_find_domain(struct vgpuctl *v, const char *text, unsigned int *domid)
{
	unsigned int n, id;
	bool found = false;
	char name[256];
	char **doms;

	if (parse_domid(text, domid))
		return true;
	doms = xs_directory(v->xs, XBT_NULL, "/local/domain", &n);
	for (unsigned int i = 0; doms && i < n && !found; i++) {
		if (!parse_domid(doms[i], &id))
			continue;
		store_domain_name(v, id, name, sizeof(name));
		if (strcmp(name, text))
			continue;
		*domid = id;
		found = true;
	}
	free(doms);
	return found;
}

void store_back_path(const struct vgpu_dev *d, char path[VGPU_PATH_LEN])
{
	snprintf(path, VGPU_PATH_LEN, "/local/domain/%u/backend/%s/%u/%u",
		 d->back, VGPUIF_CLASS, d->guest, d->devid);
}

void store_front_path(const struct vgpu_dev *d, char path[VGPU_PATH_LEN])
{
	snprintf(path, VGPU_PATH_LEN, "/local/domain/%u/device/%s/%u", d->guest,
		 VGPUIF_CLASS, d->devid);
}

char *store_read(struct vgpuctl *v, xs_transaction_t t, const char *dir,
		 const char *node)
{
	char path[2 * VGPU_PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	return xs_read(v->xs, t, path, NULL);
}

unsigned int store_state(struct vgpuctl *v, xs_transaction_t t, const char *dir)
{
	char *text = store_read(v, t, dir, VGPU_NODE_STATE);
	uint64_t state;

	if (!text ||
	    !vgpu_parse_uint(text, strlen(text), XenbusStateClosed, &state))
		state = XenbusStateUnknown;
	free(text);
	return state;
}

static bool store_write(struct vgpuctl *v, xs_transaction_t t, const char *dir,
			const char *node, const char *value)
{
	char path[2 * VGPU_PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	return xs_write(v->xs, t, path, value, strlen(value));
}

static bool store_write_uint(struct vgpuctl *v, xs_transaction_t t,
			     const char *dir, const char *node, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return store_write(v, t, dir, node, text);
}

/* Has either side a directory of that number? */
static bool id_in_use(struct vgpuctl *v, xs_transaction_t t,
		      const struct vgpu_dev *d)
{
	char path[VGPU_PATH_LEN];
	bool used = false;
	char **names;
	unsigned int n;

	for (int side = 0; side < 2 && !used; side++) {
		if (side)
			store_front_path(d, path);
		else
			store_back_path(d, path);
		names = xs_directory(v->xs, t, path, &n);
		used = names;
		free(names);
	}
	return used;
}

static bool make_dir(struct vgpuctl *v, xs_transaction_t t, const char *path,
		     unsigned int owner, unsigned int reader)
{
	struct xs_permissions perm[] = {
		{.id = owner, .perms = XS_PERM_NONE},
		{.id = reader, .perms = XS_PERM_READ},
	};

	return xs_mkdir(v->xs, t, path) &&
	       xs_set_permissions(v->xs, t, path, perm, 2);
}

static bool write_device(struct vgpuctl *v, xs_transaction_t t,
			 const struct vgpu_dev *d, const struct vgpu_line *line)
{
	char back[VGPU_PATH_LEN], front[VGPU_PATH_LEN];

	store_back_path(d, back);
	store_front_path(d, front);
	return make_dir(v, t, front, d->guest, d->back) &&
	       store_write(v, t, front, VGPU_NODE_BACKEND, back) &&
	       store_write_uint(v, t, front, VGPU_NODE_BACKEND_ID, d->back) &&
	       store_write_uint(v, t, front, VGPU_NODE_STATE,
				XenbusStateInitialising) &&
	       make_dir(v, t, back, d->back, d->guest) &&
	       store_write(v, t, back, VGPU_NODE_FRONTEND, front) &&
	       store_write_uint(v, t, back, VGPU_NODE_FRONTEND_ID, d->guest) &&
	       store_write_uint(v, t, back, VGPU_NODE_ONLINE, 1) &&
	       store_write_uint(v, t, back, VGPU_NODE_GPU, line->gpu) &&
	       store_write_uint(v, t, back, VGPU_NODE_MEM, line->mem) &&
	       store_write_uint(v, t, back, VGPU_NODE_WEIGHT, line->weight) &&
	       store_write_uint(v, t, back, VGPU_NODE_CAP, line->cap) &&
	       store_write_uint(v, t, back, VGPU_NODE_STATE,
				XenbusStateInitialising);
}

/* 1 done, 0 again (another writer was there first), -1 failed and said so */
static int try_add(struct vgpuctl *v, struct vgpu_dev *d,
		   const struct vgpu_line *line)
{
	xs_transaction_t t = xs_transaction_start(v->xs);
	char home[VGPU_PATH_LEN];
	char *alive;

	if (t == XBT_NULL) {
		say("no xenstore transaction: %s", strerror(errno));
		return -1;
	}
	snprintf(home, sizeof(home), "/local/domain/%u", d->guest);
	alive = xs_read(v->xs, t, home, NULL);
	if (!alive) {
		say("domain %u is gone", d->guest);
		goto abort;
	}
	free(alive);
	d->devid = line->devid < 0 ? 0 : line->devid;
	while (id_in_use(v, t, d)) {
		if (line->devid >= 0) {
			say("domain %u has a vgpu device %u already", d->guest,
			    d->devid);
			goto abort;
		}
		if (++d->devid == VGPU_DEV_MAX) {
			say("domain %u has %u vgpu devices already", d->guest,
			    VGPU_DEV_MAX);
			goto abort;
		}
	}
	if (!write_device(v, t, d, line)) {
		say("cannot write the device of domain %u to xenstore: %s",
		    d->guest, strerror(errno));
		goto abort;
	}
	if (xs_transaction_end(v->xs, t, false))
		return 1;
	if (errno == EAGAIN)
		return 0;
	say("xenstore refused the device of domain %u: %s", d->guest,
	    strerror(errno));
	return -1;
abort:
	xs_transaction_end(v->xs, t, true);
	return -1;
}

bool store_add(struct vgpuctl *v, struct vgpu_dev *d,
	       const struct vgpu_line *line)
{
	int done = 0;

	for (int i = 0; i < STORE_TRIES && !done; i++)
		done = try_add(v, d, line);
	if (!done)
		say("domain %u keeps changing its devices in xenstore",
		    d->guest);
	return done > 0;
}

bool store_close(struct vgpuctl *v, const struct vgpu_dev *d)
{
	char back[VGPU_PATH_LEN];
	unsigned int state;
	xs_transaction_t t;
	bool ok = false;

	store_back_path(d, back);
	for (int i = 0; i < STORE_TRIES && !ok; i++) {
		t = xs_transaction_start(v->xs);
		if (t == XBT_NULL)
			return false;
		/* A write would bring back a directory that is gone. */
		state = store_state(v, t, back);
		ok = state == XenbusStateUnknown ||
		     store_write_uint(v, t, back, VGPU_NODE_ONLINE, 0);
		if (ok && state != XenbusStateUnknown &&
		    state != XenbusStateClosed)
			ok = store_write_uint(v, t, back, VGPU_NODE_STATE,
					      XenbusStateClosing);
		if (!ok) {
			xs_transaction_end(v->xs, t, true);
			return false;
		}
		ok = xs_transaction_end(v->xs, t, false);
		if (!ok && errno != EAGAIN)
			break;
	}
	return ok;
}

/* Removes path where nothing is in it. */
static bool remove_empty(struct vgpuctl *v, xs_transaction_t t,
			 const char *path)
{
	unsigned int n;
	char **names = xs_directory(v->xs, t, path, &n);
	bool ok = !names || n || xs_rm(v->xs, t, path);

	free(names);
	return ok;
}

static bool remove_dir(struct vgpuctl *v, xs_transaction_t t, const char *path)
{
	return xs_rm(v->xs, t, path) || errno == ENOENT;
}

static bool remove_tree(struct vgpuctl *v, xs_transaction_t t, const char *path,
			const char *parent)
{
	return remove_dir(v, t, path) && remove_empty(v, t, parent);
}

bool store_remove(struct vgpuctl *v, const struct vgpu_dev *d)
{
	char back[VGPU_PATH_LEN], back_parent[VGPU_PATH_LEN];
	char front[VGPU_PATH_LEN], front_parent[VGPU_PATH_LEN];
	xs_transaction_t t;
	bool ok = false;

	store_back_path(d, back);
	store_front_path(d, front);
	snprintf(back_parent, VGPU_PATH_LEN, "/local/domain/%u/backend/%s/%u",
		 d->back, VGPUIF_CLASS, d->guest);
	snprintf(front_parent, VGPU_PATH_LEN, "/local/domain/%u/device/%s",
		 d->guest, VGPUIF_CLASS);
	for (int i = 0; i < STORE_TRIES && !ok; i++) {
		t = xs_transaction_start(v->xs);
		if (t == XBT_NULL)
			return false;
		ok = remove_tree(v, t, front, front_parent) &&
		     remove_tree(v, t, back, back_parent);
		if (!ok) {
			xs_transaction_end(v->xs, t, true);
			return false;
		}
		ok = xs_transaction_end(v->xs, t, false);
		if (!ok && errno != EAGAIN)
			return false;
	}
	/* One removal alone is not refused; vgpubackd tidies up after it. */
	return ok || (remove_dir(v, XBT_NULL, front) &&
		      remove_dir(v, XBT_NULL, back));
}

/* The devices in one backend domain, appended at dev[n]; the new n. */
static size_t add_devices(struct vgpuctl *v, unsigned int back,
			  unsigned int guest, struct vgpu_dev *dev, size_t n,
			  size_t max)
{
	char path[VGPU_PATH_LEN];
	unsigned int devs, id;
	char **names;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", back,
		 VGPUIF_CLASS, guest);
	names = xs_directory(v->xs, XBT_NULL, path, &devs);
	for (unsigned int i = 0; names && i < devs && n < max; i++)
		if (parse_id(names[i], UINT16_MAX, &id))
			dev[n++] = (struct vgpu_dev){back, guest, id};
	free(names);
	return n;
}

size_t store_devices(struct vgpuctl *v, unsigned int guest,
		     struct vgpu_dev *dev, size_t max)
{
	unsigned int doms, guests, back, id;
	char path[VGPU_PATH_LEN];
	char **dom, **name;
	size_t n = 0;

	dom = xs_directory(v->xs, XBT_NULL, "/local/domain", &doms);
	for (unsigned int i = 0; dom && i < doms; i++) {
		if (!parse_domid(dom[i], &back))
			continue;
		snprintf(path, sizeof(path), "/local/domain/%u/backend/%s",
			 back, VGPUIF_CLASS);
		name = xs_directory(v->xs, XBT_NULL, path, &guests);
		for (unsigned int k = 0; name && k < guests; k++)
			if (parse_domid(name[k], &id) &&
			    (guest == ANY_DOMAIN || guest == id))
				n = add_devices(v, back, id, dev, n, max);
		free(name);
	}
	free(dom);
	return n;
}
