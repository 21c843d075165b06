# SPDX-License-Identifier: Apache-2.0
# The tiny guest: $(BUILD_GUEST)/tiny-x86_64. Included by the top Makefile.
#
# It runs on no operating system, so it has its own flags and takes none from the user: hardening,
# profiling or a sanitizer in CFLAGS would not link.

BUILD_GUEST ?= build/guest

TINY_DIR := examples/guest/tiny
TINY_CC ?= gcc
TINY_SOURCES := \
	start.S paging.S trap.S \
	main.c machine.c console.c text.c cmdline.c memory.c identity.c \
	virtio.c vsock.c conn.c session.c \
	json.c reply.c args.c rpc.c methods.c methods_machine.c methods_mem.c

TINY_CFLAGS := -std=c11 -O2 -g -m64 -ffreestanding -Wall -Wextra -Wshadow -Wconversion \
	-Wmissing-prototypes -fno-pic -fno-pie -mcmodel=small -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing
TINY_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,-T,$(TINY_DIR)/link.ld

TINY_OBJECTS := $(TINY_SOURCES:%=$(BUILD_GUEST)/tiny/%.o)

$(BUILD_GUEST)/tiny-x86_64: $(TINY_OBJECTS) $(TINY_DIR)/link.ld $(TINY_DIR)/rules.mk
	$(call say,LD,$@)
	$(Q)$(TINY_CC) $(TINY_LDFLAGS) -o $@ $(TINY_OBJECTS)

$(BUILD_GUEST)/tiny/%.o: $(TINY_DIR)/% $(TINY_DIR)/rules.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(TINY_CC) $(TINY_CFLAGS) -MMD -MP -c -o $@ $<

-include $(TINY_OBJECTS:.o=.d)
