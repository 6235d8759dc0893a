// SPDX-License-Identifier: MIT
/*
 * device.c - the life of one device: its states, and how it closes (see device.h)
 *
 * Every step is taken from what xenstore says now, never from what an event
 * said: a step that was missed is made up for at the next look.
 */
#include "device.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "device_parts.h"
#include "log.h"
#include "vgpu_nodes.h"

/* A detach or a shutdown: work may end, and five seconds are the end of it. */
#define STOP_MS 4000
/* Nobody is left to see the result; every grant still mapped is a zombie. */
#define GONE_MS 300
/* How much longer than it was told a worker may take to end. */
#define GRACE_MS 1000

/*
 * What both ends say. Unknown: the node is missing or no xenbus state.
 *
 * @wrong: of what the toolstack keeps there as long as the device is, what cannot
 *	be read, and why; "" where all can
 */
struct view {
	enum xenbus_state back;
	enum xenbus_state front;
	bool online;
	char wrong[WORKER_WHY];
};

static void note_wrong(struct view *v, const char *node, int err)
{
	if (err == ENOENT)
		snprintf(v->wrong, sizeof(v->wrong), "%s is missing", node);
	else if (err == EINVAL)
		snprintf(v->wrong, sizeof(v->wrong),
			 "%s is not what it must be", node);
	else
		snprintf(v->wrong, sizeof(v->wrong), "%s cannot be read: %s",
			 node, strerror(err));
}

static uint64_t toolstack_number(const struct device *d, const char *node,
				 uint64_t max, struct view *v)
{
	uint64_t n = 0;

	if (!store_read_uint(d->bd->xs, XBT_NULL, d->dir, node, max, &n))
		note_wrong(v, node, errno);
	return n;
}

/* False: the directory is gone, or not yet whole. */
static bool look(const struct device *d, struct view *v)
{
	struct xs_handle *xs = d->bd->xs;
	bool there;
	uint64_t n;

	v->wrong[0] = '\0';
	there = store_exists(xs, XBT_NULL, d->dir, VGPU_NODE_FRONTEND);
	if (!there)
		note_wrong(v, VGPU_NODE_FRONTEND, errno);
	v->online = toolstack_number(d, VGPU_NODE_ONLINE, 1, v) == 1;
	v->back = XenbusStateUnknown;
	if (store_read_uint(xs, XBT_NULL, d->dir, VGPU_NODE_STATE,
			    XenbusStateReconfigured, &n))
		v->back = n;
	else if (errno == ENOENT && !there)
		return false;
	else
		note_wrong(v, VGPU_NODE_STATE, errno);
	v->front = XenbusStateUnknown;
	if (store_read_uint(xs, XBT_NULL, d->front, VGPU_NODE_STATE,
			    XenbusStateReconfigured, &n))
		v->front = n;
	else if (errno == EACCES || errno == EPERM)
		note_wrong(v, "frontend's " VGPU_NODE_STATE, errno);
	return true;
}

static void write_state(struct device *d, enum xenbus_state state)
{
	char text[4], error[2 * WORKER_WHY];
	struct store_node nodes[] = {
		{VGPU_NODE_STATE, text},
		{VGPU_NODE_ERROR, error},
	};

	snprintf(text, sizeof(text), "%d", state);
	log_sanitize(error, sizeof(error), d->why, strlen(d->why));
	store_update(d->bd->xs, d->dir, nodes, *d->why ? 2 : 1);
	d->written = state;
}

static void closed(struct device *d)
{
	write_state(d, XenbusStateClosed);
	d->phase = DEV_CLOSED;
	d->deadline = 0;
	log_event(LOG_INFO, "closed", F_DEV(d));
}

/*
 * Begins to close. A worker that serves is told to finish within ms; one that
 * is still starting has nothing to finish.
 */
