// SPDX-License-Identifier: MIT
/*
 * remote_frame.c - frames of the remote engine (see remote_frame.h)
 *
 * Runs on the one thread that owns the stream, at either end. All that comes
 * in is hostile: a header is copied out of the buffer, checked against the
 * list of types, and only then used. Must never read or write a descriptor
 * except in remote_out_write().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "remote_frame.h"
#include "wire.h"

#define HEADER sizeof(struct remote_header)

struct frame_type {
	uint16_t type;
	const char *name;
	enum remote_end to;
	bool opens;
	uint32_t min, max;
};

static const struct frame_type types[] = {
#define FRAME_TYPE(name, type, str, to, opens, min, max) \
	{ type, str, REMOTE_##to, opens, min, max },
	REMOTE_TYPE_LIST(FRAME_TYPE)
#undef FRAME_TYPE
};

static const struct frame_type *type_of(unsigned int type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

const char *remote_type_name(unsigned int type)
{
	const struct frame_type *t = type_of(type);

	return t ? t->name : NULL;
}

const struct remote_kernel *remote_kernel(unsigned int kernel)
{
	static const struct remote_kernel kernels[] = {
#define KERNEL(name, operands, reads, writes) \
	[VGPU_KERNEL_##name] = { operands, reads, writes },
		REMOTE_KERNEL_LIST(KERNEL)
#undef KERNEL
	};

	switch (kernel) {
#define KERNEL(name, operands, reads, writes) case VGPU_KERNEL_##name:
	REMOTE_KERNEL_LIST(KERNEL)
#undef KERNEL
		return &kernels[kernel];
	}
	return NULL;
}

bool remote_marked(const unsigned char *payload, size_t length,
		   const uint8_t nonce[REMOTE_NONCE])
{
	return !memcmp(payload + length - REMOTE_MARK, nonce, REMOTE_MARK);
}

bool remote_ends_engine(const char *engine, unsigned int status)
{
	if (status == VGPU_RSP_FAULT || status == VGPU_RSP_TIMEOUT)
		return strcmp(engine, "cpu");
	return status == VGPU_RSP_DEVICE_LOST;
}

bool remote_text_ok(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return len < size;
}

void remote_in_init(struct remote_in *in, enum remote_end self,
		    unsigned char *payload)
{
	memset(in, 0, offsetof(struct remote_in, buf));
	in->self = self;
	in->payload = payload;
	in->synced = self == REMOTE_SERVER;
}

size_t remote_in_room(struct remote_in *in, unsigned char **where)
{
	/* A long payload goes where it belongs, past the buffer. */
	if (in->in_payload && in->at == in->end) {
		*where = in->payload + in->have;
		return in->head.length - in->have;
	}
	if (in->at) {
		memmove(in->buf, in->buf + in->at, in->end - in->at);
		in->end -= in->at;
		in->at = 0;
	}
	*where = in->buf + in->end;
	return sizeof(in->buf) - in->end;
}

void remote_in_got(struct remote_in *in, size_t octets)
{
	if (in->in_payload && in->at == in->end)
		in->have += octets;
	else
		in->end += octets;
}

void remote_in_lose_sync(struct remote_in *in)
{
	in->synced = false;
	in->in_payload = false;
	in->skipped = 0;
}

static bool bad(char why[REMOTE_WHY], const char *what)
{
	snprintf(why, REMOTE_WHY, "%s", what);
	return false;
}

/* Whether a frame may start so. */
static bool check_header(const struct remote_in *in,
			 const struct remote_header *h, char why[REMOTE_WHY])
{
	const struct frame_type *t = type_of(h->type);

	if (h->magic != REMOTE_MAGIC) {
		snprintf(why, REMOTE_WHY,
			 "0x%08x where a frame has to begin with 0x%08x",
			 h->magic, REMOTE_MAGIC);
		return false;
	}
	if (h->reserved0 || h->reserved1)
		return bad(why, "a frame whose reserved fields are not 0");
	if (h->length > REMOTE_PAYLOAD_MAX) {
		snprintf(why, REMOTE_WHY,
			 "a frame of %u octets: longer than %d", h->length,
			 REMOTE_PAYLOAD_MAX);
		return false;
	}
	if (!t)
		return true;
	if (t->to != in->self) {
		snprintf(why, REMOTE_WHY, "a %s frame, which is for the other end",
			 t->name);
		return false;
	}
	if (h->length < t->min || h->length > t->max) {
		snprintf(why, REMOTE_WHY, "a %s frame of %u octets, not %u to %u",
			 t->name, h->length, t->min, t->max);
		return false;
	}
	return true;
}

/* Does a frame at p end the search? *whole: is all of it there? */
static bool opens(const struct remote_in *in, const unsigned char *p,
		  size_t len, bool *whole)
{
	char why[REMOTE_WHY];
	struct remote_header h;
	const struct frame_type *t;

	*whole = false;
	if (len < HEADER) {
		memcpy(&h, p, sizeof(h.magic));
		return h.magic == REMOTE_MAGIC;
	}
	memcpy(&h, p, HEADER);
	t = type_of(h.type);
	if (!t || !t->opens || !check_header(in, &h, why))
		return false;
	*whole = len >= HEADER + h.length;
	/* As soon as it can be told: not to wait for more of a wrong one. */
	len -= HEADER;
	return !in->nonce ||
	       !memcmp(p + HEADER, in->nonce,
		       len < REMOTE_NONCE ? len : REMOTE_NONCE);
}

