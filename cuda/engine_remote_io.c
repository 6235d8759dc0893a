// SPDX-License-Identifier: MIT
/*
 * engine_remote_io.c - the remote engine's I/O thread
 *
 * Keeps a window of parts on their way. A part's inputs are copied once out of
 * the operands into its slot and stay there until the answer is whole; only
 * then its output is written. So after a break the parts without an answer are
 * sent again as they were, even where an output lies in place of an input.
 * Where there was memory or a module, a break is the end: it went with the
 * session, and so did what was done to it.
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

#include "../backend/clock.h"
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

/* Is the far end to say something? */
static bool owed(const struct remote_engine *eng)
{
	return eng->nr_busy || eng->pinged ||
	       eng->info_sent != eng->info_answered;
}

static void send_part(struct remote_engine *eng, struct remote_slot *slot)
{
	memcpy(slot->data + slot->octets, eng->link->nonce, REMOTE_MARK);
	slot->sent = false;
	remote_out_put(&eng->link->out, REMOTE_JOB, slot->id, &slot->frame,
		       sizeof(slot->frame), slot->data,
		       slot->octets + REMOTE_MARK, &slot->sent);
}

static bool write_out(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	ssize_t n = remote_out_write(&eng->link->out, eng->link->fd);

	/* What a peer says before it closes is worth reading. */
	if (n < 0 && errno != EPIPE && errno != ECONNRESET)
		return remote_broken_errno(why, "write");
	if (n > 0)
		eng->heard = remote_now_ms();
	return true;
}

static void do_local(struct remote_engine *eng, struct remote_slot *slot)
{
	uint64_t start = clock_ns();

	slot->job->path = VGPU_PATH_HOST;
	remote_do_local(slot->job, slot->first, slot->count);
	remote_part_done(eng, slot, VGPU_RSP_OK, clock_ns() - start);
}

/* What the slot has taken. Returns the octets that it puts on their way. */
static size_t begin_part(struct remote_engine *eng, struct remote_slot *slot)
{
	uint16_t status = slot->refused;

	if (slot->step.kind == STEP_LOCAL) {
		do_local(eng, slot);
		return 0;
	}
	if (status == VGPU_RSP_OK)
		status = remote_make_frame(slot);
	if (status != VGPU_RSP_OK) {
		remote_part_done(eng, slot, status, 0);
		return 0;
	}
	slot->job->path = VGPU_PATH_REMOTE;
	slot->since = remote_now_ms();
	if (!owed(eng))
		eng->heard = slot->since;
	eng->nr_busy++;
	slot->id = eng->next_id++;
	slot->tries = 0;
	send_part(eng, slot);
	return sizeof(slot->frame) + slot->octets;
}

/* Fills the window. */
static bool send_parts(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	size_t queued = 0;

	for (unsigned int i = 0; i < eng->window && !eng->ended; i++) {
		struct remote_slot *slot = &eng->slot[i];

		if (slot->stream)
			continue;
		remote_send_frees(eng);
		if (!remote_take_part(eng, slot))
			break;
		queued += begin_part(eng, slot);
		if (queued < WRITE_OCTETS)
			continue;
		queued = 0;
		if (!write_out(eng, why))
			return false;
	}
	remote_send_frees(eng);
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
	sleep = !eng->stop && !(may_take && remote_may_take(eng)) &&
		!(eng->up && remote_frees_wait(eng) &&
		  remote_frees_have_room(eng)) &&
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
		return remote_broken_errno(why, "poll");
	awake(eng, pfd[1].revents);
	if (pfd[0].revents & ~POLLOUT && !remote_read_in(eng, why))
		return false;
	if (eng->ended && !eng->nr_busy)
		return remote_broken(why, "a fault, a time limit, or device lost there");
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
		return remote_broken(why, "another engine is there now");
	eng->heard = remote_now_ms();
	eng->pinged = false;
	pthread_mutex_lock(&eng->lock);
	eng->up = true;
	eng->info = eng->link->info;
	eng->info_answered = eng->info_sent;
	pthread_mutex_unlock(&eng->lock);
	return send_again(eng) ||
	       remote_broken(why, "the connection breaks again and again");
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

/* False, with why: what the far end kept for us went with the session. */
static bool disconnect(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	char text[VGPU_ENGINE_WHY];
	unsigned int kept;

	pthread_mutex_lock(&eng->lock);
	eng->up = false;
	kept = eng->nr_kept;
	pthread_cond_broadcast(&eng->info_came);
	pthread_mutex_unlock(&eng->lock);
	remote_link_close(eng->link);
	remote_forget_frees(eng);
	if (!kept || eng->ended)
		return !eng->ended;
	snprintf(text, sizeof(text), "%.160s; memory or modules were there",
		 why);
	memcpy(why, text, sizeof(text));
	return false;
}

/*
 * The engine is lost. A thread that has returned before anybody joins it counts
 * as leaked where the process ends without closing the engine, as it should.
 */
static void await_close(struct remote_engine *eng)
{
	struct pollfd pfd = { .fd = eng->wake, .events = POLLIN };

	while (!stopping(eng)) {
		poll(&pfd, 1, -1);
		awake(eng, pfd.revents);
	}
}

void *remote_io_thread(void *arg)
{
	struct remote_engine *eng = arg;
	char why[VGPU_ENGINE_WHY] = "";

	while (serve(eng, why)) {
		if (disconnect(eng, why)) {
			say(eng, LOG_WARN, "broken", why);
			if (connect_again(eng, why)) {
				say(eng, LOG_INFO, "connected", "");
				continue;
			}
			disconnect(eng, why);
		}
		if (stopping(eng))
			break;
		say(eng, LOG_ERROR, "lost", why);
		remote_lose(eng);
		await_close(eng);
		break;
	}
	return NULL;
}
