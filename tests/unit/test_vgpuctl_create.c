/* SPDX-License-Identifier: MIT */
/*
 * test_vgpuctl_create.c - vgpuctl create: configs, xl, and undoing (see toolstack.h)
 */
#include "toolstack.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "vgpuctl.h"

#define CFG "name = \"guest\"\nmemory = 128\n"

static char examples[4096];

static void example(struct config *c, const char *name)
{
	char file[4200];

	snprintf(file, sizeof(file), "%s/%s", examples, name);
	*c = (struct config){.file = file};
	assert_true(config_read(c, 0, NULL));
	c->file = NULL;
}

/* The configs that are installed as documentation. */
static void test_examples(void **state)
{
	struct config c;

	(void)state;
	example(&c, "pv.cfg");
	assert_string_equal(c.name, "pv-guest");
	assert_int_equal(c.lines, 1);
	assert_int_equal(c.line[0].weight, 512);
	assert_int_equal(c.line[0].mem, 4ull << 30);
	config_free(&c);
	example(&c, "pvh.cfg");
	assert_int_equal(c.lines, 2);
	assert_string_equal(c.uuid, "5d0d4a8e-8f5c-4a53-9a0e-6b9d7c1f2e30");
	assert_int_equal(c.line[0].cap, 50);
	assert_int_equal(c.line[1].gpu, 1);
	assert_int_equal(c.line[1].devid, 1);
	assert_int_equal(c.line[1].max_buffers, 64);
	assert_int_equal(c.line[1].max_mapped_pages, 16384);
	config_free(&c);
	example(&c, "hvm.cfg");
	assert_int_equal(c.lines, 1);
	assert_string_equal(c.line[0].backend, "gpu-domain");
	config_free(&c);
}

/* Comments, strings and lists that go on for lines do not confuse it. */
static void test_line_numbers(void **state)
{
	(void)state;
	world(NULL);
	config("# vgpu = [ \"cap=1\" ]\n"
	       "name = 'guest' # the name\n"
	       "extra = \"vgpu = [ # \"\n"
	       "\n"
	       "vgpu = [ \"gpu=0\", # one\n"
	       "\n"
	       "\t# not \"gpu=9\",\n"
	       "\t'cap=200'\n"
	       "]\n");
	expect("create g.cfg", 1,
	       "vgpuctl: g.cfg:8: vgpu[1]: cap=200: must be per cent");
	config(CFG "vgpu = [ \"gpu=0\" ]\nvcpus = 1\n"
		   "vgpu += [ \"weight=0\" ]\n");
	expect("create g.cfg", 1, "g.cfg:5: vgpu[1]: weight=0: must be 1");
	config(CFG "vgpu = [ \"gpu=0\", [ \"gpu=1\" ] ]");
	expect("create g.cfg", 1, "g.cfg:3: vgpu[1]: must be a string");
	config(CFG "vgpu = [ \"devid=1\",\n\"gpu=0\",\n\"devid=1\" ]\n");
	expect("create g.cfg", 1,
	       "g.cfg:5: vgpu[2]: devid=1: vgpu[0] has that number, too");
	config(CFG "vgpu = [ \"cap=200\" ]");
	expect("create g.cfg vcpus=1", 1, "g.cfg:3: vgpu[0]: cap=200: must be");
	config(CFG);
	expect("create g.cfg vcpus=1 vgpu=[\"mps=2\"] name=\"guest\"", 1,
	       "argument vgpu=[\"mps=2\"]: vgpu[0]: mps=2: must be 0 or 1");
	expect("create g.cfg vgpu=3", 1,
	       "argument vgpu=3: vgpu: must be a list");
	expect_xl("");
}

