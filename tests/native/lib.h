/* SPDX-License-Identifier: MIT */
/*
 * lib.h - what the tests of the whole library share: a guest and a device
 *
 * Every test has a world of its own, made anew (guest.h), with the device open;
 * whatever it did, nothing is left of it. Asserts by cmocka.
 */
#ifndef NATIVE_LIB_H
#define NATIVE_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../libvgpufront/vgpufront.h"
#include "guest.h"

#define MI (1u << 20)

/* The open device that the calls below are for. */
extern struct vgpu_device *dev;

/* Setup and teardown: cpu, or the GPU where the environment asks for it. */
int lib_begin(void **state);
int lib_end(void **state);
/* Both sides sleep: what is counted does not depend on who is faster. */
int lib_begin_asleep(void **state);
/* For a setup of one's own. */
int lib_begin_with(const char *engine, const char *const *options);

#define LIB_TEST(name) cmocka_unit_test_setup_teardown(name, lib_begin, lib_end)

/* Nothing takes that long: what hangs is to be seen as such. */
void lib_limit_time(void);

/*
 * The engine cuda can be had: on a GPU where the environment asks for that, else
 * on the fake driver of tests/conformance, where the build has made it.
 */
bool lib_has_cuda(void);

struct vgpu_mem *mem_of(size_t size);
struct vgpu_buffer *buffer_of(size_t size);
void fence(unsigned int stream);

/* The library may keep a buffer that it copies through; nothing else is left. */
void backend_is_empty(void);

void fill_bytes(uint8_t *p, size_t n, uint32_t seed);
void fill_floats(float *p, size_t n, float step);

#endif /* NATIVE_LIB_H */
