/* SPDX-License-Identifier: MIT */
/*
 * sched.h - who has a GPU, and for how long: the policy alone
 *
 * Pure: no clock, no thread, no descriptor, nothing of Xen or CUDA. Times go in,
 * decisions come out, so that unit tests and the simulator run the very code that
 * serves guests. The arbiter (arbiter.h) runs one struct sched a GPU, all calls
 * from one thread; what a device is in Xen is a client here.
 *
 * A GPU is had by one client at a time. weight and cap mean what they mean in
 * Xen's credit scheduler: busy clients share the time by their weights; cap is
 * the most that a client gets, per cent of the GPU's time, even where nobody else
 * wants it; 0: none. What a client uses is measured and charged to its virtual
 * time, which runs the slower the larger its weight; the waiting client whose
 * virtual time is least is next. Time that nobody asks for is anybody's.
 *
 *           wake            granted             asked to leave
 *   [IDLE] ------> [WAITING] ------> [RUNNING] ---------------> [LEAVING]
 *     ^ ^              ^  left, and wants more | left                |
 *     | |              +-----------------------+---------------------+
 *     | +--------------------------------------+       left          |
 *     +--------------------------------------------------------------+
 *
 * Boost: who wakes after being idle is behind in virtual time, by no more than
 * one slice, and is served at once: the one who has the GPU is asked to leave as
 * soon as it has had it for min_run. Who uses its share is not that far behind and
 * has no such claim, so a client that sleeps and wakes all the time gains nothing
 * by it.
 *
 * Who is asked to leave finishes what is in flight and starts nothing more. Where
 * that takes longer than grace (one long kernel), the next client is let in beside
 * it, and the GPU's driver divides the time; both are charged their part of it.
 */
#ifndef VGPU_BACKEND_SCHED_H
#define VGPU_BACKEND_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_WEIGHT 256
#define SCHED_MAX_WEIGHT 65535
#define SCHED_MAX_CAP 100

/* Over how long a cap holds, as credit's accounting period. */
#define SCHED_CAP_PERIOD_NS 30000000

/*
 * @slice_ns: how long a client keeps the GPU while others wait for it
 * @min_run_ns: how long it does even where one of them is boosted; what bounds the
 *	number of switches, each of which costs the GPU some 0.1 ms between
 *	processes
 * @grace_ns: how long who was asked to leave may take before the next is let in
 */
struct sched_params {
	uint64_t slice_ns;
	uint64_t min_run_ns;
	uint64_t grace_ns;
};

enum sched_state {
	/* SCHED_IDLE is <sched.h>'s. */
	SCHED_IDLING,
	SCHED_WAITING,
	SCHED_RUNNING,
	SCHED_LEAVING,
};

/*
 * The caller's, zeroed before sched_add(); it reads what it likes and writes
 * nothing.
 *
 * @weight, @cap: see above
 * @boosted: woke up behind the others, and was not granted the GPU since
 * @parked: capped, and has used it up
 * @vtime: nanoseconds charged, times SCHED_WEIGHT / weight
 * @rest: what that division left over
 * @since: when the present state began
 * @claimed_ns: last claim, of sched_claim()
 * @refundable_ns: charged while nobody waited, since the last claim
 * @tokens: of a capped client: how much it may still use, in 1/100 ns
 * @used_ns: charged since it was added
 * @grants: how often it was granted the GPU
 * @wait_ns, @wait_max_ns: time spent WAITING: all of it, and the longest
 */
struct sched_client {
	struct sched_client *next;
	uint32_t weight;
	uint32_t cap;
	enum sched_state state;
	bool boosted;
	bool parked;
	uint64_t vtime;
	uint64_t rest;
	uint64_t since;
	uint64_t claimed_ns;
	uint64_t refundable_ns;
	int64_t tokens;
	uint64_t used_ns;
	uint64_t grants;
	uint64_t wait_ns;
	uint64_t wait_max_ns;
};

/*
 * @clients: all, unordered
 * @now: of the last call; time that goes backwards is taken for standing still
 * @vtime: the least of those who compete, and never less than it was. No client
 *	lies below it by more than a slice's worth: that is the credit of idleness.
 *
 * Virtual times wrap around (in some years, with a weight of 1) and are compared
 * by their distance.
 */
struct sched {
	struct sched_params params;
	struct sched_client *clients;
	uint64_t now;
	uint64_t vtime;
};

void sched_init(struct sched *s, const struct sched_params *params);

/*
 * weight is 1 ... SCHED_MAX_WEIGHT, cap 0 ... SCHED_MAX_CAP. It is IDLE, and has
 * neither credit nor debt.
 */
void sched_add(struct sched *s, struct sched_client *c, uint32_t weight,
	       uint32_t cap, uint64_t now);
/* In any state. */
void sched_remove(struct sched *s, struct sched_client *c, uint64_t now);
/* At once, in any state. */
void sched_set(struct sched *s, struct sched_client *c, uint32_t weight,
	       uint32_t cap, uint64_t now);

/* It wants the GPU; nothing where it is not IDLE. */
void sched_wake(struct sched *s, struct sched_client *c, uint64_t now);

/*
 * It has not got the GPU any more (RUNNING, LEAVING) or does not want it any more
 * (WAITING). wants: it is WAITING now.
 */
void sched_left(struct sched *s, struct sched_client *c, bool wants,
		uint64_t now);

/*
 * How long, in all, it had work on the GPU, by its own account. Who has the GPU is
 * charged for all of the time; what it had while nobody waited and, as it claims,
 * did not use, is given back here. While others wait nothing is: it kept
 * them from it. Of who has the GPU a claim is wanted before each sched_decide().
 */
void sched_claim(struct sched *s, struct sched_client *c, uint64_t busy_ns,
		 uint64_t now);

/*
 * What is to be done now. grant: give it the GPU (it is RUNNING now). leave: ask
 * it to leave (it is LEAVING now); who leaves at once is told by sched_left().
 * Either may be NULL; where one is not, ask again. at: when to ask again even if
 * nothing happens, UINT64_MAX: no need. next: who is to have the GPU next, NULL:
 * nobody waits for it; next_at: when who has it is to leave, which may be over.
 */
struct sched_decision {
	struct sched_client *grant;
	struct sched_client *leave;
	uint64_t at;
	struct sched_client *next;
	uint64_t next_at;
};

struct sched_decision sched_decide(struct sched *s, uint64_t now);

/* Is anybody waiting who may run? Then who has the GPU is not to sit idle on it. */
bool sched_contended(const struct sched *s);

#endif /* VGPU_BACKEND_SCHED_H */
