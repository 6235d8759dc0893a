// SPDX-License-Identifier: MIT
/*
 * lib_abuse_payload.c - wrong arguments, names, relocations, and requests on
 * memory, modules and functions; part of lib_abuse. One thread, apart from one
 * that changes what is being read.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib_abuse.h"

#define ROUNDS 200
#define BATCH 64u
#define BLOCKS (48 * BATCH)

static struct vgpufront_sqe launch(const void *args, uint16_t args_len,
				   const void *relocs, uint16_t nr)
{
	struct vgpufront_sqe sqe = request(1, VGPUFRONT_OP_LAUNCH);

	sqe.launch.function = 1;
	for (int i = 0; i < 3; i++)
		sqe.launch.grid[i] = sqe.launch.block[i] = 1;
	sqe.launch.args = (uintptr_t)args;
	sqe.launch.args_len = args_len;
	sqe.launch.relocs = (uintptr_t)relocs;
	sqe.launch.nr_relocs = nr;
	return sqe;
}

static struct vgpufront_sqe get(const void *name, uint32_t len)
{
	struct vgpufront_sqe sqe = request(1, VGPUFRONT_OP_FUNCTION_GET);

	sqe.function_get.module = sqe.function_get.function = 1;
	sqe.function_get.name = (uintptr_t)name;
	sqe.function_get.name_len = len;
	return sqe;
}

static struct vgpufront_sqe with_params(const void *params, uint16_t len)
{
	struct vgpufront_sqe sqe = request(1, VGPUFRONT_OP_BUILTIN);

	sqe.builtin.kernel = KERNEL_VECTOR_ADD;
	sqe.builtin.params = (uintptr_t)params;
	sqe.builtin.param_len = len;
	return sqe;
}

/* No function 1 has been made; some engines have none at all. */
static bool no_function(int err)
{
	return err == -ENOENT || err == -ENXIO;
}

/* Each refused request has one completion, and its neighbours go on. */
static void test_addresses(int fd)
{
	unsigned char *page = guarded_page();
	const void *bad[] = {NULL, (void *)(uintptr_t)KERNEL_ADDRESS,
			     page + PAGE, page + PAGE - 4,
			     (void *)(UINTPTR_MAX - 3)};
	struct vgpufront_sqe sqes[9];
	struct vgpufront_cqe cqes[10];
	struct vgpufront_enter req = {
		.sqes = (uintptr_t)sqes,
		.nr_sqes = 9,
		.cqes = (uintptr_t)cqes,
		.nr_cqes = 10,
		.min_complete = 9,
		.timeout_ns = -1,
	};
	unsigned int i, wrong = 0, refused = 0;

	for (i = 0; i < 5; i++) {
		struct vgpufront_sqe sqe = launch(bad[i], 8, NULL, 0);

		wrong += one(fd, &sqe, NULL) != -EFAULT;
		sqe = launch(page, 8, bad[i], 1);
		wrong += one(fd, &sqe, NULL) != -EFAULT;
		sqe = get(bad[i], 8);
		wrong += one(fd, &sqe, NULL) != -EFAULT;
		sqe = with_params(bad[i], 8);
		wrong += one(fd, &sqe, NULL) != -EFAULT;
	}
	is((int)wrong, 0,
	   "arguments, relocations, names, parameters at bad addresses: EFAULT");
	for (i = 0; i < 9; i++)
		sqes[i] = i % 2 ? launch(page + PAGE - 1, 16, NULL, 0) : nop(i);
	is(enter(fd, &req), 0, "some of them between others");
	for (i = 0; i < req.completed; i++)
		refused += cqes[i].result == -EFAULT;
	ok(req.submitted == 9 && req.completed == 9 && refused == 4,
	   "stop nothing but themselves");
	munmap(page, 2 * PAGE);
}

