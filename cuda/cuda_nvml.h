/* SPDX-License-Identifier: MIT */
/*
 * cuda_nvml.h - libnvidia-ml.so.1, opened at run time: the GPU by its index,
 * and what changes (temperature, power, utilisation, memory)
 *
 * NVML is a help, not a need: everything is unknown (0 or "") without it.
 */
#ifndef VGPU_CUDA_NVML_H
#define VGPU_CUDA_NVML_H

#include "engine.h"

struct nvml;

/*
 * GPU number `gpu`. NULL, with why, where there is no NVML or no such GPU;
 * *present says which of the two it was.
 */
struct nvml *nvml_open(unsigned int gpu, bool *present,
		       char why[VGPU_ENGINE_WHY]);
/* NULL is allowed. */
void nvml_close(struct nvml *nvml);

/* "GPU-" and 36 characters; "" where unknown. */
void nvml_uuid(struct nvml *nvml, char uuid[VGPU_ENGINE_TEXT]);
void nvml_driver_version(struct nvml *nvml, char version[VGPU_ENGINE_TEXT]);
/* Sets the members that NVML knows and leaves the others. */
void nvml_info(struct nvml *nvml, struct vgpu_engine_info *out);

#endif /* VGPU_CUDA_NVML_H */
