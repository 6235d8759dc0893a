# SPDX-License-Identifier: MIT
#
# Tests of the remote engine and vgpu-engined: addresses, frames, and each end
# against a double of the other one.

# With the child's parts alone, and an engine that is the test's; with a
# vgpu-engined of their own; with far ends that are scripts.
REMOTE_PARTS_TESTS := $(addprefix $(B)/test/test_remote_,parts jobs objects)
REMOTE_SERVER_TESTS := $(addprefix $(B)/test/test_remote_,server sessions places)
REMOTE_CLIENT_TESTS := $(addprefix $(B)/test/test_remote_,client breaks lost \
	memory order)
REMOTE_TESTS := $(addprefix $(B)/test/test_remote_,address frame) \
	$(REMOTE_PARTS_TESTS) $(REMOTE_SERVER_TESTS) $(REMOTE_CLIENT_TESTS)

PARTS_OBJS := $(addprefix $(B)/obj/cuda/,engined_parts.o engined_jobs.o \
	engined_objects.o)

$(B)/test/test_remote_address: $(B)/obj/cuda/engined_listen.o
$(REMOTE_PARTS_TESTS): $(PARTS_OBJS) $(B)/obj/tests/unit/remote_parts.o
$(REMOTE_SERVER_TESTS): $(B)/obj/tests/unit/remote_served.o | $(B)/bin/vgpu-engined
$(REMOTE_CLIENT_TESTS): $(B)/obj/tests/unit/remote_script.o | $(B)/bin/vgpu-engined
$(REMOTE_CLIENT_TESTS): private LDFLAGS += -Wl,--wrap=remote_link_open
$(filter-out %_address,$(REMOTE_TESTS)): $(B)/obj/tests/unit/remote_peer.o

$(REMOTE_TESTS): $(B)/test/%: $(B)/obj/tests/unit/%.o $(ENGINE_OBJS)
	$(call link,$^ $(ENGINE_LIBS) -lcmocka)

$(B)/test/fuzz_remote_jobs: $(PARTS_OBJS)
$(addprefix $(B)/test/fuzz_remote_,frame jobs): $(B)/test/%: $(B)/obj/tests/fuzz/%.o \
		$(REMOTE_OBJS)
	$(call link,$^)

CHECK_UNIT += $(REMOTE_TESTS) $(addprefix $(B)/test/fuzz_remote_,frame jobs)