static void test_lengths(int fd)
{
	static unsigned char args[VGPUFRONT_MAX_ARGS + 16];
	static struct vgpufront_reloc relocs[VGPUFRONT_MAX_RELOCS + 1];
	struct vgpufront_sqe sqe;
	unsigned int i;

	for (i = 0; i <= VGPUFRONT_MAX_RELOCS; i++)
		relocs[i] = (struct vgpufront_reloc){.handle = MEM(1),
						     .at = (uint16_t)(i * 8)};
	sqe = launch(args, VGPUFRONT_MAX_ARGS, relocs, VGPUFRONT_MAX_RELOCS);
	ok(no_function(one(fd, &sqe, NULL)),
	   "the largest launch there is reaches the backend");
	sqe = launch(args, VGPUFRONT_MAX_ARGS + 1, NULL, 0);
	is(one(fd, &sqe, NULL), -EINVAL, "an octet more of arguments");
	sqe = launch(args, UINT16_MAX, NULL, 0);
	is(one(fd, &sqe, NULL), -EINVAL, "65535 of them");
	sqe = launch(args, 1024, relocs, VGPUFRONT_MAX_RELOCS + 1);
	is(one(fd, &sqe, NULL), -EINVAL, "a relocation more");
	sqe = launch(NULL, 0, NULL, 0);
	ok(no_function(one(fd, &sqe, NULL)), "no arguments");
	sqe = launch(args, 0, relocs, 1);
	is(one(fd, &sqe, NULL), -EINVAL, "a relocation of no arguments");
	sqe = get(args, 0);
	is(one(fd, &sqe, NULL), -EINVAL, "a name of no length");
	sqe = get(args, VGPUFRONT_MAX_KERNEL_NAME + 1);
	is(one(fd, &sqe, NULL), -EINVAL, "a name that is too long");
	sqe = get(args, UINT32_MAX);
	is(one(fd, &sqe, NULL), -EINVAL, "a name of 4 GiB");
	sqe = get(args, 8);
	ok(one(fd, &sqe, NULL) < 0, "a name of NULs");
	sqe = with_params(args, VGPUFRONT_MAX_PARAMS + 1);
	is(one(fd, &sqe, NULL), -EINVAL, "a parameter block too long");
	sqe = with_params(args, VGPUFRONT_MAX_PARAMS);
	ok(one(fd, &sqe, NULL) < 0, "one that the kernel does not have");
}

static int launch_reloc(int fd, uint32_t handle, uint16_t at, uint16_t reserved,
			uint64_t offset)
{
	struct vgpufront_reloc reloc = {handle, at, reserved};
	uint64_t args[2] = {offset, offset};
	struct vgpufront_sqe sqe = launch(args, sizeof(args), &reloc, 1);

	return one(fd, &sqe, NULL);
}

static void test_relocs(int fd, uint32_t handle, uint32_t read_only)
{
	ok(no_function(launch_reloc(fd, handle, 8, 0, PAGE)),
	   "a relocation to a buffer's very end reaches the backend");
	is(launch_reloc(fd, handle, 8, 0, PAGE + 1), -ERANGE,
	   "one behind its end");
	is(launch_reloc(fd, handle, 0, 0, UINT64_MAX), -ERANGE,
	   "one far behind it");
	is(launch_reloc(fd, read_only, 0, 0, 0), -EACCES,
	   "one of a read-only buffer");
	is(launch_reloc(fd, 0, 0, 0, 0), -ENOENT, "one of nothing");
	is(launch_reloc(fd, read_only + 1, 0, 0, 0), -ENOENT,
	   "one of a buffer that was never made");
	is(launch_reloc(fd, INT32_MAX, 0, 0, 0), -ENOENT,
	   "one out of all range");
	is(launch_reloc(fd, handle, 0, 1, 0), -EINVAL, "its reserved field");
	is(launch_reloc(fd, handle, 4, 0, 0), -EINVAL, "one between two words");
	is(launch_reloc(fd, handle, 16, 0, 0), -EINVAL,
	   "one behind the arguments");
	is(launch_reloc(fd, handle, UINT16_MAX - 7, 0, 0), -EINVAL,
	   "one far behind them");
}

