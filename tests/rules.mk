# Targets for developers: lint, format, parity, bench, fuzz.

HEADERS := $(sort $(wildcard common/*.h formats/*.h kernels/*.h cmd/*.h cmd/models/*.h))
SOURCES := $(sort $(wildcard common/*.[ch] formats/*.[ch] kernels/*.[ch] cmd/*.[ch] cmd/models/*.[ch] \
             tests/unit/*.[ch] tests/kernels/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] \
             tests/painter/*.[ch] tests/photos/*.[ch] kernels/*.cu kernels/*.cuh tests/cuda/*.[ch] tests/cuda/*.cpp))

# deny,pattern,files,why: no line of the files may match.  The patterns stand in
# variables because make counts their parentheses.
deny = $(Q)! grep -nE '$($(1))' $(2) /dev/null || { echo 'lint: $(3)' >&2; exit 1; }

deny_library := \#include <(zstd|xxhash|archive|jpeglib|png|webp|nettle)
deny_lapack  := \#include <(lapack|cblas)
deny_cuda    := \#include <(cuda|cublas|cudnn)
deny_ours    := \#include "(cmd|formats|kernels)/
deny_formats := \#include "(cmd|formats)/
deny_kernels := \#include "(cmd|kernels)/
deny_command := \#include "cmd/(bs-|shared)
deny_output  := (^|[^a-z_])(exit|printf|fprintf|puts|perror|abort) *\(|bs_(die|warn|info|complain)[a-z_]* *\(
deny_fast    := fast-math|fast_math|Ofast
deny_space   := \s$$|	

## lint: layers, banned functions, headers that stand alone, file sizes
lint:
	$(Q)for h in $(HEADERS); do \
	   echo 'typedef int not_empty;' | $(CC) $(bs_CPPFLAGS) $(bs_CFLAGS) -Werror -fsyntax-only -x c -include $$h - || exit 1; done
	$(call deny,deny_library,$(wildcard common/*.[ch] kernels/*.[ch] cmd/*.[ch] cmd/models/*.[ch]),format libraries belong to formats/)
	$(call deny,deny_lapack,$(filter-out kernels/eigen.c,$(wildcard common/*.[ch] formats/*.[ch] kernels/*.[ch] cmd/*.[ch] cmd/models/*.[ch])),LAPACK belongs to kernels/eigen.c)
	$(call deny,deny_cuda,$(wildcard common/*.[ch] formats/*.[ch] cmd/*.[ch] cmd/models/*.[ch]),CUDA belongs to kernels/)
	$(call deny,deny_ours,$(wildcard common/*.[ch]),common includes nothing of ours)
	$(call deny,deny_formats,$(wildcard kernels/*.[ch]),kernels include common only)
	$(call deny,deny_kernels,$(wildcard formats/*.[ch]),formats include common only)
	$(call deny,deny_command,$(wildcard cmd/models/*.[ch]),models do not know commands)
	$(call deny,deny_output,$(wildcard formats/*.c kernels/*.c cmd/models/*.c),no print or exit below the commands)
	$(call deny,deny_fast,$(wildcard kernels/*.[ch] kernels/*.cu*),no fast-math)
	$(call deny,deny_space,$(filter-out tests/fuzz/corpus/%,$(SOURCES)),no tabs and no trailing spaces in C)
	$(Q)for f in cmd/bs-*.c; do n=$$(wc -l <$$f); test $$n -le 200 || { echo "lint: $$f has $$n lines, 200 at most" >&2; exit 1; }; done
	$(Q)git ls-files | sed 's|.*/||' | grep '\.c$$' | sort | uniq -d | { ! grep .; } || { echo 'lint: names of C files are unique in the tree' >&2; exit 1; }

# ---- fuzzing ---------------------------------------------------------------

FUZZ         ?= $(fuzz_SRC:tests/fuzz/fuzz-%.c=%)
FUZZ_SECONDS ?= 600
FUZZ_FLAGS   := CC=clang BUILD=build/fuzz SAN=fuzzer-no-link$(comma)address$(comma)undefined

## fuzz: search with libFuzzer (FUZZ='stream json', FUZZ_SECONDS=600 each)
fuzz:
	$(Q)$(MAKE) $(FUZZ_FLAGS) build/fuzz/libbs.a $(FUZZ:%=build/fuzz/tests/fuzz/fuzz-%.o)
	$(Q)for name in $(FUZZ); do \
	   clang -fsanitize=fuzzer,address,undefined -o build/fuzz/$$name build/fuzz/tests/fuzz/fuzz-$$name.o \
	      build/fuzz/libbs.a $(bs_LIBS) && mkdir -p build/fuzz/corpus/$$name && \
	   build/fuzz/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
	      -artifact_prefix=build/fuzz/$$name- build/fuzz/corpus/$$name tests/fuzz/corpus/$$name || exit 1; done

-include tests/parity/rules.mk tests/bench/rules.mk tests/painter/rules.mk tests/photos/rules.mk

## format: clang-format every C file in place
format:
	clang-format -i $(SOURCES)

.PHONY: lint format fuzz
