#!/bin/sh
# bs-cat: what it shows, selects and combines.
. "${0%/*}/lib.sh"

npy=$BS_SRC/tests/golden/npy wds=$BS_SRC/tests/golden/wds
bs-cat "$npy/features.npy" >f.bs && bs-cat "$wds/webdataset.tar" >w.bs || exit 1
cat f.bs w.bs >two.bs

# keys [ARGUMENT...]: the keys that bs-cat passes, on a line.
keys () { bs-cat -l "$@" | cut -f 1 | tr "\n" " " | sed "s/ $//"; }
# head_of FILE NAME: a value of its heads or ends, as bs-cat -H shows it.
head_of () { bs-cat -H "$1" | sed -n "s/^ *\"$2\": \(.*[^},]\)[},]*$/\1/p"; }

ok 'a copy is the same bytes, from a file, a pipe and twice over' '
	bs-cat f.bs | cmp - f.bs && bs-cat <w.bs | cmp - w.bs
	cat f.bs | bs-cat | bs-cat - | cmp - f.bs
	bs-cat -o o.bs w.bs && cmp o.bs w.bs
'
ok 'several inputs: a segment each, one stream' '
	bs-cat f.bs w.bs | cmp - two.bs && bs-cat two.bs | cmp - two.bs
	bs-cat - w.bs <f.bs | cmp - two.bs
	test $(bs-cat -H two.bs | grep -c bs.hash) -eq 2
'
ok 'nothing on stderr, and -v says what was done' '
	bs-cat f.bs >o 2>err && test ! -s err
	bs-cat -v f.bs 2>err >o && grep -q "^bs-cat: 20 records read, 20 written" err
'
ok '--list: a line a record, tensors with type and shape' '
	bs-cat -l f.bs w.bs >got && test $(wc -l <got) -eq 23
	test "$(sed -n 3p got)" = "$(printf "000002\tx:F32[3,4]")"
	sed -n 21p got | grep -qE "^000/000000	emb:F32\[4\]	jpg:U8\[[0-9]+\]$"
'
ok '--jsonl: all metadata, key first' '
	bs-cat -j w.bs >got && test $(wc -l <got) -eq 3
	grep -qF "{\"key\":\"000/000001\",\"caption\":\"caption 1\",\"cls\":\"1\",\"tags\":" got
	grep -qF "\"url\":\"http://example.org/1\",\"width\":\"4\"}" got && ! grep none got
'
ok '--head: a JSON object a segment, with the end and its content id' '
	bs-cat -H two.bs >got && test $(grep -c "^{\"head\": {$" got) -eq 2
	grep -q "\"bs.kind\": \"feature\"" got && grep -q "\"bs.records\": \"20\"" got
	grep -qE "\"bs.hash\": \"[0-9a-f]{16}\"" got
'
ok '--text: every value, the last dimension on a line' '
	bs-cat -t "$npy/u1.npy" "$npy/f2.npy" "$npy/rank1.npy" >got
	test "$(sed -n 1p got)" = "$(printf "u1\tx:U8[2,3]")"
	test $(wc -l <got) -eq 8 && test "$(sed -n 8p got)" = "$(printf "0\t1")"
	bs-cat -t f.bs >got && test $(wc -l <got) -eq 80
	awk -F"\t" "NR % 4 != 1 && NF != 4 { exit 1 }" got
'
ok '--verify: silent, and says it with the status' '
	bs-cat --verify f.bs w.bs >out 2>err && test ! -s out && test ! -s err
	head -c 700 f.bs >cut && exits 65 bs-cat --verify cut 2>err && says "cannot read .cut.: truncated" err
'
ok '--slice: positions in the whole input' '
	test "$(keys --slice 2:4 f.bs)" = "000002 000003"
	test "$(keys --slice :1 f.bs)" = 000000 && test "$(keys --slice 19: f.bs)" = 000019
	test "$(keys --slice 19:21 f.bs w.bs)" = "000019 000/000000"
	test "$(keys --slice 5:5 f.bs)" = "" && test "$(keys --slice 30: f.bs)" = ""
	for s in 4:2 a:b 1 : -1:2 1:2:3 1:x; do exits 64 bs-cat --slice=$s f.bs 2>err || return 1; done
