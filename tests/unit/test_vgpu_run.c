// SPDX-License-Identifier: MIT
/*
 * test_vgpu_run.c - vgpu-run and vgpu-bandwidth over a double of the module: what
 * they take for an argument and what they say of the rest, what goes from files to
 * a kernel and back, and whether a copy that is wrong is seen
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_common.h"

int vgpu_run_main(int argc, char **argv);
int vgpu_bandwidth_main(int argc, char **argv);
/* What vgpu-bandwidth calls for vgpu_copy_out(). */
int test_copy_out(struct vgpu_device *d, void *dst, struct vgpu_ref src,
		  size_t size, unsigned int stream);

#define MAX_ARGS 16
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char out[16384], err[16384];
static const char *input; /* what the program reads from its stdin */
static char dir[] = "/tmp/vgpu-run-XXXXXX";

static void take(int fd, char *text, size_t size)
{
	ssize_t got = pread(fd, text, size - 1, 0);

	assert_true(got >= 0);
	text[got] = '\0';
	close(fd);
}

static int anonymous(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int run_list(int (*program)(int, char **), int argc, char **argv)
{
	int fds[3] = {anonymous(input ? input : ""), anonymous(""),
		      anonymous("")};
	int i, status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (i = 0; i < 3; i++)
			dup2(fds[i], i);
		/* Not cmocka's handler, which would go on with the tests. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		exit(program(argc, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	take(fds[1], out, sizeof(out));
	take(fds[2], err, sizeof(err));
	if (!WIFEXITED(status))
		fail_msg("ended with status %#x\n%s", status, err);
	return WEXITSTATUS(status);
}

/* Runs vgpu-run in a child: out[] and err[] are what it said. */
static int run(const char *first, ...)
{
	char *argv[MAX_ARGS] = {(char *)"test", (char *)first};
	int argc = first ? 2 : 1;
	va_list args;

	va_start(args, first);
	while (first && (argv[argc] = va_arg(args, char *)))
		assert_true(++argc < MAX_ARGS);
	va_end(args);
	return run_list(vgpu_run_main, argc, argv);
}

/* The same for vgpu-bandwidth, which takes its words apart. */
static int bandwidth(const char *first, const char *second)
{
	char *argv[] = {(char *)"test", first ? strdup(first) : NULL,
			second ? strdup(second) : NULL, NULL};
	int status;

	status = run_list(vgpu_bandwidth_main,
			  !first ? 1 :
			  second ? 3 :
				   2,
			  argv);
	free(argv[1]);
	free(argv[2]);
	return status;
}

static void says(const char *text)
{
	if (!strstr(err, text))
		fail_msg("no \"%s\" on stderr:\n%s", text, err);
}

static void prints(const char *text)
{
	if (!strstr(out, text))
		fail_msg("no \"%s\" on stdout:\n%s", text, out);
}

static void make(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void holds(const char *name, const void *data, size_t size)
{
	char got[4096];
	FILE *f = fopen(name, "r");

	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof(got), f), size);
	fclose(f);
	assert_memory_equal(got, data, size);
}

/* What the double knows: saxpy(alpha, x, y, n), append(list, value), nothing() */
static const char kernels[] =
	".version 6.3\n.entry saxpy(\n.entry append(\n.entry nothing(\n";
static const float x[] = {1, 2, 3, 4};
static const float y[] = {0.5, 0.25, 0, -1};
static const float two_x_and_y[] = {2.5, 4.25, 6, 7};

#define SAXPY "-b4", "k.ptx", "saxpy", "f32:2", "in:x"

static int reset(void **state)
{
	(void)state;
	fake_reset();
	input = NULL;
	make("k.ptx", kernels, strlen(kernels));
	make("x", x, sizeof(x));
	make("y", y, sizeof(y));
	return 0;
}

struct bad {
	const char *arg, *why;
};

static void test_bad_arguments(void **state)
{
	static const struct bad bad[] = {
		{"5", "does not begin with one of i8: u8: i16: u16: i32: u32: "
		      "i64: u64: f32: f64: in: out: inout: zero:\n"},
		{"", "does not begin with one of"},
		{"i32", "does not begin with one of"},
		{"i8:128", "not an integer of 8 bits\n"},
		{"i8:-129", "not an integer of 8 bits\n"},
		{"i16:32768", "not an integer of 16 bits\n"},
		{"i32:2147483648", "not an integer of 32 bits\n"},
		{"i32:-2147483649", "not an integer of 32 bits\n"},
		{"i64:9223372036854775808", "not an integer of 64 bits\n"},
		{"i32:", "not an integer of 32 bits\n"},
		{"i32:1x", "not an integer of 32 bits\n"},
		{"i32:1.5", "not an integer of 32 bits\n"},
		{"u8:256", "not an integer of 8 bits without sign\n"},
		{"u16:65536", "not an integer of 16 bits without sign\n"},
		{"u32:4294967296", "not an integer of 32 bits without sign\n"},
		{"u32:-1", "not an integer of 32 bits without sign\n"},
		{"u64:18446744073709551616", "of 64 bits without sign\n"},
		{"u32: 1", "not an integer of 32 bits without sign\n"},
		{"f32:", "not a number of 32 bits\n"},
		{"f32:1e39", "not a number of 32 bits\n"},
		{"f32:1,5", "not a number of 32 bits\n"},
		{"f64:1e309", "not a number of 64 bits\n"},
		{"zero:", "no size at the end"},
		{"zero:0", "no size at the end"},
		{"zero:-1", "no size at the end"},
		{"zero:1T", "no size at the end"},
		{"zero:1KB", "no size at the end"},
		{"zero:99999999999999999999", "no size at the end"},
		{"zero:17179869185G", "no size at the end"},
		{"out:", "wants a file and a size, out:FILE:SIZE\n"},
		{"out:o", "wants a file and a size, out:FILE:SIZE\n"},
		{"out::4", "wants a file and a size, out:FILE:SIZE\n"},
		{"out:o:x", "no size at the end"},
	};
	char want[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		/* The second one, so that a wrong number shows. */
		assert_int_equal(run("k.ptx", "f", "u32:1", bad[i].arg, NULL),
				 2);
		snprintf(want, sizeof(want),
			 "vgpu-run: argument 2 (%s): ", bad[i].arg);
		says(want);
		says(bad[i].why);
		assert_string_equal(out, "");
	}
	assert_int_equal(access("o", F_OK), -1);
}

static void test_bad_files(void **state)
{
	(void)state;
	make("empty", "", 0);
	assert_int_equal(run("k.ptx", "f", "in:nope", NULL), 2);
	says("argument 1: cannot read nope: No such file");
	assert_int_equal(run("k.ptx", "f", "in:empty", NULL), 2);
	says("argument 1: empty is empty");
	assert_int_equal(run("k.ptx", "f", "in:.", NULL), 2);
	says("argument 1: cannot read .: Is a directory");
	assert_int_equal(run("k.ptx", "f", "inout:nope", NULL), 2);
	says("argument 1: cannot read nope");
	/* Nothing is made of a file that was not there. */
	assert_int_equal(access("nope", F_OK), -1);
	assert_int_equal(run("k.ptx", "f", "out:no/such:4", NULL), 2);
	says("argument 1 (out:no/such:4): cannot write no/such: No such file");
	assert_int_equal(run("k.ptx", "f", "inout:k.ptx:no/such", NULL), 2);
	says("argument 1 (inout:k.ptx:no/such): cannot write no/such");
	assert_int_equal(run("k.ptx", "f", "in:-", NULL), 2);
	says("argument 1: - is empty");
	assert_int_equal(run("nope", "f", NULL), 2);
	says("kernel: cannot read nope: No such file");
	assert_int_equal(run("empty", "f", NULL), 2);
	says("kernel: empty is empty");
	holds("k.ptx", kernels, strlen(kernels));
}

static void test_usage(void **state)
{
	static const struct bad bad[] = {
		{"-g0", "grid 0 is not X[,Y[,Z]], each at least 1"},
		{"-g1,2,3,4", "grid 1,2,3,4 is not"},
		{"-g1,", "grid 1, is not"},
		{"-g1,,2", "grid 1,,2 is not"},
		{"--block=-1", "block -1 is not"},
		{"--block=4294967296", "block 4294967296 is not"},
		{"--block=1x", "block 1x is not"},
		{"-s4G", "shared memory 4G is not a size"},
		{"-s-1", "shared memory -1 is not a size"},
		{"-r0", "repeat 0 is not a number from 1 to 100000"},
		{"-r100001", "repeat 100001 is not a number"},
		{"--what", "unrecognized option"},
		{"-p", "--params takes no arguments"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		assert_int_equal(run(bad[i].arg, "k.ptx", "f", "u32:1", NULL),
				 2);
		says(bad[i].why);
		says("Try vgpu-run --help\n");
	}
	assert_int_equal(run(NULL), 2);
	says("no KERNEL and no FUNCTION");
	assert_int_equal(run("k.ptx", NULL), 2);
	says("vgpu-run: no FUNCTION\n");
	assert_int_equal(run("--help", NULL), 0);
	prints("Usage: vgpu-run [OPTION]... KERNEL FUNCTION [ARGUMENT]...");
	assert_int_equal(run("-V", NULL), 0);
	prints("vgpu-run " VGPU_VERSION "\n");
}

static void test_no_device(void **state)
{
	(void)state;
	fake_config.open_error = -EACCES;
	assert_int_equal(run("k.ptx", "f", NULL), 1);
	says("vgpu-run: /dev/vgpufront: no permission");
}

static void test_files(void **state)
{
	(void)state;
	assert_int_equal(run(SAXPY, "inout:y:z", "u32:4", NULL), 0);
	holds("z", two_x_and_y, sizeof(two_x_and_y));
	holds("y", y, sizeof(y));
	assert_string_equal(err, "");
	assert_int_equal(strncmp(out, "saxpy: ", 7), 0);
	prints(" us (cpu on Fake processor)\n");
	/* What was longer is cut. */
	make("z", kernels, strlen(kernels));
	assert_int_equal(run(SAXPY, "inout:y:z", "u32:4", NULL), 0);
	holds("z", two_x_and_y, sizeof(two_x_and_y));
	/* In place. */
	assert_int_equal(run(SAXPY, "inout:y", "u32:4", NULL), 0);
	holds("y", two_x_and_y, sizeof(two_x_and_y));
}

static void test_standard_files(void **state)
{
	float four_a[4];

	(void)state;
	assert_int_equal(run(SAXPY, "inout:y:-", "u32:4", NULL), 0);
	assert_memory_equal(out, two_x_and_y, sizeof(two_x_and_y));
	says("saxpy: ");
	/* Floats that have no octet 0, since input is text. */
	input = "AAAABBBBCCCCDDDD";
	assert_int_equal(run("-b4", "k.ptx", "saxpy", "f32:1", "in:-",
			     "out:z:16", "u32:4", NULL),
			 0);
	memcpy(four_a, input, sizeof(four_a));
	holds("z", four_a, sizeof(four_a));
	assert_int_equal(run("-b4", "k.ptx", "saxpy", "f32:0", "in:x",
			     "inout:-", "u32:4", NULL),
			 0);
	assert_memory_equal(out, input, strlen(input));
	assert_int_equal(unlink("z"), 0);
}

static void test_values(void **state)
{
	static const struct value {
		const char *arg;
		uint32_t bits;
	} values[] = {
		{"i32:-1", 0xffffffff},
		{"i32:-2147483648", 0x80000000},
		{"i32:2147483647", 0x7fffffff},
		{"u32:4294967295", 0xffffffff},
		{"u32:0x1f", 31},
		{"f32:1", 0x3f800000},
		{"f32:-0", 0x80000000},
		{"f32:0x1p-149", 1},
		{"f32:1e-60", 0},
		{"f32:-inf", 0xff800000},
	};
	uint32_t want[2] = {1};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(values); i++) {
		want[1] = values[i].bits;
		assert_int_equal(run("k.ptx", "append", "out:list:8",
				     values[i].arg, NULL),
				 0);
		holds("list", want, sizeof(want));
	}
}

static void test_repeat(void **state)
{
	static const uint32_t want[4] = {3, 7, 7, 7};

	(void)state;
	assert_int_equal(run("--repeat=3", "k.ptx", "append", "out:list:16",
			     "u32:7", NULL),
			 0);
	holds("list", want, sizeof(want));
	prints("append: ");
	prints(", the median of 3, ");
	assert_int_equal(run("k.ptx", "append", "zero:1K", "u32:7", NULL), 0);
}

static void test_params(void **state)
{
	(void)state;
	assert_int_equal(run("-p", "k.ptx", "saxpy", NULL), 0);
	assert_string_equal(out, "saxpy takes 4 arguments\n"
				 "  1: 4 bytes\n"
				 "  2: 8 bytes, a value or memory\n"
				 "  3: 8 bytes, a value or memory\n"
				 "  4: 4 bytes\n");
	assert_int_equal(run("--params", "k.ptx", "nothing", NULL), 0);
	assert_string_equal(out, "nothing takes 0 arguments\n");
	assert_int_equal(run("k.ptx", "nothing", "u32:1", NULL), 2);
	says("nothing takes 0 arguments, 1 given");
	assert_int_equal(run("k.ptx", "saxpy", "f32:1", NULL), 2);
	says("saxpy takes 4 arguments, 1 given");
	assert_int_equal(
		run("k.ptx", "saxpy", "f64:1", "in:x", "in:y", "u32:4", NULL),
		2);
	says("argument 1 (f64:1): a value of 8 bytes, saxpy takes 4 there\n");
	assert_int_equal(run(SAXPY, "u32:4", "u32:4", NULL), 2);
	says("argument 3 (u32:4): a value of 4 bytes, saxpy takes 8 there\n");
	assert_int_equal(run(SAXPY, "inout:y", "zero:4", NULL), 2);
	says("argument 4 (zero:4): an address of 8 bytes, saxpy takes 4 there\n");
	holds("y", y, sizeof(y));
}

/* Whatever fails, the file keeps what it had. */
static void test_failures(void **state)
{
	(void)state;
	make("bad.ptx", "nonsense", 8);
	assert_int_equal(run("bad.ptx", "saxpy", "inout:y", NULL), 1);
	says("vgpu-run: bad.ptx: ");
	says("ptxas error: line 1: syntax error\n");
	assert_int_equal(run("k.ptx", "other", "inout:y", NULL), 1);
	says("vgpu-run: k.ptx has no kernel other (one of C++");
	assert_int_equal(run("-b2000", "k.ptx", "nothing", NULL), 1);
	says("vgpu-run: nothing: launch does not fit");
	assert_string_equal(out, "");
	fake_config.mem_quota = 4096;
	assert_int_equal(run("k.ptx", "saxpy", "f32:2", "zero:1M", "inout:y",
			     "u32:4", NULL),
			 1);
	says("argument 2 (zero:1M): 1048576 bytes of the device: ");
	says("quota");
	holds("y", y, sizeof(y));
}

static bool lose_copies;

int test_copy_out(struct vgpu_device *d, void *dst, struct vgpu_ref src,
		  size_t size, unsigned int stream)
{
	return lose_copies ? 0 : vgpu_copy_out(d, dst, src, size, stream);
}

static void test_bandwidth(void **state)
{
	(void)state;
	assert_int_equal(bandwidth("--sizes=4,60,64K,1M", "-r3"), 0);
	prints("vgpu-bandwidth: cpu on Fake processor\n");
	prints("This engine is no GPU: ");
	prints("median of 3, ");
	prints("\n       4 ");
	prints("\n      60 ");
	prints("\n     64K ");
	prints("\n      1M ");
	prints("Bandwidth PASSED: every word of every size came back (cpu on "
	       "Fake processor)\n");
	assert_null(strstr(out, " -"));
	/* No buffer of that size: the other columns are there all the same. */
	fake_config.max_buffer_pages = 16;
	assert_int_equal(bandwidth("-s64K,128K", NULL), 0);
	prints("\n    128K            -            -  ");
	prints("PASSED");
}

static void test_bandwidth_fails(void **state)
{
	(void)state;
	lose_copies = true;
	assert_int_equal(bandwidth("-s64K", NULL), 1);
	lose_copies = false;
	/* One of them is 0 by itself. */
	prints("Bandwidth FAILED: 65536 bytes: 16384 of 16384 words are wrong");
	assert_null(strstr(out, "PASSED"));
	fake_config.mem_quota = 4096;
	assert_int_equal(bandwidth("-s64K", NULL), 1);
	prints("Bandwidth FAILED: memory for 65536 bytes: ");
	fake_config.open_error = -EACCES;
	assert_int_equal(bandwidth(NULL, NULL), 1);
	says("vgpu-bandwidth: /dev/vgpufront: no permission");
}

static void test_bandwidth_usage(void **state)
{
	static const struct bad bad[] = {
		{"-s0", "0 is not a size"},
		{"-s5", "5 is not a size"},
		{"-s4,", " is not a size"},
		{"-s4,6", "6 is not a size"},
		{"-s2T", "2T is not a size"},
		{"-s4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,"
		 "4,4,4,4",
		 "more than 32 sizes"},
		{"-r0", "0 is not a number from 1 to 1000"},
		{"-r1001", "1001 is not a number"},
		{"extra", "unexpected argument extra"},
		{"--what", "unrecognized option"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		assert_int_equal(bandwidth(bad[i].arg, NULL), 2);
		says(bad[i].why);
		says("Try vgpu-bandwidth --help\n");
	}
	assert_int_equal(bandwidth("-h", NULL), 0);
	prints("Usage: vgpu-bandwidth");
	assert_int_equal(bandwidth("-V", NULL), 0);
	prints("vgpu-bandwidth " VGPU_VERSION "\n");
}

static int enter_dir(void **state)
{
	(void)state;
	return !mkdtemp(dir) || chdir(dir);
}

static int leave_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return chdir("/") || system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bad_arguments, reset),
		cmocka_unit_test_setup(test_bad_files, reset),
		cmocka_unit_test_setup(test_usage, reset),
		cmocka_unit_test_setup(test_no_device, reset),
		cmocka_unit_test_setup(test_files, reset),
		cmocka_unit_test_setup(test_standard_files, reset),
		cmocka_unit_test_setup(test_values, reset),
		cmocka_unit_test_setup(test_repeat, reset),
		cmocka_unit_test_setup(test_params, reset),
		cmocka_unit_test_setup(test_failures, reset),
		cmocka_unit_test_setup(test_bandwidth, reset),
		cmocka_unit_test_setup(test_bandwidth_fails, reset),
		cmocka_unit_test_setup(test_bandwidth_usage, reset),
	};

	return cmocka_run_group_tests(tests, enter_dir, leave_dir);
}
