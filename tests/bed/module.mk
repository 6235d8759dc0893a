# SPDX-License-Identifier: MIT
#
# The bed: real Xen in QEMU. Its programs, its image, and what runs in it.

BED_TOOLS := $(addprefix $(B)/test/bed/,agent guest-exec await confine)

$(B)/test/bed/agent: $(B)/obj/tests/bed/agent.o
	$(call link,$^)

$(B)/test/bed/confine: $(B)/obj/tests/bed/confine.o
	$(call link,$^)

$(B)/test/bed/guest-exec: $(B)/obj/tests/bed/guest-exec.o
	$(call link,$^ -lxenstore)

$(B)/test/bed/await: $(B)/obj/tests/bed/await.o
	$(call link,$^ -lxenstore)

# In guests alone: the library is all that it needs. Exact fmaf, for its checks.
$(B)/obj/tests/bed/compute.o: CFLAGS += -I. -ffp-contract=off
$(B)/test/bed/compute: $(B)/obj/tests/bed/compute.o $(LIBVGPUFRONT_A)
	$(call link,$^ -lpthread -lm)

$(B)/obj/tests/bed/load.o: CFLAGS += -I.
$(B)/test/bed/load: $(B)/obj/tests/bed/load.o $(LIBVGPUFRONT_A)
	$(call link,$^ -lpthread)

$(B)/obj/tests/bed/keep.o: CFLAGS += -I.
$(B)/test/bed/keep: $(B)/obj/tests/bed/keep.o $(LIBVGPUFRONT_A)
	$(call link,$^ -lpthread)

ALL += $(B)/test/bed/compute $(B)/test/bed/load $(B)/test/bed/keep

# Not a program: a part of the HVM guests' kernel image, loaded at 1 MiB.
$(B)/obj/tests/bed/hvm_boot.bin: tests/bed/hvm_boot.S
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK    $@")
	$(Q)$(CC) -nostdlib -static -Wl,-Ttext=0x100000,--oformat=binary,--build-id=none -o $@ $<

ifeq ($(HAVE_XEN),y)
ALL += $(BED_TOOLS) $(B)/obj/tests/bed/hvm_boot.bin
endif

# What the image takes the product from: an installation, made anew each time.
.PHONY: bed-root
bed-root: all
	@rm -rf $(B)/bed/root
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(B)/bed/root) >$(B)/bed-install.log 2>&1 || \
		{ tail -n 20 $(B)/bed-install.log; exit 1; }

.PHONY: bed-image
bed-image: bed-root
	@BUILD=$(abspath $(B)) tests/bed/mkimage

# T="NAME..." picks tests of tests/bed/t.
.PHONY: bed-check
bed-check: bed-root
	@BUILD=$(abspath $(B)) tests/bed/run $(T)

# Ten times as many guests come and go; a quarter of an hour and more.
.PHONY: soak-run
soak-run: bed-root
	@BUILD=$(abspath $(B)) tests/bed/run --times 10 91-cycles

.PHONY: demo-run
demo-run: bed-root
	@BUILD=$(abspath $(B)) tests/bed/demo

# The bed and vgpu-engined for a machine without packages; mkpack says how.
.PHONY: bed-pack-run
bed-pack-run: bed-image
	@BUILD=$(abspath $(B)) tests/bed/mkpack --archive

.PHONY: gpu-demo-run
gpu-demo-run: bed-image
	@BUILD=$(abspath $(B)) tests/bed/mkpack
	@$(B)/bed/xen-vgpu-bed/gpu-demo $(abspath $(B))/gpu-demo

.PHONY: bed-shell
bed-shell: bed-root
	@BUILD=$(abspath $(B)) tests/bed/shell
