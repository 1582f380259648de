#!/bin/sh
# bs-cat between formats: tar, npy, safetensors, folders.
. "${0%/*}/lib.sh"

npy=$BS_SRC/tests/golden/npy wds=$BS_SRC/tests/golden/wds bad=$BS_SRC/tests/bad
bs-cat "$npy/features.npy" >f.bs && bs-cat "$wds/webdataset.tar" >w.bs || exit 1
bs-cat "$wds/safetensors.tar" >bf16.bs && cat w.bs f.bs bf16.bs >all.bs

ok 'a tar that webdataset wrote: images, captions, metadata, arrays' '
	bs-cat -l "$wds/webdataset.tar" >got && test $(wc -l <got) -eq 3
	grep -q "^000/000002	emb:F32\[4\]	jpg:U8" got
	bs-cat -t --key 000/000002 w.bs | sed -n 2p | grep -qx "$(printf "0\t2\t4\t6")"
	bs-cat -H w.bs | grep -q "\"bs.source\": \"webdataset\""
	bs-cat -j w.bs | sed -n 1p | grep -q "\"caption\":\"caption 0\""
'
ok 'stream to tar and back: byte-identical, any compression, any way in' '
	for s in tar tar.gz tgz tar.bz2 tar.xz tar.zst tzst; do
		bs-cat -o o.$s all.bs && bs-cat o.$s | cmp - all.bs || return 1
		bs-cat <o.$s | cmp - all.bs && cat o.$s | bs-cat | cmp - all.bs || return 1
		bs-cat -o again.$s all.bs && cmp o.$s again.$s || return 1
	done
	bs-cat -f wds all.bs | cmp - o.tar
'
ok 'tar lists what is in it, with names that other tools know' '
	tar tf o.tar >names && test "$(sed -n 1p names)" = __bs__/head
	test "$(tail -n 1 names)" = __bs__/end
	for e in jpg txt json emb.npy; do grep -qx "000/000001.$e" names || return 1; done
	tar xf o.tar && bs-cat -l 000/000001.emb.npy | grep -qF "F32[1,4]"
'
ok 'tars that follow each other are one input' '
	cat o.tar o.tar >oo.tar && cat all.bs all.bs >want && bs-cat oo.tar | cmp - want
	bs-cat -l "$wds/concatenated.tar" | cut -f 1 | tr "\n" " " | grep -qx "a b c "
'
ok 'PAX and GNU names: keys that are safe, originals kept' '
	bs-cat -j "$wds/pax.tar" >got && bs-cat -j "$wds/gnu.tar" | cmp - got
	grep -qF "\"key\":\"caf__/___\",\"caption\":\"cat\",\"orig_key\":\"caf$(printf "\303\251")/" got
	sed -n 2p got | grep -qE "\"key\":\"(folder/)+[a-z]+-[0-9a-f]{16}\""
'
ok 'names: the key ends at the first dot; what means nothing is passed over' '
	bs-cat -v -l "$wds/names.tar" >got 2>err && cut -f 1 got | tr "\n" " " >keys
	test "$(cat keys)" = "d/e d/v1 d/f d/g d/h "
	grep -q "4 members passed over" err
	grep -qE "^d/g	left.png:U8\[[0-9]+\]	right.png:U8" got && grep -q "^d/f	jpg:U8" got
	bs-cat -j "$wds/names.tar" | grep -qF "{\"key\":\"d/g\",\"en\":\"english\"}"
	bs-cat -j "$wds/names.tar" | grep -qF "{\"key\":\"d/v1\",\"2\":\"more dots\"}"
'
ok 'a safetensors member: all of its tensors' '
	bs-cat -l bf16.bs | grep -qxF "$(printf "a\tw:BF16[2,2]\todd name/1:U8[1]")"
'
ok 'a cut tar is refused, unless it is asked for' '
	exits 65 bs-cat "$bad/tar-cut-between.tar" 2>err >out && says "without its closing mark" err
	bs-cat --allow-partial -l "$bad/tar-cut-between.tar" >got && test $(wc -l <got) -eq 2
	bs-cat --allow-partial "$bad/tar-cut-between.tar" >p.bs && exits 75 bs-cat -l p.bs 2>err >got
	n=$(wc -c <o.tar)
	for i in 1 500 512 600 1024 $((n / 2)) $((n - 3000)); do
		head -c $i o.tar >cut.tar && exits 65 bs-cat --verify cut.tar 2>err || return 1
		test $(wc -l <err) -eq 1
	done
