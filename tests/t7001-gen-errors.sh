#!/bin/sh
# bs-gen: models that are damaged, hostile streams, full disks, readers that leave.
. "${0%/*}/lib.sh"

cp -RL "$BS_SRC/tests/golden/gen/pipeline" sd
bs-fetch "$BS_SRC/tests/sample" -o real.bs
gen () { bs-gen -m sd --steps=2 --safety=keep "$@"; }
unet=unet/diffusion_pytorch_model.safetensors
# broken FILE 'script' STATUS 'message': a model with one file changed
broken () {
	rm -rf odd && cp -R sd odd
	(cd odd && file=$1 && eval "$2")
	echo "a fox" | exits "$3" bs-gen -m odd --steps=2 >out.bs 2>err
	says "^bs-gen: .*$4" err
	exits 65 bs-cat --verify out.bs 2>err
}

ok 'a model that is not there, or lacks a part' '
	echo "a fox" | exits 66 bs-gen -m nowhere 2>err >/dev/null
	says "nowhere" err
	mkdir empty
	echo "a fox" | exits 66 bs-gen -m empty 2>err >/dev/null
	says "model_index.json" err
	broken vae "rm -r vae" 66 "vae"
	broken $unet "rm \$file" 66 "unet"
	broken tokenizer/vocab.json "rm \$file" 66 "vocab.json"
	broken tokenizer/merges.txt "rm \$file" 66 "merges.txt"
	broken tokenizer/merges.txt "echo a >>\$file" 65 "merges.txt"
	broken text_encoder/config.json "rm \$file" 66 "config.json"
	broken scheduler "rm -r scheduler" 66 "scheduler_config.json"
	broken safety_checker "rm -r safety_checker" 66 "safety_checker"
'
ok 'parts of another class' '
	broken model_index.json "sed -i s/StableDiffusionPipeline/StableDiffusionXLPipeline/ \$file" 65 "StableDiffusionXLPipeline"
	broken model_index.json "sed -i s/AutoencoderKL/AsymmetricAutoencoderKL/ \$file" 65 "AsymmetricAutoencoderKL"
	broken model_index.json "sed -i s/unet/unit/ \$file" 65 "no component .unet."
	broken model_index.json "echo [ >\$file" 65 "model_index.json"
	broken scheduler/scheduler_config.json "sed -i s/PNDMScheduler/LMSScheduler/ \$file" 65 "LMSScheduler"
	broken unet/config.json "sed -i s/UNet2DConditionModel/UNet3D/ \$file" 65 "UNet3D"
'
ok 'weights that are cut' '
	for f in $unet vae/diffusion_pytorch_model.safetensors text_encoder/model.safetensors \
		safety_checker/model.safetensors
	do
		size=$(wc -c <sd/$f)
		for at in 0 7 9 $((size / 2)) $((size - 1))
		do
			broken $f "head -c $at ../sd/$f >\$file" 65 "safetensors"
		done
	done
'
ok 'tensors that are missing, of another shape, or not finite' '
	broken $unet "sed -i s/conv_in.weight/conv_ix.weight/ \$file" 65 "no tensor .conv_in.weight."
	broken text_encoder/model.safetensors "sed -i s/final_layer_norm.bias/final_layer_norm.bios/ \$file" 65 "final_layer_norm.bias"
	broken safety_checker/model.safetensors "sed -i s/visual_projection/visual_prejection/ \$file" 65 "visual_projection"
	broken text_encoder/config.json "sed -i \"s/\\\"hidden_size\\\": 14/\\\"hidden_size\\\": 16/\" \$file" 65 "shape"
	broken text_encoder/config.json "sed -i \"s/\\\"num_attention_heads\\\": 2/\\\"num_attention_heads\\\": 3/\" \$file" 65 "num_attention_heads"
	broken text_encoder/config.json "sed -i \"s/\\\"hidden_act\\\": \\\"quick_gelu\\\"/\\\"hidden_act\\\": \\\"relu\\\"/\" \$file" 65 "hidden_act"
	broken text_encoder/config.json "sed -i \"s/\\\"vocab_size\\\": [0-9]*/\\\"vocab_size\\\": 1e9/\" \$file" 65 "vocab_size"
	for f in $unet vae/diffusion_pytorch_model.safetensors text_encoder/model.safetensors \
		safety_checker/model.safetensors
	do
		size=$(wc -c <sd/$f)
		broken $f "printf \"\\\\377\\\\377\\\\377\\\\177\" | dd of=\$file bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null" 65 "NaN or an infinity"
	done
