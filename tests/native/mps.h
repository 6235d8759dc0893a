/* SPDX-License-Identifier: MIT */
/*
 * mps.h - NVIDIA's Multi-Process Service, a daemon of our own
 *
 * In a directory of its own, so that it is nobody else's and serves nobody else.
 * Run by the measuring or testing thread; one at a time. It changes no setting of
 * the GPU.
 */
#ifndef NATIVE_MPS_H
#define NATIVE_MPS_H

#include <stdbool.h>
#include <sys/types.h>

struct mps {
	char dir[64];
	pid_t pid;
};

/* False, and why: not installed, or it does not start. */
bool mps_begin(struct mps *m, char why[256]);
/* Ends it with what it started. */
void mps_end(struct mps *m);

/* By its daemon's own account. */
bool mps_has_client(const struct mps *m, pid_t pid);

/* This process and its children are its clients from now on; or nobody's. */
void mps_join(const struct mps *m);
void mps_never(void);

#endif /* NATIVE_MPS_H */
