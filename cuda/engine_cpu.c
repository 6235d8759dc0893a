// SPDX-License-Identifier: MIT
/*
 * engine_cpu.c - the engine that runs the work on the host's processors
 *
 * The reference for what results must be, and the engine of hosts without a
 * GPU. Owns the pool and the account of device memory, which here is the host's
 * (engine_cpu.h says what else there is). All of this file runs on the caller's
 * thread.
 *
 * Results are IEEE 754 binary32, round to nearest even, subnormals kept,
 * whatever the caller's floating-point environment is. Own code (modules) needs
 * a GPU: VGPU_RSP_NO_GPU.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "engine_cpu.h"

#define MAX_THREADS	64

static struct cpu_engine *to_cpu(struct vgpu_engine *eng)
{
	return (struct cpu_engine *)eng;
}

static struct vgpu_engine *cpu_open(const struct vgpu_engine_config *cfg,
				    char why[VGPU_ENGINE_WHY])
{
	struct cpu_engine *eng = calloc(1, sizeof(*eng));
	int err;

	if (!eng) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return NULL;
	}
	eng->base.ops = &vgpu_engine_cpu;
	eng->threads = cfg->threads ? cfg->threads :
				      pool_processors(MAX_THREADS);
	err = cpu_memory_open(&eng->memory);
	if (err) {
		snprintf(why, VGPU_ENGINE_WHY, "cannot read /proc/meminfo: %s",
			 strerror(err));
		free(eng);
		return NULL;
	}
	eng->pool = pool_create(&cpu_pool_ops, eng, eng->threads);
	if (!eng->pool) {
		snprintf(why, VGPU_ENGINE_WHY, "cannot start %u threads: %s",
			 eng->threads, strerror(errno));
		cpu_memory_close(&eng->memory);
		free(eng);
		return NULL;
	}
	return &eng->base;
}

static void cpu_close(struct vgpu_engine *eng)
{
	pool_destroy(to_cpu(eng)->pool);
	cpu_memory_close(&to_cpu(eng)->memory);
	free(eng);
}

static void processor_name(char name[VGPU_ENGINE_TEXT])
{
	static const char key[] = "model name";
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		if (strncmp(line, key, sizeof(key) - 1) || !value)
			continue;
		value++;
		value += strspn(value, " \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(name, VGPU_ENGINE_TEXT, "%.*s", VGPU_ENGINE_TEXT - 1,
			 value);
		break;
	}
	if (f)
		fclose(f);
}

static void cpu_facts(struct vgpu_engine *eng, struct vgpu_engine_facts *out)
{
	struct sysinfo si;
	struct utsname un;

	(void)eng;
	memset(out, 0, sizeof(*out));
	strcpy(out->engine, "cpu");
	strcpy(out->builtins, "vector-add saxpy sgemm reduce-sum");
	if (!uname(&un)) {
		snprintf(out->driver_version, sizeof(out->driver_version), "%s",
			 un.release);
		/* Where /proc/cpuinfo names no model, the architecture must do. */
		snprintf(out->gpu_name, sizeof(out->gpu_name), "%s", un.machine);
	}
	processor_name(out->gpu_name);
	if (!sysinfo(&si))
		out->memory = (uint64_t)si.totalram * si.mem_unit;
}

static void cpu_info(struct vgpu_engine *eng, struct vgpu_engine_info *out)
{
	struct sysinfo si;

	(void)eng;
	memset(out, 0, sizeof(*out));
	if (sysinfo(&si))
		return;
	out->mem_total = (uint64_t)si.totalram * si.mem_unit;
	out->mem_free = (uint64_t)si.freeram * si.mem_unit;
}

static struct vgpu_engine_stream *cpu_stream_create(struct vgpu_engine *eng)
{
	return pool_stream_create(to_cpu(eng)->pool);
}

static void cpu_stream_destroy(struct vgpu_engine *eng,
			       struct vgpu_engine_stream *stream)
{
	pool_stream_destroy(to_cpu(eng)->pool, stream);
}

/* All memory is in reach of the processors already. */
static bool cpu_region_test(struct vgpu_engine *eng, void *base, size_t bytes,
			    char why[VGPU_ENGINE_WHY])
{
	(void)eng;
	memset(base, 0, bytes);
	snprintf(why, VGPU_ENGINE_WHY, "the processors reach all memory in place");
	return false;
}

static void cpu_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem)
{
	cpu_memory_free(&to_cpu(eng)->memory, mem);
}

static void cpu_submit(struct vgpu_engine *eng, struct vgpu_job *job)
{
	pool_submit(to_cpu(eng)->pool, job);
}

static struct vgpu_job *cpu_reap(struct vgpu_engine *eng)
{
	return pool_reap(to_cpu(eng)->pool);
}

static bool cpu_arm(struct vgpu_engine *eng)
{
	return pool_arm(to_cpu(eng)->pool);
}

static int cpu_fd(struct vgpu_engine *eng)
{
	return pool_fd(to_cpu(eng)->pool);
}

const struct vgpu_engine_ops vgpu_engine_cpu = {
	.name = "cpu",
	.open = cpu_open,
	.close = cpu_close,
	.facts = cpu_facts,
	.info = cpu_info,
	.stream_create = cpu_stream_create,
	.stream_destroy = cpu_stream_destroy,
	.region_test = cpu_region_test,
	.mem_free = cpu_mem_free,
	.submit = cpu_submit,
	.reap = cpu_reap,
	.arm = cpu_arm,
	.fd = cpu_fd,
};
