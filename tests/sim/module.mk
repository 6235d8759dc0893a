# SPDX-License-Identifier: MIT
#
# vgpu-sched-sim: backend/sched.c, and many guests, in virtual time. `make
# sched-plot` runs it and draws the plot of docs/scheduling.md,
# test_sim.sh holds a part of it to what that page says.

SCHED_SIM_OBJS := $(addprefix $(B)/obj/tests/sim/,vgpu-sched-sim.o play.o fifo.o)
SCHED_SIM := $(B)/bin/vgpu-sched-sim

$(SCHED_SIM_OBJS): CFLAGS += -Ibackend

$(SCHED_SIM): $(SCHED_SIM_OBJS) $(B)/obj/backend/sched.o
	$(call link,$^)

ALL += $(SCHED_SIM)
tests/sim/test_sim.sh: $(SCHED_SIM)
CHECK_UNIT += tests/sim/test_sim.sh

.PHONY: sched-plot
sched-plot: $(SCHED_SIM)
	@tools/deps bench
	@mkdir -p $(B)/sim
	@$(SCHED_SIM) > $(B)/sim/scheduling.csv
	@tests/sim/plot $(B)/sim/scheduling.csv docs/scheduling.svg
