#!/bin/sh
# bs-fetch: folders, keys, captions, what a record holds, and the exit statuses.
. "${0%/*}/lib.sh"

# heads FILE: the JSON of every document of a stream, one a line.
heads () { zstd -dcq "$1" | grep -ao '{"__metadata__":{[^}]*}'; }
# keys FILE: the keys of its records, in order.
keys () { heads "$1" | sed -n 's/.*"key":"\([^"]*\)".*/\1/p'; }

cp -R "$BS_SRC/tests/sample" photos

ok 'a folder: records on stdout, nothing on stderr, 0' '
	bs-fetch photos/ >out.bs 2>err && test ! -s err
	keys out.bs >got && find photos -name "*.txt" -o -name "*.json" >all
	test $(wc -l <got) -eq $(wc -l <all)
	LC_ALL=C sort -c got
'
ok 'wherever the folder lies, and from any -T, the same bytes' '
	bs-fetch photos/ >1.bs && bs-fetch photos >2.bs && bs-fetch ./photos// >3.bs
	(cd photos && bs-fetch .) >4.bs
	for t in 1 2 3 7; do bs-fetch -T $t photos/ | cmp - 1.bs; done
	cmp 1.bs 2.bs && cmp 1.bs 3.bs && cmp 1.bs 4.bs
	bs-fetch -o 5.bs photos/ && cmp 1.bs 5.bs
'
ok 'a record holds caption, size, digest, source and the original bytes' '
	heads out.bs | grep "\"key\":\"landscapes/dunes\"" >rec
	grep -q "\"caption\":\"$(cat photos/landscapes/dunes.txt)\"" rec
	grep -q "\"width\":\"480\"" rec && grep -q "\"height\":\"360\"" rec
	grep -q "\"src\":\"landscapes/dunes.jpg\"" rec
	grep -q "\"status\":\"ok\"" rec && grep -q "\"format\":\"jpg\"" rec
	grep -q "\"sha256\":\"$(sha256sum photos/landscapes/dunes.jpg | cut -c 1-64)\"" rec
	! grep orig_key rec
'
ok 'a .json beside the picture gives caption and metadata' '
	mkdir j && cp photos/town/skyline.jpg j/a.jpg
	echo "{\"prompt\":\"a p\",\"author\":\"me\",\"n\":1,\"key\":\"no\",\"sha256\":\"no\",\"bs.kind\":\"no\"}" >j/a.json
	bs-fetch j >o.bs && heads o.bs | grep "\"key\":\"a\"" >rec
	grep -q "\"caption\":\"a p\"" rec && grep -q "\"author\":\"me\"" rec
	! grep "\"no\"" rec && ! grep "\"n\"" rec
	printf "  of text \n\n" >j/a.txt
	bs-fetch j >o.bs && heads o.bs | grep "\"caption\":\"of text\"" | grep -q author
	bs-fetch --no-captions j >o.bs && ! heads o.bs | grep -E "caption\"|author"
'
ok 'text that is not UTF-8 is repaired' '
	mkdir u && cp photos/town/skyline.jpg u/a.jpg && printf "caf\351" >u/a.txt
	bs-fetch u >o.bs && heads o.bs | grep -q "\"caption\":\"caf$(printf "\357\277\275")\""
'
ok 'hidden files, links to folders, other files and pipes are passed over' '
	mkdir -p w/.git w/sub && cp photos/town/skyline.jpg w/sub/a.jpg
	cp w/sub/a.jpg w/.git/b.jpg && cp w/sub/a.jpg w/.c.jpg
	ln -s ../w w/loop && ln -s sub w/other && mkfifo w/p.jpg && echo x >w/README.md
	ln -s sub/a.jpg w/link.jpg
	bs-fetch w >o.bs 2>err && test ! -s err && test "$(keys o.bs | tr "\n" " ")" = "link sub/a "
	ln -s w linked && bs-fetch linked | cmp - o.bs
