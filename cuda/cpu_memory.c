// SPDX-License-Identifier: MIT
/*
 * cpu_memory.c - device memory of an engine that has no device
 *
 * Anonymous mappings: zeroed, and no page there before it is touched. Since the
 * kernel promises more than it has, and ends a process when it cannot keep it,
 * an allocation is refused that the machine could not fill: all of the engine's
 * together stay below what was available when it was opened, and each one below
 * what is available now.
 *
 * Any thread; the count is atomic. Must never touch the memory itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine_cpu.h"

#define PAGE	4096u
/* Of what is available: an eighth is left to others. */
#define SPARE	8

/* 0 where the kernel does not say. */
static uint64_t available(const struct cpu_memory *m)
{
	unsigned long long kib = 0;
	const char *line;
	char text[512];
	ssize_t n = pread(m->meminfo, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "MemAvailable:");
	if (!line || sscanf(line, "MemAvailable: %llu", &kib) != 1)
		return 0;
	return (uint64_t)kib * 1024;
}

int cpu_memory_open(struct cpu_memory *m)
{
	/* Stays open: there may be no /proc when it is needed. */
	m->meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	if (m->meminfo < 0)
		return errno;
	m->limit = available(m);
	m->limit -= m->limit / SPARE;
	atomic_init(&m->held, 0);
	return 0;
}

void cpu_memory_close(struct cpu_memory *m)
{
	close(m->meminfo);
}

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* Counts them as held; false where that would be too many. */
static bool hold(struct cpu_memory *m, uint64_t bytes)
{
	if (bytes > m->limit)
		return false;
	if (atomic_fetch_add(&m->held, bytes) <= m->limit - bytes)
		return true;
	atomic_fetch_sub(&m->held, bytes);
	return false;
}

uint16_t cpu_memory_alloc(struct cpu_memory *m, struct vgpu_engine_mem *mem)
{
	uint64_t bytes;
	void *at;

	if (mem->bytes > m->limit)
		return VGPU_RSP_NO_MEMORY;
	bytes = whole_pages(mem->bytes);
	if (!hold(m, bytes))
		return VGPU_RSP_NO_MEMORY;
	at = bytes > available(m) ? MAP_FAILED :
	     mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		atomic_fetch_sub(&m->held, bytes);
		return VGPU_RSP_NO_MEMORY;
	}
	mem->address = (uintptr_t)at;
	return VGPU_RSP_OK;
}

void cpu_memory_free(struct cpu_memory *m, struct vgpu_engine_mem *mem)
{
	uint64_t bytes = whole_pages(mem->bytes);

	if (!mem->address)
		return;
	munmap((void *)(uintptr_t)mem->address, bytes);
	mem->address = 0;
	atomic_fetch_sub(&m->held, bytes);
}
