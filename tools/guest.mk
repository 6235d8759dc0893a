# SPDX-License-Identifier: MIT
#
# The guest's programs: on the library of this tree, linked statically to it,
# so that one file is all that a guest needs.

GUEST_TOOLS := vgpu-smi vgpu-vector-add vgpu-run vgpu-bandwidth
# What they share, or are made of beside a file of their name.
GUEST_TOOL_PARTS := vgpu-smi-diagnose vgpu-run-args parse-size
GUEST_TOOL_BINS := $(GUEST_TOOLS:%=$(B)/bin/%)
GUEST_TOOL_OBJS := $(patsubst %,$(B)/obj/tools/%.o,$(GUEST_TOOLS) \
	$(GUEST_TOOL_PARTS))

ALL += $(GUEST_TOOL_BINS)
INSTALL_TARGETS += install-guest-tools

$(GUEST_TOOL_OBJS): CFLAGS += -I.
# The check is of IEEE sums.
$(B)/obj/tools/vgpu-vector-add.o: CFLAGS += -ffp-contract=off

$(B)/bin/vgpu-run: $(B)/obj/tools/vgpu-run-args.o
$(B)/bin/vgpu-run $(B)/bin/vgpu-bandwidth: $(B)/obj/tools/parse-size.o

$(GUEST_TOOL_BINS): $(B)/bin/%: $(B)/obj/tools/%.o \
		$(B)/obj/tools/vgpu-smi-diagnose.o $(LIBVGPUFRONT_A)
	$(call link,$(filter %.o,$^) $(filter %.a,$^) -lpthread)

.PHONY: install-guest-tools
install-guest-tools: $(GUEST_TOOL_BINS)
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1
	$(INSTALL) -m 755 $(GUEST_TOOL_BINS) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(GUEST_TOOLS:%=tools/%.1) $(DESTDIR)$(MANDIR)/man1

# The programs themselves, over the double of the module.
$(B)/test/test_guest_tools: tests/unit/test_guest_tools.c $(LIB_TEST_DEPS) \
		$(GUEST_TOOLS:%=tools/%.c) tools/vgpu-smi-diagnose.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. -Dmain=vgpu_smi_main \
		-c -o $(B)/test/vgpu-smi-main.o tools/vgpu-smi.c -Wno-missing-prototypes
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. -Dmain=vgpu_vector_add_main \
		-c -o $(B)/test/vgpu-vector-add-main.o tools/vgpu-vector-add.c \
		-Wno-missing-prototypes
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. -o $@ $< \
		$(B)/test/vgpu-smi-main.o $(B)/test/vgpu-vector-add-main.o \
		tools/vgpu-smi-diagnose.c $(LIB_TEST_SRCS) $(LIB_TEST_LDFLAGS)

CHECK_UNIT += $(B)/test/test_guest_tools

$(B)/test/test_vgpu_run: tests/unit/test_vgpu_run.c $(LIB_TEST_DEPS) \
		tools/vgpu-run.c tools/vgpu-bandwidth.c \
		tools/vgpu-run.h tools/parse-size.h \
		$(GUEST_TOOL_PARTS:%=tools/%.c)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. -Dmain=vgpu_run_main \
		-c -o $(B)/test/vgpu-run-main.o tools/vgpu-run.c -Wno-missing-prototypes
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. -Dmain=vgpu_bandwidth_main \
		-Dvgpu_copy_out=test_copy_out -c -o $(B)/test/vgpu-bandwidth-main.o \
		tools/vgpu-bandwidth.c -Wno-missing-prototypes
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -I. -o $@ $< \
		$(B)/test/vgpu-run-main.o $(B)/test/vgpu-bandwidth-main.o \
		$(GUEST_TOOL_PARTS:%=tools/%.c) $(LIB_TEST_SRCS) $(LIB_TEST_LDFLAGS)

CHECK_UNIT += $(B)/test/test_vgpu_run

# For the bed: abuse of the ioctls, in a guest.
LIB_ABUSE_SRCS := $(wildcard tests/bed/lib_abuse*.c)
LIB_ABUSE_OBJS := $(LIB_ABUSE_SRCS:%.c=$(B)/obj/%.o)
ALL += $(B)/test/bed/lib_abuse

$(B)/test/bed/lib_abuse: $(LIB_ABUSE_OBJS)
	$(call link,$^ -lpthread)
