#!/bin/sh
# bs-gen --tap and --steer: a second output of features, and images that change.
. "${0%/*}/lib.sh"

cp -RL "$BS_SRC/tests/golden/gen/pipeline" sd
cp -R "$BS_SRC/tests/golden/gen/steer" .
printf "x\ta fox\ny/z\tsome dog\n" >in.tsv
gen () { bs-gen -m sd --steps=5 --scheduler=ddim --safety=keep -q "$@"; }
mid=mid_block.attentions.0
keys () { bs-cat -l "$1" | cut -f 1 | tr "\n" " "; }

ok 'one tap of one step: features under the keys of their images' '
	gen in.tsv -o plain.bs
	gen --tap=$mid@first --tap-file=taps.bs in.tsv | cmp - plain.bs
	bs-cat --verify taps.bs
	keys taps.bs | grep -qx "x y/z "
	bs-cat -l taps.bs | grep -c "x:F16\[16,12\]" | grep -qx 2
	bs-cat -j taps.bs | sed -n 1p >rec
	for m in "\"block\":\"$mid\"" "\"caption\":\"a fox\"" "\"grid\":\"4x4\"" "\"prefix\":\"0\"" \
		"\"side\":\"cond\"" "\"step\":\"0\"" "\"timestep\":\"801\""
	do
		grep -qF "$m" rec || { echo "lacks $m"; exit 1; }
	done
	bs-cat -H taps.bs >head
	grep -qF "\"bs.kind\": \"feature\"" head
	grep -qF "\"taps\":[\"$mid@first\"]" head
'
ok 'several: keys say which, and --where takes them apart' '
	gen --tap=$mid@0,4 --tap=up_blocks.1.attentions.1@last:uncond --tap-dtype=f32 --tap-file=taps.bs in.tsv -o all.bs
	keys taps.bs | grep -qx "x/mid_block-attentions-0/cond/0 x/mid_block-attentions-0/cond/4 x/up_blocks-1-attentions-1/uncond/4 y/z/mid_block-attentions-0/cond/0 y/z/mid_block-attentions-0/cond/4 y/z/up_blocks-1-attentions-1/uncond/4 "
	bs-cat --where=step=4 --where=side=uncond taps.bs -o one.bs
	bs-cat -l one.bs | grep -c "x:F32\[64,8\]" | grep -qx 2
	cmp all.bs plain.bs
'
ok 'threads and batches change no byte' '
	for o in "-T 1" "-T 3 --batch=2" "--batch=64"
	do
		gen $o --tap=$mid@0,4 --tap=up_blocks.1.attentions.1@last:uncond --tap-dtype=f32 \
			--tap-file=again.bs in.tsv -o all.bs
		cmp again.bs taps.bs
	done
'
ok 'features are for the next command: an autoencoder of them' '
	gen --tap=$mid@all --tap-file=taps.bs in.tsv -o all.bs
	bs-sae encode -m steer/sae.safetensors <taps.bs | bs-cat --verify
'
ok 'segments of both outputs; what is partial is so in both' '
	cat plain.bs plain.bs | gen --tap=$mid@0 --tap-file=taps.bs -o two.bs
	test "$(bs-cat -H taps.bs | grep -c "bs.end")" -eq 2
	exits 75 bs-gen -m sd --steps=900 --scheduler=ddim --per-caption=1000 --time-limit=1s -q --tap=$mid@0 --tap-file=late.bs \
		in.tsv -o late.images.bs
	exits 75 bs-cat --verify late.bs 2>err
	exits 75 bs-cat --verify late.images.bs 2>err
'
ok 'a run that fails leaves neither output' '
	rm -f a.bs b.bs
	head -c 300 plain.bs | exits 65 gen --tap=$mid@0 --tap-file=a.bs -o b.bs 2>err
	! ls a.bs* b.bs* 2>/dev/null
'
ok 'an intervention changes images, is in the head, and in no seed' '
	gen --steer=steer/quadrant.json in.tsv -o q.bs
	! cmp -s q.bs plain.bs
	bs-cat -H q.bs | grep -q steer
	gen --batch=2 -T 3 --steer=steer/quadrant.json in.tsv | cmp - q.bs
	gen --steer=steer/quadrant.json --steer=steer/global.json in.tsv -o both.bs
	! cmp -s q.bs both.bs
	sed "s/6.5/0/; s/\"top-left\"/\"all\"/" steer/quadrant.json >steer/nothing.json
	gen --steer=steer/nothing.json in.tsv | bs-cat -t >got
	bs-cat -t plain.bs | cmp - got
	exits 65 gen --resume=plain.bs --steer=steer/global.json in.tsv 2>err >/dev/null
'
ok 'misuse and damage' '
	exits 64 gen --tap=$mid@0 in.tsv 2>err >/dev/null
	exits 64 gen --tap-file=x.bs in.tsv 2>err >/dev/null
	exits 64 gen --tap=$mid@0 --tap-file=- in.tsv 2>err >/dev/null
	exits 64 gen --tap=$mid@0 --tap-file=x.bs --resume=plain.bs in.tsv 2>err >/dev/null
	exits 64 gen --tap=nowhere@0 --tap-file=x.bs in.tsv 2>err >/dev/null
	says "there are down_blocks" err
	exits 64 gen --tap=$mid@9 --tap-file=x.bs in.tsv 2>err >/dev/null
	exits 66 gen --steer=nowhere.json in.tsv 2>err >/dev/null
	echo "{" >bad.json
	exits 65 gen --steer=bad.json in.tsv 2>err >/dev/null
	says "bad.json" err
	head -c 1000 steer/sae.safetensors >cut.safetensors
	sed "s/sae.safe/..\/cut.safe/" steer/global.json >steer/cut.json
	exits 65 gen --steer=steer/cut.json in.tsv 2>err >/dev/null
	exits 74 gen --tap=$mid@0 --tap-file=/dev/full in.tsv 2>err >/dev/null
'
finish