static void begin_close(struct device *d, uint32_t ms)
{
	const struct msg m = {.type = MSG_STOP, .deadline_ms = ms};

	write_state(d, XenbusStateClosing);
	if (!d->worker.pid)
		return closed(d);
	if (d->phase == DEV_CONNECTED &&
	    send(d->worker.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		    sizeof(m))
		d->reports++;
	else
		child_kill(&d->worker);
	d->phase = DEV_STOPPING;
	d->deadline = clock_ms() + ms + GRACE_MS;
}

void device_stop(struct device *d)
{
	if (d->phase == DEV_NEW || d->phase == DEV_CLOSED ||
	    d->phase == DEV_STOPPING)
		return;
	log_event(LOG_INFO, "closing", F_DEV(d));
	d->why[0] = '\0';
	begin_close(d, d->gone ? GONE_MS : STOP_MS);
}

void device_refuse(struct device *d, const char *why)
{
	log_sanitize(d->why, sizeof(d->why), why, strlen(why));
	log_event(LOG_WARN, "refused", F_DEV(d), F_STR("why", d->why));
	pace_charge(&d->pace, clock_ms(), PACE_FAILURE_MS);
	begin_close(d, STOP_MS);
}

static void check_new(struct device *d, const struct view *v)
{
	if (d->gone)
		return;
	if (*v->wrong)
		log_event(LOG_WARN, "nodes", F_DEV(d), F_STR("why", v->wrong));
	if (*v->wrong || !v->online || v->front == XenbusStateClosing ||
	    v->front == XenbusStateUnknown)
		return closed(d);
	device_offer(d);
}

static void check_closed(struct device *d, const struct view *v)
{
	uint64_t ready = pace_ready_at(&d->pace);

	/* A detach of what is closed already. */
	if (v->back != XenbusStateClosed && v->back != XenbusStateUnknown)
		write_state(d, XenbusStateClosed);
	if (*v->wrong || !v->online || d->gone || offers_none(&d->bd->offers) ||
	    (v->front != XenbusStateInitialising &&
	     v->front != XenbusStateClosed))
		return;
	d->deadline = ready > clock_ms() ? ready : 0;
	if (d->deadline)
		return;
	d->phase = DEV_NEW;
	check_new(d, v);
}

/* Does the frontend's state fit a device in this phase? */
static bool front_fits(const struct device *d, enum xenbus_state front)
{
	switch (front) {
	case XenbusStateInitialised:
	case XenbusStateConnected:
		return true;
	case XenbusStateInitialising:
	case XenbusStateClosed:
		return d->phase == DEV_OFFERED;
	default:
		return false;
	}
}

/*
 * The directory was removed and made anew between two looks: what we know is
 * about a device that is no more, and its state is not ours to write.
 */
static void recreated(struct device *d)
{
	log_event(LOG_INFO, "recreated", F_DEV(d));
	d->written = XenbusStateUnknown;
	d->why[0] = '\0';
	d->deadline = 0;
	d->phase = DEV_NEW;
	if (!d->worker.pid)
		return;
	child_kill(&d->worker);
	d->phase = DEV_STOPPING;
}

/* Its domain went while it was closing: nobody waits for its work any more. */
static void hurry(struct device *d)
{
	uint64_t end = clock_ms() + GONE_MS;

	if (d->deadline > end)
		d->deadline = end;
}

void device_check(struct device *d)
{
	struct view v;

	if (d->bd->stopping || !look(d, &v))
		return;
	if (v.back == XenbusStateInitialising &&
	    d->written != XenbusStateUnknown)
		recreated(d);
	switch (d->phase) {
	case DEV_NEW:
		return check_new(d, &v);
	case DEV_CLOSED:
		return check_closed(d, &v);
	case DEV_STOPPING:
		if (d->gone)
			hurry(d);
		return;
	case DEV_OFFERED:
	case DEV_STARTING:
	case DEV_CONNECTED:
		break;
	}
	if (*v.wrong && !d->gone)
		return device_refuse(d, v.wrong);
	if (!v.online || d->gone || v.back == XenbusStateClosing ||
	    !front_fits(d, v.front))
		return device_stop(d);
	if (d->phase == DEV_OFFERED && v.front == XenbusStateInitialised)
		device_start(d);
}

/* False: the worker said what it must not say now. */
static bool handle(struct device *d, struct msg *m)
{
	struct arbiter_use use;

	m->u.why[sizeof(m->u.why) - 1] = '\0';
	switch (m->type) {
	case MSG_REPORT:
		/* Each is a line in the log. */
		if (!d->reports)
			return false;
		d->reports--;
		arbiter_use(d->bd->arbiter, d->share, &use);
		stats_log(d->domid, d->devid, &m->u.stats, &use);
		return true;
	case MSG_READY:
		if (d->phase == DEV_STOPPING)
			return true;
		if (d->phase != DEV_STARTING)
			return false;
		d->phase = DEV_CONNECTED;
		d->deadline = 0;
		write_state(d, XenbusStateConnected);
		log_event(LOG_INFO, "connected", F_DEV(d));
		return true;
	case MSG_FAILED:
	case MSG_BROKEN:
		if (d->phase == DEV_STOPPING)
			return true;
		if (d->phase !=
		    (m->type == MSG_FAILED ? DEV_STARTING : DEV_CONNECTED))
			return false;
		/* Its last report may be out before it is told to stop. */
		d->reports++;
		device_refuse(d, m->u.why);
		return true;
	default:
		return false;
	}
}

void device_readable(struct device *d)
{
	struct msg m;
	ssize_t n;

	for (int i = 0; i < 8 && d->worker.fd >= 0; i++) {
		n = recv(d->worker.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* It left something of ours unread; its own words follow. */
		if (n < 0 && errno == ECONNRESET)
			continue;
		if (n == sizeof(m) && handle(d, &m))
			continue;
		if (n > 0)
			log_event(LOG_ERROR, "worker-message", F_DEV(d),
				  F_STR("why", "not what it may say now"));
		/*
		 * It ended, or is not to be believed: its death is next. That
		 * can take a while in a sick driver, and a socket at its end
		 * would wake us all the time.
		 */
		child_kill(&d->worker);
		close(d->worker.fd);
		d->worker.fd = -1;
		return;
	}
}

void device_worker_exited(struct device *d, int status)
{
	char end[64], why[WORKER_WHY];

	/* The pid may be another process's from now on. */
	d->worker.pid = 0;
	/* What it said last explains its end. */
	device_readable(d);
	child_forget(&d->worker);
	arbiter_remove(d->bd->arbiter, d->share);
	d->share = NULL;
	d->deadline = 0;
	d->bd->rescan = true;
	if (d->phase == DEV_CLOSED)
		return;
	if (d->phase != DEV_STOPPING) {
		child_describe(status, end, sizeof(end));
		snprintf(why, sizeof(why), "the worker ended with %s", end);
		return device_refuse(d, why);
	}
	if (d->written == XenbusStateUnknown)
		d->phase = DEV_NEW;
	else
		closed(d);
}

uint64_t device_deadline(const struct device *d)
{
	return d->deadline;
}

void device_expire(struct device *d, uint64_t now)
{
	if (!d->deadline || d->deadline > now)
		return;
	d->deadline = 0;
	switch (d->phase) {
	case DEV_STARTING:
		return device_refuse(d, "the worker was not ready in time");
	case DEV_STOPPING:
		log_event(LOG_WARN, "kill", F_DEV(d),
			  F_NUM("pid", d->worker.pid));
		return child_kill(&d->worker);
	default:
		return device_check(d);
	}
}

void device_ask_stats(struct device *d)
{
	const struct msg m = {.type = MSG_STATS};

	if (d->phase != DEV_CONNECTED)
		return;
	if (send(d->worker.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_event(LOG_WARN, "stats", F_DEV(d),
			  F_STR("why", strerror(errno)));
	else
		d->reports++;
}

struct device *device_new(struct backd *bd, uint32_t domid, uint32_t devid)
{
	struct device *d = calloc(1, sizeof(*d));
	char path[2 * STORE_PATH], token[32];

	if (!d)
		return NULL;
	d->bd = bd;
	d->domid = domid;
	d->devid = devid;
	d->worker = CHILD_NONE;
	snprintf(d->dir, sizeof(d->dir), BACKEND_DIR "/%u/%u", domid, devid);
	snprintf(d->front, sizeof(d->front),
		 "/local/domain/%u/device/" VGPUIF_CLASS "/%u", domid, devid);
	snprintf(path, sizeof(path), "%s/" VGPU_NODE_STATE, d->front);
	snprintf(token, sizeof(token), "%u/%u", domid, devid);
	if (!xs_watch(bd->xs, path, token)) {
		log_event(LOG_ERROR, "watch", F_STR("path", path),
			  F_STR("why", strerror(errno)));
		free(d);
		return NULL;
	}
	return d;
}

void device_free(struct device *d)
{
	char path[2 * STORE_PATH], token[32];

	snprintf(path, sizeof(path), "%s/" VGPU_NODE_STATE, d->front);
	snprintf(token, sizeof(token), "%u/%u", d->domid, d->devid);
	xs_unwatch(d->bd->xs, path, token);
	log_event(LOG_INFO, "removed", F_DEV(d));
	free(d);
}
