/* SPDX-License-Identifier: MIT */
/*
 * registry.c - the state file's text, and its entries in memory (registry.h)
 */
#include "registry.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

#define MAGIC "xen-vgpu devices "
#define VERSION 1
#define RECORD "device "

void registry_free(struct registry *r)
{
	free(r->entry);
	free(r->path);
	*r = REGISTRY_NONE;
}

/* ---- entries ---- */

static bool same_domain(const struct registry_entry *a,
			const struct registry_entry *b)
{
	if (strcmp(a->uuid, b->uuid))
		return false;
	return strcmp(a->uuid, REGISTRY_NO_UUID) || !strcmp(a->name, b->name);
}

static bool append(struct registry *r, const struct registry_entry *e)
{
	/* Doubles at each power of two. */
	if (!(r->n & (r->n - 1))) {
		size_t room = r->n ? 2 * r->n : 1;
		void *more = realloc(r->entry, room * sizeof(*r->entry));

		if (!more)
			return false;
		r->entry = more;
	}
	r->entry[r->n++] = *e;
	return true;
}

bool registry_put(struct registry *r, const struct registry_entry *e)
{
	for (size_t i = 0; i < r->n; i++) {
		if (!same_domain(&r->entry[i], e) ||
		    r->entry[i].line.devid != e->line.devid)
			continue;
		r->entry[i] = *e;
		return true;
	}
	return r->n < REGISTRY_MAX && append(r, e);
}

struct registry_entry *registry_find(struct registry *r, const char *uuid,
				     unsigned int devid)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->entry[i].uuid, uuid) &&
		    r->entry[i].line.devid == (int)devid)
			return &r->entry[i];
	return NULL;
}

size_t registry_drop(struct registry *r,
		     bool (*drop)(const struct registry_entry *e,
				  const void *arg),
		     const void *arg)
{
	size_t kept = 0, dropped;

	for (size_t i = 0; i < r->n; i++)
		if (!drop(&r->entry[i], arg))
			r->entry[kept++] = r->entry[i];
	dropped = r->n - kept;
	r->n = kept;
	return dropped;
}

/* ---- text ---- */

static bool __attribute__((format(printf, 3, 4)))
bad(char err[REGISTRY_ERR], unsigned int line, const char *fmt, ...)
{
	int n = snprintf(err, REGISTRY_ERR, "%u: ", line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err + n, REGISTRY_ERR - n, fmt, ap);
	va_end(ap);
	return false;
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? p - digits : -1;
}

/* "a%20b" -> "a b"; only what encode_name() writes. */
static bool decode_name(const char *s, size_t len, char name[DOMAIN_NAME_LEN])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			if (len - i < 3 || hex(s[i + 1]) < 0 ||
			    hex(s[i + 2]) < 0)
				return false;
			c = hex(s[i + 1]) << 4 | hex(s[i + 2]);
			i += 2;
			if (!c)
				return false;
		} else if (c <= ' ' || c > '~') {
			return false;
		}
		if (n == DOMAIN_NAME_LEN - 1)
			return false;
		name[n++] = c;
	}
	name[n] = '\0';
	return n;
}

static void encode_name(FILE *out, const char *name)
{
	for (; *name; name++) {
		unsigned char c = *name;

		if (c <= ' ' || c > '~' || c == '%')
			fprintf(out, "%%%02x", c);
		else
			putc(c, out);
	}
}

/* text: one record without its line end; a copy that may be cut up. */
static bool parse_record(char *text, struct registry_entry *e, unsigned int nr,
			 char err[REGISTRY_ERR])
{
	char why[DEVICE_LINE_ERR], shown[VGPU_SHOW_LEN];
	char *uuid = text + strlen(RECORD);
	char *name, *line;

	if (strncmp(text, RECORD, strlen(RECORD)))
		return bad(err, nr, "\"%s\": is no record",
			   vgpu_show(shown, text, strlen(text)));
	name = strchr(uuid, ' ');
	line = name ? strchr(name + 1, ' ') : NULL;
	if (!line)
		return bad(err, nr, "is cut off");
	*name++ = *line++ = '\0';
	if (!domain_parse_uuid(uuid, e->uuid))
		return bad(err, nr, "\"%s\": is no UUID",
			   vgpu_show(shown, uuid, strlen(uuid)));
	if (!decode_name(name, strlen(name), e->name))
		return bad(err, nr, "\"%s\": is no domain's name",
			   vgpu_show(shown, name, strlen(name)));
	if (!device_line_parse(line, &e->line, why))
		return bad(err, nr, "%s", why);
	if (e->line.devid == DEVICE_LINE_ANY_DEVID)
		return bad(err, nr, "devid is missing");
	return true;
}

