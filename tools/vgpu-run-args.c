// SPDX-License-Identifier: MIT
/*
 * vgpu-run-args.c - arguments of vgpu-run, see vgpu-run.h
 *
 * Words are the user's and files are anybody's: nothing of them is believed but
 * their length. A file that is written is not cut before there is something to
 * write to it, so that a failed run loses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parse-size.h"
#include "vgpu-run.h"

#define FIRST_READ 65536u

bool run_arg_error(const struct run_arg *arg, const char *text, ...)
{
	va_list ap;

	fprintf(stderr, "vgpu-run: argument %u (%s): ", arg->nr, arg->text);
	va_start(ap, text);
	vfprintf(stderr, text, ap);
	va_end(ap);
	fputc('\n', stderr);
	return false;
}

static bool signed_value(struct run_arg *arg, const char *text)
{
	const unsigned int bits = 8 * (unsigned int)arg->size;
	const int64_t max = INT64_MAX >> (64 - bits);
	int64_t value;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 0);
	if (errno || end == text || *end || value > max || value < -max - 1)
		return run_arg_error(arg, "not an integer of %u bits", bits);
	memcpy(arg->value, &value, arg->size);
	return true;
}

static bool unsigned_value(struct run_arg *arg, const char *text)
{
	const unsigned int bits = 8 * (unsigned int)arg->size;
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *text < '0' || *text > '9' || *end ||
	    value > UINT64_MAX >> (64 - bits))
		return run_arg_error(
			arg, "not an integer of %u bits without sign", bits);
	memcpy(arg->value, &value, arg->size);
	return true;
}

/* What is too small for the type becomes what is nearest, as in C. */
static bool float_value(struct run_arg *arg, const char *text)
{
	double wide = 0;
	float narrow = 0;
	char *end;
	bool huge;

	errno = 0;
	if (arg->size == sizeof(narrow))
		narrow = strtof(text, &end);
	else
		wide = strtod(text, &end);
	huge = errno == ERANGE && (isinf(narrow) || isinf(wide));
	if (huge || end == text || *end)
		return run_arg_error(arg, "not a number of %zu bits",
				     8 * arg->size);
	if (arg->size == sizeof(narrow))
		memcpy(arg->value, &narrow, sizeof(narrow));
	else
		memcpy(arg->value, &wide, sizeof(wide));
	return true;
}

static bool buffer_size(struct run_arg *arg, const char *text)
{
	uint64_t size;

	if (!parse_size(text, 1, PTRDIFF_MAX, &size))
		return run_arg_error(
			arg,
			"no size at the end: bytes, at least 1, or with K, M or G");
	arg->size = (size_t)size;
	return true;
}

/* The file may be there: it is cut when it is written. */
static bool open_output(struct run_arg *arg)
{
	arg->out_fd =
		!strcmp(arg->out, "-") ?
			STDOUT_FILENO :
			open(arg->out, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (arg->out_fd < 0)
		return run_arg_error(arg, "cannot write %s: %s", arg->out,
				     strerror(errno));
	return true;
}

static bool read_input(struct run_arg *arg)
{
	char what[32];

	snprintf(what, sizeof(what), "argument %u", arg->nr);
	arg->data = run_read_file(what, arg->in, &arg->size);
	return arg->data;
}

static bool in_buffer(struct run_arg *arg, const char *text)
{
	arg->in = strdup(text);
	return arg->in && read_input(arg);
}

/* FILE:SIZE; the file's name may have colons. */
static bool out_buffer(struct run_arg *arg, const char *text)
{
	const char *colon = strrchr(text, ':');

	if (!colon || colon == text)
		return run_arg_error(arg,
				     "wants a file and a size, out:FILE:SIZE");
	if (!buffer_size(arg, colon + 1))
		return false;
	arg->out = strndup(text, (size_t)(colon - text));
	arg->data = malloc(arg->size);
	if (!arg->out || !arg->data)
		return run_arg_error(arg, "no memory for %zu bytes", arg->size);
	return open_output(arg);
}

/* FILE or FILE:OUTFILE */
static bool inout_buffer(struct run_arg *arg, const char *text)
{
	const char *colon = strchr(text, ':');

	arg->in = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	arg->out = strdup(colon ? colon + 1 : text);
	return arg->in && arg->out && read_input(arg) && open_output(arg);
}

static const struct kind {
	const char *prefix;
	bool buffer;
	size_t size; /* of a value */
	bool (*parse)(struct run_arg *arg, const char *text);
} table[] = {
	{"i8:", false, 1, signed_value},   {"u8:", false, 1, unsigned_value},
	{"i16:", false, 2, signed_value},  {"u16:", false, 2, unsigned_value},
	{"i32:", false, 4, signed_value},  {"u32:", false, 4, unsigned_value},
	{"i64:", false, 8, signed_value},  {"u64:", false, 8, unsigned_value},
	{"f32:", false, 4, float_value},   {"f64:", false, 8, float_value},
	{"in:", true, 0, in_buffer},	   {"out:", true, 0, out_buffer},
	{"inout:", true, 0, inout_buffer}, {"zero:", true, 0, buffer_size},
};

bool run_arg_parse(struct run_arg *arg, unsigned int nr, const char *text)
{
	char prefixes[128] = "";
	size_t i, len;

	*arg = (struct run_arg){.text = text, .nr = nr, .out_fd = -1};
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		len = strlen(table[i].prefix);
		strcat(strcat(prefixes, " "), table[i].prefix);
		if (strncmp(text, table[i].prefix, len))
			continue;
		arg->buffer = table[i].buffer;
		arg->size = table[i].size;
		return table[i].parse(arg, text + len);
	}
	return run_arg_error(arg, "does not begin with one of%s", prefixes);
}