'
ok 'sizes that are absurd' '
	# absurd FILE KEY: no value of the list is taken; one is enough for threads
	absurd () {
		for value in 1e18 0 -1 1e9 1.5 1e999 "\"x\"" "[]"
		do
			test "${BS_SAN:-}" != thread || test $value = 1e18 || continue
			broken $1 "sed -i \"s/\\\"$2\\\": [^,]*/\\\"$2\\\": $value/\" \$file" 65 "$2" || { echo "$1 $2 $value"; exit 1; }
		done
	}
	for key in sample_size layers_per_block attention_head_dim norm_num_groups cross_attention_dim in_channels out_channels
	do
		absurd unet/config.json $key
	done
	for key in layers_per_block norm_num_groups latent_channels out_channels
	do
		absurd vae/config.json $key
	done
	for key in hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size max_position_embeddings
	do
		absurd text_encoder/config.json $key
	done
	absurd scheduler/scheduler_config.json num_train_timesteps
	for f in unet vae
	do
		broken $f/config.json "tr -d \"\\n\" <\$file >x && sed \"s/\\\"block_out_channels\\\": [[][^]]*/\\\"block_out_channels\\\": [1e18/\" x >\$file" 65 "block_"
	done
	# a tensor that claims more than the file, or than there is
	for shape in 1000000000000 4294967296,4294967296
	do
		broken $unet "sed -i \"s/\\\"shape\\\":.[0-9]*/\\\"shape\\\":[$shape/\" \$file" 65 "safetensors"
	done
	broken $unet "printf \"\\\\377\\\\377\\\\377\\\\377\\\\377\\\\377\\\\377\\\\177\" | dd of=\$file bs=1 conv=notrunc 2>/dev/null" 65 "safetensors"
'
ok 'images and batches that are absurd' '
	for o in --size=16392 --size=0 --steps=65537 --batch=99999999999 --per-caption=0
	do
		echo "a fox" | exits 64 bs-gen -m sd $o 2>err >/dev/null || { echo "$o"; exit 1; }
	done
	# a sanitizer wants more address space than any limit
	test -n "$BS_SAN" || {
		(ulimit -v 1000000 && echo "a fox" | exits 71 gen --size=16384 2>err >out.bs)
		says "out of memory" err
		exits 65 bs-cat --verify out.bs 2>err
	}
