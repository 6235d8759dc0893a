/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_create.c - create: a domain with the vgpu devices of its config
 *
 *   read CONFIG -> xl create -p -> attach each vgpu line -> xl unpause
 *
 * xl itself ignores the vgpu key. Everything in the config is checked before
 * xl runs; what fails after it destroys the domain again. Must never destroy a
 * domain that it did not make.
 */
#include "vgpuctl.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libxl_utils.h>
#include <libxlutil.h>

extern char **environ;

volatile sig_atomic_t vgpuctl_interrupted;

struct create {
	const char *file;
	XLU_Config *cfg;
	const char *name; /* lives in cfg */
	struct vgpu_line line[VGPU_DEV_MAX];
	size_t lines;
	bool console;	  /* -c */
	bool stay_paused; /* -p */
};

static void on_signal(int sig)
{
	(void)sig;
	vgpuctl_interrupted = 1;
}

/* Runs xl; true where it ended well. */
static bool run_xl(char *const argv[])
{
	int status;
	pid_t pid;
	int rc = posix_spawnp(&pid, "xl", NULL, NULL, argv, environ);

	if (rc) {
		say("cannot run xl: %s", strerror(rc));
		return false;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* xl takes a long option by any beginning of it. */
static bool look_at_long_option(const char *arg)
{
	static const char *const unusable[] = {"--dryrun", "--defconfig"};
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		if (len < 3 || strncmp(arg, unusable[i], len))
			continue;
		say("create: xl's %s cannot be used here; use xl create",
		    unusable[i]);
		return false;
	}
	return true;
}

/*
 * xl's options as far as they concern the order of things here. False for what
 * cannot work. Everything else is left to xl.
 */
static bool look_at_option(struct create *c, const char *arg)
{
	if (arg[0] != '-')
		return true;
	if (arg[1] == '-')
		return look_at_long_option(arg);
	for (const char *p = arg + 1; *p; p++) {
		if (*p == 'c')
			c->console = true;
		else if (*p == 'p')
			c->stay_paused = true;
		else if (strchr("nFf", *p)) {
			say("create: xl's -%c cannot be used here; use xl "
			    "create",
			    *p);
			return false;
		}
	}
	return true;
}

/*
 * The config as xl sees it: the file, then each KEY=VALUE of the command line
 * as one more line.
 */
static bool read_config(struct create *c, int argc, char **argv)
{
	char *data = NULL;
	size_t len = 0;
	FILE *in, *out;
	char buf[4096];
	size_t n;
	bool ok;

	in = fopen(c->file, "re");
	if (!in) {
		say("%s: %s", c->file, strerror(errno));
		return false;
	}
	out = open_memstream(&data, &len);
	if (!out) {
		say("out of memory");
		fclose(in);
		return false;
	}
	while ((n = fread(buf, 1, sizeof(buf), in)))
		fwrite(buf, 1, n, out);
	ok = !ferror(in);
	if (!ok)
		say("%s: %s", c->file, strerror(errno));
	fclose(in);
	for (int i = 0; i < argc; i++)
		if (argv[i][0] != '-' && strchr(argv[i], '='))
			fprintf(out, "\n%s\n", argv[i]);
	if (fclose(out)) {
		say("out of memory");
		ok = false;
	}
	c->cfg = ok ? xlu_cfg_init(stderr, c->file) : NULL;
	if (c->cfg && xlu_cfg_readdata(c->cfg, data, len)) {
		say("%s: not a valid xl config", c->file);
		ok = false;
	}
	free(data);
	return ok && c->cfg;
}

static bool read_lines(struct create *c)
{
	char err[VGPU_LINE_ERR];
	XLU_ConfigList *list;
	int entries;
	int rc;

	if (xlu_cfg_get_string(c->cfg, "name", &c->name, 0)) {
		say("%s: name is missing", c->file);
		return false;
	}
	rc = xlu_cfg_get_list(c->cfg, "vgpu", &list, &entries, 1);
	if (rc == ESRCH)
		return true;
	if (rc) {
		say("%s: vgpu must be a list: vgpu = [ \"gpu=0,mem=4G\" ]",
		    c->file);
		return false;
	}
	if (entries > VGPU_DEV_MAX) {
		say("%s: vgpu has %d entries, at most %d are possible", c->file,
		    entries, VGPU_DEV_MAX);
		return false;
	}
	for (int i = 0; i < entries; i++) {
		const char *text = xlu_cfg_get_listitem(list, i);

		if (!text) {
			say("%s: vgpu[%d]: must be a string", c->file, i);
			return false;
		}
		if (!vgpu_line_parse(text, &c->line[i], err)) {
			say("%s: vgpu[%d]: %s", c->file, i, err);
			return false;
		}
		c->lines++;
	}
	return true;
}

static bool xl_create(const struct create *c, int argc, char **argv)
{
	char **args = calloc(argc + 5, sizeof(*args));
	int n = 0;
	bool ok;

	if (!args) {
		say("out of memory");
		return false;
	}
	args[n++] = "xl";
	args[n++] = "create";
	args[n++] = "-p";
	args[n++] = (char *)c->file;
	for (int i = 0; i < argc; i++) {
		char *arg = argv[i];

		/* The console is attached at the end, by us. */
		if (arg[0] == '-' && arg[1] != '-' && strchr(arg, 'c')) {
			char *from = arg, *to = arg;

			for (; *from; from++)
				if (*from != 'c')
					*to++ = *from;
			*to = '\0';
			if (!arg[1])
				continue;
		}
		args[n++] = arg;
	}
	ok = run_xl(args);
	free(args);
	return ok;
}

static enum vgpuctl_exit attach_all(struct vgpuctl *v, const struct create *c,
				    unsigned int domid)
{
	enum vgpuctl_exit rc = EXIT_OK;
	char where[VGPU_LINE_ERR];

	for (size_t i = 0; i < c->lines && rc == EXIT_OK; i++) {
		snprintf(where, sizeof(where), "%s: vgpu[%zu]", c->file, i);
		rc = device_attach(v, domid, &c->line[i], where);
	}
	if (rc == EXIT_OK && vgpuctl_interrupted) {
		say("interrupted");
		rc = EXIT_FAILED;
	}
	return rc;
}

/* The domain exists, paused, and is ours to undo. */
static enum vgpuctl_exit finish(struct vgpuctl *v, const struct create *c,
				unsigned int domid)
{
	enum vgpuctl_exit rc;
	char id[16];
	char *unpause[] = {"xl", "unpause", id, NULL};
	char *destroy[] = {"xl", "destroy", id, NULL};
	char *console[] = {"xl", "console", id, NULL};

	snprintf(id, sizeof(id), "%u", domid);
	rc = attach_all(v, c, domid);
	if (rc == EXIT_OK && !c->stay_paused && !run_xl(unpause))
		rc = EXIT_FAILED;
	if (rc != EXIT_OK) {
		struct vgpu_dev dev[VGPU_DEV_MAX];
		size_t n = store_devices(v, domid, dev, VGPU_DEV_MAX);

		say("%s: destroying domain %u (%s), which could not be set up",
		    c->file, domid, c->name);
		if (!run_xl(destroy))
			say("domain %u could not be destroyed", domid);
		for (size_t i = 0; i < n; i++)
			device_detach(v, &dev[i]);
		return rc;
	}
	if (!c->console)
		return EXIT_OK;
	execvp(console[0], console);
	say("cannot run xl console: %s", strerror(errno));
	return EXIT_FAILED;
}

enum vgpuctl_exit cmd_create(struct vgpuctl *v, int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal};
	enum vgpuctl_exit rc = EXIT_FAILED;
	struct create c = {0};
	uint32_t domid;

	if (argc < 2) {
		say("create needs a config file");
		return EXIT_USAGE;
	}
	c.file = argv[1];
	argc -= 2;
	argv += 2;
	for (int i = 0; i < argc; i++)
		if (!look_at_option(&c, argv[i]))
			return EXIT_USAGE;
	if (!read_config(&c, argc, argv) || !read_lines(&c) ||
	    !vgpuctl_libxl(v))
		goto out;
	/* What xl is asked may make no domain (--help), and this one is not ours. */
	if (!libxl_name_to_domid(v->ctx, c.name, &domid)) {
		say("%s: there is a domain \"%s\" already", c.file, c.name);
		goto out;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (!xl_create(&c, argc, argv)) {
		say("%s: xl create failed", c.file);
		goto out;
	}
	if (libxl_name_to_domid(v->ctx, c.name, &domid)) {
		say("%s: xl made no domain \"%s\"", c.file, c.name);
		goto out;
	}
	rc = finish(v, &c, domid);
out:
	if (c.cfg)
		xlu_cfg_destroy(c.cfg);
	return rc;
}
