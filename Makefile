# libfcsnap: boot, snapshot and restore Firecracker microVMs.
# `make help` lists the targets; CONTRIBUTING.md says how to work with them.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# --- What is built: every file is named here ---------------------------------

HEADERS := config error event exec guest host op rpc snapshot version vm vsock

LIB_BASE := base64 buf clock error event failpoint fs fswatch id json json_print json_scan log op packet \
	reactor sock spawn sweep thread timer utf8 version worker
LIB_VMM := api config config_check config_document config_keys console directory features http owner \
	plan process rights swap
LIB_MEMORY := connect file fill handshake image index index_build install pager pages serve \
	session source uffd
LIB_SNAPSHOT := capture digest facts manifest manifest_config manifest_write restore store
LIB_GUEST := channel dial ear exec file frame message notices vsock
LIB_HOST := exec_options exec_result host keeper keeper_message kept paths recover renew result rpc \
	saved settings sink slot snapshot start state talk teardown transfer verb_attach verb_boot \
	verb_call verb_capture verb_connect verb_control verb_exec verb_get verb_guest verb_listen \
	verb_notification verb_put verb_restore verb_stop verb_vsock vm vm_info

EXAMPLES := boot snapshot_restore lazy_restore rpc_echo vsock_echo event_loop detached
# These boot a Linux guest, so they run in check-linux: KERNEL INITRD PROGRAM...
GUEST_EXAMPLES := guest_exec guest_clones
BENCHES := restore capture rpc

# tests/unit/NAME_test.c: static library with failpoints, private headers.
UNIT_TESTS := api base64 buf channel clock config config_check console directory error event exec \
	failpoint features file frame fs fswatch handshake id image index index_build json log manifest \
	op owner packet pager pager_fail pager_huge pages paths plan reactor rights slot sock \
	source spawn store timer utf8 vsock worker
# tests/api/NAME_test.c: shared library, public headers only.
API_TESTS := errors host host_recover null op
# tests/real/NAME_test.c: like unit, with these files beside it and a real Firecracker.
REAL_SUPPORT := bed guest peer processes
REAL_TESTS := bad_config bad_snapshot branch capture clones detached exec exec_lies file file_lies \
	full guest host_close keeper late lazy lost machine main notifications own_agent race \
	recover renew stop swap user vsock
# tests/linux/NAME_test.c: like real, in a machine of QEMU's, with a Linux guest.
LINUX_TESTS := agent restore
LINUX_EXAMPLES := snapshot_restore
# tests/fault/NAME_test.c: like real, with these files beside it.
FAULT_TESTS := places
FAULT_SUPPORT := inject scenes share
# tests/agent/NAME_test.c: like unit, with tests/agent/support.c and an agent on a UNIX socket.
AGENT_TESTS := base64 dial exec file fire init restored
# The fake Firecracker, tests/fake/README.md; its guest is made of the tiny guest's files.
FAKE := api config fields guest http machine main memory script snapshot state_file uffd vsock
FAKE_TINY := args json methods methods_machine methods_mem reply rpc session text
# tests/fake/NAME_test.c: like real, and only with the fake.
FAKE_TESTS := script versions
# The real tests that the fake passes as well: it has no huge pages, and needs no KVM.
FAKE_REAL_TESTS := bad_snapshot capture clones exec_lies file_lies guest host_close lazy main notifications vsock
# The real tests that also run under ThreadSanitizer in `make check`.
TSAN_REAL_TESTS := exec file lazy notifications race
# All but those that mostly wait or run other programs; `make check-all` has them too.
ASAN_REAL_TESTS = $(filter-out branch late lost recover stop swap,$(REAL_TESTS))
VALGRIND_REAL_TESTS :=
# As a user with all that one needs, with neither /dev/userfaultfd nor the right to it.
USER_REAL_TESTS := capture clones guest lazy main user
USER_EXAMPLES := $(filter-out lazy_restore,$(EXAMPLES))
# Threads that wait in page faults, in which valgrind lets no other thread run; a program
# that starts itself as /proc/self/exe, which is valgrind's then; children that tell why
# they could not start in memory that they share, which they do not under valgrind; a kill by
# pidfd_open(), which it does not know; limits of descriptors and memory, of which it takes
# some; and programs that stop in the midst of vfork().
NO_VALGRIND_TESTS := directory packet pager pager_fail pager_huge spawn bad_config detached keeper late lost \
	notifications race recover
# kind/name=seconds, for those that need more or less than 120.
TEST_TIMEOUTS := lint/cppcheck=300 install/install=300 install/system=300 linux/agent=300 linux/restore=300 \
	fault/places=$(if $(FCSNAP_FAULT_LONG),1500,300)

