// SPDX-License-Identifier: MIT
/*
 * engine_remote_link.c - the remote engine connects and shakes hands
 *
 * Runs on the thread that opens the engine, and later on its I/O thread when
 * the connection broke. Waits for nothing without a deadline. What the far end
 * says is hostile until WELCOME has been checked field by field.
 */
#include <errno.h>
#include <glob.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "engine_remote.h"

/* Octets 0, to end a partial frame that the far end may still wait for. */
static unsigned char filler[REMOTE_FILLER];

uint64_t remote_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* One attempt to connect. */
struct attempt {
	struct remote_link *link;
	const struct remote_address *addr;
	const struct remote_times *times;
	uint64_t deadline;		/* 0: none */
	uint64_t until;			/* of this step */
	int stop_fd;
	bool held;			/* HOLD came */
	uint8_t nonce[REMOTE_NONCE];
	char *why;
};

static bool fail(const struct attempt *at, const char *what)
{
	snprintf(at->why, VGPU_ENGINE_WHY, "%.80s: %.170s", at->addr->text,
		 what);
	return false;
}

static bool fail_errno(const struct attempt *at, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	return fail(at, text);
}

static void allow(struct attempt *at, unsigned int ms)
{
	at->until = remote_now_ms() + ms;
	if (at->deadline && at->deadline < at->until)
		at->until = at->deadline;
}

/*
 * Waits for the descriptor. 1: it is ready; 0: the time is over; -1: it failed,
 * or the engine is to be closed, with errno set.
 */
static int await(const struct attempt *at, short events)
{
	struct pollfd pfd[2] = {
		{ .fd = at->link->fd, .events = events },
		{ .fd = at->stop_fd, .events = POLLIN },
	};
	int n;

	do {
		uint64_t now = remote_now_ms();

		n = poll(pfd, 2, at->until > now ? (int)(at->until - now) : 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && pfd[1].revents) {
		errno = ECANCELED;
		return -1;
	}
	return n > 0 ? 1 : n;
}

static bool connect_socket(struct attempt *at)
{
	int fd = socket(at->addr->sa.any.sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1;
	int ready, err = 0;
	socklen_t len = sizeof(err);

	at->link->fd = fd;
	if (fd < 0)
		return fail_errno(at, "socket");
	if (connect(fd, &at->addr->sa.any, at->addr->len)) {
		if (errno != EINPROGRESS)
			return fail_errno(at, "connect");
		ready = await(at, POLLOUT);
		if (!ready)
			return fail(at, "connect: no answer in time");
		if (ready < 0 ||
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
			return fail_errno(at, "connect");
		errno = err;
		if (err)
			return fail_errno(at, "connect");
	}
	if (at->addr->kind == REMOTE_TCP)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return true;
}

/* The first device of the pattern that nobody else uses. */
static bool open_device(struct attempt *at)
{
	char why[VGPU_ENGINE_WHY], text[VGPU_ENGINE_WHY];
	glob_t found;
	int err = 0;

	if (!strpbrk(at->addr->path, "*?[")) {
		at->link->fd = remote_open_device(at->addr->path, at->why);
		return at->link->fd >= 0;
	}
	if (glob(at->addr->path, 0, NULL, &found))
		return fail(at, "no such device");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		at->link->fd = remote_open_device(found.gl_pathv[i], why);
		err = errno;
		if (at->link->fd >= 0 || err != EBUSY)
			break;
	}
	snprintf(text, sizeof(text), "all of %zu devices are in use",
		 found.gl_pathc);
	globfree(&found);
	if (at->link->fd >= 0)
		return true;
	return fail(at, err == EBUSY ? text : why);
}

static bool copy_text(char *dst, const char *src, size_t size)
{
	if (!remote_text_ok(src, size))
		return false;
	memset(dst, 0, size);
	strcpy(dst, src);
	return true;
}

static bool take_facts(struct attempt *at, const struct remote_welcome *w)
{
	struct vgpu_engine_facts *f = &at->link->facts;
	char tuning[sizeof(w->tuning)];

	if (!copy_text(f->engine, w->engine, sizeof(w->engine)) ||
	    !copy_text(f->gpu_name, w->gpu_name, sizeof(w->gpu_name)) ||
	    !copy_text(f->gpu_uuid, w->gpu_uuid, sizeof(w->gpu_uuid)) ||
	    !copy_text(f->compute_capability, w->compute_capability,
		       sizeof(w->compute_capability)) ||
	    !copy_text(f->driver_version, w->driver_version,
		       sizeof(w->driver_version)) ||
	    !copy_text(f->builtins, w->builtins, sizeof(w->builtins)) ||
	    !copy_text(tuning, w->tuning, sizeof(w->tuning)))
		return fail(at, "welcomes with a text that is none");
	f->memory = w->memory;
	f->modules = w->capabilities & REMOTE_CAP_MODULES;
	memset(f->tuning, 0, sizeof(f->tuning));
	snprintf(f->tuning, sizeof(f->tuning), "remote %.90s%s%.90s",
		 at->addr->text, tuning[0] ? "; " : "", tuning);
	return true;
}

_Static_assert(sizeof(((struct remote_welcome *)0)->engine) ==
	       VGPU_ENGINE_TEXT, "texts of facts");
_Static_assert(sizeof(((struct remote_welcome *)0)->builtins) ==
	       2 * VGPU_ENGINE_TEXT, "long texts of facts");

static bool wrong_version(struct attempt *at, uint32_t theirs)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "vgpu-engined speaks version %u there, this program version %d",
		 theirs, REMOTE_VERSION);
	return fail(at, text);
}

