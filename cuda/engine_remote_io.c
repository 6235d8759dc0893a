// SPDX-License-Identifier: MIT
/*
 * engine_remote_io.c - the remote engine's I/O thread
 *
 * Keeps a window of parts on their way. A part's inputs are copied once out of
 * the operands into its slot and stay there until the answer is whole; only
 * then its output is written. So after a break the parts without an answer are
 * sent again as they were, even where an output lies in place of an input.
 *
 *   take parts -> write -> wait -> read -> answers -> (again)
 *        ^                           |
 *        +---- connect again <---- broken          given up -> lost
 *
 * The far end counts as gone when the descriptor says so, or when nothing moves
 * for times.silence while something is owed. Must never wait for anything but
 * the link and the engine's caller, and never hold the lock meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../backend/log.h"
#include "engine_remote.h"

/* What a part costs may be its own fault: it is not sent for ever. */
#define TRIES		8
/* Enough to write before more parts are copied. */
#define WRITE_OCTETS	65536

static bool stopping(struct remote_engine *eng)
{
	bool stop;

	pthread_mutex_lock(&eng->lock);
	stop = eng->stop;
	pthread_mutex_unlock(&eng->lock);
	return stop;
}

static bool broken(char why[VGPU_ENGINE_WHY], const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "%s", what);
	return false;
}

static bool broken_errno(char why[VGPU_ENGINE_WHY], const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "%s: %s", what, strerror(errno));
	return false;
}

/* Is the far end to say something? */
static bool owed(const struct remote_engine *eng)
{
	return eng->nr_busy || eng->pinged ||
	       eng->info_sent != eng->info_answered;
}

static void send_part(struct remote_engine *eng, struct remote_slot *slot)
{
	const struct remote_job job = {
		.kernel = slot->job->kernel,
		.param = slot->job->param,
		.stream = slot->stream->number,
		.count = slot->count,
	};

	slot->sent = false;
	remote_out_put(&eng->link->out, REMOTE_JOB, slot->id, &job, sizeof(job),
		       slot->data,
		       (size_t)slot->count * 4 *
			       remote_kernel(job.kernel)->inputs,
		       &slot->sent);
}

static void copy_inputs(struct remote_slot *slot)
{
	size_t bytes = (size_t)slot->count * 4;
	unsigned int n = remote_kernel(slot->job->kernel)->inputs;

	for (unsigned int i = 0; i < n; i++)
		memcpy(slot->data + i * bytes,
		       (unsigned char *)slot->job->operand[i].host +
			       slot->first * 4, bytes);
}

static bool write_out(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	ssize_t n = remote_out_write(&eng->link->out, eng->link->fd);

	/* What a peer says before it closes is worth reading. */
	if (n < 0 && errno != EPIPE && errno != ECONNRESET)
		return broken_errno(why, "write");
	if (n > 0)
		eng->heard = remote_now_ms();
	return true;
}

/* Fills the window. */
static bool send_parts(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	size_t queued = 0;

	for (unsigned int i = 0; i < eng->window && !eng->ended; i++) {
		struct remote_slot *slot = &eng->slot[i];

		if (slot->stream)
			continue;
		if (!remote_take_part(eng, slot))
			break;
		slot->since = remote_now_ms();
		if (!owed(eng))
			eng->heard = slot->since;
		eng->nr_busy++;
		slot->id = eng->next_id++;
		slot->tries = 0;
		copy_inputs(slot);
		send_part(eng, slot);
		queued += (size_t)slot->count * 4;
		if (queued < WRITE_OCTETS)
			continue;
		queued = 0;
		if (!write_out(eng, why))
			return false;
	}
	return true;
}

/* After a break: all that have no answer, the oldest first. */
static bool send_again(struct remote_engine *eng)
{
	struct remote_slot *oldest;
	uint64_t after = 0;

	do {
		oldest = NULL;
		for (unsigned int i = 0; i < eng->window; i++) {
			struct remote_slot *slot = &eng->slot[i];

			if (slot->stream && slot->id > after &&
			    (!oldest || slot->id < oldest->id))
				oldest = slot;
		}
		if (!oldest)
			return true;
		after = oldest->id;
		send_part(eng, oldest);
	} while (++oldest->tries < TRIES);
	return false;
}

static void send_info(struct remote_engine *eng)
{
	uint64_t asked;

	pthread_mutex_lock(&eng->lock);
	asked = eng->info_asked;
	pthread_mutex_unlock(&eng->lock);
	if (asked == eng->info_sent || eng->info_sent != eng->info_answered)
		return;
	if (!owed(eng))
		eng->heard = remote_now_ms();
	eng->info_sent = asked;
	eng->info_out = false;
	remote_out_put(&eng->link->out, REMOTE_INFO, asked, NULL, 0, NULL, 0,
		       &eng->info_out);
}

