# SPDX-License-Identifier: MIT
#
# Tests of the remote engine and vgpu-engined: addresses, frames, and each end
# against a double of the other one.

REMOTE_TESTS := $(addprefix $(B)/test/test_remote_,address frame parts server \
	client breaks lost)

$(B)/test/test_remote_address: $(B)/obj/cuda/engined_listen.o
$(B)/test/test_remote_parts: $(B)/obj/cuda/engined_parts.o
$(addprefix $(B)/test/test_remote_,frame parts server client breaks lost): $(B)/obj/tests/unit/remote_peer.o
$(addprefix $(B)/test/test_remote_,server client breaks): | $(B)/bin/vgpu-engined

$(REMOTE_TESTS): $(B)/test/%: $(B)/obj/tests/unit/%.o $(ENGINE_OBJS)
	$(call link,$^ $(ENGINE_LIBS) -lcmocka)

$(B)/test/fuzz_remote_frame: $(B)/obj/tests/fuzz/fuzz_remote_frame.o \
		$(B)/obj/cuda/remote_frame.o
	$(call link,$^)

CHECK_UNIT += $(REMOTE_TESTS) $(B)/test/fuzz_remote_frame
