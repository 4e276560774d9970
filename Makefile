# SPDX-License-Identifier: GPL-2.0-or-later
#
# The front door for people: builds, checks, demonstrates and installs dm-larder. "make help" lists
# what there is. What the module is made of is in Kbuild, what `make check` runs is in tests/suites.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DESTDIR ?=

# The kernel that `make modules` without KERNEL= builds and installs for, and its headers.
KERNELRELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNELRELEASE)/build
MODULES_DIR = $(DESTDIR)/lib/modules/$(KERNELRELEASE)

# One of Debian's kernels, or all of them, in the machine room (tests/vm): 6.1, 6.12, 7.2 or all.
KERNEL ?=
SERIES = $(if $(filter all,$(KERNEL)),6.1 6.12 7.2,$(KERNEL))

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
export V

KBUILD_MAKE = $(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) \
	$(if $(filter command line environment,$(origin CC)),CC=$(CC)) $(if $(W),W=$(W)) $(if $(C),C=$(C))

.PHONY: all
all: modules tools

##  Build

.PHONY: modules
modules: $(if $(KERNEL),$(addprefix modules-,$(SERIES)),modules-native) ## The module, for the running kernel or KERNEL=6.1|6.12|7.2|all

.PHONY: modules-native
modules-native:
	$(Q)test -e $(KDIR)/Makefile || { \
		echo "make: no kernel headers in $(KDIR)." >&2; \
		echo "make: Debian: apt-get install linux-headers-$(KERNELRELEASE); or name another tree with KDIR=," >&2; \
		echo "make: or build for one of Debian's kernels in a chroot: make modules KERNEL=6.12" >&2; \
		exit 1; }
	$(Q)$(KBUILD_MAKE) modules

.PHONY: modules-6.1 modules-6.12 modules-7.2
modules-6.1 modules-6.12 modules-7.2: modules-%:
	$(Q)tests/vm/build-modules $* build/$* . W=1 $(if $(filter command line environment,$(origin CC)),CC=$(CC)) $(if $(C),C=$(C))

.PHONY: tools
tools: ## The user-space tool, build/bin/larder
	$(Q)$(MAKE) --no-print-directory -C userland all

##  Check and demonstrate

.PHONY: check
check: ## Every check that a change must pass, on all three kernels (< 40 minutes)
	$(Q)tests/check

.PHONY: check-long
check-long: ## The longer suites of tests/suites
	$(Q)tests/check --group long

.PHONY: check-kasan
check-kasan: ## The module in a kernel with KASAN, lockdep, kmemleak and failing memory
	$(Q)tests/sanitized/check-kasan

.PHONY: check-kcsan
check-kcsan: ## The module in a kernel that looks for data races
	$(Q)tests/sanitized/check-kcsan

.PHONY: check-worlds
check-worlds: ## All sequences of LENGTH=4 operations on a tiny cache, all crashes in them
	$(Q)tests/sim/worlds/run small-worlds --length $(or $(LENGTH),4)

.PHONY: check-faults
check-faults: ## Every I/O, every allocation of every management operation fails once
	$(Q)tests/sim/worlds/run faults

.PHONY: check-crash
check-crash: ## Power cuts at many places, replayed from logs of all writes (SEEDS="1 2")
	$(Q)tests/crash/crash

.PHONY: check-lvm2
check-lvm2: ## lvm2's own tests of caches, compared with the kernel's dm-cache (TESTS="..."; STOCK=1: that again, too)
	$(Q)tests/lvm2/run $(if $(STOCK),--stock) $(TESTS)

.PHONY: check-lvm
check-lvm: ## Stock lvm2 drives the module; a root file system on a cached LV boots
	$(Q)tests/lvm/run -t 7000 --with-boot

.PHONY: check-lio
check-lio: ## larder export with initiators on every fabric, targetcli, restarts (KERNEL=6.12)
	$(Q)tests/lio/run -k $(or $(KERNEL),6.12) -t 7000 --usb --with-boots

.PHONY: check-pi
check-pi: ## T10 protection information through the cache, on all three kernels and with sanitizers
	$(Q)tests/check --only 'pi-*'