'
ok '--limit: the first so many, and the rest is not read' '
	test "$(keys -n 2 f.bs)" = "000000 000001" && test "$(keys -n 0 f.bs)" = ""
	head -c $(($(wc -c <f.bs) - 9)) f.bs >cut && test "$(keys -n 2 cut)" = "000000 000001"
	test "$(keys -n 21 f.bs w.bs | wc -w)" -eq 21
	bs-cat -n 0 f.bs | bs-cat -l >got && test ! -s got
'
ok '--key and --keys: these and no others; absent ones are told' '
	test "$(keys --key 000007,000003 f.bs 2>err)" = "000003 000007" && test ! -s err
	printf "000001\r\n\n000002\n" >list && test "$(keys --keys list f.bs)" = "000001 000002"
	test "$(keys --keys list --key 000005 f.bs)" = "000001 000002 000005"
	bs-cat --key 000001,nope f.bs 2>err >o && says "warning: 1 keys that were asked for" err
	exits 64 bs-cat --key= f.bs 2>err
	exits 65 bs-cat --key "a b" f.bs 2>err && says "is no key" err
	exits 66 bs-cat --keys nowhere f.bs 2>err
'
ok '--where: metadata that is equal' '
	test "$(keys --where cls=1 w.bs)" = 000/000001 && test "$(keys --where cls= w.bs)" = ""
	test "$(keys --where key=000/000002 w.bs)" = 000/000002
	exits 64 bs-cat --where cls w.bs 2>err && exits 64 bs-cat --where =1 w.bs 2>err
'
ok '--shard: every record in one part' '
	for i in 0 1 2; do bs-cat -l --shard $i/3 f.bs; done | sort >got
	bs-cat -l f.bs | sort | cmp - got
	SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=3 bs-cat --shard auto f.bs >a
	bs-cat --shard 1/3 f.bs | cmp - a
'
ok '--sample: so many, by seed, in the order of the input' '
	bs-cat -l --sample 5 --seed 3 f.bs >a && test $(wc -l <a) -eq 5 && sort -c a
	bs-cat -l --sample 5 --seed 3 <f.bs | cmp - a
	bs-cat -l --sample 5 --seed 4 f.bs >b && ! cmp -s a b
	test "$(keys --sample 100 f.bs | wc -w)" -eq 20 && test "$(keys --sample 0 f.bs)" = ""
'
ok '--sample: of samples of the parts is that of the whole' '
	for i in 0 1 2; do bs-cat --shard $i/3 f.bs | bs-cat --sample 4 --seed 9 >s$i.bs; done
	bs-cat -l --sample 4 --seed 9 s0.bs s1.bs s2.bs | sort >got
	bs-cat -l --sample 4 --seed 9 f.bs | cmp - got
'
ok '--sample: from several segments, each with its own' '
	bs-cat --sample 10 --seed 1 two.bs >o && test $(bs-cat -H o | grep -c "\"bs.hash\"") -eq 2
	test $(bs-cat -l o | wc -l) -eq 10
	bs-cat --sample 10 --seed 1 -n 3 two.bs | bs-cat -l | wc -l | grep -qx 3
'
ok '--merge: one segment, with all its parents' '
	bs-cat --slice :10 f.bs >a.bs && bs-cat --slice 10: f.bs >b.bs
	bs-cat --merge a.bs b.bs >m.bs && test $(bs-cat -H m.bs | grep -c "\"bs.hash\"") -eq 1
	bs-cat -t m.bs >got && bs-cat -t f.bs | cmp - got
	for p in a.bs b.bs; do bs-cat -H m.bs | grep -qF "\"hash\":$(head_of $p bs.hash | head -n 1)" || return 1; done
'
ok '--merge: a key twice is an error, or the first one counts' '
	exits 65 bs-cat --merge f.bs a.bs >o 2>err && says "cannot use .a.bs.: key .000000. comes twice in the merge" err
	bs-cat --merge --duplicates first a.bs f.bs 2>err >o && says "left out: 10 records whose key came before" err
	bs-cat -t o >got && bs-cat -t f.bs | cmp - got
	exits 65 bs-cat --merge f.bs w.bs 2>err >o && says "cannot merge: .bs.kind. of the heads differs" err
