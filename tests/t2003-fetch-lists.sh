#!/bin/sh
# bs-fetch: lists of paths in every format, their columns, what is wrong with them.
. "${0%/*}/lib.sh"

heads () { zstd -dcq "$1" | grep -ao '{"__metadata__":{[^}]*}'; }
keys () { heads "$1" | sed -n 's/.*"key":"\([^"]*\)".*/\1/p'; }
captions () { heads "$1" | sed -n 's/.*"caption":"\([^"]*\)".*/\1/p'; }

mkdir in && cp "$BS_SRC/tests/sample/town/houses.png" in/a.png && cp in/a.png "in/b,c.png"
mkdir in/sub && cp in/a.png in/sub/d.png && echo "from a file" >in/a.txt

ok 'plain lines: paths from the folder of the list, captions beside' '
	printf "a.png\r\n\nsub/../b,c.png\n%s\n" "$PWD/in/sub/d.png" >in/list.txt
	bs-fetch in/list.txt >o.bs 2>err && test ! -s err
	test "$(keys o.bs | sed -n 1,2p | tr "\n" " ")" = "a sub/__/b_c "
	test "$(captions o.bs)" = "from a file"
	(cd in && bs-fetch - <list.txt) | cmp - o.bs
	(cd in && cat list.txt | bs-fetch -T 1 -) | cmp - o.bs
'
ok 'TSV: a header names path and caption, in any case, other columns are metadata' '
	printf "similarity\tURL\tTEXT\tkey\n0.3\ta.png\ta \"quoted\" one\tk/1\n\tb,c.png\t\tk/2\n" >in/l.tsv
	bs-fetch in/l.tsv >o.bs && test "$(keys o.bs | tr "\n" " ")" = "k/1 k/2 "
	heads o.bs | grep k/1 | grep -q "\"similarity\":\"0.3\"" && ! heads o.bs | grep k/2 | grep similarity
	heads o.bs | grep k/1 | grep -qF "\"caption\":\"a \\\"quoted\\\" one\""
	test $(captions o.bs | wc -l) -eq 1
'
ok 'CSV: quotes, commas and line ends in cells' '
	printf "path,caption\r\n\"b,c.png\",\"say \"\"hi\"\"\r\nthere\"\r\na.png,x\r\n" >in/l.csv
	bs-fetch in/l.csv >o.bs && test "$(keys o.bs | tr "\n" " ")" = "b_c a "
	heads o.bs | grep b_c | grep -qF "\"caption\":\"say \\\"hi\\\"\\r\\nthere\""
'
ok 'JSON lines' '
	printf "%s\n" "{\"file\":\"a.png\",\"caption\":\"caf\\u00e9\",\"id\":12.50,\"no\":null}" "{\"path\":\"b,c.png\"}" >in/l.jsonl
	bs-fetch in/l.jsonl >o.bs && heads o.bs | grep -q "\"caption\":\"caf$(printf "\303\251")\""
	heads o.bs | grep -q "\"id\":\"12.50\""
'
ok 'without a name that tells, by the first line; or as -i says' '
	for f in l.tsv l.csv l.jsonl list.txt
	do
		bs-fetch in/$f >want.bs && (cd in && bs-fetch - <$f) | cmp - want.bs
		gzip -c in/$f >in/blob.gz && bs-fetch in/blob.gz | cmp - want.bs
	done
	printf "\357\273\277path\na.png\n" >in/bom && bs-fetch in/bom >o.bs && test "$(keys o.bs)" = a
	bs-fetch -i csv in/l.csv >o.bs
	(cd in && exits 65 bs-fetch -i jsonl l.csv 2>err >o.bs && says "cannot read .l.csv.: line 1: " err)
'
ok 'no header: path and caption are the first two columns, or the ones named' '
	printf "a.png\tone\nb,c.png\ttwo\n" >in/bare.tsv
	bs-fetch in/bare.tsv >o.bs && test "$(captions o.bs | tr "\n" " ")" = "one two "
	printf "x\ttwo\ta.png\n" >in/third.tsv
	bs-fetch --path-column=3 --caption-column=2 in/third.tsv >o.bs && test "$(keys o.bs)" = a && test "$(captions o.bs)" = two
	printf "alt\tfoto\nq\ta.png\n" >in/own.tsv
	bs-fetch --path-column=foto --caption-column=ALT in/own.tsv >o.bs && test "$(captions o.bs)" = q
	bs-fetch --no-captions in/bare.tsv >o.bs && test -z "$(captions o.bs)"
'
ok 'a column that is not there is 65' '
	exits 65 bs-fetch --path-column=nope in/l.tsv >o.bs 2>err && says "cannot read .in/l.tsv.: no column .nope." err
	exits 65 bs-fetch --caption-column=nope in/l.tsv >o.bs 2>err && says "no column .nope." err
'
ok 'rows that lead nowhere have their status' '
	printf "path\tx\n\t1\nnowhere.png\t2\nftp://h/a.png\t3\nsub\t4\na.png\t5\n%s\t6\n" "$(head -c 5000 /dev/zero | tr "\0" a)" >in/w.tsv
	bs-fetch --log=log in/w.tsv >o.bs 2>err
	sed "s/.*\"status\":\"\([a-z_]*\)\".*/\1/" log | tr "\n" " " >got
	test "$(cat got)" = "invalid_url io_error invalid_url io_error ok invalid_url "
	grep -q "not a regular file" log && test "$(keys o.bs)" = a
'
ok 'a network source is 69 and says so' '
	printf "url\na.png\nhttps://example.org/a.jpg\n" >in/n.tsv
	exits 69 bs-fetch in/n.tsv >o.bs 2>err
	says "^bs-fetch: cannot read .in/n.tsv.: line 3: .https://example.org/a.jpg.: network sources are not built in$" err
'
ok 'each defect of a list is 65, with its line' '
	for f in "$BS_SRC"/tests/bad/list-*
	do
		exits 65 bs-fetch "$f" >o.bs 2>err || { echo "$f"; exit 1; }
		says "^bs-fetch: cannot read .*: line [0-9]+: " err || { echo "$f"; exit 1; }
	done
'
ok 'an empty list is 65' '
	: >e.tsv && exits 65 bs-fetch e.tsv >o.bs 2>err && says "no images in .e.tsv." err
	printf "path\tcaption\n" >e.tsv && exits 65 bs-fetch e.tsv >o.bs 2>err
	exits 65 bs-fetch - </dev/null >o.bs 2>err && says "no images in .stdin." err
	exits 65 bs-fetch - <&- >o.bs 2>err
'
ok 'a row of more than 1 MiB is 65, not more memory' '
	head -c 50000000 /dev/zero | tr "\0" a >in/long.txt
	exits 65 bs-fetch in/long.txt >o.bs 2>err && says "line 1: row is longer than 1 MiB" err
'
finish
