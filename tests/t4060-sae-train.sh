#!/bin/sh
# bs-sae train: the run around the steps: inputs, checkpoints, metrics, what is refused.
. "${0%/*}/lib.sh"

cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2
bs-fetch "$BS_SRC/tests/sample" | bs-embed -m dinov2 -o features.bs # 12 records of 261 tokens, 24 wide
bs-cat --slice=0:5 features.bs -o first.bs
bs-cat --slice=5:12 features.bs -o rest.bs
small="--recipe=topk --concepts=50 -k 3 --batch=200"
train () { bs-sae train $small "$@"; }
# doc 'json' 'octal bytes': one safetensors file, of the shortest kind.
doc () { printf "\\$(printf %o ${#1})\\0\\0\\0\\0\\0\\0\\0%s$2" "$1"; }
one () { doc '{"x":{"dtype":"'$1'","shape":[1,24],"data_offsets":[0,'$2']}}' "$3"; }
zeros () { printf '\\0%.0s' $(seq "$1"); }
# refuse CODE 'pattern' command...: that code, no model, one line on stderr (and the usage) that matches.
refuse () {
	t_code=$1 t_line=$2
	shift 2
	exits $t_code "$@" >out 2>err
	test ! -s out
	if test $t_code -eq 64
	then
		test $(wc -l <err) -eq 2 && head -n 1 err >line && says "$t_line" line
	else
		says "$t_line" err
	fi
}
# timeless FILE: the metrics without what a clock says.
timeless () { sed 's/,"tokens_s".*/}/' "$1"; }

ok 'a model comes out, quietly, and can be used' '
	train --epochs=2 -o m.safetensors features.bs 2>err && test ! -s err
	bs-sae encode -m m.safetensors features.bs -o codes.bs
	bs-cat -l codes.bs | head -n 1 | grep -q "idx:U16\[261,3\]"
	bs-cat -H codes.bs | grep -q "\"concepts\": \"50\""
	train --epochs=2 features.bs | cmp - m.safetensors
'
ok 'into a pipe: the same bytes' '
	mkfifo fifo
	cat fifo >got.safetensors & train --epochs=2 -o fifo features.bs
	wait
	cmp got.safetensors m.safetensors
'
ok 'any number of threads, any buffer of the pipe: the same bytes' '
	train --epochs=2 -T 1 features.bs | cmp - m.safetensors
	train --epochs=2 -T 3 features.bs | cmp - m.safetensors
	train --epochs=1 features.bs >one.safetensors
	cat features.bs | train >two.safetensors && strings -n 8 two.safetensors | grep -qF "\\\"epochs\\\":1"
	train --epochs=1 --no-provenance features.bs >one.safetensors
	(head -c 5000 features.bs; sleep 0.2; tail -c +5001 features.bs) | train --no-provenance | cmp - one.safetensors
'
ok 'what was done is in the model: options, inputs, tool; or is not' '
	strings -n 8 m.safetensors | head -n 1 >text
	grep -q "bs.params.*\\\\\"batch\\\\\":200.*\\\\\"recipe\\\\\":\\\\\"topk\\\\\".*\\\\\"top\\\\\":3" text
	grep -q "bs.parents.*hash.*$(bs-cat -v --verify features.bs 2>&1 | grep -oE "[0-9a-f]{16}" | head -n 1)" text
	grep -q "bs.tool.*bs-sae train" text && grep -q "bs.stats.*\\\\\"steps\\\\\":30" text
	train --epochs=2 --no-provenance features.bs | strings -n 8 | head -n 1 >text
	! grep -qE "bs\.(tool|params|parents|stats)" text
'
ok 'seeds, order and options matter; -T, checkpoints and metrics do not' '
	for different in --seed=1 --shuffle=0 --shuffle=1000 --rate=0.001 --tokens=patch --limit=11 --shard=0/2 \
		--no-enc-bias --steps=29
	do
		train --epochs=2 --no-provenance $different features.bs >other.safetensors
		! cmp -s other.safetensors m.safetensors || { echo "$different"; exit 1; }
	done
	train --epochs=2 --checkpoint=c --every=3 --metrics=j.jsonl features.bs | cmp - m.safetensors
