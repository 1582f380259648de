#!/bin/sh
# check-gpu.sh - the tests of the GPU path on the GPU of this machine, then how
# fast it is: operations at real sizes, and whole commands.
set -u
: "${BS_BIN:?run through 'make check-gpu'}" "${BS_SRC:?}"
unset BS_FAKE BS_EMU BS_DEVICE
bench=$BS_BIN/tests/bench/bench-gpu

gpu=$("$bench" --probe 2>&1) || { echo "check-gpu: ${gpu#bench-gpu: }" >&2; exit 69; }
echo "$gpu"
cd "$BS_SRC" || exit 1
export BS_TEST_DEVICE=cuda BS_TEST_REQUIRE=all
# One after another: they share the GPU's memory.
tests=$(grep -l 'devices_to_test(' tests/kernels/k-*.c | sed "s|tests/kernels/\(.*\)\.c|$BS_BIN/tests/kernels/\1|")
${PROVE:-prove} --exec '' $tests "$BS_BIN/tests/kernels/k-dev" "$BS_BIN/tests/kernels/k-ops" \
	tests/t6000-cuda.sh tests/t6003-cuda-train.sh || exit
"$bench" || exit
sh tests/cuda/speed.sh
