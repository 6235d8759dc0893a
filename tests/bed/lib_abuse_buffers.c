// SPDX-License-Identifier: MIT
/*
 * lib_abuse_buffers.c - wrong use of buffers, registered memory and mappings;
 * part of lib_abuse. One thread, apart from a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_abuse.h"

static int alloc(int fd, uint64_t size, uint32_t flags, uint32_t *handle)
{
	struct vgpufront_buffer_alloc req = {.size = size, .flags = flags};
	int err = call(fd, VGPUFRONT_IOC_BUFFER_ALLOC, &req);

	*handle = req.handle;
	return err;
}

static void test_alloc(int fd)
{
	struct vgpufront_buffer_free bad = {.reserved = 1};
	uint32_t handle, handles[VGPUFRONT_MAX_BUFFERS + 1];
	unsigned int i, n, wrong = 0;

	is(alloc(fd, 0, 0, &handle), -EINVAL, "a buffer of no size");
	is(alloc(fd, PAGE, 1, &handle), -EINVAL, "an unknown flag");
	is(alloc(fd, 1ull << 62, 0, &handle), -E2BIG, "a buffer of 2^62 bytes");
	is(alloc(fd, UINT64_MAX, 0, &handle), -E2BIG,
	   "a buffer whose rounded size overflows");
	for (n = 0; n <= VGPUFRONT_MAX_BUFFERS; n++) {
		int err = alloc(fd, 1, 0, &handles[n]);

		if (err) {
			is(err, -EMFILE,
			   "one buffer more than a context may have");
			break;
		}
	}
	is((int)n, VGPUFRONT_MAX_BUFFERS, "as many as it may have");
	bad.handle = handles[0];
	is(call(fd, VGPUFRONT_IOC_BUFFER_FREE, &bad), -EINVAL,
	   "free with the reserved field set");
	for (i = 0; i < n; i++)
		wrong += buffer_free(fd, handles[i]) != 0;
	is((int)wrong, 0, "all of them are freed");
	for (i = 0; i < n; i++)
		wrong += buffer_free(fd, handles[i]) != -ENOENT;
	is((int)wrong, 0, "once: then it is ENOENT");
	is(buffer_free(fd, 0), -ENOENT, "freeing handle 0");
	is(buffer_free(fd, VGPUFRONT_MAX_BUFFERS + 1), -ENOENT,
	   "freeing a handle above all");
	is(buffer_free(fd, UINT32_MAX), -ENOENT, "freeing handle 2^32 - 1");
}

static void test_mmap(int fd)
{
	struct buffer buf = buffer_new(fd, 2 * PAGE);
	off_t offset = (off_t)buf.offset;
	unsigned int i, nonzero = 0;
	char *p = buf.ptr;
	uint32_t registered;

	for (i = 0; i < 2 * PAGE; i++)
		nonzero += p[i] != 0;
	is((int)nonzero, 0, "fresh memory is zero");
#define NO_MAP(what, size, flags, at)                                          \
	ok(mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)(at)) == \
			   MAP_FAILED &&                                       \
		   errno == EINVAL,                                            \
	   "mmap " what)
	NO_MAP("beyond the buffer", 3 * PAGE, MAP_SHARED, offset);
	NO_MAP("past its end", PAGE, MAP_SHARED, offset + 2 * PAGE);
	NO_MAP("across its end", 2 * PAGE, MAP_SHARED, offset + PAGE);
	NO_MAP("of offset 0", PAGE, MAP_SHARED, 0);
	NO_MAP("of a buffer never made", PAGE, MAP_SHARED, offset * 100);
	NO_MAP("of the largest offset", PAGE, MAP_SHARED,
	       INT64_MAX & ~(PAGE - 1ull));
	NO_MAP("private", PAGE, MAP_PRIVATE, offset);
	ok(mremap(p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED,
	   "a mapping does not grow");
	if (buffer_register(fd, p, PAGE, 0, &registered) == 0) {
		NO_MAP("of registered memory", PAGE, MAP_SHARED,
		       (offset / buf.handle) * registered);
		buffer_free(fd, registered);
	}
	strcpy(p, "still here");
	is(buffer_free(fd, buf.handle), 0, "a mapped buffer is freed");
	ok(!strcmp(p, "still here") && (p[PAGE] = 1),
	   "its memory lives as long as the mapping");
	NO_MAP("of a freed buffer", PAGE, MAP_SHARED, offset);
#undef NO_MAP
	munmap(p, 2 * PAGE);
}

static void test_register(int fd)
{
	unsigned char *page = guarded_page();
	uint32_t h, out;
	struct buffer buf;
	struct vgpufront_sqe sqe;
	float *f = (void *)page, *sum;
	int exe, err;

	is(buffer_register(fd, page, 0, 0, &h), -EINVAL, "no size");
	is(buffer_register(fd, page + 2, 8, 0, &h), -EINVAL,
	   "an address that is no multiple of 4");
	is(buffer_register(fd, page, 8, 2, &h), -EINVAL, "an unknown flag");
	is(buffer_register(fd, NULL, 8, 0, &h), -EFAULT, "NULL");
	is(buffer_register(fd, page + PAGE, 8, 0, &h), -EFAULT,
	   "memory without access");
	is(buffer_register(fd, page, PAGE + 4, 0, &h), -EFAULT,
	   "memory of which only the last bytes have none");
	err = buffer_register(fd, (void *)(uintptr_t)KERNEL_ADDRESS, PAGE, 0,
			      &h);
	is(err, -EFAULT, "kernel memory");
	err = buffer_register(fd, (void *)(UINTPTR_MAX - 3), PAGE, 0, &h);
	is(err, -EFAULT, "a range that wraps around");
	is(buffer_register(fd, page, 1ull << 62, 0, &h), -E2BIG, "2^62 bytes");
	err = buffer_register(fd, page, UINT64_MAX, 0, &h);
	ok(err == -E2BIG || err == -EFAULT, "2^64 - 1 bytes");

	f[0] = 1.5f;
	mprotect(page, PAGE, PROT_READ);
	is(buffer_register(fd, page, PAGE, 0, &h), -EFAULT,
	   "read-only memory, to be written to");
	is(buffer_register(fd, page, PAGE, VGPUFRONT_BUFFER_READ_ONLY, &h), 0,
	   "read-only memory as an input");
	buf = buffer_new(fd, PAGE);
	sum = buf.ptr;
	out = buf.handle;
	sqe = add(1, h, h, out, PAGE / 4);
	is(one(fd, &sqe, NULL), 0, "is added");
	ok(sum[0] == 3.0f && f[0] == 1.5f, "with the right sum");

	/* The pins hold what the program lets go of. */
	munmap(page, 2 * PAGE);
	is(one(fd, &sqe, NULL), 0, "and once more after it was unmapped");
	ok(sum[0] == 3.0f, "with the same sum");
	is(buffer_free(fd, h), 0, "and is freed");

	exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	f = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, exe, 0);
	err = buffer_register(fd, f, PAGE, VGPUFRONT_BUFFER_READ_ONLY, &h);
	is(err, 0, "a mapped file as an input");
	sqe = add(1, h, h, out, PAGE / 4);
	is(one(fd, &sqe, NULL), 0, "is added too");
	buffer_free(fd, h);
	munmap(f, PAGE);
	close(exe);
	buffer_end(fd, &buf);
}

