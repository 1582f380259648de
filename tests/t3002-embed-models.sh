#!/bin/sh
# bs-embed: models that are damaged, odd or hostile.
. "${0%/*}/lib.sh"

golden=$BS_SRC/tests/golden/dinov2
bs-fetch "$golden/images" -o real.bs
# fails CODE PATTERN: embedding with the folder 'm' must
fails () {
	exits $1 bs-embed -m m --size=42 real.bs >out.bs 2>err
	says "$2" err
	test ! -s out.bs || exits 65 bs-cat --verify out.bs 2>/dev/null
}
fresh () { rm -rf m && cp -R "$golden/$1" m; }
# edit FILE 's/a/b/': replacements of equal length, so that lengths stay true
edit () { LC_ALL=C sed -e "$2" <"$1" >edited && mv edited "$1"; }

ok 'no model, no folder, no weights, no config' '
	exits 66 bs-embed -m nowhere real.bs 2>err >/dev/null
	says "nowhere.*No such file" err
	mkdir m
	fails 66 "no .model.safetensors. in .m"
	fresh registers
	rm m/config.json
	fails 66 "no .config.json. beside the weights"
'
ok 'a config that is no JSON, or of another model' '
	fresh registers
	echo "{" >m/config.json
	fails 65 ".config.json. of .m.: byte"
	echo "{}" >m/config.json
	fails 65 "no .model_type.: only dinov2 and dinov2_with_registers"
	echo "{\"model_type\":\"clip\"}" >m/config.json
	fails 65 "model_type .clip.: only"
	echo "{\"architecture\":\"resnet50\"}" >m/config.json
	fails 65 "architecture .resnet50.: only"
	echo "[1]" >m/config.json
	fails 65 "no .model_type."
'
ok 'absurd numbers are refused before anything is allocated' '
	for change in "hidden_size\": 24/hidden_size\": 1000000000" "hidden_size\": 24/hidden_size\": -24" \
		"hidden_size\": 24/hidden_size\": 0" "hidden_size\": 24/hidden_size\": 2.5" \
		"num_hidden_layers\": 2/num_hidden_layers\": 99999999999999999999" \
		"num_attention_heads\": 2/num_attention_heads\": 0" "num_attention_heads\": 2/num_attention_heads\": 7" \
		"mlp_ratio\": 2/mlp_ratio\": 1e300" "mlp_ratio\": 2/mlp_ratio\": NaN" \
		"patch_size\": 14/patch_size\": 4294967296" "image_size\": 70/image_size\": 1" \
		"image_size\": 70/image_size\": [70, 98]" "num_channels\": 3/num_channels\": 1" \
		"hidden_act\": \"gelu\"/hidden_act\": \"relu\"" "layer_norm_eps\": 1e-06/layer_norm_eps\": -1" \
		"num_register_tokens\": 4/num_register_tokens\": \"4\"" "qkv_bias\": true/qkv_bias\": 1"
	do
		fresh registers
		sed -i "s/$change/" m/config.json
		cmp -s m/config.json "$golden/registers/config.json" && { echo "no change: $change"; exit 1; }
		fails 65 ".config.json. of .m.: " || { echo "at: $change"; exit 1; }
	done
'
ok 'numbers that the weights belie name the tensor' '
	fresh registers
	sed -i "s/num_hidden_layers\": 2/num_hidden_layers\": 3/" m/config.json
	fails 65 "no tensor .encoder.layer.2.norm1.weight."
	fresh registers
	sed -i "s/hidden_size\": 24/hidden_size\": 48/" m/config.json
	fails 65 "tensor .embeddings.cls_token. has the shape \[1,1,24\], not \[1,1,48\]"
	fresh registers
	sed -i "s/image_size\": 70/image_size\": 518/" m/config.json
	fails 65 "tensor .embeddings.position_embeddings. has the shape \[1,26,24\], not \[1,1370,24\]"
	fresh registers
	sed -i "s/num_register_tokens\": 4/num_register_tokens\": 5/" m/config.json
	fails 65 "tensor .embeddings.register_tokens."
	fresh registers
	sed -i "s/use_swiglu_ffn\": false/use_swiglu_ffn\": true/" m/config.json
	fails 65 "no tensor .encoder.layer.0.mlp.weights_in.weight."
