#!/bin/sh
# mutants.sh - plant faults in kernels and in the host's part of the CUDA
# device, one at a time, in a copy of the sources; a test must find each.
#
#     make mutants                 all of them: some minutes
#     make mutants MUTANTS=screen  those whose description or file matches
#
# Fails where a fault is not found, and where its place is not any more.
set -u
: "${BS_SRC:?run through 'make mutants'}" "${BS_BUILD:?}"
only=${MUTANTS:-.}
fakes='build/release/fake/libcuda.so.1 build/release/fake/libcublasLt.so.13 build/release/fake/libcudnn.so.9'
tree=$BS_BUILD/mutants
table=$tree/table
planted=0 survived=0
BS_FAKE=$tree/build/release/fake BS_TEST_DEVICE=cuda BS_TEST_REQUIRE=all
export BS_FAKE BS_TEST_DEVICE BS_TEST_REQUIRE
unset MAKEFLAGS MAKELEVEL MFLAGS

# Without nvcc and without the commands: kernels, and the tests of them.
build () {
	${MAKE:-make} -s -C "$tree" CUDA=0 CFLAGS=-O2 "$@" >"$tree/log" 2>&1
}

die () {
	echo "mutants: $*" >&2
	exit 1
}

# What differs only: the objects of the last time stay.
copy_sources () {
	mkdir -p "$tree" || exit 1
	(cd "$BS_SRC" && find ./Makefile common kernels tests/kernels tests/unit/tap.h tests/cuda tests/rules.mk -type f) |
	while read -r file
	do
		cmp -s "$BS_SRC/$file" "$tree/$file" ||
			{ mkdir -p "$tree/${file%/*}" && cp "$BS_SRC/$file" "$tree/$file"; } || exit 1
	done || die 'the sources could not be copied'
}

# row what file found: a line of the table.
row () {
	printf '%-62s %-22s %s\n' "$1" "${2#kernels/}" "$3" | tee -a "$table"
}

# Run a test as $run says until a point of it fails; what found the fault, and
# what it said, or nothing.
judge () {
	(exec 3>&1; {
		timeout 300 env $2 "$tree/build/release/tests/kernels/$1" 2>&1
		echo "status $?"
	} | sed -n '/^not ok/{p;q;};/^fake libcuda/{p;q;};/^emulation/{p;q;};/^status 0/q;/^status/p' |
		sed "s|^|$1${2:+, $2}: |" >&3) | cut -c 1-110
}

# plant WHAT FILE 'TEST ENVIRONMENT; ...' SCRIPT: change FILE by sed.
plant () {
	echo "$1 $2" | grep -qE -e "$only" || return
	planted=$((planted + 1))
	cp "$tree/$2" "$tree/original"
	sed -E -e "$4" "$tree/original" >"$tree/$2"
	cmp -s "$tree/original" "$tree/$2" && die "$2: nothing to change for '$1'"
	found=
	old=$IFS; IFS=';'
	for run in $3
	do
		IFS=$old
		set -- "$1" "$2" $run
		test $# -gt 2 || continue
		name=$3 environment=${4:-}
		build "build/release/tests/kernels/$name" $fakes ||
			{ cat "$tree/log" >&2; die "'$1' does not compile"; }
		found=$(judge "$name" "$environment")
		test -z "$found" || break
	done
	IFS=$old
	cp "$tree/original" "$tree/$2"
	test -n "$found" || survived=$((survived + 1))
	row "$1" "$2" "${found:-NOT FOUND}"
}

copy_sources
tests='k-gemm k-attention k-rows k-sae-encode k-sae-decode k-sae-train k-sae-train-adam k-conv2d k-group-norm
	k-cuda k-dev'
build $(printf 'build/release/tests/kernels/%s ' $tests) $fakes ||
	{ cat "$tree/log" >&2; die 'the sources do not compile'; }
: >"$table"

# ---- kernels ----------------------------------------------------------------

plant 'a barrier less between storing a tile and multiplying it' kernels/gemm_tile.cuh k-gemm \
	'/store_f32\(w_tile/{n;s/__syncthreads\(\);//;}'
plant 'the next tile over the one that others still read' kernels/gemm_tile.cuh k-gemm \
	'/k \+= DEPTH/s/turn \^= 1/turn ^= 0/'
plant 'one column too many' kernels/gemm.cu k-gemm \
	's/c >= a\.n\)/c > a.n)/'
plant 'no bias' kernels/gemm.cu k-gemm \
	's/a\.bias != NULL \? sum \+ a\.bias\[c\] : sum/sum/'
plant 'weights a k apart, not a depth' kernels/gemm_tile.cuh k-gemm \
	's|row \* \(w\.depth / 2\) \+ pair|row * (w.k / 2) + pair|'
plant 'a register of an mma that holds the wrong pair' kernels/gemm_tile.cuh k-gemm \
	's/(p\[i\]\[3\] = .*)\[pair \+ 4\]/\1[pair]/'
plant 'a window that begins in the image, not in the padding' kernels/conv.cu k-conv2d \
	's/\(int\)\(col \* a\.stride\) - \(int\)a\.pad/(int)(col * a.stride)/'
plant 'an enlarged image by the wrong side' kernels/conv.cu k-conv2d \
	's|x = x \* a\.width / a\.up_width|x = x * a.width / a.up_height|'
plant 'the next tap where a pair ends one' kernels/conv.cu k-conv2d \
	's/c\.channel \+ 1 < a\.in/true/'
plant 'the last pixels of a part, twice' kernels/group_norm.cu k-group-norm \
	's/end - i < 32 \? end : i \+ 32/i + 32/'
plant 'a variance around the wrong mean' kernels/group_norm.cu k-group-norm \
	's/square \+ 2 \* off \* sum/square/'
plant 'a query that sees the key after its own' kernels/attention.cu k-attention \
	's/row < keys \? row \+ 1 : keys/row < keys ? row + 2 : keys/'
plant 'sums that do not shrink when a greater score comes' kernels/attention.cu k-attention \
	's/out\[r\]\[c\] \*= shrink;/;/'
plant 'values over keys that others still read' kernels/attention.cu k-attention \
	's|__syncthreads\(\); /\* the keys.*||'
plant 'a mean that is not mended' kernels/rows.cu k-rows \
	's/\(x\[i\] - mean - off\)/(x[i] - mean)/'
plant 'red and blue change places' kernels/rows.cu k-rows \
	's/\* 3 \+ channel\]/* 3 + 2 - channel]/'
plant 'a screen that forgets what rounding took off the atoms' kernels/sae_encode.cu k-sae-encode \
	's/b\.rest \* norm \+ b\.norm \* rest/b.rest * norm/'
plant 'a screen that forgets the order of its sums' kernels/sae_encode.cu k-sae-encode \
	's/rest \+ s\.slack \* size\.norm/rest/'
plant 'a count that is read while others still add to it' kernels/sae_encode.cu k-sae-encode \
	'/^    __syncthreads\(\);$/{N;s/.*\n(    uint32_t n = \*p\.count)/\1/;}'
plant 'equals in the wrong order' kernels/sae_encode.cu k-sae-encode \
	's/v == w && i < j/v == w \&\& i > j/'
plant 'equals past the list in the wrong order' kernels/sae_encode.cu k-sae-encode \
	's/\(NONE - \(uint32_t\)j\)/(uint32_t)j/'
plant 'codes past the end of their row' kernels/sae_decode.cu k-sae-decode \
	's/i < end; i\+\+/i <= end; i++/'
plant 'sums of tokens in another order' kernels/sae_train.cu k-sae-train \
	's/sums\[i \* a\.width \+ col\]/sums[(a.chunks - 1 - i) * a.width + col]/'
plant 'squares in seven sums' kernels/sae_train.cu k-sae-train \
	's/lane = threadIdx\.x % 8;/lane = threadIdx.x % 7;/'
plant 'rows that are added up before they are there' kernels/sae_train.cu k-sae-train \
	'/tile\[turn \^ 1\]\[r\]\[lane\]\)?;/{n;s/__syncthreads\(\);//;}'
plant 'a row that no coefficient asks for' kernels/sae_train.cu k-sae-train \
	's/first \+ row < end && col/first + row <= end \&\& col/'
plant 'products of the first part of the rows only' kernels/sae_train.cu k-sae-train \
	's/part < a\.parts/part < 1/'
plant 'another order of an atom'"'"'s codes' kernels/sae_groups.cu k-sae-train \
	's/a\.token\[j \+ threadIdx\.x\]/a.token[j + n - 1 - threadIdx.x]/'
plant 'codes of the next run over those that others still add' kernels/sae_groups.cu \
	'k-sae-train; k-sae-train EMU_ORDER=reverse' \
	's|__syncthreads\(\); /\* before they are those.*||'
plant 'a gradient for every step that was missed' kernels/sae_adam.cu k-sae-train-adam \
	's/row_step\(a, room, \+\+t, NULL, r\)/row_step(a, room, ++t, grad, r)/'
plant 'a row of rest that is only one of zeros and ones' kernels/sae_adam.cu k-sae-train-adam \
	's/room\.count\[2\] == 1 &&/true \&\&/'
plant 'a projection of a row that is not complete' kernels/sae_adam.cu k-sae-train-adam \
	'/double total = 0;/{n;n;s/__syncthreads\(\);//;}'
plant 'weights to bf16 where they are to be exact' kernels/sae_encode.cu k-sae-encode \
	's/a\.screen\)\[j \* a\.depth \+ c\] = v/a.screen)[j * a.depth + c] = bs_float_of(bs_bf16_of(v))/'

# ---- the host's part --------------------------------------------------------

plant 'the numbers of one step too few' kernels/sae_adam_cuda.c k-sae-train-adam \
	's/\*oldest = a->now - 1;/*oldest = a->now - 1; if (p->last.p != NULL) return 0;/'
plant 'rows that do not know how far they are' kernels/sae_adam_cuda.c k-sae-train-adam \
	's/return r < 0 \? r : mark\(c, &args, p->last\);/return r;/'
plant 'places without a code that keep what was there' kernels/sae_groups_cuda.c k-sae-train \
	's/args\.n < groups->places/args.n > groups->places/'
plant 'groups that are not given back' kernels/sae_groups_cuda.c k-sae-train \
	'/^bs_cuda_groups_free/,/^}/s/bs_cuda_free\(d, &g->words\);//'
plant 'a row that is not finite and nobody names' kernels/sae_encoder_cuda.c k-sae-train \
	's/r == 0 && bad != UINT32_MAX/false/'
plant 'columns that no block computes' kernels/gemm_cuda.c k-gemm \
	's/bs_blocks\(w->head\.n, BS_GEMM_COLS\)/w->head.n \/ BS_GEMM_COLS/'
plant 'bounds of the first rows for those of every chunk' kernels/sae_encode_cuda.c k-sae-encode \
	's/call->size \+ call->first/call->size/'
plant 'less room for hits than there are' kernels/sae_encode_cuda.c k-sae-encode \
	's/\*n <= room \? r : collect\(call, cut, false, \*n, n\)/r/'
plant 'a page-locked buffer that is still on its way' kernels/cuda_memory.c 'k-dev FAKE_CUDA_LAZY=1' \
	's/: BS_CU\(c, cuEventSynchronize, s->event\)/: 0/'
plant 'a result that is read before it is there' kernels/cuda_memory.c 'k-dev FAKE_CUDA_LAZY=1' \
	's/= BS_CU\(c, cuEventSynchronize, p->stage->event\)/= 0/'
plant 'a weight that is not given back' kernels/gemm_cuda.c k-gemm \
	's/bs_cuda_free\(d, &w->at\);//'
plant 'a module that is not given back' kernels/cuda.c k-rows \
	's/c->module\[i\] != NULL/false/'
plant 'an error of the driver that nobody hears of' kernels/cuda_memory.c k-cuda \
	's/return BS_CU\((c, cuMemsetD8Async.*)\);/return 0 * BS_CU(\1);/'
plant 'no memory, and an exit status that says otherwise' kernels/cuda.c k-cuda \
	's/error == BS_CU_OUT_OF_MEMORY \? BS_EX_OSERR : BS_EX_UNAVAIL/BS_EX_UNAVAIL/'
plant 'a thread that has no context' kernels/cuda.c k-rows \
	's/return BS_CU\(c, cuCtxSetCurrent, c->context\)/return 0/'
plant 'less shared memory than a block uses' kernels/attention_cuda.c k-attention \
	's/kernels\[i\]\.queries \* \(BS_ATTENTION_KEYS \+ 4\)/0/'

plant 'rows of a product as close as they can be' kernels/gemm_cublas.c k-gemm \
	's/key\.ldy = !call->apart && a->ldy > n \? a->ldy : n/key.ldy = n/'
plant 'less workspace than the algorithm asked for' kernels/gemm_cublas.c k-gemm \
	's/workspace != NULL \? LT_WORKSPACE : 0/workspace != NULL ? 64 : 0/'
plant 'a plan that was made for other rows' kernels/gemm_cublas.c k-gemm \
	's/memcmp\(&p->key, k, sizeof \*k\) == 0/p->key.n == k->n \&\& p->key.k == k->k/'
plant 'an algorithm that was said not to be supported' kernels/gemm_cublas.c k-gemm \
	's/of->state != 0 \|\|/false ||/'
plant 'an algorithm that takes no single row' kernels/gemm_cublas.c k-gemm \
	's/&single\) != 0/\&single) < 0/'
plant 'a preference that is not given back' kernels/gemm_cublas.c k-gemm \
	's/preference != NULL\)/false)/'
plant 'a bias that the library adds, and once more' kernels/gemm_cublas.c k-gemm \
	's/a->bias != NULL && !call->finish/a->bias != NULL/'

plant 'attention as it was planned for other keys' kernels/attention_cudnn.c k-attention \
	's/\{images, a->queries, a->keys,/{images, a->queries, 0,/'
plant 'as many images at once as there are' kernels/attention_cudnn.c k-attention \
	's/return images > 0 \? images : 1/return a->batch/'
plant 'an engine whose results vary' kernels/cuda_dnn.c k-attention \
	's/r < 0 \|\| !good\)/r < 0)/'
plant 'no workspace for a plan that wants some' kernels/cuda_dnn.c k-attention \
	's/p->workspace > 0\)/false)/'
plant 'a proposal that is not given back' kernels/cuda_dnn.c k-attention \
	's/destroy\(c->dnn, config\[i\]\);/;/'

test "$planted" -gt 0 || die "none is called '$only'"
echo "$planted planted, $survived not found"
test "$survived" -eq 0