'
ok 'inputs: several files are one; npy, tar and safetensors as well' '
	bs-cat features.bs -o a.tar && train --epochs=2 --no-provenance a.tar >tar.safetensors
	train --epochs=2 --no-provenance features.bs | cmp - tar.safetensors
	cat first.bs rest.bs >joined.bs
	train --epochs=2 --no-provenance first.bs rest.bs >two.safetensors
	train --epochs=2 --no-provenance joined.bs | cmp - two.safetensors
	train --no-provenance first.bs - <rest.bs >two.safetensors
	cat joined.bs | train --no-provenance | cmp - two.safetensors
	if bs-cat first.bs -o x.npy 2>/dev/null; then train --epochs=1 x.npy >npy.safetensors; fi
'
ok 'metrics: a line of JSON each, the last step among them' '
	train --epochs=2 --metrics=j.jsonl --metrics-every=7 features.bs >m2.safetensors
	cut -d, -f 1 j.jsonl | tr "\n" " " >steps
	test "$(cat steps)" = "{\"step\":1 {\"step\":7 {\"step\":14 {\"step\":21 {\"step\":28 {\"step\":30 "
	for field in loss rec aux r2 r2_all l0 dead dead_share norm rate tokens_s epoch tokens
	do
		test $(grep -cE "\"$field\":(-?[0-9.e+-]+|null)[,}]" j.jsonl) -eq 6 || { echo $field; exit 1; }
	done
	train --epochs=2 --metrics=- -o m2.safetensors features.bs >on-stdout
	test $(wc -l <on-stdout) -eq 4
	refuse 64 "cannot both go to stdout" train --metrics=- features.bs
'
ok 'progress where it is asked for, a summary with -v' '
	train --epochs=2 --progress features.bs 2>err >m2.safetensors
	train --epochs=2 -v features.bs 2>err >m2.safetensors && grep -q "30 steps, 6000 tokens, 2 epochs" err
	train -q --epochs=2 features.bs 2>err >m2.safetensors && test ! -s err
'
# ---- checkpoints ----
long="--epochs=20 --metrics-every=3"
train $long --metrics=want.jsonl -o want.safetensors features.bs
timeless want.jsonl >want.txt

ok 'a checkpoint stays, is a model, and makes the same model at once' '
	train $long --checkpoint=ck --every=100 --metrics=j.jsonl -o got.safetensors features.bs
	cmp got.safetensors want.safetensors
	bs-sae encode -m ck features.bs | bs-cat --verify
	bs-sae train --resume=ck --metrics=j.jsonl -o got.safetensors features.bs && cmp got.safetensors want.safetensors
	timeless j.jsonl | cmp - want.txt
	ls | grep -F ck. && exit 1
	true
'
# killed N command...: run it, which says --checkpoint=ck --resume=ck, to know how long it takes; then N times into a
# kill at a random moment, then to its end.  Not a function as the command: its shell would be killed instead.
killed () {
	t_kills=$1 t_rounds=0
	shift
	rm -f ck j.jsonl
	t_from=$(date +%s.%N)
	"$@"
	t_span=$(echo "$t_from $(date +%s.%N)" | awk '{ print $2 - $1 }')
	rm -f ck j.jsonl
	while test $t_kills -gt 0
	do
		t_rounds=$((t_rounds + 1))
		test $t_rounds -lt 100
		"$@" 2>err &
		t_pid=$!
		t_wait=$(od -An -N2 -tu2 /dev/urandom | awk "{ print \$1 / 65536 * $t_span }")
		sleep $t_wait
		kill -9 $t_pid 2>/dev/null || true
		t_rc=0
		wait $t_pid || t_rc=$?
		echo "after $t_wait s of $t_span: $t_rc"
		case $t_rc in
		137) t_kills=$((t_kills - 1)) ;;
		0) rm -f ck j.jsonl ;; # it was through: once more
		*) cat err; return 1 ;;
		esac
	done
	"$@"
}
ok 'kill -9 at five random moments, gone on with each time: the same bytes' '
	killed 5 bs-sae train $small $long --checkpoint=ck --resume=ck --every=2 --metrics=j.jsonl -o got.safetensors \
		features.bs
	cmp got.safetensors want.safetensors
	timeless j.jsonl | cmp - want.txt
	ls | grep -E "tmp" && exit 1
	true
