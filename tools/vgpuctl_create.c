/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_create.c - create: a domain with the vgpu devices of its config
 *
 *   read CONFIG -> remember -> xl create -p -> attach each line -> xl unpause
 *
 * xl itself ignores the vgpu key. Everything in the config is checked before
 * xl runs; what fails after it destroys the domain again, and what is remembered
 * is as before. It is remembered first, because vgpubackd attaches the devices
 * of a remembered domain as soon as there is one: those of this config they have
 * to be. Must never destroy a domain that it did not make.
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

extern char **environ;

volatile sig_atomic_t vgpuctl_interrupted;

struct create {
	struct config cfg;
	struct registry before; /* what was remembered of the domain */
	bool remembered;
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
	args[n++] = (char *)c->cfg.file;
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

/* The backends are there, and known by name. */
static bool find_backends(struct vgpuctl *v, struct config *cfg)
{
	for (size_t i = 0; i < cfg->lines; i++)
		if (!device_backend(v, &cfg->line[i], cfg->where[i]))
			return false;
	return true;
}

static enum vgpuctl_exit attach_all(struct vgpuctl *v, struct config *cfg,
				    unsigned int domid)
{
	enum vgpuctl_exit rc = EXIT_OK;

	for (size_t i = 0; i < cfg->lines && rc == EXIT_OK; i++)
		rc = device_attach(v, domid, &cfg->line[i], cfg->where[i]);
	if (rc == EXIT_OK && vgpuctl_interrupted) {
		say("interrupted");
		rc = EXIT_FAILED;
	}
	return rc;
}

static void undo_remember(struct vgpuctl *v, struct create *c)
{
	if (c->remembered && !remember_undo(v, c->cfg.name, &c->before))
		say("%s: the devices of \"%s\" are still remembered; vgpuctl "
		    "forget removes them",
		    c->cfg.file, c->cfg.name);
	c->remembered = false;
}

static void undo(struct vgpuctl *v, struct create *c, unsigned int domid,
		 char *id)
{
	char *destroy[] = {"xl", "destroy", id, NULL};
	struct vgpu_dev dev[VGPU_DEV_MAX];
	size_t n = nodes_list(v->xs, domid, dev, VGPU_DEV_MAX);

	say("%s: destroying domain %u (%s), which could not be set up",
	    c->cfg.file, domid, c->cfg.name);
	/* First, or vgpubackd could attach them to the next of that name. */
	undo_remember(v, c);
	if (!run_xl(destroy))
		say("domain %u could not be destroyed", domid);
	for (size_t i = 0; i < n; i++)
		device_detach(v, &dev[i]);
}

/* The domain exists, paused, and is ours to undo. */
static enum vgpuctl_exit finish(struct vgpuctl *v, struct create *c,
				unsigned int domid)
{
	enum vgpuctl_exit rc;
	char id[16];
	char *unpause[] = {"xl", "unpause", id, NULL};
	char *console[] = {"xl", "console", id, NULL};

	snprintf(id, sizeof(id), "%u", domid);
	rc = attach_all(v, &c->cfg, domid);
	if (rc == EXIT_OK && !c->stay_paused && !run_xl(unpause))
		rc = EXIT_FAILED;
	if (rc != EXIT_OK) {
		undo(v, c, domid, id);
		return EXIT_FAILED;
	}
	if (c->remembered && c->cfg.lines)
		c->remembered = remember_running(v, domid);
	if (!c->remembered) {
		say("%s: the devices of \"%s\" are not remembered", c->cfg.file,
		    c->cfg.name);
		rc = EXIT_UNREMEMBERED;
	}
	if (!c->console)
		return rc;
	execvp(console[0], console);
	say("cannot run xl console: %s", strerror(errno));
	return EXIT_FAILED;
}

/* Entries of a UUID are one domain's: those of one that runs are not ours. */
static bool uuid_is_free(struct vgpuctl *v, const struct config *cfg)
{
	struct domain *running;
	bool free_one = true;
	size_t n;

	if (!cfg->uuid[0])
		return true;
	running = domain_list(v->xs, &n);
	for (size_t i = 0; running && i < n && free_one; i++) {
		free_one = strcmp(running[i].uuid, cfg->uuid);
		if (!free_one)
			say("%s: uuid=%s: domain %u has it already", cfg->file,
			    cfg->uuid, running[i].id);
	}
	free(running);
	return free_one;
}

static enum vgpuctl_exit make_domain(struct vgpuctl *v, struct create *c,
				     int argc, char **argv)
{
	uint32_t domid;

	if (!vgpuctl_libxl(v) || !find_backends(v, &c->cfg))
		return EXIT_FAILED;
	/* What xl is asked may make no domain (--help), and this one is not ours. */
	if (!libxl_name_to_domid(v->ctx, c->cfg.name, &domid)) {
		say("%s: there is a domain \"%s\" already", c->cfg.file,
		    c->cfg.name);
		return EXIT_FAILED;
	}
	if (!uuid_is_free(v, &c->cfg))
		return EXIT_FAILED;
	c->remembered = remember_domain(v, c->cfg.name, c->cfg.uuid,
					c->cfg.line, c->cfg.lines, &c->before);
	if (!xl_create(c, argc, argv)) {
		say("%s: xl create failed", c->cfg.file);
	} else if (libxl_name_to_domid(v->ctx, c->cfg.name, &domid)) {
		say("%s: xl made no domain \"%s\"", c->cfg.file, c->cfg.name);
	} else {
		return finish(v, c, domid);
	}
	undo_remember(v, c);
	return EXIT_FAILED;
}

enum vgpuctl_exit cmd_create(struct vgpuctl *v, int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_signal};
	struct create c = {.before = REGISTRY_NONE};
	enum vgpuctl_exit rc = EXIT_FAILED;

	if (argc < 2) {
		say("create needs a config file");
		return EXIT_USAGE;
	}
	c.cfg.file = argv[1];
	argc -= 2;
	argv += 2;
	for (int i = 0; i < argc; i++)
		if (!look_at_option(&c, argv[i]))
			return EXIT_USAGE;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (config_read(&c.cfg, argc, argv))
		rc = make_domain(v, &c, argc, argv);
	registry_free(&c.before);
	config_free(&c.cfg);
	return rc;
}
