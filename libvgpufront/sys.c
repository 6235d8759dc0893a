// SPDX-License-Identifier: MIT
/*
 * sys.c - the system calls of the library, with -errno results
 *
 * Keeps no state and decides nothing, so that the unit tests can put a double
 * of the module in its place.
 */
/* The offsets of buffers need more than 32 bits, in 32 bit programs too. */
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys.h"

_Static_assert(sizeof(off_t) == 8, "an offset of a buffer must fit");

int sys_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int sys_close(int fd)
{
	return close(fd) ? -errno : 0;
}

int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

int sys_mmap(int fd, size_t size, uint64_t offset, void **ptr)
{
	*ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)offset);
	return *ptr == MAP_FAILED ? -errno : 0;
}

void sys_munmap(void *ptr, size_t size)
{
	munmap(ptr, size);
}

/*
 * process_vm_writev(2) on oneself: the local side (the caller's memory) is
 * accessed as by read(2) or write(2), so that any kind of memory works and what
 * is not mapped is EFAULT; the remote side (staging) is pinned meanwhile.
 */
static int check(ssize_t got, const struct iovec *staging, unsigned int nr)
{
	size_t want = 0;
	unsigned int i;

	if (got < 0)
		return -errno;
	for (i = 0; i < nr; i++)
		want += staging[i].iov_len;
	return (size_t)got == want ? 0 : -EFAULT;
}

int sys_copy_in(const struct iovec *user, const struct iovec *staging,
		unsigned int nr)
{
	return check(process_vm_writev(getpid(), user, nr, staging, nr, 0),
		     staging, nr);
}

int sys_copy_out(const struct iovec *user, const struct iovec *staging)
{
	return check(process_vm_readv(getpid(), user, 1, staging, 1, 0),
		     staging, 1);
}