'
for kind in "--recipe=ra-sae --points=60 --keep-parts" "--recipe=openai --aux-k=8 --dead=2000" \
	"--recipe=batchtopk --pre-bias=mean --aux=reanimate" "--recipe=ra-sae --select=batchtopk --no-multiplier --math=bf16"
do
	ok "every kind of state survives: $kind" '
		kind="$kind --concepts=50 --top=3 --batch=200 --epochs=8 --metrics-every=5"
		bs-sae train $kind --metrics=k.jsonl -o kind.safetensors features.bs
		bs-sae train $kind -T 1 --checkpoint=ck --every=7 features.bs | cmp - kind.safetensors
		killed 2 bs-sae train $kind --checkpoint=ck --resume=ck --every=3 --metrics=j.jsonl -o got.safetensors features.bs
		cmp got.safetensors kind.safetensors
		timeless k.jsonl >k.txt && timeless j.jsonl | cmp - k.txt
	'
done
ok 'SIGTERM: 75, a checkpoint, no model; gone on with, by time or from a pipe: the same bytes' '
	rm -f ck
	rm -f pipe && mkfifo pipe
	bs-sae train $small --shuffle=500 --checkpoint=ck --metrics=j.jsonl -o got2.safetensors <pipe 2>err & pid=$!
	exec 4>pipe
	cat features.bs features.bs | head -c $(($(wc -c <features.bs) + 3000)) >&4
	sleep 1
	kill -TERM $pid
	exits 75 wait $pid
	exec 4>&-
	says "SIGTERM; to go on: --resume=ck" err
	test -s ck && test ! -e got2.safetensors
	cat features.bs features.bs | train --shuffle=500 --no-provenance >straight.safetensors
	cat features.bs features.bs | bs-sae train --resume=ck --no-provenance --metrics=j.jsonl | cmp - straight.safetensors
'
ok 'SIGTERM without a checkpoint: 75, and it is said' '
	bs-sae train $small --epochs=100000 features.bs 2>err >out & pid=$!
	sleep 0.5
	kill -TERM $pid
	exits 75 wait $pid
	says "SIGTERM; there is no checkpoint" err && test ! -s out
	exits 75 train --epochs=1000000 --time-limit=1 --checkpoint=ck features.bs 2>err >out
	says "time limit; to go on" err && test ! -s out
'
ok 'other data, other options, a file that changed under way: refused' '
	rm -f ck
	exits 75 train --epochs=1000000 --checkpoint=ck --time-limit=1 features.bs 2>err >out
	refuse 65 "not what the checkpoint was made with|not the one" bs-sae train --resume=ck rest.bs
	refuse 65 "tokens differ|not what the checkpoint|ends after" bs-sae train --resume=ck first.bs
	refuse 64 "..top. is 3 in the checkpoint, not 4" bs-sae train --resume=ck -k 4 features.bs
	refuse 64 "concepts. is 50 in the checkpoint, not 60" bs-sae train --resume=ck --concepts=60 features.bs
	refuse 64 "recipe. is topk in the checkpoint" bs-sae train --resume=ck --recipe=openai features.bs
	refuse 64 "epochs. is 1000000 in the checkpoint, not 1" bs-sae train --resume=ck - <features.bs
	exits 75 bs-sae train --resume=ck -k 3 --recipe=topk --time-limit=1 features.bs 2>err
	train --epochs=30 --shard=1/2 --limit=3 --tokens=patch --checkpoint=ck features.bs >want2.safetensors
	killed 1 bs-sae train $small --epochs=30 --shard=1/2 --limit=3 --tokens=patch --checkpoint=ck --resume=ck --every=9 \
		-o got2.safetensors features.bs
	bs-sae train --resume=ck features.bs | cmp - want2.safetensors