static bool take_info(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct remote_link *link = eng->link;
	struct remote_info info;

	memcpy(&info, link->payload, sizeof(info));
	if (!eng->info_out || link->in.head.id != eng->info_sent)
		return broken(why, "an answer to an INFO that was not sent");
	pthread_mutex_lock(&eng->lock);
	eng->info = (struct vgpu_engine_info){
		.mem_total = info.mem_total,
		.mem_free = info.mem_free,
		.temperature_mc = info.temperature_mc,
		.power_mw = info.power_mw,
		.utilization = info.utilization,
	};
	eng->info_answered = link->in.head.id;
	pthread_cond_broadcast(&eng->info_came);
	pthread_mutex_unlock(&eng->lock);
	return true;
}

static bool take_answer(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	const struct remote_header *h = &eng->link->in.head;
	struct remote_slot *slot = NULL;
	struct remote_done done;
	uint64_t most;
	size_t bytes;

	memcpy(&done, eng->link->payload, sizeof(done));
	for (unsigned int i = 0; i < eng->window; i++)
		if (eng->slot[i].stream && eng->slot[i].id == h->id)
			slot = &eng->slot[i];
	/* What is still being sent cannot have been answered. */
	if (!slot || !slot->sent)
		return broken(why, "an answer to no job in flight");
	bytes = done.status == VGPU_RSP_OK ?
			(size_t)slot->count * 4 *
				remote_kernel(slot->job->kernel)->outputs : 0;
	if (done.status > VGPU_RSP_MAX || h->length != sizeof(done) + bytes)
		return broken(why, "an answer with a wrong status or length");
	if (bytes)
		memcpy((unsigned char *)slot->job->operand[2].host +
			       slot->first * 4,
		       eng->link->payload + sizeof(done), bytes);
	/* It was not at it for longer than we have waited, whatever it says. */
	most = (remote_now_ms() - slot->since + 1) * 1000000;
	if (done.time_ns > most)
		done.time_ns = most;
	eng->nr_busy--;
	eng->broken = 0;
	remote_part_done(eng, slot, done.status, done.time_ns);
	/* The others in flight still get answers of their own. */
	if (remote_ends_engine(eng->facts.engine, done.status))
		eng->ended = true;
	return true;
}

static bool take_error(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct remote_error e;

	memcpy(&e, eng->link->payload, sizeof(e));
	if (!remote_text_ok(e.text, sizeof(e.text)))
		return broken(why, "an error whose text is none");
	snprintf(why, VGPU_ENGINE_WHY, "it says: %.240s", e.text);
	return false;
}

static bool take_frame(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	switch (eng->link->in.head.type) {
	case REMOTE_DONE:
		return take_answer(eng, why);
	case REMOTE_PONG:
		/* Made up: each would let one more PING into the queue. */
		if (!eng->pinged || !eng->ping_out)
			return broken(why, "a PONG without a PING");
		eng->pinged = false;
		return true;
	case REMOTE_INFO_IS:
		return take_info(eng, why);
	case REMOTE_ERROR:
		return take_error(eng, why);
	}
	snprintf(why, VGPU_ENGINE_WHY, "a frame of type %u, out of place",
		 eng->link->in.head.type);
	return false;
}

static bool read_in(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct remote_link *link = eng->link;
	unsigned char *where;
	size_t room = remote_in_room(&link->in, &where);
	ssize_t n = read(link->fd, where, room);
	enum remote_event event;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0)
		return broken_errno(why, "read");
	if (!n)
		return broken(why, "closed");
	eng->heard = remote_now_ms();
	remote_in_got(&link->in, (size_t)n);
	while ((event = remote_in_next(&link->in, why)) == REMOTE_FRAME)
		if (!take_frame(eng, why))
			return false;
	return event == REMOTE_MORE;
}

/* Milliseconds that may pass before tick() is needed; -1: any. */
static int patience(const struct remote_engine *eng)
{
	uint64_t now = remote_now_ms();
	uint64_t end = eng->heard +
		       (eng->pinged ? eng->times.silence : eng->times.ping);

	if (!owed(eng))
		return -1;
	return end > now ? (int)(end - now) : 0;
}

/* Nothing moved for a while. */
static bool tick(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	uint64_t still = remote_now_ms() - eng->heard;

	if (!owed(eng) || still < eng->times.ping)
		return true;
	if (!eng->pinged) {
		eng->ping_out = false;
		remote_out_put(&eng->link->out, REMOTE_PING, 0, NULL, 0, NULL,
			       0, &eng->ping_out);
		eng->pinged = true;
		return true;
	}
	if (still < eng->times.silence)
		return true;
	snprintf(why, VGPU_ENGINE_WHY, "no answer to PING in %u ms",
		 eng->times.silence);
	return false;
}

/* Is there something for this thread to do? Else the caller will ring. */
static bool may_sleep(struct remote_engine *eng, bool may_take)
{
	bool sleep;

	pthread_mutex_lock(&eng->lock);
	sleep = !eng->stop && !(may_take && eng->first_runnable) &&
		(!eng->up || eng->info_asked == eng->info_sent ||
		 eng->info_sent != eng->info_answered);
	eng->sleeping = sleep;
	pthread_mutex_unlock(&eng->lock);
	return sleep;
}

