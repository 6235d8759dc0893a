# SPDX-License-Identifier: MIT
#
# The hostile peers of the bed: evil_front runs in a guest, evil_back in dom0.

EVIL_FRONT_OBJS := $(addprefix $(B)/obj/tests/bed/,evil_front.o evil_link.o \
	evil_requests.o evil_compute.o evil_ring.o evil_tap.o)
EVIL_BACK_OBJS := $(addprefix $(B)/obj/tests/bed/,evil_back.o \
	evil_back_attacks.o evil_tap.o)

$(EVIL_FRONT_OBJS) $(EVIL_BACK_OBJS): $(VGPU_NODES_H)

$(B)/test/bed/evil_front: $(EVIL_FRONT_OBJS)
	$(call link,$^ -lxenstore -lxengnttab -lxenevtchn -lpthread)

$(B)/test/bed/evil_back: $(EVIL_BACK_OBJS)
	$(call link,$^ -lxenstore -lxengnttab -lxenevtchn)

ifeq ($(HAVE_XEN),y)
ALL += $(B)/test/bed/evil_front $(B)/test/bed/evil_back
endif
