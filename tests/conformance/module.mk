# SPDX-License-Identifier: MIT
#
# The engine conformance test, which runs on every engine that is there, and
# what tests the cuda engine where no GPU is: a fake driver.

CONFORMANCE_OBJS := $(addprefix $(B)/obj/tests/conformance/, \
	engine_conformance.o support.o results.o regions.o order.o life.o \
	fault.o)

$(CONFORMANCE_OBJS): CFLAGS += -ffp-contract=off

$(B)/test/engine_conformance: $(CONFORMANCE_OBJS) $(ENGINE_OBJS)
	$(call link,$^ $(ENGINE_LIBS))

CHECK_UNIT += $(B)/test/engine_conformance

# The same test with the engine elsewhere.
$(B)/test/pty_pair: $(B)/obj/tests/conformance/pty_pair.o
	$(call link,$^)

tests/conformance/remote.sh: $(B)/test/engine_conformance $(B)/test/pty_pair \
	$(B)/bin/vgpu-engined

CHECK_UNIT += tests/conformance/remote.sh

ifeq ($(HAVE_CUDA),y)

FAKE_LIBS := $(B)/test/fake/libcuda.so.1 $(B)/test/fake/libnvidia-ml.so.1

FAKE_CUDA_OBJS := $(addprefix $(B)/obj/tests/conformance/,fake_cuda.o fake_stream.o)

$(FAKE_CUDA_OBJS): CFLAGS += -fPIC -ffp-contract=off -isystem $(dir $(CUDA_H))
$(B)/obj/tests/conformance/fake_nvml.o: CFLAGS += -fPIC

$(B)/test/fake/libcuda.so.1: $(FAKE_CUDA_OBJS)
	$(call link,-shared $^ -lpthread -lm)

$(B)/test/fake/libnvidia-ml.so.1: $(B)/obj/tests/conformance/fake_nvml.o
	$(call link,-shared $^)

$(B)/test/test_engine_gate: $(B)/obj/tests/unit/test_engine_gate.o $(ENGINE_OBJS) \
		| $(FAKE_LIBS) $(B)/bin/cuda_sanity
	$(call link,$(filter %.o,$^) $(ENGINE_LIBS) -lcmocka)

tests/conformance/fake_driver.sh: $(B)/test/engine_conformance $(FAKE_LIBS)

CHECK_UNIT += $(B)/test/test_engine_gate tests/conformance/fake_driver.sh

endif
