# What the test over photographs asks of the pixels themselves.

DETAIL := $(BUILD)/tests/photos/detail

$(DETAIL): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(DETAIL).d

check: $(DETAIL)