'
ok '--join: what both have, with the metadata and tensors of both' '
	mkdir j && bs-cat "$npy/features.npy" -o j/x.bs
	bs-cat --slice 3:6 f.bs -o part.bs
	exits 65 bs-cat --join "$npy/rank3.npy" f.bs >o 2>err && says "key .000000.: tensor .x. differs, and no prefix" err
	bs-cat --join "$npy/rank3.npy" --prefix int. f.bs 2>err | bs-cat -l >got
	printf "000000\tx:F32[3,4]\tint.x:I16[2,2]\n000001\tx:F32[3,4]\tint.x:I16[2,2]\n" | cmp - got
	says "left out: 18 records without a partner in .*rank3.npy., 0 of its own" err
	bs-cat -q --join part.bs f.bs 2>err | bs-cat -t >got && test ! -s err
	bs-cat -t part.bs | cmp - got
'
ok '--join: differing metadata' '
	bs-cat --where cls=1 w.bs | bs-cat -f safetensors -o one.safetensors
	sed "s/caption 1/Caption!!/" one.safetensors >other.safetensors
	bs-cat --join one.safetensors --where cls=1 w.bs | bs-cat -j >got && bs-cat -j --where cls=1 w.bs | cmp - got
	exits 65 bs-cat --join other.safetensors --where cls=1 w.bs 2>err >o && says "metadata .caption. differs" err
	bs-cat --join other.safetensors --prefix gen. --where cls=1 w.bs | bs-cat -j | grep -q "\"gen.caption\":\"Caption!!"
'
ok '--join: a key that the second input has twice is an error' '
	cat part.bs part.bs >twice.bs
	exits 65 bs-cat --join twice.bs f.bs 2>err >o && says "cannot read .twice.bs.: key .000003. comes twice" err
'
ok '--split: by key, every record once, no part missing' '
	bs-cat --split 3 -o "p-%02d.bs" f.bs && ls p-*.bs | tr "\n" " " >names
	test "$(cat names)" = "p-00.bs p-01.bs p-02.bs "
	for i in 0 1 2; do bs-cat -l --shard $i/3 f.bs >want; bs-cat -l p-0$i.bs | cmp - want; done
	bs-cat --split 2 -o "t%d.tar" w.bs && bs-cat -l t0.tar t1.tar | sort >got && bs-cat -l w.bs | cmp - got
	for n in x.bs "%d%d" "%s" "%5d" "a%" "%0d"; do exits 64 bs-cat --split 2 -o "$n" f.bs 2>err || return 1; done
	exits 64 bs-cat --split 2 f.bs 2>err
'
ok '--split: a failure leaves no part' '
	head -c 900 f.bs >cut && exits 65 bs-cat --split 3 -o "q-%d.bs" cut 2>err
	test "$(ls | grep -c "^q-")" -eq 0
'
ok 'a copy keeps its content id, a selection names its parent' '
	id=$(head_of f.bs bs.hash)
	test "$(bs-cat f.bs | bs-cat -f wds | bs-cat -H | grep bs.hash)" = "$(bs-cat -H f.bs | grep bs.hash)"
	bs-cat --slice 2: f.bs | bs-cat -H >got && grep -qF "\"bs.parents\": [{\"hash\":$id" got
	grep -qF "\"bs.params\": {\"slice\":\"2:\"}" got && grep -q "\"bs.kind\": \"feature\"" got
'
ok '--no-provenance: only what the records are' '
	bs-cat --slice 2: f.bs | bs-cat --no-provenance | bs-cat -H >got
	! grep -E "bs.tool|bs.params|bs.parents" got && grep -q bs.kind got
'
ok 'the same output at every --level, and a smaller one' '
	bs-cat --level 19 w.bs >z && test $(wc -c <z) -lt $(wc -c <w.bs) && bs-cat z | cmp - w.bs
'
ok 'options that contradict each other are 64' '
	exits 64 bs-cat -l -j f.bs 2>err && exits 64 bs-cat -l -f wds f.bs 2>err
	exits 64 bs-cat --prefix x f.bs 2>err && exits 64 bs-cat --duplicates first f.bs 2>err
	exits 64 bs-cat --verify -o x f.bs 2>err && exits 64 bs-cat -f zip f.bs 2>err
	exits 64 bs-cat --seed x f.bs 2>err && exits 64 bs-cat --bf16-as f64 f.bs 2>err
'
finish
