// SPDX-License-Identifier: MIT
/*
 * engine_cpu.c - the engine that runs the work on the host's processors
 *
 * The reference for what results must be, and the engine of hosts without a
 * GPU. Owns nothing but a pool; part() runs on the pool's threads.
 *
 * Results are IEEE 754 binary32, round to nearest even, subnormals kept,
 * whatever the caller's floating-point environment is. Another party may
 * change operand memory meanwhile: each element is only ever data, never an
 * index, a length or a branch.
 */
#include <errno.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "pool.h"
#include "wire.h"

/* Large enough to forget the lock; small enough for fairness and the L2. */
#define PART_MIN	16384
#define PART_MAX	65536
#define MAX_THREADS	64

struct cpu_engine {
	struct vgpu_engine base;
	struct pool *pool;
	unsigned int threads;
};

static struct cpu_engine *to_cpu(struct vgpu_engine *eng)
{
	return (struct cpu_engine *)eng;
}

/* Without restrict: c may be a or b. */
static void vector_add(const float *a, const float *b, float *c, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < n; i++)
		c[i] = a[i] + b[i];
}

static uint16_t part(void *engine, unsigned int thread,
		     const struct vgpu_job *job, uint64_t first, uint64_t count,
		     uint8_t *path)
{
	const struct vgpu_engine_operand *op = job->operand;

	(void)engine;
	(void)thread;
	if (job->kernel == VGPU_KERNEL_DEBUG_FAULT)
		return VGPU_RSP_FAULT;
	*path = VGPU_PATH_HOST;
	/* A new thread inherits rounding and flush-to-zero from its creator. */
	fesetenv(FE_DFL_ENV);
	vector_add((const float *)op[0].host + first,
		   (const float *)op[1].host + first,
		   (float *)op[2].host + first, count);
	return VGPU_RSP_OK;
}

/* Among all threads, as far as the bounds allow. */
static struct pool_share share(void *engine, const struct vgpu_job *job,
			       uint64_t count)
{
	const struct cpu_engine *eng = engine;
	struct pool_share share = { .width = eng->threads };

	(void)job;
	share.part = (count - 1) / eng->threads + 1;
	if (share.part < PART_MIN)
		share.part = PART_MIN;
	if (share.part > PART_MAX)
		share.part = PART_MAX;
	return share;
}

static const struct pool_ops cpu_pool_ops = {
	.part = part,
	.share = share,
};

static struct vgpu_engine *cpu_open(const struct vgpu_engine_config *cfg,
				    char why[VGPU_ENGINE_WHY])
{
	struct cpu_engine *eng = calloc(1, sizeof(*eng));
	unsigned int threads = cfg->threads ? cfg->threads :
					      pool_processors(MAX_THREADS);

	if (!eng) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return NULL;
	}
	eng->base.ops = &vgpu_engine_cpu;
	eng->threads = threads;
	eng->pool = pool_create(&cpu_pool_ops, eng, threads);
	if (!eng->pool) {
		snprintf(why, VGPU_ENGINE_WHY, "cannot start %u threads: %s",
			 threads, strerror(errno));
		free(eng);
		return NULL;
	}
	return &eng->base;
}

static void cpu_close(struct vgpu_engine *eng)
{
	pool_destroy(to_cpu(eng)->pool);
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
	strcpy(out->builtins, "vector-add");
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
	.submit = cpu_submit,
	.reap = cpu_reap,
	.arm = cpu_arm,
	.fd = cpu_fd,
};