LINTS := size docs symbols words layers sources format cppcheck shellcheck doxygen man
ABI_TESTS := headers library unload

# --- Settings ----------------------------------------------------------------

PREFIX ?= /usr/local
prefix ?= $(PREFIX)
bindir ?= $(prefix)/bin
includedir ?= $(prefix)/include
libdir ?= $(prefix)/lib
pkgconfigdir ?= $(libdir)/pkgconfig
mandir ?= $(prefix)/share/man

FLAVOUR ?= plain
PKG_CONFIG ?= pkg-config
ABI := 1

Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,printf '%-4s %s\n' $(1) $(2))

version_part = $(shell sed -n 's/^.define FCSNAP_VERSION_$(1) *//p' include/fcsnap/version.h)
MAJOR := $(call version_part,MAJOR)
MINOR := $(call version_part,MINOR)
VERSION := $(MAJOR).$(MINOR).$(call version_part,PATCH)
NEWEST_NODE := $(shell sed -n 's/^FCSNAP_\([0-9.]*\) *{.*/\1/p' lib/libfcsnap.map | sort -V | tail -n 1)
ifeq ($(filter clean help format,$(MAKECMDGOALS)),)
ifneq ($(NEWEST_NODE),$(MAJOR).$(MINOR))
$(error include/fcsnap/version.h says $(MAJOR).$(MINOR), lib/libfcsnap.map says $(NEWEST_NODE))
endif
endif

# libcurl is opened at run time by its soname: its headers are enough.
LINKED := libcjson uuid libxxhash
REQUIRED := $(LINKED) libcurl

OPTIMISE_plain := -O2 -g
OPTIMISE_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
OPTIMISE_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
OPTIMISE_cov := -O0 -g --coverage
OPTIMISE := $(OPTIMISE_$(FLAVOUR))
ifeq ($(OPTIMISE),)
$(error FLAVOUR is plain, asan, tsan or cov)
endif
# Not with sanitizers, not without optimisation, and not over a packager's own choice.
FORTIFY := $(if $(filter plain,$(FLAVOUR)),$(if $(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) \
	$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))

# Texts of errors and paths are cut to their buffers on purpose.
WARNINGS := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wconversion -Wvla \
	-Wformat=2 -Wno-format-truncation $(if $(filter 1,$(WERROR)),-Werror)

# Looked up when the first command needs them, so that `make clean` does not.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(REQUIRED)))$(PKG_CFLAGS)
FAKE_LIBS = $(eval FAKE_LIBS := $(shell $(PKG_CONFIG) --libs libmicrohttpd))$(FAKE_LIBS)
PKG_LIBS = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(LINKED)))$(PKG_LIBS)

BUILD_CPPFLAGS = -D_GNU_SOURCE -Iinclude $(PRIVATE) $(DEFINES) $(PKG_CFLAGS) $(FORTIFY) $(CPPFLAGS)
BUILD_CFLAGS = -std=c11 $(OPTIMISE) $(WARNINGS) -fvisibility=hidden -fstack-protector-strong -fPIC \
	-pthread $(CFLAGS)
BUILD_LDFLAGS = $(OPTIMISE) -pthread $(LDFLAGS)
# Nothing here that depends on the target: a change of it compiles all again.
FLAGS = $(subst ','\'',$(CC) $(OPTIMISE) $(FORTIFY) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS))
COMPILE = $(CC) $(BUILD_CPPFLAGS) $(BUILD_CFLAGS) -MMD -MP

# --- Where it is built -------------------------------------------------------

P := build/$(FLAVOUR)
# The unit and real tests use the library with failpoints.
F := build/$(FLAVOUR)-fp
B := $(if $(filter 1,$(FAILPOINTS)),$F,$P)
BUILD_GUEST := build/guest
GUEST := $(BUILD_GUEST)/tiny-x86_64
LINUX_KERNEL := $(or $(FCSNAP_CACHE),.cache)/linux/kernel
LINUX_INITRD := $(BUILD_GUEST)/linux-initrd

LIB_SOURCES := \
	$(LIB_BASE:%=lib/base/%.c) \
	$(LIB_VMM:%=lib/vmm/%.c) \
	$(LIB_MEMORY:%=lib/memory/%.c) \
	$(LIB_SNAPSHOT:%=lib/snapshot/%.c) \
	$(LIB_GUEST:%=lib/guest/%.c) \
	$(LIB_HOST:%=lib/host/%.c)

