# The painter of the demo and of the tests that plant faults.

PAINTER_SRC := $(filter-out tests/painter/match.c,$(sort $(wildcard tests/painter/*.c)))
PAINTER     := $(BUILD)/tests/painter/painter

$(PAINTER): $(PAINTER_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(wildcard $(BUILD)/tests/painter/*.d)

check demo: $(PAINTER)
