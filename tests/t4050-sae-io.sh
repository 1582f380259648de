#!/bin/sh
# bs-sae import and export: what they take, what they refuse, and that nothing is lost on the way.
. "${0%/*}/lib.sh"

cp -R "$BS_SRC/tests/golden/sae-import" in
cp "$BS_SRC/tests/golden/sae/registers.safetensors" sae.safetensors
cp in/want.safetensors want.safetensors
# doc 'json' 'octal bytes': one safetensors file.
doc () { printf "\\$(printf %o $((${#1} % 256)))\\$(printf %o $((${#1} / 256)))\\0\\0\\0\\0\\0\\0%s$2" "$1"; }
zeros () { printf '\\0%.0s' $(seq "$1"); }
# sparsify FOLDER 'changes to cfg.json' (sed): a copy of the golden one, changed.
sparsify () { rm -rf "$1" && cp -R in/sparsify "$1" && sed -i "$2" "$1/cfg.json"; }
lens () { rm -rf "$1" && cp -R in/saelens-$3 "$1" && sed -i "$2" "$1/cfg.json"; }
# refuse CODE 'pattern' command...: that code, no output, one line on stderr that matches.
refuse () {
	t_code=$1 t_line=$2
	shift 2
	exits $t_code "$@" >out 2>err
	says "$t_line" err
	test ! -s out
}
import () { bs-sae import "$@"; }

ok 'every format is recognised; a file alone, its folder, any name' '
	for name in sparsify saelens-topk saelens-jumprelu saelens-standard topk.safetensors batchnorm.safetensors \
		jump.safetensors tied.safetensors
	do
		import -o m.safetensors in/$name 2>err && test ! -s err
	done
	import -v in/sparsify/ 2>err >one.safetensors && says "sparsify: 24 concepts of width 7, topk" err
	import in/sparsify/sae.safetensors | cmp - one.safetensors
	import -v -k 3 in/openai.safetensors 2>err >m.safetensors && says "openai" err
	import -v --tau 0.829 in/released.safetensors 2>err >m.safetensors
	says "overcomplete: 24 concepts of width 7, threshold, layer norm" err
'
ok 'any threads: the same bytes; what was imported is in the model' '
	import -T 1 --tau 0.829 in/released.safetensors >one.safetensors
	import -T 3 --tau 0.829 in/released.safetensors | cmp - one.safetensors
	grep -aq "from.*overcomplete" one.safetensors && grep -aq "sha256" one.safetensors
	grep -aq "bs.tool" one.safetensors && import --no-provenance --tau 0.829 in/released.safetensors >bare.safetensors
	! grep -aq "bs.tool" bare.safetensors
'
ok 'every instruction set: the same model' '
	for isa in portable avx2 avx512
	do
		BS_CPU=$isa import --tau 0.829 in/released.safetensors | cmp - one.safetensors
	done
'
ok 'k and tau: of the file, of the options, of neither' '
	refuse 64 "says no k" import in/openai.safetensors
	refuse 64 "neither k nor a threshold" import in/released.safetensors
	import -k 2 --tau 0.5 --name both in/released.safetensors >m.safetensors
	grep -aq "batchtopk" m.safetensors && grep -aq "\"k\":\"2\"" m.safetensors && grep -aq "both" m.safetensors
	import -k 2 in/released.safetensors | grep -aq "\"select\":\"topk\""
	import -k 5 in/sparsify | grep -aq "\"k\":\"5\""
	refuse 65 "k is 25 of 24" import -k 25 in/sparsify
	refuse 64 "tau" import --tau=1 in/sparsify
	refuse 64 "threshold of each concept" import -k 3 in/saelens-jumprelu
	refuse 64 "threshold of each concept" import --tau 3 in/jump.safetensors