bool run_args_fit(const struct run_arg *args, unsigned int nr,
		  const struct vgpu_function *fn, const char *name)
{
	const unsigned int params = vgpu_function_params(fn);
	size_t offset, size, given;
	unsigned int i;

	if (nr != params) {
		fprintf(stderr,
			"vgpu-run: %s takes %u argument%s, %u given (--params lists them)\n",
			name, params, params == 1 ? "" : "s", nr);
		return false;
	}
	for (i = 0; i < nr; i++) {
		given = args[i].buffer ? sizeof(args[i].value) : args[i].size;
		if (vgpu_function_param(fn, i, &offset, &size) < 0)
			return run_arg_error(&args[i], "unknown to %s", name);
		if (given != size)
			return run_arg_error(
				&args[i], "%s of %zu bytes, %s takes %zu there",
				args[i].buffer ? "an address" : "a value",
				given, name, size);
	}
	return true;
}

bool run_arg_upload(struct run_arg *arg, struct vgpu_device *dev)
{
	uint64_t address;
	int err;

	if (!arg->buffer)
		return true;
	err = vgpu_mem_alloc(dev, arg->size, 0, &arg->mem);
	if (!err)
		err = vgpu_mem_address(arg->mem, &address);
	if (err)
		return run_arg_error(arg, "%zu bytes of the device: %s",
				     arg->size, vgpu_strerror(err));
	memcpy(arg->value, &address, sizeof(address));
	if (!arg->in)
		return true;
	err = vgpu_copy_in(dev, vgpu_at(arg->mem, 0), arg->data, arg->size, 0);
	if (err)
		return run_arg_error(arg, "copy to the device: %s",
				     vgpu_strerror(err));
	return true;
}

bool run_arg_download(struct run_arg *arg, struct vgpu_device *dev)
{
	int err;

	if (!arg->out)
		return true;
	err = vgpu_copy_out(dev, arg->data, vgpu_at(arg->mem, 0), arg->size, 0);
	if (err)
		return run_arg_error(arg, "copy from the device: %s",
				     vgpu_strerror(err));
	return true;
}

static bool write_all(int fd, const char *data, size_t size)
{
	ssize_t put;

	while (size) {
		put = write(fd, data, size);
		if (put < 0 && errno != EINTR)
			return false;
		if (put < 0)
			continue;
		data += put;
		size -= (size_t)put;
	}
	return true;
}

/* A pipe or a device is not cut. */
static bool cut(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (!S_ISREG(st.st_mode) || !ftruncate(fd, 0));
}

bool run_arg_write(struct run_arg *arg)
{
	bool ok;

	if (!arg->out)
		return true;
	ok = arg->out_fd == STDOUT_FILENO || cut(arg->out_fd);
	ok = ok && write_all(arg->out_fd, arg->data, arg->size);
	if (ok && arg->out_fd != STDOUT_FILENO)
		ok = !close(arg->out_fd);
	if (!ok)
		return run_arg_error(arg, "cannot write %s: %s", arg->out,
				     strerror(errno));
	return true;
}

static void *read_all(int fd, size_t *size)
{
	size_t room = FIRST_READ;
	char *data = malloc(room), *more;
	ssize_t got = 1;

	*size = 0;
	while (data && got) {
		if (*size == room) {
			room *= 2;
			more = realloc(data, room);
			if (!more)
				break;
			data = more;
		}
		got = read(fd, data + *size, room - *size);
		if (got < 0 && errno != EINTR)
			break;
		*size += got > 0 ? (size_t)got : 0;
	}
	if (!got)
		return data;
	free(data);
	return NULL;
}

void *run_read_file(const char *what, const char *path, size_t *size)
{
	const bool standard = !strcmp(path, "-");
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	void *data = fd < 0 ? NULL : read_all(fd, size);
	int err = errno;

	if (fd >= 0 && !standard)
		close(fd);
	if (!data) {
		fprintf(stderr, "vgpu-run: %s: cannot read %s: %s\n", what,
			path, strerror(err));
		return NULL;
	}
	if (*size)
		return data;
	fprintf(stderr, "vgpu-run: %s: %s is empty\n", what, path);
	free(data);
	return NULL;
}