'
ok 'weights so large that an image is not finite' '
	rm -rf odd && cp -R sd odd
	python=$(python_with_numpy)
	test -n "$python" || { echo "no python with numpy"; exit 1; }
	$python - odd/vae/diffusion_pytorch_model.safetensors <<-EOT
	import json, struct, sys, numpy as np
	path = sys.argv[1]
	data = bytearray(open(path, "rb").read())
	n = struct.unpack("<Q", data[:8])[0]
	head = json.loads(data[8:8 + n])
	for name in ("decoder.conv_out.weight", "decoder.conv_norm_out.weight"):
	    a, b = head[name]["data_offsets"]
	    data[8 + n + a:8 + n + b] = np.full((b - a) // 4, 3e38, "<f4").tobytes()
	open(path, "wb").write(data)
	EOT
	echo "a fox" | exits 65 bs-gen -m odd --steps=2 2>err >out.bs
	says "not finite" err
	exits 65 bs-cat --verify out.bs 2>err
'
ok 'a UNet for another text or other latents' '
	cp -R sd odd2 && rm -r odd2/text_encoder && cp -R "$BS_SRC/tests/golden/gen/text2" odd2/text_encoder
	echo "a fox" | exits 65 bs-gen -m odd2 2>err >/dev/null
	says "tokenizer|text encoder" err
	echo "a fox" | exits 65 gen --unet="$BS_SRC/tests/golden/gen/sd2" 2>err >/dev/null
	says "channels" err
	echo "a fox" | exits 66 gen --unet=nowhere 2>err >/dev/null
'
ok 'a stream cut anywhere: 65, and no end' '
	size=$(wc -c <real.bs)
	for at in 1 3 7 300 1500 $((size / 2)) $((size - 1))
	do
		rc=0
		head -c $at real.bs | gen >out.bs 2>err || rc=$?
		test $rc -eq 65 || { echo "cut at $at: $rc"; exit 1; }
		exits 65 bs-cat --verify out.bs 2>err
	done
'
ok 'a full disk, a closed output, a reader that leaves' '
	exits 74 gen real.bs >/dev/full 2>err
	says "No space left" err
	exits 74 gen real.bs >&- 2>err
	gen --latents -f rgb --per-caption=200 --size=64 real.bs 2>err | head -c 100 >/dev/null
	test ! -s err
'
ok 'an output appears whole or not at all' '
	rm -f out.bs && head -c 3000 real.bs >cut.bs
	exits 65 gen -o out.bs cut.bs 2>err
	test ! -e out.bs && ! ls out.bs* 2>/dev/null
	exits 65 bs-gen -m odd -o out.bs real.bs 2>err
	test ! -e out.bs && ! ls out.bs* 2>/dev/null
'
ok 'weights in shards, of half precision, of a variant' '
	python=$(python_with_numpy)
	cp -R sd half
	$python - half/$unet half/unet <<-EOT
	import json, struct, sys, numpy as np
	data = open(sys.argv[1], "rb").read()
	n = struct.unpack("<Q", data[:8])[0]
	head = json.loads(data[8:8 + n])
	head.pop("__metadata__", None)
	names, where = sorted(head), {}
	def save(path, part):
	    out, blob = {}, b""
	    for name in part:
	        a, b = head[name]["data_offsets"]
	        x = np.frombuffer(data[8 + n + a:8 + n + b], "<f4").astype("<f2").tobytes()
	        out[name] = dict(dtype="F16", shape=head[name]["shape"], data_offsets=[len(blob), len(blob) + len(x)])
	        blob += x
	    text = json.dumps(out).encode()
	    open(path, "wb").write(struct.pack("<Q", len(text)) + text + blob)
	for k, part in enumerate((names[:100], names[100:])):
	    file = f"diffusion_pytorch_model.fp16-0000{k + 1}-of-00002.safetensors"
	    save(f"{sys.argv[2]}/{file}", part)
	    where.update({name: file for name in part})
	json.dump({"weight_map": where}, open(f"{sys.argv[2]}/diffusion_pytorch_model.safetensors.index.fp16.json", "w"))
	save(f"{sys.argv[2]}/diffusion_pytorch_model.fp16.safetensors", names)
	EOT
	echo "a fox" >fox.txt
	bs-gen -m half --steps=2 --safety=keep -q fox.txt -o f32.bs
	gen -q fox.txt | cmp - f32.bs
	bs-gen -m half --variant=fp16 --steps=2 --safety=keep -q fox.txt -o f16.bs
	! cmp -s f16.bs f32.bs
	bs-cat -t f16.bs >want
	rm half/unet/diffusion_pytorch_model.fp16.safetensors half/$unet
	bs-gen -m half --variant=fp16 --steps=2 --safety=keep -q fox.txt | bs-cat -t | cmp - want
'
finish
