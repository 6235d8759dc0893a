/* SPDX-License-Identifier: MIT */
/*
 * evil_back.h - a user-space vgpu backend that can be made to misbehave
 *
 * evil_back.c speaks the protocol, evil_back_attacks.c breaks it.
 */
#ifndef EVIL_BACK_H
#define EVIL_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/io/vgpuif.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define BIT(n) (1u << (n))

struct evil_back {
	struct xs_handle *xs;
	xengnttab_handle *gnt;
	xenevtchn_handle *evt;
	const char *dir;
	char *front;
	unsigned int guest;
	unsigned int op; /* attack the answer to this one; 0: any */
	unsigned int seconds;

	struct vgpu_sring *sring;
	struct vgpu_back_ring ring;
	uint32_t pages;
	evtchn_port_t port;
	uint16_t quiet; /* requests to be retired with the next answer */
	bool wants_quiet; /* attack only where there are some */
};

void back_open(struct evil_back *b, const char *dir);
void back_state(struct evil_back *b, unsigned int state);

/* Waits for one of these states of the frontend; -1: it took too long. */
int back_wait(struct evil_back *b, unsigned int mask);

/* Right values in all static nodes. */
void back_publish(struct evil_back *b);

/* Publishes, InitWait ... both Connected. */
bool back_connect(struct evil_back *b);
bool back_close(struct evil_back *b);
void back_unmap(struct evil_back *b);

/* The next request; false when none came before the deadline. */
bool back_request(struct evil_back *b, struct vgpu_request *req,
		  int64_t deadline);

/*
 * Answers "success" to all before the first one of that op. Quiet requests
 * without an answer are only counted, and are nobody's target.
 */
bool back_serve_until(struct evil_back *b, unsigned int op,
		      struct vgpu_request *req, int64_t deadline);

struct vgpu_response back_success(const struct vgpu_request *req);
/* Says that the request is done, with an answer where it gets one. */
void back_done(struct evil_back *b, const struct vgpu_request *req);
/* One slot with these octets; back_push() shows what was answered. */
void back_answer(struct evil_back *b, const struct vgpu_response *rsp);
void back_push(struct evil_back *b);

/* One attack by its name, from negotiation to the frontend's last state. */
void back_attack(struct evil_back *b, const char *name);

#endif
