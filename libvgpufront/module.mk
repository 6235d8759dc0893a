# SPDX-License-Identifier: MIT
#
# libvgpufront: shared, static, pkg-config, manual pages, examples. Needs no
# header of Xen: the guest's side builds everywhere. LIBVGPUFRONT_A is what
# this tree's own programs link; LIBVGPUFRONT_OBJS, without sys.o, what the
# unit tests put under a double of the module.

LIBVGPUFRONT_SRCS := device stream object buffer memory copy builtin module \
	launch event request op advance chunk staging queue enter error wire
LIBVGPUFRONT_OBJS := $(LIBVGPUFRONT_SRCS:%=$(B)/obj/libvgpufront/%.o)
LIBVGPUFRONT_ALL := $(LIBVGPUFRONT_OBJS) $(B)/obj/libvgpufront/sys.o
LIBVGPUFRONT_A := $(B)/lib/libvgpufront.a
LIBVGPUFRONT_SO := $(B)/lib/libvgpufront.so.$(VERSION)
LIBVGPUFRONT_SONAME := libvgpufront.so.0
LIBVGPUFRONT_MAP := libvgpufront/libvgpufront.map
LIBVGPUFRONT_LDFLAGS := -shared -Wl,-soname,$(LIBVGPUFRONT_SONAME) -Wl,-z,defs \
	-Wl,--version-script=$(LIBVGPUFRONT_MAP)
LIBVGPUFRONT_MAN := $(wildcard libvgpufront/man/*.3)
LIBVGPUFRONT_EXAMPLES := $(patsubst %.c,$(B)/examples/%,$(notdir \
	$(wildcard libvgpufront/examples/*.c)))
LIBVGPUFRONT_PTX := $(patsubst libvgpufront/%,$(B)/%,$(wildcard \
	libvgpufront/examples/*.ptx))

ALL += $(LIBVGPUFRONT_A) $(LIBVGPUFRONT_SO) $(B)/lib/vgpufront.pc \
	$(LIBVGPUFRONT_EXAMPLES) $(LIBVGPUFRONT_PTX)
INSTALL_TARGETS += install-libvgpufront

$(LIBVGPUFRONT_ALL): CFLAGS += -fPIC -fvisibility=hidden

$(LIBVGPUFRONT_A): $(LIBVGPUFRONT_ALL)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  AR      $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(LIBVGPUFRONT_SO): $(LIBVGPUFRONT_ALL) $(LIBVGPUFRONT_MAP)
	$(call link,$(LIBVGPUFRONT_LDFLAGS) $(LIBVGPUFRONT_ALL) -lpthread)
	$(Q)ln -sf $(@F) $(@D)/$(LIBVGPUFRONT_SONAME)
	$(Q)ln -sf $(LIBVGPUFRONT_SONAME) $(@D)/libvgpufront.so

$(B)/lib/vgpufront.pc: libvgpufront/vgpufront.pc.in libvgpufront/module.mk Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' $< > $@

# As a program outside this tree is built: the public header and the shared
# library. The bed has them too, so that the library itself is run there.
$(LIBVGPUFRONT_EXAMPLES): $(B)/examples/%: libvgpufront/examples/%.c \
		libvgpufront/examples/example.h libvgpufront/vgpufront.h $(LIBVGPUFRONT_SO)
	@mkdir -p $(@D) $(B)/test/bed
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) -O2 -g -Wall -Wextra -Werror -Ilibvgpufront $(CFLAGS) \
		-o $@ $< $(LDFLAGS) -L$(B)/lib -lvgpufront -lm
	$(Q)cp $@ $(B)/test/bed/example_$(@F)

# An example looks for its kernels beside itself.
$(LIBVGPUFRONT_PTX): $(B)/examples/%.ptx: libvgpufront/examples/%.ptx
	@mkdir -p $(@D) $(B)/test/bed
	$(Q)cp $< $@
	$(Q)cp $< $(B)/test/bed/$(@F)

# What nvcc makes of the examples' kernels is kept in the tree: a guest has no
# nvcc. compute_75 is the oldest GPU that the toolkit knows. It writes the newest
# version of the language, which older drivers refuse; these kernels use nothing
# newer than 7.0.
PTX_DIR ?= libvgpufront/examples

.PHONY: examples-ptx
examples-ptx:
	$(Q)for k in $(notdir $(basename $(wildcard libvgpufront/examples/*.cu))); do \
		$(NVCC) -ptx -arch compute_75 -o $(PTX_DIR)/$$k.ptx \
			libvgpufront/examples/$$k.cu || exit; \
		sed -i 's/^\.version .*/.version 7.0/' $(PTX_DIR)/$$k.ptx; \
	done

.PHONY: install-libvgpufront
install-libvgpufront: $(LIBVGPUFRONT_A) $(LIBVGPUFRONT_SO) $(B)/lib/vgpufront.pc
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) \
		$(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(DOCDIR)/examples
	$(INSTALL) -m 644 $(LIBVGPUFRONT_A) $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 755 $(LIBVGPUFRONT_SO) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(LIBVGPUFRONT_SO)) $(DESTDIR)$(LIBDIR)/$(LIBVGPUFRONT_SONAME)
	ln -sf $(LIBVGPUFRONT_SONAME) $(DESTDIR)$(LIBDIR)/libvgpufront.so
	$(INSTALL) -m 644 $(B)/lib/vgpufront.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL) -m 644 libvgpufront/vgpufront.h $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 644 $(LIBVGPUFRONT_MAN) $(DESTDIR)$(MANDIR)/man3
	$(INSTALL) -m 644 $(wildcard libvgpufront/examples/*) \
		$(DESTDIR)$(DOCDIR)/examples

# The library's tests: sources and tests once more in one program each, over a
# double of the module, plain and under the sanitizers.
lib_comma := ,
LIB_TESTS := test_lib_vgpufront test_lib_async test_lib_progress \
	test_lib_memory test_lib_launch test_lib_streams test_lib_failures
LIB_TEST_WRAPS := sys_open sys_close sys_ioctl sys_mmap process_vm_readv \
	process_vm_writev
LIB_TEST_LDFLAGS := $(LIB_TEST_WRAPS:%=-Wl,--wrap=%) -lcmocka -lpthread -lm
LIB_TEST_SRCS := $(wildcard tests/unit/fake_vgpufront*.c) \
	$(LIBVGPUFRONT_SRCS:%=libvgpufront/%.c) libvgpufront/sys.c
LIB_TEST_DEPS := $(LIB_TEST_SRCS) $(wildcard libvgpufront/*.h) \
	tests/unit/lib_common.h tests/unit/fake_vgpufront.h \
	tests/unit/fake_vgpufront_work.h \
	include/uapi/vgpufront.h include/xen/io/vgpuif.h

CHECK_UNIT += $(foreach t,$(LIB_TESTS),$(B)/test/$(t) $(B)/test/$(t)_asan \
	$(B)/test/$(t)_tsan)

define lib_test
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. $(1) -o $@ $< \
		$(LIB_TEST_SRCS) $(LIB_TEST_LDFLAGS)
endef

$(B)/test/test_lib_%_asan: tests/unit/test_lib_%.c $(LIB_TEST_DEPS)
	$(call lib_test,-fsanitize=address$(lib_comma)undefined -fno-sanitize-recover=all)

$(B)/test/test_lib_%_tsan: tests/unit/test_lib_%.c $(LIB_TEST_DEPS)
	$(call lib_test,-fsanitize=thread)

$(B)/test/test_lib_%: tests/unit/test_lib_%.c $(LIB_TEST_DEPS)
	$(call lib_test)
