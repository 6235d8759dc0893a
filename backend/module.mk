# SPDX-License-Identifier: MIT
#
# vgpubackd, the supervisor, and vgpu-worker, its one process a device; their
# unit tests, manual page and systemd unit.

BACK_COMMON_OBJS := $(addprefix $(B)/obj/backend/,log.o stats.o)
BACKD_CORE_OBJS := $(addprefix $(B)/obj/backend/,device.o device_config.o \
	device_live.o device_start.o scan.o offer.o negotiate.o store.o)
ARBITER_OBJS := $(addprefix $(B)/obj/backend/,arbiter.o arbiter_turn.o sched.o)
BACKD_OBJS := $(addprefix $(B)/obj/backend/,vgpubackd.o options.o remember.o child.o) \
	$(BACKD_CORE_OBJS) $(ARBITER_OBJS)
SESSION_OBJS := $(addprefix $(B)/obj/backend/,validate.o session.o \
	session_jobs.o session_work.o session_objects.o gate.o gate_kinds.o \
	payload.o object.o stream.o buffer.o)
WORKER_CORE_OBJS := $(SESSION_OBJS) $(addprefix $(B)/obj/backend/,ring.o \
	grants.o polling.o)
WORKER_OBJS := $(addprefix $(B)/obj/backend/,worker.o inherited.o confine.o dma.o \
	probe.o) \
	$(WORKER_CORE_OBJS)

$(B)/obj/backend/child.o: CFLAGS += -DLIBEXECDIR='"$(LIBEXECDIR)"'
$(BACKD_OBJS): $(VGPU_NODES_H)

$(B)/bin/vgpubackd: $(BACKD_OBJS) $(BACK_COMMON_OBJS) $(SCHEMA_VALUES_OBJ)
	$(call link,$^ -lxenstore -lpthread)

$(B)/libexec/vgpu-worker: $(WORKER_OBJS) $(BACK_COMMON_OBJS) $(SCHEMA_VALUES_OBJ) $(ENGINE_OBJS)
	$(call link,$^ -lxengnttab -lxenevtchn -lseccomp $(ENGINE_LIBS))

# Each test: its own object, the objects under test, and doubles for the rest.
BACK_TESTS := $(addprefix $(B)/test/test_backend_,text negotiate validate sched charge \
	shares operands session objects memory code quiet gate estimates ring grants polling \
	device close config confine)

$(B)/test/test_backend_text: $(B)/obj/backend/offer.o $(B)/obj/backend/log.o
$(B)/test/test_backend_negotiate: $(B)/obj/backend/negotiate.o $(SCHEMA_VALUES_OBJ)
$(B)/test/test_backend_validate $(B)/test/test_backend_operands: \
	$(B)/obj/backend/validate.o
$(addprefix $(B)/test/test_backend_,session objects memory code quiet): \
	$(SESSION_OBJS) $(BACK_COMMON_OBJS) $(B)/obj/tests/unit/device_double.o
$(addprefix $(B)/test/test_backend_,gate estimates): $(addprefix $(B)/obj/,backend/gate.o \
	backend/gate_kinds.o tests/unit/gate_double.o)
$(addprefix $(B)/test/test_backend_,gate estimates): LDFLAGS += -Wl,--wrap=clock_gettime
$(B)/test/test_backend_ring: $(B)/obj/backend/ring.o $(B)/obj/backend/log.o
$(B)/test/test_backend_grants: $(B)/obj/backend/grants.o $(B)/obj/backend/log.o
$(B)/test/test_backend_polling: $(B)/obj/backend/polling.o
$(addprefix $(B)/test/test_backend_,sched charge): $(B)/obj/backend/sched.o
$(B)/test/test_backend_shares: $(B)/obj/backend/sched.o $(B)/obj/tests/sim/play.o
$(B)/test/test_backend_confine: $(B)/obj/backend/confine.o $(B)/obj/backend/log.o
$(addprefix $(B)/test/test_backend_,device close config): \
	$(BACKD_CORE_OBJS) $(BACK_COMMON_OBJS) $(SCHEMA_VALUES_OBJ) \
	$(B)/obj/tests/unit/fake_xenstore.o $(B)/obj/tests/unit/supervisor.o
$(addprefix $(B)/test/test_backend_,device close config): LDFLAGS += -Wl,--wrap=clock_gettime