/* Does it go with what came before? */
static bool take_record(struct registry *r, const struct registry_entry *e,
			unsigned int nr, char err[REGISTRY_ERR])
{
	if (r->n == REGISTRY_MAX)
		return bad(err, nr, "more than %d devices", REGISTRY_MAX);
	for (size_t i = 0; i < r->n; i++) {
		if (!same_domain(&r->entry[i], e))
			continue;
		if (r->entry[i].line.devid == e->line.devid)
			return bad(err, nr, "device %d of %s is there twice",
				   e->line.devid, e->uuid);
		if (strcmp(r->entry[i].name, e->name))
			return bad(err, nr, "%s has two names", e->uuid);
	}
	return append(r, e) || bad(err, nr, "out of memory");
}

static bool check_header(const char *text, unsigned int nr,
			 char err[REGISTRY_ERR])
{
	size_t len = strlen(MAGIC);
	uint64_t version;

	if (strncmp(text, MAGIC, len) ||
	    !vgpu_parse_uint(text + len, strlen(text + len), UINT32_MAX,
			     &version))
		return bad(err, nr, "must be \"%s%d\"", MAGIC, VERSION);
	if (version != VERSION)
		return bad(err, nr,
			   "is of version %u, this program knows version %d: "
			   "another version of xen-vgpu wrote it",
			   (unsigned int)version, VERSION);
	return true;
}

/* Cuts text, which ends in a NUL, into lines. */
static bool parse_lines(struct registry *r, char *text, size_t len,
			char err[REGISTRY_ERR])
{
	struct registry_entry e;
	unsigned int nr = 0;
	bool ended = false;
	char *eol;

	for (char *end = text + len; text < end; text = eol + 1) {
		nr++;
		eol = memchr(text, '\n', end - text);
		if (!eol || memchr(text, '\0', eol - text))
			return bad(err, nr, eol ? "has a NUL" : "is cut off");
		*eol = '\0';
		if (ended)
			return bad(err, nr, "comes after the end");
		ended = nr > 1 && !strcmp(text, "end");
		if (nr == 1 && !check_header(text, nr, err))
			return false;
		if (nr > 1 && !ended &&
		    !(parse_record(text, &e, nr, err) &&
		      take_record(r, &e, nr, err)))
			return false;
	}
	return ended || bad(err, nr + 1,
			    nr ? "must be \"end\": the rest is missing" :
				 "is missing: the file is empty");
}

bool registry_parse(struct registry *r, const char *text, size_t len,
		    char err[REGISTRY_ERR])
{
	char *copy = malloc(len + 1);
	bool ok;

	if (!copy)
		return bad(err, 1, "out of memory");
	memcpy(copy, text, len);
	copy[len] = '\0';
	ok = parse_lines(r, copy, len, err);
	free(copy);
	if (!ok) {
		free(r->entry);
		r->entry = NULL;
		r->n = 0;
	}
	return ok;
}

char *registry_format(const struct registry *r, size_t *len)
{
	char line[DEVICE_LINE_LEN];
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	bool ok;

	if (!out)
		return NULL;
	fprintf(out, "%s%d\n", MAGIC, VERSION);
	for (size_t i = 0; i < r->n; i++) {
		device_line_format(&r->entry[i].line, line);
		fprintf(out, RECORD "%s ", r->entry[i].uuid);
		encode_name(out, r->entry[i].name);
		fprintf(out, " %s\n", line);
	}
	fputs("end\n", out);
	ok = !ferror(out);
	if (!fclose(out) && ok)
		return text;
	free(text);
	return NULL;
}
