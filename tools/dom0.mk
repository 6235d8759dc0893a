# SPDX-License-Identifier: MIT
#
# vgpuctl, the toolstack's program in dom0.

VGPUCTL_SRCS := $(addprefix tools/,vgpuctl.c vgpuctl_line.c vgpuctl_store.c \
	vgpuctl_device.c vgpuctl_list.c vgpuctl_create.c)
VGPUCTL_OBJS := $(VGPUCTL_SRCS:%.c=$(B)/obj/%.o)
VGPUCTL_TEST_OBJS := $(B)/obj/tests/unit/test_vgpuctl.o

$(VGPUCTL_OBJS) $(B)/obj/tools/vgpuctl_main.o $(VGPUCTL_TEST_OBJS): $(VGPU_NODES_H)
$(VGPUCTL_OBJS) $(B)/obj/tools/vgpuctl_main.o $(VGPUCTL_TEST_OBJS): \
	CFLAGS += -Itools -Ixenstore-schema

$(B)/bin/vgpuctl: $(B)/obj/tools/vgpuctl_main.o $(VGPUCTL_OBJS) $(SCHEMA_VALUES_OBJ)
	$(call link,$^ -lxlutil -lxenlight -lxenstore -lxentoollog)

# libxenstore and the calls of libxl are the test's own; xl configs are libxlutil's.
$(B)/test/test_vgpuctl: $(VGPUCTL_TEST_OBJS) $(B)/obj/tests/unit/fake_xenstore.o \
		$(VGPUCTL_OBJS) $(SCHEMA_OBJ)
	$(call link,$^ -lxlutil -lxenlight -lxentoollog -lcmocka)

ifeq ($(HAVE_XEN),y)
ALL += $(B)/bin/vgpuctl
CHECK_UNIT += $(B)/test/test_vgpuctl
INSTALL_TARGETS += install-vgpuctl
endif

include tests/bed/evil.mk

.PHONY: install-vgpuctl
install-vgpuctl: $(B)/bin/vgpuctl
	$(INSTALL) -D -m 755 $< $(DESTDIR)$(SBINDIR)/vgpuctl
	$(INSTALL) -D -m 644 tools/vgpuctl.8 $(DESTDIR)$(MANDIR)/man8/vgpuctl.8
