#!/bin/sh
# bs-fetch: every status of a candidate, the log, the counts, --strict.
. "${0%/*}/lib.sh"

bad=$BS_SRC/tests/bad
good=$BS_SRC/tests/sample/town/houses.png

# status NAME: what the log says of the candidate of that source.
status () { sed -n "s/.*\"src\":\"$1\",\"status\":\"\([a-z_]*\)\".*/\1/p" log; }

mkdir all
cp "$good" all/good.png && cp "$good" all/huge-bytes.png && : >all/empty.jpg
head -c 20000 /dev/zero >>all/huge-bytes.png
for name in image-cut.jpg image-cut.png image-cut.webp image-animated.gif image-animated.webp image-still.bmp \
	image-still.gif image-still.tiff image-text.jpg image-huge.jpg image-huge.png image-crc.png image-no-tables.jpg
do
	cp "$bad/$name" all
done
ln -s nowhere all/io.jpg
cp "$good" all/badjson.png && echo "{" >all/badjson.json
cp "$good" all/longtext.png && head -c 65537 /dev/zero | tr "\0" a >all/longtext.txt
cp "$good" all/listjson.png && echo "[]" >all/listjson.json

ok 'each candidate has its status, with 0 and one warning' '
	bs-fetch --max-bytes=20000 --log=log all >out.bs 2>err
	says "^bs-fetch: warning: 20 candidates: 1 ok, 1 empty, " err
	for want in good.png:ok empty.jpg:empty image-text.jpg:not_image image-still.bmp:unsupported_format \
		image-still.gif:unsupported_format image-still.tiff:unsupported_format image-animated.gif:animated \
		image-animated.webp:animated image-cut.jpg:truncated image-cut.png:truncated image-cut.webp:truncated \
		image-crc.png:decode_error image-no-tables.jpg:decode_error image-huge.jpg:decode_limit \
		image-huge.png:decode_limit huge-bytes.png:too_large io.jpg:io_error badjson.png:bad_metadata \
		longtext.png:bad_metadata listjson.png:bad_metadata
	do
		test "$(status ${want%:*})" = ${want#*:} || { echo "wanted $want, got $(status ${want%:*})"; exit 1; }
	done
'
ok 'the log has one line of JSON a candidate, numbered in order' '
	test $(wc -l <log) -eq 20
	sed "s/{\"i\":\([0-9]*\),.*/\1/" log >got && seq 0 19 | cmp - got
	! grep -vE "^\{\"i\":[0-9]+,\"key\":\".*\",\"src\":\".*\",\"status\":\"[a-z_]+\",\"bytes\":[0-9]+,\"width\":([0-9]+|null),\"height\":([0-9]+|null),\"sha256\":(\"[0-9a-f]{64}\"|null),\"message\":(\".+\"|null)\}$" log
	grep "\"status\":\"ok\"" log | grep -q "\"message\":null"
	grep "io.jpg" log | grep -q "No such file or directory"
'
ok 'the counts stand in the end of the stream' '
	zstd -dcq out.bs | grep -aq "\"bs.stats\":\"{.\"candidates.\":20,.\"ok.\":1,.\"empty.\":1,"
'
ok 'the log is the same for any -T' '
	bs-fetch -T 1 --max-bytes=20000 --log=log1 all 2>err >out1.bs
	bs-fetch -T 5 --max-bytes=20000 --log=log5 all 2>err >out5.bs
	cmp log log1 && cmp log log5 && cmp out.bs out1.bs && cmp out.bs out5.bs
'
ok '-q says nothing, -v says it of a clean run too' '
	bs-fetch -q all >out 2>err && test ! -s err
	bs-fetch -v "$good" >out 2>err && grep -qx "bs-fetch: 1 candidate: 1 ok" err
	bs-fetch -vv "$bad/image-text.jpg" >out 2>err && grep -q "^bs-fetch: .image-text.jpg.: not_image: " err
'
ok '--strict fails at the first, without an end' '
	exits 65 bs-fetch --strict --log=log all >out.bs 2>err
	says "^bs-fetch: .badjson.png.: bad_metadata: caption file" err
	! zstd -dcq out.bs | grep -a bs.records
	exits 65 bs-fetch --strict -o new.bs all 2>err && test ! -e new.bs
	bs-fetch --strict "$good" >out.bs
'
ok '--min-side, --max-pixels and --max-bytes refuse what is beyond' '
	bs-fetch --min-side=360 --log=log "$good" >out && test "$(status houses.png)" = ok
	bs-fetch --min-side=361 --log=log "$good" 2>err >out && test "$(status houses.png)" = too_small
	bs-fetch --max-pixels=172800 --log=log "$good" >out && test "$(status houses.png)" = ok
	bs-fetch --max-pixels=172799 --log=log "$good" 2>err >out && test "$(status houses.png)" = decode_limit
	size=$(wc -c <"$good")
	bs-fetch --max-bytes=$size --log=log "$good" >out && test "$(status houses.png)" = ok
	bs-fetch --max-bytes=$((size - 1)) --log=log "$good" 2>err >out && test "$(status houses.png)" = too_large
'
ok '--dedupe refuses bytes that came before' '
	mkdir twins && cp "$good" twins/a.png && cp "$good" twins/b.png && cp "$bad/image-text.jpg" twins
	bs-fetch --log=log twins 2>err >out && test "$(status b.png)" = ok
	for t in 1 3
	do
		bs-fetch -T $t --dedupe --log=log twins 2>err >out
		test "$(status a.png)" = ok && test "$(status b.png)" = duplicate
	done
'
ok '--no-validate looks at headers only' '
	bs-fetch --no-validate --log=log "$bad/image-cut.jpg" >out && test "$(status image-cut.jpg)" = ok
	bs-fetch --no-validate --log=log "$bad/image-text.jpg" 2>err >out && test "$(status image-text.jpg)" = not_image
'
ok 'a log that cannot be written is 74' '
	exits 74 bs-fetch --log=nowhere/log "$good" >out 2>err && says "cannot write log" err
	exits 74 bs-fetch --log=/dev/full "$good" >out 2>err && says "cannot write the log" err
'
ok 'names with control characters and quotes do no harm' '
	mkdir odd && cp "$good" "odd/$(printf "a\033[31m\"\nb").png" && cp "$bad/image-text.jpg" "odd/$(printf "c\007").jpg"
	bs-fetch --log=log odd >out 2>err && test $(wc -l <log) -eq 2
	grep -q "a.u001b\[31m..\\\\nb.png" log
	exits 65 bs-fetch --strict "odd" >out 2>err && test $(wc -l <err) -eq 1 && ! grep "$(printf "\007")" err
'
finish
