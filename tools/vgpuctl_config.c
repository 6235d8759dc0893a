/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_config.c - the vgpu lines of an xl config
 *
 * Parsed by libxlutil, as xl does it, from the file and then each KEY=VALUE of
 * the command line as one more line. Reads and checks only.
 *
 * libxlutil tells where a value stands in its warnings alone: so it is asked for
 * each value as what it is not, and its report is read.
 */
#include "vgpuctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxlutil.h>

struct argument {
	unsigned int line; /* its first */
	const char *text;
};

struct reader {
	struct config *c;
	XLU_Config *cfg;
	FILE *report_to; /* what libxlutil has to say: */
	char *report;
	size_t report_len;
	struct argument *argument;
	size_t arguments;
};

/* ---- text ---- */

static unsigned int count_lines(const char *text, size_t len)
{
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static bool copy_file(const char *file, FILE *out)
{
	FILE *in = fopen(file, "re");
	char buf[4096];
	size_t n;
	bool ok;

	if (!in) {
		say("%s: %s", file, strerror(errno));
		return false;
	}
	while ((n = fread(buf, 1, sizeof(buf), in)))
		fwrite(buf, 1, n, out);
	ok = !ferror(in);
	if (!ok)
		say("%s: %s", file, strerror(errno));
	fclose(in);
	return ok;
}

/* The text as xl sees it, malloced; notes where each argument begins. */
static char *whole_text(struct reader *r, int argc, char **argv, size_t *len)
{
	char *data = NULL;
	FILE *out = open_memstream(&data, len);
	bool ok = out && copy_file(r->c->file, out);

	if (!out) {
		say("out of memory");
		return NULL;
	}
	fflush(out);
	for (int i = 0; ok && i < argc; i++) {
		if (argv[i][0] == '-' || !strchr(argv[i], '='))
			continue;
		r->argument[r->arguments++] =
			(struct argument){count_lines(data, *len) + 2, argv[i]};
		fprintf(out, "\n%s\n", argv[i]);
		fflush(out);
	}
	if (fclose(out) && ok) {
		say("out of memory");
		ok = false;
	}
	if (ok)
		return data;
	free(data);
	return NULL;
}

/* "guest.cfg:12: vgpu[0]", or the argument in the place of the line. */
static char *where(const struct reader *r, unsigned int line, const char *what)
{
	const char *argument = NULL;
	char *text = NULL;
	int rc;

	for (size_t i = 0; i < r->arguments; i++)
		if (line >= r->argument[i].line)
			argument = r->argument[i].text;
	if (argument)
		rc = asprintf(&text, "argument %s: %s", argument, what);
	else if (line)
		rc = asprintf(&text, "%s:%u: %s", r->c->file, line, what);
	else
		rc = asprintf(&text, "%s: %s", r->c->file, what);
	if (rc >= 0)
		return text;
	say("out of memory");
	return NULL;
}

/* ---- libxlutil ---- */

/* The line in the first warning behind mark, "FILE:LINE:..."; 0: none. */
static unsigned int reported_line(const struct reader *r, size_t mark)
{
	size_t prefix = strlen(r->c->file) + 1;

	fflush(r->report_to);
	if (r->report_len < mark + prefix)
		return 0;
	return strtoul(r->report + mark + prefix, NULL, 10);
}

static size_t report_mark(const struct reader *r)
{
	fflush(r->report_to);
	return r->report_len;
}

static unsigned int line_of(const struct reader *r, XLU_ConfigValue *value)
{
	size_t mark = report_mark(r);
	XLU_ConfigList *list;
	char *text;

	if (xlu_cfg_value_type(value) == XLU_STRING)
		xlu_cfg_value_get_list(r->cfg, value, &list, 0);
	else
		xlu_cfg_value_get_string(r->cfg, value, &text, 0);
	return reported_line(r, mark);
}

static bool read_entry(struct reader *r, XLU_ConfigList *list, int i)
{
	XLU_ConfigValue *value = xlu_cfg_get_listitem2(list, i);
	struct config *c = r->c;
	char err[DEVICE_LINE_ERR], what[32];
	char *text;

	snprintf(what, sizeof(what), "vgpu[%d]", i);
	c->where[i] = where(r, line_of(r, value), what);
	c->lines++;
	if (!c->where[i])
		return false;
	if (xlu_cfg_value_get_string(r->cfg, value, &text, 1)) {
		say("%s: must be a string", c->where[i]);
		return false;
	}
	if (device_line_parse(text, &c->line[i], err))
		return true;
	say("%s: %s", c->where[i], err);
	return false;
}

static bool read_vgpu(struct reader *r)
{
	size_t mark = report_mark(r);
	XLU_ConfigList *list;
	int entries, rc;
	char *at;

	rc = xlu_cfg_get_list(r->cfg, "vgpu", &list, &entries, 0);
	if (rc == ESRCH)
		return true;
	if (rc) {
		at = where(r, reported_line(r, mark), "vgpu");
		say("%s: must be a list: vgpu = [ \"gpu=0,mem=4G\" ]",
		    at ? at : "");
		free(at);
		return false;
	}
	if (entries > VGPU_DEV_MAX) {
		say("%s: vgpu has %d entries, at most %d are possible",
		    r->c->file, entries, VGPU_DEV_MAX);
		return false;
	}
	for (int i = 0; i < entries; i++)
		if (!read_entry(r, list, i))
			return false;
	return true;
}

static bool read_identity(struct reader *r)
{
	const char *text;

	if (xlu_cfg_get_string(r->cfg, "name", &text, 0)) {
		say("%s: name is missing", r->c->file);
		return false;
	}
	r->c->name = strdup(text);
	if (!r->c->name) {
		say("out of memory");
		return false;
	}
	/* One that is no UUID is xl's to refuse. */
	if (!xlu_cfg_get_string(r->cfg, "uuid", &text, 1) &&
	    !domain_parse_uuid(text, r->c->uuid))
		r->c->uuid[0] = '\0';
	return true;
}

static bool read_text(struct reader *r, const char *data, size_t len)
{
	r->report_to = open_memstream(&r->report, &r->report_len);
	r->cfg = r->report_to ? xlu_cfg_init(r->report_to, r->c->file) : NULL;
	if (!r->cfg) {
		say("out of memory");
		return false;
	}
	if (xlu_cfg_readdata(r->cfg, data, len)) {
		fflush(r->report_to);
		fputs(r->report, stderr);
		say("%s: not a valid xl config", r->c->file);
		return false;
	}
	return read_identity(r) && read_vgpu(r);
}

/* ---- numbers ---- */

/* Which entry but i has that devid? c->lines where none. */
static size_t holder(const struct config *c, int devid, size_t but)
{
	size_t i;

	for (i = 0; i < c->lines; i++)
		if (i != but && c->line[i].devid == devid)
			break;
	return i;
}

/* As attach would do it, one after the other; but named ones come first. */
static bool give_devids(struct config *c)
{
	for (size_t i = 0; i < c->lines; i++) {
		size_t other = holder(c, c->line[i].devid, i);

		if (c->line[i].devid == DEVICE_LINE_ANY_DEVID ||
		    other == c->lines)
			continue;
		say("%s: devid=%d: vgpu[%zu] has that number, too",
		    c->where[i > other ? i : other], c->line[i].devid,
		    i > other ? other : i);
		return false;
	}
	for (size_t i = 0; i < c->lines; i++) {
		int devid = 0;

		if (c->line[i].devid != DEVICE_LINE_ANY_DEVID)
			continue;
		while (holder(c, devid, i) < c->lines)
			devid++;
		c->line[i].devid = devid;
	}
	return true;
}

bool config_read(struct config *c, int argc, char **argv)
{
	struct reader r = {.c = c};
	bool ok = false;
	char *data;
	size_t len;

	r.argument = calloc(argc + 1, sizeof(*r.argument));
	data = r.argument ? whole_text(&r, argc, argv, &len) : NULL;
	if (data)
		ok = read_text(&r, data, len) && give_devids(c);
	if (r.cfg)
		xlu_cfg_destroy(r.cfg);
	if (r.report_to)
		fclose(r.report_to);
	free(r.report);
	free(r.argument);
	free(data);
	return ok;
}

void config_free(struct config *c)
{
	free(c->name);
	for (size_t i = 0; i < c->lines; i++)
		free(c->where[i]);
}
