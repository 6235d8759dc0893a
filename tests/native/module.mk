# SPDX-License-Identifier: MIT
#
# The native harness: the backend's own objects with a Xen-free implementation
# of the Xen libraries, the frontend's ring core beside them, and the tests of
# whole paths; three times: as it is, with ASan and UBSan, with TSan.

comma := ,

NATIVE_STORE := $(addprefix tests/native/,libxenstore.o client.o)
NATIVE_GUEST := $(addprefix tests/native/,libxengnttab.o libxenevtchn.o client.o \
	regions.o)
NATIVE_WORLD := $(addprefix tests/native/,world.o broker.o broker_nodes.o \
	broker_store.o broker_grants.o broker_ports.o libxenstore.o \
	libxengnttab.o libxenevtchn.o client.o)
NATIVE_FRONT := $(addprefix tests/native/,front.o buffer.o memory.o path.o) \
	$(FRONT_CORE_OBJ:$(B)/obj/%=%)
NATIVE_TESTS := $(addprefix test_native_,xen store path compute faults \
	polling engine remote share)
# The guest's library over the device in user space, which is linked in the
# place of its system calls.
NATIVE_DEVICE := $(addprefix tests/native/,device.o device_buffer.o \
	device_enter.o device_ring.o guest.o front.o buffer.o memory.o) \
	$(FRONT_CORE_OBJ:$(B)/obj/%=%)
NATIVE_LIB := $(LIBVGPUFRONT_ALL:$(B)/obj/%=%)
NATIVE_LIB_LDFLAGS := $(addprefix -Wl$(comma)--wrap=,sys_open sys_close \
	sys_ioctl sys_mmap)
NATIVE_LIB_TESTS := $(addprefix test_native_,lib lib_life launch)
NATIVE_SRC_OBJS := $(sort $(NATIVE_STORE) $(NATIVE_GUEST) $(NATIVE_WORLD) \
	$(NATIVE_FRONT) $(filter tests/native/%,$(NATIVE_DEVICE)) \
	$(NATIVE_TESTS:%=tests/native/%.o) tests/native/lib.o \
	$(NATIVE_LIB_TESTS:%=tests/native/%.o))

NATIVE_BACKD := $(patsubst $(B)/obj/%,%,$(BACKD_OBJS) $(TOOLSTACK_OBJS) \
	$(BACK_COMMON_OBJS) $(SCHEMA_VALUES_OBJ))
NATIVE_WORKER := $(patsubst $(B)/obj/%,%,$(WORKER_OBJS) $(BACK_COMMON_OBJS) \
	$(SCHEMA_VALUES_OBJ) $(ENGINE_OBJS))

# What can only be built once: it is machine code for a GPU.
NATIVE_ONCE := cuda/kernels_fatbin.o

NATIVE_CFLAGS = -Itests/native -Ifrontend-kmod -Ixenstore-schema -ffp-contract=off \
	-DLIBEXECDIR='"$(LIBEXECDIR)"' $(if $(CUDA_H),-isystem $(dir $(CUDA_H)))

$(NATIVE_SRC_OBJS:%=$(B)/obj/%): CFLAGS += -Itests/native -Ifrontend-kmod
$(NATIVE_SRC_OBJS:%=$(B)/obj/%): $(VGPU_NODES_H)

NATIVE_ASAN := -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer -O1
# What TSan does not know are fences. Those of the ring are between processes.
NATIVE_TSAN := -fsanitize=thread -Wno-tsan -O1

# $(call native,variant,flags,objects of it,the harness's objects alone)
define native
native-objs-$(1) = $$(foreach o,$$(1),$$(if $$(filter $(NATIVE_ONCE),$$(o)),$(B)/obj/$$(o),$(3)/$$(o)))

$(B)/native/$(1)/bin/vgpubackd: $$(call native-objs-$(1),$(NATIVE_BACKD) $(NATIVE_STORE))
	$$(call link,$(2) $$^ -lpthread)

$(B)/native/$(1)/libexec/vgpu-worker: $$(call native-objs-$(1),$(NATIVE_WORKER) $(NATIVE_GUEST) $(4))
	$$(call link,$(2) $(if $(4),-Wl$$(comma)--wrap=seccomp_rule_add) -Wl$$(comma)--wrap=vgpu_engine_open $$^ -lseccomp $(ENGINE_LIBS))

$(NATIVE_TESTS:%=$(B)/native/$(1)/bin/%): $(B)/native/$(1)/bin/%: \
		$$(call native-objs-$(1),tests/native/%.o $(NATIVE_WORLD) $(NATIVE_FRONT)) \
		| $(B)/native/$(1)/bin/vgpubackd $(B)/native/$(1)/libexec/vgpu-worker \
		$(B)/bin/vgpu-engined $(FAKE_LIBS)
	$$(call link,$(2) $$^ -lcmocka -lpthread)

