#!/bin/sh
# bs-gen: records, lists, seeds, reruns; the output depends on nothing else.
. "${0%/*}/lib.sh"

cp -RL "$BS_SRC/tests/golden/gen/pipeline" sd
bs-fetch "$BS_SRC/tests/sample" -o real.bs
gen () { bs-gen -m sd --steps=3 --safety=keep -q "$@"; }
# documents FILE: the JSON of every document, one a line
documents () { zstd -dcq <"$1" | grep -ao '{"__metadata__"[ -~]*'; }
# meta NAME FILE: a metadatum of every record
meta () { bs-cat -j "$2" | grep -o "\"$1\":\"[^\"]*\"" | cut -d '"' -f 4; }
keys () { bs-cat -l "$1" | cut -f 1; }

ok 'an image of every caption, under its key, in order' '
	gen real.bs -o all.bs
	bs-cat --verify all.bs
	keys real.bs >keys
	keys all.bs | diff keys -
	documents real.bs | grep -ao "\"caption\":\"[^\"]*\"" >captions
	test -s captions
	documents all.bs | grep -ao "\"caption\":\"[^\"]*\"" | diff captions -
'
ok 'records say how they were made' '
	documents all.bs | sed -n 2p >rec
	grep -F "\"steps\":\"3\"" rec | grep -F "\"scale\":\"7.5\"" | grep -F "\"width\":\"32\"" | grep -qF "\"height\":\"32\""
	sha=$(meta model all.bs | sort -u) && test ${#sha} -eq 64
	documents all.bs | sed -n 1p >head
	grep -F "\"bs.kind\":\"image\"" head | grep -F "$sha" | grep -F "\"bs.seed\":\"0\"" |
		grep -qF "\\\"scheduler\\\":\\\"PNDMScheduler\\\",\\\"seed_mode\\\":\\\"hash\\\",\\\"steps\\\":3"
'
ok 'the digest is of the content: another scheduler file is another model' '
	cp -R sd other && bs-gen -m other/ --steps=3 --safety=keep -q real.bs | cmp - all.bs
	sed "s/0.012/0.0121/" sd/scheduler/scheduler_config.json >other/scheduler/scheduler_config.json
	bs-gen -m other --steps=3 --safety=keep -q real.bs -o o.bs
	test "$(meta model o.bs | sort -u)" != "$(meta model all.bs | sort -u)"
'
ok 'threads, batches and reruns change no byte' '
	for o in "-T 1" "-T 2" "-T 5" "--batch=2" "--batch=3 -T 3" "--batch=64" ""
	do
		gen $o <real.bs | cmp - all.bs || { echo "differs: $o"; exit 1; }
	done
'
ok 'an image depends on its key, caption and seed, not on its neighbours' '
	key=$(sed -n 2p keys)
	bs-cat --key="$key" real.bs | gen -o one.bs
	bs-cat --key="$key" -t all.bs >want
	bs-cat -t one.bs | cmp - want
	gen --seed=1 -n 2 real.bs -o seed1.bs
	test "$(meta seed seed1.bs | sed -n 2p)" != "$(meta seed all.bs | sed -n 2p)"
'
ok 'lists: lines, TSV, CSV, JSON lines' '
	printf "a fox\nsome dog\n" >lines.txt
	printf "x\ta fox\ny\tsome dog\n" >bare.tsv
	printf "url\tcaption\tkey\nu\ta fox\tx\nv\tsome dog\ty\n" >head.tsv
	printf "key,prompt\nx,\"a fox\"\ny,some dog\n" >in.csv
	printf "{\"key\":\"x\",\"text\":\"a fox\"}\n{\"key\":\"y\",\"text\":\"some dog\"}\n" >in.jsonl
	printf "who,what\nx,a fox\ny,some dog\n" >names.csv
	gen lines.txt -o lines.bs && keys lines.bs | tr "\n" " " | grep -qx "000000 000001 "
	gen bare.tsv -o want.bs && keys want.bs | tr "\n" " " | grep -qx "x y "
	bs-cat -t want.bs >want
	for f in head.tsv in.csv in.jsonl
	do
		gen $f | bs-cat -t | cmp - want
		gzip -c $f | gen | bs-cat -t | cmp - want
	done
	gen --caption-column=what --key-column=who names.csv | bs-cat -t | cmp - want
	gen -i lines bare.tsv -o tabs.bs && meta caption tabs.bs | grep -q "x.*a fox"
'
ok 'lists that are none' '
	printf "{\"who\":1}\n" | exits 65 gen >/dev/null 2>err
	says "none of 1 records has a caption" err
	printf "key\turl\nx\tu\n" | exits 65 gen >/dev/null 2>err
	says "no column caption, text or prompt" err
	exits 65 gen --caption-column=nope in.csv 2>err >/dev/null
	says "no column .nope." err
	printf "{\"text\":\"a\"}\n{\"text\":\n" | exits 65 gen 2>err >/dev/null
	says "line 2" err
	exits 65 gen </dev/null 2>err >/dev/null
	head -c 5000 sd/unet/diffusion_pytorch_model.safetensors | exits 65 gen 2>err >/dev/null
	printf "a\\000b\n" | exits 65 gen 2>err >/dev/null
'
ok 'captions: none, empty, long, of any script' '
	printf "{\"key\":\"a\",\"text\":\"\"}\n{\"key\":\"b\"}\n{\"key\":\"c\",\"text\":\"\\u00e9\\u65e5\\ud83d\\ude00\"}\n" >odd.jsonl
	bs-gen -m sd --steps=2 --safety=keep odd.jsonl -o odd.bs 2>err
	test "$(keys odd.bs)" = c
	grep -c "warning: record .[ab]. skipped: no caption" err | grep -qx 2
	documents odd.bs | tail -n 1 | grep -qF "\\\"skipped\\\":2"
	exits 65 gen --on-error=fail odd.jsonl 2>err >/dev/null && says "record .a.: no caption" err
	printf "{\"key\":\"a\",\"text\":\"\"}\n" | exits 65 gen 2>err >/dev/null
	says "none of 1 records has a caption" err
	awk "BEGIN { for (i = 0; i < 10000; i++) printf \"word%d \", i; print \"\" }" >long.txt
	gen long.txt -o long.bs
	documents long.bs | tail -n 1 | grep -qF "\\\"cut\\\":1"
	awk "BEGIN { for (i = 0; i < 300000; i++) printf \"x\"; print \"\" }" | exits 65 gen 2>err >/dev/null
	says "longer than 256 KiB" err
'
ok 'several images of a caption' '
	gen --per-caption=3 in.csv -o three.bs
	keys three.bs | tr "\n" " " | grep -qx "x/0 x/1 x/2 y/0 y/1 y/2 "
	test "$(meta seed three.bs | sort -u | wc -l)" -eq 6
	gen --per-caption=3 --batch=4 in.csv | cmp - three.bs
	gen --per-caption=2 in.csv | bs-cat --key=y/1 -t >got
	bs-cat --key=y/1 -t three.bs | cmp - got
'
ok 'seeds: of the record, and of one generator' '
	printf "{\"key\":\"x\",\"text\":\"a fox\",\"seed\":7}\n{\"key\":\"y\",\"text\":\"some dog\",\"seed\":8}\n" >seeds.jsonl
	gen --seed-mode=record seeds.jsonl -o record.bs
	meta seed record.bs | tr "\n" " " | grep -qx "7 8 "
	gen --seed-mode=torch --seed=7 in.csv -o torch.bs
	test -z "$(meta seed torch.bs)"
	gen --seed-mode=torch --seed=7 --batch=2 in.csv | cmp - torch.bs
	# the first image of a generator is that of its seed
	bs-cat --key=x -t record.bs >got
	bs-cat --key=x -t torch.bs | cmp - got
	bs-cat --key=y -t record.bs >got
	! bs-cat --key=y -t torch.bs | cmp -s - got
	bs-gen -m sd --steps=3 --seed-mode=record in.csv 2>err >/dev/null && exit 1
	grep -q "no seed" err
	exits 64 gen --seed-mode=torch --shard=0/2 in.csv 2>err
'
ok 'noise: given by the record, of other generators' '
	gen --noise=record in.csv 2>err >/dev/null && exit 1
	exits 65 gen --on-error=fail --noise=record in.csv 2>err >/dev/null
	says "no tensor .noise." err
	python=$(python_with_numpy)
	$python - <<-EOT
	import json, struct, numpy as np
	def save(path, shape, noise):
	    head = {"__metadata__": {"key": "x", "caption": "a fox"},
	            "noise": {"dtype": "F32", "shape": shape, "data_offsets": [0, noise.nbytes]}}
	    text = json.dumps(head).encode()
	    open(path, "wb").write(struct.pack("<Q", len(text)) + text + noise.tobytes())
	noise = np.random.default_rng(1).standard_normal((4, 8, 8)).astype("<f4")
	save("noise.safetensors", [4, 8, 8], noise)
	save("odd.safetensors", [4, 64], noise)
	EOT
	gen --noise=record --latents noise.safetensors -o given.bs
	test "$(keys given.bs)" = x
	gen --noise=record --latents --seed=5 noise.safetensors | bs-cat -t >got
	bs-cat -t given.bs | cmp - got
	gen --latents noise.safetensors | bs-cat -t >other && ! cmp -s other got
	exits 65 gen --noise=record odd.safetensors 2>err >/dev/null
	gen --noise=torch-cuda in.csv -o cuda.bs
	gen --noise=torch-cpu-f16 in.csv -o half.bs
	bs-cat --verify cuda.bs half.bs
	! cmp -s cuda.bs half.bs
'
ok 'formats: png, jpg75, webp, rgb have their tensors; latents on request' '
	for f in png jpg75 webp rgb
	do
		gen -f $f -n 1 in.csv -o $f.bs
		bs-cat -l $f.bs | grep -q "${f%75}:U8"
	done
	gen --latents -n 1 in.csv -o latents.bs
	bs-cat -l latents.bs | grep -qF "latents:F32[4,8,8]"
	gen --size=40x24 -f rgb -n 1 in.csv | bs-cat -l | grep -qF "rgb:U8[24,40,3]"
'
ok 'the safety checker: drop, black, keep' '
	printf "%s\n" "a red fox in the snow" "Two cups of coffee, on a table" third >s.txt
	for what in drop black keep
	do
		bs-gen -m sd --steps=6 --safety=$what -f rgb s.txt -o $what.bs 2>$what.err
		documents $what.bs | tail -n 1 | grep -qF "\\\"flagged\\\":2"
		says "2 images were flagged" $what.err
	done
	test "$(keys drop.bs)" = 000002
	test "$(meta flagged black.bs | wc -l)" -eq 2 && test "$(meta flagged keep.bs | wc -l)" -eq 2
	bs-cat --key=000000 -t black.bs | sed 1d | tr -d "0\t\n" | wc -c | grep -qx 0
	bs-cat --key=000000 -t keep.bs | sed 1d | tr -d "0\t\n" | wc -c | grep -qvx 0
	bs-cat --key=000002 -t keep.bs >got
	bs-cat --key=000002 -t black.bs | cmp - got
	sed "s/\"safety_checker\": \[/\"x\": [/" sd/model_index.json >m && cp -R sd free && cp m free/model_index.json
	bs-gen -m free --steps=6 s.txt -o free.bs 2>err && test ! -s err
	test "$(keys free.bs | wc -l)" -eq 3
'
ok 'schedulers, another UNet, guidance, negative captions: each has its effect' '
	gen in.csv -o base.bs
	for o in --scheduler=ddim --scheduler=dpmpp --scheduler=euler --scheduler=unipc --guidance=1 -g3 \
		--negative=dog "--scheduler=ddim --eta=1" --math=bf16 --steps=4
	do
		gen $o in.csv -o o.bs
		bs-cat --verify o.bs
		! cmp -s o.bs base.bs || { echo "no effect: $o"; exit 1; }
	done
	mkdir dpo && cp -R sd/unet dpo/unet
	gen --unet=dpo in.csv | cmp - base.bs
	gen --unet=dpo/unet in.csv | cmp - base.bs
	gen --preset=paper --size=32 --steps=3 in.csv | cmp - base.bs
	exits 64 gen --eta=1 in.csv 2>err >/dev/null
	exits 64 gen --eta=2 --scheduler=ddim in.csv 2>err >/dev/null
'
ok 'shards hold every record once, and the same images' '
	for i in 0 1 2
	do
		gen --shard=$i/3 real.bs -o part$i.bs
	done
	cat part?.bs | bs-cat -t | sort >got
	bs-cat -t all.bs | sort | cmp - got
'
ok 'segments stay segments' '
	cat real.bs real.bs | gen >two.bs
	cat all.bs all.bs | cmp - two.bs
	gen -n 0 real.bs | bs-cat --verify
	gen -n 1000 real.bs | cmp - all.bs
'
ok 'a sigterm ends the run with a partial output; --resume completes it' '
	bs-gen -m sd --steps=40 --safety=keep -q real.bs -o whole.bs
	n=$(keys whole.bs | wc -l)
	(bs-gen -m sd --steps=40 --safety=keep -q real.bs -o part.bs --resume=part.bs & pid=$!
	 until ls part.bs* >/dev/null 2>&1; do sleep 0.02; done
	 sleep 0.2; kill -TERM $pid; rc=0; wait $pid || rc=$?; echo $rc >rc)
	if test "$(cat rc)" -eq 75
	then
		documents part.bs | tail -n 1 | grep -qF "\"bs.status\":\"partial\""
		test "$(keys part.bs 2>/dev/null | wc -l)" -lt "$n"
	else
		test "$(cat rc)" -eq 0
	fi
	bs-gen -m sd --steps=40 --safety=keep -q real.bs -o part.bs --resume=part.bs
	cmp part.bs whole.bs
'
ok 'what a killed run left, cut anywhere, is taken over' '
	size=$(wc -c <all.bs)
	for at in 1 700 $((size / 2)) $((size - 1)) $size
	do
		head -c $at all.bs >cut.bs
		gen --resume=cut.bs real.bs | cmp - all.bs || { echo "cut at $at"; exit 1; }
	done
	bs-gen -m sd --steps=3 --safety=keep --resume=all.bs -v real.bs 2>err | cmp - all.bs
	grep -q "$(wc -l <keys | tr -d " ") images were taken over" err
	cat real.bs real.bs >both.bs && gen both.bs | cmp - two.bs
	head -c $((size + size / 2)) two.bs >cut.bs
	gen --resume=cut.bs both.bs | cmp - two.bs
'
ok 'dropped images are found again, the counts as well' '
	bs-gen -m sd --steps=6 --per-caption=2 s.txt -q -o d.bs
	bs-gen -m sd --steps=6 --per-caption=2 s.txt -q --resume=d.bs | cmp - d.bs
	bs-gen -m sd --steps=6 --seed-mode=torch s.txt -q -o d.bs
	bs-gen -m sd --steps=6 --seed-mode=torch s.txt -q --resume=d.bs | cmp - d.bs
'
ok 'a file that was made otherwise is not resumed' '
	exits 65 gen --resume=all.bs --guidance=3 real.bs 2>err >/dev/null
	says "made otherwise: its bs.params" err
	exits 65 gen --resume=all.bs --seed=3 real.bs 2>err >/dev/null
	says "bs.seed" err
	exits 66 gen --resume=nowhere.bs real.bs 2>err >/dev/null
'
ok 'a time limit' '
	exits 75 bs-gen -m sd --steps=900 --per-caption=1000 --time-limit=1s -q in.csv -o late.bs
	exits 75 bs-cat --verify late.bs 2>err
	bs-cat --verify --allow-partial late.bs
'
ok 'progress: how many there will be, and the step' '
	n=$(wc -l <keys | tr -d " ")
	exits 75 bs-gen -m sd --steps=900 --progress --per-caption=5000 --time-limit=3s <real.bs 2>err >p.bs
	grep -qE "bs-gen: [0-9]+ of $((5000 * n)) images, [0-9.]+/s, .*step [0-9]+ of 901" err
	gen <real.bs | cmp - all.bs
'
ok 'misuse is said in one line, with the usage' '
	exits 64 bs-gen in.csv 2>err >/dev/null && grep -q "no model" err
	exits 64 gen --size=33 in.csv 2>err >/dev/null && grep -q "WIDTHxHEIGHT" err
	exits 64 gen --size=32x in.csv 2>err >/dev/null
	exits 64 gen --size=99999999999999999999 in.csv 2>err >/dev/null
	exits 64 gen --steps=0 in.csv 2>err >/dev/null
	exits 64 gen --scheduler=heun in.csv 2>err >/dev/null
	exits 66 gen nowhere.csv 2>err >/dev/null
'
ok 'without provenance no model is named' '
	gen --no-provenance in.csv -o bare.bs
	! documents bare.bs | grep -qE "bs\.(tool|model|params|parents)|\"model\""
'
finish
