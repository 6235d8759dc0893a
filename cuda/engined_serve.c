// SPDX-License-Identifier: MIT
/*
 * engined_serve.c - the child of vgpu-engined: one connection, one engine
 *
 * A process of its own for each connection, one thread beside the engine's. It
 * opens the engine at the first HELLO, so that who says nothing costs no GPU
 * memory, and keeps it for the connection's life: behind a byte stream clients
 * may come and go without notice. It ends with the connection, or when the
 * engine is of no use any more.
 *
 *   octets -> frame -> HELLO: session   JOB: part -> engine -> DONE
 *                      PING, INFO: answered here   FREE: done here
 *
 * Reads no further while it has no room for what would come. Must never trust a
 * field of a frame, wait for the client without looking at the engine, or keep
 * a socket whose octets make no sense.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../backend/clock.h"
#include "../backend/log.h"
#include "engined.h"
#include "engined_parts.h"

/* A socket that is out of sync this long is closed. */
#define SYNC_MS		5000
/* For the last words to a client, when the connection is to be closed. */
#define LAST_MS		5000
/* So many lines about a client in so much time. */
#define LOG_LINES	50
#define LOG_MS		10000
/* Frames that are no answer to a job need this much of remote_out. */
#define OUT_RESERVE	(ENGINED_WINDOW + 8)

struct server {
	const struct engined_options *opt;
	const char *client;
	bool is_socket;
	bool heard_hello;		/* on this stream, ever */
	bool has_place;			/* a client was welcomed */
	bool greeted;			/* a session is on */
	bool stalled;			/* in holds a JOB that has no room yet */
	bool closing;			/* when all is said */
	uint64_t deadline;		/* of what is out of sync, or closing */
	uint64_t log_since;		/* in the last LOG_MS: */
	unsigned int nr_logged;
	struct remote_in in;
	struct remote_out out;
	struct parts parts;
};

/* Of what is no session. */
static const uint8_t no_nonce[REMOTE_NONCE];

/* Too large for a stack, and there is one a process. */
static struct server server;

/* What the engine still does ends with the process. */
static _Noreturn void end(const struct server *s, enum log_level level,
			  const char *why)
{
	log_event(level, "client-gone", F_STR("client", s->client),
		  F_STR("why", why), F_NUM("parts", s->parts.nr_jobs),
		  F_NUM("failed", s->parts.nr_failed));
	_exit(0);
}

static void put(struct server *s, enum remote_type type, uint64_t id,
		const void *body, size_t len)
{
	remote_out_put(&s->out, type, id, body, len, NULL, 0, NULL);
}

static void write_out(struct server *s)
{
	if (remote_out_write(&s->out, ENGINED_FD) < 0)
		end(s, LOG_INFO, strerror(errno));
	parts_sent(&s->parts);
}

static void close_when_said(struct server *s)
{
	s->closing = true;
	s->deadline = clock_ms() + LAST_MS;
}

/* May the log have a line about what the client did? Not as many as it likes. */
static bool may_log(struct server *s)
{
	uint64_t now = clock_ms();

	if (now - s->log_since > LOG_MS) {
		s->log_since = now;
		s->nr_logged = 0;
	}
	return s->nr_logged++ < LOG_LINES;
}

static void complain(struct server *s, const char *event, const char *why)
{
	if (may_log(s))
		log_event(LOG_WARN, event, F_STR("client", s->client),
			  F_STR("why", why));
}

static void put_error(struct server *s, uint64_t id, uint32_t reason,
		      uint32_t type, const char *text)
{
	struct remote_error e = { .reason = reason, .type = type };

	snprintf(e.text, sizeof(e.text), "%s", text);
	put(s, REMOTE_ERROR, id, &e, sizeof(e));
}

static void refuse(struct server *s, const uint8_t nonce[REMOTE_NONCE],
		   uint32_t reason, const char *text)
{
	struct remote_refused r = {
		.reason = reason,
		.version = REMOTE_VERSION,
	};

	complain(s, "refused", text);
	memcpy(r.nonce, nonce, REMOTE_NONCE);
	snprintf(r.text, sizeof(r.text), "%s", text);
	put(s, REMOTE_REFUSED, 0, &r, sizeof(r));
}

/*
 * Whoever has not said HELLO on this stream may be in the middle of an answer
 * of the process before us: what we said would become the rest of it.
 */
static void out_of_sync(struct server *s, const char *why)
{
	complain(s, "out-of-sync", why);
	parts_new_session(&s->parts, &s->out, no_nonce);
	s->greeted = false;
	s->deadline = s->is_socket ? clock_ms() + SYNC_MS : 0;
	if (s->heard_hello)
		put_error(s, 0, REMOTE_REASON_FRAME, s->in.head.type, why);
}