STATIC := $B/libfcsnap.a
SHARED := $B/libfcsnap.so.$(VERSION)
SONAME := libfcsnap.so.$(ABI)
LINKS := $B/$(SONAME) $B/libfcsnap.so
# Those of section 3 are made by `make docs`.
MAN_PAGES := $B/man/fcsnap-rpc.7
# The process of a detached VM.
KEEPER := $B/fcsnap-keeper

# T=text keeps the tests whose kind/name contains text.
wanted = $(if $(T),$(foreach t,$(1),$(if $(findstring $(T),$(t)),$(t))),$(1))
programs = $(patsubst %,$(2)/tests/%_test,$(call wanted,$(1)))
UNIT_PROGRAMS := $(call programs,$(UNIT_TESTS:%=unit/%),$F)
API_PROGRAMS := $(call programs,$(API_TESTS:%=api/%),$B)
REAL_PROGRAMS := $(call programs,$(REAL_TESTS:%=real/%),$F)
LINUX_PROGRAMS := $(call programs,$(LINUX_TESTS:%=linux/%),$F) \
	$(patsubst %,$B/%,$(call wanted,$(LINUX_EXAMPLES:%=examples/%)))
GUEST_PROGRAMS := $(patsubst %,$B/%,$(call wanted,$(GUEST_EXAMPLES:%=examples/%)))
FAKE_PROGRAMS := $(call programs,$(FAKE_TESTS:%=fake/%) $(FAKE_REAL_TESTS:%=real/%),$F)
FAULT_PROGRAMS := $(call programs,$(FAULT_TESTS:%=fault/%),$F)
AGENT_PROGRAMS := $(call programs,$(AGENT_TESTS:%=agent/%),$F)
EXAMPLE_PROGRAMS := $(patsubst %,$B/%,$(call wanted,$(EXAMPLES:%=examples/%)))
BENCH_PROGRAMS := $(BENCHES:%=$B/bench/%)
TEST_PROGRAMS := $(UNIT_PROGRAMS) $(API_PROGRAMS) $(REAL_PROGRAMS)

# --- The library -------------------------------------------------------------

# Left out where its HTTP server is missing: nothing else needs that.
FAKE_PROGRAM := $(if $(shell $(PKG_CONFIG) --exists libmicrohttpd && echo yes),$B/fcsnap-fake)

.PHONY: all lib guest examples FORCE
all: lib examples guest agent $(FAKE_PROGRAM)
lib: $(STATIC) $(SHARED) $(LINKS) $(KEEPER)
examples: $(EXAMPLES:%=$B/examples/%) $(GUEST_EXAMPLES:%=$B/examples/%)

define static_library
$(1)/libfcsnap.a: $(LIB_SOURCES:%.c=$(1)/%.o)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$^
$(1)/%.o: %.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,$$<)
	$$(Q)$$(COMPILE) -c $$< -o $$@
# Objects are compiled again when the compiler or its flags change.
$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@$$(PKG_CONFIG) --exists '$$(REQUIRED)' || { echo 'missing libraries: tests/setup.sh installs them'; exit 1; }
	@printf '%s\n' '$$(FLAGS)' | cmp -s - $$@ || printf '%s\n' '$$(FLAGS)' > $$@
endef
$(foreach dir,$(sort $B $F),$(eval $(call static_library,$(dir))))

$F/%: DEFINES := -DFCSNAP_FAILPOINTS
$(sort $B/lib/%.o $F/lib/%.o): PRIVATE := -Ilib
$(sort $F/tests/unit/%.o $F/tests/real/%.o $F/tests/linux/%.o $F/tests/fault/%.o $F/tests/agent/%.o \
	$(FAKE_TESTS:%=$F/tests/fake/%_test.o) \
	$B/tests/bench/%.o): PRIVATE := -Ilib -Itests
$B/tests/api/%.o: PRIVATE := -Itests

$(SHARED): $(LIB_SOURCES:%.c=$B/%.o) lib/libfcsnap.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/libfcsnap.map \
		-Wl,-z,defs,-z,nodelete,-z,relro,-z,now $(filter %.o,$^) -o $@ $(BUILD_LDFLAGS) $(PKG_LIBS)
$(LINKS): $(SHARED)
	$(Q)ln -sf $(<F) $@

$(KEEPER): $B/lib/host/keeper_main.o $(STATIC)
	$(call say,LD,$@)
	$(Q)$(CC) $^ -o $@ $(BUILD_LDFLAGS) -Wl,--as-needed $(PKG_LIBS)

# --- The tiny guest, examples and benchmarks ---------------------------------

guest: $(GUEST)
	@:
include examples/guest/tiny/rules.mk

include examples/guest/agent/rules.mk
.PHONY: agent
agent: $(AGENT)
	@:

$B/examples/%: $B/examples/%.o $(LINKS)
	$(call say,LD,$@)
	$(Q)$(CC) $< -o $@ -Wl,-rpath,'$$ORIGIN/..' -L$B -lfcsnap $(BUILD_LDFLAGS)

$B/bench/%: $B/tests/bench/%.o $B/tests/bench/floor.o $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $^ -o $@ $(BUILD_LDFLAGS) $(PKG_LIBS)

# The agent is the guest's init, and what that runs is busybox and a service of our own.
$(LINUX_INITRD): build/plain/fcsnap-agent tests/linux/echo.c $(LINUX_KERNEL)/vmlinux
	@rm -rf $@.d && mkdir -p $@.d/dev $@.d/bin
	$(call say,LD,$@)
	$(Q)strip -o $@.d/init $<
	$(Q)cp /bin/busybox $@.d/bin
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Os -s -static $(WARNINGS) tests/linux/echo.c -o $@.d/bin/vsock-echo
	$(Q)cp -r $(LINUX_KERNEL)/modules/guest $@.d/modules
	$(Q)cd $@.d && find . | cpio --quiet -o -H newc > ../$(@F)

# --- The fake Firecracker -----------------------------------------------------

# Names that the C library or ours has are other ones in the tiny guest's files.
TINY_NAMES := $(foreach name,json_check memcpy memmove memset memcmp,-D$(name)=tiny_$(name))
$(FAKE:%=$B/tests/fake/%.o): PRIVATE := -Ilib -Itests -Iexamples/guest

$B/tests/fake/tiny/%.o: examples/guest/tiny/%.c $B/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) $(TINY_NAMES) -c $< -o $@

$B/fcsnap-fake: $(FAKE:%=$B/tests/fake/%.o) $(FAKE_TINY:%=$B/tests/fake/tiny/%.o) $(STATIC)
	$(call say,LD,$@)
	$(Q)$(CC) $^ -o $@ $(BUILD_LDFLAGS) -Wl,--as-needed $(PKG_LIBS) $(FAKE_LIBS)

# --- Test programs -----------------------------------------------------------

define link_test
	$(call say,LD,$@)
	$(Q)$(CC) $^ -o $@ $(BUILD_LDFLAGS) $(PKG_LIBS) -lcmocka
endef

$F/tests/unit/%_test: $F/tests/unit/%_test.o $F/libfcsnap.a
	$(link_test)

$F/tests/fake/%_test: $F/tests/fake/%_test.o $(REAL_SUPPORT:%=$F/tests/real/%.o) $F/libfcsnap.a
	$(link_test)

$F/tests/real/lost_test: $F/tests/real/sick_file.o
$F/tests/real/detached_test $F/tests/real/keeper_test: $F/tests/real/detached.o
$F/tests/real/%_test: $F/tests/real/%_test.o $(REAL_SUPPORT:%=$F/tests/real/%.o) $F/libfcsnap.a
	$(link_test)

$F/tests/fault/%_test: $F/tests/fault/%_test.o $(FAULT_SUPPORT:%=$F/tests/fault/%.o) \
		$(REAL_SUPPORT:%=$F/tests/real/%.o) $F/libfcsnap.a
	$(link_test)

$F/tests/linux/%_test: $F/tests/linux/%_test.o $(REAL_SUPPORT:%=$F/tests/real/%.o) $F/libfcsnap.a
	$(link_test)

$F/tests/agent/%_test: $F/tests/agent/%_test.o $F/tests/agent/support.o \
		$F/examples/guest/agent/base64.o $F/libfcsnap.a
	$(link_test)

$B/tests/api/%_test: $B/tests/api/%_test.o $(LINKS)
	$(call say,LD,$@)
	$(Q)$(CC) $< -o $@ -Wl,-rpath,'$$ORIGIN/../..' -L$B -lfcsnap $(BUILD_LDFLAGS) -lcmocka

# Opens the library by its name, so it is not linked with it.
$B/tests/abi/unload: $B/tests/abi/unload.o $(LINKS)
	$(call say,LD,$@)
	$(Q)$(CC) $< -o $@ $(BUILD_LDFLAGS)

# --- Checks ------------------------------------------------------------------
# Each target ends with one line: N passed, N failed, N skipped. The steps of
# `make check` have RESULTS, and run.sh adds its numbers there instead.

CHECKS := all lint check-unit check-api check-real check-fake check-agent check-user \
	check-examples check-fault check-linux check-install check-abi check-asan check-valgrind \
	check-tsan