static void test_create(void **state)
{
	pid_t child;
	int status;

	(void)state;
	world(backend_serves);
	config(CFG "vgpu = [ \"gpu=1,mem=2G\" ]\n");
	expect("create g.cfg -q memory=256", 0, "device 0 to domain 7");
	expect_node(B "/gpu", "1");
	expect_xl("create -p g.cfg -q memory=256\nunpause 7\n");

	world(NULL);
	config(CFG);
	expect("create g.cfg -p", 0, "");
	expect_xl("create -p g.cfg -p\n");

	/* ends in xl console, instead of returning */
	world(backend_serves);
	config(CFG);
	child = fork();
	if (!child) {
		vgpuctl("create g.cfg -qc vgpu=[\"gpu=2\"]");
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	expect_xl("create -p g.cfg -q vgpu=[\"gpu=2\"]\n"
		  "unpause 7\nconsole 7\n");
}

static void test_create_bad_config(void **state)
{
	(void)state;
	world(NULL);
	config(CFG "vgpu = [ \"gpu=0\", \"mem=4Q\" ]\n");
	expect("create g.cfg", 1, "g.cfg:3: vgpu[1]: mem=4Q: must be");
	config(CFG "vgpu = \"gpu=0\"\n");
	expect("create g.cfg", 1, "g.cfg:3: vgpu: must be a list");
	config("memory = 128\n");
	expect("create g.cfg", 1, "g.cfg: name is missing");
	config("name = = 3\n");
	expect("create g.cfg", 1, "g.cfg: not a valid xl config");
	expect("create none.cfg", 1, "none.cfg: No such file");
	config(CFG);
	expect("create g.cfg -n", 2, "xl's -n cannot be used");
	expect("create g.cfg --dry", 2, "xl's --dryrun cannot be used");
	expect("create g.cfg --def=x.cfg", 2,
	       "xl's --defconfig cannot be used");
	expect_xl("");
}

static void test_create_undone(void **state)
{
	(void)state;
	world(backend_refuses);
	config(CFG "vgpu = [ \"gpu=9\" ]\n");
	expect("create g.cfg", 1, "destroying domain 7 (guest)");
	assert_non_null(strstr(said, "there is no GPU 9"));
	expect_xl("create -p g.cfg\ndestroy 7\n");
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));

	/* second device fails: the first one goes too */
	world(NULL);
	config(CFG "vgpu = [ \"gpu=0\", \"devid=3\" ]\n");
	fake_xs_set("/local/domain/7/device/vgpu/3/state", "1", NULL);
	fake_xs_peer = backend_serves;
	expect("create g.cfg", 1, "g.cfg: destroying");
	assert_non_null(strstr(said, "g.cfg:3: vgpu[1]: domain 7 has a vgpu "
				     "device 3 already"));
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

/* Status 3 is for a device that is there: this one is not any more. */
static void test_create_unserved(void **state)
{
	struct vgpuctl v = {.wait = true, .state_file = STATE};
	char *argv[] = {"create", "g.cfg", NULL};

	(void)state;
	world(NULL);
	config(CFG "vgpu = [ \"gpu=0\" ]\n");
	v.xs = xs_open(0);
	assert_int_equal(cmd_create(&v, 2, argv), EXIT_FAILED);
	xs_close(v.xs);
	expect_xl("create -p g.cfg\ndestroy 7\n");
	assert_null(fake_xs_get(B));
}

/* What xl could not make is not ours to destroy. */
static void test_create_xl_fails(void **state)
{
	(void)state;
	world(backend_serves);
	config("name = \"guest\"\nfail = 1\nvgpu = [ \"gpu=0\" ]\n");
	expect("create g.cfg", 1, "g.cfg: xl create failed");
	expect_xl("create -p g.cfg\n");
	assert_null(fake_xs_get(B));
}

/* Nor is a domain of that name that was there before. */
static void test_create_of_a_running_domain(void **state)
{
	(void)state;
	world(backend_refuses);
	running = true;
	config(CFG "vgpu = [ \"gpu=9\" ]\n");
	expect("create g.cfg --help", 1, "a domain \"guest\" already");
	expect_xl("");
	assert_null(fake_xs_get(B));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_line_numbers),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_bad_config),
		cmocka_unit_test(test_create_undone),
		cmocka_unit_test(test_create_unserved),
		cmocka_unit_test(test_create_xl_fails),
		cmocka_unit_test(test_create_of_a_running_domain),
	};

	/* From the repository's root, as all tests are run. */
	if (!realpath("tools/examples", examples))
		return 1;
	return cmocka_run_group_tests_name("vgpuctl-create", tests,
					   toolstack_setup, toolstack_teardown);
}
