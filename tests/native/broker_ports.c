// SPDX-License-Identifier: MIT
/*
 * broker_ports.c - the hypervisor's half: event channels
 *
 * Here ports are made, bound and closed; the events themselves go past the
 * broker, through the table that all processes share (wire.h). A port whose
 * other end closes is unbound again, for the same domain, as in Xen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker.h"

enum port_state { PORT_FREE, PORT_UNBOUND, PORT_BOUND };

/* @owner: the handle that has it; @peer: slot of the other end while bound */
struct port {
	enum port_state state;
	struct conn *owner;
	uint32_t remote;
	unsigned int peer;
};

/* Slot: index of the domain * NX_MAX_PORTS + number of the port. */
static struct port ports[NX_MAX_DOMAINS * NX_MAX_PORTS];
static struct nx_port *table;
static int table_fd;
static uint32_t generation;

void port_init(void)
{
	table_fd = memfd_create("ports", MFD_CLOEXEC);
	if (table_fd < 0 || ftruncate(table_fd, NX_TABLE_SIZE))
		broker_die("port table");
	table = mmap(NULL, NX_TABLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		     table_fd, 0);
	if (table == MAP_FAILED)
		broker_die("port table");
}

int port_table_fd(void)
{
	return table_fd;
}

/* The slot of the caller's port, or -1 where its handle has no such port. */
static int own(const struct call *c)
{
	uint64_t number = c->h.arg[0];
	unsigned int slot;

	if (number >= NX_MAX_PORTS)
		return -1;
	slot = domain_slot(c->conn->domid) * NX_MAX_PORTS + number;
	return ports[slot].state != PORT_FREE && ports[slot].owner == c->conn ?
		       (int)slot :
		       -1;
}

/* Port 0 is never valid. */
static int make(struct call *c, uint32_t remote)
{
	unsigned int first = domain_slot(c->conn->domid) * NX_MAX_PORTS;

	for (unsigned int i = 1; i < NX_MAX_PORTS; i++) {
		unsigned int slot = first + i;

		if (ports[slot].state != PORT_FREE)
			continue;
		ports[slot] = (struct port){
			.state = PORT_UNBOUND,
			.owner = c->conn,
			.remote = remote,
		};
		memset(&table[slot], 0, sizeof(table[slot]));
		c->r.val[0] = i;
		c->r.val[1] = slot;
		return slot;
	}
	return -1;
}

static void join(unsigned int slot, unsigned int peer)
{
	ports[slot].state = PORT_BOUND;
	ports[slot].peer = peer;
	atomic_store(&table[slot].gen, ++generation);
	atomic_fetch_or(&table[slot].bits, NX_CONNECTED);
}

/* Both domains agree: the port is offered to the one that binds to it. */
static int bind_port(struct call *c)
{
	int dom = domain_slot(c->h.arg[0]);
	uint64_t number = c->h.arg[1];
	unsigned int peer;
	uint64_t one = 1;
	int slot;

	if (dom < 0 || !number || number >= NX_MAX_PORTS)
		return EINVAL;
	peer = dom * NX_MAX_PORTS + number;
	if (ports[peer].state != PORT_UNBOUND ||
	    ports[peer].remote != c->conn->domid)
		return EINVAL;
	slot = make(c, c->h.arg[0]);
	if (slot < 0)
		return ENOSPC;
	join(slot, peer);
	join(peer, slot);
	/* What was sent while it was unbound is lost, so Xen sends one more. */
	atomic_fetch_or(&table[slot].bits, NX_PENDING);
	if (nx_port_deliver(&table[slot]) &&
	    write(c->conn->event, &one, sizeof(one)) != sizeof(one))
		broker_die("eventfd");
	return 0;
}

static void close_port(unsigned int slot)
{
	struct port *p = &ports[slot];

	if (p->state == PORT_BOUND) {
		ports[p->peer].state = PORT_UNBOUND;
		atomic_fetch_and(&table[p->peer].bits, ~NX_CONNECTED);
	}
	p->state = PORT_FREE;
	atomic_store(&table[slot].bits, 0);
}

int port_call(struct call *c)
{
	int slot;

	if (c->h.op == NX_EV_ALLOC)
		return make(c, c->h.arg[0]) < 0 ? ENOSPC : 0;
	if (c->h.op == NX_EV_BIND)
		return bind_port(c);
	slot = own(c);
	if (slot < 0)
		return ENOTCONN;
	if (c->h.op == NX_EV_UNBIND) {
		close_port(slot);
		return 0;
	}
	if (c->h.op != NX_EV_PEER)
		return ENOSYS;
	if (ports[slot].state != PORT_BOUND)
		return ENOTCONN;
	c->r.val[0] = ports[slot].peer;
	c->fd[c->fds++] = ports[ports[slot].peer].owner->event;
	return 0;
}

void port_conn_gone(struct conn *conn)
{
	for (unsigned int i = 0; i < NX_MAX_DOMAINS * NX_MAX_PORTS; i++)
		if (ports[i].state != PORT_FREE && ports[i].owner == conn)
			close_port(i);
}

void port_domain_gone(unsigned int slot)
{
	for (unsigned int i = 0; i < NX_MAX_PORTS; i++)
		if (ports[slot * NX_MAX_PORTS + i].state != PORT_FREE)
			close_port(slot * NX_MAX_PORTS + i);
}

void port_count(unsigned int slot, struct nx_count *out)
{
	for (unsigned int i = 0; i < NX_MAX_PORTS; i++) {
		const struct port *p = &ports[slot * NX_MAX_PORTS + i];

		out->ports += p->state != PORT_FREE;
		out->bound += p->state == PORT_BOUND;
	}
}
