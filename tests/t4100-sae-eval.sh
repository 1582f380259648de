#!/bin/sh
# bs-sae eval: its metrics against overcomplete's, what it reads, what it refuses.
. "${0%/*}/lib.sh"

gold=$BS_SRC/tests/golden/sae-eval
cp "$gold/model.safetensors" "$gold/other.safetensors" "$gold/small.safetensors" "$gold/x.safetensors" .
cp "$BS_SRC/tests/golden/sae/registers.safetensors" sae.safetensors
cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2
bs-fetch "$BS_SRC/tests/sample" | bs-embed -m dinov2 -o features.bs
evaluate () { bs-sae eval -m sae.safetensors "$@"; }
# doc 'json' 'octal bytes': one safetensors file, of the shortest kind.
doc () { printf "\\$(printf %o ${#1})\\0\\0\\0\\0\\0\\0\\0%s$2" "$1"; }
# repeat n 'octal bytes'
repeat () { for i in $(seq "$1"); do printf %s "$2"; done; }
# refuse CODE 'pattern' command...: that code, no output, one line on stderr that matches.
refuse () {
	t_code=$1 t_line=$2
	shift 2
	exits $t_code "$@" >out.tsv 2>err
	says "$t_line" err && test ! -s out.tsv
}
# misuse 'pattern' arguments...: 64, a line that matches and the usage.
misuse () {
	t_line=$1
	shift
	exits 64 bs-sae eval "$@" >out.tsv 2>err
	test $(wc -l <err) -eq 2 && head -n 1 err | grep -qE -e "$t_line" && test ! -s out.tsv || { cat err; exit 1; }
}
# close tolerance want got: the same rows, numbers within the tolerance of 1 or their size.
close () {
	awk -F "\t" -v most="$1" "
		function abs(v) { return v < 0 ? -v : v }
		NR == FNR { want[\$1, \$3] = \$2; n++; next }
		(\$1, \$3) in want {
			n--; d = abs(\$2 - want[\$1, \$3]); size = abs(want[\$1, \$3])
			if (!(d <= most * (size > 1 ? size : 1))) { print \$0 \", wanted \" want[\$1, \$3]; bad = 1 }
		}
		END { if (n != 0) print n \" rows missing\"; exit bad || n != 0 }" "$2" "$3"
}

ok 'metrics: those of overcomplete, SciPy and NumPy' '
	bs-sae eval -m model.safetensors -a other.safetensors -a small.safetensors --per-concept=concepts.tsv \
		x.safetensors >got.tsv 2>err
	test ! -s err
	close 1e-6 "$gold/want.tsv" got.tsv
	awk -F "\t" "NR > 30 && \$1 !~ /inter|corr/" "$gold/want.tsv" >exact.tsv
	close 1e-10 exact.tsv got.tsv
	test $(grep -c _gap got.tsv) -eq 4
	awk -F "\t" "/_gap/ && !(\$2 > 0 && \$2 < 1e-10) { exit 1 }" got.tsv
'
ok 'concepts: a row each, with the codes of overcomplete' '
	bs-sae eval -m model.safetensors --metrics=codes --per-concept=concepts.tsv \
		--columns=concept,fires,mean,max,energy x.safetensors >/dev/null
	paste "$gold/concepts.tsv" concepts.tsv | awk -F "\t" "
		NR == 1 { for (i = 1; i <= 5; i++) if (\$i != \$(i + 5)) exit 1; next }
		{ for (i = 1; i <= 5; i++) { d = \$i - \$(i + 5); if (d * d > 1e-12 * (1 + \$i * \$i)) { print; exit 1 } } }"
	test $(wc -l <concepts.tsv) -eq 121
'
ok 'any threads, any input, twice: the same bytes' '
	evaluate features.bs --per-concept=c.tsv >got.tsv 2>err && test ! -s err
	evaluate -T 1 features.bs | cmp - got.tsv
	evaluate -T 3 --per-concept=again.tsv <features.bs | cmp - got.tsv
	cmp c.tsv again.tsv
	bs-cat features.bs | evaluate -o again.tsv - && cmp again.tsv got.tsv
	bs-cat -n 5 -o a.bs features.bs && bs-cat --slice=5:1000 -o b.bs features.bs
	evaluate a.bs b.bs | cmp - got.tsv
	cat a.bs b.bs | evaluate | cmp - got.tsv
'
ok 'every instruction set of this processor: the same codes, and so the same bytes' '
	bs-sae eval -m model.safetensors -a other.safetensors x.safetensors >got.tsv
	for isa in portable avx2 avx512 avx512bf16
	do
		BS_CPU=$isa bs-sae eval -m model.safetensors -a other.safetensors x.safetensors >out.tsv 2>err ||
			{ grep -q BS_CPU err; continue; }
		cmp out.tsv got.tsv
	done
'
ok 'codes: as many as bs-sae encode writes, and as its options change them' '
	evaluate --metrics=l0 features.bs >got.tsv
	bs-sae encode -m sae.safetensors --dtype=f32 features.bs | bs-cat -H >head.json
	codes=$(sed -n "s/.*\"codes\":\([0-9]*\).*/\1/p" head.json)
	awk -F "\t" -v codes=$codes "\$1 == \"l0\" { d = \$2 * 3132 - codes; exit !(codes > 0 && d * d < 1e-12) }" got.tsv
	evaluate --metrics=l0 --select=topk -k 5 features.bs | grep -q "^l0	5$"
	evaluate --metrics=l0 --tau=2.5 features.bs >high.tsv
	awk -F "\t" "\$1 == \"l0\" { v[NR > FNR] = \$2 } END { exit !(v[0] < v[1]) }" high.tsv got.tsv
'
ok 'reconstruction: that of bs-sae decode' '
	bs-sae encode -m model.safetensors --dtype=f32 x.safetensors | bs-sae decode -m model.safetensors -o y.bs
	for i in x.safetensors y.bs
	do
		bs-cat -t $i | grep "^[0-9-]" | tr "\t" "\n" >${i%.*}.txt
	done
	test $(wc -l <x.txt) -eq 910
	paste x.txt y.txt | awk "{ sum += (\$1 - \$2) ^ 2 } END { printf \"mse\\t%.9g\\t\\n\", sum / NR }" >want.tsv
	bs-sae eval -m model.safetensors --metrics=mse x.safetensors >got.tsv
	close 1e-6 want.tsv got.tsv
'
ok 'limits and shards' '
	evaluate --metrics=records,tokens -n 3 features.bs | grep -q "^records	3$"
	for i in 0 1
	do
		evaluate --metrics=records --shard=$i/2 features.bs | sed -n "s/^records	//p"
	done >counts
	test $(($(head -n 1 counts) + $(tail -n 1 counts))) -eq 12
	evaluate --metrics=records,r2 -n 0 features.bs >none.tsv
	grep -q "^records	0$" none.tsv && grep -q "^r2	-*nan$" none.tsv
'
ok 'metrics by name and by group, in the order of the report' '
	evaluate --metrics=dead,l0,r2 features.bs | cut -f 1 | tr "\n" " " | grep -qx "metric r2 l0 dead "
	evaluate --metrics=dictionary >got.tsv </dev/null
	test $(wc -l <got.tsv) -eq 10 && grep -q "^concepts	300$" got.tsv
	evaluate --metrics=l0 -f jsonl features.bs | grep -qE "^\{\"metric\":\"l0\",\"value\":[0-9.]+\}$"
	evaluate --metrics=l0 -f table features.bs | head -n 1 | grep -qE "^metric +value$"
'
ok 'a dictionary beside itself: a match of all, and beside others in turn' '
	evaluate -a sae.safetensors --metrics=match --per-concept=c.tsv --columns=concept,match,match_cosine >got.tsv
	awk -F "\t" "NR > 1 && \$1 !~ /gap/ && !(\$2 > 1 - 1e-9) { exit 1 }" got.tsv
	awk -F "\t" "NR > 1 && (\$1 != \$2 || !(\$3 > 1 - 1e-9)) { exit 1 }" c.tsv
	head -n 1 got.tsv | grep -qx "metric	value	against"
	bs-sae eval -m model.safetensors -a other.safetensors -a small.safetensors --metrics=stability \
		--per-concept=c.tsv --columns=match@small.safetensors,match_cosine@other.safetensors,match >got.tsv
	test $(wc -l <got.tsv) -eq 3
	cut -f 1 c.tsv | grep -c "^[0-9]" | grep -qx 90
	cut -f 3 c.tsv | grep "^[0-9]" | sort -u | wc -l | grep -qx 120
'
ok 'misuse: 64, one line and the usage' '
	misuse "no model" features.bs
	misuse "unknown metric .r3." -m sae.safetensors --metrics=r2,r3 features.bs
	misuse "need .--against." -m sae.safetensors --metrics=stability
	misuse "needs features" -m sae.safetensors --metrics=coherence features.bs
	misuse "needs features" -m sae.safetensors --metrics=coherence --tau=1
	misuse "twice" -m sae.safetensors -a sae.safetensors -a sae.safetensors features.bs
	misuse "per-concept" -m sae.safetensors --columns=fires features.bs
	misuse "unknown column .fire." -m sae.safetensors --per-concept=c --columns=fire features.bs
	misuse "goes to a file" -m sae.safetensors --per-concept=- features.bs
	misuse "k. belongs" -m sae.safetensors -k 5 features.bs
	misuse "empty" -m sae.safetensors --against= features.bs
	test ! -e c
'
ok 'models that cannot be used' '
	refuse 66 "no-model" bs-sae eval -m no-model features.bs
	refuse 66 "no-model" evaluate -a no-model features.bs
	refuse 65 "width 13, but the model.s is 24" evaluate -a model.safetensors features.bs
	head -c 20000 sae.safetensors >short.safetensors
	refuse 65 "short.safetensors" evaluate -a short.safetensors features.bs
	refuse 65 "model" evaluate -a dinov2/model.safetensors features.bs
'
ok 'features that cannot be used: 65, the record and the token named' '
	refuse 65 "width 24, but the model.s is 13" bs-sae eval -m model.safetensors features.bs
	bs-sae encode -m sae.safetensors -o codes.bs features.bs
	refuse 65 "kind .code., not .feature." evaluate codes.bs
	one () { doc "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,24],\"data_offsets\":[0,96]}}" "$1"; }
	one "$(repeat 92 "\\000")\\000\\000\\300\\177" >nan.safetensors
	refuse 65 "record .nan.: token 0.*not finite" evaluate nan.safetensors
	one "$(repeat 40 "\\000")\\000\\000\\200\\377$(repeat 52 "\\000")" >inf.safetensors
	refuse 65 "not finite" evaluate inf.safetensors
	doc "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,13],\"data_offsets\":[0,52]}}" "$(repeat 13 "\\000\\000\\177\\177")" >large.safetensors
	refuse 65 "record .large.: the code of concept [0-9]* is too large" bs-sae eval -m model.safetensors large.safetensors
	one "$(repeat 96 "\\000")" >zero.safetensors
	evaluate zero.safetensors >got.tsv && grep -q "^tokens	1$" got.tsv
'
ok 'a stream cut anywhere, or with a bit turned: 65, and no report' '
	size=$(wc -c <features.bs)
	for at in 0 1 7 100 1500 $((size / 2)) $((size - 100)) $((size - 1))
	do
		head -c $at features.bs >cut.bs
		refuse 65 "^bs-sae eval: " evaluate cut.bs
	done
	for at in 9 400 $((size / 3)) $((size / 2)) $((size - 30))
	do
		cp features.bs flip.bs
		printf "\\252" | dd of=flip.bs bs=1 seek=$at conv=notrunc 2>/dev/null
		cmp -s features.bs flip.bs && continue
		refuse 65 "^bs-sae eval: " evaluate flip.bs
	done
'
ok 'outputs appear whole or not at all; old ones stay' '
	echo old >out && echo old >c && head -c 3000 features.bs >cut.bs
	exits 65 evaluate -o out --per-concept=c cut.bs 2>err
	test "$(cat out c | uniq)" = old && ! ls -a | grep -E "^\.?(out|c)\..*[^v]$" | grep -v "^out.tsv\|^c.tsv"
	exits 74 evaluate --metrics=l0 features.bs >/dev/full 2>err
	exits 74 evaluate --metrics=l0 features.bs >&- 2>err
	exits 74 evaluate --metrics=l0 --per-concept=no/such/folder features.bs 2>err
'
ok 'SIGTERM while the input stalls: what is known so far, and 75' '
	mkfifo pipe
	bs-sae eval -m sae.safetensors -o part.tsv <pipe 2>err & pid=$!
	exec 4>pipe
	head -c $(($(wc -c <features.bs) - 50)) features.bs >&4
	sleep 1
	kill -TERM $pid
	exits 75 wait $pid
	exec 4>&-
	says "ended early: SIGTERM" err
	grep -q "^records	1*[0-9]$" part.tsv && grep -qE "^r2	-?[0-9]" part.tsv && grep -qx "coherence	" part.tsv
'
ok 'pairs of concepts beyond --memory: a warning and no value; asked for, 71' '
	head="{\"__metadata__\":{\"bs.sae\":\"1\",\"select\":\"topk\",\"k\":\"700\"},"
	head="$head\"enc_w\":{\"dtype\":\"F16\",\"shape\":[700,1],\"data_offsets\":[0,1400]},"
	head="$head\"dec_w\":{\"dtype\":\"F16\",\"shape\":[700,1],\"data_offsets\":[1400,2800]}}"
	doc "$head" "$(repeat 1400 "\\000\\074")" >wide.safetensors
	doc "{\"x\":{\"dtype\":\"F16\",\"shape\":[1,1],\"data_offsets\":[0,2]}}" "\\000\\074" >one.safetensors
	bs-sae eval -m wide.safetensors --metrics=pairs one.safetensors | grep -qx "pairs	244650"
	bs-sae eval -m wide.safetensors --memory=1M one.safetensors >got.tsv 2>err
	says "warning: the pairs of concepts.*--memory" err
	bs-sae eval -m wide.safetensors --metrics=r2 -f jsonl one.safetensors | grep -qxF "{\"metric\":\"r2\",\"value\":null}"
	grep -qx "pairs	" got.tsv && grep -qx "interference_spectral	" got.tsv && grep -qx "l0	700" got.tsv
	refuse 71 "pairs of concepts.*--memory" bs-sae eval -m wide.safetensors --memory=1M --metrics=pairs one.safetensors
'
ok 'no GPU: 69, and auto goes on without' '
	refuse 69 "cuda" evaluate --device=cuda features.bs
	evaluate --metrics=l0 --device=auto features.bs >/dev/null
'
finish
