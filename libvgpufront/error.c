// SPDX-License-Identifier: MIT
/* error.c - texts for errors, and the version. Any thread, no state. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Where the library means something else or more than the wire protocol. */
static const struct {
	int err;
	const char *text;
} texts[] = {
	{EINVAL, "invalid argument"},
	{ENODEV, "device lost: backend gone or device detached"},
	{ENOENT, "no such device, object or kernel"},
	{EACCES, "permission denied, or output in a read-only buffer"},
	{EFAULT, "memory is not mapped, or not writable"},
	{EBUSY, "in use by work in flight"},
	{ENOSPC, "the guest has no free grant references"},
	{EMFILE, "too many buffers, streams or open files"},
	{E2BIG, "larger than a buffer or an image may be"},
	{ETIME, "timed out"},
	{ECANCELED, "dropped because the device was closed"},
	{EINPROGRESS, "not finished"},
	{EAGAIN, "the event is not reached yet"},
	{EPROTONOSUPPORT, "module and library have different ABI versions"},
	{ENOTTY, "not a vgpu device"},
};

VISIBLE const char *vgpu_strerror(int err)
{
	const char *text;
	size_t i;

	/* -INT_MIN does not exist; it is no errno either. */
	if (err < 0 && err > -4096)
		err = -err;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].err == err)
			return texts[i].text;
	text = wire_text(err);
	if (!text)
		text = strerrordesc_np(err);
	return text ? text : "unknown error";
}

VISIBLE const char *vgpu_version(void)
{
	return VGPU_VERSION;
}
