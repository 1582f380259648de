# bs - stream filters over zstd-compressed tensor records
#
#   make              build every command
#   make demo         install what is missing, build, run the pipeline
#   make check        install what is missing, build, run every test
#   make help         list the targets
#
# Knobs, on the command line or in an untracked config.mk:
#   V=1               print the commands
#   WERROR=1          warnings are errors (CI sets it)
#   SAN=address,undefined | thread    a build of its own under build/
#   PNG=0, WEBP=0     build without libpng or libwebp even where they are found
#   CUDA=1, CUDA=0    demand GPU kernels, or build without them even where nvcc is found
#   TESTS='...'       run these tests only

.SUFFIXES:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

all:

VERSION := $(shell git describe --tags --dirty --match 'v[0-9]*' 2>/dev/null || echo v0.1.0$$(git describe --always --dirty 2>/dev/null | sed 's/^/-g/'))
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
MANDIR  ?= $(DATADIR)/man
DESTDIR ?=

ifeq ($(origin CC),default)
CC := cc
endif
ifeq ($(origin CXX),default)
CXX := c++
endif
CFLAGS     ?= -O3 -g
PKG_CONFIG ?= pkg-config
PROVE      ?= prove
PYTHON     ?= python3
# On the path, or where 'make deps-cuda' put it.
ifeq ($(origin NVCC),undefined)
NVCC       := $(firstword $(shell command -v nvcc) $(wildcard build/nvcc/lib/python3*/site-packages/nvidia/cu13/bin/nvcc) nvcc)
endif

-include config.mk

# ---- what is here ----------------------------------------------------------

CMDS := $(sort $(patsubst cmd/%.c,%,$(wildcard cmd/bs-*.c)))

