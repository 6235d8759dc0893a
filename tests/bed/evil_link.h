/* SPDX-License-Identifier: MIT */
/*
 * evil_link.h - a user-space vgpu frontend that can be made to misbehave
 *
 * Runs in a guest without vgpufront.ko, as root, on xen-gntalloc and
 * xen-evtchn. By itself it keeps to vgpuif.h: the attacks reach into it. One
 * thread. What cannot be done at all ends the program with "Bail out!".
 */
#ifndef EVIL_LINK_H
#define EVIL_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/io/vgpuif.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define EVIL_ARENA_PAGES 1
#define EVIL_CTX 7

/* Inside the grant table, and nobody\'s. */
#define EVIL_NOT_GRANTED 3999

struct evil_buffer {
	uint32_t handle;
	uint32_t pages;
	void *data;
	uint32_t *refs;
	struct vgpu_page_directory *dir;
	uint32_t dir_ref;
};

struct evil_link {
	struct xs_handle *xs;
	xengntshr_handle *gnt;
	xenevtchn_handle *evt;
	unsigned int back_id;
	char front[64];
	char *back;

	struct vgpu_sring *sring;
	struct vgpu_front_ring ring;
	uint32_t ring_ref;
	uint8_t *arena;
	uint32_t arena_ref;
	struct vgpu_page_directory *arena_dir;
	uint32_t arena_dir_ref;
	evtchn_port_t port;
	bool granted;
	uint16_t next_id;

	struct evil_buffer good[3]; /* mapped while connected: a, b, c */
};

/* Opens everything for device devid. */
void link_open(struct evil_link *l, unsigned int devid);

/*
 * Back to where nothing is negotiated: closes what was, waits until the
 * backend is done with it, and until it offers the device anew (InitWait).
 */
bool link_reset(struct evil_link *l);

/* Grants and port, then all nodes as they should be. No state is written. */
void link_prepare(struct evil_link *l);

/* Initialised -> backend Connected -> Connected; and three good buffers. */
bool link_finish(struct evil_link *l);

/* link_reset, link_prepare, link_finish */
bool link_connect(struct evil_link *l);

/*
 * Did the backend refuse or close the device, with a text in "error"? Waits
 * for it.
 */
bool link_refused(struct evil_link *l);

void link_state(struct evil_link *l, unsigned int state);

/* Puts a request on the ring; link_kick() shows all of them to the backend. */
void link_put(struct evil_link *l, const struct vgpu_request *req);
void link_kick(struct evil_link *l);

/* The next response; false when none came in time. */
bool link_get(struct evil_link *l, struct vgpu_response *rsp);

/*
 * Waits until all slots have come back, whatever is in them, and skips them.
 * What became quiet has no answer, and comes back with that of a NOP, which is
 * sent when nothing else comes. False: they did not come back in time.
 */
bool link_settle(struct evil_link *l);

/*
 * One request, with a fresh id unless its id is set, and its response. The
 * status; -1 where no response came, -2 where it is not this request's.
 */
int link_call(struct evil_link *l, struct vgpu_request *req);

/* An empty request of that op in EVIL_CTX, stream 0. */
struct vgpu_request link_request(uint8_t op);

/* Granted pages with their directory; no request is sent. */
void buffer_make(struct evil_link *l, struct evil_buffer *b, uint32_t handle,
		 uint32_t pages, bool writable);
void buffer_drop(struct evil_link *l, struct evil_buffer *b);

/* The BUFFER_MAP for all of it. */
struct vgpu_request buffer_map_request(const struct evil_buffer *b,
				       uint32_t flags);

/* c = a + b over the good buffers */
struct vgpu_request add_request(const struct evil_link *l, uint32_t count);

/* A NOP comes back and a vector add is right. */
bool link_healthy(struct evil_link *l);

#endif
