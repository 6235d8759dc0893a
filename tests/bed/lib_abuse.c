// SPDX-License-Identifier: MIT
/*
 * lib_abuse.c - a careless or hostile program against /dev/vgpufront, in a
 * guest of the bed
 *
 * Goes past the library to the ioctls and breaks their rules; prints TAP. This
 * file has the tools and the wrong arguments, lib_abuse_buffers.c wrong use of
 * buffers and mappings, lib_abuse_work.c abuse with work in flight,
 * lib_abuse_payload.c what requests point at and what they name, and
 * lib_abuse_quiet.c quiet requests. Expects to be alone on the device.
 *
 * "lib_abuse quiet" tests nothing: it uses the device for a while, quietly.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib_abuse.h"

static unsigned int count, failed;

static bool report(bool good, const char *format, va_list args)
{
	printf("%sok %u - ", good ? "" : "not ", ++count);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	failed += !good;
	return good;
}

bool ok(bool good, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(good, format, args);
	va_end(args);
	return good;
}

void is(int got, int want, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!report(got == want, format, args))
		printf("# got %d (%s), not %d (%s)\n", got,
		       strerrorname_np(-got), want, strerrorname_np(-want));
	va_end(args);
}

void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(2);
}

int call(int fd, unsigned long request, const void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

int open_device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bail(DEVICE);
	return fd;
}

struct buffer buffer_new(int fd, size_t size)
{
	struct vgpufront_buffer_alloc req = {.size = size};
	struct buffer buf = {.size = size};

	if (call(fd, VGPUFRONT_IOC_BUFFER_ALLOC, &req))
		bail("BUFFER_ALLOC");
	buf.handle = req.handle;
	buf.offset = req.mmap_offset;
	buf.ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       (off_t)req.mmap_offset);
	if (buf.ptr == MAP_FAILED)
		bail("mmap");
	return buf;
}

int buffer_free(int fd, uint32_t handle)
{
	struct vgpufront_buffer_free req = {.handle = handle};

	return call(fd, VGPUFRONT_IOC_BUFFER_FREE, &req);
}

int buffer_register(int fd, const void *addr, uint64_t size, uint32_t flags,
		    uint32_t *handle)
{
	struct vgpufront_buffer_register req = {
		.addr = (uintptr_t)addr,
		.size = size,
		.flags = flags,
	};
	int err = call(fd, VGPUFRONT_IOC_BUFFER_REGISTER, &req);

	*handle = req.handle;
	return err;
}

void buffer_end(int fd, struct buffer *buf)
{
	munmap(buf->ptr, buf->size);
	if (buffer_free(fd, buf->handle))
		bail("BUFFER_FREE");
}

struct vgpufront_info device_info(int fd)
{
	struct vgpufront_info info;

	if (call(fd, VGPUFRONT_IOC_INFO, &info))
		bail("INFO");
	return info;
}

struct vgpufront_sqe nop(uint64_t user_data)
{
	return (struct vgpufront_sqe){
		.user_data = user_data,
		.op = VGPUFRONT_OP_NOP,
		.nop.cookie = ~user_data,
	};
}

struct vgpufront_sqe add(uint64_t user_data, uint32_t a, uint32_t b, uint32_t c,
			 uint32_t nr)
{
	return (struct vgpufront_sqe){
		.user_data = user_data,
		.op = VGPUFRONT_OP_BUILTIN,
		.builtin = {.kernel = KERNEL_VECTOR_ADD,
			    .operand = {{.handle = a, .count = nr},
					{.handle = b, .count = nr},
					{.handle = c, .count = nr}}},
	};
}

struct vgpufront_sqe request(uint64_t user_data, uint8_t op)
{
	return (struct vgpufront_sqe){.user_data = user_data, .op = op};
}

int enter(int fd, struct vgpufront_enter *req)
{
	int err = call(fd, VGPUFRONT_IOC_ENTER, req);

	if (err)
		req->submitted = req->completed = 0;
	return err;
}

int submit(int fd, const struct vgpufront_sqe *sqes, uint32_t nr)
{
	struct vgpufront_enter req = {
		.sqes = (uintptr_t)sqes,
		.nr_sqes = nr,
		.timeout_ns = -1,
	};
	int err = enter(fd, &req);

	return err ? err : (int)req.submitted;
}

int one(int fd, const struct vgpufront_sqe *sqe, struct vgpufront_cqe *out)
{
	struct vgpufront_cqe cqes[2];
	struct vgpufront_enter req = {
		.sqes = (uintptr_t)sqe,
		.nr_sqes = 1,
		.cqes = (uintptr_t)cqes,
		.nr_cqes = 2,
		.min_complete = 1,
		.timeout_ns = -1,
	};
	int err = enter(fd, &req);

	if (err)
		return err;
	if (req.submitted != 1 || req.completed != 1 ||
	    cqes[0].user_data != sqe->user_data)
		return -EPROTO;
	if (out)
		*out = cqes[0];
	return cqes[0].result;
}

unsigned int drain(int fd)
{
	struct vgpufront_cqe cqes[64];
	unsigned int nr = 0;
	int err;

	for (;;) {
		struct vgpufront_enter req = {
			.cqes = (uintptr_t)cqes,
			.nr_cqes = 64,
			.min_complete = 1,
			.timeout_ns = -1,
		};

		err = enter(fd, &req);
		nr += req.completed;
		if (err == -EINTR)
			continue;
		if (err || !req.completed)
			return nr;
	}
}

unsigned char *guarded_page(void)
{
	unsigned char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || mprotect(page + PAGE, PAGE, PROT_NONE))
		bail("mmap");
	return page;
}

static void test_numbers(int fd)
{
	static const unsigned long good[] = {
		VGPUFRONT_IOC_INFO, VGPUFRONT_IOC_BUFFER_ALLOC,
		VGPUFRONT_IOC_BUFFER_REGISTER, VGPUFRONT_IOC_BUFFER_FREE,
		VGPUFRONT_IOC_ENTER};
	static char arg[16384];
	unsigned int wrong = 0, i, k;

	for (i = 0; i < 5; i++) {
		static const int sizes[] = {-16, -8, -1, 1, 8, 4096};
		unsigned int nr = _IOC_NR(good[i]), size = _IOC_SIZE(good[i]);

		for (k = 0; k < 6; k++)
			wrong += call(fd,
				      _IOC(_IOC_DIR(good[i]),
					   VGPUFRONT_IOC_MAGIC, nr,
					   size + (unsigned int)sizes[k]),
				      arg) != -ENOTTY;
		wrong += call(fd, _IO(VGPUFRONT_IOC_MAGIC, nr), arg) != -ENOTTY;
		wrong +=
			call(fd, _IOC(_IOC_NONE, VGPUFRONT_IOC_MAGIC, nr, size),
			     arg) != -ENOTTY;
		wrong += call(fd, _IOC(_IOC_DIR(good[i]), 'x', nr, size),
			      arg) != -ENOTTY;
	}
	is((int)wrong, 0,
	   "ioctls of the wrong size, direction or magic are ENOTTY");
	for (wrong = 0, i = 5; i < 256; i++)
		wrong += call(fd, _IOWR(VGPUFRONT_IOC_MAGIC, i, uint64_t),
			      arg) != -ENOTTY;
	is((int)wrong, 0, "and so are unknown numbers");
	ok(read(fd, arg, 8) == -1 && write(fd, arg, 8) == -1,
	   "read and write fail");
}

static void test_pointers(int fd)
{
	static const unsigned long all[] = {
		VGPUFRONT_IOC_INFO, VGPUFRONT_IOC_BUFFER_ALLOC,
		VGPUFRONT_IOC_BUFFER_REGISTER, VGPUFRONT_IOC_BUFFER_FREE,
		VGPUFRONT_IOC_ENTER};
	unsigned char *page = guarded_page();
	struct vgpufront_buffer_alloc alloc = {.size = PAGE};
	unsigned int wrong = 0, i;
	void *read_only;

	for (i = 0; i < 5; i++) {
		const void *bad[] = {NULL, (void *)(uintptr_t)KERNEL_ADDRESS,
				     page + PAGE,
				     page + PAGE - _IOC_SIZE(all[i]) / 2,
				     (void *)UINTPTR_MAX};
		unsigned int k;

		for (k = 0; k < 5; k++)
			wrong += call(fd, all[i], bad[k]) != -EFAULT;
	}
	is((int)wrong, 0, "no argument of an ioctl at a bad address: EFAULT");

	/* In a page that can be read, but not be told the handle. */
	read_only = page;
	memcpy(read_only, &alloc, sizeof(alloc));
	mprotect(read_only, PAGE, PROT_READ);
	is(call(fd, VGPUFRONT_IOC_INFO, read_only), -EFAULT,
	   "INFO into read-only memory");
	for (wrong = 0, i = 0; i < VGPUFRONT_MAX_BUFFERS + 20; i++)
		wrong += call(fd, VGPUFRONT_IOC_BUFFER_ALLOC, read_only) !=
			 -EFAULT;
	is((int)wrong, 0,
	   "buffers whose handle could not be told do not stay (%d times)",
	   VGPUFRONT_MAX_BUFFERS + 20);
	munmap(page, 2 * PAGE);
}

