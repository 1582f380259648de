# The GPU path without a GPU: a libcuda.so.1 that runs the kernels' sources on
# the CPU (see README.md); found through LD_LIBRARY_PATH.

FAKE     := $(addprefix $(BUILD)/fake/,libcuda.so.1 libcublasLt.so.13 libcudnn.so.9)
FAKE_OBJ := $(patsubst %,$(BUILD)/fake/%.o,$(basename $(cuda_SRC)) tests/cuda/emu tests/cuda/fake_cuda)

CXX_WARN := -Wall -Wextra -Wno-unknown-pragmas $(if $(WERROR),-Werror)
FAKE_LIB_OBJ := $(patsubst %,$(BUILD)/fake/tests/cuda/fake_%.o,cublaslt cudnn)
# For this machine alone, and its fused multiply-add; nothing of it is installed.
CXX_FLAGS = -std=c++17 -O2 -march=native -g -fPIC -ffp-contract=off -I. -DBS_EMULATED $(CXX_WARN)

# Not instrumented for the thread sanitizer: it is told of the lanes instead.
$(BUILD)/fake/tests/cuda/emu.o: emu_san = $(if $(filter thread,$(SAN)),-DEMU_TSAN,$(SANFLAGS))
$(BUILD)/fake/kernels/%.o $(BUILD)/fake/tests/cuda/fake_cuda.o $(FAKE_LIB_OBJ): emu_san = $(SANFLAGS)

$(BUILD)/fake/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CXX) $(CXX_FLAGS) $(SANFLAGS)' | cmp -s - $@ || echo '$(CXX) $(CXX_FLAGS) $(SANFLAGS)' >$@
$(BUILD)/fake/%.o: %.cu $(BUILD)/fake/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(CXX_FLAGS) $(emu_san) -MMD -MP -x c++ -c -o $@ $<
$(BUILD)/fake/%.o: %.cpp $(BUILD)/fake/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(CXX_FLAGS) $(emu_san) -MMD -MP -c -o $@ $<
# Libraries stand on the driver.
$(BUILD)/fake/libcublasLt.so.13: $(BUILD)/fake/tests/cuda/fake_cublaslt.o
$(BUILD)/fake/libcudnn.so.9: $(BUILD)/fake/tests/cuda/fake_cudnn.o
$(BUILD)/fake/libcuda.so.1: $(FAKE_OBJ)
$(FAKE):
	$(call say,LINK,$@)
	$(Q)$(CXX) -shared -Wl,-soname,$(@F) $(SANFLAGS) -o $@ $(filter %.o,$^) $(filter %.so.1,$^) -pthread
$(filter-out %/libcuda.so.1,$(FAKE)): $(BUILD)/fake/libcuda.so.1

# Without nvcc there is nothing to embed: programs that are to run the GPU path
# nevertheless are linked once more, with a word in its place.
ifneq ($(CUDA),1)
EMU_BIN := $(BIN:$(BUILD)/%=$(BUILD)/emu/%)
$(EMU_BIN): $(BUILD)/emu/%: $(BUILD)/cmd/%.o $(BUILD)/tests/cuda/no_kernels.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(link)
$(filter $(BUILD)/tests/kernels/%,$(UNIT)): $(BUILD)/tests/cuda/no_kernels.o
endif

-include $(FAKE_OBJ:.o=.d) $(FAKE_LIB_OBJ:.o=.d)

## mutants: plant faults in the GPU path, which its tests must find (MUTANTS=pattern: some)
mutants:
	$(Q)BS_SRC='$(CURDIR)' BS_BUILD='$(abspath build)' MUTANTS='$(MUTANTS)' MAKE='$(MAKE)' sh tests/cuda/mutants.sh

# What ptxas says of each kernel is kept beside it; t6001 holds it against the
# table that is committed.
PTXAS  := $(if $(filter 1,$(CUDA)),$(FATBIN:fatbin=ptxas))
report := $(Q)$(if $(PTXAS),,echo 'no nvcc, no kernels' >&2; exit 69;) sh tests/cuda/report.sh $(PTXAS)

## cuda-report: registers, shared memory, stack and spills of the GPU kernels
cuda-report: $(PTXAS:ptxas=fatbin)
	$(report) | column -t
## cuda-report-update: the same, as the table that make check holds them against
cuda-report-update: $(PTXAS:ptxas=fatbin)
	$(report) >tests/cuda/resources.tsv.new && mv tests/cuda/resources.tsv.new tests/cuda/resources.tsv

$(BUILD)/tests/bench/bench-gpu: %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

## check-gpu: the tests of the GPU path on the GPU of this machine, and its speed
check-gpu: all $(UNIT) $(BUILD)/tests/bench/bench-gpu
	$(Q)BS_BIN='$(abspath $(BUILD))' BS_SRC='$(CURDIR)' PROVE='$(PROVE)' sh tests/cuda/check-gpu.sh

# Each case table notes there what it ran on, in make check, or in make ops if
# it did not run since it was built.
OPS_LOG  := $(BUILD)/tests/ops
OPS_RUNS := $(patsubst tests/kernels/%.c,$(OPS_LOG)/%,$(filter-out %/k-ops.c %/k-cuda.c,$(wildcard tests/kernels/k-*.c)))
$(OPS_RUNS): $(OPS_LOG)/%: $(BUILD)/tests/kernels/% $(FAKE)
	@mkdir -p $(@D)
	$(call say,RUN,$<)
	$(Q)BS_SRC='$(CURDIR)' BS_FAKE='$(abspath $(BUILD)/fake)' BS_OPS_LOG='$(@D)' $< >$@.out || { cat $@.out >&2; exit 1; }
	@touch $@

## ops: which operation the case tables run, on which device and instruction set of this machine
ops: $(BUILD)/tests/kernels/k-ops $(FAKE) $(OPS_RUNS)
	$(Q)BS_SRC='$(CURDIR)' BS_FAKE='$(abspath $(BUILD)/fake)' BS_OPS_LOG='$(OPS_LOG)' $< --list
.PHONY: check-gpu ops mutants cuda-report cuda-report-update
