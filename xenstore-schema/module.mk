# SPDX-License-Identifier: MIT
#
# Names, rules and the page in docs/ from vgpu.schema; the checker of a live
# xenstore. Only the checker needs libxen-dev.

SCHEMA := xenstore-schema/vgpu.schema
SCHEMA_IN := include/xen/io/vgpuif.h $(SCHEMA)
SCHEMA_AWK := xenstore-schema/parse.awk

schema-awk = awk $(1) -f $(SCHEMA_AWK) -f xenstore-schema/$(2).awk $(SCHEMA_IN)

# The names of all nodes, for whatever reads or writes them.
VGPU_NODES_H := $(B)/gen/vgpu_nodes.h
ALL += $(VGPU_NODES_H)

$(B)/gen/vgpu_nodes.h: $(SCHEMA_IN) $(SCHEMA_AWK) xenstore-schema/header.awk
	@mkdir -p $(@D)
	$(Q)$(call schema-awk,-v want=names,header) > $@.new && mv $@.new $@

$(B)/gen/vgpu_schema_table.h: $(SCHEMA_IN) $(SCHEMA_AWK) xenstore-schema/header.awk
	@mkdir -p $(@D)
	$(Q)$(call schema-awk,-v want=table,header) > $@.new && mv $@.new $@

.PHONY: schema-docs
schema-docs:
	$(Q)$(call schema-awk,,docs) > docs/xenstore.md.new && mv docs/xenstore.md.new docs/xenstore.md

SCHEMA_VALUES_OBJ := $(B)/obj/xenstore-schema/values.o
SCHEMA_OBJ := $(addprefix $(B)/obj/xenstore-schema/,check.o rules.o) $(SCHEMA_VALUES_OBJ)

$(B)/obj/xenstore-schema/rules.o: $(B)/gen/vgpu_schema_table.h
$(B)/obj/xenstore-schema/check.o: $(VGPU_NODES_H)

$(B)/bin/vgpu-xenstore-check: $(B)/obj/xenstore-schema/vgpu-xenstore-check.o $(SCHEMA_OBJ)
	$(call link,$^ -lxenstore)

$(B)/obj/tests/unit/test_schema.o $(B)/obj/tests/unit/fake_xenstore.o: CFLAGS += -Ixenstore-schema
$(B)/obj/tests/unit/test_schema.o: $(VGPU_NODES_H)

$(B)/test/test_schema: $(B)/obj/tests/unit/test_schema.o $(B)/obj/tests/unit/fake_xenstore.o $(SCHEMA_OBJ)
	$(call link,$^ -lcmocka)

ifeq ($(HAVE_XEN),y)
ALL += $(B)/bin/vgpu-xenstore-check
CHECK_UNIT += $(B)/test/test_schema
INSTALL_TARGETS += install-schema
endif
CHECK_UNIT += tests/unit/test_schema_docs.sh

.PHONY: install-schema
install-schema: $(B)/bin/vgpu-xenstore-check
	$(INSTALL) -D -m 755 $< $(DESTDIR)$(SBINDIR)/vgpu-xenstore-check
	$(INSTALL) -D -m 644 docs/xenstore.md $(DESTDIR)$(DOCDIR)/xenstore.md
