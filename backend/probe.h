/* SPDX-License-Identifier: MIT */
/*
 * probe.h - vgpu-worker --probe: the sanity gate, and what the GPU is
 *
 * Runs in a process of its own, because CUDA does not survive a fork and may
 * crash or hang on a sick host; the supervisor reads the lines. On stdout,
 * either
 *
 *   engine cuda
 *   gpu-name NVIDIA H200
 *   ...
 *
 * (a name and a value a line, names as in xenstore, none without a value; and
 * "modules yes" where the engine runs guests' own code) and exit 0, or "why <text>" and exit 1.
 */
#ifndef VGPU_BACKEND_PROBE_H
#define VGPU_BACKEND_PROBE_H

int probe_main(const char *engine, unsigned int gpu);

#endif /* VGPU_BACKEND_PROBE_H */