.PHONY: check-mutants
check-mutants: ## Known mistakes planted into the module: the simulator must find each (SEEDS=3000 at most)
	$(Q)tests/sim/mutants/check --seeds $(or $(SEEDS),3000)

.PHONY: check-sim
check-sim: ## The simulator: SEEDS=2000 seeds, or SEED=n with a trace
	$(Q)tests/sim/run $(if $(SEED),--seed $(SEED),$(or $(SEEDS),2000))

.PHONY: coverage
coverage: ## What the unit tests and the simulator run through: a table
	$(Q)tests/coverage/coverage

.PHONY: check-perf
check-perf: ## The measurements of tests/suites
	$(Q)tests/check --group perf

# Not ?=: bash has a variable of its own by this name.
ifneq ($(origin SECONDS),command line)
SECONDS := 60
endif

.PHONY: check-fuzz
check-fuzz: ## Each fuzz target for SECONDS=60
	$(Q)tests/fuzz/run --seconds $(SECONDS)

.PHONY: demo
demo: ## A cache at work in a virtual machine, power cut included
	$(Q)tests/demo/demo

.PHONY: style
style: ## checkpatch.pl --strict, licence lines, lengths of files and functions
	$(Q)tests/static/style

.PHONY: static
static: ## Include rule, sparse, cppcheck, clang's analyzer, shellcheck
	$(Q)tests/static/static

##  Install (DESTDIR, PREFIX and KERNELRELEASE are honoured)

.PHONY: install
install: install-modules install-tools ## Everything: the module for the running kernel, the tool, what LVM needs
	$(Q)$(MAKE) --no-print-directory install-lvm

.PHONY: install-modules
install-modules: modules-native
	$(Q)$(KBUILD_MAKE) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=extra modules_install
	$(Q)test -n "$(DESTDIR)" || depmod -a $(KERNELRELEASE)

.PHONY: install-tools
install-tools: tools
	$(Q)$(MAKE) --no-print-directory -C userland install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)

LVM_MAKE = $(MAKE) --no-print-directory -C lvm-integration DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) \
	BINDIR=$(BINDIR) KERNELRELEASE=$(KERNELRELEASE)

.PHONY: install-lvm
install-lvm: install-tools ## What lets LVM drive it (Documentation/lvm.md); after the module
	$(Q)$(LVM_MAKE) install

.PHONY: install-dkms
install-dkms: ## The sources, for DKMS: afterwards `dkms install dm-larder/VERSION`
	$(Q)dir=$(DESTDIR)/usr/src/dm-larder-$(VERSION) && rm -rf "$$dir" && \
	mkdir -p "$$dir" && cp Kbuild COPYING dkms.conf "$$dir/" && \
	find dm-target policy \( -name '*.[ch]' -o -name Kbuild \) -exec cp --parents -t "$$dir" {} +

.PHONY: uninstall
uninstall: ## Removes what install put there, unless a cache is in use (FORCE=1: nevertheless)
	$(Q)$(LVM_MAKE) check-uninstall
	$(Q)$(LVM_MAKE) uninstall
	$(Q)rm -f $(MODULES_DIR)/extra/dm-larder*.ko $(MODULES_DIR)/extra/dm-larder*.ko.[gxz]*
	$(Q)test -n "$(DESTDIR)" || depmod -a $(KERNELRELEASE)
	$(Q)$(MAKE) --no-print-directory -C userland uninstall DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	$(Q)$(LVM_MAKE) initramfs

.PHONY: clean
clean: ## Removes what was built here (caches in ~/.cache/dm-larder stay)
	$(Q)rm -rf build
	$(Q)find . -path ./.git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '.*.cmd' -o -name '.*.d' -o -name 'Module.symvers' -o -name 'modules.order' \) -type f -exec rm -f {} +

.PHONY: help
help: ## This list
	@echo "dm-larder $(VERSION): make TARGET [KERNEL=6.1|6.12|7.2|all] [CC=gcc|clang] [V=1] [W=1] [C=1]"
	@awk -F ':.*## ' '/^##  / { sub(/^##  /, ""); printf "\n%s\n", $$0 } \
		/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
