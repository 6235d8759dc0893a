/* SPDX-License-Identifier: MIT */
/* sys.h - the system calls of the library, see sys.c */
#ifndef LIBVGPUFRONT_SYS_H
#define LIBVGPUFRONT_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* 0 or a value, else a negative errno. */
int sys_open(const char *path);
int sys_close(int fd);
int sys_ioctl(int fd, unsigned long request, void *arg);
int sys_mmap(int fd, size_t size, uint64_t offset, void **ptr);
void sys_munmap(void *ptr, size_t size);
/*
 * Copies between the caller's memory, which may be of any kind or not mapped
 * (-EFAULT), and staging memory.
 */
int sys_copy_in(const struct iovec *user, const struct iovec *staging,
		unsigned int nr);
int sys_copy_out(const struct iovec *user, const struct iovec *staging);

#endif /* LIBVGPUFRONT_SYS_H */