static bool welcomed(struct attempt *at)
{
	struct remote_link *link = at->link;
	struct remote_welcome w;

	memcpy(&w, link->payload, sizeof(w));
	if (w.version != REMOTE_VERSION)
		return wrong_version(at, w.version);
	if (!w.window || w.window > REMOTE_WINDOW_MAX || w.reserved ||
	    w.info.reserved)
		return fail(at, "welcomes with a field out of range");
	if (!(w.capabilities & REMOTE_CAP_BUILTIN))
		return fail(at, "runs no built-in kernels");
	link->window = w.window;
	link->capabilities = w.capabilities;
	link->info = (struct vgpu_engine_info){
		.mem_total = w.info.mem_total,
		.mem_free = w.info.mem_free,
		.temperature_mc = w.info.temperature_mc,
		.power_mw = w.info.power_mw,
		.utilization = w.info.utilization,
	};
	return take_facts(at, &w);
}

static bool refused(struct attempt *at)
{
	char text[REMOTE_WHY + 16];
	struct remote_refused r;

	memcpy(&r, at->link->payload, sizeof(r));
	if (r.reason == REMOTE_REASON_VERSION)
		return wrong_version(at, r.version);
	if (!remote_text_ok(r.text, sizeof(r.text)))
		return fail(at, "refuses, with a text that is none");
	snprintf(text, sizeof(text), "refused: %s", r.text);
	return fail(at, text);
}

/* Is the nonce of the frame in payload ours? */
static bool our_nonce(const struct attempt *at)
{
	static const uint8_t none[REMOTE_NONCE];

	if (!memcmp(at->link->payload, at->nonce, REMOTE_NONCE))
		return true;
	/* A server that is full has read no HELLO. */
	return at->link->in.head.type == REMOTE_REFUSED &&
	       at->addr->kind != REMOTE_DEVICE &&
	       !memcmp(at->link->payload, none, REMOTE_NONCE);
}

/* fail()'s false is STEP_FAILED. */
enum step { STEP_FAILED, STEP_ON, STEP_DONE };

static enum step take_frame(struct attempt *at)
{
	const struct remote_header *h = &at->link->in.head;
	char text[64];

	if (h->type != REMOTE_HOLD && h->type != REMOTE_WELCOME &&
	    h->type != REMOTE_REFUSED) {
		snprintf(text, sizeof(text), "frame of type %u before WELCOME",
			 h->type);
		return fail(at, text);
	}
	if (!our_nonce(at))
		return fail(at, "answers the HELLO of somebody else");
	if (h->type == REMOTE_HOLD) {
		/* Else it could hold us for ever. */
		if (at->held)
			return fail(at, "says HOLD again and again");
		at->held = true;
		allow(at, at->times->hold);
		return STEP_ON;
	}
	if (h->type == REMOTE_REFUSED)
		return refused(at);
	return welcomed(at) ? STEP_DONE : STEP_FAILED;
}

