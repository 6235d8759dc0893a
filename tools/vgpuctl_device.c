/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_device.c - attach and detach one device, and wait for its ends
 *
 *   attach:  both Initialising -> backend InitWait or later: offered
 *                              -> "error", Closing, Closed: refused, removed
 *   detach:  online 0, Closing -> backend Closed: removed
 *
 * The backend's directory must never be removed before the backend is Closed
 * unless the user forces it: it may have the guest's pages mapped.
 */
#include "vgpuctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xen/io/xenbus.h>

#include "values.h"
#include "vgpu_nodes.h"

/* Both directories of a device, as one wait looks at them. */
struct ends {
	char back[DOMAIN_PATH_LEN];
	char front[DOMAIN_PATH_LEN];
};

static struct ends ends_of(const struct vgpu_dev *d)
{
	struct ends e;

	nodes_back_path(d, e.back);
	nodes_front_path(d, e.front);
	return e;
}

/* The backend offers the device, or has given up, or the nodes are gone. */
static bool answered(struct vgpuctl *v, const struct ends *e)
{
	unsigned int state = nodes_state(v->xs, XBT_NULL, e->back);
	char *error = nodes_read(v->xs, XBT_NULL, e->back, VGPU_NODE_ERROR);
	bool done = state != XenbusStateInitialising || error;

	free(error);
	return done;
}

/* Nobody can have anything mapped: the backend never began, or it is done. */
static bool unmapped(struct vgpuctl *v, const struct ends *e)
{
	unsigned int state = nodes_state(v->xs, XBT_NULL, e->back);

	return state == XenbusStateClosed || state == XenbusStateUnknown;
}

