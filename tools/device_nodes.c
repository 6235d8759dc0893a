/* SPDX-License-Identifier: MIT */
/*
 * device_nodes.c - see device_nodes.h
 */
#include "device_nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
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
#define NODES_TRIES 100

static void __attribute__((format(printf, 2, 3)))
explain(char err[NODES_ERR], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, NODES_ERR, fmt, ap);
	va_end(ap);
}

void nodes_back_path(const struct vgpu_dev *d, char path[DOMAIN_PATH_LEN])
{
	snprintf(path, DOMAIN_PATH_LEN, "/local/domain/%u/backend/%s/%u/%u",
		 d->back, VGPUIF_CLASS, d->guest, d->devid);
}

/* The directory of all of the guest's devices in that backend. */
static void back_parent_path(const struct vgpu_dev *d,
			     char path[DOMAIN_PATH_LEN])
{
	snprintf(path, DOMAIN_PATH_LEN, "/local/domain/%u/backend/%s/%u",
		 d->back, VGPUIF_CLASS, d->guest);
}

void nodes_front_path(const struct vgpu_dev *d, char path[DOMAIN_PATH_LEN])
{
	snprintf(path, DOMAIN_PATH_LEN, "/local/domain/%u/device/%s/%u",
		 d->guest, VGPUIF_CLASS, d->devid);
}

