# The painter of the demo and of the tests that plant faults, and what tells
# which concepts stand for what it paints.

PAINTER := $(BUILD)/tests/painter/painter
NAMING  := $(BUILD)/tests/painter/naming

$(PAINTER): $(addprefix $(BUILD)/tests/painter/,painter.o paint.o scene.o) $(LIB)
	$(call say,LINK,$@)
	$(link)

$(NAMING): %: %.o $(LIB)
	$(call say,LINK,$@)
	$(link)

-include $(wildcard $(BUILD)/tests/painter/*.d)

check demo: $(PAINTER) $(NAMING)
