// SPDX-License-Identifier: MIT
/*
 * probe.c - opens an engine, prints its facts, closes it (see probe.h)
 *
 * As the user that workers are, so that what passes here passes there, and a
 * far engine is not listened to by root.
 */
#include "probe.h"

#include <stdio.h>
#include <unistd.h>

#include "../cuda/engine.h"
#include "confine.h"

static void fact(const char *name, const char *value)
{
	if (*value)
		printf("%s %s\n", name, value);
}

int probe_main(const char *engine, unsigned int gpu)
{
	const struct vgpu_engine_config cfg = {.gpu = gpu};
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine_facts facts;
	struct vgpu_engine *eng;

	if (!confine_privileges(getppid(), why, sizeof(why))) {
		printf("why cannot drop privileges: %s\n", why);
		return 1;
	}
	eng = vgpu_engine_open(engine, &cfg, why);
	if (!eng) {
		printf("why %s\n", why);
		return 1;
	}
	vgpu_engine_facts(eng, &facts);
	vgpu_engine_close(eng);
	fact("engine", facts.engine);
	fact("gpu-name", facts.gpu_name);
	fact("gpu-uuid", facts.gpu_uuid);
	fact("compute-capability", facts.compute_capability);
	fact("driver-version", facts.driver_version);
	fact("builtins", facts.builtins);
	fact("modules", facts.modules ? "yes" : "");
	printf("gpu-memory %llu\n", (unsigned long long)facts.memory);
	return fflush(stdout) ? 1 : 0;
}
