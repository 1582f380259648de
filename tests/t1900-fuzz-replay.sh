#!/bin/sh
# Every fuzz target replays its corpus and the bad files without a crash.
. "${0%/*}/lib.sh"

for target in "$BS_SRC"/tests/fuzz/fuzz-*.c
do
	name=${target##*/fuzz-}; name=${name%.c}
	ok "$name" '
		test -n "$(ls "$BS_SRC/tests/fuzz/corpus/$name")"
		"$BS_BIN/tests/fuzz/fuzz-$name" "$BS_SRC/tests/fuzz/corpus/$name" "$BS_SRC/tests/bad" >tap
		! grep "^not ok" tap
	'
done
finish