'
ok 'what cannot be expressed is refused and named' '
	sparsify odd "s/\"topk\"/\"groupmax\"/" && refuse 65 "groupmax" import odd
	sparsify odd "s/\"skip_connection\": false/\"skip_connection\": true/" && refuse 65 "skip_connection" import odd
	sparsify odd "s/\"transcode\": false/\"transcode\": true/" && refuse 65 "transcode" import odd
	lens odd "s/\"normalize_activations\": \"none\"/\"normalize_activations\": \"layer_norm\"/" topk
	refuse 65 "normalize_activations.*layer_norm" import odd
	lens odd "s/\"architecture\": \"topk\"/\"architecture\": \"gated\"/" topk && refuse 65 "gated" import odd
	doc "{\"W_dec\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},\"W_skip\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]},\"encoder.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[8,12]}}" "$(zeros 12)" >skip.safetensors
	refuse 65 "W_skip" import skip.safetensors
	doc "{\"W_dec\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}" "$(zeros 4)" >none.safetensors
	refuse 65 "no known format" import none.safetensors
	refuse 65 "already" import sae.safetensors
'
ok 'settings that make no sense: 65, and the name' '
	sparsify odd "s/\"k\": 3/\"k\": 0/" && refuse 64 "no k" import odd
	sparsify odd "s/\"k\": 3/\"k\": 99/" && refuse 65 "k is 99 of 24" import odd
	sparsify odd "s/\"k\": 3/\"k\": -3/" && refuse 65 "cfg.json: .k." import odd
	sparsify odd "s/\"k\": 3/\"k\": \"many\"/" && refuse 65 "cfg.json: .k." import odd
	sparsify odd "s/\"k\": 3/\"k\": 1e99/" && refuse 65 "cfg.json: .k." import odd
	sparsify odd "s/\"d_in\": 7/\"d_in\": 8/" && refuse 65 "d_in.* 8.*7" import odd
	sparsify odd "s/\"num_latents\": 24/\"num_latents\": 25/" && refuse 65 "num_latents.*25.*24" import odd
	sparsify odd "s/}//" && refuse 65 "cfg.json" import odd
	echo "[]" >odd/cfg.json && refuse 65 "cfg.json: is no object" import odd
	: >odd/cfg.json && refuse 65 "cfg.json" import odd
	rm odd/cfg.json && refuse 64 "no k" import odd && import -k 3 odd >m.safetensors
	lens odd s/x/x/ topk && rm odd/cfg.json && refuse 65 "no cfg.json" import odd
	lens odd "s/\"apply_b_dec_to_input\": false/\"apply_b_dec_to_input\": 1/" topk && refuse 65 "apply_b_dec" import odd
'
ok 'a tensor that is missing, of another shape or type, or not finite' '
	spec="{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":"
	doc "{\"W_dec\":$spec[0,4]},\"encoder.weight\":$spec[4,8]}}" "$(zeros 8)" >odd.safetensors
	refuse 65 "encoder.bias. is missing" import -k 1 odd.safetensors
	vec="{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":"
	four="\"b_dec\":$vec[0,4]},\"encoder.bias\":$vec[4,8]}"
	doc "{\"W_dec\":$spec[8,12]},$four,\"encoder.weight\":$spec[12,16]}}" "$(zeros 16)" >good.safetensors
	import -k 1 good.safetensors >m.safetensors
	doc "{\"W_dec\":$spec[8,12]},$four,\"encoder.weight\":$spec[12,16]}}" "$(zeros 8)\\000\\000\\300\\177$(zeros 4)" >odd.safetensors
	refuse 65 "W_dec.: value 0 is not finite" import -k 1 odd.safetensors
	doc "{\"W_dec\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]},$four,\"encoder.weight\":$spec[16,20]}}" "$(zeros 20)" >odd.safetensors
	refuse 65 "W_dec. is \[1, 2\], not \[1, 1\]" import -k 1 odd.safetensors
	doc "{\"W_dec\":{\"dtype\":\"I32\",\"shape\":[1,1],\"data_offsets\":[8,12]},$four,\"encoder.weight\":$spec[12,16]}}" "$(zeros 16)" >odd.safetensors
	refuse 65 "W_dec. is I32" import -k 1 odd.safetensors
'
ok 'a file that is cut, a pickle, a text, a folder of nothing, none' '
	size=$(wc -c <in/topk.safetensors)
	for at in 0 1 7 8 100 $((size / 2)) $((size - 1))
	do
		head -c $at in/topk.safetensors >cut.safetensors
		refuse 65 "cut.safetensors" import cut.safetensors
	done
	refuse 65 "is a pickle, which is never read" import in/object.pth
	mkdir empty && refuse 66 "empty" import empty
	refuse 66 "no-such" import no-such
	echo text >text && refuse 65 "text" import text
