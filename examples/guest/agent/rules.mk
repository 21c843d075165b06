# SPDX-License-Identifier: Apache-2.0
# The agent for Linux guests: $P/fcsnap-agent. Included by the top Makefile.
#
# It is copied into guests that have another C library, or none, so it is linked statically, and
# takes no flags from the user. Under sanitizers, which cannot be, it is an ordinary program.

AGENT_DIR := examples/guest/agent
AGENT_SOURCES := \
	main options loop buf log listen conn rpc args print base64 identity methods method_info \
	child user spawn process stream input command signals result method_exec method_process \
	worker path entry transfer remove method_get method_put method_file \
	hooks random network method_snapshot method_restored init power dial

# With musl where there is one, it is a tenth as large. Its compiler hides the kernel's headers.
AGENT_MUSL := $(shell command -v musl-gcc)
AGENT_CC_plain := $(or $(AGENT_MUSL),$(CC))
AGENT_KERNEL_HEADERS := $(if $(AGENT_MUSL),$(patsubst %,-idirafter %,/usr/include \
	/usr/include/$(shell $(CC) -print-multiarch)))
AGENT_FLAGS_plain := -O2 -g -fstack-protector-strong $(AGENT_KERNEL_HEADERS)
AGENT_LDFLAGS_plain := -static -Wl,-z,relro,-z,now
AGENT_CC_asan := $(CC)
AGENT_FLAGS_asan := $(OPTIMISE_asan)
AGENT_LDFLAGS_asan := $(OPTIMISE_asan)

AGENT_CFLAGS := -std=c11 -D_GNU_SOURCE $(WARNINGS) -Ilib -ffunction-sections -fdata-sections

# All is compiled again when the compiler or its flags change.
AGENT_CHOSEN_plain = $(AGENT_CC_plain) $(AGENT_FLAGS_plain) $(AGENT_CFLAGS) $(AGENT_LDFLAGS_plain)
AGENT_CHOSEN_asan = $(AGENT_CC_asan) $(AGENT_FLAGS_asan) $(AGENT_CFLAGS) $(AGENT_LDFLAGS_asan)

# The tiny guest's reader of JSON and the library's of UTF-8, as they are.
define agent
AGENT_OBJECTS_$(1) := $(AGENT_SOURCES:%=build/$(1)/agent/%.o) build/$(1)/agent/json.o build/$(1)/agent/utf8.o
build/$(1)/fcsnap-agent: $$(AGENT_OBJECTS_$(1)) build/$(1)/agent/flags
	$$(call say,LD,$$@)
	$$(Q)$(AGENT_CC_$(1)) $(AGENT_LDFLAGS_$(1)) -Wl,--gc-sections -o $$@ $$(AGENT_OBJECTS_$(1))
build/$(1)/agent/%.o: $(AGENT_DIR)/%.c build/$(1)/agent/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)
	$$(Q)$(AGENT_CC_$(1)) $(AGENT_FLAGS_$(1)) $(AGENT_CFLAGS) -MMD -MP -c -o $$@ $$<
build/$(1)/agent/json.o: examples/guest/tiny/json.c build/$(1)/agent/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)
	$$(Q)$(AGENT_CC_$(1)) $(AGENT_FLAGS_$(1)) $(AGENT_CFLAGS) -Dtext_length=strlen -MMD -MP -c -o $$@ $$<
build/$(1)/agent/utf8.o: lib/base/utf8.c build/$(1)/agent/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)
	$$(Q)$(AGENT_CC_$(1)) $(AGENT_FLAGS_$(1)) $(AGENT_CFLAGS) -MMD -MP -c -o $$@ $$<
build/$(1)/agent/flags: $(AGENT_DIR)/rules.mk FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(AGENT_CHOSEN_$(1))' | cmp -s - $$@ || printf '%s\n' '$$(AGENT_CHOSEN_$(1))' > $$@
-include $$(AGENT_OBJECTS_$(1):.o=.d)
endef
$(foreach flavour,plain asan,$(eval $(call agent,$(flavour))))
AGENT := build/$(if $(filter asan,$(FLAVOUR)),asan,plain)/fcsnap-agent