'
ok 'a tensor that is missing, of another shape or type' '
	fresh registers
	edit m/model.safetensors "s/layer.1.norm2.bias/layer.1.norm9.bias/"
	fails 65 "no tensor .encoder.layer.1.norm2.bias."
	fresh registers
	edit m/model.safetensors "s/\(layer.0.mlp.fc1.weight.*\)\[48,24\]/\1[24,48]/"
	fails 65 "has the shape \[24,48\], not \[48,24\]"
	fresh plain
	edit m/model.safetensors "s/\"BF16\"/\"I16\" /g"
	fails 65 "is I16, not F32, F16 or BF16"
'
ok 'weights that are cut name their file' '
	for size in 0 7 8 100 5000 103471
	do
		fresh registers
		head -c $size "$golden/registers/model.safetensors" >m/model.safetensors
		fails 65 "m/model.safetensors"
	done
'
ok 'shards: one missing, one cut, a name that leads out' '
	fresh giant
	rm m/model-00002-of-00002.safetensors
	fails 65 "model-00002-of-00002.safetensors.*No such file"
	fresh giant
	head -c 9000 "$golden/giant/model-00001-of-00002.safetensors" >m/model-00001-of-00002.safetensors
	fails 65 "model-00001-of-00002.safetensors"
	fresh giant
	sed -i "0,/model-00001/s|model-00001|../m/model-00001|" m/model.safetensors.index.json
	fails 65 "plain file name"
'
ok 'weights that are not finite name their tensor; features that are not, their record' '
	fresh registers
	printf "\\377\\377\\377\\177" | dd of=m/model.safetensors bs=1 seek=$((103472 - 40)) conv=notrunc 2>/dev/null
	fails 65 "tensor .layernorm.weight. holds a NaN or an infinity"
	printf "\\377\\377\\177\\177" | dd of=m/model.safetensors bs=1 seek=$((103472 - 40)) conv=notrunc 2>/dev/null
	fails 65 "record .a.: a feature is not finite"
'
ok 'values too large for f16 are counted and warned of; f32 keeps them' '
	fresh registers
	printf "\\000\\000\\000\\112" | dd of=m/model.safetensors bs=1 seek=$((103472 - 40)) conv=notrunc 2>/dev/null
	bs-embed -m m --size=42 real.bs -o out.bs 2>err
	says "warning: [0-9]+ values are too large for F16" err
	zstd -dcq <out.bs | grep -aqE "overflows.\":[1-9]"
	bs-embed -m m --size=42 --dtype=f32 real.bs -o out.bs 2>err
	test ! -s err
'
ok 'mean and std of the folder are used' '
	fresh registers
	bs-embed -m m --size=42 real.bs >one.bs
	echo "{\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0.5,0.5]}" >m/preprocessor_config.json
	bs-embed -m m --size=42 real.bs >two.bs
	! cmp -s one.bs two.bs
	echo "{\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0,0.5]}" >m/preprocessor_config.json
	fails 65 "image_std. is not positive"
	echo "{\"image_mean\":[0.5]}" >m/preprocessor_config.json
	fails 65 "image_mean. is no list of 3"
'
ok 'a device that is not there' '
	fresh registers
	exits 69 bs-embed -m m --device=cuda real.bs 2>err >/dev/null
	says "." err
	BS_CPU=none exits 69 bs-embed -m m real.bs 2>err >/dev/null || BS_CPU=none exits 64 bs-embed -m m real.bs 2>err >/dev/null
'
finish
