# SPDX-License-Identifier: MIT
#
# The guest's programs: on the library of this tree, linked statically to it,
# so that one file is all that a guest needs.

GUEST_TOOLS := vgpu-smi vgpu-vector-add
GUEST_TOOL_BINS := $(GUEST_TOOLS:%=$(B)/bin/%)
GUEST_TOOL_OBJS := $(GUEST_TOOLS:%=$(B)/obj/tools/%.o) \
	$(B)/obj/tools/vgpu-smi-diagnose.o

ALL += $(GUEST_TOOL_BINS)
INSTALL_TARGETS += install-guest-tools

$(GUEST_TOOL_OBJS): CFLAGS += -I.
# The check is of IEEE sums.
$(B)/obj/tools/vgpu-vector-add.o: CFLAGS += -ffp-contract=off

$(GUEST_TOOL_BINS): $(B)/bin/%: $(B)/obj/tools/%.o \
		$(B)/obj/tools/vgpu-smi-diagnose.o $(LIBVGPUFRONT_A)
	$(call link,$^ -lpthread)

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

# For the bed: abuse of the ioctls, in a guest.
LIB_ABUSE_SRCS := $(wildcard tests/bed/lib_abuse*.c)
LIB_ABUSE_OBJS := $(LIB_ABUSE_SRCS:%.c=$(B)/obj/%.o)
ALL += $(B)/test/bed/lib_abuse

$(B)/test/bed/lib_abuse: $(LIB_ABUSE_OBJS)
	$(call link,$^ -lpthread)