.PHONY: prepare check check-all check-tests run-fake run-agent-tests lint $(filter check-%,$(CHECKS))

# In parallel, unless make was told how.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE = $(MAKE) --no-print-directory $(JOBS)

VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
	--trace-children=no --child-silent-after-fork=yes --suppressions=tests/valgrind.supp
# Address space randomisation of new kernels is more than ThreadSanitizer can map.
WRAP_tsan = $(shell setarch -R true 2>/dev/null && echo setarch -R)

LABEL ?= $(filter-out plain,$(FLAVOUR))
SLOWER := $(if $(LABEL),FCSNAP_TEST_TIMEOUT=$${FCSNAP_TEST_TIMEOUT:-300})
WRAP ?= $(WRAP_$(FLAVOUR))
RUN = $(SLOWER) FCSNAP_GUEST=$(abspath $(GUEST)) FCSNAP_KEEPER=$(abspath $(KEEPER)) \
	FCSNAP_AGENT=$${FCSNAP_AGENT:-$(abspath $(AGENT))} tests/run.sh \
	--log build/$(or $(LABEL),plain)/log --timeouts '$(TEST_TIMEOUTS)' \
	$(LABEL:%=--label %) $(if $(WRAP),--wrap '$(WRAP)') $(if $(RESULTS),--results $(RESULTS))

export ASAN_OPTIONS ?= detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= exitcode=66:second_deadlock_stack=1

# Build $(1), then run $(2) with the options $(3) of run.sh.
define build_and_run
	+$(Q)$(SUBMAKE) prepare PREPARED='$(1)'
	$(Q)$(RUN) $(3) $(2)
endef
# Says nothing when all is up to date.
prepare: guest agent $(KEEPER) $(PREPARED)
	@:
scripts = $(patsubst %,tests/%.sh,$(call wanted,$(1)))

check:
	$(Q)tests/setup.sh
	@mkdir -p build && rm -f build/results
	+@for step in $(CHECKS); do \
		$(SUBMAKE) $$step RESULTS=build/results || { echo "FAIL $$step"; echo 0 1 0 >> build/results; }; \
	done; tests/run.sh --sum build/results

check-all:
	+@FCSNAP_FAULT_LONG=1 $(SUBMAKE) check ASAN_REAL_TESTS='$(REAL_TESTS)' \
		TSAN_REAL_TESTS='$(REAL_TESTS)' VALGRIND_REAL_TESTS='$(filter-out $(NO_VALGRIND_TESTS),$(REAL_TESTS))'

check-unit:
	$(call build_and_run,$(UNIT_PROGRAMS),$(UNIT_PROGRAMS))

check-api:
	$(call build_and_run,$(API_PROGRAMS),$(API_PROGRAMS))

check-real:
	$(Q)tests/setup.sh --build
	$(call build_and_run,$(REAL_PROGRAMS),$(REAL_PROGRAMS),--firecrackers '$(FCSNAP_TEST_FIRECRACKERS)')

# The fake answers as the real one does; and the library works with it for a user without KVM.
check-fake:
	$(Q)tests/setup.sh
	@mkdir -p build && rm -f build/fake.results
	$(call build_and_run,$B/fcsnap-fake,$(call scripts,transcript/compare),--results $(FAKE_RESULTS))
	+$(Q)$(SUBMAKE) run-fake LABEL=fake WRAP='tests/user.sh kvmless' RESULTS=$(FAKE_RESULTS)
	$(if $(RESULTS),,$(Q)tests/run.sh --sum build/fake.results)
run-fake: export FCSNAP_FIRECRACKER = $(abspath $B/fcsnap-fake)
run-fake: export FCSNAP_TEST_KVM = none
run-fake:
	$(call build_and_run,$B/fcsnap-fake $(FAKE_PROGRAMS),$(FAKE_PROGRAMS))
FAKE_RESULTS = $(or $(RESULTS),build/fake.results)

# The agent as it is installed, and under AddressSanitizer and UBSan.
check-agent:
	@mkdir -p build && rm -f build/agent.results
	$(call agent_checks,plain,)
	$(call agent_checks,asan,asan)
	$(if $(RESULTS),,$(Q)tests/run.sh --sum build/agent.results)
agent_checks = +$(Q)$(SUBMAKE) run-agent-tests AGENT=build/$(1)/fcsnap-agent LABEL=$(2) \
	RESULTS=$(or $(RESULTS),build/agent.results)