'
ok 'export: what is imported again is the same model' '
	import in/sparsify >one.safetensors
	bs-sae export -m one.safetensors --to=sparsify -o out.d 2>err && test ! -s err
	test "$(ls out.d)" = "$(ls in/sparsify)"
	import --no-provenance out.d >two.safetensors
	import --no-provenance in/sparsify | cmp - two.safetensors
	bs-sae export -m one.safetensors --to=openai -o out.o && import --name sparsify --no-provenance out.o | cmp - two.safetensors
	bs-sae export -m one.safetensors --to=saelens -o out.l && grep -q "\"architecture\": \"topk\"" out.l/cfg.json
	bs-sae export -m sae.safetensors --to=overcomplete >state.safetensors
	import state.safetensors >again.safetensors
	bs-sae export -m again.safetensors --to=overcomplete --no-provenance >two.safetensors
	bs-sae export -m sae.safetensors --to=overcomplete --no-provenance | cmp - two.safetensors
'
ok 'export refuses what a format cannot express, before it writes' '
	for to in sparsify saelens openai
	do
		refuse 65 "layer norm over the concepts, which $to cannot" bs-sae export -m sae.safetensors --to=$to -o no.d
		test ! -e no.d
	done
	import in/saelens-jumprelu >jump.safetensors
	refuse 65 "jumprelu., which sparsify" bs-sae export -m jump.safetensors --to=sparsify -o no.d
	refuse 65 "bias behind" bs-sae export -m jump.safetensors --to=overcomplete -o no.d
	test ! -e no.d
'
ok 'misuse: 64; a full disk, a folder that cannot be: 74' '
	for wrong in "import" "import a b" "import --from=keras x" "import -k 0 x" "import --tau=0 x" "import --delta=-1 x" \
		"import --atoms=l3 x" "export" "export --to=openai" "export -m sae.safetensors" \
		"export -m sae.safetensors --to=auto -o x" "export -m sae.safetensors --to=sparsify" \
		"export -m sae.safetensors --to=openai more"
	do
		exits 64 bs-sae $wrong >out 2>err || { echo "$wrong"; exit 1; }
		test ! -s out && test $(wc -l <err) -eq 2
	done
	exits 74 import in/sparsify 2>err >/dev/full
	exits 74 bs-sae export -m one.safetensors --to=openai 2>err >/dev/full
	refuse 74 "cannot make" bs-sae export -m one.safetensors --to=sparsify -o no/such/folder
	echo old >old && exits 65 import -o old in/object.pth 2>err && test "$(cat old)" = old
'
py=$(python_with_numpy)
if test -n "$py"
then
	ok 'the converter: a whole object becomes a state dict, without PyTorch' '
		$py "$BS_SRC/man/pth2safetensors.py" in/object.pth object.safetensors
		import -v --tau 0.829 object.safetensors 2>err >m.safetensors
		says "overcomplete: 24 concepts of width 7, threshold, layer norm" err
		grep -aq "\"class\":\"BatchTopKSAE\"" object.safetensors
		for at in 0 10 500 5000 11000
		do
			head -c $at in/object.pth >cut.pth
			exits 65 $py "$BS_SRC/man/pth2safetensors.py" cut.pth not.safetensors 2>err
			says "cannot convert" err && test ! -e not.safetensors
		done
	'
	ok 'the converter runs nothing that a pickle names' '
		$py - <<-EOT
		import os, pickle, zipfile
		class Bad:
		    def __reduce__(self): return os.system, ("touch ran",)
		z = zipfile.ZipFile("bad.pth", "w")
		z.writestr("archive/data.pkl", pickle.dumps(Bad(), 2))
		EOT
		exits 65 $py "$BS_SRC/man/pth2safetensors.py" bad.pth bad.safetensors 2>err
		says "no tensors" err && test ! -e ran
	'
else
	skip 'no NumPy for the converter'
fi
finish