/* Out of sync: discards until a frame that opens a session is there, whole. */
static enum remote_event search(struct remote_in *in)
{
	const uint32_t magic = REMOTE_MAGIC;
	bool whole;

	while (in->end - in->at >= sizeof(magic)) {
		unsigned char *from = in->buf + in->at;
		unsigned char *p = memmem(from, in->end - in->at, &magic,
					  sizeof(magic));

		if (!p)		/* its first octets may be the last here */
			p = in->buf + in->end - (sizeof(magic) - 1);
		in->skipped += (size_t)(p - from);
		in->at = (size_t)(p - in->buf);
		if (in->end - in->at < sizeof(magic))
			break;
		if (!opens(in, p, in->end - in->at, &whole)) {
			in->at++;
			in->skipped++;
			continue;
		}
		if (!whole)
			break;
		memcpy(&in->head, p, HEADER);
		memcpy(in->payload, p + HEADER, in->head.length);
		in->at += HEADER + in->head.length;
		in->synced = true;
		return REMOTE_FRAME;
	}
	return REMOTE_MORE;
}

static enum remote_event next_header(struct remote_in *in, char why[REMOTE_WHY])
{
	if (in->self == REMOTE_SERVER)
		while (in->at < in->end && !in->buf[in->at])
			in->at++;
	if (in->end - in->at < HEADER)
		return REMOTE_MORE;
	memcpy(&in->head, in->buf + in->at, HEADER);
	if (!check_header(in, &in->head, why)) {
		remote_in_lose_sync(in);
		return REMOTE_BAD;
	}
	in->at += HEADER;
	in->have = 0;
	in->in_payload = true;
	return REMOTE_FRAME;
}

enum remote_event remote_in_next(struct remote_in *in, char why[REMOTE_WHY])
{
	enum remote_event event;
	size_t want;

	if (!in->synced)
		return search(in);
	if (!in->in_payload) {
		event = next_header(in, why);
		if (event != REMOTE_FRAME)
			return event;
	}
	want = in->head.length - in->have;
	if (want > in->end - in->at)
		want = in->end - in->at;
	memcpy(in->payload + in->have, in->buf + in->at, want);
	in->at += want;
	in->have += want;
	if (in->have < in->head.length)
		return REMOTE_MORE;
	in->in_payload = false;
	return REMOTE_FRAME;
}

static struct remote_out_frame *out_frame(struct remote_out *out,
					  unsigned int place)
{
	return &out->frame[(out->first + place) % REMOTE_OUT_FRAMES];
}

void remote_out_put(struct remote_out *out, enum remote_type type, uint64_t id,
		    const void *body, size_t body_len, const void *data,
		    size_t data_len, bool *done)
{
	struct remote_out_frame *f = out_frame(out, out->count++);
	const struct remote_header h = {
		.magic = REMOTE_MAGIC,
		.type = (uint16_t)type,
		.length = (uint32_t)(body_len + data_len),
		.id = id,
	};

	memcpy(f->head, &h, HEADER);
	if (body_len)
		memcpy(f->head + HEADER, body, body_len);
	f->head_len = HEADER + body_len;
	f->data = data;
	f->data_len = data_len;
	f->done = done;
}

void remote_out_filler(struct remote_out *out, const void *data, size_t len)
{
	struct remote_out_frame *f = out_frame(out, out->count++);

	f->head_len = 0;
	f->data = data;
	f->data_len = len;
	f->done = NULL;
}

void remote_out_drop(struct remote_out *out)
{
	out->count = out->sent ? 1 : 0;
}

const bool *remote_out_partial(const struct remote_out *out)
{
	return out->sent ? out->frame[out->first % REMOTE_OUT_FRAMES].done :
			   NULL;
}

/* Enough for a window of small frames in one call. */
#define IOVS 32

static int gather(struct remote_out *out, struct iovec *iov)
{
	size_t skip = out->sent;
	int n = 0;

	for (unsigned int i = 0; i < out->count && n < IOVS; i++) {
		struct remote_out_frame *f = out_frame(out, i);

		if (skip < f->head_len)
			iov[n++] = (struct iovec){ f->head + skip,
						   f->head_len - skip };
		skip = skip > f->head_len ? skip - f->head_len : 0;
		if (f->data_len)
			iov[n++] = (struct iovec){ (char *)f->data + skip,
						   f->data_len - skip };
		skip = 0;
	}
	return n;
}

static void sent(struct remote_out *out, size_t octets)
{
	out->sent += octets;
	while (out->count) {
		struct remote_out_frame *f = out_frame(out, 0);

		if (out->sent < f->head_len + f->data_len)
			break;
		out->sent -= f->head_len + f->data_len;
		if (f->done)
			*f->done = true;
		out->first++;
		out->count--;
	}
}

ssize_t remote_out_write(struct remote_out *out, int fd)
{
	struct iovec iov[IOVS + 1];
	ssize_t total = 0, n;

	while (out->count) {
		struct msghdr msg = { .msg_iov = iov };

		msg.msg_iovlen = (size_t)gather(out, iov);
		/* A peer that is gone is an error here, and no signal. */
		n = out->is_socket ? sendmsg(fd, &msg, MSG_NOSIGNAL) :
				     writev(fd, iov, (int)msg.msg_iovlen);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n <= 0)
			break;
		sent(out, (size_t)n);
		total += n;
	}
	return total;
}