static void awake(struct remote_engine *eng, bool rung)
{
	uint64_t events;

	if (rung && read(eng->wake, &events, sizeof(events)) < 0 &&
	    errno != EAGAIN)
		abort();
	pthread_mutex_lock(&eng->lock);
	eng->sleeping = false;
	pthread_mutex_unlock(&eng->lock);
}

/* One round; false with why when the connection is of no use any more. */
static bool serve_once(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct remote_link *link = eng->link;
	struct pollfd pfd[2] = {
		{ .fd = link->fd, .events = POLLIN },
		{ .fd = eng->wake, .events = POLLIN },
	};
	int timeout;

	if (!send_parts(eng, why))
		return false;
	send_info(eng);
	if (!write_out(eng, why))
		return false;
	if (link->out.count)
		pfd[0].events |= POLLOUT;
	timeout = may_sleep(eng, eng->nr_busy < eng->window && !eng->ended) ?
			  patience(eng) : 0;
	if (poll(pfd, 2, timeout) < 0 && errno != EINTR)
		return broken_errno(why, "poll");
	awake(eng, pfd[1].revents);
	if (pfd[0].revents & ~POLLOUT && !read_in(eng, why))
		return false;
	if (eng->ended && !eng->nr_busy)
		return broken(why, "a fault, or device lost, at the far engine");
	return tick(eng, why);
}

/* Serves until the connection breaks. False: the engine is to be closed. */
static bool serve(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	while (!stopping(eng))
		if (!serve_once(eng, why))
			return true;
	return false;
}

/* Not connected: waits until there is work. False: the engine is to close. */
static bool await_work(struct remote_engine *eng)
{
	struct pollfd pfd = { .fd = eng->wake, .events = POLLIN };

	while (!eng->nr_busy && may_sleep(eng, true)) {
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			abort();
		awake(eng, pfd.revents);
	}
	return !stopping(eng);
}

/* From here on only the one who closes the engine rings. */
static bool be_quiet(struct remote_engine *eng)
{
	awake(eng, false);
	awake(eng, true);
	return !stopping(eng);
}

static bool wait_ms(struct remote_engine *eng, uint64_t ms)
{
	struct pollfd pfd = { .fd = eng->wake, .events = POLLIN };

	return poll(&pfd, 1, (int)ms) <= 0;
}

/* The guest was told what its work runs on: nothing else may stand in. */
static bool same_engine(const struct remote_engine *eng)
{
	const struct remote_link *link = eng->link;

	return link->window >= eng->window &&
	       !memcmp(&link->facts, &eng->facts,
		       offsetof(struct vgpu_engine_facts, tuning));
}

/* Connected again. False with why: but of no use. */
static bool resume(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	if (!same_engine(eng))
		return broken(why, "another engine is there now");
	eng->heard = remote_now_ms();
	eng->pinged = false;
	pthread_mutex_lock(&eng->lock);
	eng->up = true;
	eng->info = eng->link->info;
	eng->info_answered = eng->info_sent;
	pthread_mutex_unlock(&eng->lock);
	return send_again(eng) ||
	       broken(why, "the connection breaks again and again");
}

static void say(const struct remote_engine *eng, enum log_level level,
		const char *state, const char *why)
{
	log_event(level, "remote", F_STR("state", state),
		  F_STR("address", eng->addr.text), F_STR("why", why));
}

/* False, with why unless the engine is to be closed: there is no way back. */
static bool connect_again(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	uint64_t now, end;

	while (await_work(eng) && be_quiet(eng)) {
		now = remote_now_ms();
		if (!eng->broken) {
			eng->broken = now;
			eng->retry = eng->times.retry;
		}
		end = eng->broken + eng->times.give_up;
		if (now >= end)
			return false;
		if (!wait_ms(eng, eng->retry < end - now ? eng->retry :
							   end - now))
			continue;
		eng->retry *= 2;
		if (eng->retry > eng->times.retry_max)
			eng->retry = eng->times.retry_max;
		if (remote_link_open(eng->link, &eng->addr, &eng->times, end,
				     eng->wake, why))
			return resume(eng, why);
	}
	return false;
}

static void disconnect(struct remote_engine *eng)
{
	pthread_mutex_lock(&eng->lock);
	eng->up = false;
	pthread_cond_broadcast(&eng->info_came);
	pthread_mutex_unlock(&eng->lock);
	remote_link_close(eng->link);
}

void *remote_io_thread(void *arg)
{
	struct remote_engine *eng = arg;
	char why[VGPU_ENGINE_WHY] = "";

	while (serve(eng, why)) {
		disconnect(eng);
		if (!eng->ended) {
			say(eng, LOG_WARN, "broken", why);
			if (connect_again(eng, why)) {
				say(eng, LOG_INFO, "connected", "");
				continue;
			}
			disconnect(eng);
		}
		if (stopping(eng))
			break;
		say(eng, LOG_ERROR, "lost", why);
		remote_lose(eng);
		break;
	}
	return NULL;
}