static void test_enter_pointers(int fd)
{
	unsigned char *page = guarded_page();
	struct vgpufront_sqe *sqes, sqe = nop(7);
	struct vgpufront_cqe cqes[64];
	struct vgpufront_enter req = {.nr_sqes = 1, .timeout_ns = -1};
	unsigned int i, taken;
	int err;

	is(enter(fd, &req), -EFAULT, "requests at NULL");
	req.sqes = KERNEL_ADDRESS;
	is(enter(fd, &req), -EFAULT, "requests in kernel memory");
	req.sqes = (uintptr_t)page + PAGE;
	is(enter(fd, &req), -EFAULT, "requests in memory that is not mapped");

	/* 2^32 - 1 of them, of which there are 16. */
	sqes = (void *)(page + PAGE - 16 * sizeof(*sqes));
	for (i = 0; i < 16; i++)
		sqes[i] = nop(i);
	req.sqes = (uintptr_t)sqes;
	req.nr_sqes = UINT32_MAX;
	err = enter(fd, &req);
	taken = req.submitted;
	ok((!err && taken <= 16) || err == -EFAULT,
	   "an array that ends in nothing: what is there may be taken (%u)",
	   taken);
	is((int)drain(fd), (int)taken, "and what was taken is answered once");

	/* Completions that can not be stored are not lost. */
	req = (struct vgpufront_enter){
		.sqes = (uintptr_t)&sqe,
		.nr_sqes = 1,
		.cqes = (uintptr_t)page + PAGE,
		.nr_cqes = 1,
		.min_complete = 1,
		.timeout_ns = -1,
	};
	err = enter(fd, &req);
	ok(!err && req.submitted == 1 && !req.completed,
	   "completions at a bad address: submitted, none reaped");
	req.nr_sqes = 0;
	is(enter(fd, &req), -EFAULT, "reaping to a bad address");
	is((int)drain(fd), 1, "the completion is still there");

	/* min_complete means at most nr_cqes. */
	for (i = 0; i < 16; i++)
		sqes[i] = nop(i);
	req = (struct vgpufront_enter){
		.sqes = (uintptr_t)sqes,
		.nr_sqes = 3,
		.cqes = (uintptr_t)cqes,
		.nr_cqes = 2,
		.min_complete = UINT32_MAX,
		.timeout_ns = -1,
	};
	err = enter(fd, &req);
	ok(!err && req.submitted == 3 && req.completed == 2,
	   "min_complete above nr_cqes waits for nr_cqes");
	is((int)drain(fd), 1, "and leaves the rest");
	req.flags = 1;
	is(enter(fd, &req), -EINVAL, "an unknown flag of ENTER");
	is((int)drain(fd), 0, "submits nothing");
	munmap(page, 2 * PAGE);
}

