# SPDX-License-Identifier: MIT
#
# vgpuctl, the toolstack's program in dom0.

# What a device is to the toolstack: shared by vgpuctl and vgpubackd.
TOOLSTACK_OBJS := $(addprefix $(B)/obj/tools/,domains.o device_line.o \
	device_nodes.o registry.o registry_file.o registry_match.o)
VGPUCTL_OBJS := $(addprefix $(B)/obj/tools/vgpuctl,.o _commands.o _device.o \
	_remember.o _list.o _config.o _create.o) \
	$(B)/obj/tools/device_nodes_list.o $(TOOLSTACK_OBJS)
VGPUCTL_LIBS := -lxlutil -lxenlight -lxentoollog

# What backend/remember.c does is a part of vgpubackd.
$(B)/bin/vgpubackd: $(TOOLSTACK_OBJS)

# Over the xenstore double, each with its own libxl.
DOM0_TESTS := $(addprefix $(B)/test/test_,device_line registry registry_match \
	remember vgpuctl vgpuctl_create vgpuctl_remember)
DOM0_TEST_OBJS := $(DOM0_TESTS:$(B)/test/%=$(B)/obj/tests/unit/%.o) \
	$(B)/obj/tests/unit/toolstack.o $(B)/obj/tests/fuzz/fuzz_registry.o

$(VGPUCTL_OBJS) $(B)/obj/tools/vgpuctl_main.o $(DOM0_TEST_OBJS): $(VGPU_NODES_H)
$(VGPUCTL_OBJS) $(B)/obj/tools/vgpuctl_main.o $(DOM0_TEST_OBJS): \
	CFLAGS += -Itools -Ixenstore-schema

$(B)/bin/vgpuctl: $(B)/obj/tools/vgpuctl_main.o $(VGPUCTL_OBJS) $(SCHEMA_VALUES_OBJ)
	$(call link,$^ $(VGPUCTL_LIBS) -lxenstore)

# libxenstore and the calls of libxl are the tests' own; xl configs are libxlutil's.
$(addprefix $(B)/test/test_,vgpuctl vgpuctl_create vgpuctl_remember): \
	$(VGPUCTL_OBJS) $(SCHEMA_OBJ) $(B)/obj/tests/unit/fake_xenstore.o \
	$(B)/obj/tests/unit/toolstack.o
$(B)/test/test_device_line: $(B)/obj/tools/device_line.o $(SCHEMA_VALUES_OBJ)
$(B)/test/test_registry $(B)/test/test_registry_match $(B)/test/fuzz_registry: \
	$(addprefix $(B)/obj/tools/,registry.o registry_file.o registry_match.o \
	domains.o device_line.o) $(SCHEMA_VALUES_OBJ)
$(B)/test/test_remember: $(B)/obj/backend/remember.o $(B)/obj/backend/log.o \
	$(TOOLSTACK_OBJS) $(SCHEMA_VALUES_OBJ)
$(addprefix $(B)/test/test_,registry registry_match remember): \
	$(B)/obj/tests/unit/fake_xenstore.o
$(B)/obj/tests/unit/test_remember.o: CFLAGS += -iquote backend

$(DOM0_TESTS): $(B)/test/%: $(B)/obj/tests/unit/%.o
	$(call link,$^ $(VGPUCTL_LIBS) -lcmocka)

$(B)/test/fuzz_registry: $(B)/obj/tests/fuzz/fuzz_registry.o
	$(call link,$^ -lxenstore)

ifeq ($(HAVE_XEN),y)
ALL += $(B)/bin/vgpuctl
CHECK_UNIT += $(DOM0_TESTS) $(B)/test/fuzz_registry
INSTALL_TARGETS += install-vgpuctl
endif

include tests/bed/evil.mk

.PHONY: install-vgpuctl
install-vgpuctl: $(B)/bin/vgpuctl
	$(INSTALL) -D -m 755 $< $(DESTDIR)$(SBINDIR)/vgpuctl
	$(INSTALL) -D -m 644 tools/vgpuctl.1 $(DESTDIR)$(MANDIR)/man1/vgpuctl.1
	$(INSTALL) -D -m 644 tools/vgpu-xl.cfg.5 $(DESTDIR)$(MANDIR)/man5/vgpu-xl.cfg.5
	$(INSTALL) -d $(DESTDIR)$(DOCDIR)/examples
	$(INSTALL) -m 644 tools/examples/*.cfg $(DESTDIR)$(DOCDIR)/examples/