run-agent-tests: export FCSNAP_AGENT = $(abspath $(AGENT))
run-agent-tests:
	$(call build_and_run,$(AGENT) $(AGENT_PROGRAMS),$(AGENT_PROGRAMS))

# Three users: userfaultfd is open to them, denied to them, or not there.
check-user:
	$(Q)tests/setup.sh --build
	@mkdir -p build && rm -f build/user.results
	+$(call as_user,open,check-tests,UNIT_TESTS= API_TESTS= REAL_TESTS='$(USER_REAL_TESTS)')
	+$(call as_user,open,check-examples,EXAMPLES=lazy_restore)
	+$(call as_user,denied,check-tests,UNIT_TESTS= REAL_TESTS=user)
	+$(call as_user,denied,check-examples,EXAMPLES='$(USER_EXAMPLES)')
	+$(call as_user,absent,check-tests,UNIT_TESTS= API_TESTS= REAL_TESTS=user)
	$(if $(RESULTS),,$(Q)tests/run.sh --sum build/user.results)
as_user = $(Q)$(SUBMAKE) $(2) $(3) LABEL=user-$(1) WRAP='tests/user.sh $(1)' \
	RESULTS=$(or $(RESULTS),build/user.results)

check-fault:
	$(Q)tests/setup.sh --build
	$(call build_and_run,$(FAULT_PROGRAMS),$(FAULT_PROGRAMS))

check-examples:
	$(call build_and_run,$(EXAMPLE_PROGRAMS),$(EXAMPLE_PROGRAMS),--arg $(GUEST))

# Each in a machine of its own, the examples with the tiny guest; so only one at a time.
check-linux shell-linux: export FCSNAP_LINUX_KERNEL = $(abspath $(LINUX_KERNEL)/vmlinux)
check-linux shell-linux: export FCSNAP_LINUX_INITRD = $(abspath $(LINUX_INITRD))
check-linux: LABEL := linux
check-linux: WRAP := tests/linux/machine.sh
check-linux:
	$(Q)tests/setup.sh --linux
	@mkdir -p build && rm -f build/linux.results
	$(call build_and_run,$(LINUX_INITRD) $(LINUX_PROGRAMS),$(LINUX_PROGRAMS),--arg $(GUEST) \
		--results $(LINUX_RESULTS))
	$(call build_and_run,$(GUEST_PROGRAMS),$(GUEST_PROGRAMS),$(GUEST_ARGUMENTS) \
		--results $(LINUX_RESULTS))
	$(if $(RESULTS),,$(Q)tests/run.sh --sum build/linux.results)
LINUX_RESULTS = $(or $(RESULTS),build/linux.results)
GUEST_ARGUMENTS = $(addprefix --arg ,$(FCSNAP_LINUX_KERNEL) $(FCSNAP_LINUX_INITRD) busybox cat /input)

.PHONY: shell-linux
shell-linux:
	$(Q)tests/setup.sh --linux
	+$(Q)$(SUBMAKE) prepare PREPARED='$(LINUX_INITRD) examples'
	$(Q)FCSNAP_FIRECRACKER=$$(tests/setup.sh --print) FCSNAP_GUEST=$(abspath $(GUEST)) \
		tests/linux/machine.sh --shell $(EXAMPLES:%=$B/examples/%)

# All cmocka programs of one flavour.
check-tests:
	$(call build_and_run,$(TEST_PROGRAMS),$(TEST_PROGRAMS))

check-asan:
	+@$(SUBMAKE) check-tests FLAVOUR=asan REAL_TESTS='$(ASAN_REAL_TESTS)'

check-tsan:
	+@$(SUBMAKE) check-tests FLAVOUR=tsan REAL_TESTS='$(TSAN_REAL_TESTS)'

check-valgrind:
	+@$(SUBMAKE) check-tests LABEL=valgrind WRAP='$(VALGRIND)' REAL_TESTS='$(VALGRIND_REAL_TESTS)' \
		UNIT_TESTS='$(filter-out $(NO_VALGRIND_TESTS),$(UNIT_TESTS))'

check-install:
	$(call build_and_run,lib,$(call scripts,install/install install/system install/readme))

check-abi:
	$(call build_and_run,lib $B/tests/abi/unload,$(call scripts,$(ABI_TESTS:%=abi/%)))

lint:
	$(call build_and_run,lib $(MAN_PAGES),$(call scripts,$(LINTS:%=lint/%)))

