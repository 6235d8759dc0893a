// SPDX-License-Identifier: MIT
/*
 * cuda_nvml.c - libnvidia-ml.so.1, opened at run time
 *
 * Owns one NVML handle per open engine. Runs on the engine's caller thread.
 * The few declarations needed are written out here, since the CUDA toolkit
 * packages NVML's header apart. They are NVML's ABI: see "NVML API Reference".
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_nvml.h"

#define LIBNVML "libnvidia-ml.so.1"

typedef void *nvml_device;

struct nvml_rates {
	unsigned int gpu, memory;	/* per cent */
};

struct nvml_memory {
	unsigned long long total, free, used;
};

/* X(member, symbol, parameters); each returns 0 for success. */
#define NVML_CALLS(X)							       \
	X(init, "nvmlInit_v2", (void))					       \
	X(shutdown, "nvmlShutdown", (void))				       \
	X(driver, "nvmlSystemGetDriverVersion", (char *, unsigned int))	       \
	X(count, "nvmlDeviceGetCount_v2", (unsigned int *))		       \
	X(by_index, "nvmlDeviceGetHandleByIndex_v2", (unsigned int, nvml_device *)) \
	X(uuid, "nvmlDeviceGetUUID", (nvml_device, char *, unsigned int))      \
	X(memory, "nvmlDeviceGetMemoryInfo", (nvml_device, struct nvml_memory *)) \
	X(temperature, "nvmlDeviceGetTemperature", (nvml_device, int, unsigned int *)) \
	X(power, "nvmlDeviceGetPowerUsage", (nvml_device, unsigned int *))     \
	X(rates, "nvmlDeviceGetUtilizationRates", (nvml_device, struct nvml_rates *))

struct nvml {
	void *lib;
	nvml_device dev;
#define NVML_MEMBER(member, symbol, params) int (*member) params;
	NVML_CALLS(NVML_MEMBER)
#undef NVML_MEMBER
	const char *(*error)(int err);
};

#define NVML_TEMPERATURE_GPU	0

static int look_up(struct nvml *n, char why[VGPU_ENGINE_WHY])
{
	const char *missing = NULL;

#define NVML_LOOK_UP(member, symbol, params)				\
	n->member = (__typeof__(n->member))dlsym(n->lib, symbol);	\
	if (!n->member)							\
		missing = symbol;
	NVML_CALLS(NVML_LOOK_UP)
#undef NVML_LOOK_UP
	n->error = (__typeof__(n->error))dlsym(n->lib, "nvmlErrorString");
	if (!n->error)
		missing = "nvmlErrorString";
	if (!missing)
		return 0;
	snprintf(why, VGPU_ENGINE_WHY, "%s has no %s", LIBNVML, missing);
	return -1;
}

static int find(struct nvml *n, unsigned int gpu, char why[VGPU_ENGINE_WHY])
{
	unsigned int count = 0;
	int err = n->count(&count);

	if (!err && gpu >= count) {
		snprintf(why, VGPU_ENGINE_WHY, "there is no GPU %u: NVML counts %u",
			 gpu, count);
		return -1;
	}
	if (!err)
		err = n->by_index(gpu, &n->dev);
	if (!err)
		return 0;
	snprintf(why, VGPU_ENGINE_WHY, "NVML does not give GPU %u: %.120s", gpu,
		 n->error(err));
	return -1;
}

struct nvml *nvml_open(unsigned int gpu, bool *present,
		       char why[VGPU_ENGINE_WHY])
{
	struct nvml *n = calloc(1, sizeof(*n));
	int err;

	*present = false;
	if (!n) {
		snprintf(why, VGPU_ENGINE_WHY, "out of memory");
		return NULL;
	}
	n->lib = dlopen(LIBNVML, RTLD_NOW | RTLD_LOCAL);
	if (!n->lib) {
		snprintf(why, VGPU_ENGINE_WHY, "dlopen: %.200s", dlerror());
		goto no_lib;
	}
	if (look_up(n, why))
		goto no_init;
	err = n->init();
	if (err) {
		snprintf(why, VGPU_ENGINE_WHY, "nvmlInit: %.120s", n->error(err));
		goto no_init;
	}
	*present = true;
	if (find(n, gpu, why))
		goto no_gpu;
	return n;

no_gpu:
	n->shutdown();
no_init:
	dlclose(n->lib);
no_lib:
	free(n);
	return NULL;
}

void nvml_close(struct nvml *n)
{
	if (!n)
		return;
	n->shutdown();
	dlclose(n->lib);
	free(n);
}

void nvml_uuid(struct nvml *n, char uuid[VGPU_ENGINE_TEXT])
{
	if (n->uuid(n->dev, uuid, VGPU_ENGINE_TEXT))
		uuid[0] = '\0';
}

void nvml_driver_version(struct nvml *n, char version[VGPU_ENGINE_TEXT])
{
	if (n->driver(version, VGPU_ENGINE_TEXT))
		version[0] = '\0';
}

void nvml_info(struct nvml *n, struct vgpu_engine_info *out)
{
	struct nvml_memory mem = { 0 };
	struct nvml_rates rates = { 0 };
	unsigned int value = 0;

	if (!n->memory(n->dev, &mem)) {
		out->mem_total = mem.total;
		out->mem_free = mem.free;
	}
	if (!n->temperature(n->dev, NVML_TEMPERATURE_GPU, &value))
		out->temperature_mc = value * 1000;
	if (!n->power(n->dev, &value))
		out->power_mw = value;
	if (!n->rates(n->dev, &rates))
		out->utilization = rates.gpu;
}
