// SPDX-License-Identifier: MIT
/*
 * vgpu-smi.c - shows the vgpu devices of this guest, or says why there are none
 *
 * One thread. Only asks; never sends work to a device.
 */
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vgpu-smi-diagnose.h"

#define NODES "/dev/vgpufront*"
#define FIRST_NODE "/dev/vgpufront"
#define KEY_WIDTH 20
#define VALUE_WIDTH 54

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: vgpu-smi [OPTION]...\n"
		"Shows the vgpu devices of this Xen guest.\n\n"
		"  -d, --device=PATH  only this one, such as " FIRST_NODE "\n"
		"  -j, --json         as JSON: an array with an object for each device\n"
		"  -h, --help         this text\n"
		"  -V, --version      version of the program and its library\n\n"
		"Exit status: 0 all devices shown are connected, 1 they are not or there is\n"
		"none, 2 wrong usage.\n");
}

static void line(void)
{
	int i;

	for (i = 0; i < KEY_WIDTH + VALUE_WIDTH + 7; i++)
		putchar(i == 0 || i == KEY_WIDTH + 3 ||
					i == KEY_WIDTH + VALUE_WIDTH + 6 ?
				'+' :
				'-');
	putchar('\n');
}

__attribute__((format(printf, 2, 3))) static void row(const char *key,
						      const char *format, ...)
{
	char value[256], *at = value;
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (!*value)
		strcpy(value, "-");
	/* What is too long goes on in the next line, from a word's start. */
	do {
		size_t n = strlen(at);

		if (n > VALUE_WIDTH)
			for (n = VALUE_WIDTH; n > 0 && at[n] != ' '; n--)
				;
		if (!n)
			n = VALUE_WIDTH;
		printf("| %-*s | %-*.*s |\n", KEY_WIDTH, key, VALUE_WIDTH,
		       (int)n, at);
		at += n;
		at += strspn(at, " ");
		key = "";
	} while (*at);
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

/* Is the word one of those in the list? */
static bool offers(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *at;

	for (at = list; (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

static bool runs_modules(const struct vgpu_device_info *info)
{
	return offers(info->ops, "module-load") && offers(info->ops, "launch");
}

static void table(const char *path, const struct vgpu_device_info *info)
{
	bool cpu = !strcmp(info->engine, "cpu");

	line();
	row("vgpu-smi", "%s", vgpu_version());
	row("Device", "%s (vgpu %u)", path, info->devid);
	row("State", "%s%s", state_name(info->state),
	    info->lost ? ", lost" : "");
	row("Backend", "domain %u, connected %u time%s", info->backend_domid,
	    info->generation, info->generation == 1 ? "" : "s");
	line();
	row("Engine", "%s%s", info->engine,
	    cpu ? ": not a GPU, computed on the backend's CPU" : "");
	row(cpu ? "Processor" : "GPU", "%s", info->gpu_name);
	if (*info->gpu_uuid)
		row("UUID", "%s", info->gpu_uuid);
	if (*info->compute_capability)
		row("Compute capability", "%s", info->compute_capability);
	if (*info->driver_version)
		row("Driver", "%s", info->driver_version);
	row("Operations", "%s", info->ops);
	row("Built-in kernels", "%s", info->builtins);
	row("Own kernels", "%s",
	    runs_modules(info) ? "yes: PTX, cubin, fat binary" :
				 "no: this engine runs no code of the guest");
	line();
	row("Memory", "%.0f MiB, %.0f MiB free", mib(info->mem_total),
	    mib(info->mem_free));
	row("Used here", "%.1f MiB", mib(info->mem_used));
	if (info->mem_quota)
		row("Quota", "%.0f MiB", mib(info->mem_quota));
	if (!cpu) {
		row("Utilisation", "%u %%", info->utilization);
		row("Temperature", "%.1f C", info->temperature_mc / 1000.0);
		row("Power", "%.1f W", info->power_mw / 1000.0);
	}
	line();
	row("Ring", "%u slots", info->ring_slots);
	row("Largest buffer", "%.0f MiB", mib(info->max_buffer_size));
	row("Buffers", "%u", info->nr_buffers);
	row("Objects", "%u", info->nr_objects);
	row("Launches", "%" PRIu64, info->launches);
	row("Requests", "%" PRIu64 ", %" PRIu64 " failed", info->requests,
	    info->errors);
	row("Engine time", "%.3f s", (double)info->busy_ns / 1e9);
	line();
}

static void json_text(const char *key, const char *text)
{
	printf(", \"%s\": \"", key);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void json_number(const char *key, uint64_t value)
{
	printf(", \"%s\": %" PRIu64, key, value);
}

static void json(const char *path, const struct vgpu_device_info *info,
		 bool first)
{
	printf("%s{\"devid\": %u", first ? "" : ",\n ", info->devid);
	json_text("path", path);
	json_text("state", state_name(info->state));
	json_number("backend_domid", info->backend_domid);
	json_number("generation", info->generation);
	json_text("engine", info->engine);
	printf(", \"is_gpu\": %s",
	       *info->engine && strcmp(info->engine, "cpu") ? "true" : "false");
	json_text("gpu_name", info->gpu_name);
	json_text("gpu_uuid", info->gpu_uuid);
	json_text("compute_capability", info->compute_capability);
	json_text("driver_version", info->driver_version);
	json_text("ops", info->ops);
	json_text("builtins", info->builtins);
	printf(", \"runs_modules\": %s", runs_modules(info) ? "true" : "false");
	json_number("mem_total", info->mem_total);
	json_number("mem_free", info->mem_free);
	json_number("mem_quota", info->mem_quota);
	json_number("mem_used", info->mem_used);
	json_number("utilization", info->utilization);
	json_number("temperature_mc", info->temperature_mc);
	json_number("power_mw", info->power_mw);
	json_number("ring_slots", info->ring_slots);
	json_number("max_buffer_size", info->max_buffer_size);
	json_number("nr_buffers", info->nr_buffers);
	json_number("nr_objects", info->nr_objects);
	json_number("launches", info->launches);
	json_number("requests", info->requests);
	json_number("errors", info->errors);
	json_number("busy_ns", info->busy_ns);
	putchar('}');
}

/* Says why on stderr; the second line is what to do. */
static void complain(const char *why)
{
	const char *hint = strchr(why, '\n');

	fprintf(stderr, "vgpu-smi: %.*s\n",
		(int)(hint ? hint - why : (ptrdiff_t)strlen(why)), why);
	if (hint)
		fprintf(stderr, "          %s\n", hint + 1);
}

/* True when something was shown; ok becomes false when it is not usable. */
static bool show(const char *path, bool as_json, bool first, bool *ok)
{
	struct vgpu_device_info info;
	struct vgpu_device *dev;
	char why[512];
	int err;

	err = vgpu_open(path, &dev);
	if (!err) {
		err = vgpu_get_info(dev, &info);
		vgpu_close(dev);
	}
	if (err) {
		diagnose_open("", path, err, why, sizeof(why));
		complain(why);
		*ok = false;
		return false;
	}
	if (as_json)
		json(path, &info, first);
	else
		table(path, &info);
	diagnose_state(&info, why, sizeof(why));
	if (*why) {
		fflush(stdout);
		complain(why);
		*ok = false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *device = NULL;
	bool as_json = false, ok = true;
	glob_t nodes = {0};
	size_t i, shown = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "d:jhV", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			device = optarg;
			break;
		case 'j':
			as_json = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("vgpu-smi %s\n", vgpu_version());
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vgpu-smi: unexpected argument %s\n",
			argv[optind]);
		usage(stderr);
		return 2;
	}
	if (as_json)
		putchar('[');
	if (device) {
		show(device, as_json, true, &ok);
	} else if (glob(NODES, 0, NULL, &nodes)) {
		/* There is none; opening the first says why. */
		show(FIRST_NODE, as_json, true, &ok);
	} else {
		for (i = 0; i < nodes.gl_pathc; i++)
			shown += show(nodes.gl_pathv[i], as_json, !shown, &ok);
		globfree(&nodes);
	}
	if (as_json)
		puts("]");
	if (fflush(stdout)) {
		fprintf(stderr, "vgpu-smi: output: %s\n", strerror(errno));
		return 1;
	}
	return ok ? 0 : 1;
}
