// SPDX-License-Identifier: MIT
/*
 * fuzz_registry.c - a state file of any octets
 *
 * What must hold: a text is refused with a reason, and nothing of it is kept, or
 * each of its entries is one that xenstore may have; what is written of these is
 * read as the same entries, and written the same again; and looking for a domain
 * keeps to the rules of registry.h.
 *
 * With -fsanitize=fuzzer this is a libFuzzer target (build it with
 * -DVGPU_LIBFUZZER); alone it is a TAP test with a fixed number of random runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

static const char *const uuids[] = {"11111111-1111-1111-1111-111111111111",
				    "22222222-2222-2222-2222-222222222222",
				    REGISTRY_NO_UUID};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_registry: %s\n", what);
	abort();
}

static void check_entry(const struct registry_entry *e)
{
	const struct device_line *l = &e->line;
	char uuid[DOMAIN_UUID_LEN];

	must(domain_parse_uuid(e->uuid, uuid) && !strcmp(uuid, e->uuid),
	     "an entry without a UUID");
	must(e->name[0] && memchr(e->name, '\0', sizeof(e->name)),
	     "an entry without a name");
	must(l->weight && l->cap <= 100 && l->devid >= 0 &&
		     l->devid <= DEVICE_LINE_DEVID_MAX,
	     "an entry out of range");
	must(!l->backend[0] ||
		     device_line_backend_ok(l->backend, strlen(l->backend)),
	     "an entry with a bad backend");
}

static void same_entries(const struct registry *a, const struct registry *b)
{
	must(a->n == b->n, "entries were lost");
	for (size_t i = 0; i < a->n; i++) {
		const struct registry_entry *x = &a->entry[i];
		const struct registry_entry *y = &b->entry[i];

		must(!strcmp(x->uuid, y->uuid) && !strcmp(x->name, y->name) &&
			     device_line_same(&x->line, &y->line) &&
			     x->line.devid == y->line.devid &&
			     !strcmp(x->line.backend, y->line.backend),
		     "an entry has changed");
	}
}

static size_t with_uuid(const struct registry *r, const char *uuid)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += !strcmp(r->entry[i].uuid, uuid);
	return n;
}

/* Two domains run; the second one has the first entry's name. */
static void match(struct registry *r)
{
	struct domain run[2] = {{.id = 1}, {.id = 2}};
	size_t old, mine;
	enum registry_match m;

	strcpy(run[0].uuid, uuids[0]);
	strcpy(run[0].name, "one");
	strcpy(run[1].uuid, uuids[1]);
	strcpy(run[1].name, r->n ? r->entry[0].name : "none");
	registry_follow(r, run, 2);
	old = with_uuid(r, uuids[0]);
	mine = with_uuid(r, uuids[1]);
	m = registry_match(r, &run[1], run, 2);
	must(with_uuid(r, uuids[0]) == old, "a running domain was robbed");
	must((m == REGISTRY_KNOWN) == (mine > 0), "a UUID was not known");
	must(m != REGISTRY_ADOPTED || with_uuid(r, uuids[1]),
	     "nothing was adopted");
	must(m == REGISTRY_ADOPTED || with_uuid(r, uuids[1]) == mine,
	     "more was adopted than said");
}

/* Returns whether it was a good file. */
static bool run(const uint8_t *data, size_t size)
{
	struct registry a = REGISTRY_NONE, b = REGISTRY_NONE;
	char err[REGISTRY_ERR] = "";
	char *once, *twice;
	size_t len, again;

	if (!registry_parse(&a, (const char *)data, size, err)) {
		must(err[0] && memchr(err, '\0', sizeof(err)), "no reason");
		must(!a.entry && !a.n, "something is kept");
		return false;
	}
	for (size_t i = 0; i < a.n; i++)
		check_entry(&a.entry[i]);
	once = registry_format(&a, &len);
	must(once && registry_parse(&b, once, len, err),
	     "what was written cannot be read");
	same_entries(&a, &b);
	twice = registry_format(&b, &again);
	must(twice && len == again && !memcmp(once, twice, len),
	     "it is not written the same again");
	free(once);
	free(twice);
	match(&b);
	registry_free(&a);
	registry_free(&b);
	return true;
}

#ifdef VGPU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size);
	return 0;
}
#else
static const char *one_of(const char *const *list, size_t n)
{
	return list[random() % n];
}
#define ONE_OF(list) one_of(list, sizeof(list) / sizeof((list)[0]))

/* A file that is nearly right, and often is. */
static size_t make(char *text, size_t size)
{
	static const char *const names[] = {"a", "b", "%20%c3", "guest", "%2"};
	static const char *const lines[] = {"",
					    "gpu=1,mem=4G,",
					    "weight=9,cap=100,",
					    "mps=1,max-buffers=2,",
					    "backend=a b,",
					    "max-mapped-pages=7,"};
	size_t len = snprintf(text, size, "xen-vgpu devices 1\n");

	for (long i = random() % 6; i > 0; i--)
		len += snprintf(text + len, size - len,
				"device %s %s %sdevid=%ld\n", ONE_OF(uuids),
				one_of(names, random() % 30 ? 4 : 5),
				ONE_OF(lines), random() % 8);
	len += snprintf(text + len, size - len, "end\n");
	if (random() % 4 == 0)
		text[random() % len] = random() >> 8;
	if (random() % 16 == 0)
		len = random() % len;
	return len;
}

int main(void)
{
	unsigned int good = 0, runs = 20000;
	char text[4096];
	bool ok;

	for (unsigned int seed = 1; seed <= runs; seed++) {
		srandom(seed);
		good += run((const uint8_t *)text, make(text, sizeof(text)));
	}
	ok = good > runs / 5 && good < runs * 4 / 5;
	printf("1..1\n%s 1 - %u files: %u good ones\n", ok ? "ok" : "not ok",
	       runs, good);
	return !ok;
}
#endif
