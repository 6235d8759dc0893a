# SPDX-License-Identifier: MIT
#
# vgpufront.ko, built in a copy of its sources for each kernel version, so that
# the source tree stays clean and two versions lie side by side; the same copy
# is what DKMS gets. And the tests of those of its files that need no kernel.

KVER ?= $(shell tests/bed/kver 2>/dev/null)

KMOD_SRCS := $(wildcard frontend-kmod/*.c frontend-kmod/*.h) frontend-kmod/Kbuild
KMOD_HDRS := include/xen/io/vgpuif.h include/uapi/vgpufront.h $(VGPU_NODES_H)

# $(call kmod-stage,directory): a tree that builds by itself. Only files that
# changed are written, so that make and Kbuild see what is new.
define kmod-stage
	$(Q)mkdir -p $(1)/include/xen/io $(1)/include/uapi
	$(Q)for f in $(KMOD_SRCS); do cmp -s $$f $(1)/$${f##*/} || cp $$f $(1)/; done
	$(Q)cmp -s include/xen/io/vgpuif.h $(1)/include/xen/io/vgpuif.h || cp include/xen/io/vgpuif.h $(1)/include/xen/io/
	$(Q)cmp -s include/uapi/vgpufront.h $(1)/include/uapi/vgpufront.h || cp include/uapi/vgpufront.h $(1)/include/uapi/
	$(Q)cmp -s $(VGPU_NODES_H) $(1)/include/vgpu_nodes.h || cp $(VGPU_NODES_H) $(1)/include/
	$(Q)echo $(VERSION) | cmp -s - $(1)/VERSION || echo $(VERSION) > $(1)/VERSION

endef

# $(1) kernel version, $(2) directory, $(3) more for Kbuild
kmod-make = $(MAKE) --no-print-directory -C /lib/modules/$(1)/build M=$(abspath $(2)) $(3) modules

KMOD := $(B)/kmod/$(KVER)/vgpufront.ko

$(B)/kmod/%/vgpufront.ko: $(KMOD_SRCS) $(KMOD_HDRS)
	@test -e /lib/modules/$*/build/Makefile || \
		{ echo 'xen-vgpu: no kernel headers for $* (apt-get install linux-headers-amd64)' >&2; exit 1; }
	$(call kmod-stage,$(@D))
	$(if $(Q),@echo "  KMOD    $@")
	$(Q)$(call kmod-make,$*,$(@D),W=1) >$(@D)/build.log 2>&1 || { cat $(@D)/build.log >&2; exit 1; }
	@touch $@

.PHONY: kmod
ifeq ($(KVER),)
kmod:
	@tests/bed/kver
else
kmod: $(KMOD)
endif

ifneq ($(and $(KVER),$(wildcard /lib/modules/$(KVER)/build/Makefile)),)
ALL += $(KMOD)
endif

# Every warning is an error, on the newest 6.1 and 6.12 there are headers for.
KMOD_CHECK_KVERS := $(foreach v,6.1 6.12,$(lastword $(shell ls -d /lib/modules/$(v).*/build 2>/dev/null | sort -V)))
KMOD_CHECK_KVERS := $(patsubst /lib/modules/%/build,%,$(KMOD_CHECK_KVERS))

.PHONY: kmod-check
kmod-check: $(KMOD_HDRS)
	$(Q)rm -rf $(B)/kmod-check
	$(foreach v,$(KMOD_CHECK_KVERS),$(call kmod-stage,$(B)/kmod-check/$(v)))
	$(Q)B=$(B) frontend-kmod/check.sh $(KMOD_CHECK_KVERS)

INSTALL_TARGETS += install-kmod-src
.PHONY: install-kmod-src
install-kmod-src: KMOD_SRC_DIR = $(DESTDIR)/usr/src/xen-vgpu-$(VERSION)
install-kmod-src: $(KMOD_SRCS) $(KMOD_HDRS)
	$(call kmod-stage,$(KMOD_SRC_DIR))
	$(Q)sed 's/@VERSION@/$(VERSION)/' frontend-kmod/dkms.conf > $(KMOD_SRC_DIR)/dkms.conf
	$(INSTALL) -D -m 644 LICENSES/GPL-2.0.txt $(KMOD_SRC_DIR)/LICENSES/GPL-2.0.txt
	$(INSTALL) -D -m 644 LICENSES/MIT.txt $(KMOD_SRC_DIR)/LICENSES/MIT.txt
	$(INSTALL) -D -m 644 frontend-kmod/70-vgpufront.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/70-vgpufront.rules

# What needs no kernel, in user space: its tests, and frontends of other tests.
FRONT_CORE_OBJ := $(addprefix $(B)/obj/frontend-kmod/vgpufront_,ring.o arena.o sqe.o parse.o)
FRONT_TESTS := $(addprefix test_front_,ring quiet arena sqe refused)
FRONT_FUZZ := fuzz_front_ring fuzz_front_sqe

$(FRONT_TESTS:%=$(B)/obj/tests/unit/%.o) $(FRONT_FUZZ:%=$(B)/obj/tests/fuzz/%.o): CFLAGS += -Ifrontend-kmod

$(FRONT_TESTS:%=$(B)/test/%): $(B)/test/%: $(B)/obj/tests/unit/%.o $(FRONT_CORE_OBJ)
	$(call link,$^ -lcmocka)

$(FRONT_FUZZ:%=$(B)/test/%): $(B)/test/%: $(B)/obj/tests/fuzz/%.o $(FRONT_CORE_OBJ)
	$(call link,$^)

ifeq ($(HAVE_XEN),y)
CHECK_UNIT += $(FRONT_TESTS:%=$(B)/test/%) $(FRONT_FUZZ:%=$(B)/test/%)
endif