static bool both_closed(struct vgpuctl *v, const struct ends *e)
{
	unsigned int front = nodes_state(v->xs, XBT_NULL, e->front);

	return unmapped(v, e) && (front == XenbusStateClosed ||
				  front == XenbusStateInitialising ||
				  front == XenbusStateUnknown);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static void drain_watches(struct vgpuctl *v)
{
	char **event;

	while ((event = xs_check_watch(v->xs)))
		free(event);
}

/*
 * Waits until done() holds, woken by xenstore. False: the time is over, or a
 * signal came.
 */
static bool wait_for(struct vgpuctl *v, const struct ends *e,
		     bool (*done)(struct vgpuctl *v, const struct ends *e),
		     unsigned int timeout_s)
{
	int64_t end = now_ms() + timeout_s * 1000ll;
	bool ok = false;

	if (!xs_watch(v->xs, e->back, "back") ||
	    !xs_watch(v->xs, e->front, "front")) {
		say("cannot watch %s: %s", e->back, strerror(errno));
		xs_unwatch(v->xs, e->back, "back");
		return false;
	}
	for (;;) {
		struct pollfd fd = {.fd = xs_fileno(v->xs), .events = POLLIN};
		int64_t left = end - now_ms();

		drain_watches(v);
		ok = done(v, e);
		if (ok || left <= 0 || vgpuctl_interrupted)
			break;
		if (poll(&fd, 1, left) < 0 && errno != EINTR)
			break;
	}
	xs_unwatch(v->xs, e->front, "front");
	xs_unwatch(v->xs, e->back, "back");
	drain_watches(v);
	return ok;
}

/* A domain that a device can be attached to? Says why not. */
static bool attachable(struct vgpuctl *v, unsigned int domid)
{
	libxl_dominfo info;
	bool ok = false;
	int rc;

	if (!vgpuctl_libxl(v))
		return false;
	libxl_dominfo_init(&info);
	rc = libxl_domain_info(v->ctx, &info, domid);
	if (rc == ERROR_DOMAIN_NOTFOUND)
		say("there is no domain %u", domid);
	else if (rc)
		say("cannot ask the hypervisor about domain %u (libxl error "
		    "%d)",
		    domid, rc);
	else if (info.dying || info.shutdown)
		say("domain %u is %s", domid,
		    info.dying ? "dying" : "shut down");
	else
		ok = true;
	libxl_dominfo_dispose(&info);
	return ok;
}

/* The text in "error", for a message; malloced. */
static char *error_text(struct vgpuctl *v, const struct ends *e)
{
	char *text = nodes_read(v->xs, XBT_NULL, e->back, VGPU_NODE_ERROR);

	if (!text)
		return strdup("no reason given");
	/* All of it, so vgpu_show() is too short. */
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return text;
}

static enum vgpuctl_exit refused(struct vgpuctl *v, const struct vgpu_dev *d,
				 const struct ends *e, const char *where)
{
	char *error = error_text(v, e);

	say("%s: the backend in domain %u refused the device: %s", where,
	    d->back, error ? error : "");
	free(error);
	if (!nodes_close(v->xs, d) || !wait_for(v, e, unmapped, v->timeout_s) ||
	    !nodes_remove(v->xs, d))
		say("device %u of domain %u is still in xenstore; vgpuctl "
		    "detach removes it",
		    d->devid, d->guest);
	return EXIT_FAILED;
}

bool device_backend(struct vgpuctl *v, struct device_line *line,
		    const char *where)
{
	struct domain d;
	unsigned int id;

	if (!line->backend[0])
		return true;
	if (!domain_find(v->xs, line->backend, &id)) {
		say("%s: backend=%s: there is no such domain", where,
		    line->backend);
		return false;
	}
	if (id == domain_self(v->xs)) {
		line->backend[0] = '\0';
		return true;
	}
	if (!attachable(v, id))
		return false;
	domain_read(v->xs, id, &d);
	/* Ids do not last. */
	if (!device_line_backend_ok(d.name, strlen(d.name))) {
		say("%s: backend=%s: needs a name of 1 to %d printable ASCII "
		    "characters without a comma",
		    where, line->backend, DEVICE_LINE_BACKEND - 1);
		return false;
	}
	strcpy(line->backend, d.name);
	return true;
}

/* A device that is in xenstore: what comes of it. */
static enum vgpuctl_exit
wait_for_backend(struct vgpuctl *v, const struct vgpu_dev *d, const char *where)
{
	struct ends e = ends_of(d);
	unsigned int state;

	if (!wait_for(v, &e, answered, v->timeout_s)) {
		say("%s: no vgpubackd in domain %u has answered in %u s", where,
		    d->back, v->timeout_s);
		return EXIT_UNSERVED;
	}
	state = nodes_state(v->xs, XBT_NULL, e.back);
	if (state == XenbusStateUnknown) {
		say("%s: device %u was removed meanwhile", where, d->devid);
		return EXIT_FAILED;
	}
	if (state == XenbusStateInitWait || state == XenbusStateInitialised ||
	    state == XenbusStateConnected)
		return EXIT_OK;
	return refused(v, d, &e, where);
}

enum vgpuctl_exit device_attach(struct vgpuctl *v, unsigned int guest,
				struct device_line *line, const char *where)
{
	struct vgpu_dev d = {.back = domain_self(v->xs), .guest = guest};
	enum nodes_added added;
	char err[NODES_ERR];

	if (!device_backend(v, line, where))
		return EXIT_FAILED;
	if (line->backend[0] && !domain_find(v->xs, line->backend, &d.back)) {
		say("%s: backend=%s: is gone", where, line->backend);
		return EXIT_FAILED;
	}
	if (d.back == guest) {
		say("%s: domain %u is the backend's own domain", where, guest);
		return EXIT_FAILED;
	}
	if (!attachable(v, guest))
		return EXIT_FAILED;
	added = nodes_add(v->xs, &d, line, remember_kept(v, guest), err);
	if (added == NODES_FAILED || added == NODES_TAKEN) {
		say("%s: %s", where, err);
		return EXIT_FAILED;
	}
	line->devid = d.devid;
	printf("attached vgpu device %u to domain %u\n", d.devid, guest);
	fflush(stdout);
	return v->wait ? wait_for_backend(v, &d, where) : EXIT_OK;
}

static enum vgpuctl_exit remove_device(struct vgpuctl *v,
				       const struct vgpu_dev *d)
{
	if (!nodes_remove(v->xs, d)) {
		say("cannot remove device %u of domain %u from xenstore: %s",
		    d->devid, d->guest, strerror(errno));
		return EXIT_FAILED;
	}
	printf("detached vgpu device %u from domain %u\n", d->devid, d->guest);
	return EXIT_OK;
}

enum vgpuctl_exit device_detach(struct vgpuctl *v, const struct vgpu_dev *d)
{
	struct ends e = ends_of(d);

	/* No backend has begun with it: nothing to close. */
	if (nodes_state(v->xs, XBT_NULL, e.back) == XenbusStateInitialising ||
	    unmapped(v, &e))
		return remove_device(v, d);
	if (!nodes_close(v->xs, d)) {
		say("cannot ask the backend to close device %u of domain %u: "
		    "%s",
		    d->devid, d->guest, strerror(errno));
		return EXIT_FAILED;
	}
	/* The frontend's end is waited for, but not relied on. */
	if (wait_for(v, &e, both_closed, v->timeout_s) || unmapped(v, &e))
		return remove_device(v, d);
	if (v->force) {
		say("device %u of domain %u: backend is still %s; removed by "
		    "force",
		    d->devid, d->guest,
		    vgpu_state_name(nodes_state(v->xs, XBT_NULL, e.back)));
		return remove_device(v, d);
	}
	say("device %u of domain %u: backend in domain %u is still %s after %u "
	    "s; is vgpubackd running? --force removes the device all the same",
	    d->devid, d->guest, d->back,
	    vgpu_state_name(nodes_state(v->xs, XBT_NULL, e.back)),
	    v->timeout_s);
	return EXIT_FAILED;
}