lib_SRC  := $(sort $(wildcard common/*.c formats/*.c kernels/*.c cmd/models/*.c) \
              $(filter-out cmd/bs-%,$(wildcard cmd/*.c)))
cuda_SRC := $(sort $(wildcard kernels/*.cu))
unit_SRC := $(sort $(wildcard tests/unit/*.c tests/kernels/k-*.c))
fuzz_SRC := $(sort $(wildcard tests/fuzz/fuzz-*.c))
MAN1     := $(sort $(wildcard man/*.1))
MAN5     := $(sort $(wildcard man/*.5))
MAN7     := $(sort $(wildcard man/*.7))

# Debian packages: what the build needs, and what the tests need besides.
BUILD_DEBS := gcc libc6-dev make pkg-config git libzstd-dev libxxhash-dev libarchive-dev \
              libjpeg-dev libpng-dev libwebp-dev nettle-dev liblapacke-dev
TEST_DEBS  := g++ perl mandoc bsdextrautils zstd python3-numpy zsh fish netpbm
# Photographs for t5200, which older releases do not have; it is skipped then.
PHOTO_DEBS := lomiri-wallpapers-16.04

# ---- dependencies: found, refused or demanded, never silently lost ---------

REQUIRED := libzstd libxxhash libarchive libjpeg nettle lapacke
MISSING  :=
ifneq ($(filter-out clean deps deps-test deps-cuda help uninstall format,$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell for lib in $(REQUIRED); do $(PKG_CONFIG) --exists $$lib 2>/dev/null || echo $$lib; done)
ifeq ($(MISSING),)
LIBS   := $(REQUIRED)
PNG    ?= $(shell $(PKG_CONFIG) --exists 'libpng >= 1.6' && echo 1 || echo 0)
WEBP   ?= $(shell $(PKG_CONFIG) --exists libwebp libwebpdemux && echo 1 || echo 0)
LIBS   += $(if $(filter 1,$(PNG)),libpng) $(if $(filter 1,$(WEBP)),libwebp libwebpdemux)
DEP_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(LIBS)) -DBS_HAVE_PNG=$(PNG) -DBS_HAVE_WEBP=$(WEBP)
DEP_LIBS   := $(shell $(PKG_CONFIG) --libs $(LIBS))
else ifneq ($(filter-out check demo,$(or $(MAKECMDGOALS),all))$(DEPS_TRIED),)
$(error not found: $(MISSING); 'make deps' installs or names the packages)
endif
endif

# GPU kernels want nvcc; nothing of CUDA is linked.
have_nvcc := $(shell command -v $(NVCC) >/dev/null && echo 1 || echo 0)
CUDA ?= $(have_nvcc)
ifeq ($(CUDA)$(have_nvcc),10)
$(error CUDA=1, and no $(NVCC); NVCC=path names it)
endif

# ---- flags -----------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wformat=2 \
        -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
        -Wpointer-arith -Wcast-qual -Wdeclaration-after-statement \
        $(if $(WERROR),-Werror)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)

bs_CPPFLAGS := -I. -D_GNU_SOURCE $(DEP_CFLAGS)
bs_CFLAGS   := -std=c11 -fno-math-errno -pthread $(WARN) $(SANFLAGS)
bs_LIBS     := $(DEP_LIBS) -lm -ldl -pthread

# Files named for an instruction set are compiled for it and may fuse multiply
# and add; no other file may, so that results do not depend on the compiler.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(ARCH),x86_64)
isa_avx2       := -mavx2 -mfma -mf16c
isa_avx512     := $(isa_avx2) -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512
isa_avx512bf16 := $(isa_avx512) -mavx512bf16 -mavx512vnni
endif
isa_of = $(lastword $(subst _, ,$(basename $(notdir $(1)))))
isa    = $(if $(filter avx2 avx512 avx512bf16,$(isa_of)),$(isa_$(isa_of)) -ffp-contract=fast,-ffp-contract=off)

# Code for both generations, PTX for what comes after them.  No contraction:
# kernels sum as they are written, here as in the emulation.
NVCCFLAGS := -std=c++17 -O3 -I. -fmad=false -Werror all-warnings -Xptxas -warn-spills \
             -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 \
             -gencode arch=compute_80,code=compute_80

comma := ,
BUILD := build/$(if $(SAN),$(subst $(comma),-,$(SAN)),release)
Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

# ---- objects ---------------------------------------------------------------

LIB      := $(BUILD)/libbs.a
LIB_OBJ  := $(lib_SRC:%.c=$(BUILD)/%.o)
BIN      := $(CMDS:%=$(BUILD)/%)
UNIT     := $(unit_SRC:%.c=$(BUILD)/%)
REPLAY   := $(fuzz_SRC:%.c=$(BUILD)/%)
BROUGHT  := $(BUILD)/tests/kernels/wide.o $(BUILD)/tests/kernels/staged.o $(BUILD)/tests/kernels/staged_train.o
ALL_OBJ  := $(LIB_OBJ) $(CMDS:%=$(BUILD)/cmd/%.o) $(UNIT:%=%.o) $(REPLAY:%=%.o) $(BUILD)/tests/fuzz/replay.o $(BROUGHT)

ifneq ($(MISSING),)
# A bare machine: install, then start over with what is there now.
check demo: deps
	$(Q)$(MAKE) $@ DEPS_TRIED=1
else

## all: build every command
all: $(BIN)

# A change of compiler or flags rebuilds what it touches.
FLAGS_NOW = $(CC) $(bs_CPPFLAGS) $(CPPFLAGS) $(bs_CFLAGS) $(CFLAGS) $(LDFLAGS) $(isa_avx512bf16)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' >$@
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(bs_CPPFLAGS) $(CPPFLAGS) $(bs_CFLAGS) $(CFLAGS) $(call isa,$<) -MMD -MP -c -o $@ $<

$(BUILD)/common/opt.o: $(BUILD)/version
$(BUILD)/common/opt.o: bs_CPPFLAGS += -DBS_VERSION='"$(VERSION)"'

# The kernels for GPUs, embedded.
FATBIN := $(cuda_SRC:%.cu=build/cuda/%.fatbin)
build/cuda/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(NVCC) $(NVCCFLAGS)' | cmp -s - $@ || echo '$(NVCC) $(NVCCFLAGS)' >$@
$(FATBIN): build/cuda/%.fatbin: %.cu $(wildcard kernels/*.cuh) kernels/cuda_args.h kernels/sae_hit.h build/cuda/flags
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(Q)$(NVCC) --version >$(@:fatbin=ptxas)
	$(Q)$(NVCC) $(NVCCFLAGS) -Xptxas -v -fatbin -o $@ $< >>$(@:fatbin=ptxas) 2>&1 || { cat $(@:fatbin=ptxas) >&2; exit 1; }
ifeq ($(CUDA),1)
$(BUILD)/kernels/cuda_image.o: $(FATBIN)
$(BUILD)/kernels/cuda_image.o: bs_CPPFLAGS += -DBS_CUDA_DIR='"build/cuda/kernels"'
else ifneq ($(filter all check,$(or $(MAKECMDGOALS),all)),)
$(info no nvcc: built without GPU kernels)
endif

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

link = $(Q)$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(bs_LIBS) $(LDLIBS)

$(BIN): $(BUILD)/%: $(BUILD)/cmd/%.o $(LIB)
	$(call say,LINK,$@)
	$(link)

$(UNIT): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

# The kernels' tests bring an instruction set of their own, and a device.
$(filter $(BUILD)/tests/kernels/%,$(UNIT)): $(BROUGHT)
# Its vectors, taken apart, with sanitizers at -O3: minutes.
$(BUILD)/tests/kernels/wide.o: CFLAGS += $(if $(SAN),-O1)

# Every fuzz target is also a test: it replays its corpus and the bad files.
$(REPLAY): %: %.o $(BUILD)/tests/fuzz/replay.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(ALL_OBJ:.o=.d)

# ---- tests -----------------------------------------------------------------

## check: install what is missing, build, run every test
include tests/cuda/rules.mk
TESTS ?= $(sort $(wildcard tests/t[0-9]*.sh)) $(UNIT)
check: deps-test all $(UNIT) $(REPLAY) $(FAKE) $(EMU_BIN)
	@mkdir -p $(OPS_LOG)
	$(Q)BS_BIN='$(abspath $(BUILD))' BS_SRC='$(CURDIR)' BS_SAN='$(SAN)' CC='$(CC)' BS_OPS_LOG='$(abspath $(OPS_LOG))' \
	   BS_FAKE='$(abspath $(BUILD)/fake)' BS_EMU='$(if $(EMU_BIN),$(abspath $(BUILD)/emu))' BS_PTXAS='$(abspath $(PTXAS))' $(PROVE) --exec '' $(PROVE_OPTS) $(TESTS)

## check-san: the same under the address and undefined-behaviour sanitizers
check-san:
	$(Q)$(MAKE) check SAN=address,undefined

## check-tsan: the same under the thread sanitizer
check-tsan:
	$(Q)$(MAKE) check SAN=thread

include tests/rules.mk

## demo: install what is missing, build, and find the faults planted in a painted generator
demo: all
	$(Q)BS_BIN='$(abspath $(BUILD))' BS_SRC='$(CURDIR)' sh tests/demo.sh

## install: into $(DESTDIR)$(PREFIX)
install: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(MANDIR)/man5' '$(DESTDIR)$(MANDIR)/man7' \
	   '$(DESTDIR)$(DATADIR)/bash-completion/completions' '$(DESTDIR)$(DATADIR)/zsh/site-functions' \
	   '$(DESTDIR)$(DATADIR)/fish/vendor_completions.d' '$(DESTDIR)$(DATADIR)/bs'
	install -m 755 $(BIN) '$(DESTDIR)$(BINDIR)'
	install -m 644 $(MAN1) '$(DESTDIR)$(MANDIR)/man1'
	install -m 644 $(MAN5) '$(DESTDIR)$(MANDIR)/man5'
	install -m 644 $(MAN7) '$(DESTDIR)$(MANDIR)/man7'
	for cmd in $(CMDS); do \
	   install -m 644 completions/bs.bash "$(DESTDIR)$(DATADIR)/bash-completion/completions/$$cmd" && \
	   install -m 644 completions/bs.fish "$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/$$cmd.fish" || exit 1; done
	install -m 644 completions/_bs '$(DESTDIR)$(DATADIR)/zsh/site-functions'
	install -m 755 man/pth2safetensors.py '$(DESTDIR)$(DATADIR)/bs'
endif

## uninstall: remove what install put there
uninstall:
	for cmd in $(CMDS); do rm -f "$(DESTDIR)$(BINDIR)/$$cmd" \
	   "$(DESTDIR)$(DATADIR)/bash-completion/completions/$$cmd" \
	   "$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/$$cmd.fish"; done
	rm -f $(MAN1:man/%='$(DESTDIR)$(MANDIR)/man1/%') $(MAN5:man/%='$(DESTDIR)$(MANDIR)/man5/%') \
	   $(MAN7:man/%='$(DESTDIR)$(MANDIR)/man7/%') '$(DESTDIR)$(DATADIR)/zsh/site-functions/_bs' \
	   '$(DESTDIR)$(DATADIR)/bs/pth2safetensors.py'

# apt_get,packages: install what dpkg does not know, or print the line.
define apt_get
@missing=$$(for p in $(1); do \
    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
 case "$$missing" in *libjpeg-dev*) ! pkg-config --exists libjpeg 2>/dev/null || \
    missing=$$(echo "$$missing" | grep -v '^libjpeg-dev$$');; esac; \
 test -n "$$missing" || exit 0; \
 set -- $$missing; \
 if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$$@" >/dev/null; \
 else echo "missing packages; run:  sudo apt-get install $$*" >&2; exit 1; fi
endef

## deps: install the Debian packages that the build needs, or print the line
deps:
	$(call apt_get,$(BUILD_DEBS))

deps-test:
	$(call apt_get,$(TEST_DEBS))
	-$(call apt_get,$(PHOTO_DEBS))

## deps-cuda: install the compiler of the GPU kernels into build/nvcc, from PyPI
NVCC_PIP := $(addsuffix ==13.0.*,nvidia-cuda-nvcc nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cccl nvidia-nvvm)
deps-cuda:
	$(call apt_get,python3-venv)
	$(Q)$(PYTHON) -m venv build/nvcc && build/nvcc/bin/pip install -q $(NVCC_PIP) || { rm -rf build/nvcc; exit 1; }

## clean: remove build/
clean:
	rm -rf build

## help: this list
help:
	@cat Makefile tests/rules.mk tests/*/rules.mk | sed -n 's/^## //p'

FORCE:
.PHONY: all check check-san check-tsan demo install uninstall deps deps-test deps-cuda clean help FORCE