'
ok 'a checkpoint that is cut, damaged, empty, a model, not there' '
	size=$(wc -c <ck)
	for at in 1 100 2000 $((size / 2)) $((size - 1))
	do
		head -c $at ck >cut
		refuse 65 "cannot use .cut.: " bs-sae train --resume=cut features.bs
	done
	: >cut && refuse 65 "cut.*empty" bs-sae train --resume=cut features.bs
	for at in 300 $((size / 3)) $((size - 9))
	do
		cp ck cut
		printf "\\252" | dd of=cut bs=1 seek=$at conv=notrunc 2>/dev/null
		cmp -s cut ck || refuse 65 "cannot use .cut.: " bs-sae train --resume=cut features.bs
	done
	refuse 65 "not a checkpoint" bs-sae train --resume=m.safetensors features.bs
	refuse 66 "no-such" bs-sae train --resume=no-such features.bs
	refuse 66 "no-such" bs-sae train --resume=no-such --checkpoint=ck features.bs
'
ok 'metrics that are not those of the checkpoint are left alone' '
	train --epochs=2 --checkpoint=ck --every=1 --metrics=j.jsonl features.bs >m2.safetensors
	echo other >other.jsonl
	refuse 65 "does not begin with" bs-sae train --resume=ck --metrics=other.jsonl features.bs
	test "$(cat other.jsonl)" = other
'
# ---- what is refused ----
ok 'features that are damaged, mixed or not finite: 65' '
	for at in 0 1 100 1500 $(($(wc -c <features.bs) - 1))
	do
		head -c $at features.bs >cut.bs
		refuse 65 "cut.bs" train cut.bs
		refuse 65 "stdin" train - <cut.bs
	done
	one F32 96 "$(zeros 92)\\000\\000\\300\\177" >nan.safetensors
	refuse 65 "nan.safetensors.: record .nan.: token 0 holds a value that is not finite" train nan.safetensors features.bs
	one F16 48 "$(zeros 46)\\000\\174" >inf.safetensors
	refuse 65 "inf.safetensors.: record .inf.: token 0" train features.bs inf.safetensors
	doc "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]}}" "$(zeros 12)" >three.safetensors
	refuse 65 "record .three.: features of width 3, but that so far is 24" train features.bs three.safetensors
	refuse 65 "kind .code., not .feature." train codes.bs
	refuse 66 "no-such" train no-such.bs
	exits 75 train --allow-partial cut.bs 2>err >out || exits 65 train --allow-partial cut.bs 2>err >out
'
ok 'fewer tokens than a batch: 65' '
	refuse 65 "3132 tokens, fewer than a batch of 4000" train --batch=4000 features.bs
	refuse 65 "3132 tokens, fewer than a batch of 4000" train --batch=4000 - <features.bs
	refuse 65 "12 tokens, fewer than a batch of 200" train --tokens=cls features.bs
	train --tokens=cls --batch=12 features.bs >m2.safetensors
'
ok 'candidates: from files and from a pipe, fewer tokens than these refused' '
	ra="bs-sae train --points=80 --concepts=50 --batch=200 --epochs=1"
	$ra features.bs >ra.safetensors && ! strings -n 8 ra.safetensors | grep -q ra_w
	$ra -T 1 features.bs | cmp - ra.safetensors
	$ra --keep-parts features.bs >parts.safetensors && strings -n 8 parts.safetensors | grep -q ra_w
	bs-sae train --batch=200 --epochs=1 --init=parts.safetensors features.bs >more.safetensors
	strings -n 8 more.safetensors | head -n 1 | grep -q "dictionary.*archetypal"
	$ra --rate-end=5e-4 - <features.bs >piped.safetensors
	cat features.bs | $ra --rate-end=5e-4 -T 1 | cmp - piped.safetensors
	refuse 65 "4000|tokens" bs-sae train --points=4000 --concepts=50 --batch=200 features.bs
	refuse 65 "4000|tokens" bs-sae train --points=4000 --concepts=50 --batch=200 --rate-end=5e-4 - <features.bs
'
ok 'SIGTERM while candidates are sought: 75, and nothing to go on from' '
	rm -f ck pipe && mkfifo pipe
	bs-sae train --points=80 --concepts=50 --batch=200 --checkpoint=ck <pipe 2>err >out & pid=$!
	exec 4>pipe
	head -c 3000 features.bs >&4
	sleep 0.5
	kill -TERM $pid
	exits 75 wait $pid
	exec 4>&-
	grep -q "SIGTERM; there is no checkpoint" err && test ! -e ck && test ! -s out
