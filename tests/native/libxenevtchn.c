// SPDX-License-Identifier: MIT
/*
 * libxenevtchn.c - the libxenevtchn calls of backend and tests
 *
 * Ports are made by the broker; events do not pass it (wire.h). As with
 * /dev/xen/evtchn a port is masked from its delivery to its unmask, xenevtchn_
 * pending() blocks where nothing is pending, and a port is known by the handle
 * that made it alone. Notifications may come from another thread than the rest.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenevtchn.h>

#include "client.h"

/* @peer_*: valid for the peer that gen stands for */
struct port {
	struct port *next;
	evtchn_port_t number;
	struct nx_port *own;
	struct nx_port *peer;
	int peer_event;
	uint32_t gen;
};

struct xenevtchn_handle {
	struct nx_conn conn;
	pthread_mutex_t lock;
	struct port *ports;
};

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger,
				 unsigned int flags)
{
	xenevtchn_handle *h = calloc(1, sizeof(*h));

	(void)logger;
	(void)flags;
	if (!h || !nx_open(&h->conn, false)) {
		free(h);
		return NULL;
	}
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

static void forget(struct port *p)
{
	if (p->peer_event >= 0)
		close(p->peer_event);
	free(p);
}

int xenevtchn_close(xenevtchn_handle *h)
{
	while (h->ports) {
		struct port *p = h->ports;

		h->ports = p->next;
		forget(p);
	}
	nx_close(&h->conn);
	pthread_mutex_destroy(&h->lock);
	free(h);
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *h)
{
	return h->conn.event;
}

static xenevtchn_port_or_error_t make(xenevtchn_handle *h, struct nx_call call)
{
	struct port *p = calloc(1, sizeof(*p));
	struct nx_reply r;

	pthread_mutex_lock(&h->lock);
	if (!p || !nx_call(&h->conn, call, NULL, &r, NULL, NULL)) {
		free(p);
		pthread_mutex_unlock(&h->lock);
		return -1;
	}
	p->number = r.val[0];
	p->own = &h->conn.table[r.val[1]];
	p->peer_event = -1;
	p->next = h->ports;
	h->ports = p;
	pthread_mutex_unlock(&h->lock);
	return p->number;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *h,
						      uint32_t domid)
{
	return make(h, (struct nx_call){.op = NX_EV_ALLOC, .arg = {domid}});
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *h,
						     uint32_t domid,
						     evtchn_port_t remote_port)
{
	return make(h, (struct nx_call){.op = NX_EV_BIND,
					.arg = {domid, remote_port}});
}

/* The lock is held. NULL with errno where the handle has no such port. */
static struct port *find(xenevtchn_handle *h, evtchn_port_t number)
{
	for (struct port *p = h->ports; p; p = p->next)
		if (p->number == number)
			return p;
	errno = ENOTCONN;
	return NULL;
}

static void deliver(struct nx_port *port, int event)
{
	const uint64_t one = 1;

	if (nx_port_deliver(port) && write(event, &one, sizeof(one)) < 0)
		abort();
}

/* False: nobody is there (any more). */
static bool find_peer(xenevtchn_handle *h, struct port *p)
{
	uint32_t gen = atomic_load(&p->own->gen);
	struct nx_reply r;
	int event;

	if (!(atomic_load(&p->own->bits) & NX_CONNECTED))
		return false;
	if (p->peer_event >= 0 && p->gen == gen)
		return true;
	if (!nx_call(&h->conn,
		     (struct nx_call){.op = NX_EV_PEER, .arg = {p->number}},
		     NULL, &r, NULL, &event))
		return false;
	if (p->peer_event >= 0)
		close(p->peer_event);
	p->peer_event = event;
	p->peer = &h->conn.table[r.val[0]];
	p->gen = gen;
	return true;
}

/* An event to a port that has no other end is dropped without a word. */
int xenevtchn_notify(xenevtchn_handle *h, evtchn_port_t number)
{
	struct port *p;

	pthread_mutex_lock(&h->lock);
	p = find(h, number);
	if (p && find_peer(h, p)) {
		atomic_fetch_add(&p->peer->sent, 1);
		atomic_fetch_or(&p->peer->bits, NX_PENDING);
		deliver(p->peer, p->peer_event);
	}
	pthread_mutex_unlock(&h->lock);
	return p ? 0 : -1;
}

/* An event of a port that was closed meanwhile is passed over. */
xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *h)
{
	uint64_t count;

	for (;;) {
		xenevtchn_port_or_error_t number = -1;

		if (read(h->conn.event, &count, sizeof(count)) < 0)
			return -1;
		pthread_mutex_lock(&h->lock);
		for (struct port *p = h->ports; p && number < 0; p = p->next)
			if (atomic_fetch_and(&p->own->bits, ~NX_RAISED) &
			    NX_RAISED)
				number = p->number;
		pthread_mutex_unlock(&h->lock);
		if (number >= 0)
			return number;
	}
}

int xenevtchn_unmask(xenevtchn_handle *h, evtchn_port_t number)
{
	struct port *p;

	pthread_mutex_lock(&h->lock);
	p = find(h, number);
	if (p) {
		atomic_fetch_and(&p->own->bits, ~NX_MASKED);
		deliver(p->own, h->conn.event);
	}
	pthread_mutex_unlock(&h->lock);
	return p ? 0 : -1;
}

int xenevtchn_unbind(xenevtchn_handle *h, evtchn_port_t number)
{
	struct port **link;
	struct port *p;

	pthread_mutex_lock(&h->lock);
	p = find(h, number);
	if (p) {
		for (link = &h->ports; *link != p; link = &(*link)->next)
			;
		*link = p->next;
		nx_call(&h->conn,
			(struct nx_call){.op = NX_EV_UNBIND, .arg = {number}},
			NULL, NULL, NULL, NULL);
		forget(p);
	}
	pthread_mutex_unlock(&h->lock);
	return p ? 0 : -1;
}
