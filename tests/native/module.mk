# SPDX-License-Identifier: MIT
#
# The native harness: the backend's own objects with a Xen-free implementation
# of the Xen libraries, the frontend's ring core beside them, and the tests of
# whole paths; three times: as it is, with ASan and UBSan, with TSan.

NATIVE_STORE := $(addprefix tests/native/,libxenstore.o client.o)
NATIVE_GUEST := $(addprefix tests/native/,libxengnttab.o libxenevtchn.o client.o \
	regions.o)
NATIVE_WORLD := $(addprefix tests/native/,world.o broker.o broker_nodes.o \
	broker_store.o broker_grants.o broker_ports.o libxenstore.o \
	libxengnttab.o libxenevtchn.o client.o)
NATIVE_FRONT := $(addprefix tests/native/,front.o buffer.o memory.o path.o) \
	$(FRONT_CORE_OBJ:$(B)/obj/%=%)
NATIVE_TESTS := $(addprefix test_native_,xen store path faults polling engine \
	remote)
NATIVE_SRC_OBJS := $(sort $(NATIVE_STORE) $(NATIVE_GUEST) $(NATIVE_WORLD) \
	$(NATIVE_FRONT) $(NATIVE_TESTS:%=tests/native/%.o))

NATIVE_BACKD := $(patsubst $(B)/obj/%,%,$(BACKD_OBJS) $(BACK_COMMON_OBJS) \
	$(SCHEMA_VALUES_OBJ))
NATIVE_WORKER := $(patsubst $(B)/obj/%,%,$(WORKER_OBJS) $(BACK_COMMON_OBJS) \
	$(SCHEMA_VALUES_OBJ) $(ENGINE_OBJS))

# What can only be built once: it is machine code for a GPU.
NATIVE_ONCE := cuda/kernels_fatbin.o

NATIVE_CFLAGS = -Itests/native -Ifrontend-kmod -ffp-contract=off \
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

ifeq ($$(HAVE_XEN),y)
CHECK_UNIT += $(NATIVE_TESTS:%=$(B)/native/$(1)/bin/%)
endif
endef

# The same sources again, into a directory of their own.
define native-sanitized
$(B)/native/$(1)/obj/%.o: %.c $(VGPU_NODES_H)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC      $$< ($(1))")
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $$(NATIVE_CFLAGS) $(2) -c -o $$@ $$<
endef

comma := ,
$(eval $(call native,plain,,$(B)/obj))
$(eval $(call native-sanitized,asan,$(NATIVE_ASAN)))
$(eval $(call native,asan,$(NATIVE_ASAN),$(B)/native/asan/obj,tests/native/leaks.o))
$(eval $(call native-sanitized,tsan,$(NATIVE_TSAN)))
$(eval $(call native,tsan,$(NATIVE_TSAN),$(B)/native/tsan/obj))

-include $(shell find $(B)/native -name '*.d' 2>/dev/null)