/* CUDA takes up to seconds for this: the client is told to wait. */
static bool open_engine(struct server *s, const uint8_t nonce[REMOTE_NONCE])
{
	const struct vgpu_engine_config cfg = {
		.gpu = s->opt->gpu,
		.max_job_ns = s->opt->max_launch_ms * UINT64_C(1000000),
	};
	struct remote_hold hold;
	char why[VGPU_ENGINE_WHY] = "";
	struct vgpu_engine *eng;

	memcpy(hold.nonce, nonce, REMOTE_NONCE);
	put(s, REMOTE_HOLD, 0, &hold, sizeof(hold));
	write_out(s);
	eng = vgpu_engine_open(s->opt->engine, &cfg, why);
	if (eng) {
		parts_engine(&s->parts, eng);
		return true;
	}
	refuse(s, nonce, REMOTE_REASON_ENGINE, why);
	close_when_said(s);
	return false;
}

static struct remote_info info_of(struct server *s)
{
	struct vgpu_engine_info info;

	vgpu_engine_info(s->parts.eng, &info);
	return (struct remote_info){
		.mem_total = info.mem_total,
		.mem_free = info.mem_free,
		.temperature_mc = info.temperature_mc,
		.power_mw = info.power_mw,
		.utilization = info.utilization,
	};
}

/* Both have the same sizes; what is no printable ASCII becomes '?'. */
#define TELL(dst, src) log_sanitize(dst, sizeof(dst), src, strlen(src))

/* From now on the place is this client's as long as it wants it. */
static void keep_place(struct server *s)
{
	if (s->is_socket && !s->has_place)
		close(ENGINED_SILENT_FD);
	s->has_place = true;
}

static void welcome(struct server *s, const uint8_t nonce[REMOTE_NONCE])
{
	struct remote_welcome w = {
		.version = REMOTE_VERSION,
		.window = ENGINED_WINDOW,
		.capabilities = REMOTE_CAP_BUILTIN | REMOTE_CAP_INFO,
		.info = info_of(s),
	};
	struct vgpu_engine_facts f;

	vgpu_engine_facts(s->parts.eng, &f);
	memcpy(w.nonce, nonce, REMOTE_NONCE);
	if (f.modules)
		w.capabilities |= REMOTE_CAP_MODULES;
	w.memory = f.memory;
	TELL(w.engine, f.engine);
	TELL(w.gpu_name, f.gpu_name);
	TELL(w.gpu_uuid, f.gpu_uuid);
	TELL(w.compute_capability, f.compute_capability);
	TELL(w.driver_version, f.driver_version);
	TELL(w.builtins, f.builtins);
	TELL(w.tuning, f.tuning);
	put(s, REMOTE_WELCOME, 0, &w, sizeof(w));
	s->greeted = true;
	keep_place(s);
	if (may_log(s))
		log_event(LOG_INFO, "session", F_STR("client", s->client),
			  F_STR("engine", w.engine),
			  F_STR("device", w.gpu_name));
}

/* A frame that has the form, but not what it must hold. */
static void take_bad(struct server *s, const char *why)
{
	remote_in_lose_sync(&s->in);
	out_of_sync(s, why);
}

static void take_hello(struct server *s)
{
	char text[128];
	struct remote_hello h;

	memcpy(&h, s->in.payload, sizeof(h));
	if (h.reserved[0] || h.reserved[1] || h.reserved[2])
		return take_bad(s, "a HELLO whose reserved fields are not 0");
	s->heard_hello = true;
	parts_new_session(&s->parts, &s->out, h.nonce);
	s->greeted = false;
	s->deadline = 0;
	if (h.version != REMOTE_VERSION) {
		snprintf(text, sizeof(text),
			 "version %u is not spoken here, but version %d",
			 h.version, REMOTE_VERSION);
		refuse(s, h.nonce, REMOTE_REASON_VERSION, text);
		return;
	}
	if (s->parts.eng || open_engine(s, h.nonce))
		welcome(s, h.nonce);
}

static void take_unknown(struct server *s)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "frames of type %u are not known in version %d",
		 s->in.head.type, REMOTE_VERSION);
	complain(s, "unknown-frame", text);
	put_error(s, s->in.head.id, REMOTE_REASON_TYPE, s->in.head.type, text);
}

/* When there is room: else it stays where it is, and nothing more is read. */
static void take_job(struct server *s)
{
	if (!remote_marked(s->in.payload, s->in.head.length, s->parts.nonce))
		return take_bad(s, "a job without its session's mark");
	s->stalled = !parts_room(&s->parts, &s->in);
	if (!s->stalled)
		parts_take(&s->parts, &s->in, &s->out);
}

