# SPDX-License-Identifier: MIT
#
# The engines and cuda_sanity. ENGINE_OBJS and ENGINE_LIBS are what a program
# that runs engines links. Without the CUDA toolkit the cuda engine is left out
# and says so when it is opened.

CUDA_HOME ?= $(firstword $(patsubst %/bin/nvcc,%,$(wildcard \
	/usr/local/cuda/bin/nvcc /usr/lib/nvidia-cuda-toolkit/bin/nvcc)))
NVCC = $(CUDA_HOME)/bin/nvcc
CUDA_H := $(firstword $(wildcard $(CUDA_HOME)/include/cuda.h /usr/include/cuda.h))
HAVE_CUDA := $(if $(and $(wildcard $(NVCC)),$(CUDA_H)),y)

REMOTE_OBJS := $(addprefix $(B)/obj/cuda/,remote_address.o remote_frame.o) \
	$(B)/obj/backend/log.o

ENGINE_LIBS := -ldl -lpthread -lm
ENGINE_OBJS := $(addprefix $(B)/obj/cuda/,engine.o pool.o \
	pool_threads.o engine_cpu.o cpu_jobs.o cpu_memory.o cpu_kernels.o \
	cpu_sgemm.o)

# The reference: exact IEEE arithmetic, and loops in vector instructions. A
# product and a sum may be one operation in sgemm alone.
$(B)/obj/cuda/cpu_kernels.o: CFLAGS += -O3 -ffp-contract=off
$(B)/obj/cuda/cpu_sgemm.o: CFLAGS += -O3 -ffp-contract=fast

ifeq ($(HAVE_CUDA),y)

CUDA_OBJS := $(addprefix $(B)/obj/cuda/,cuda_driver.o cuda_nvml.o \
	cuda_device.o cuda_kernels.o kernels_fatbin.o)
CUDA_ENGINE_OBJS := $(addprefix $(B)/obj/cuda/,engine_cuda.o cuda_jobs.o \
	cuda_issue.o cuda_queue.o cuda_watch.o cuda_direct.o cuda_lane.o cuda_copy.o \
	cuda_whole.o cuda_memory.o cuda_module.o cuda_image.o cuda_blas.o \
	cuda_region.o cuda_tune.o)
ENGINE_OBJS += $(CUDA_ENGINE_OBJS) $(CUDA_OBJS)

$(CUDA_ENGINE_OBJS) $(addprefix $(B)/obj/cuda/,cuda_driver.o cuda_device.o \
	cuda_kernels.o cuda_sanity.o): CFLAGS += -isystem $(dir $(CUDA_H))

# Machine code for Hopper, and PTX that the driver compiles for any other GPU
# from Turing on. Exact arithmetic, said in full.
$(B)/obj/cuda/kernels.fatbin: cuda/kernels.cu
	@mkdir -p $(@D)
	$(if $(Q),@echo "  NVCC    $<")
	$(Q)$(NVCC) -fatbin -gencode arch=compute_90,code=sm_90 \
		-gencode arch=compute_75,code=compute_75 \
		-ftz=false -fmad=false -prec-div=true -prec-sqrt=true -o $@ $<

$(B)/obj/cuda/kernels_fatbin.o: cuda/kernels_fatbin.S $(B)/obj/cuda/kernels.fatbin
	$(if $(Q),@echo "  AS      $<")
	$(Q)$(CC) $(CFLAGS) -DKERNELS_FATBIN='"$(B)/obj/cuda/kernels.fatbin"' -c -o $@ $<

$(B)/bin/cuda_sanity: $(addprefix $(B)/obj/cuda/,cuda_sanity.o pool.o \
		pool_threads.o) $(CUDA_ENGINE_OBJS) $(CUDA_OBJS)
	$(call link,$^ $(ENGINE_LIBS))

ALL += $(B)/bin/cuda_sanity
INSTALL_TARGETS += install-cuda

.PHONY: install-cuda
install-cuda: $(B)/bin/cuda_sanity
	$(INSTALL) -D -m 755 $< $(DESTDIR)$(SBINDIR)/cuda_sanity

else

ENGINE_OBJS += $(B)/obj/cuda/engine_nocuda.o

ALL += no-cuda

.PHONY: no-cuda
no-cuda:
	@echo 'xen-vgpu: the CUDA toolkit (nvcc, cuda.h) is missing: built without the cuda engine and cuda_sanity (set CUDA_HOME where it is)'

endif

ENGINE_OBJS += $(addprefix $(B)/obj/cuda/,engine_remote.o engine_remote_jobs.o \
	engine_remote_parts.o engine_remote_plan.o engine_remote_frames.o \
	engine_remote_numbers.o engine_remote_answers.o engine_remote_io.o \
	engine_remote_link.o) $(REMOTE_OBJS)

ENGINED_OBJS := $(addprefix $(B)/obj/cuda/,engined.o engined_listen.o \
	engined_clients.o engined_child.o engined_serve.o engined_parts.o \
	engined_jobs.o engined_objects.o) $(ENGINE_OBJS)

$(B)/bin/vgpu-engined: $(ENGINED_OBJS)
	$(call link,$^ $(ENGINE_LIBS))

ALL += $(ENGINE_OBJS) $(B)/bin/vgpu-engined
INSTALL_TARGETS += install-engined

.PHONY: install-engined
install-engined: $(B)/bin/vgpu-engined
	$(INSTALL) -D -m 755 $< $(DESTDIR)$(SBINDIR)/vgpu-engined
	$(INSTALL) -D -m 644 cuda/vgpu-engined.8 $(DESTDIR)$(MANDIR)/man8/vgpu-engined.8
	$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	sed -e 's|@SBINDIR@|$(SBINDIR)|' cuda/vgpu-engined.service > $(DESTDIR)$(UNITDIR)/vgpu-engined.service
	chmod 644 $(DESTDIR)$(UNITDIR)/vgpu-engined.service

include tests/conformance/module.mk
include tests/unit/remote.mk