char *nodes_read(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		 const char *node)
{
	char path[2 * DOMAIN_PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	return xs_read(xs, t, path, NULL);
}

static uint64_t read_uint(struct xs_handle *xs, xs_transaction_t t,
			  const char *dir, const char *node, uint64_t max,
			  uint64_t otherwise)
{
	char *text = nodes_read(xs, t, dir, node);
	uint64_t v;

	if (!text || !vgpu_parse_uint(text, strlen(text), max, &v))
		v = otherwise;
	free(text);
	return v;
}

unsigned int nodes_state(struct xs_handle *xs, xs_transaction_t t,
			 const char *dir)
{
	return read_uint(xs, t, dir, VGPU_NODE_STATE, XenbusStateClosed,
			 XenbusStateUnknown);
}

static bool write_node(struct xs_handle *xs, xs_transaction_t t,
		       const char *dir, const char *node, const char *value)
{
	char path[2 * DOMAIN_PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	return xs_write(xs, t, path, value, strlen(value));
}

static bool write_uint(struct xs_handle *xs, xs_transaction_t t,
		       const char *dir, const char *node, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return write_node(xs, t, dir, node, text);
}

/* What a value of 0 leaves out. */
static bool write_some(struct xs_handle *xs, xs_transaction_t t,
		       const char *dir, const char *node, uint64_t value)
{
	return !value || write_uint(xs, t, dir, node, value);
}

static bool exists(struct xs_handle *xs, xs_transaction_t t, const char *path)
{
	unsigned int n;
	char **names = xs_directory(xs, t, path, &n);

	free(names);
	return names;
}

static bool make_dir(struct xs_handle *xs, xs_transaction_t t, const char *path,
		     unsigned int owner, unsigned int reader)
{
	struct xs_permissions perm[] = {
		{.id = owner, .perms = XS_PERM_NONE},
		{.id = reader, .perms = XS_PERM_READ},
	};

	return xs_mkdir(xs, t, path) &&
	       xs_set_permissions(xs, t, path, perm, 2);
}

static bool write_policy(struct xs_handle *xs, xs_transaction_t t,
			 const char *back, const struct device_line *line)
{
	return write_uint(xs, t, back, VGPU_NODE_GPU, line->gpu) &&
	       write_uint(xs, t, back, VGPU_NODE_MEM, line->mem) &&
	       write_uint(xs, t, back, VGPU_NODE_WEIGHT, line->weight) &&
	       write_uint(xs, t, back, VGPU_NODE_CAP, line->cap) &&
	       write_some(xs, t, back, VGPU_NODE_QUOTA_BUFFERS,
			  line->max_buffers) &&
	       write_some(xs, t, back, VGPU_NODE_QUOTA_PAGES,
			  line->max_mapped_pages) &&
	       write_some(xs, t, back, VGPU_NODE_MPS, line->mps);
}

static bool write_device(struct xs_handle *xs, xs_transaction_t t,
			 const struct vgpu_dev *d,
			 const struct device_line *line)
{
	char back[DOMAIN_PATH_LEN], front[DOMAIN_PATH_LEN];
	char parent[DOMAIN_PATH_LEN];

	nodes_back_path(d, back);
	nodes_front_path(d, front);
	back_parent_path(d, parent);
	/* The guest's directory in a driver domain is that one's to remove. */
	return make_dir(xs, t, front, d->guest, d->back) &&
	       write_node(xs, t, front, VGPU_NODE_BACKEND, back) &&
	       write_uint(xs, t, front, VGPU_NODE_BACKEND_ID, d->back) &&
	       write_uint(xs, t, front, VGPU_NODE_STATE,
			  XenbusStateInitialising) &&
	       make_dir(xs, t, parent, d->back, d->guest) &&
	       make_dir(xs, t, back, d->back, d->guest) &&
	       write_node(xs, t, back, VGPU_NODE_FRONTEND, front) &&
	       write_uint(xs, t, back, VGPU_NODE_FRONTEND_ID, d->guest) &&
	       write_uint(xs, t, back, VGPU_NODE_ONLINE, 1) &&
	       write_policy(xs, t, back, line) &&
	       write_uint(xs, t, back, VGPU_NODE_STATE,
			  XenbusStateInitialising);
}

/* A directory of the backend has at least these, or is none. */
static bool read_line(struct xs_handle *xs, xs_transaction_t t,
		      const struct vgpu_dev *d, struct device_line *line)
{
	char back[DOMAIN_PATH_LEN];

	nodes_back_path(d, back);
	if (nodes_state(xs, t, back) == XenbusStateUnknown)
		return false;
	*line = (struct device_line){
		.gpu = read_uint(xs, t, back, VGPU_NODE_GPU, VGPU_NODE_GPU_MAX,
				 VGPU_NODE_GPU_DEFAULT),
		.mem = read_uint(xs, t, back, VGPU_NODE_MEM, VGPU_NODE_MEM_MAX,
				 VGPU_NODE_MEM_DEFAULT),
		.weight = read_uint(xs, t, back, VGPU_NODE_WEIGHT,
				    VGPU_NODE_WEIGHT_MAX,
				    VGPU_NODE_WEIGHT_DEFAULT),
		.cap = read_uint(xs, t, back, VGPU_NODE_CAP, VGPU_NODE_CAP_MAX,
				 VGPU_NODE_CAP_DEFAULT),
		.max_buffers = read_uint(xs, t, back, VGPU_NODE_QUOTA_BUFFERS,
					 VGPU_NODE_QUOTA_BUFFERS_MAX, 0),
		.max_mapped_pages =
			read_uint(xs, t, back, VGPU_NODE_QUOTA_PAGES,
				  VGPU_NODE_QUOTA_PAGES_MAX, 0),
		.mps = read_uint(xs, t, back, VGPU_NODE_MPS, 1,
				 VGPU_NODE_MPS_DEFAULT),
		.devid = d->devid,
	};
	return true;
}

/* Has either side a directory of that number? */
static bool in_use(struct xs_handle *xs, xs_transaction_t t,
		   const struct vgpu_dev *d)
{
	char back[DOMAIN_PATH_LEN], front[DOMAIN_PATH_LEN];

	nodes_back_path(d, back);
	nodes_front_path(d, front);
	return exists(xs, t, back) || exists(xs, t, front);
}

/* Does the device in use have both its directories, and the line's values? */
static bool as_the_line(struct xs_handle *xs, xs_transaction_t t,
			const struct vgpu_dev *d,
			const struct device_line *line)
{
	char front[DOMAIN_PATH_LEN];
	struct device_line there;

	nodes_front_path(d, front);
	return exists(xs, t, front) && read_line(xs, t, d, &there) &&
	       device_line_same(&there, line);
}

/* The lowest number that is free. */
static enum nodes_added pick_any(struct xs_handle *xs, xs_transaction_t t,
				 struct vgpu_dev *d, uint64_t kept,
				 char err[NODES_ERR])
{
	for (d->devid = 0; d->devid < VGPU_DEV_MAX; d->devid++)
		if (!(kept >> d->devid & 1) && !in_use(xs, t, d))
			return NODES_NEW;
	explain(err, "domain %u has %u vgpu devices already", d->guest,
		VGPU_DEV_MAX);
	return NODES_TAKEN;
}

/* The device's number; NODES_NEW where it can be made. */
static enum nodes_added pick(struct xs_handle *xs, xs_transaction_t t,
			     struct vgpu_dev *d, const struct device_line *line,
			     uint64_t kept, char err[NODES_ERR])
{
	if (line->devid == DEVICE_LINE_ANY_DEVID)
		return pick_any(xs, t, d, kept, err);
	d->devid = line->devid;
	if (!in_use(xs, t, d))
		return NODES_NEW;
	if (as_the_line(xs, t, d, line))
		return NODES_THERE;
	explain(err, "domain %u has a vgpu device %u already", d->guest,
		d->devid);
	return NODES_TAKEN;
}

/* All that happens within the transaction. */
static enum nodes_added add_in(struct xs_handle *xs, xs_transaction_t t,
			       struct vgpu_dev *d,
			       const struct device_line *line, uint64_t kept,
			       char err[NODES_ERR])
{
	char home[DOMAIN_PATH_LEN];
	enum nodes_added done;

	snprintf(home, sizeof(home), "/local/domain/%u", d->guest);
	if (!exists(xs, t, home)) {
		explain(err, "domain %u is gone", d->guest);
		return NODES_FAILED;
	}
	done = pick(xs, t, d, line, kept, err);
	if (done != NODES_NEW || write_device(xs, t, d, line))
		return done;
	explain(err, "cannot write the device of domain %u to xenstore: %s",
		d->guest, strerror(errno));
	return NODES_FAILED;
}

enum nodes_added nodes_add(struct xs_handle *xs, struct vgpu_dev *d,
			   const struct device_line *line, uint64_t kept,
			   char err[NODES_ERR])
{
	for (int i = 0; i < NODES_TRIES; i++) {
		xs_transaction_t t = xs_transaction_start(xs);
		enum nodes_added done;

		if (t == XBT_NULL) {
			explain(err, "no xenstore transaction: %s",
				strerror(errno));
			return NODES_FAILED;
		}
		done = add_in(xs, t, d, line, kept, err);
		if (done != NODES_NEW) {
			xs_transaction_end(xs, t, true);
			return done;
		}
		if (xs_transaction_end(xs, t, false))
			return done;
		if (errno != EAGAIN) {
			explain(err,
				"xenstore refused the device of domain %u: %s",
				d->guest, strerror(errno));
			return NODES_FAILED;
		}
	}
	explain(err, "domain %u keeps changing its devices in xenstore",
		d->guest);
	return NODES_FAILED;
}

/* All of a change that happens within the transaction. */
static bool change_in(struct xs_handle *xs, xs_transaction_t t,
		      const struct vgpu_dev *d, const char *change,
		      struct device_line *line, char err[NODES_ERR])
{
	char back[DOMAIN_PATH_LEN];
	uint64_t memory;

	nodes_back_path(d, back);
	/* A write would bring back a directory that is gone. */
	if (!read_line(xs, t, d, line)) {
		explain(err, "device %u of domain %u has no backend any more",
			d->devid, d->guest);
		return false;
	}
	if (!device_line_change(change, line, err))
		return false;
	memory = read_uint(xs, t, back, VGPU_NODE_GPU_MEMORY, UINT64_MAX,
			   UINT64_MAX);
	if (line->mem > memory) {
		explain(err,
			"mem=%" PRIu64 ": must be at most %" PRIu64
			", which is what the GPU has",
			line->mem, memory);
		return false;
	}
	if (write_uint(xs, t, back, VGPU_NODE_MEM, line->mem) &&
	    write_uint(xs, t, back, VGPU_NODE_WEIGHT, line->weight) &&
	    write_uint(xs, t, back, VGPU_NODE_CAP, line->cap))
		return true;
	explain(err, "cannot write to xenstore: %s", strerror(errno));
	return false;
}

bool nodes_change(struct xs_handle *xs, const struct vgpu_dev *d,
		  const char *change, struct device_line *line,
		  char err[NODES_ERR])
{
	for (int i = 0; i < NODES_TRIES; i++) {
		xs_transaction_t t = xs_transaction_start(xs);
		bool ok =
			t != XBT_NULL && change_in(xs, t, d, change, line, err);

		if (t == XBT_NULL)
			explain(err, "no xenstore transaction: %s",
				strerror(errno));
		else if (!ok)
			xs_transaction_end(xs, t, true);
		if (!ok || xs_transaction_end(xs, t, false))
			return ok;
		if (errno != EAGAIN)
			break;
	}
	explain(err, "xenstore refused the change: %s", strerror(errno));
	return false;
}

bool nodes_close(struct xs_handle *xs, const struct vgpu_dev *d)
{
	char back[DOMAIN_PATH_LEN];
	unsigned int state;
	xs_transaction_t t;
	bool ok = false;

	nodes_back_path(d, back);
	for (int i = 0; i < NODES_TRIES && !ok; i++) {
		t = xs_transaction_start(xs);
		if (t == XBT_NULL)
			return false;
		/* A write would bring back a directory that is gone. */
		state = nodes_state(xs, t, back);
		ok = state == XenbusStateUnknown ||
		     write_uint(xs, t, back, VGPU_NODE_ONLINE, 0);
		if (ok && state != XenbusStateUnknown &&
		    state != XenbusStateClosed)
			ok = write_uint(xs, t, back, VGPU_NODE_STATE,
					XenbusStateClosing);
		if (!ok) {
			xs_transaction_end(xs, t, true);
			return false;
		}
		ok = xs_transaction_end(xs, t, false);
		if (!ok && errno != EAGAIN)
			break;
	}
	return ok;
}

/* Removes path where nothing is in it. */
static bool remove_empty(struct xs_handle *xs, xs_transaction_t t,
			 const char *path)
{
	unsigned int n;
	char **names = xs_directory(xs, t, path, &n);
	bool ok = !names || n || xs_rm(xs, t, path);

	free(names);
	return ok;
}

static bool remove_dir(struct xs_handle *xs, xs_transaction_t t,
		       const char *path)
{
	return xs_rm(xs, t, path) || errno == ENOENT;
}

static bool remove_tree(struct xs_handle *xs, xs_transaction_t t,
			const char *path, const char *parent)
{
	return remove_dir(xs, t, path) && remove_empty(xs, t, parent);
}

bool nodes_remove(struct xs_handle *xs, const struct vgpu_dev *d)
{
	char back[DOMAIN_PATH_LEN], back_parent[DOMAIN_PATH_LEN];
	char front[DOMAIN_PATH_LEN], front_parent[DOMAIN_PATH_LEN];
	xs_transaction_t t;
	bool ok = false;

	nodes_back_path(d, back);
	nodes_front_path(d, front);
	back_parent_path(d, back_parent);
	snprintf(front_parent, DOMAIN_PATH_LEN, "/local/domain/%u/device/%s",
		 d->guest, VGPUIF_CLASS);
	for (int i = 0; i < NODES_TRIES && !ok; i++) {
		t = xs_transaction_start(xs);
		if (t == XBT_NULL)
			return false;
		ok = remove_tree(xs, t, front, front_parent) &&
		     remove_tree(xs, t, back, back_parent);
		if (!ok) {
			xs_transaction_end(xs, t, true);
			return false;
		}
		ok = xs_transaction_end(xs, t, false);
		if (!ok && errno != EAGAIN)
			return false;
	}
	/* One removal alone is not refused; vgpubackd tidies up after it. */
	return ok || (remove_dir(xs, XBT_NULL, front) &&
		      remove_dir(xs, XBT_NULL, back));
}
