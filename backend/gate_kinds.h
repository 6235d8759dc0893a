/* SPDX-License-Identifier: MIT */
/*
 * gate_kinds.h - how long jobs take, by their kind: gate.c's own
 */
#ifndef VGPU_BACKEND_GATE_KINDS_H
#define VGPU_BACKEND_GATE_KINDS_H

#include "gate.h"

/* Of what is work; never 0. */
uint64_t gate_key(const struct vgpu_job *job);

/* unseen: what it is where no job of the kind is remembered. At least 1. */
uint64_t gate_estimate(struct gate *g, uint64_t key, uint64_t unseen);

/* The engine took this long for the jobs of the list together. */
void gate_learn(struct gate *g, struct vgpu_job *done, uint64_t elapsed_ns);

#endif /* VGPU_BACKEND_GATE_KINDS_H */
