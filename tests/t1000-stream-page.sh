#!/bin/sh
# The readers in bs-stream(5), taken out of the page, read the golden streams
# and refuse what is cut.
. "${0%/*}/lib.sh"

golden=$BS_SRC/tests/golden/stream

# program FILE: the text between its two marks in the page.
program () {
	sed -n "/^\.\\\\\" BEGIN $1\$/,/^\.\\\\\" END $1\$/p" "$BS_SRC/man/bs-stream.5" |
		sed '1d;$d;s/\\e/\\/g'
}

ok 'the page is well formed' '
	mandoc -Tlint -W warning "$BS_SRC/man/bs-stream.5" >lint 2>&1 || { cat lint; false; }
'

ok 'the reader in C compiles without a warning' '
	program records.c >records.c
	${CC:-cc} -std=c11 -Wall -Wextra -Werror -O1 -o records records.c -lzstd
'
for f in "$golden"/*.bs
do
	name=$(basename "$f" .bs)
	ok "C: $name" './records <"$f" >out; cmp out "${f%.bs}.tsv"'
done
ok 'C: cut at each byte: 65' '
	all=$(wc -c <"$golden/code.bs") n=0
	while test $n -lt $all
	do
		head -c $n "$golden/code.bs" >cut.bs
		exits 65 ./records <cut.bs >out 2>err
		says "^records: " err
		n=$((n + 1))
	done
'
ok 'C: two streams are one, and the second may be cut' '
	cat "$golden/code.bs" "$golden/image.bs" >two.bs
	exits 0 ./records <two.bs >out
	cat "$golden/code.tsv" "$golden/image.tsv" | cmp - out
	head -c $(($(wc -c <"$golden/code.bs") + 5)) two.bs >cut.bs
	exits 65 ./records <cut.bs
	head -c -1 two.bs >cut.bs
	exits 65 ./records <cut.bs
'
ok 'C: garbage and damage: 65' '
	cat "$golden/code.bs" records.c >bad.bs
	exits 65 ./records <bad.bs
	exits 65 ./records </dev/null
	exits 65 ./records <records.c
	{ head -c 300 "$golden/feature.bs"; printf x; tail -c +302 "$golden/feature.bs"; } >bad.bs
	exits 65 ./records <bad.bs
'

py=$(python_with_numpy)
if test -z "$py"
then
	skip 'no Python with numpy'
else
	program records.py >records.py
	for f in "$golden"/*.bs
	do
		name=$(basename "$f" .bs)
		ok "Python: $name" '"$py" records.py "$f" >out; cmp out "${f%.bs}.tsv"'
	done
	ok 'Python: cut streams fail' '
		cat "$golden/code.bs" "$golden/image.bs" >two.bs
		for n in 0 3 40 200 $(($(wc -c <"$golden/code.bs") + 7)) $(($(wc -c <two.bs) - 1))
		do
			head -c $n two.bs >cut.bs
			exits 1 "$py" records.py cut.bs >out 2>err
		done
		exits 0 "$py" records.py two.bs >out
	'
	# zstd -t accepts these: they are cut between two frames
	ok 'Python: a stream without its end fails' '
		zstd -dcq "$golden/code.bs" >plain
		zstd -q --content-size -f plain -o whole.bs
		exits 0 "$py" records.py whole.bs >out
		head -c -256 plain >cut
		zstd -q -f cut -o cut.bs
		exits 0 zstd -tq cut.bs
		exits 1 "$py" records.py cut.bs >out 2>err
	'
fi
finish
