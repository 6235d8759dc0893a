/* SPDX-License-Identifier: MIT */
/*
 * negotiate.h - what a frontend wrote, read once and checked
 *
 * Free of xenstore: nodes come through a reader, so that every rule is tested
 * without one. Every value is taken for hostile.
 */
#ifndef VGPU_BACKEND_NEGOTIATE_H
#define VGPU_BACKEND_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto.h"

/*
 * The value of a node of the frontend's directory, allocated; *len octets, a
 * NUL behind them. NULL where it is missing.
 */
typedef char *node_reader(void *arg, const char *node, unsigned int *len);

/*
 * Fills the ring, port and arena members of cfg. False with one line in why,
 * which names the node, quotes what is wrong with it and says what is right.
 */
bool negotiate(node_reader *read, void *arg, struct worker_config *cfg,
	       char why[WORKER_WHY]);

#endif /* VGPU_BACKEND_NEGOTIATE_H */
