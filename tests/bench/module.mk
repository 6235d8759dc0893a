# SPDX-License-Identifier: MIT
#
# vgpu-bench, beside the native harness's plain programs; `make bench` runs it
# and draws what it wrote, `make bench-plot JSON=FILE` draws what another
# machine's wrote.

BENCH_OBJS := $(addprefix $(B)/obj/tests/bench/,bench.o results.o peer.o \
	bare_cpu.o native.o measure.o measure_lib.o compute.o \
	measure_neighbour.o neighbour.o neighbour_guest.o trace.o report.o \
	report_json.o) \
	$(B)/obj/tests/native/mps.o
BENCH_HARNESS := $(addprefix $(B)/obj/,$(NATIVE_WORLD) $(NATIVE_DEVICE) \
	$(NATIVE_LIB))
VGPU_BENCH := $(B)/native/plain/bin/vgpu-bench

ifeq ($(HAVE_CUDA),y)

BENCH_OBJS += $(addprefix $(B)/obj/tests/bench/,bare_cuda.o \
	bare_compute.o bare_neighbour.o bare_kernels_fatbin.o) $(B)/obj/cuda/cuda_driver.o

$(B)/obj/tests/bench/bare_kernels.fatbin: tests/bench/bare_kernels.cu
	@mkdir -p $(@D)
	$(if $(Q),@echo "  NVCC    $<")
	$(Q)$(NVCC) -fatbin -gencode arch=compute_90,code=sm_90 \
		-gencode arch=compute_75,code=compute_75 \
		-ftz=false -fmad=false -o $@ $<

$(B)/obj/tests/bench/bare_kernels_fatbin.o: tests/bench/bare_kernels_fatbin.S \
		$(B)/obj/tests/bench/bare_kernels.fatbin
	$(if $(Q),@echo "  AS      $<")
	$(Q)$(CC) $(CFLAGS) -DBARE_FATBIN='"$(B)/obj/tests/bench/bare_kernels.fatbin"' -c -o $@ $<

$(addprefix $(B)/obj/tests/bench/,bare_cuda.o bare_compute.o \
	bare_neighbour.o): CFLAGS += -isystem $(dir $(CUDA_H))

else

BENCH_OBJS += $(B)/obj/tests/bench/bare_nocuda.o

endif

# Sums are compared bit by bit; the peer's loops are as good as the engine's.
BENCH_OWN := $(filter $(B)/obj/tests/bench/%,$(BENCH_OBJS))
$(BENCH_OWN): CFLAGS += -Itests/native -Ifrontend-kmod -ffp-contract=off
$(BENCH_OWN): $(VGPU_NODES_H)
$(B)/obj/tests/bench/bare_cpu.o: CFLAGS += -O3

$(VGPU_BENCH): $(BENCH_OBJS) $(BENCH_HARNESS) \
		| $(B)/native/plain/bin/vgpubackd $(B)/native/plain/libexec/vgpu-worker
	$(call link,$(NATIVE_LIB_LDFLAGS) $^ -ldl -lpthread)

ifeq ($(HAVE_XEN),y)
tests/bench/test_bench.sh: $(VGPU_BENCH)
CHECK_UNIT += tests/bench/test_bench.sh
endif

.PHONY: bench
bench:
	@tools/deps build bench
	@$(MAKE) --no-print-directory bench-run

.PHONY: bench-run
bench-run: $(VGPU_BENCH)
	@mkdir -p $(B)/bench
	@$(VGPU_BENCH) --json $(B)/bench/bench.json
	@tests/bench/plot $(B)/bench/bench.json $(B)/bench/bench.svg
	@tests/bench/plot-neighbours $(B)/bench/bench.json $(B)/bench/neighbours.svg

.PHONY: bench-plot
bench-plot:
	@test -n '$(JSON)' || { echo 'xen-vgpu: which results? make bench-plot JSON=FILE' >&2; exit 1; }
	@tools/deps bench
	@mkdir -p $(B)/bench
	@tests/bench/plot '$(JSON)' $(B)/bench/bench.svg
	@tests/bench/plot-neighbours '$(JSON)' $(B)/bench/neighbours.svg
