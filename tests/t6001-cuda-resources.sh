#!/bin/sh
# Registers, memory and spills of the GPU kernels, as ptxas counts them, are
# not more than tests/cuda/resources.tsv says.
. "${0%/*}/lib.sh"

table=$BS_SRC/tests/cuda/resources.tsv
# compare now: each kernel of `now` against the table.
compare () {
	awk -F '\t' '
		function bad(what) { print $1 ", " $2 ": " what; wrong = 1 }
		/^#/ { version[NR == FNR] = $0; next }
		$1 == "kernel" { next }
		NR == FNR { registers[$1, $2] = $3; shared[$1, $2] = $4; next }
		$5 > 0 { bad($5 " bytes of stack") }
		$6 > 0 { bad($6 " bytes spilled") }
		!(($1, $2) in registers) { bad("not in the table"); next }
		version[1] != version[0] { next } # another ptxas counts otherwise
		$3 > registers[$1, $2] { bad($3 " registers, " registers[$1, $2] " in the table") }
		$4 > shared[$1, $2] { bad($4 " bytes of shared memory, " shared[$1, $2] " in the table") }
		END { exit wrong }' "$table" "$1" ||
		{ echo 'where that is meant: make cuda-report-update'; return 1; }
}

ok 'the table has every kernel on every architecture, and none spills' '
	sed -n "s/^BS_KERNEL(\([a-z0-9_]*\),.*/\1/p" "$BS_SRC"/kernels/*.cu >kernels
	test $(wc -l <kernels) -gt 10
	for arch in sm_80 sm_90
	do
		sed "s/\$/ $arch/" kernels
	done | sort >want
	sed "/^#/d;/^kernel/d" "$table" | cut -f 1,2 | tr "\t" " " | sort >got
	diff want got
	compare "$table"
'
ok 'a kernel that needs more is found' '
	for change in "s/\t[0-9]*/\t255/" "s/\t[0-9]*/\t99999/2" "s/[0-9]*\$/4/" "s/^gemm_f32/gemm_f64/"
	do
		sed "/^gemm_f32.sm_80/$change" "$table" >now
		! compare now || { echo "not found: $change"; exit 1; }
	done
'
# Without nvcc there is nothing to hold against it.
test -z "$BS_PTXAS" || ok 'no kernel of this build needs more' '
	sh "$BS_SRC/tests/cuda/report.sh" $BS_PTXAS >now
	compare now
'
finish
