#!/bin/sh
# bs-sae encode and decode: what they write, what they refuse.
. "${0%/*}/lib.sh"

cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2
cp "$BS_SRC/tests/golden/sae/registers.safetensors" sae.safetensors
cp "$BS_SRC/tests/golden/sae/topk.safetensors" narrow.safetensors
bs-fetch "$BS_SRC/tests/sample" | bs-embed -m dinov2 -o features.bs
encode () { bs-sae encode -m sae.safetensors "$@"; }
decode () { bs-sae decode -m sae.safetensors "$@"; }
# doc 'json' 'octal bytes': one safetensors file, of the shortest kind.
doc () { printf "\\$(printf %o ${#1})\\0\\0\\0\\0\\0\\0\\0%s$2" "$1"; }
# one type bytes 'octal bytes': a feature of one token, 24 wide.
one () { doc '{"x":{"dtype":"'$1'","shape":[1,24],"data_offsets":[0,'$2']}}' "$3"; }
zeros () { printf '\\0%.0s' $(seq "$1"); }
# refuse CODE 'pattern' command...: that code, one line on stderr that matches.
refuse () {
	t_code=$1 t_line=$2
	shift 2
	exits $t_code "$@" >out.bs 2>err
	says "$t_line" err
	test $t_code -eq 64 || { rc=0; bs-cat --verify out.bs 2>/dev/null || rc=$?; test $rc -eq 65; }
}

ok 'codes: the records of the features, quietly' '
	encode -o codes.bs features.bs 2>err && test ! -s err
	bs-cat --verify codes.bs
	bs-cat -l features.bs | cut -f 1 >want
	bs-cat -l codes.bs | cut -f 1 | diff want -
	bs-cat -j features.bs >want
	bs-cat -j codes.bs | diff want -
	bs-cat -H codes.bs | grep -q "\"concepts\": \"300\""
	bs-cat -H codes.bs | grep -q "sha256.*$(sha256sum <sae.safetensors | cut -c 1-64)"
'
ok 'any threads, any input, twice: the same bytes' '
	encode -T 1 features.bs | cmp - codes.bs
	encode -T 3 <features.bs | cmp - codes.bs
	cat features.bs | encode -q -o again.bs - && cmp again.bs codes.bs
'
ok 'every instruction set of this processor: the same codes' '
	for isa in portable avx2 avx512 avx512bf16
	do
		BS_CPU=$isa encode features.bs >out.bs 2>err || { grep -q "BS_CPU" err; continue; }
		cmp out.bs codes.bs
	done
'
ok 'shards hold every record once' '
	encode --shard=0/2 features.bs >part0.bs
	encode --shard=1/2 features.bs >part1.bs
	cat part0.bs part1.bs | bs-cat -t | grep -v "^#" | sort >got
	bs-cat -t codes.bs | grep -v "^#" | sort | cmp - got
'
ok 'topk: k places a token, values descending, less when less are positive' '
	encode --select=topk -k 5 features.bs -o five.bs
	bs-cat -l five.bs | head -n 1 | grep -qE "idx:U16\[261,5\].val:F16\[261,5\]" || { bs-cat -l five.bs; exit 1; }
	encode --select=topk -k 300 features.bs -o all.bs
	bs-cat -t all.bs | grep -q 65535
'
ok 'a higher threshold keeps the codes that reach it' '
	encode --tau=2.5 --dtype=f32 features.bs | bs-cat -t >high.txt
	encode --tau=1 --dtype=f32 features.bs | bs-cat -t >low.txt
	test $(wc -c <high.txt) -lt $(wc -c <low.txt)
'
ok 'decode: features again, of the width of the model' '
	decode -o again.bs codes.bs 2>err && test ! -s err
	bs-cat --verify again.bs
	bs-cat -l again.bs | head -n 1 | grep -qE "x:F(16|32)\[261,24\]"
	decode -T 1 codes.bs | cmp - again.bs
	decode -T 3 <codes.bs | cmp - again.bs
'
ok 'codes of another model are refused; so is another width' '
	refuse 65 "another dictionary|concepts" bs-sae decode -m narrow.safetensors codes.bs
	refuse 65 "width|wide" bs-sae encode -m narrow.safetensors features.bs
'
ok 'features are no codes, codes no features, pictures neither' '
	refuse 65 "kind .feature., not .code." decode features.bs
	refuse 65 "kind .code., not .feature." encode codes.bs
	bs-fetch "$BS_SRC/tests/sample" -o real.bs
	refuse 65 "kind .image., not .feature." encode real.bs
'
ok 'a value that is not finite: 65, the record and the token named' '
	one F32 96 "$(zeros 92)\\000\\000\\300\\177" >nan.safetensors
	refuse 65 "record .nan.: token 0.*not finite|not finite" encode nan.safetensors
	one F32 96 "$(zeros 40)\\000\\000\\200\\377$(zeros 52)" >inf.safetensors
	refuse 65 "not finite" encode inf.safetensors
	one F16 48 "$(zeros 46)\\000\\174" >half.safetensors
	refuse 65 "not finite" encode half.safetensors
	one BF16 48 "$(zeros 46)\\300\\177" >bf.safetensors
	refuse 65 "not finite" encode bf.safetensors
