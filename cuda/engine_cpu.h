/* SPDX-License-Identifier: MIT */
/*
 * engine_cpu.h - what the files of the cpu engine share; for them alone
 *
 *   engine_cpu.c   opens and closes; facts
 *   cpu_jobs.c     from a job to calls of the arithmetic, part by part
 *   cpu_memory.c   "device" memory: the host's, zeroed and accounted
 *   cpu_kernels.c, cpu_sgemm.c   the arithmetic
 */
#ifndef VGPU_ENGINE_CPU_H
#define VGPU_ENGINE_CPU_H

#include <stdatomic.h>

#include "pool.h"
#include "wire.h"

struct cpu_memory {
	int meminfo;			/* /proc/meminfo */
	uint64_t limit;			/* octets for all that is allocated */
	_Atomic uint64_t held;
};

struct cpu_engine {
	struct vgpu_engine base;
	struct pool *pool;
	unsigned int threads;
	struct cpu_memory memory;
};

/* cpu_jobs.c */
extern const struct pool_ops cpu_pool_ops;

/* cpu_memory.c. Any thread, but for open and close. */

/* 0, or an errno. */
int cpu_memory_open(struct cpu_memory *m);
void cpu_memory_close(struct cpu_memory *m);
/* VGPU_RSP_OK, or NO_MEMORY. */
uint16_t cpu_memory_alloc(struct cpu_memory *m, struct vgpu_engine_mem *mem);
void cpu_memory_free(struct cpu_memory *m, struct vgpu_engine_mem *mem);

#endif /* VGPU_ENGINE_CPU_H */
