#!/bin/sh
# What every command does with its options, and which stream each byte goes to.
. "${0%/*}/lib.sh"

# commands: a line each; a command of subcommands stands before these.
commands () {
	for c in $(cd "$BS_SRC/cmd" && ls bs-*.c | sed 's/\.c$//')
	do
		echo "$c"
		$c --list-commands 2>/dev/null | sed "s/^/$c /; s/	.*//"
	done
}
commands >commands

while read -r cmd
do
	ok "$cmd --help: on stdout, 0, nothing on stderr" '
		$cmd --help >out 2>err && test ! -s err
		head -n 1 out | grep -q "^usage: $cmd "
		$cmd -h | cmp - out
		test "$(wc -l <out)" -le 60
		awk "length > 100 { exit 1 }" out
	'
	ok "$cmd --version: the command, its version, its libraries" '
		$cmd -V >out 2>err && test ! -s err
		head -n 1 out | grep -q "^$cmd [v0-9a-f]"
	'
	ok "$cmd: an unknown option is 64, one line and the usage" '
		exits 64 $cmd --no-such-option >out 2>err && test ! -s out
		test $(wc -l <err) -eq 2
		sed -n 1p err | grep -q "^$cmd: unknown option .--no-such-option.$"
		sed -n 2p err | grep -q "^usage: $cmd "
		exits 64 $cmd -% 2>err
	'
	ok "$cmd: abbreviations of options are not taken" '
		exits 64 $cmd --hel 2>err
	'
	ok "$cmd: a flag takes no value, a value is needed and checked" '
		$cmd --list-options | grep -q -e --output || exit 0
		exits 64 $cmd --quiet=1 2>err && grep -q "takes no value" err
		exits 64 $cmd --output 2>err && grep -q "needs a value" err
		exits 64 $cmd --output= 2>err && grep -q "empty" err
		$cmd --list-options | grep -q -e --level || exit 0
		exits 64 $cmd --level=x 2>err && grep -q "not a number" err
		exits 64 $cmd --level=99 2>err && grep -q "too large" err
	'
	ok "$cmd: -q and -v do not go together" '
		exits 64 $cmd -q -v 2>err
	'
	ok "$cmd --list-options: five fields a line, every long name once" '
		$cmd --list-options >out
		awk -F"\t" "NF != 5 || \$2 !~ /^--[a-z][a-z0-9-]*\$/ { exit 1 }" out
		cut -f 2 out | sort | uniq -d >twice && test ! -s twice
		cut -f 1 out | grep . | sort | uniq -d >twice && test ! -s twice
	'
	ok "$cmd: help on a full disk is 74, said once" '
		exits 74 $cmd --help >/dev/full 2>err
		says "^$cmd: cannot write .stdout.: No space left on device$" err
	'
	ok "$cmd: help with stdout closed is 74" '
		exits 74 $cmd --help >&- 2>err
	'
done <commands
finish
