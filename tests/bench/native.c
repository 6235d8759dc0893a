// SPDX-License-Identifier: MIT
/*
 * native.c - a connected frontend on an unmodified backend (see native.h)
 */
#include "native.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUEST 7
/* Three buffers of 256 MiB with their directories, ring and arena. */
#define MAX_PAGES "200000"
#define MAX_GRANTS 200000
#define ARENA_PAGES 16

bool native_begin(struct native *n, const struct native_mode *mode)
{
	const char *options[6] = {"--max-mapped-pages", MAX_PAGES};

	memset(n, 0, sizeof(*n));
	if (mode->poll_us) {
		options[2] = "--poll-us";
		options[3] = mode->poll_us;
	}
	if (mode->staged)
		setenv(NX_ENV_NO_REGIONS, "1", 1);
	world_start(&n->w);
	world_backend_start(&n->w, mode->engine, options);
	world_domain_make(&n->w, GUEST, MAX_GRANTS);
	world_attach(&n->w, GUEST, 0);
	n->ok = front_open(&n->f, GUEST, 0) &&
		front_connect(&n->f, VGPUIF_MAX_RING_PAGE_ORDER, ARENA_PAGES);
	if (n->ok && strcmp(n->f.limits.engine, mode->engine)) {
		fprintf(stderr, "vgpu-bench: engine %s, not %s\n",
			n->f.limits.engine, mode->engine);
		n->ok = false;
	}
	if (!n->ok)
		world_show_log(&n->w);
	n->f.polling = mode->polling;
	n->worker = world_count(&n->w, GUEST).mapper;
	return n->ok;
}

bool native_end(struct native *n)
{
	bool ok = !n->ok || front_disconnect(&n->f);

	/* Where connecting failed, the end of the domain takes it all back. */
	front_close(&n->f);
	unsetenv(NX_ENV_NO_REGIONS);
	return world_end(&n->w) && ok;
}

/* The log's last line of that event, if there are more than *seen of them. */
static bool last_line(const struct native *n, const char *event,
		      unsigned int *seen, char *line, int size)
{
	unsigned int lines = 0;
	char path[96], word[32], text[2048];
	FILE *f;

	snprintf(word, sizeof(word), " event=%s ", event);
	snprintf(path, sizeof(path), "%s/backend.log", n->w.dir);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(text, sizeof(text), f)) {
		if (!strstr(text, word) || !strchr(text, '\n'))
			continue;
		lines++;
		snprintf(line, size, "%s", text);
	}
	fclose(f);
	if (lines <= *seen)
		return false;
	*seen = lines;
	return true;
}

static const char *value_of(const char *line, const char *key)
{
	char word[32];
	const char *at;

	snprintf(word, sizeof(word), " %s=", key);
	at = strstr(line, word);
	return at ? at + strlen(word) : "";
}

static uint64_t number_of(const char *line, const char *key)
{
	return strtoull(value_of(line, key), NULL, 10);
}

static void text_of(const char *line, const char *key, char *out, size_t size)
{
	const char *at = value_of(line, key);
	bool quoted = *at == '"';

	at += quoted;
	snprintf(out, size, "%.*s", (int)strcspn(at, quoted ? "\"\n" : " \n"),
		 at);
}

void native_logged(const struct native *n, const char *event, const char *key,
		   char *out, size_t size)
{
	unsigned int seen = 0;
	char line[2048];

	*out = '\0';
	if (last_line(n, event, &seen, line, sizeof(line)))
		text_of(line, key, out, size);
}

bool native_stats(struct native *n, struct native_stats *out)
{
	unsigned int seen = 0;
	char line[2048];

	last_line(n, "stats", &seen, line, sizeof(line));
	kill(n->w.backend, SIGUSR1);
	for (int ms = 0; !last_line(n, "stats", &seen, line, sizeof(line));
	     ms++) {
		if (ms > WORLD_TIMEOUT_MS)
			return false;
		usleep(1000);
	}
	*out = (struct native_stats){
		.wakeups = number_of(line, "wakeups"),
		.notify_sent = number_of(line, "notify_sent"),
	};
	text_of(line, "by_path", out->by_path, sizeof(out->by_path));
	return true;
}

void native_fact(struct native *n, const char *node, char *out, size_t size)
{
	char *text = world_back_read(&n->w, GUEST, 0, node);

	snprintf(out, size, "%s", text ? text : "");
	free(text);
}

bool native_vectors_make(struct native *n, struct native_vectors *v,
			 uint32_t elements)
{
	uint64_t bytes = (uint64_t)elements * sizeof(float);

	v->n = elements;
	for (int i = 0; i < 3; i++) {
		struct vgpu_request req;

		if (!buffer_make(&n->f, &v->buf[i], i + 1, bytes, 0, i < 2,
				 false))
			return false;
		req = buffer_map_request(&v->buf[i]);
		if (front_call(&n->f, &req, NULL) != VGPU_RSP_OK)
			return false;
	}
	bench_fill(v->buf[0].data, v->buf[1].data, v->buf[2].data, elements);
	return true;
}

bool native_vectors_free(struct native *n, struct native_vectors *v)
{
	for (int i = 0; i < 3; i++) {
		struct vgpu_request req = buffer_unmap_request(&v->buf[i]);

		if (front_call(&n->f, &req, NULL) != VGPU_RSP_OK ||
		    !buffer_free(&n->f, &v->buf[i]))
			return false;
	}
	return true;
}