$(NATIVE_LIB_TESTS:%=$(B)/native/$(1)/bin/%): $(B)/native/$(1)/bin/%: \
		$$(call native-objs-$(1),tests/native/%.o tests/native/lib.o \
		$(NATIVE_WORLD) $(NATIVE_DEVICE) $(NATIVE_LIB)) \
		$(B)/obj/tests/conformance/kernels_ptx.o \
		| $(B)/native/$(1)/bin/vgpubackd $(B)/native/$(1)/libexec/vgpu-worker \
		$(FAKE_LIBS)
	$$(call link,$(2) $$(NATIVE_LIB_LDFLAGS) $$^ -lcmocka -lpthread -lm)

ifeq ($$(HAVE_XEN),y)
CHECK_UNIT += $(patsubst %,$(B)/native/$(1)/bin/%,$(NATIVE_TESTS) $(NATIVE_LIB_TESTS))
endif
endef

# The same sources again, into a directory of their own.
define native-sanitized
$(B)/native/$(1)/obj/%.o: %.c $(VGPU_NODES_H)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC      $$< ($(1))")
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $$(NATIVE_CFLAGS) $(2) -c -o $$@ $$<
endef

$(eval $(call native,plain,,$(B)/obj))
$(eval $(call native-sanitized,asan,$(NATIVE_ASAN)))
$(eval $(call native,asan,$(NATIVE_ASAN),$(B)/native/asan/obj,tests/native/leaks.o))
$(eval $(call native-sanitized,tsan,$(NATIVE_TSAN)))
$(eval $(call native,tsan,$(NATIVE_TSAN),$(B)/native/tsan/obj))

# What it tests is on a GPU: once, as it is.
NATIVE_MPS_TEST := $(B)/native/plain/bin/test_native_mps

$(addprefix $(B)/obj/tests/native/,test_native_mps.o mps.o): CFLAGS += \
	-Itests/native -Ifrontend-kmod
$(B)/obj/tests/native/test_native_mps.o: $(VGPU_NODES_H)

$(NATIVE_MPS_TEST): $(addprefix $(B)/obj/,tests/native/test_native_mps.o \
		tests/native/mps.o $(NATIVE_WORLD) $(NATIVE_FRONT)) \
		$(B)/obj/tests/conformance/kernels_ptx.o \
		| $(B)/native/plain/bin/vgpubackd $(B)/native/plain/libexec/vgpu-worker
	$(call link,$^ -lcmocka -lpthread)

ifeq ($(HAVE_XEN),y)
CHECK_UNIT += $(NATIVE_MPS_TEST)
endif

# Examples and tools in one program, their main() renamed. Examples look for
# their kernels beside themselves.
NATIVE_EXAMPLES := $(B)/native/plain/bin/native_examples
NATIVE_PROGRAM_SRCS := $(sort $(wildcard libvgpufront/examples/*.c) \
	$(GUEST_TOOLS:%=tools/%.c))
NATIVE_PROGRAMS := $(notdir $(NATIVE_PROGRAM_SRCS:.c=))
NATIVE_PROGRAM_OBJS := $(NATIVE_PROGRAMS:%=$(B)/native/programs/%.o)
native-main = program_$(subst -,_,$(1))
NATIVE_PROGRAMS_X := $(foreach p,$(NATIVE_PROGRAMS),X($(call native-main,$(p)),"$(p)"))

$(NATIVE_PROGRAM_OBJS): $(B)/native/programs/%.o:
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $< (in native_examples)")
	$(Q)$(CC) $(CFLAGS_COMMON) -Wno-missing-prototypes -I. -Ilibvgpufront \
		-ffp-contract=off -Dmain=$(call native-main,$*) -c -o $@ $<

$(foreach s,$(NATIVE_PROGRAM_SRCS),$(eval \
	$(B)/native/programs/$(basename $(notdir $(s))).o: $(s)))

$(B)/obj/tests/native/native_examples.o: CFLAGS += -Itests/native \
	'-DPROGRAMS(X)=$(NATIVE_PROGRAMS_X)'

$(NATIVE_EXAMPLES): $(addprefix $(B)/obj/,tests/native/native_examples.o \
		$(NATIVE_WORLD) $(NATIVE_DEVICE) $(NATIVE_LIB) \
		$(GUEST_TOOL_PARTS:%=tools/%.o)) $(NATIVE_PROGRAM_OBJS) \
		$(wildcard libvgpufront/examples/*.ptx) \
		| $(B)/native/plain/bin/vgpubackd $(B)/native/plain/libexec/vgpu-worker
	$(call link,$(NATIVE_LIB_LDFLAGS) $(filter %.o,$^) -lpthread -lm)
	$(Q)cp $(filter %.ptx,$^) $(@D)

.PHONY: native-examples
native-examples: $(NATIVE_EXAMPLES)

-include $(shell find $(B)/native -name '*.d' 2>/dev/null)