static void test_memory(int fd, uint32_t handle, uint32_t read_only)
{
	static const uint8_t by_handle[] = {VGPUFRONT_OP_MEM_FREE,
					    VGPUFRONT_OP_MODULE_UNLOAD};
	unsigned int wrong = 0, i;
	struct vgpufront_sqe sqe;

#define TRY(what, want, OP, ...)                                               \
	do {                                                                   \
		sqe = request(1, VGPUFRONT_OP_##OP);                           \
		__VA_ARGS__;                                                   \
		is(one(fd, &sqe, NULL), want, what);                           \
	} while (0)
#define COPY(d, s, doff, soff, len)                                            \
	(sqe.copy.dst = (d), sqe.copy.src = (s), sqe.copy.dst_offset = (doff), \
	 sqe.copy.src_offset = (soff), sqe.copy.length = (len))
#define FILL(h, off, len)                                                      \
	(sqe.fill.handle = (h), sqe.fill.width = 1, sqe.fill.offset = (off),   \
	 sqe.fill.length = (len))
	TRY("a copy from a read-only buffer", 0, COPY,
	    COPY(handle, read_only, 0, 0, 64));
	TRY("a copy to one", -EACCES, COPY, COPY(read_only, handle, 0, 0, 64));
	TRY("a copy past the end", -ERANGE, COPY,
	    COPY(handle, read_only, PAGE - 63, 0, 64));
	TRY("a copy from past the end", -ERANGE, COPY,
	    COPY(handle, read_only, 0, 1, 64));
	TRY("a copy of 2^64 - 1 octets", -ERANGE, COPY,
	    COPY(handle, handle, 0, 0, UINT64_MAX));
	TRY("a copy whose end overflows", -ERANGE, COPY,
	    COPY(handle, handle, UINT64_MAX, 0, 2));
	TRY("a copy to nowhere", -ENOENT, COPY, COPY(0, handle, 0, 0, 1));
	TRY("a copy from memory that was never made", -ENOENT, COPY,
	    COPY(handle, MEM(12345), 0, 0, 1));
	TRY("a copy with a reserved word", -EINVAL, COPY,
	    COPY(handle, handle, 0, 0, 1);
	    sqe.copy.reserved[3] = 1);
	TRY("a fill", 0, FILL, FILL(handle, 1, PAGE - 1));
	TRY("a fill of a read-only buffer", -EACCES, FILL,
	    FILL(read_only, 0, 1));
	TRY("a fill past the end", -ERANGE, FILL, FILL(handle, 1, PAGE));
	TRY("a fill with a reserved word", -EINVAL, FILL, FILL(handle, 0, 1);
	    sqe.fill.reserved0 = 1);
	TRY("a module out of device memory", -ENOENT, MODULE_LOAD,
	    sqe.module_load.image.handle = MEM(1));
	TRY("a module past the end", -ERANGE, MODULE_LOAD,
	    sqe.module_load.image =
		    ((struct vgpufront_operand){handle, PAGE, 1}));
	TRY("a log in a read-only buffer", -EACCES, MODULE_LOAD,
	    sqe.module_load.image.handle = handle,
	    sqe.module_load.log =
		    ((struct vgpufront_operand){read_only, 64, 0}));
	TRY("memory with a reserved field", -EINVAL, MEM_ALLOC,
	    sqe.mem_alloc.handle = MEM(1), sqe.mem_alloc.length = 4,
	    sqe.mem_alloc.reserved0 = 1);
	TRY("memory without its bit", -EINVAL, MEM_ALLOC,
	    sqe.mem_alloc.handle = 1, sqe.mem_alloc.length = 4);
	TRY("a stream's end with a body", -EINVAL, STREAM_DESTROY,
	    sqe.body[7] = 1);
	TRY("a stream's end", 0, STREAM_DESTROY, sqe.stream = 9);
#undef TRY
#undef COPY
#undef FILL
	for (i = 0; i < sizeof(by_handle); i++) {
		sqe = request(1, by_handle[i]);
		sqe.handle.handle = MEM(777);
		wrong += one(fd, &sqe, NULL) >= 0;
	}
	is((int)wrong, 0, "what was never made can not be ended");
}

/*
 * Blocks of parameters, more than the arena holds at once, so that they lie
 * everywhere in it: each of them makes its own product.
 */
static void test_blocks(int fd)
{
	struct buffer buf = buffer_new(fd, (2 + BLOCKS) * 4);
	static struct sgemm params[BATCH];
	struct vgpufront_sqe sqes[BATCH];
	float *v = buf.ptr;
	unsigned int wrong = 0, i, k;

	v[0] = 2;
	v[1] = 3;
	for (i = 0; i < BLOCKS; i += BATCH) {
		for (k = 0; k < BATCH; k++) {
			float alpha = (float)(i + k + 1);

			params[k] = (struct sgemm){.shape = {1, 1, 1, 1, 1, 1},
						   .alpha = alpha};
			sqes[k] = with_params(&params[k], sizeof(params[k]));
			sqes[k].builtin.kernel = KERNEL_SGEMM;
			sqes[k].flags = VGPUFRONT_SQE_QUIET;
			for (unsigned int o = 0; o < 3; o++)
				sqes[k].builtin.operand[o] =
					(struct vgpufront_operand){buf.handle,
								   1, o * 4};
			sqes[k].builtin.operand[2].offset = (2 + i + k) * 4;
		}
		wrong += submit(fd, sqes, BATCH) != BATCH;
	}
	sqes[0] = request(1, VGPUFRONT_OP_FENCE);
	is(one(fd, &sqes[0], NULL), 0, "%u products of own parameters", BLOCKS);
	for (i = 0; i < BLOCKS; i++)
		wrong += v[2 + i] != 6.0f * (float)(i + 1);
	is((int)wrong, 0, "are all right");
	buffer_end(fd, &buf);
}

/* ---- payload that changes while it is read ---- */

static struct {
	volatile uint64_t args[8];
	volatile struct vgpufront_reloc relocs[4];
	bool stop;
} moving;

static void *scribble(void *arg)
{
	unsigned int i;

	for (i = 0; !__atomic_load_n(&moving.stop, __ATOMIC_ACQUIRE); i++) {
		moving.args[i % 8] = i % 3 ? i : ~0ull << i % 64;
		moving.relocs[i % 4].at = (uint16_t)(i * 8 % 80);
		moving.relocs[i % 4].handle = i % 300;
	}
	return arg;
}

static void test_moving(int fd)
{
	struct vgpufront_sqe sqes[16];
	unsigned int i, taken = 0, got = 0;
	pthread_t thread;
	int n;

	for (i = 0; i < 16; i++)
		sqes[i] = launch((void *)moving.args, sizeof(moving.args),
				 (void *)moving.relocs, 4);
	if (pthread_create(&thread, NULL, scribble, NULL))
		bail("thread");
	for (i = 0; i < ROUNDS; i++) {
		n = submit(fd, sqes, 16);
		taken += n > 0 ? (unsigned int)n : 0;
		got += drain(fd);
	}
	__atomic_store_n(&moving.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ok(taken == ROUNDS * 16 && got == taken,
	   "arguments that change while they are read: each launch has one answer");
}

void test_payload(void)
{
	int fd = open_device();
	struct buffer buf = buffer_new(fd, PAGE);
	static _Alignas(8) char input[64];
	uint32_t read_only;

	if (buffer_register(fd, input, sizeof(input),
			    VGPUFRONT_BUFFER_READ_ONLY, &read_only))
		bail("BUFFER_REGISTER");
	test_addresses(fd);
	test_lengths(fd);
	test_relocs(fd, buf.handle, read_only);
	test_memory(fd, buf.handle, read_only);
	test_blocks(fd);
	test_moving(fd);
	is((int)drain(fd), 0, "no request was answered twice");
	is(buffer_free(fd, read_only), 0, "nothing holds a buffer any more");
	buffer_end(fd, &buf);
	close(fd);
}