static void take_frame(struct server *s)
{
	const struct remote_header *h = &s->in.head;
	struct remote_info info;

	if (h->type == REMOTE_HELLO)
		return take_hello(s);
	if (!s->greeted)
		return take_bad(s, "a frame before HELLO");
	switch (h->type) {
	case REMOTE_JOB:
		return take_job(s);
	case REMOTE_FREE:
		if (!parts_free(&s->parts, &s->in))
			take_bad(s, "a FREE of what cannot be freed");
		return;
	case REMOTE_PING:
		return put(s, REMOTE_PONG, h->id, NULL, 0);
	case REMOTE_INFO:
		info = info_of(s);
		return put(s, REMOTE_INFO_IS, h->id, &info, sizeof(info));
	}
	take_unknown(s);
}

static bool may_read(const struct server *s)
{
	return !s->stalled && !s->closing && !s->parts.ended &&
	       remote_out_room(&s->out) > OUT_RESERVE;
}

/*
 * All frames that are there and that there is room for. False: there may be
 * more, but no room.
 */
static bool take_frames(struct server *s)
{
	char why[REMOTE_WHY];

	if (s->stalled)
		take_job(s);
	while (may_read(s)) {
		switch (remote_in_next(&s->in, why)) {
		case REMOTE_MORE:
			return true;
		case REMOTE_FRAME:
			take_frame(s);
			break;
		case REMOTE_BAD:
			out_of_sync(s, why);
			break;
		}
	}
	return false;
}

static void read_in(struct server *s)
{
	unsigned char *where;
	size_t room = remote_in_room(&s->in, &where);
	ssize_t n = read(ENGINED_FD, where, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		end(s, LOG_INFO, n ? strerror(errno) : "closed");
	remote_in_got(&s->in, (size_t)n);
}

static void look_at_clock(struct server *s)
{
	if (s->is_socket && !s->in.synced &&
	    s->in.skipped > REMOTE_FILLER + sizeof(struct remote_header) +
				    sizeof(struct remote_hello))
		end(s, LOG_WARN, "out of sync, and no HELLO came");
	if (!s->deadline || clock_ms() < s->deadline)
		return;
	end(s, LOG_WARN, s->closing ? "took no answer" :
				      "out of sync for 5 s");
}

/* Jobs that are done are answered. False: none was, and the next will ring. */
static bool reap(struct server *s)
{
	if (!s->parts.eng || vgpu_engine_arm(s->parts.eng))
		return false;
	parts_reap(&s->parts, &s->out);
	return true;
}

/* Does all that can be done before something happens. */
static void work(struct server *s)
{
	bool all, more;

	do {
		all = take_frames(s);
		write_out(s);
		more = reap(s);
	} while (more || (!all && may_read(s)) ||
		 (s->stalled && parts_room(&s->parts, &s->in)));
}

static void end_if_said(struct server *s)
{
	if (s->parts.ended && !s->parts.nr_running && !s->closing)
		close_when_said(s);
	if (s->closing && !s->out.count)
		end(s, LOG_ERROR, s->parts.eng ?
				  "the engine ended: GPU fault or device lost" :
				  "the engine does not open");
}

static void serve_once(struct server *s)
{
	struct pollfd pfd[2] = {
		{ .fd = ENGINED_FD },
		{ .fd = s->parts.eng ? vgpu_engine_fd(s->parts.eng) : -1,
		  .events = POLLIN },
	};
	bool reading;

	end_if_said(s);
	reading = may_read(s);
	pfd[0].events = (short)((reading ? POLLIN : 0) |
				(s->out.count ? POLLOUT : 0));
	if (poll(pfd, 2, clock_until(s->deadline, clock_ms())) < 0 &&
	    errno != EINTR)
		end(s, LOG_ERROR, strerror(errno));
	if (reading && pfd[0].revents & (POLLIN | POLLHUP | POLLERR))
		read_in(s);
	else if (pfd[0].revents & (POLLHUP | POLLERR))
		end(s, LOG_INFO, "closed");
	look_at_clock(s);
	work(s);
}

_Noreturn void engined_serve(const struct engined_options *opt,
			     const char *client)
{
	struct server *s = &server;
	unsigned char *payload = parts_init(&s->parts);
	struct stat st;

	s->opt = opt;
	s->client = client;
	if (!payload || fstat(ENGINED_FD, &st))
		end(s, LOG_ERROR, strerror(errno));
	s->is_socket = S_ISSOCK(st.st_mode);
	s->out.is_socket = s->is_socket;
	remote_in_init(&s->in, REMOTE_SERVER, payload);
	log_event(LOG_INFO, "client", F_STR("client", client));
	for (;;)
		serve_once(s);
}

_Noreturn void engined_gate(const struct engined_options *opt)
{
	const struct vgpu_engine_config cfg = { .gpu = opt->gpu };
	struct engined_gate gate = { 0 };
	struct vgpu_engine *eng;

	eng = vgpu_engine_open(opt->engine, &cfg, gate.why);
	gate.passed = eng;
	if (eng) {
		vgpu_engine_facts(eng, &gate.facts);
		vgpu_engine_close(eng);
	}
	_exit(write(ENGINED_FD, &gate, sizeof(gate)) != sizeof(gate));
}
