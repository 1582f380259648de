#!/bin/sh
# bs-embed: bad images, hostile streams, full disks, readers that leave.
. "${0%/*}/lib.sh"

cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2
bs-fetch "$BS_SRC/tests/sample" -o real.bs
embed () { bs-embed -m dinov2 --size=42 "$@"; }
stats () { zstd -dcq <"$1" | grep -ao '"bs.stats":".*}}"' | tail -n 1; }

# Two good pictures and many bad ones, as an archive that nobody checked.
mkdir mixed && cp "$BS_SRC"/tests/golden/dinov2/images/*.png mixed
cp "$BS_SRC"/tests/bad/image-cut.jpg "$BS_SRC"/tests/bad/image-huge.jpg mixed
cp "$BS_SRC"/tests/bad/image-cut.png mixed/image-torn.png
(cd mixed && tar cf ../mixed.tar *)
mkdir bad && cp "$BS_SRC"/tests/bad/image-cut.jpg bad
(cd bad && tar cf ../bad.tar *)

ok 'bad pictures are skipped, named and counted' '
	embed mixed.tar -o out.bs 2>err
	bs-cat --verify out.bs
	test "$(bs-cat -l out.bs | wc -l)" -eq 2
	grep -q "warning: record .image-cut. skipped: " err
	test "$(wc -l <err)" -eq 3
	stats out.bs | grep -F "images\\\":2"
	stats out.bs | grep -F "decode_limit\\\":1"
'
ok 'or they fail the run, which then has no end' '
	exits 65 embed --on-error=fail mixed.tar >out.bs 2>err
	says "^bs-embed: record .image-.*: " err
	exits 65 bs-cat --verify out.bs 2>err
'
ok 'at most 20 are named' '
	for i in 1 2 3 4 5 6 7 8 9 10
	do
		cat mixed.tar
	done >ten.tar
	embed ten.tar 2>err | bs-cat --verify || true
	test "$(wc -l <err)" -le 21
'
ok 'input of nothing but bad pictures is refused' '
	exits 65 embed bad.tar >out.bs 2>err
	grep -q "no image in any of 1 records" err
	exits 65 bs-cat --verify out.bs 2>err
'
ok 'features are no images' '
	embed real.bs -o features.bs
	exits 65 embed features.bs 2>err >/dev/null
	says "kind .feature., not .image." err
'
ok 'no input, empty input, text, noise' '
	exits 66 embed nowhere.bs 2>err >/dev/null
	says "nowhere.bs.*No such file" err
	exits 65 embed </dev/null 2>err >/dev/null
	says "^bs-embed: cannot read .stdin.: " err
	exits 65 embed <&- 2>err >/dev/null
	echo "hello, this is a text and no stream" | exits 65 embed 2>err >/dev/null
	head -c 5000 dinov2/model.safetensors | exits 65 embed 2>err >/dev/null
	test "$(wc -l <err)" -eq 1
'
ok 'a stream cut anywhere: 65, and no end' '
	size=$(wc -c <real.bs)
	for at in 1 2 3 4 5 7 11 100 300 700 1500 $((size / 2)) $((size - 100)) $((size - 1))
	do
		rc=0
		head -c $at real.bs | embed >out.bs 2>err || rc=$?
		test $rc -eq 65 || { echo "cut at $at: $rc"; exit 1; }
		rc=0
		bs-cat --verify out.bs 2>err || rc=$?
		test $rc -eq 65
	done
'
ok 'a flipped bit: 65' '
	size=$(wc -c <real.bs)
	for at in 9 400 $((size / 3)) $((size / 2)) $((size - 30))
	do
		cp real.bs flip.bs
		printf "\\252" | dd of=flip.bs bs=1 seek=$at conv=notrunc 2>/dev/null
		cmp -s real.bs flip.bs && continue
		exits 65 embed flip.bs 2>err >/dev/null
	done
'
ok 'a full disk is said once' '
	exits 74 embed real.bs >/dev/full 2>err
	says "No space left" err
'
ok 'a closed output is an error' '
	exits 74 embed real.bs >&- 2>err
	test "$(wc -l <err)" -eq 1
'
ok 'an output that cannot be made' '
	rc=0; embed -o nowhere/out.bs real.bs 2>err || rc=$?
	test $rc -ne 0
	says "nowhere/out.bs" err
'
ok 'a reader that leaves is no error message' '
	(rc=0; cat real.bs real.bs real.bs real.bs | bs-embed -m dinov2 --dtype=f32 --batch=1 2>err || rc=$?; echo $rc >st) | head -c 1 >/dev/null
	test ! -s err
	test "$(cat st)" -eq 141
'
ok 'SIGTERM: the batch in hand, a partial end, 75' '
	i=0
	while test $i -lt 12; do cat real.bs; i=$((i + 1)); done >many.bs
	i=0
	while test $i -lt 200 && cat many.bs 2>/dev/null; do i=$((i + 1)); done | bs-embed -m dinov2 --batch=1 -o out.bs 2>err &
	pid=$!
	i=0
	while ! ls out.bs?* >/dev/null 2>&1 && test $i -lt 50; do sleep 0.1; i=$((i + 1)); done
	sleep 0.5
	kill -TERM $pid
	rc=0; wait $pid || rc=$?
	test $rc -eq 75
	says "ended early: SIGTERM" err
	exits 75 bs-cat --verify out.bs 2>err
	bs-cat --verify --allow-partial out.bs
'
ok 'SIGTERM while waiting for input: what is done is kept' '
	count=$(bs-cat -l real.bs | wc -l)
	half=$(($(wc -c <real.bs) / 2))
	mkfifo pipe
	(cat real.bs; head -c $half real.bs; exec sleep 60) >pipe &
	feeder=$!
	bs-embed -m dinov2 --size=42 <pipe >waited.bs 2>err &
	pid=$!
	i=0
	while test $i -lt 100 && test "$(bs-cat -l waited.bs 2>/dev/null | wc -l)" -lt $count
	do
		sleep 0.2
		i=$((i + 1))
	done
	kill -TERM $pid
	rc=0
	wait $pid || rc=$?
	kill $feeder
	test $rc -eq 75
	says "ended early: SIGTERM" err
	test "$(bs-cat -l --allow-partial waited.bs | wc -l)" -ge $count
'
ok 'a time limit does the same' '
	rc=0
	while cat real.bs 2>/dev/null; do :; done | bs-embed -m dinov2 --time-limit=1 >out.bs 2>err || rc=$?
	test $rc -eq 75
	says "ended early: time limit" err
	exits 75 bs-cat --verify out.bs 2>err
'
ok 'partial input is refused; where it is allowed, the output says partial' '
	rc=0
	half=$(($(wc -c <real.bs) / 2))
	(cat real.bs; head -c $half real.bs; exec sleep 2) | bs-cat --time-limit=1 >part.bs 2>err || rc=$?
	test $rc -eq 75
	exits 75 embed part.bs 2>err >/dev/null
	test "$(wc -l <err)" -eq 1
	embed --allow-partial part.bs >out.bs
	exits 75 bs-cat --verify out.bs 2>err
'
finish
