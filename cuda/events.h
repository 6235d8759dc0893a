/* SPDX-License-Identifier: MIT */
/*
 * events.h - which EVENT_WAIT waits for which EVENT_RECORD
 *
 * A wait is for one record: the one of its event that was submitted last before
 * it, and for nothing where that one is done already. Records of one event on
 * several streams may be done in any order, and a later one sets no older wait
 * free. Since a record is submitted before all that wait for it, nothing waits
 * in a circle.
 *
 * Who owns the queues calls these, under its lock. A job is with the engine
 * until it is done, so no pointer here outlives what it points to: a record
 * lets go of its waits when it is done, and its event of it.
 */
#ifndef VGPU_CUDA_EVENTS_H
#define VGPU_CUDA_EVENTS_H

#include "engine.h"
#include "wire.h"

/* For each job, in the order of submission, over all streams. */
static inline void events_submit(struct vgpu_job *job)
{
	job->awaits = NULL;
	job->waiters = NULL;
	if (job->op == VGPU_OP_EVENT_RECORD) {
		job->event->newest = job;
	} else if (job->op == VGPU_OP_EVENT_WAIT && job->event->newest) {
		job->awaits = job->event->newest;
		job->waiters = job->awaits->waiters;
		job->awaits->waiters = job;
	}
}

/* An EVENT_WAIT that must wait still. */
static inline bool events_hold(const struct vgpu_job *job)
{
	return job->op == VGPU_OP_EVENT_WAIT && job->awaits;
}

/*
 * The record is done. Returns the waits that it has set free, wherever in their
 * streams they are, linked by waiters.
 */
static inline struct vgpu_job *events_reached(struct vgpu_job *record)
{
	struct vgpu_job *waits = record->waiters;

	for (struct vgpu_job *wait = waits; wait; wait = wait->waiters)
		wait->awaits = NULL;
	record->waiters = NULL;
	if (record->event->newest == record)
		record->event->newest = NULL;
	return waits;
}

#endif /* VGPU_CUDA_EVENTS_H */
