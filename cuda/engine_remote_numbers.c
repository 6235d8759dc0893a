// SPDX-License-Identifier: MIT
/*
 * engine_remote_numbers.c - numbers of memory, modules and functions there
 *
 * A number is taken on the I/O thread, when the frame is made that names it
 * first, and free again when FREE has been queued: what is queued behind that
 * may use it at once. FREE gets no answer and needs no slot.
 */
#include "engine_remote.h"

/* Left for a window of jobs, PING and INFO. */
#define OUT_RESERVE	(REMOTE_WINDOW_MAX + 8)

static struct remote_engine *to_remote(struct vgpu_engine *eng)
{
	return (struct remote_engine *)eng;
}

uint16_t remote_number_take(struct remote_numbers *numbers, uint16_t of)
{
	for (uint32_t tried = 1; tried < REMOTE_NUMBERS; tried++) {
		numbers->hint = numbers->hint % (REMOTE_NUMBERS - 1) + 1;
		if (numbers->at[numbers->hint].of)
			continue;
		numbers->at[numbers->hint].of = of;
		return (uint16_t)numbers->hint;
	}
	return 0;
}

void remote_number_give(struct remote_numbers *numbers, uint16_t number)
{
	numbers->at[number].of = 0;
}

void remote_number_free(struct remote_numbers *numbers, uint16_t number)
{
	numbers->at[number].next_freed = 0;
	if (numbers->first_freed)
		numbers->at[numbers->last_freed].next_freed = number;
	else
		numbers->first_freed = number;
	numbers->last_freed = number;
}

/* The number of the first FREE that is to be sent, and its kind. */
static uint16_t next_free(struct remote_engine *eng, uint16_t *kind)
{
	for (*kind = 0; *kind <= REMOTE_KIND_MODULE; ++*kind) {
		struct remote_numbers *numbers = &eng->numbers[*kind];
		uint16_t number = numbers->first_freed;

		if (!number)
			continue;
		numbers->first_freed = numbers->at[number].next_freed;
		return number;
	}
	return 0;
}

bool remote_frees_wait(const struct remote_engine *eng)
{
	return eng->numbers[REMOTE_KIND_MEMORY].first_freed ||
	       eng->numbers[REMOTE_KIND_MODULE].first_freed;
}

bool remote_frees_have_room(const struct remote_engine *eng)
{
	return remote_out_room(&eng->link->out) > OUT_RESERVE;
}

/* A module's functions go with it. */
static void give(struct remote_engine *eng, uint16_t kind, uint16_t number)
{
	struct remote_numbers *functions = &eng->numbers[REMOTE_KIND_FUNCTION];

	remote_number_give(&eng->numbers[kind], number);
	for (uint32_t i = 1; kind == REMOTE_KIND_MODULE && i < REMOTE_NUMBERS; i++)
		if (functions->at[i].of == number)
			functions->at[i].of = 0;
}

void remote_send_frees(struct remote_engine *eng)
{
	struct remote_free f = { 0 };

	pthread_mutex_lock(&eng->lock);
	while (remote_frees_wait(eng) && remote_frees_have_room(eng)) {
		f.number = next_free(eng, &f.kind);
		remote_out_put(&eng->link->out, REMOTE_FREE, 0, &f, sizeof(f),
			       NULL, 0, NULL);
		give(eng, f.kind, (uint16_t)f.number);
	}
	pthread_mutex_unlock(&eng->lock);
}

void remote_forget_frees(struct remote_engine *eng)
{
	uint16_t kind, number;

	pthread_mutex_lock(&eng->lock);
	while ((number = next_free(eng, &kind)))
		give(eng, kind, number);
	pthread_mutex_unlock(&eng->lock);
}

/* Of what the caller gives back. */
static void give_back(struct remote_engine *eng, unsigned int kind, void **priv)
{
	uint16_t number = remote_number(*priv);

	*priv = NULL;
	if (!number)
		return;
	pthread_mutex_lock(&eng->lock);
	if (!eng->lost) {
		remote_number_free(&eng->numbers[kind], number);
		eng->nr_kept--;
		if (eng->up)
			remote_kick(eng);
	}
	pthread_mutex_unlock(&eng->lock);
}

void remote_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem)
{
	mem->address = 0;
	give_back(to_remote(eng), REMOTE_KIND_MEMORY, &mem->priv);
}

void remote_module_unload(struct vgpu_engine *eng,
			  struct vgpu_engine_module *module)
{
	give_back(to_remote(eng), REMOTE_KIND_MODULE, &module->priv);
}
