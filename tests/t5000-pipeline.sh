#!/bin/sh
# Whole pipelines: the main job, shards, broken upstreams, reruns.
. "${0%/*}/lib.sh"

cp -R "$BS_SRC/tests/sample" photos
cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2

# status cmd...: run it, its exit status to descriptor 3
status () {
	t_rc=0; "$@" || t_rc=$?
	echo $t_rc >&3
}

ok 'photographs in, features out, nothing on stderr' '
	bs-fetch photos/ 2>err1 | bs-embed -m dinov2/ -o features.bs 2>err2
	test ! -s err1 && test ! -s err2
	bs-cat --verify features.bs
	bs-fetch photos/ | bs-cat -l | cut -f 1 >keys
	bs-cat -l features.bs | cut -f 1 | diff keys -
'
ok 'a rerun gives the same bytes' '
	bs-fetch -T 1 photos/ | bs-embed -T 1 --batch=1 -m dinov2/ | cmp - features.bs
	bs-fetch -T 3 photos/ | bs-embed -T 3 --batch=5 -m dinov2/ | cmp - features.bs
'
ok 'two shards hold every record once' '
	for i in 0 1
	do
		bs-fetch --shard=$i/2 photos/ | bs-embed -m dinov2/ -o part$i.bs
	done
	cat part0.bs part1.bs >both.bs
	bs-cat -l both.bs | sort >got
	bs-cat -l features.bs | sort | diff - got
'
ok 'shards of the embedding alone have the same features' '
	bs-fetch photos/ -o real.bs
	for i in 0 1
	do
		bs-embed --shard=$i/2 -m dinov2/ -o part$i.bs real.bs
	done
	cat part0.bs part1.bs | bs-cat -t | grep -v "^#" | sort >got
	bs-cat -t features.bs | grep -v "^#" | sort >want
	cmp want got
'
ok 'a stage that breaks off fails every later stage, without pipefail' '
	bs-fetch photos/ -o real.bs
	size=$(wc -c <real.bs)
	for cut in 0 1 $((size / 3)) $((size - 1))
	do
		head -c $cut real.bs >cut.bs
		status bs-embed -m dinov2/ <cut.bs 2>err1 3>status1 |
			status bs-cat --verify 2>err2 3>status2
		test $(cat status1) -eq 65 && test $(cat status2) -eq 65
		says "^bs-embed: " err1 && says "^bs-cat: " err2
	done
'
ok 'an output file appears whole or not at all' '
	rm -f out.bs && head -c 3000 real.bs >cut.bs
	exits 65 bs-embed -m dinov2/ -o out.bs cut.bs 2>err
	test ! -e out.bs && ! ls out.bs* 2>/dev/null
	echo old >out.bs
	exits 65 bs-embed -m dinov2/ -o out.bs cut.bs 2>err
	test "$(cat out.bs)" = old
'
ok 'a stage killed in the middle fails the next one' '
	{ bs-fetch photos/ || true; } | head -c 20000 |
		status bs-embed -m dinov2/ 2>err 3>status | cat >half.bs
	test $(cat status) -eq 65
	exits 65 bs-cat --verify half.bs 2>err
'
ok 'a signal is heeded while the input stalls: a partial end, 75' '
	bs-fetch photos/ -o real.bs
	for cmd in "bs-embed -m dinov2/" bs-cat
	do
		mkfifo pipe
		$cmd <pipe >out.bs 2>err & pid=$!
		exec 4>pipe
		head -c 100000 real.bs >&4
		i=0
		until test -s out.bs || test $i -gt 300
		do
			sleep 0.1
			i=$((i + 1))
		done
		kill -TERM $pid
		exits 75 wait $pid
		exec 4>&-
		exits 75 bs-cat --verify out.bs 2>err
		bs-cat --verify --allow-partial out.bs
		rm pipe
	done
'
ok 'a signal before any input is 75, too' '
	mkfifo pipe
	bs-embed -m dinov2/ <pipe >out.bs 2>err & pid=$!
	exec 4>pipe
	sleep 1
	kill -TERM $pid
	exits 75 wait $pid
	exec 4>&-
	says "SIGTERM before any input" err && test ! -s out.bs
'
ok 'the head tells the whole history, and can be told not to' '
	bs-cat -H features.bs >head
	grep -q bs-embed head && grep -q bs-fetch head
	bs-fetch --no-provenance photos/ | bs-embed --no-provenance -m dinov2/ | bs-cat -H >head
	! grep -q bs-fetch head
'
finish
