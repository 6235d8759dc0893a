# SPDX-License-Identifier: MIT
#
# The engine conformance test, which runs on every engine that is there, and
# what tests the cuda engine where no GPU is: a fake driver.

CONFORMANCE_OBJS := $(addprefix $(B)/obj/tests/conformance/, \
	engine_conformance.o support.o mapping.o results.o regions.o order.o \
	memory.o copies.o builtins.o sgemm.o events.o code.o modules.o \
	launches.o life.o fault.o launch_fault.o kernels_ptx.o)

$(CONFORMANCE_OBJS): CFLAGS += -ffp-contract=off

# The guest's kernels: as PTX, and where there is nvcc as what it builds.
KERNELS_BUILT := $(if $(HAVE_CUDA),$(addprefix $(B)/obj/tests/conformance/kernels., \
	cubin fatbin))

$(B)/obj/tests/conformance/kernels.cubin: tests/conformance/kernels.ptx
	@mkdir -p $(@D)
	$(if $(Q),@echo "  NVCC    $@")
	$(Q)$(NVCC) -cubin -arch=sm_90 -o $@ $<

$(B)/obj/tests/conformance/kernels.fatbin: tests/conformance/kernels.ptx
	@mkdir -p $(@D)
	$(if $(Q),@echo "  NVCC    $@")
	$(Q)$(NVCC) -fatbin -gencode arch=compute_90,code=sm_90 \
		-gencode arch=compute_75,code=compute_75 -o $@ $<

$(B)/obj/tests/conformance/kernels_ptx.o: tests/conformance/kernels_ptx.S \
		tests/conformance/kernels.ptx $(KERNELS_BUILT)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  AS      $<")
	$(Q)$(CC) $(CFLAGS) $(if $(KERNELS_BUILT),-DKERNELS_CUBIN='"$(word 1,$(KERNELS_BUILT))"' \
		-DKERNELS_FATBIN='"$(word 2,$(KERNELS_BUILT))"') -c -o $@ $<

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

FAKE_LIBS := $(addprefix $(B)/test/fake/,libcuda.so.1 libnvidia-ml.so.1 \
	libcublas.so.13)

FAKE_CUDA_OBJS := $(addprefix $(B)/obj/tests/conformance/,fake_cuda.o \
	fake_memory.o fake_stream.o fake_module.o fake_kernels.o)

$(FAKE_CUDA_OBJS) $(B)/obj/tests/conformance/fake_cublas.o: CFLAGS += -fPIC -ffp-contract=off -isystem $(dir $(CUDA_H))
$(B)/obj/tests/conformance/fake_nvml.o: CFLAGS += -fPIC

$(B)/test/fake/libcuda.so.1: LDFLAGS += -Wl,-soname,libcuda.so.1
$(B)/test/fake/libcuda.so.1: $(FAKE_CUDA_OBJS)
	$(call link,-shared $^ -lpthread -lm)

$(B)/test/fake/libcublas.so.13: $(B)/obj/tests/conformance/fake_cublas.o \
		$(B)/test/fake/libcuda.so.1
	$(call link,-shared $^)

$(B)/test/fake/libnvidia-ml.so.1: $(B)/obj/tests/conformance/fake_nvml.o
	$(call link,-shared $^)

# The engine's clock is the tests', in these programs alone.
$(addprefix $(B)/test/test_engine_,gate work): private LDFLAGS += -Wl,--wrap=pool_now_ns
$(B)/test/test_engine_gate: $(B)/obj/tests/unit/test_engine_gate.o $(ENGINE_OBJS) \
		| $(FAKE_LIBS) $(B)/bin/cuda_sanity
	$(call link,$(filter %.o,$^) $(ENGINE_LIBS) -lcmocka)

$(B)/test/test_engine_work: $(B)/obj/tests/unit/test_engine_work.o $(ENGINE_OBJS) \
		| $(FAKE_LIBS)
	$(call link,$(filter %.o,$^) $(ENGINE_LIBS) -lcmocka)

tests/conformance/fake_driver.sh tests/conformance/fake_fault.sh: \
	$(B)/test/engine_conformance $(FAKE_LIBS)

CHECK_UNIT += $(B)/test/test_engine_gate $(B)/test/test_engine_work \
	tests/conformance/fake_driver.sh tests/conformance/fake_fault.sh

endif
