// SPDX-License-Identifier: MIT
/*
 * engine.c - finds and opens an engine by its name
 *
 * Runs on the thread that is to be the engine's caller. Must never hand out
 * one engine under the name of another: "auto" may choose cpu, and the facts
 * of what is returned then say "cpu".
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

static const struct vgpu_engine_ops *const engines[] = {
	&vgpu_engine_cpu,
	&vgpu_engine_cuda,
	&vgpu_engine_remote,
};

const struct vgpu_engine_ops *vgpu_engine_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(name, engines[i]->name))
			return engines[i];
	return NULL;
}

static struct vgpu_engine *open_auto(const struct vgpu_engine_config *cfg,
				     char why[VGPU_ENGINE_WHY])
{
	char cpu_why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine *eng = vgpu_engine_cuda.open(cfg, why);

	if (eng)
		return eng;
	eng = vgpu_engine_cpu.open(cfg, cpu_why);
	if (!eng)
		memcpy(why, cpu_why, sizeof(cpu_why));
	return eng;
}

static struct vgpu_engine *open_named(const char *name,
				      const struct vgpu_engine_config *cfg,
				      char why[VGPU_ENGINE_WHY])
{
	const size_t remote = strlen(VGPU_ENGINE_REMOTE);
	struct vgpu_engine_config there = *cfg;
	const struct vgpu_engine_ops *ops;

	if (!strncmp(name, VGPU_ENGINE_REMOTE, remote)) {
		there.address = name + remote;
		return vgpu_engine_remote.open(&there, why);
	}
	if (!strcmp(name, "auto"))
		return open_auto(cfg, why);
	ops = vgpu_engine_by_name(name);
	if (ops)
		return ops->open(cfg, why);
	snprintf(why, VGPU_ENGINE_WHY,
		 "no engine is called \"%.40s\": there are auto, cuda, cpu and remote:ADDRESS",
		 name);
	return NULL;
}

struct vgpu_engine *vgpu_engine_open(const char *name,
				     const struct vgpu_engine_config *cfg,
				     char why[VGPU_ENGINE_WHY])
{
	struct vgpu_engine *eng;
	sigset_t all, old;

	why[0] = '\0';
	/*
	 * Signals are the program's affair: threads that the engine, or CUDA
	 * for it, starts here inherit that all are blocked.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	eng = open_named(name, cfg, why);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return eng;
}
