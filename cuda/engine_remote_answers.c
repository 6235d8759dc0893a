// SPDX-License-Identifier: MIT
/*
 * engine_remote_answers.c - what the far end says to the remote engine
 *
 * Runs on the I/O thread. The far end is hostile: what it cannot have been asked
 * for, or has not the form of an answer, ends the session.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine_remote.h"

static bool take_info(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct remote_link *link = eng->link;
	struct remote_info info;

	memcpy(&info, link->payload, sizeof(info));
	if (!eng->info_out || link->in.head.id != eng->info_sent)
		return remote_broken(why,
				     "an answer to an INFO that was not sent");
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

/* The slot with that id, if it is the first of its stream's; else NULL. */
static struct remote_slot *answered(struct remote_engine *eng, uint64_t id)
{
	struct remote_slot *slot = NULL;

	for (unsigned int i = 0; i < eng->window; i++)
		if (eng->slot[i].stream && eng->slot[i].id == id)
			slot = &eng->slot[i];
	for (unsigned int i = 0; slot && i < eng->window; i++)
		if (eng->slot[i].stream && eng->slot[i].id < id &&
		    eng->slot[i].frame.stream == slot->frame.stream)
			return NULL;
	return slot;
}

static bool take_answer(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	const struct remote_header *h = &eng->link->in.head;
	const unsigned char *payload = eng->link->payload;
	struct remote_slot *slot = answered(eng, h->id);
	struct remote_done done;
	uint64_t most;

	if (!remote_marked(payload, h->length, eng->link->nonce))
		return remote_broken(why,
				     "an answer without its session's mark");
	/* What is still being sent cannot have been answered. */
	if (!slot || !slot->sent)
		return remote_broken(why, "an answer to no job in flight");
	memcpy(&done, payload, sizeof(done));
	if (!remote_take_done(slot, &done, payload + sizeof(done),
			      h->length - sizeof(done) - REMOTE_MARK, why))
		return false;
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
		return remote_broken(why, "an error whose text is none");
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
			return remote_broken(why, "a PONG without a PING");
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

bool remote_read_in(struct remote_engine *eng, char why[VGPU_ENGINE_WHY])
{
	struct remote_link *link = eng->link;
	unsigned char *where;
	size_t room = remote_in_room(&link->in, &where);
	ssize_t n = read(link->fd, where, room);
	enum remote_event event;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0)
		return remote_broken_errno(why, "read");
	if (!n)
		return remote_broken(why, "closed");
	eng->heard = remote_now_ms();
	remote_in_got(&link->in, (size_t)n);
	while ((event = remote_in_next(&link->in, why)) == REMOTE_FRAME)
		if (!take_frame(eng, why))
			return false;
	return event == REMOTE_MORE;
}
