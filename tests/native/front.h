/* SPDX-License-Identifier: MIT */
/*
 * front.h - a frontend in user space, on the kernel module's ring and parser
 *
 * Ring, ids, in-flight record and every check of a response are
 * frontend-kmod/vgpufront_ring.c, what xenstore says goes through
 * vgpufront_parse.c; here is what a kernel would do around them. It keeps to
 * vgpuif.h: tests that want to break a rule reach into the structure.
 *
 * One thread, but for two that may share a connected front whose member shared
 * was set before: one that submits (front_put, front_push) and one that takes
 * responses (front_get, front_next).
 */
#ifndef NATIVE_FRONT_H
#define NATIVE_FRONT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <xenevtchn.h>
#include <xenstore.h>
#include <xen/io/xenbus.h>

#include "memory.h"
#include "vgpufront_ring.h"

/*
 * Of a front since it was opened. @syscalls: what a guest would call the
 * hypervisor or its kernel for: events sent, taken, unmasked, and waits.
 */
struct front_counts {
	uint64_t requests;
	uint64_t responses;
	uint64_t pushes;
	uint64_t notify_sent;
	uint64_t events;
	uint64_t waits;
	uint64_t syscalls;
};

/* What the backend's directory says. */
struct front_limits {
	uint64_t ring_order;
	uint64_t arena_pages;
	uint64_t buffers;
	uint64_t buffer_pages;
	char engine[VGPU_NAME_LEN];
	char gpu_name[VGPU_NAME_LEN];
};

/*
 * @shared: two threads use it
 * @lock: around all calls for the ring, where two threads make them
 * @polling: look at the ring until there is something, never ask for an event
 *	and make no system call
 * @owed: the port was taken and not unmasked
 */
struct front {
	uint32_t domid;
	uint32_t devid;
	uint32_t back_id;
	char dir[64];
	char *back;
	struct xs_handle *xs;
	xenevtchn_handle *evt;
	struct guest_mem mem;

	struct front_limits limits;
	uint32_t ring_order;
	uint32_t arena_pages;
	uint32_t ring_page;
	uint32_t arena_page;
	uint32_t arena_dir_page;
	uint32_t ring_ref[1 << VGPUIF_MAX_RING_PAGE_ORDER];
	uint32_t *arena_ref;
	uint32_t arena_dir_ref;
	evtchn_port_t port;
	bool granted;

	bool shared;
	pthread_mutex_t lock;
	struct vgpufront_ring ring;
	bool polling;
	bool owed;
	struct front_counts counts;
};

/* Opens everything for a device that is attached. False: the harness failed. */
bool front_open(struct front *f, uint32_t domid, uint32_t devid);
/* Gives everything back, connected or not, as a dead guest would. */
void front_close(struct front *f);

/*
 * The steps of connecting: waits for InitWait and reads the limits; makes ring,
 * arena (at most the backend's maximum each) and port; writes the nodes;
 * Initialised to Connected. False, and why on stderr. front_connect() is all.
 */
bool front_await_offer(struct front *f);
bool front_prepare(struct front *f, uint32_t ring_order, uint32_t arena_pages);
bool front_publish(struct front *f);
bool front_finish(struct front *f);
bool front_connect(struct front *f, uint32_t ring_order, uint32_t arena_pages);

/*
 * Closing, waits until the backend is Closed, ends all grants, Closed. False:
 * the backend did not close, or has something mapped after it.
 */
bool front_disconnect(struct front *f);
/* The last part alone, where the backend has closed. */
bool front_drop(struct front *f);
/* Initialising: ready for front_connect() again. */
bool front_restart(struct front *f);

bool front_write(struct front *f, const char *node, uint64_t value);
bool front_state(struct front *f, enum xenbus_state state);
bool front_wait_back(struct front *f, enum xenbus_state state);

/* Puts a request; its id, or -1 where the ring is full. */
int front_put(struct front *f, struct vgpu_request *req);
/* Publishes what was put, and tells the backend where it wants to be told. */
void front_push(struct front *f);
/* 1: a response; 0: none at present; -1: the backend broke the protocol. */
int front_get(struct front *f, struct vgpu_response *rsp);
/* The same, and waits for it; 0: none came in WORLD_TIMEOUT_MS. */
int front_next(struct front *f, struct vgpu_response *rsp);
/* One request and its response; the status, or -1. */
int front_call(struct front *f, struct vgpu_request *req,
	       struct vgpu_response *rsp);

#endif /* NATIVE_FRONT_H */