.PHONY: print-sources
print-sources:
	@printf '%s\n' $(LIB_SOURCES) lib/host/keeper_main.c include/fcsnap.h $(HEADERS:%=include/fcsnap/%.h) \
		$(UNIT_TESTS:%=tests/unit/%_test.c) $(API_TESTS:%=tests/api/%_test.c) \
		$(REAL_TESTS:%=tests/real/%_test.c) $(LINUX_TESTS:%=tests/linux/%_test.c) \
		$(FAULT_TESTS:%=tests/fault/%_test.c) $(AGENT_TESTS:%=tests/agent/%_test.c) \
		$(AGENT_SOURCES:%=$(AGENT_DIR)/%.c) \
		$(FAKE:%=tests/fake/%.c) $(FAKE_TESTS:%=tests/fake/%_test.c)

# --- Documents, benchmarks, installation -------------------------------------

.PHONY: docs demo bench $(BENCHES:%=bench-%) format coverage
docs:
	$(Q)tests/lint/doxygen.sh

# Without KVM, in the machine of check-linux, and with a Linux guest, too.
HAVE_KVM := [ -w /dev/kvm ] && (: </dev/kvm) 2>/dev/null
demo:
	$(Q)tests/setup.sh --build
	+$(Q)$(SUBMAKE) $B/examples/demo guest
	$(Q){ $(HAVE_KVM); } || { echo 'No /dev/kvm: run in an emulated machine, a minute or two' && \
		tests/setup.sh --linux; }
	$(Q)FCSNAP_FIRECRACKER=$$(tests/setup.sh --print) \
		$$({ $(HAVE_KVM); } || echo tests/linux/machine.sh) $B/examples/demo $(GUEST)
	+$(Q){ $(HAVE_KVM); } || $(SUBMAKE) demo-linux

.PHONY: demo-linux
demo-linux: export FCSNAP_LINUX_KERNEL = $(abspath $(LINUX_KERNEL)/vmlinux)
demo-linux: export FCSNAP_LINUX_INITRD = $(abspath $(LINUX_INITRD))
demo-linux: $(LINUX_INITRD) $B/examples/guest_clones
	$(Q)FCSNAP_FIRECRACKER=$$(tests/setup.sh --print) tests/linux/machine.sh $B/examples/guest_clones \
		$(FCSNAP_LINUX_KERNEL) $(FCSNAP_LINUX_INITRD) busybox true

# One after the other, also with -j: they measure.
bench:
	+@for name in $(BENCHES); do $(SUBMAKE) bench-$$name || exit; done

$(BENCHES:%=bench-%): bench-%:
	$(Q)tests/setup.sh --build
	+$(Q)$(SUBMAKE) $B/bench/$* guest
	@mkdir -p build/bench
	$(Q)FCSNAP_FIRECRACKER=$$(tests/setup.sh --print) $B/bench/$* $(GUEST) build/bench/$*.json

format:
	$(Q)tests/lint/format.sh --write

coverage:
	-+$(Q)$(SUBMAKE) check-tests FLAVOUR=cov
	$(Q)tests/coverage.py build/cov build/cov-fp

# SOURCE:DESTINATION:MODE. Install and uninstall expand this one list.
INSTALL_LIST := \
	include/fcsnap.h:$(includedir)/fcsnap.h:644 \
	$(foreach h,$(HEADERS),include/fcsnap/$(h).h:$(includedir)/fcsnap/$(h).h:644) \
	$(STATIC):$(libdir)/libfcsnap.a:644 \
	$(foreach f,$(SHARED) $(LINKS),$(f):$(libdir)/$(notdir $(f)):755) \
	$B/fcsnap.pc:$(pkgconfigdir)/fcsnap.pc:644 \
	$(foreach m,$(MAN_PAGES),$(m):$(mandir)/man7/$(notdir $(m)):644) \
	$(AGENT):$(bindir)/fcsnap-agent:755 \
	$(KEEPER):$(bindir)/fcsnap-keeper:755 \
	$(FAKE_PROGRAM:%=%:$(bindir)/fcsnap-fake:755)
