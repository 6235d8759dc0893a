/* SPDX-License-Identifier: MIT */
/*
 * dma.h - may the engine reach what we map of this guest in place?
 */
#ifndef VGPU_BACKEND_DMA_H
#define VGPU_BACKEND_DMA_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "grants.h"

/*
 * Has the engine test the nr pages of the arena, which g has mapped last, mapped
 * once more in scattered order; they are zero afterwards. Logs what came of it.
 * False: no mapping may become a region.
 */
bool dma_test(struct grants *g, struct vgpu_engine *eng, uint32_t nr);

#endif /* VGPU_BACKEND_DMA_H */