/* Each malformed request has one answer, with its error. */
static void test_requests(int fd)
{
	struct buffer buf = buffer_new(fd, 2 * PAGE);
	static const uint8_t ops[] = {0, 2, 3, 4, 19, 20, 128, 255};
	uint32_t h = buf.handle, ro;
	static float input[16];
	struct vgpufront_sqe sqe;
	struct vgpufront_cqe cqe;
	unsigned int i, wrong = 0;

	sqe = nop(0x1234567890abcdef);
	is(one(fd, &sqe, &cqe), 0, "a NOP");
	ok(cqe.value == ~sqe.user_data, "comes back with its cookie");
	for (i = 0; i < sizeof(ops); i++) {
		sqe = nop(i);
		sqe.op = ops[i];
		wrong += one(fd, &sqe, NULL) != -EINVAL;
	}
	is((int)wrong, 0, "operations that programs do not have: EINVAL");

#define REFUSED(what, want, ...)                                               \
	do {                                                                   \
		sqe = add(1, h, h, h, 16);                                     \
		__VA_ARGS__;                                                   \
		is(one(fd, &sqe, NULL), want, what);                           \
	} while (0)
	REFUSED("an add", 0, (void)0);
	REFUSED("an unknown flag", -EINVAL, sqe.flags = 2);
	REFUSED("the reserved field", -EINVAL, sqe.reserved = 1);
	REFUSED("a parameter block without an address", -EFAULT,
		sqe.builtin.param_len = 1);
	REFUSED("an address without a parameter block", -EINVAL,
		sqe.builtin.params = 1);
	REFUSED("a NOP's reserved words", -EINVAL, sqe = nop(1);
		sqe.nop.reserved[6] = 1);
	REFUSED("a FENCE's body", -EINVAL, sqe = nop(1);
		sqe.op = VGPUFRONT_OP_FENCE);
	REFUSED("a handle never made", -ENOENT,
		sqe.builtin.operand[1].handle = h + 1);
	REFUSED("handle 0", -ENOENT, sqe.builtin.operand[0].handle = 0);
	REFUSED("a handle out of all range", -ENOENT,
		sqe.builtin.operand[2].handle = INT32_MAX);
	REFUSED("an offset that is no multiple of 4", -EINVAL,
		sqe.builtin.operand[0].offset = 2);
	REFUSED("an operand past the end", -ERANGE,
		sqe.builtin.operand[2].offset = 2 * PAGE - 60);
	REFUSED("an operand whose end overflows", -ERANGE,
		sqe.builtin.operand[2].offset = UINT64_MAX - 3);
	REFUSED("2^32 - 1 elements", -ERANGE,
		sqe.builtin.operand[0].count = UINT32_MAX);
	REFUSED("an operand at the very end", 0,
		sqe.builtin.operand[2].offset = 2 * PAGE - 64);
#undef REFUSED

	/* These are for the backend to judge. */
	sqe = add(1, h, h, h, 16);
	sqe.builtin.operand[1].count = 8;
	ok(one(fd, &sqe, NULL) < 0, "counts that differ");
	sqe = add(1, h, h, h, 16);
	sqe.builtin.kernel = 999;
	ok(one(fd, &sqe, NULL) < 0, "an unknown kernel");
	sqe = add(1, h, h, h, 16);
	sqe.builtin.param = 1;
	ok(one(fd, &sqe, NULL) < 0, "a parameter that the kernel has not");
	sqe = (struct vgpufront_sqe){.op = VGPUFRONT_OP_BUILTIN,
				     .builtin.kernel = KERNEL_VECTOR_ADD};
	ok(one(fd, &sqe, NULL) < 0, "an add without operands");
	if (buffer_register(fd, input, sizeof(input),
			    VGPUFRONT_BUFFER_READ_ONLY, &ro))
		bail("BUFFER_REGISTER");
	sqe = add(1, h, h, ro, 16);
	is(one(fd, &sqe, NULL), -EACCES, "output in a read-only buffer");
	sqe = add(1, ro, ro, h, 16);
	is(one(fd, &sqe, NULL), 0, "which is an input all right");
	is(buffer_free(fd, ro), 0, "and can be freed");
	is((int)drain(fd), 0, "no request was answered twice");
	buffer_end(fd, &buf);
}

void test_arguments(void)
{
	int fd = open_device();

	test_numbers(fd);
	test_pointers(fd);
	test_enter_pointers(fd);
	test_requests(fd);
	close(fd);
}

int main(int argc, char **argv)
{
	struct vgpufront_info before, after;
	int fd;

	if (argc > 1 && !strcmp(argv[1], "quiet"))
		return quiet_for_a_while() ? 1 : 0;
	fd = open_device();

	/* Nobody's output is to be lost or doubled by a child. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	before = device_info(fd);
	ok(before.abi == VGPUFRONT_ABI_VERSION && !before.lost &&
		   before.state == VGPUFRONT_STATE_CONNECTED,
	   "the device is connected");
	test_arguments();
	test_buffers();
	test_work();
	test_payload();
	test_quiet();
	after = device_info(fd);
	ok(!after.lost && after.state == VGPUFRONT_STATE_CONNECTED &&
		   after.generation == before.generation,
	   "after all this the device is connected as before");
	printf("1..%u\n", count);
	return failed ? 1 : 0;
}