'
ok 'a changed tar does not prove its end' '
	bs-cat -f wds w.bs | sed "s/caption 1/caption 9/g" >t.tar
	exits 65 bs-cat --verify t.tar 2>err && says "hash is .*but the end says" err
'
for f in "$bad"/tar-* "$bad"/npy-*
do
	ok "${f##*/}: 65, said once, no end written" '
		exits 65 bs-cat "$f" >out 2>err && says "^bs-cat: cannot read .*${f##*/}.: " err
		test ! -s out || exits 65 bs-cat --verify out 2>err
		cat "$f" | exits 65 bs-cat >out 2>err && says "cannot read .stdin.: " err
	'
done
ok 'npy files of every type and version: one record, or one a row' '
	for t in b1 u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8 rank1 empty version2 version3 python2; do
		bs-cat -l "$npy/$t.npy" >got && test $(wc -l <got) -eq 1 || return 1
	done
	bs-cat -l "$npy/rank3.npy" | tail -n 1 | grep -qxF "$(printf "000001\tx:I16[2,2]")"
	bs-cat -l <"$npy/f8.npy" | grep -qxF "$(printf "stdin\tx:F64[2,3]")"
	cat "$npy/features.npy" | bs-cat | cmp - f.bs
'
ok 'stream to a folder of npy: files that hold the same' '
	bs-cat -f npy -o folder f.bs && test $(ls folder | wc -l) -eq 40
	bs-cat -t folder/000004.x.npy | sed 1d >got && bs-cat -t --key 000004 f.bs | sed 1d | cmp - got
	bs-cat -f npy -o folder2/ w.bs && test -f folder2/000/000001.jpg && test -f folder2/000/000001.json
	bs-cat -f npy -o folder3 bf16.bs && ls folder3 | tr "\n" " " | grep -qx "a.json a.safetensors "
'
ok 'BF16 as F32: in npy, in a stream, and said in its head' '
	bs-cat -f npy --bf16-as f32 -o wide bf16.bs && bs-cat -l wide/a.w.npy | grep -q "F32\[2,2\]"
	bs-cat --bf16-as f32 bf16.bs >wide.bs && bs-cat -t wide.bs | sed "s/:F32/:BF16/" >got
	bs-cat -t bf16.bs | cmp - got
	bs-cat -H wide.bs | grep -qF "{\"bf16-as\":\"f32\"}"
	bs-cat --bf16-as f32 f.bs | bs-cat -t >got && bs-cat -t f.bs | cmp - got
'
ok 'stream to safetensors: a file a record, or one for the only record' '
	bs-cat -f safetensors -o st f.bs && test $(ls st | wc -l) -eq 20
	bs-cat st/000009.safetensors | bs-cat -t >got && bs-cat -t --key 000009 f.bs | cmp - got
	bs-cat -o one.safetensors --key 000009 f.bs && cmp one.safetensors st/000009.safetensors
	bs-cat -f safetensors --key 000009 f.bs | cmp - one.safetensors
	exits 65 bs-cat -o many.safetensors f.bs 2>err && says "more than one record" err
	exits 65 bs-cat -o none.safetensors -n 0 f.bs 2>err && says "no record" err
	test ! -e many.safetensors && test ! -e none.safetensors
'
ok 'a folder that has something in it stays as it is; an empty one is taken' '
	mkdir full empty && echo x >full/x
	exits 74 bs-cat -f npy -o full f.bs 2>err && says "cannot create .full.: folder not empty" err
	test "$(ls full)" = x && bs-cat -f npy -o empty f.bs && test $(ls empty | wc -l) -eq 40
	exits 64 bs-cat -f npy f.bs 2>err && says "name it with" err
	exits 74 bs-cat -f npy -o no/where f.bs 2>err
	echo x >file && exits 74 bs-cat -f npy -o file f.bs 2>err && test "$(cat file)" = x
'
ok 'a failure leaves no folder and no tar' '
	head -c 900 f.bs >cut && exits 65 bs-cat -f npy -o half cut 2>err
	exits 65 bs-cat -o half.tar cut 2>err && exits 65 bs-cat -f npy -o half f.bs f.bs 2>err
	says "second record for the file" err && test $(ls -d half* | wc -l) -eq 0 2>/dev/null
'
ok 'a folder of pictures is an input' '
	bs-cat "$BS_SRC/tests/sample" >s.bs && bs-cat -H s.bs | grep -q "\"bs.source\": \"folder\""
	bs-cat -l s.bs | grep -q "	jpg:U8" && bs-cat -o s.tar s.bs && bs-cat s.tar | cmp - s.bs
'
finish
