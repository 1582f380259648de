#!/bin/sh
# What kernels/ declares of CUDA's libraries, against their own headers and the
# libraries themselves, wherever some lie on this machine; nothing is skipped
# where none do.
. "${0%/*}/lib.sh"

nvcc=$(command -v nvcc || echo "$BS_SRC"/build/nvcc/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)
roots="${nvcc%/bin/nvcc} ${CUDA_PATH:-} /usr/local/cuda /usr
$(for p in "$BS_SRC"/build/*/lib/python3*/site-packages/nvidia /usr/lib/python3*/site-packages/nvidia \
	${PARITY_PYTHON:+${PARITY_PYTHON%/bin/*}/lib/python3*/site-packages/nvidia}; do echo "$p"/*; done)"
# find_in FOLDER FILE: every root's file of that name, once.
find_in () {
	for root in $roots
	do
		test ! -e "$root/$1/$2" || readlink -f "$root/$1/$2"
	done | sort -u
}
# constants HEADER OURS LIST: each number of the list, in each header.
constants () {
	cat >check.c <<-E
		#include <$1>
		#include "kernels/$2"
		$4
		#define CHECK(name, value) _Static_assert((long long)name == (long long)BS_##name, #name);
		$3(CHECK)
	E
	headers=$(find_in include $1)
	test -n "$headers"
	for header in $headers
	do
		echo "$header"
		${CC:-cc} -std=c11 -fsyntax-only -I "$BS_SRC" -I "${header%/*}" check.c
	done
}
# symbols LIBRARY... -- NAME...: each library that is there has all names.
symbols () {
	libraries=
	while test "$1" != --
	do
		libraries="$libraries $(find_in lib $1) $(find_in lib64 $1) $(find_in lib/x86_64-linux-gnu $1)"
		shift
	done
	shift
	for library in $libraries
	do
		echo "$library"
		nm -D --defined-only "$library" | sed 's/.* //; s/@.*//' | sort >has
		printf '%s\n' "$@" | sort | comm -13 has - >lacks
		cat lacks
		test ! -s lacks || return 1
	done
}
# names HEADER: the functions that it lists.
names () { sed -n "s/.*X(.*, *\($2[A-Za-z]*\), *.*/\1/p" "$BS_SRC/kernels/$1"; }

test -z "$(find_in include cublasLt.h)" || ok 'cuBLASLt: numbers and sizes are those of its header' '
	constants cublasLt.h cublas_lt.h BS_LT_CONSTANTS "
		_Static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(struct bs_lt_algo), \"algo\");
		_Static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == sizeof(struct bs_lt_result), \"result\");
		_Static_assert(offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) ==
			offsetof(struct bs_lt_result, workspace), \"workspace\");
		_Static_assert(offsetof(cublasLtMatmulHeuristicResult_t, state) ==
			offsetof(struct bs_lt_result, state), \"state\");"
'
test -z "$(find_in include cublasLt.h)" || ok 'a number that is wrong is found' '
	! constants cublasLt.h cublas_lt.h BS_LT_CONSTANTS \
		"_Static_assert(CUBLASLT_MATMUL_DESC_EPILOGUE == BS_CUBLASLT_MATMUL_DESC_TRANSA, \"no\");" 2>/dev/null
'
ok 'cuBLASLt: a library that is here has all that is asked of it' '
	test $(names cublas_lt.h cublasLt | wc -l) -eq 17
	symbols libcublasLt.so.13 libcublasLt.so.12 -- $(names cublas_lt.h cublasLt)
'
test -z "$(find_in include cudnn_graph.h)" || ok 'cuDNN: numbers are those of its header' '
	constants cudnn_graph.h cudnn_graph.h BS_DNN_CONSTANTS
'
ok 'cuDNN: a library that is here has all that is asked of it' '
	test $(names cudnn_graph.h cudnn | wc -l) -eq 11
	symbols libcudnn.so.9 -- $(names cudnn_graph.h cudnn)
'
finish
