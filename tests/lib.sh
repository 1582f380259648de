# Sourced by every tests/tNNNN-*.sh.  Prints TAP; tests/README.md says how to
# write a test.
: "${BS_BIN:?run through 'make check'}" "${BS_SRC:?}"
LC_ALL=C TZ=UTC
export LC_ALL TZ
PATH=$BS_BIN:$PATH
ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
# A command that dies leaves its threads to exit().
TSAN_OPTIONS=report_thread_leaks=0
export ASAN_OPTIONS TSAN_OPTIONS
t_count=0 t_fail=0
t_dir=$(mktemp -d) || exit 1
trap 'rm -rf "$t_dir"' EXIT
cd "$t_dir" || exit 1

# ok 'title' 'script': the script is eval'd in a subshell under set -e.
# Not 'if (set -e; ...)': a shell ignores -e inside a condition.
ok () {
	t_count=$((t_count + 1))
	(set -e; eval "$2") >"$t_dir/t.out" 2>&1 </dev/null
	if test $? -eq 0
	then
		echo "ok $t_count - $1"
	else
		t_fail=$((t_fail + 1))
		echo "not ok $t_count - $1"
		sed 's/^/# /' "$t_dir/t.out"
	fi
}

# skip 'why': said in the output; BS_TEST_REQUIRE=all makes it a failure.
skip () {
	t_count=$((t_count + 1))
	if test "${BS_TEST_REQUIRE:-}" = all
	then
		t_fail=$((t_fail + 1))
		echo "not ok $t_count - $1"
	else
		echo "ok $t_count # SKIP $1"
	fi
}

# exits CODE command...: the command must exit with exactly CODE, so that a
# crash is never an expected failure.
exits () {
	t_want=$1; shift
	t_got=0; "$@" || t_got=$?
	test "$t_got" -eq "$t_want" || { echo "exit $t_got, wanted $t_want: $*"; return 1; }
}

# says 'pattern' file: the file is one line that matches (grep -E).
says () {
	test "$(wc -l <"$2")" -eq 1 && grep -qE -e "$1" "$2" ||
		{ echo "wanted one line like '$1', got:"; cat "$2"; return 1; }
}

# python_with_numpy: the name of one, or nothing; Debian's is not always the first.
python_with_numpy () {
	for t_python in python3 /usr/bin/python3
	do
		$t_python -c "import numpy" 2>/dev/null && { echo $t_python; return; }
	done
}

finish () {
	echo "1..$t_count"
	test "$t_fail" -eq 0
}
