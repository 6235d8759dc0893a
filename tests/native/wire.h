/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what the processes of the native harness say to their Xen
 *
 * There is no Xen here: one process, the broker, plays hypervisor and
 * xenstored, and everything else reaches it through one Unix stream socket a
 * handle. A call is a struct nx_call and len octets, the answer a struct
 * nx_reply and len octets, with descriptors beside it. The caller waits for
 * the answer; the broker never speaks first: what it has to tell makes the
 * handle's eventfd readable.
 *
 * Event channels are the exception, since they are on the fast path: their bits
 * lie in memory that all processes share (struct nx_port), and a notification
 * is one write to the other end's eventfd.
 */
#ifndef NATIVE_WIRE_H
#define NATIVE_WIRE_H

#include <stdatomic.h>
#include <stdint.h>

#define NX_PAGE 4096ul

/* The broker's socket, and the domain that a process is of. */
#define NX_ENV_SOCKET "VGPU_NATIVE_XEN"
#define NX_ENV_DOMID "VGPU_NATIVE_DOMID"
/* Set: a worker's engine is one that can make no region (regions.c). */
#define NX_ENV_NO_REGIONS "VGPU_NATIVE_NO_REGIONS"

#define NX_MAX_DOMAINS 16
#define NX_MAX_PORTS 128
/* Octets after a call: as many references as gntdev takes at a time, and more. */
#define NX_MAX_PAYLOAD (1u << 20)
/* Linux keeps the first references for itself. */
#define NX_FIRST_REF 8
/* Xen's default: 64 frames of 512 grants. */
#define NX_MAX_GRANTS 32768

/*
 * arg[], payload -> val[], payload, descriptors
 *
 * HELLO	domid, nonblock -> eventfd, port table
 * XS_*		transaction, ...; payload: path NUL [value]
 * XS_READ	-> value
 * XS_DIR	-> names, each with its NUL
 * XS_PERMS	payload: path NUL struct xs_permissions...
 * XS_WATCH, XS_UNWATCH	payload: path NUL token NUL
 * XS_EVENT	-> path NUL token NUL
 * XS_START	-> id; XS_END: id, abort
 * XS_DOMAIN	domid -> introduced
 * RAM		-> pages; descriptor of the caller's memory
 * GRANT	to, read_only; page numbers -> references
 * END		; references
 * MAP		domid, writable; references -> id; page numbers; memory
 * UNMAP	id
 * LEFT		-> mappings of this handle
 * EV_ALLOC	remote domid -> port, slot
 * EV_BIND	domid, remote port -> port, slot
 * EV_UNBIND	port
 * EV_PEER	port -> slot of the other end; its eventfd
 *
 * The toolstack's, and the test's:
 * CREATE	domid, max_grants; DESTROY: domid
 * COUNT	domid -> struct nx_count
 * CONFLICT	n: the next n commits of transactions end in EAGAIN
 */
enum nx_op {
	NX_HELLO = 1,
	NX_XS_READ,
	NX_XS_DIR,
	NX_XS_WRITE,
	NX_XS_MKDIR,
	NX_XS_RM,
	NX_XS_PERMS,
	NX_XS_WATCH,
	NX_XS_UNWATCH,
	NX_XS_EVENT,
	NX_XS_START,
	NX_XS_END,
	NX_XS_DOMAIN,
	NX_RAM,
	NX_GRANT,
	NX_END,
	NX_MAP,
	NX_UNMAP,
	NX_LEFT,
	NX_EV_ALLOC,
	NX_EV_BIND,
	NX_EV_UNBIND,
	NX_EV_PEER,
	NX_CREATE,
	NX_DESTROY,
	NX_COUNT,
	NX_CONFLICT,
};

struct nx_call {
	uint32_t op;
	uint32_t len;
	uint64_t arg[3];
};

/* err: 0 or an errno */
struct nx_reply {
	uint32_t err;
	uint32_t len;
	uint64_t val[2];
};

/*
 * What is left of a domain, or in it.
 *
 * @grants: given and not ended
 * @mapped: pages mapped by others
 * @ports: not closed; of these, @bound to another domain
 * @zombie: destroyed, and kept by what others have mapped
 * @mapper: a process that has pages of it mapped, 0: none
 */
struct nx_count {
	uint32_t grants;
	uint32_t mapped;
	uint32_t ports;
	uint32_t bound;
	uint32_t zombie;
	int32_t mapper;
};

/*
 * One end of an event channel, as both hypervisor and /dev/xen/evtchn see it:
 * an event sets PENDING; unless MASKED it is delivered: PENDING becomes MASKED
 * and RAISED, and the owner's eventfd counts one. The owner takes RAISED, and
 * clears MASKED when it is ready for the next.
 *
 * @gen: another one for each peer
 * @sent, @raised: events sent to this end, and delivered to it
 */
#define NX_PENDING 1u
#define NX_MASKED 2u
#define NX_RAISED 4u
#define NX_CONNECTED 8u

struct nx_port {
	_Atomic uint32_t bits;
	_Atomic uint32_t gen;
	_Atomic uint64_t sent;
	_Atomic uint64_t raised;
};

#define NX_TABLE_SIZE (sizeof(struct nx_port) * NX_MAX_DOMAINS * NX_MAX_PORTS)

/* Lets a pending event through. True: the owner's eventfd has to be written. */
static inline int nx_port_deliver(struct nx_port *p)
{
	uint32_t bits = atomic_load(&p->bits);

	while ((bits & NX_PENDING) && !(bits & NX_MASKED)) {
		uint32_t next = (bits & ~NX_PENDING) | NX_MASKED | NX_RAISED;

		if (!atomic_compare_exchange_weak(&p->bits, &bits, next))
			continue;
		atomic_fetch_add(&p->raised, 1);
		return 1;
	}
	return 0;
}

#endif /* NATIVE_WIRE_H */
