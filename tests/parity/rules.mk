# Parity: live comparisons with the Python libraries that the goldens are from.
# PYTHON names a Python that has them.  Not part of the build.

PIXELS := $(BUILD)/tests/parity/pixels

$(PIXELS): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(PIXELS).d

## parity-images: decode, resize, crop and damaged files against Pillow
parity-images: $(PIXELS)
	$(Q)$(PYTHON) tests/parity/images.py --damage 2000 $(PIXELS)

.PHONY: parity-images