'
ok 'keys are safe, unique and told where they differ' '
	mkdir k && for n in "a b" "a+b" "a_b" "a.b" "-"; do cp photos/textiles/plaid.png "k/$n.png"; done
	cp photos/textiles/plaid.png "k/$(printf "%0230d" 7).PNG"
	bs-fetch k >o.bs && keys o.bs >got
	test "$(sed -n 1p got)" = "-" && test "$(sed -n 3p got)" = a_b
	test "$(sed -n "4,6p" got | tr "\n" " ")" = "a_b-2 a_b-3 a_b-4 "
	sed -n 2p got | grep -qE "^0{183}-[0-9a-f]{16}$"
	heads o.bs | grep "\"key\":\"a_b\"" | grep -q "\"orig_key\":\"a b\""
	heads o.bs | grep "\"key\":\"a_b-4\"" | grep -q "\"src\":\"a_b.png\""
'
ok '--key-prefix stands before every key; one that cannot is 64' '
	bs-fetch --key-prefix=real/ photos/town >o.bs
	keys o.bs | sed "s|^real/||" >got && bs-fetch photos/town >o2.bs && keys o2.bs | cmp - got
	for bad in / a//b "a b" ../; do exits 64 bs-fetch --key-prefix="$bad" photos/town 2>err; done
'
ok 'single pictures, as the shell names them' '
	bs-fetch photos/town/* photos/textiles/plaid.png >o.bs 2>err || true
	bs-fetch photos/*/*.png >o.bs && test "$(keys o.bs | tr "\n" " ")" = "kilim plaid houses "
	cp photos/textiles/plaid.png noname && bs-fetch noname >o.bs && test "$(keys o.bs)" = noname
'
ok '--jpeg-roundtrip stores a JPEG and says what it was' '
	bs-fetch --jpeg-roundtrip=75 photos/textiles/plaid.png >o.bs
	zstd -dcq o.bs | grep -aq "\"jpg\":{\"dtype\":\"U8\""
	heads o.bs | grep -q "\"format\":\"png\""
	heads o.bs | grep -q "\"sha256\":\"$(sha256sum photos/textiles/plaid.png | cut -c 1-64)\""
	bs-fetch -T 3 --jpeg-roundtrip=75 photos >a.bs && bs-fetch -T 1 --jpeg-roundtrip=75 photos | cmp - a.bs
'
ok 'the head names the options that change the result and nothing else' '
	bs-fetch -T 2 --seed=9 -v --log=l --strict --min-side=1 --no-validate photos 2>err | zstd -dcq >plain
	grep -aqF "{\\\"min_side\\\":1,\\\"validate\\\":false}" plain
	bs-fetch --sample=2 --seed=9 photos | zstd -dcq | grep -aq "\"bs.seed\":\"9\""
	bs-fetch --no-provenance photos | zstd -dcq >plain && ! grep -a bs.params plain
'
ok 'no source, or an impossible option, is 64' '
	exits 64 bs-fetch >out 2>err && test ! -s out && grep -q "no source" err
	exits 64 bs-fetch --jpeg-roundtrip=101 photos 2>err
	exits 64 bs-fetch --sample=0 photos 2>err
	exits 64 bs-fetch --input-format=xml photos 2>err
'
ok 'a source that is not there is 66, before anything is written' '
	exits 66 bs-fetch photos nowhere >out 2>err
	test ! -s out && says "^bs-fetch: cannot open .nowhere.: No such file or directory$" err
'
ok 'a folder without pictures is 65' '
	mkdir none && echo x >none/a.txt && exits 65 bs-fetch none >out 2>err
	says "^bs-fetch: no images in .none.$" err
	exits 65 bs-fetch photos none >out.bs 2>err
	! zstd -dcq out.bs | grep -a bs.records
'
ok 'a stream or a model is no source' '
	bs-fetch photos >s.bs && exits 65 bs-fetch s.bs >out 2>err && says "is a bs stream" err
	zstd -dcq s.bs >plain && exits 65 bs-fetch plain >out 2>err && says "is a bs stream" err
'
if test "$(id -u)" -ne 0
then
	ok 'a folder that may not be read is 66' '
		mkdir -p locked/in && chmod 0 locked/in && exits 66 bs-fetch locked >out 2>err
		chmod 755 locked/in && says "cannot open folder .locked/in.: Permission denied" err
	'
fi
finish
