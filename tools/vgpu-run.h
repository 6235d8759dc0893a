/* SPDX-License-Identifier: MIT */
/*
 * vgpu-run.h - the arguments of vgpu-run: from words of a command line to
 * values and memory, and from memory to files
 *
 * All functions say on stderr what is wrong, and with which argument, before they
 * return false.
 */
#ifndef VGPU_RUN_H
#define VGPU_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvgpufront/vgpufront.h"

/*
 * @text:	the word itself, for messages; @nr: its number, from 1
 * @buffer:	memory of the device, else a value of size bytes
 * @data:	what is in the memory, or has room for it; NULL: zeros, and nobody
 *		wants them back
 * @in, @out:	files, "-" for the standard ones; NULL: none
 * @out_fd:	open while the kernel runs, so that it does not run in vain
 * @value:	what the kernel gets, the address of mem for a buffer
 */
struct run_arg {
	const char *text;
	unsigned int nr;
	bool buffer;
	size_t size;
	void *data;
	char *in, *out;
	int out_fd;
	struct vgpu_mem *mem;
	unsigned char value[8];
};

/* Reads the word, and the file it names; opens what it writes. */
bool run_arg_parse(struct run_arg *arg, unsigned int nr, const char *text);

/* Does the kernel take them? */
bool run_args_fit(const struct run_arg *args, unsigned int nr,
		  const struct vgpu_function *fn, const char *name);

/* To the device, on stream 0; value is an address then. */
bool run_arg_upload(struct run_arg *arg, struct vgpu_device *dev);

/* Back, to data; it is there after the stream's fence. */
bool run_arg_download(struct run_arg *arg, struct vgpu_device *dev);

/* What came back goes to the file. */
bool run_arg_write(struct run_arg *arg);

/* All of a file, or of stdin for "-"; size is at least 1. NULL: said why. */
void *run_read_file(const char *what, const char *path, size_t *size);

/* "vgpu-run: argument 2 (in:x): ..." */
__attribute__((format(printf, 2, 3))) bool
run_arg_error(const struct run_arg *arg, const char *text, ...);

#endif /* VGPU_RUN_H */
