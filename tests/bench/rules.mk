# Benchmarks: ratios to peers, measured in one run.  Not part of the build.

BENCH_BIN := $(BUILD)/tests/bench

# header,package: go on if the compiler finds the header, else name the package.
bench_probe = printf '\#include <%s>\n' $(1) | $(CC) -E -x c - >/dev/null 2>&1 || { \
   echo 'bench: <$(1)> not found; sudo apt-get install $(2)' >&2; exit 1; }

$(BENCH_BIN)/bench-gemm $(BENCH_BIN)/bench-attention $(BENCH_BIN)/bench-conv2d: $(BENCH_BIN)/%: $(BENCH_BIN)/%.o $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(bs_LIBS) -ldnnl -lopenblas -lgomp $(LDLIBS)

$(BENCH_BIN)/bench-sae-encode $(BENCH_BIN)/peak: %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(wildcard $(BENCH_BIN)/*.d)

bench-peers:
	$(Q)$(call bench_probe,dnnl.h,libdnnl-dev)
	$(Q)$(call bench_probe,cblas.h,libopenblas-dev)

## bench-kernels: matrix products, attention and convolution against oneDNN and OpenBLAS
bench-kernels: bench-peers
	$(Q)$(MAKE) $(BENCH_BIN)/bench-gemm $(BENCH_BIN)/bench-attention $(BENCH_BIN)/bench-conv2d
	$(Q)env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BENCH_BIN)/bench-gemm
	$(Q)env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BENCH_BIN)/bench-attention
	$(Q)env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BENCH_BIN)/bench-conv2d

## bench-embed: images a second against PyTorch and ONNX Runtime
bench-embed: all $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) -c 'import onnxruntime, onnxscript' 2>/dev/null || \
	   $(PARITY_PYTHON) -m pip install -q onnx onnxscript onnxruntime
	$(Q)env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(PARITY_PYTHON) tests/bench/bench-embed.py $(BUILD)/bs-embed

## bench-gen: seconds of the UNet and the decoder of Stable Diffusion 1.5 against PyTorch and OpenVINO (BENCH_GEN=options)
bench-gen: $(NETWORKS) $(BENCH_BIN)/peak $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) -c 'import openvino' 2>/dev/null || $(PARITY_PYTHON) -m pip install -q openvino
	$(Q)env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(PARITY_PYTHON) tests/bench/bench-gen.py $(BENCH_GEN) $(NETWORKS) $(BENCH_BIN)/peak

## bench-sae: tokens a second of codes against overcomplete, and by kernel
bench-sae: all $(BENCH_BIN)/bench-sae-encode $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/bench/bench-sae.py $(BUILD)/bs-sae
	$(Q)$(BENCH_BIN)/bench-sae-encode

## bench-sae-train: tokens a second of training against overcomplete (BENCH_ROWS=topk,layernorm,archetypal)
BENCH_ROWS ?= topk
bench-sae-train: all $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/bench/bench-sae-train.py --rows $(BENCH_ROWS) $(BUILD)/bs-sae

## bench-sae-eval: seconds of matching two dictionaries against SciPy
bench-sae-eval: all $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/bench/bench-sae-eval.py $(BUILD)/bs-sae

## bench-cat: gigabytes a second through a stage that changes nothing
bench-cat: all
	$(Q)tests/bench/bench-cat.sh '$(abspath $(BUILD))'

## bench-energy: seconds and memory of bs-energy and bs-cooc on 2 x 10,000 images
bench-energy: all $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/bench/bench-energy.py '$(abspath $(BUILD))'

## bench: all of these
bench:
	$(Q)$(MAKE) bench-kernels
	$(Q)$(MAKE) bench-cat
	$(Q)$(MAKE) bench-embed
	$(Q)$(MAKE) bench-gen
	$(Q)$(MAKE) bench-sae
	$(Q)$(MAKE) bench-sae-train
	$(Q)$(MAKE) bench-sae-eval
	$(Q)$(MAKE) bench-energy

.PHONY: bench bench-peers bench-kernels bench-embed bench-gen bench-cat bench-sae bench-sae-train bench-sae-eval bench-energy