'
ok 'a start model: trained on; another shape refused' '
	train --epochs=1 --init=m.safetensors features.bs >more.safetensors
	strings -n 8 more.safetensors | head -n 1 | grep -q "init.*$(sha256sum <m.safetensors | cut -c 1-64)"
	refuse 64 "concepts. is 50 in the start model, not 51" bs-sae train --concepts=51 --init=m.safetensors features.bs
	refuse 65 "features of width 24, but the model.s is" bs-sae train --batch=10 --init="$BS_SRC/tests/golden/sae/topk.safetensors" features.bs
	refuse 66 "no-such" bs-sae train --init=no-such features.bs
'
ok 'steps: an end of their own, more passes where they need them, a short pipe is told' '
	train --steps=40 --metrics=j.jsonl features.bs >m2.safetensors && tail -n 1 j.jsonl | grep -q "\"step\":40,.*\"epoch\":2"
	train --steps=40 --epochs=2 --metrics=j.jsonl features.bs >m2.safetensors && tail -n 1 j.jsonl | grep -q "\"step\":30,"
	train --steps=4 --metrics=j.jsonl <features.bs >m2.safetensors && tail -n 1 j.jsonl | grep -q "\"step\":4,"
	train --steps=40 <features.bs 2>err >m2.safetensors && says "ended after 15 of 40 steps" err
	train --rate-end=0 <features.bs 2>err >m2.safetensors && says "rate stays at 0.0005" err
	bs-embed -m dinov2 "$BS_SRC/tests/sample" 2>/dev/null | head -c 100 >/dev/null || true
'
ok 'steps that suffice end a pipe that goes on' '
	rm -f pipe && mkfifo pipe
	bs-sae train $small --steps=2 --shuffle=200 <pipe >got.safetensors 2>err & pid=$!
	exec 4>pipe
	head -c $(($(wc -c <features.bs) - 100)) features.bs >&4
	exits 0 wait $pid
	exec 4>&-
	test -s got.safetensors
'
ok 'misuse: 64, one line and the usage' '
	for wrong in "-k 0" "-k 51" "--concepts=0" "--epochs=0" "--batch=0" "--rate=0" "--rate=-1" "--rate=nan" "--clip=-1" \
		"--beta1=1" "--every=0" "--every=x" "--recipe=best" "--select=threshold" "--warmup=-1" "--warmup=1000" \
		"--aux-weight=1" "--metrics-every=0" "--seed=x" "--dictionary=none" "--delta=-1" "--every=10x"
	do
		exits 64 train $wrong features.bs >out 2>err || { echo "$wrong"; cat err; exit 1; }
		test $(wc -l <err) -eq 2 && test ! -s out
	done
	refuse 64 "stdin. can be read once only" train --epochs=2 - <features.bs
	rm -f pipe && mkfifo pipe
	refuse 64 "pipe. can be read once only" train --epochs=2 pipe
'
ok 'a full disk: of the model, of the checkpoint, of the metrics' '
	exits 74 train --epochs=1 features.bs 2>err >/dev/full && says "stdout|full|space" err
	refuse 74 "space" train --epochs=1 --metrics=/dev/full features.bs
	refuse 74 "space" train --epochs=1 --checkpoint=/dev/full --every=1 features.bs
	refuse 74 "no/such" train --epochs=1 --checkpoint=no/such/place --every=1 features.bs
	refuse 74 "no/such" train --epochs=1 -o no/such/place features.bs
	exits 74 train --epochs=1 features.bs 2>err >&-
'
ok 'an old model stays until the new one is whole' '
	echo old >old && exits 65 train -o old nan.safetensors 2>err && test "$(cat old)" = old
	exits 75 train --epochs=1000000 --time-limit=1 -o old features.bs 2>err && test "$(cat old)" = old
	ls | grep tmp && exit 1
	true
'
ok 'no GPU: 69' '
	exits 69 train --device=cuda features.bs 2>err >out
'
finish