'
ok 'zeros are a feature like others; types that are none are not' '
	one F32 96 "$(zeros 96)" >zero.safetensors
	encode zero.safetensors | bs-cat --verify
	one I32 96 "$(zeros 96)" >int.safetensors
	refuse 65 "tensor|I32" encode int.safetensors
	doc "{\"y\":{\"dtype\":\"F32\",\"shape\":[1,24],\"data_offsets\":[0,96]}}" "$(zeros 96)" >none.safetensors
	refuse 65 "kind|x" encode none.safetensors
	doc "{\"x\":{\"dtype\":\"F32\",\"shape\":[24],\"data_offsets\":[0,96]}}" "$(zeros 96)" >flat.safetensors
	refuse 65 "kind|x" encode flat.safetensors
'
ok 'a value too large for F16 is an error, in F32 a code' '
	one F32 96 "$(printf "\\\\0\\\\0\\\\0\\\\177%.0s" $(seq 24))" >large.safetensors
	bs-sae encode -m sae.safetensors --dtype=f32 large.safetensors >out.bs 2>err || says "infin|large|finite" err
'
ok 'a stream cut anywhere: 65, and no end' '
	size=$(wc -c <features.bs)
	for at in 0 1 7 100 1500 $((size / 2)) $((size - 100)) $((size - 1))
	do
		head -c $at features.bs >cut.bs
		refuse 65 "^bs-sae" encode cut.bs
	done
	size=$(wc -c <codes.bs)
	for at in 0 1 7 100 1500 $((size / 2)) $((size - 100)) $((size - 1))
	do
		head -c $at codes.bs >cut.bs
		refuse 65 "^bs-sae" decode cut.bs
	done
'
ok 'a flipped bit: 65' '
	size=$(wc -c <codes.bs)
	for at in 9 400 $((size / 3)) $((size / 2)) $((size - 30))
	do
		cp codes.bs flip.bs
		printf "\\252" | dd of=flip.bs bs=1 seek=$at conv=notrunc 2>/dev/null
		cmp -s codes.bs flip.bs && continue
		refuse 65 "^bs-sae" decode flip.bs
	done
'
ok 'a model that is not there, cut, text, or another thing' '
	refuse 66 "no-model" bs-sae encode -m no-model features.bs
	refuse 65 "short.safetensors" eval "head -c 20000 sae.safetensors >short.safetensors; bs-sae encode -m short.safetensors features.bs"
	echo "this is no model" >text.safetensors
	refuse 65 "text.safetensors" bs-sae encode -m text.safetensors features.bs
	refuse 65 "model" bs-sae encode -m dinov2/model.safetensors features.bs
	: >empty.safetensors
	refuse 65 "empty.safetensors" bs-sae encode -m empty.safetensors features.bs
'
ok 'misuse: 64, one line and the usage' '
	for wrong in "-k 5" "--select=topk -k 0" "--select=topk -k 301" "--select=topk -k x" "--tau=-1" "--tau=nan" \
		"--select=jumprelu" "--select=best" "--dtype=bf16" "--select=topk --tau=1"
	do
		exits 64 encode $wrong features.bs >out.bs 2>err || { echo "$wrong"; exit 1; }
		test $(wc -l <err) -eq 2 && test ! -s out.bs
	done
	exits 64 bs-sae encode features.bs 2>err >out.bs
	exits 64 bs-sae 2>err && exits 64 bs-sae no-such 2>err
	says "no command of bs-sae|^usage" err || test $(wc -l <err) -eq 2
'
ok 'no GPU: 69, and auto goes on without' '
	refuse 69 "cuda" encode --device=cuda features.bs
	encode --device=auto features.bs | cmp - codes.bs
'
ok 'a full disk, a closed stdout, a reader that leaves' '
	exits 74 encode features.bs >/dev/full 2>err
	exits 74 encode features.bs >&- 2>err
	(rc=0; encode features.bs 2>err || rc=$?; echo $rc >rc) | head -c 10 >/dev/null
	rc=$(cat rc); test $rc -eq 141 || test $rc -eq 0
	test ! -s err
'
ok 'an output appears whole or not at all; an old one stays' '
	echo old >out && head -c 3000 features.bs >cut.bs
	exits 65 encode -o out cut.bs 2>err
	test "$(cat out)" = old && ! ls out.* .out* 2>/dev/null | grep -v "^out.bs$"
'
ok 'SIGTERM while the input stalls: a partial end; a partial input is 75' '
	for cmd in encode decode
	do
		test $cmd = encode && from=features.bs || from=codes.bs
		mkfifo pipe
		bs-sae $cmd -m sae.safetensors <pipe >part.bs 2>err & pid=$!
		exec 4>pipe
		head -c $(($(wc -c <$from) - 50)) $from >&4
		sleep 1
		kill -TERM $pid
		exits 75 wait $pid
		exec 4>&-
		rm pipe
		exits 75 bs-cat --verify part.bs 2>err
		bs-cat --verify --allow-partial part.bs
	done
	exits 75 encode part.bs >out.bs 2>err
	bs-sae decode -m sae.safetensors --allow-partial codes.bs >out.bs
'
finish
