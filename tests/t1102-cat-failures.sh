#!/bin/sh
# bs-cat where things go wrong: cut and foreign input, full disks, closed
# descriptors, readers that leave, signals.
. "${0%/*}/lib.sh"

npy=$BS_SRC/tests/golden/npy wds=$BS_SRC/tests/golden/wds
bs-cat "$npy/features.npy" >f.bs && bs-cat -n 2 f.bs >small.bs || exit 1

ok 'a stream cut anywhere is 65, and the copy is no stream either' '
	n=$(wc -c <small.bs) i=0
	while test $i -lt $n; do
		head -c $i small.bs | exits 65 bs-cat >out 2>err || return 1
		test $(wc -l <err) -eq 1 || return 1
		exits 65 bs-cat --verify out 2>/dev/null || return 1
		i=$((i + 13))
	done
	head -c $((n - 1)) small.bs | exits 65 bs-cat >out 2>err
'
ok 'garbage is 65 and named' '
	echo hello >hello && exits 65 bs-cat hello 2>err && says "^bs-cat: cannot read .hello.: " err
	exits 65 bs-cat /dev/null 2>err && says "empty input" err
	exits 65 bs-cat </dev/null 2>err && exits 65 bs-cat <&- 2>err && says "cannot read .stdin.: " err
	gzip -c hello >hello.gz && exits 65 bs-cat hello.gz 2>err && says "not a tar or zip" err
	zstd -qc hello >hello.zst && exits 65 bs-cat hello.zst 2>err
	(cat f.bs; echo x) >tail.bs && exits 65 bs-cat tail.bs 2>err >out
	zstd -dqc f.bs >plain && exits 65 bs-cat plain 2>err && says "without zstd" err
'
ok 'a file that is not there is 66' '
	exits 66 bs-cat f.bs nowhere >out 2>err && says "cannot open .nowhere.: No such file" err
	exits 65 bs-cat --verify out 2>err
	exits 66 bs-cat -f wds f.bs nowhere >out 2>err && exits 65 bs-cat --verify out 2>err
	exits 66 bs-cat -o o.bs f.bs nowhere 2>err && test ! -e o.bs
'
ok 'a full disk is 74, said once' '
	for a in "" -l -H -j -t "-f wds" "--sample 5"; do
		exits 74 bs-cat $a f.bs >/dev/full 2>err || return 1
		says "^bs-cat: cannot write .stdout.: .*No space left on device$" err || return 1
	done
	exits 74 bs-cat -o /dev/full f.bs 2>err && says "cannot write ./dev/full.: " err
'
ok 'closed stdout is 74' '
	exits 74 bs-cat f.bs >&- 2>err && exits 74 bs-cat -l f.bs >&- 2>err
'
ok 'a reader that leaves ends it without a word' '
	i=0; while test $i -lt 200; do cat f.bs; i=$((i + 1)); done >many.bs
	for a in "" -t; do
		(rc=0; bs-cat $a many.bs many.bs many.bs 2>err || rc=$?; echo $rc >st) | head -c 1 >/dev/null
		test ! -s err && test $(cat st) -eq 141 || return 1
	done
'
ok 'it may leave before its input ends' '
	(cat f.bs; sleep 2) | bs-cat -n 1 -l >out && test $(wc -l <out) -eq 1
'
ok 'a signal ends the segment as partial, with 75' '
	mkfifo p && { bs-cat p >out 2>err & pid=$!; }
	exec 5>p && head -c 3000 f.bs >&5
	i=0; until test -s out || test $i -gt 100; do sleep 0.1; i=$((i + 1)); done
	kill -TERM $pid
	tail -c +3001 f.bs >&5 || : # it may be gone by now
	exec 5>&-
	rc=0; wait $pid || rc=$?
	test $rc -eq 75 && says "stopped by SIGTERM" err
	exits 75 bs-cat --verify out 2>err && bs-cat --allow-partial -l out >got
	exits 75 bs-cat -l out 2>err >got
	bs-cat --allow-partial out >again && exits 75 bs-cat --verify again 2>err
'
ok 'records that are too large are refused, not allocated' '
	exits 64 bs-cat --memory 1 f.bs 2>err
	printf "\\223NUMPY\\001\\000\\166\\000{'\''descr'\'': '\''<f4'\'', '\''fortran_order'\'': False, '\''shape'\'': (1000000000000,), }%58s\n" "" >huge.npy
	exits 65 bs-cat huge.npy 2>err && says "record of more than" err
	printf "\\377\\377\\377\\377\\000\\000\\000\\000{" >huge.safetensors
	exits 65 bs-cat huge.safetensors 2>err
'
ok 'the output file appears whole or not at all' '
	echo old >o && exits 65 bs-cat -o o tail.bs 2>err && test "$(cat o)" = old
	exits 74 bs-cat -o no/where f.bs 2>err && says "cannot create .no/where." err
	test $(ls | grep -c "tmp") -eq 0
'
if script -qec true /dev/null >/dev/null 2>&1 </dev/null
then
	ok 'records are not written to a terminal, text is' '
		exits 64 script -qec "bs-cat f.bs" /dev/null >out 2>&1 </dev/null
		grep -q "records are not written to a terminal" out
		exits 64 script -qec "bs-cat -f wds f.bs" /dev/null >out 2>&1 </dev/null
		exits 0 script -qec "bs-cat -l f.bs" /dev/null >out 2>&1 </dev/null && test $(wc -l <out) -eq 20
	'
else
	echo '# script(1) gives no terminal here: not tested'
fi
ok 'a key cannot drive the terminal' '
	printf "\\033[31m" >esc && mv esc "$(printf "bad\\033[31m.npy")"
	exits 65 bs-cat "$(printf "bad\\033[31m.npy")" 2>err && ! grep -q "$(printf "\\033")" err
'
finish
