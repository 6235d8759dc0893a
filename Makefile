# SPDX-License-Identifier: MIT
#
# One non-recursive build. Each directory's module.mk adds what it makes to
# the variables below; this file owns the rules that all share. `make help`
# lists the targets.

VERSION := 0.1.0

B := build

PREFIX ?= /usr
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib/$(shell $(CC) -print-multiarch 2>/dev/null)
LIBEXECDIR ?= $(PREFIX)/libexec/xen-vgpu
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/xen-vgpu
UNITDIR ?= $(PREFIX)/lib/systemd/system

CC := gcc
INSTALL := install
Q := $(if $(V),,@)

# xen-tools headers are needed for whatever talks to Xen; without them only
# the guest's library, the engines and their tests are built.
HAVE_XEN := $(shell test -e /usr/include/xengnttab.h && echo y)
NO_XEN_LINE := xen-vgpu: libxen-dev is missing: backend, vgpuctl and the kernel ring tests are not built (apt-get install libxen-dev)

CFLAGS_COMMON = -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wstrict-prototypes \
	-Wmissing-prototypes -D_GNU_SOURCE -DVGPU_VERSION='"$(VERSION)"' \
	-Iinclude -I$(B)/gen -MMD -MP -fno-strict-aliasing
CFLAGS ?=
LDFLAGS ?=

# Filled by the module.mk files.
ALL :=
CHECK_UNIT :=
INSTALL_TARGETS :=

.PHONY: all
all:

include cuda/module.mk
include libvgpufront/module.mk
include tools/guest.mk
include xenstore-schema/module.mk
include backend/module.mk
include tools/dom0.mk
include frontend-kmod/module.mk
include tests/bed/module.mk
include tests/native/module.mk
include tests/bench/module.mk
include tests/sim/module.mk
include tests/check.mk

all: $(ALL)
ifneq ($(HAVE_XEN),y)
	@echo "$(NO_XEN_LINE)"
endif

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $<")
	$(Q)$(CC) $(CFLAGS_COMMON) $(CFLAGS) -c -o $@ $<

# $(call link,objects and libraries)
define link
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LINK    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(1)
endef

.PHONY: install
install: all $(INSTALL_TARGETS)

.PHONY: clean
clean:
	rm -rf $(B)

.PHONY: demo
demo:
	@tools/deps build bed
	@$(MAKE) --no-print-directory demo-run

.PHONY: gpu-demo bed-pack
gpu-demo bed-pack:
	@tools/deps build bed
	@$(MAKE) --no-print-directory $@-run

.PHONY: check
check:
	@tools/deps build bed check
	@$(MAKE) --no-print-directory check-run

.PHONY: soak
soak:
	@tools/deps build bed
	@$(MAKE) --no-print-directory soak-run

.PHONY: help
help:
	@echo 'make              build everything this machine has the packages for'
	@echo 'make demo         two guests on real Xen (in QEMU) add vectors through the backend'
	@echo 'make gpu-demo     the same, computed by the NVIDIA GPU of this machine (with the CUDA toolkit)'
	@echo 'make bed-pack     make gpu-demo for a machine without packages: build/bed/xen-vgpu-bed.tar.xz'
	@echo 'make check        every test; ends with a count of passed and failed'
	@echo 'make soak         200 guests come and go, on real Xen: is anything left behind?'
	@echo 'make bench        how close the backend comes to bare CUDA, without Xen; build/bench/'
	@echo 'make bench-plot JSON=FILE  draws the results of another machine'
	@echo 'make sched-plot   docs/scheduling.svg: 2 to 1,000 guests of the scheduler, simulated'
	@echo 'make bed-shell    an interactive dom0 with a connected guest (Ctrl-A x quits)'
	@echo 'make bed-check T="NAME..."  only these tests of tests/bed/t'
	@echo 'make kmod         the guest module for KVER=$(KVER)'
	@echo 'make schema-docs  write docs/xenstore.md from xenstore-schema/'
	@echo 'make install      DESTDIR= PREFIX=$(PREFIX)'
	@echo 'make clean'
	@echo
	@echo 'V=1 prints the commands. make demo, check, soak and bench install the Debian packages'
	@echo 'they lack, as root; tools/packages lists them.'

-include $(shell find $(B)/obj $(B)/test -name '*.d' 2>/dev/null)