/* The same memory again and again, until the domain has no more grants. */
static void test_grants_run_out(int fd)
{
	const size_t size = 4u << 20;
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t handles[VGPUFRONT_MAX_BUFFERS];
	unsigned int n = 0, i, wrong = 0;
	int err = 0;

	if (mem == MAP_FAILED)
		bail("mmap");
	while (n < VGPUFRONT_MAX_BUFFERS && !err) {
		err = buffer_register(fd, mem, size, 0, &handles[n]);
		n += !err;
	}
	is(err, -ENOSPC, "no grants are left after %u times 4 MiB", n);
	for (i = 0; i < n; i++)
		wrong += buffer_free(fd, handles[i]) != 0;
	is((int)wrong, 0, "all are given back");
	for (i = 0; i < n && !wrong; i++)
		wrong += buffer_register(fd, mem, size, 0, &handles[i]) != 0;
	is((int)wrong, 0, "and as many are there again");
	for (i = 0; i < n; i++)
		buffer_free(fd, handles[i]);
	munmap(mem, size);
}

static int other_context(uint32_t handle)
{
	struct vgpufront_sqe sqe = add(1, handle, handle, handle, 4);
	int fd = open_device();

	if (one(fd, &sqe, NULL) != -ENOENT)
		return 1;
	if (buffer_free(fd, handle) != -ENOENT)
		return 2;
	return 0;
}

static void test_other_process(int fd)
{
	struct buffer buf = buffer_new(fd, PAGE);
	float *f = buf.ptr;
	struct vgpufront_sqe sqe;
	int status;
	pid_t pid;

	is(other_context(buf.handle), 0,
	   "another file does not know the handle");
	f[0] = 1;
	pid = fork();
	if (!pid) {
		/* The mapping and the descriptor are inherited. */
		f[0] = 21;
		_exit(other_context(buf.handle));
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0,
	   "nor does another process");
	sqe = add(1, buf.handle, buf.handle, buf.handle, 1);
	is(one(fd, &sqe, NULL), 0, "its owner does, when the child is gone");
	ok(f[0] == 42, "and the child wrote to the same memory");
	buffer_end(fd, &buf);
}

void test_buffers(void)
{
	int fd = open_device();

	test_alloc(fd);
	test_mmap(fd);
	test_register(fd);
	test_grants_run_out(fd);
	test_other_process(fd);
	close(fd);
}
