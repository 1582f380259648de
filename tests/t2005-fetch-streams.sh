#!/bin/sh
# bs-fetch: closed and full outputs, readers that leave, signals, time limits.
. "${0%/*}/lib.sh"

photos=$BS_SRC/tests/sample
heads () { zstd -dcq "$1" 2>/dev/null | grep -ao '{"__metadata__":{[^}]*}'; }
# A list that goes on for ever: paths, then silence.
endless () { for i in 1 2 3 4 5 6 7 8 9; do find "$photos" -name "*.png" -o -name "*.jpg"; done; sleep 60; }

ok 'a full disk is 74, said once' '
	exits 74 bs-fetch "$photos" >/dev/full 2>err
	says "^bs-fetch: cannot write .stdout.: .*No space left on device$" err
'
ok 'a closed stdout is 74' '
	exits 74 bs-fetch "$photos" >&- 2>err && test $(wc -l <err) -eq 1
'
ok 'a reader that leaves ends it without a word' '
	mkdir many && for i in $(seq 200); do cp "$photos/textiles/knit.webp" many/$i.webp; done
	(rc=0; bs-fetch many 2>err || rc=$?; echo $rc >status) | head -c 1 >/dev/null
	test ! -s err && test $(cat status) -eq 141
'
ok 'an output file that cannot be is 74, an old one stays' '
	echo old >o.bs && exits 66 bs-fetch -o o.bs nowhere 2>err && test "$(cat o.bs)" = old
	exits 74 bs-fetch -o nowhere/o.bs "$photos" 2>err && test $(wc -l <err) -eq 1
'
ok 'SIGTERM: a partial end and 75, also while it waits for input' '
	mkfifo pipe
	endless >pipe & writer=$!
	bs-fetch -T 1 - <pipe >o.bs 2>err & pid=$!
	for try in $(seq 100); do heads o.bs | grep -q bs.kind && break; sleep 0.1; done
	sleep 0.5 && kill -TERM $pid && rc=0 && wait $pid || rc=$?
	kill $writer 2>/dev/null || true
	test $rc -eq 75 && zstd -dcq o.bs | grep -aq "\"bs.status\":\"partial\""
	says "ended early: SIGTERM$" err
'
ok '--time-limit: the same' '
	mkfifo pipe2
	endless >pipe2 & writer=$!
	rc=0; bs-fetch --time-limit=1 - <pipe2 >o.bs 2>err || rc=$?
	kill $writer 2>/dev/null || true
	test $rc -eq 75 && zstd -dcq o.bs | grep -aq "\"bs.status\":\"partial\""
	says "ended early: time limit$" err
'
ok 'progress on stderr only when asked' '
	bs-fetch --progress "$photos" >o.bs 2>err && bs-fetch "$photos" 2>quiet | cmp - o.bs && test ! -s quiet
'
ok 'no memory is 71, or it works' '
	test -n "${BS_SAN:-}" || (
		ulimit -v 60000; rc=0; bs-fetch -T 2 --jpeg-roundtrip=75 "$photos" >o.bs 2>err || rc=$?
		test $rc -eq 0 || { test $rc -eq 71 && test $(wc -l <err) -eq 1; }
	)
'
finish