static enum step take_octets(struct attempt *at)
{
	struct remote_link *link = at->link;
	char why[REMOTE_WHY];
	enum step step = STEP_ON;
	unsigned char *where;
	size_t room = remote_in_room(&link->in, &where);
	ssize_t n = read(link->fd, where, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return STEP_ON;
	if (n < 0 && errno != ECONNRESET)
		return fail_errno(at, "read");
	if (n <= 0)
		return fail(at, at->addr->kind == REMOTE_DEVICE ?
				"nobody has the far end open" :
				"closed the connection");
	remote_in_got(&link->in, (size_t)n);
	while (step == STEP_ON) {
		switch (remote_in_next(&link->in, why)) {
		case REMOTE_BAD:
			return fail(at, why);
		case REMOTE_FRAME:
			step = take_frame(at);
			break;
		case REMOTE_MORE:
			/* Sockets start with the first octet of a frame. */
			if (link->in.skipped && at->addr->kind != REMOTE_DEVICE)
				return fail(at, "not a vgpu-engined: its first octets are no frame");
			return STEP_ON;
		}
	}
	return step;
}

static bool too_late(struct attempt *at)
{
	const struct remote_in *in = &at->link->in;
	char text[128];

	if (in->skipped || in->end != in->at)
		snprintf(text, sizeof(text),
			 "octets come, but no answer to HELLO: not a vgpu-engined?");
	else if (in->synced)
		snprintf(text, sizeof(text),
			 "vgpu-engined took longer than %u ms to open its engine",
			 at->times->hold);
	else
		snprintf(text, sizeof(text), "no answer in %u ms",
			 at->times->hello);
	return fail(at, text);
}

static bool shake_hands(struct attempt *at)
{
	struct remote_link *link = at->link;
	enum step step = STEP_ON;
	ssize_t n;

	allow(at, at->times->hello);
	while (step == STEP_ON) {
		n = remote_out_write(&link->out, link->fd);
		/* The far end may have said why before it closed: read on. */
		if (n < 0 && errno != EPIPE && errno != ECONNRESET)
			return fail_errno(at, "write");
		if (n > 0)
			allow(at, at->times->hello);
		switch (await(at, link->out.count && n >= 0 ? POLLIN | POLLOUT :
							      POLLIN)) {
		case 0:
			return too_late(at);
		case -1:
			return fail_errno(at, "wait");
		}
		step = take_octets(at);
	}
	return step == STEP_DONE;
}

static bool begin(struct attempt *at)
{
	struct remote_hello hello = { .version = REMOTE_VERSION };
	struct remote_link *link = at->link;

	if (getrandom(at->nonce, sizeof(at->nonce), 0) != sizeof(at->nonce))
		return fail_errno(at, "getrandom");
	memcpy(hello.nonce, at->nonce, sizeof(hello.nonce));
	memcpy(link->nonce, at->nonce, sizeof(link->nonce));
	remote_in_init(&link->in, REMOTE_CLIENT, link->payload);
	/* A fresh socket has nothing old in it. */
	if (at->addr->kind == REMOTE_DEVICE)
		link->in.nonce = at->nonce;
	link->out.first = link->out.count = 0;
	link->out.sent = 0;
	link->out.is_socket = at->addr->kind != REMOTE_DEVICE;
	if (at->addr->kind == REMOTE_DEVICE)
		remote_out_filler(&link->out, filler, sizeof(filler));
	remote_out_put(&link->out, REMOTE_HELLO, 0, &hello, sizeof(hello), NULL,
		       0, NULL);
	return shake_hands(at);
}

bool remote_link_open(struct remote_link *link,
		      const struct remote_address *addr,
		      const struct remote_times *times, uint64_t deadline,
		      int stop_fd, char why[VGPU_ENGINE_WHY])
{
	struct attempt at = {
		.link = link,
		.addr = addr,
		.times = times,
		.deadline = deadline,
		.stop_fd = stop_fd,
		.why = why,
	};
	bool ok;

	link->fd = -1;
	allow(&at, times->hello);
	ok = addr->kind == REMOTE_DEVICE ? open_device(&at) :
					   connect_socket(&at);
	ok = ok && begin(&at);
	link->in.nonce = NULL;
	if (!ok)
		remote_link_close(link);
	return ok;
}

void remote_link_close(struct remote_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}
