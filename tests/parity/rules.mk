# Parity: live comparisons with the Python libraries that the goldens are from.
# Not part of the build.  PARITY_PYTHON names a Python that has them; otherwise
# they are installed from PyPI into build/parity.

PARITY_PYTHON ?= build/parity/bin/python
PARITY_PIP    := numpy Pillow torch torchvision transformers timm safetensors
PIXELS        := $(BUILD)/tests/parity/pixels

$(PIXELS): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(PIXELS).d

build/parity/bin/python:
	$(Q)$(PYTHON) -m venv build/parity || { rm -rf build/parity; exit 1; }
	$(Q)build/parity/bin/pip install -q $(PARITY_PIP) || { rm -rf build/parity; exit 1; }

## parity: pixels and features against Pillow, torchvision, transformers, timm
parity: parity-images parity-dinov2

## parity-images: decode, resize, crop and damaged files against Pillow
parity-images: $(PIXELS) $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/images.py --damage 2000 $(PIXELS)

## parity-dinov2: features of random models at the real sizes (MODELS=s,b,l,g)
MODELS ?= s,b,l
parity-dinov2: $(BUILD)/bs-embed $(PARITY_PYTHON)
	$(Q)$(PARITY_PYTHON) tests/parity/dinov2.py --models $(MODELS) $(BUILD)/bs-embed

.PHONY: parity parity-images parity-dinov2
