#!/bin/sh
# bs-embed: records, options, sources; the output depends on nothing else.
. "${0%/*}/lib.sh"

golden=$BS_SRC/tests/golden/dinov2
cp -R "$BS_SRC/tests/sample" photos
cp -R "$golden/registers" dinov2
bs-fetch photos/ -o real.bs
embed () { bs-embed -m dinov2 "$@"; }
# documents FILE: the JSON of every document, one a line
documents () { zstd -dcq <"$1" | grep -ao '{"__metadata__"[ -~]*'; }

ok 'every record keeps its key and metadata, in order' '
	embed -o all.bs real.bs
	bs-cat --verify all.bs
	bs-cat -l real.bs | cut -f 1 >keys
	bs-cat -l all.bs | cut -f 1 | diff keys -
	documents real.bs | grep -ao "\"caption\":\"[^\"]*\"" >captions
	test -s captions
	documents all.bs | grep -ao "\"caption\":\"[^\"]*\"" | diff captions -
'
ok 'a head says what was done, and by which model' '
	documents all.bs | sed -n 1p >head
	grep -qF "\"bs.kind\":\"feature\"" head
	grep -qF "{\\\"dtype\\\":\\\"F16\\\",\\\"resize\\\":256,\\\"size\\\":224,\\\"tokens\\\":\\\"all\\\"}" head
	grep -qF "{\\\"math\\\":\\\"f32\\\",\\\"name\\\":\\\"dinov2_24x2_patch14_reg\\\"," head
	(cd dinov2 && sha256sum config.json model.safetensors) | sha256sum | cut -d " " -f 1 >sum
	grep -q "$(cat sum)" head
'
ok 'the digest is of the content, not of the name' '
	cp -R dinov2 other
	bs-embed -m other/ real.bs | cmp - all.bs
	bs-embed -m other/model.safetensors real.bs | cmp - all.bs
'
ok 'threads, batches and reruns change no byte' '
	for o in "-T 1" "-T 2" "-T 5" "--batch=1" "--batch=5" "-T 3 --batch=64" ""
	do
		embed $o <real.bs | cmp - all.bs || { echo "differs: $o"; exit 1; }
	done
'
ok 'tokens: all are the class token, the registers and the patches' '
	embed --size=42 -o a.bs real.bs
	embed --size=42 --tokens=patch -o p.bs real.bs
	embed --size=42 --tokens=cls -o c.bs real.bs
	documents a.bs | sed -n 2p | grep -F "\"grid\":\"3x3\"" | grep -F "\"prefix\":\"5\"" | grep -qF "[14,24]"
	documents p.bs | sed -n 2p | grep -F "\"grid\":\"3x3\"" | grep -F "\"prefix\":\"0\"" | grep -qF "[9,24]"
	documents c.bs | sed -n 2p | grep -F "\"grid\":\"0x0\"" | grep -F "\"prefix\":\"1\"" | grep -qF "[1,24]"
'
ok 'types: each has its size; bf16 math differs, but little' '
	for t in f16 f32 bf16
	do
		embed --size=42 --dtype=$t -o $t.bs real.bs
		documents $t.bs | sed -n 2p | grep -qi "\"dtype\":\"$t\""
	done
	embed --size=42 --math=bf16 -o math.bs real.bs
	bs-cat --verify math.bs
	documents math.bs | sed -n 1p | grep -qF "\\\"math\\\":\\\"bf16\\\""
	! cmp -s math.bs f16.bs
'
ok 'sizes: a multiple of the patch, and a resize that covers it' '
	exits 64 embed --size=225 real.bs 2>err
	says "size of 225 is no multiple .*14" err
	exits 64 embed --size=224 --resize=223 real.bs 2>err
	embed --size=70 --resize=70 real.bs | bs-cat --verify
	embed --size=98 --tokens=cls real.bs | bs-cat --verify
'
ok 'misuse is said in one line, with the usage' '
	exits 64 bs-embed real.bs 2>err
	grep -q "no model" err
	exits 64 embed --tokens=some real.bs 2>err
	exits 64 embed --batch=0 real.bs 2>err
'
ok 'a folder, an archive and a stream of the same pictures' '
	(cd photos && tar cf ../in.tar $(find . -type f -name "*.*[gp]*" | sed "s|^\./||" | sort))
	embed photos -o folder.bs
	bs-cat --verify folder.bs
	embed in.tar -o tar.bs
	bs-cat --verify tar.bs
	embed <in.tar | bs-cat --verify
	for f in folder.bs tar.bs
	do
		test "$(bs-cat -l $f | wc -l)" -eq "$(bs-cat -l all.bs | wc -l)"
	done
'
ok 'segments stay segments, several inputs are read in turn' '
	cat real.bs real.bs | embed >two.bs
	embed real.bs real.bs | cmp - two.bs
	cat all.bs all.bs | cmp - two.bs
'
ok 'a limit, and a limit of nothing' '
	embed -n 3 real.bs >three.bs
	bs-cat --verify three.bs
	test "$(bs-cat -l three.bs | wc -l)" -eq 3
	embed -n 0 real.bs | bs-cat --verify
	embed -n 1000 real.bs | cmp - all.bs
'
ok 'shards hold every record once' '
	for i in 0 1 2
	do
		embed --shard=$i/3 real.bs -o part$i.bs
	done
	cat part?.bs | bs-cat -l | cut -f 1 | sort >got
	sort keys | diff - got
'
ok 'without provenance the head names neither tool nor model' '
	embed --no-provenance real.bs >bare.bs
	documents bare.bs | sed -n 1p >head
	! grep -qE "bs\.(tool|model|params|parents)" head
'
ok 'a verbose run says device and model; a quiet one says nothing' '
	embed -v real.bs 2>err >/dev/null
	grep -q "cpu" err
	grep -q "2 layers of 24, 2 heads, 4 registers" err
	embed -q real.bs 2>err >/dev/null
	test ! -s err
'
for model in registers plain giant timm
do
	ok "the layout of '$model' is read" '
		bs-embed -m "$golden/$model" --size=70 real.bs | bs-cat --verify
	'
done
finish