# The arbiter's thread, as it is, with ASan and UBSan, with TSan.
ARBITER_TESTS := $(addprefix $(B)/test/test_backend_,arbiter arbiter_asan \
	arbiter_tsan hostile hostile_asan hostile_tsan)
ARBITER_TEST_SRCS := tests/unit/arbiter_player.c $(ARBITER_OBJS:$(B)/obj/%.o=%.c)

$(filter %_asan,$(ARBITER_TESTS)): ARBITER_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
$(filter %_tsan,$(ARBITER_TESTS)): ARBITER_FLAGS := -fsanitize=thread
$(filter %arbiter %arbiter_asan %arbiter_tsan,$(ARBITER_TESTS)): tests/unit/test_backend_arbiter.c
$(filter %hostile %hostile_asan %hostile_tsan,$(ARBITER_TESTS)): tests/unit/test_backend_hostile.c
$(ARBITER_TESTS): $(ARBITER_TEST_SRCS) tests/unit/arbiter_player.h \
		$(addprefix backend/,arbiter.h arbiter_turn.h sched.h lease.h \
		clock.h limits.h)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -iquote backend \
		$(ARBITER_FLAGS) -o $@ $(filter %.c,$^) -lcmocka -lpthread

# Two gates and an arbiter on three threads, in the same three ways.
LEASE_TESTS := $(addprefix $(B)/test/test_backend_,lease lease_asan lease_tsan)
LEASE_TEST_SRCS := tests/unit/test_backend_lease.c backend/gate.c \
	backend/gate_kinds.c

$(B)/test/test_backend_lease_asan: LEASE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
$(B)/test/test_backend_lease_tsan: LEASE_FLAGS := -fsanitize=thread
$(LEASE_TESTS): $(LEASE_TEST_SRCS) $(addprefix backend/,gate.h gate_kinds.h \
		lease.h clock.h) cuda/engine.h
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -iquote backend \
		$(LEASE_FLAGS) -o $@ $(LEASE_TEST_SRCS) -lcmocka -lpthread

$(BACK_TESTS): $(B)/test/%: $(B)/obj/tests/unit/%.o
	$(call link,$^ -lseccomp -lcmocka)

$(B)/test/fuzz_session: LDFLAGS += -Wl,--wrap=clock_gettime
$(B)/test/fuzz_session: $(B)/obj/tests/fuzz/fuzz_session.o $(SESSION_OBJS) \
		$(BACK_COMMON_OBJS)
	$(call link,$^)

BACK_TEST_OBJS := $(BACK_TESTS:$(B)/test/%=$(B)/obj/tests/unit/%.o) \
	$(B)/obj/tests/fuzz/fuzz_session.o \
	$(addprefix $(B)/obj/tests/unit/,supervisor.o device_double.o \
	gate_double.o)
# Not -I: <sched.h> is the C library's.
$(BACK_TEST_OBJS): CFLAGS += -iquote backend
$(B)/obj/tests/unit/test_backend_shares.o: CFLAGS += -Itests/sim
$(BACK_TEST_OBJS): $(VGPU_NODES_H)

ifeq ($(HAVE_XEN),y)
ALL += $(B)/bin/vgpubackd $(B)/libexec/vgpu-worker
CHECK_UNIT += $(BACK_TESTS) $(ARBITER_TESTS) $(LEASE_TESTS) \
	$(B)/test/fuzz_session
INSTALL_TARGETS += install-backend
endif

.PHONY: install-backend
install-backend: $(B)/bin/vgpubackd $(B)/libexec/vgpu-worker
	$(INSTALL) -D -m 755 $(B)/bin/vgpubackd $(DESTDIR)$(SBINDIR)/vgpubackd
	$(INSTALL) -D -m 755 $(B)/libexec/vgpu-worker $(DESTDIR)$(LIBEXECDIR)/vgpu-worker
	$(INSTALL) -D -m 644 backend/vgpubackd.8 $(DESTDIR)$(MANDIR)/man8/vgpubackd.8
	$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	sed -e 's|@SBINDIR@|$(SBINDIR)|' backend/vgpubackd.service > $(DESTDIR)$(UNITDIR)/vgpubackd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/vgpubackd.service
	$(INSTALL) -m 644 backend/vgpu-mps.service $(DESTDIR)$(UNITDIR)/vgpu-mps.service
