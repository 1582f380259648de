#!/bin/sh
# Instructions: each set's object has what it is for, and nothing else has it.
. "${0%/*}/lib.sh"

objects=$BS_BIN/kernels

# has PATTERN object: it is in the code.
has () {
	objdump -d --no-show-raw-insn "$2" >code && grep -qE "$1" code ||
		{ echo "no $1 in $2"; return 1; }
}

lacks () {
	objdump -d --no-show-raw-insn "$2" >code && ! grep -nE "$1" code
}

if ! command -v objdump >/dev/null
then
	skip 'objdump is not installed'
elif test "$(uname -m)" != x86_64
then
	skip 'not an x86-64 processor'
else
	ok 'avx2 fuses multiply and add' \
		'has "vfmadd.*%ymm" "$objects/isa_avx2.o" && lacks "%zmm" "$objects/isa_avx2.o"'
	ok 'avx512 fuses multiply and add' 'has "vfmadd.*%zmm" "$objects/isa_avx512.o"'
	ok 'avx512bf16 multiplies bf16' 'has "vdpbf16ps.*%zmm" "$objects/isa_avx512bf16.o"'
	ok 'no other object has their instructions' '
		for o in "$objects"/*.o "$BS_BIN"/common/*.o "$BS_BIN"/formats/*.o
		do
			case $o in *isa_avx*) ;; *) lacks "%[yz]mm|vfmadd" "$o" ;; esac
		done'
	# A function that two objects define would be linked from either.
	ok 'the objects of instruction sets define their table only' '
		for o in "$objects"/isa_*.o
		do
			nm --defined-only "$o" | grep " [A-TV-Z] " | grep -v "bs_isa_" && exit 1
		done
		true'
fi
finish
