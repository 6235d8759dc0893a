# SPDX-License-Identifier: MIT
#
# `make check` after its packages are there: builds all, then gives every test
# to prove in one run: unit tests, static checks, and the bed, which boots once
# and leaves one TAP file a test.

CHECK_STATIC := $(sort $(wildcard tests/static/*.sh))
BED_TESTS := $(sort $(wildcard tests/bed/t/*.sh))
BED_TAPS := $(patsubst tests/bed/t/%.sh,$(B)/bed/tap/%.tap,$(BED_TESTS))

.PHONY: check-run
check-run: all $(CHECK_UNIT) bed-image
	@echo "== check: unit tests, static checks, then $(words $(BED_TESTS)) tests on real Xen"
	@mkdir -p $(B)/bed/tap
	@for t in $(BED_TAPS); do printf '1..1\nnot ok 1 - the bed never ran this\n' >$$t; done
	@CMOCKA_MESSAGE_OUTPUT=TAP MAKEFLAGS= B=$(B) KVER=$(KVER) PERL5LIB=tests/harness prove --nocolor --failures --comments \
		--harness Counted $(CHECK_UNIT) $(CHECK_STATIC) \
		$(if $(BED_TESTS),tests/bed/bed.sh $(BED_TAPS)) </dev/null

# Only what needs no Xen: seconds instead of minutes.
.PHONY: check-unit
check-unit: $(CHECK_UNIT)
	@CMOCKA_MESSAGE_OUTPUT=TAP PERL5LIB=tests/harness prove --nocolor --failures --comments --harness Counted $(CHECK_UNIT) </dev/null
