# Parity: live comparisons with the Python libraries that the goldens are from.
# Not part of the build.  PARITY_PYTHON names a Python that has them; otherwise
# they are installed from PyPI into build/parity.

PARITY_PYTHON ?= build/parity/bin/python
PARITY_PIP    := numpy Pillow torch torchvision transformers timm safetensors overcomplete 'matplotlib<3.9' \
                 scipy statsmodels xxhash open_clip_torch diffusers
PIXELS        := $(BUILD)/tests/parity/pixels
TRAIN_STEPS   := $(BUILD)/tests/parity/train-steps
TOKENS        := $(BUILD)/tests/parity/tokens
SCHEDULES     := $(BUILD)/tests/parity/schedules
NETWORKS      := $(BUILD)/tests/parity/networks
NORMALS       := $(BUILD)/tests/parity/normals
DRIVERS       := $(PIXELS) $(TRAIN_STEPS) $(TOKENS) $(SCHEDULES) $(NETWORKS) $(NORMALS)

$(DRIVERS): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(DRIVERS:=.d)

build/parity/bin/python:
	$(Q)$(PYTHON) -m venv build/parity || { rm -rf build/parity; exit 1; }
	$(Q)build/parity/bin/pip install -q $(PARITY_PIP) || { rm -rf build/parity; exit 1; }

## parity: everything against the libraries that define it
parity: parity-images parity-dinov2 parity-sae parity-sae-train parity-sae-eval parity-energy parity-cooc parity-tokenizer parity-noise parity-scheduler parity-gen

## parity-images: decode, resize, crop and damaged files against Pillow
parity-images: $(PIXELS) $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/images.py --damage 2000 $(PIXELS)

## parity-dinov2: features of random models at the real sizes (MODELS=s,b,l,g)
MODELS ?= s,b,l
parity-dinov2: $(BUILD)/bs-embed $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/dinov2.py --models $(MODELS) $(BUILD)/bs-embed

## parity-sae: codes and decoded tokens against overcomplete, 768 x 32,000
parity-sae: $(BUILD)/bs-sae $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/sae.py $(BUILD)/bs-sae

## parity-sae-train: a hundred training steps against overcomplete, 768 x 4096
parity-sae-train: $(TRAIN_STEPS) $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/sae_train.py $(TRAIN_STEPS)

## parity-sae-eval: metrics against overcomplete, SciPy and NumPy, 768 x 32,000
parity-sae-eval: $(BUILD)/bs-sae $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/sae_eval.py $(BUILD)/bs-sae

## parity-energy: every column against NumPy, SciPy and statsmodels
parity-energy: $(BUILD)/bs-energy $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/energy.py $(BUILD)/bs-energy

# transformers up to 4.x, whose CLIPTokenizer is the slow one
PARITY_PYTHON4 ?= build/parity4/bin/python
build/parity4/bin/python:
	$(Q)$(PYTHON) -m venv build/parity4 || { rm -rf build/parity4; exit 1; }
	$(Q)build/parity4/bin/pip install -q 'transformers<5' && \
	   build/parity4/bin/pip install -q --no-deps open_clip_torch || { rm -rf build/parity4; exit 1; }

## parity-tokenizer: ids of captions against transformers before and since 5.0
parity-tokenizer: $(TOKENS) $(PARITY_PYTHON) $(PARITY_PYTHON4)
	$(Q)$(PARITY_PYTHON4) tests/parity/tokenizer.py $(TOKENS)
	$(Q)$(PARITY_PYTHON) tests/parity/tokenizer.py $(TOKENS)

## parity-noise: normal random numbers against torch, a million of each kind
parity-noise: $(NORMALS) $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/noise.py $(NORMALS)

## parity-cooc: every table against NumPy and SciPy; 32,000 concepts
parity-cooc: $(BUILD)/bs-cooc $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/cooc.py $(BUILD)/bs-cooc

## parity-scheduler: samples of random schedules against diffusers
parity-scheduler: $(SCHEDULES) $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/scheduler.py $(SCHEDULES)

## parity-gen: networks of generators at full size against diffusers (GEN_MODELS=text1,text2,safety,vae,sd15,sd21;
##   image512, an hour: a whole image of 50 steps)
GEN_MODELS ?= text1,text2,safety,vae,sd15,sd21
parity-gen: $(NETWORKS) $(BUILD)/bs-gen $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/gen.py --models $(GEN_MODELS) $(NETWORKS) $(BUILD)/bs-gen

.PHONY: parity parity-cooc parity-energy parity-images parity-dinov2 parity-sae \
   parity-sae-train parity-sae-eval parity-tokenizer parity-noise parity-scheduler parity-gen
