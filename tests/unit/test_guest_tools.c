// SPDX-License-Identifier: MIT
/*
 * test_guest_tools.c - vgpu-smi and vgpu-vector-add over a double of the
 * module: what they print and how they exit; what they say when there is no
 * device
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_common.h"
#include "tools/vgpu-smi-diagnose.h"

int vgpu_smi_main(int argc, char **argv);
int vgpu_vector_add_main(int argc, char **argv);

#define MAX_ARGS 12

static char output[16384];

/* Runs a program in a child; its output, both kinds, is in output[]. */
static int run(int (*program)(int, char **), ...)
{
	char *argv[MAX_ARGS] = {(char *)"test"};
	int argc = 1, fds[2], status;
	size_t len = 0;
	ssize_t got;
	va_list args;
	pid_t pid;

	va_start(args, program);
	while ((argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		exit(program(argc, argv));
	}
	close(fds[1]);
	while ((got = read(fds[0], output + len, sizeof(output) - 1 - len)) > 0)
		len += (size_t)got;
	output[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void has(const char *text)
{
	if (!strstr(output, text))
		fail_msg("no \"%s\" in:\n%s", text, output);
}

static unsigned int count(const char *text)
{
	unsigned int nr = 0;
	const char *at;

	for (at = output; (at = strstr(at, text)); at += strlen(text))
		nr++;
	return nr;
}

static int reset(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

#define PASSED_1024                                                            \
	"Vector add PASSED: 1024 elements, 0 errors (cpu on Fake processor)\n"

static void test_vector_add(void **state)
{
	(void)state;
	assert_int_equal(run(vgpu_vector_add_main, NULL), 0);
	assert_string_equal(output, PASSED_1024);
	assert_int_equal(run(vgpu_vector_add_main, "-n0", NULL), 0);
	has("PASSED: 0 elements, 0 errors");
	assert_int_equal(run(vgpu_vector_add_main, "-r3", "-t", "4", "-a",
			     "--count=70000", NULL),
			 0);
	assert_int_equal(count("PASSED: 70000 elements, 0 errors"), 12);
	assert_int_equal(run(vgpu_vector_add_main, "--buffers", "-r2", NULL),
			 0);
	assert_string_equal(output, PASSED_1024 PASSED_1024);
}

static void test_vector_add_fails(void **state)
{
	(void)state;
	fake_config.corrupt = true;
	assert_int_equal(run(vgpu_vector_add_main, "-n", "100", NULL), 1);
	has("Vector add FAILED: 100 elements, 1 errors (cpu on Fake "
	    "processor): at 99 0x");
	fake_config.corrupt = false;
	fake_config.max_pages = 0;
	assert_int_equal(run(vgpu_vector_add_main, "-n", "100", NULL), 1);
	has("Vector add FAILED: 100 elements: the guest has no free grant");
	assert_int_equal(run(vgpu_vector_add_main, "-b", NULL), 1);
	has("Vector add FAILED: memory for 1024 elements");
}

static void test_vector_add_usage(void **state)
{
	static const char *const bad[] = {
		"-n-1",	  "-n1k",  "-n",
		"-r0",	  "-t65",  "-s 1",
		"--what", "extra", "-n99999999999999999999"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(run(vgpu_vector_add_main, bad[i], NULL), 2);
		has("Usage: vgpu-vector-add");
	}
	assert_int_equal(run(vgpu_vector_add_main, "--help", NULL), 0);
	has("--repeat");
	assert_int_equal(run(vgpu_vector_add_main, "-V", NULL), 0);
	has("vgpu-vector-add " VGPU_VERSION "\n");
}

static void test_smi(void **state)
{
	(void)state;
	assert_int_equal(run(vgpu_smi_main, NULL), 0);
	has("| Engine               | cpu: not a GPU");
	has("| Processor            | Fake processor ");
	has("| State                | connected ");
	assert_null(strstr(output, "Temperature"));
	/* The list of operations is longer than a line of the table. */
	has("buffer-map buffer-unmap builtin fence         |\n");
	has("|                      | mem-alloc mem-free copy fill ctx-destroy  ");
	has("| Built-in kernels     | vector-add saxpy sgemm reduce-sum ");
	has("| Own kernels          | no: ");
	has("| Used here            | 5.0 MiB ");
	assert_null(strstr(output, "Quota"));
	has("| Objects              | 0 ");
	has("| Launches             | 7 ");
	assert_int_equal(run(vgpu_smi_main, "--json", NULL), 0);
	has("[{\"devid\": 0, \"path\": \"/dev/vgpufront\"");
	has("\"is_gpu\": false, \"gpu_name\": \"Fake processor\"");
	has("\"runs_modules\": false");
	has("\"nr_objects\": 0, \"launches\": 7");
	has("}]\n");
	fake_config.runs_modules = true;
	fake_config.mem_quota = 100 << 20;
	assert_int_equal(run(vgpu_smi_main, NULL), 0);
	has("| Own kernels          | yes: PTX");
	has("| Quota                | 100 MiB ");
	assert_int_equal(run(vgpu_smi_main, "-j", NULL), 0);
	has("\"runs_modules\": true");
	assert_int_equal(run(vgpu_smi_main, "-x", NULL), 2);
	assert_int_equal(run(vgpu_smi_main, "extra", NULL), 2);
	assert_int_equal(run(vgpu_smi_main, "--help", NULL), 0);
	has("--json");
}

static void test_smi_without_device(void **state)
{
	(void)state;
	fake_config.open_error = -EACCES;
	assert_int_equal(run(vgpu_smi_main, NULL), 1);
	has("vgpu-smi: /dev/vgpufront: no permission");
	has("run as root");
	assert_int_equal(run(vgpu_smi_main, "-j", NULL), 1);
	has("[]\n");
	fake_config.open_error = -ENODEV;
	assert_int_equal(run(vgpu_vector_add_main, NULL), 1);
	has("backend is not connected");
	assert_null(strstr(output, "Vector add"));
}

static void make(const char *root, const char *path, const char *text)
{
	char name[256], *slash;
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (slash = strchr(name + strlen(root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(name, 0700);
		*slash = '/';
	}
	if (!text) {
		mkdir(name, 0700);
		return;
	}
	f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void diagnose(const char *root, int err, const char *want)
{
	diagnose_open(root, "/dev/vgpufront", err, output, sizeof(output));
	has(want);
}

static void test_diagnose(void **state)
{
	char root[] = "/tmp/vgpu-test-XXXXXX", command[64];
	struct vgpu_device_info info = {.state = VGPU_STATE_BROKEN};

	(void)state;
	assert_non_null(mkdtemp(root));
	diagnose(root, -ENOENT, "not a Xen guest");
	make(root, "/sys/hypervisor/type", "kvm\n");
	diagnose(root, -ENOENT, "not a Xen guest");
	make(root, "/sys/hypervisor/type", "xen\n");
	diagnose(root, -ENOENT, "modprobe vgpufront");
	make(root, "/sys/module/vgpufront", NULL);
	diagnose(root, -ENOENT, "vgpuctl attach");
	make(root, "/sys/bus/xen/devices/vgpu-0/state", "InitWait\n");
	diagnose(root, -ENOENT,
		 "vgpu-0 is not connected (xenbus state InitWait)");
	make(root, "/sys/bus/xen/devices/vgpu-0/state", "Connected\n");
	diagnose(root, -ENOENT, "no /dev/vgpufront, though device vgpu-0");
	diagnose(root, -EPERM, "no permission");
	diagnose(root, -ENODEV, "vgpuctl list");
	diagnose(root, -ENOTTY, "not a vgpu device");
	diagnose(root, -EMFILE, "too many");
	diagnose_state(&info, output, sizeof(output));
	has("violated the protocol");
	info.state = VGPU_STATE_CONNECTED;
	diagnose_state(&info, output, sizeof(output));
	assert_string_equal(output, "");
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_vector_add, reset),
		cmocka_unit_test_setup(test_vector_add_fails, reset),
		cmocka_unit_test_setup(test_vector_add_usage, reset),
		cmocka_unit_test_setup(test_smi, reset),
		cmocka_unit_test_setup(test_smi_without_device, reset),
		cmocka_unit_test(test_diagnose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
