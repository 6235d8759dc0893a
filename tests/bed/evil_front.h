/* SPDX-License-Identifier: MIT */
/*
 * evil_front.h - the groups of attacks of evil_front
 */
#ifndef EVIL_FRONT_H
#define EVIL_FRONT_H

#include "evil_link.h"

/*
 * Wrong frontend nodes: each is refused, and right ones work afterwards. The
 * n devices take turns: the backend makes a device that fails often wait.
 */
void attack_nodes(struct evil_link *l, unsigned int n);

/* Wrong requests: each gets its status, and right ones work afterwards. */
void attack_requests(struct evil_link *l);

/* The same for memory, parameter blocks, events and quiet requests. */
void attack_compute(struct evil_link *l);

/* The shared memory itself, and the event channel, each for so long. */
void attack_ring(struct evil_link *l, unsigned int seconds);

#endif
