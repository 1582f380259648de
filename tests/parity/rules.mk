# Parity: live comparisons with the Python libraries that the goldens are from.
# Not part of the build.  PARITY_PYTHON names a Python that has them; otherwise
# they are installed from PyPI into build/parity.

PARITY_PYTHON ?= build/parity/bin/python
PARITY_PIP    := numpy Pillow torch torchvision transformers timm safetensors overcomplete 'matplotlib<3.9' \
                 scipy statsmodels xxhash
PIXELS        := $(BUILD)/tests/parity/pixels
TRAIN_STEPS   := $(BUILD)/tests/parity/train-steps

$(PIXELS) $(TRAIN_STEPS): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(PIXELS).d $(TRAIN_STEPS).d

build/parity/bin/python:
	$(Q)$(PYTHON) -m venv build/parity || { rm -rf build/parity; exit 1; }
	$(Q)build/parity/bin/pip install -q $(PARITY_PIP) || { rm -rf build/parity; exit 1; }

## parity: everything against the libraries that define it
parity: parity-images parity-dinov2 parity-sae parity-sae-train parity-energy

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

## parity-energy: every column against NumPy, SciPy and statsmodels
parity-energy: $(BUILD)/bs-energy $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/energy.py $(BUILD)/bs-energy

.PHONY: parity parity-energy parity-images parity-dinov2 parity-sae parity-sae-train
