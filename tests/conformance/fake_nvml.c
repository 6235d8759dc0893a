// SPDX-License-Identifier: MIT
/*
 * fake_nvml.c - a libnvidia-ml.so.1 for tests, beside fake_cuda.c
 *
 * Counts the same GPUs in the opposite order, as NVML and CUDA may. With
 * FAKE_NVML_FAIL set, nvmlInit fails.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int nvmlInit_v2(void);
int nvmlShutdown(void);
const char *nvmlErrorString(int err);
int nvmlSystemGetDriverVersion(char *version, unsigned int len);
int nvmlDeviceGetCount_v2(unsigned int *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **dev);
int nvmlDeviceGetUUID(void *dev, char *uuid, unsigned int len);
int nvmlDeviceGetMemoryInfo(void *dev, unsigned long long *total_free_used);
int nvmlDeviceGetTemperature(void *dev, int sensor, unsigned int *celsius);
int nvmlDeviceGetPowerUsage(void *dev, unsigned int *mw);
int nvmlDeviceGetUtilizationRates(void *dev, unsigned int *gpu_memory);

int nvmlInit_v2(void)
{
	return getenv("FAKE_NVML_FAIL") ? 9 : 0;
}

int nvmlShutdown(void)
{
	return 0;
}

const char *nvmlErrorString(int err)
{
	return err == 9 ? "Driver Not Loaded" : "told to fail";
}

int nvmlSystemGetDriverVersion(char *version, unsigned int len)
{
	snprintf(version, len, "580.0.1");
	return 0;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
	const char *env = getenv("FAKE_CUDA_COUNT");

	*count = env ? (unsigned int)atoi(env) : 1;
	return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **dev)
{
	unsigned int count;

	nvmlDeviceGetCount_v2(&count);
	*dev = (void *)(uintptr_t)(count - index);
	return 0;
}

int nvmlDeviceGetUUID(void *dev, char *uuid, unsigned int len)
{
	unsigned int b = 0x11 * (unsigned int)(uintptr_t)dev;

	snprintf(uuid, len,
		 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b);
	return 0;
}

int nvmlDeviceGetMemoryInfo(void *dev, unsigned long long *total_free_used)
{
	(void)dev;
	total_free_used[0] = 1 << 30;
	total_free_used[1] = 3 << 28;
	total_free_used[2] = 1 << 28;
	return 0;
}

int nvmlDeviceGetTemperature(void *dev, int sensor, unsigned int *celsius)
{
	(void)dev;
	*celsius = 45;
	return sensor;
}

int nvmlDeviceGetPowerUsage(void *dev, unsigned int *mw)
{
	(void)dev;
	*mw = 123456;
	return 0;
}

int nvmlDeviceGetUtilizationRates(void *dev, unsigned int *gpu_memory)
{
	(void)dev;
	gpu_memory[0] = 7;
	gpu_memory[1] = 3;
	return 0;
}
