#!/bin/sh
# The harness itself: a failing script must fail its test, whatever its shape.
. "${0%/*}/lib.sh"

# tap 'script': what a test file with this one test prints, and its status
tap () {
	printf '%s\n' '. "$BS_SRC/tests/lib.sh"' "ok 'x' '$1'" 'finish' >inner.sh
	sh inner.sh >inner.tap; echo $? >inner.status
}

ok 'a script that succeeds passes' '
	tap true && grep -q "^ok 1 - x" inner.tap && test $(cat inner.status) -eq 0
'
ok 'a first line that fails is a failure' '
	tap "false; true" && grep -q "^not ok 1" inner.tap && test $(cat inner.status) -eq 1
'
ok 'a last line that fails is a failure' '
	tap "true; false" && grep -q "^not ok 1" inner.tap
'
ok 'a failure inside a loop is a failure' '
	tap "for i in 1 2; do test \$i = 2; done" && grep -q "^not ok 1" inner.tap
'
ok 'exits wants the exact status' '
	exits 3 sh -c "exit 3"
	! exits 3 sh -c "exit 4" && ! exits 0 sh -c "exit 1"
'
ok 'a crash is never the expected status of a failure' '
	! exits 65 sh -c "kill -SEGV \$\$"
'
ok 'says wants one matching line' '
	echo "bs-x: no" >a && says "^bs-x: no$" a
	printf "bs-x: no\nmore\n" >a && ! says "^bs-x: no$" a
'
ok 'a skip is visible, and a failure where it is forbidden' '
	printf "%s\n" ". \"\$BS_SRC/tests/lib.sh\"" "skip why" finish >inner.sh
	sh inner.sh >inner.tap && grep -q "^ok 1 # SKIP why" inner.tap
	BS_TEST_REQUIRE=all sh inner.sh >inner.tap || grep -q "^not ok 1 - why" inner.tap
'
finish