each_installed = for entry in $(INSTALL_LIST); do \
	source=$${entry%%:*}; mode=$${entry\#\#*:}; target=$${entry\#*:}; target="$(DESTDIR)$${target%:*}"

# The loader looks into its cache. A tree in DESTDIR is for another system.
REFRESH = $(if $(DESTDIR),:,[ "$$(id -u)" != 0 ] || ldconfig || :)

.PHONY: install uninstall dist clean
install: lib $B/fcsnap.pc $(MAN_PAGES) $(AGENT) $(FAKE_PROGRAM)
	$(Q)set -e; $(each_installed); install -d "$$(dirname "$$target")"; \
		if [ -L $$source ]; then ln -sf "$$(readlink $$source)" "$$target"; \
		else install -m $$mode $$source "$$target"; fi; done
	$(Q)$(REFRESH)

uninstall:
	$(Q)$(each_installed); rm -f "$$target"; done
	$(Q)rmdir "$(DESTDIR)$(includedir)/fcsnap" 2>/dev/null || :
	$(Q)$(REFRESH)

$B/fcsnap.pc: pkgconfig/fcsnap.pc.in FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(prefix)|' -e 's|@includedir@|$(includedir:$(prefix)/%=$${prefix}/%)|' \
		-e 's|@libdir@|$(libdir:$(prefix)/%=$${prefix}/%)|' -e 's|@version@|$(VERSION)|' $< > $@

# The agent stands in the page as it is run by the tests.
$B/man/%.7: man/%.7.in examples/guest/agent.py include/fcsnap/version.h
	@mkdir -p $(@D)
	$(Q)sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/" examples/guest/agent.py > $@.example
	$(Q)sed -e '/^@agent.py@$$/{' -e 'r $@.example' -e d -e '}' -e 's/@version@/$(VERSION)/' \
		-e '/^\.\\" @agent/d' $< > $@
	$(Q)rm $@.example

dist:
	@mkdir -p build/dist
	$(Q)git archive --prefix=fcsnap-$(VERSION)/ -o build/dist/fcsnap-$(VERSION).tar.gz HEAD
	@echo build/dist/fcsnap-$(VERSION).tar.gz

clean:
	$(Q)rm -rf build

.PHONY: help
help:
	@sed -n 's/^#? //p' Makefile

#? all             the library, the examples, the tiny guest and the agent for Linux guests
#? check           what says check below, and lint; one closing line
#? check-all       the same with more faults, and all real tests also under sanitizers and valgrind
#? check-unit      modules, from inside
#? check-api       the public functions, through the shared library
#? check-real      with a real Firecracker
#? check-fault     each place fails, Firecracker stops or dies there: nothing is left, all goes on
#? check-fake      the fake Firecracker against the real one, and some real tests on the fake
#? check-agent     the agent for Linux guests on a UNIX socket, also under AddressSanitizer
#? check-user      api tests, examples and some real tests as a user who is not root
#? check-examples  each example ends well
#? check-linux     restores of a Linux guest, and examples, in an emulated machine
#? check-asan      unit, api and real tests under AddressSanitizer and UBSan
#? check-tsan      unit and api tests, and some real ones, under ThreadSanitizer
#? check-valgrind  unit and api tests under valgrind
#? check-install   install, build against it, uninstall, nothing left
#? check-abi       headers alone, what the library exports and needs, unloading
#? lint            sizes, docs, symbols, forbidden words, layers, format, cppcheck
#? docs            HTML and man pages in build/docs
#? shell-linux     a prompt in the machine of check-linux; Ctrl-A X ends it
#? demo            boot, snapshot and restore a tiny guest, with a word on each step
#? bench           bench-restore, bench-capture and bench-rpc; JSON in build/bench
#? install         to PREFIX (/usr/local), and ldconfig; DESTDIR, libdir, includedir are heeded
#? uninstall       removes what install wrote
#? dist            a tarball of HEAD
#? clean           removes build/
#? format          writes the style of .clang-format to all C files
#? coverage        lines covered by unit, api and real tests
#? T=text keeps only tests whose kind/name contains text; V=1 shows commands;
#? WERROR=1 makes warnings fail; FLAVOUR=plain|asan|tsan|cov; FAILPOINTS=1

DEPENDENCIES := $(LIB_SOURCES:%.c=$B/%.d) $B/lib/host/keeper_main.d $(LIB_SOURCES:%.c=$F/%.d) \
	$(addsuffix .d,$(TEST_PROGRAMS) $(LINUX_PROGRAMS) $(FAKE_PROGRAMS) $(FAULT_PROGRAMS) \
	$(EXAMPLE_PROGRAMS) $(GUEST_PROGRAMS) $(AGENT_PROGRAMS)) $F/tests/agent/support.d \
	$(REAL_SUPPORT:%=$F/tests/real/%.d) $F/tests/real/sick_file.d $F/tests/real/detached.d \
	$(FAULT_SUPPORT:%=$F/tests/fault/%.d) \
	$(BENCHES:%=$B/tests/bench/%.d) $B/tests/bench/floor.d $B/examples/demo.d $B/tests/abi/unload.d \
	$(FAKE:%=$B/tests/fake/%.d) $(FAKE_TINY:%=$B/tests/fake/tiny/%.d)
-include $(DEPENDENCIES)
.SECONDARY:
