# What the tests of whole commands on the GPU path share; sourced behind lib.sh.
# Without BS_FAKE (make check-gpu) they run on a GPU.
BS_FAKE=${BS_FAKE:-}
PATH=${BS_EMU:-$BS_BIN}:$PATH
tab=$(printf '\t')
# gpu command...: with the fake driver in the place of the real one.
gpu () { LD_LIBRARY_PATH=${BS_FAKE:-${LD_LIBRARY_PATH:-}} "$@"; }
# fake 'title' 'script': a point that wants what a real driver cannot.
fake () { test -z "$BS_FAKE" || ok "$@"; }
# near A B TOLERANCE: the same text but for numbers, which are that near; of an
# image only what comes before its pixels.
near () {
	bs-cat -t "$1" | sed "/${tab}png:/,\$d" >near.a
	bs-cat -t "$2" | sed "/${tab}png:/,\$d" >near.b
	test -s near.a && test "$(wc -l <near.a)" -eq "$(wc -l <near.b)"
	paste near.a near.b | awk -F '\t' -v tolerance="$3" '{
		for (i = 1; i <= NF / 2; i++) {
			a = $i; b = $(i + NF / 2); d = a - b
			if (a + 0 == 0 && a !~ /^-?0/ ? a != b : !(d <= tolerance && -d <= tolerance)) {
				print NR ": " a " and " b; exit 1
			}
		}
	}'
}
# Calls that a command makes, and how often, from a run that is logged.
# broken NAME command...: the first, second and last call of each entry point
# fails, and all after it: 69 or 71, one line, nothing written; but what says
# that a library cannot be used, or not for a shape: then our own kernels do it.
# Not under the thread sanitizer: no thread runs that does not without failures.
broken () {
	log=$PWD/log.$1 && shift
	rm -f "$log"
	FAKE_CUDA_LOG=$log gpu "$@" >good.bs
	sed -n "s/^call //p" "$log" >calls
	test $(wc -l <calls) -gt 20
	test "${BS_SAN:-}" != thread || return 0
	while read name count
	do
		case $name in *Free*|*Destroy*|*Unload*|*Release*|cuStreamSync*|cuGetError*|cuMemGetInfo*) want=0 ;;
		cublasLtGetVersion|cublasLtCreate|cublasLtMatmulAlgoCheck|cudnnGetVersion|cudnnCreate) want=without ;;
		*Alloc*) want=71 ;; *) want=69 ;; esac
		for n in 1 2 $count
		do
			test $n -le $count || continue
			rc=0
			FAKE_CUDA_FAIL=$name:$n gpu "$@" >out.bs 2>err || rc=$?
			if test $rc-$want = 0-without
			then
				bs-cat --verify out.bs || exit 1
				continue
			fi
			# The last of all may be one that takes down.
			test $rc -eq 0 && cmp -s out.bs good.bs && test $n -gt 1 -o $want -eq 0 && continue
			test $rc -eq $want || { echo "$name:$n: exit $rc"; cat err; exit 1; }
			says "device .cuda:0.|out of memory" err
			test ! -s out.bs || exits 65 bs-cat --verify out.bs 2>/dev/null
		done
	done <calls
}
