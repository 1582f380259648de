#!/bin/sh
# bs-cooc: what it writes, lists against those that NumPy and SciPy give
# (tests/golden/make-cooc.py), parts, memory and threads, what it refuses.
. "${0%/*}/lib.sh"

golden=$BS_SRC/tests/golden/cooc
cp "$golden"/*.bs .
options='--support=2 --partners=5 --changes=20 --vectors=10 --tau=0,1e-3,3e-3,0.01,0.03,0.1,0.3,1'
bs-cooc -q $options real.bs gen.bs -o cooc.bs

refuse () {
	t_code=$1 t_line=$2
	shift 2
	exits $t_code "$@" >out.bs 2>err
	says "$t_line" err
	rc=0; bs-cat --verify out.bs 2>/dev/null || rc=$?; test $rc -eq 65
}
cat >near.awk <<'EOT'
BEGIN { FS = "\t" }
NR == FNR { want[n = FNR] = $0; next }
{
	if (split(want[FNR], w) != NF) { print "line " FNR ": " $0; bad = 1 }
	for (i = 1; i <= NF; i++) {
		far = $i - w[i]; far = far < 0 ? -far : far
		if ($i != w[i] && ($i !~ /^[-+.e0-9]+$/ || !(far <= 1e-9))) {
			print "line " FNR ": " $i ", wanted " w[i]; bad = 1
		}
	}
}
END { if (FNR != n) { print FNR " lines, wanted " n; bad = 1 } exit bad }
EOT
# lists TABLE [COLUMNS]: the list is the golden one, of so many columns, numbers to 1e-9
lists () {
	bs-cooc --list=$1 cooc.bs | cut -f ${2:-1-} >got.tsv
	awk -f near.awk "$golden/$1.tsv" got.tsv
}

ok 'a word about what has no partner; records in their order' '
	bs-cooc $options real.bs gen.bs -o again.bs 2>err
	cmp again.bs cooc.bs
	test $(wc -l <err) -eq 2 && grep -q ".real.: 28 records; left out: 2 without a partner" err
	bs-cat --verify cooc.bs
	bs-cat -l cooc.bs | cut -f 1 >keys
	for s in real gen; do echo $s/matrix/00000000; done >want
	for s in real gen
	do
		printf "$s/%s\n" concept curve partners/cosine partners/count partners/lift partners/jaccard
		test $s = real || printf "$s/%s\n" lost gained
		echo $s/spectrum
		test $s = real || echo $s/alignment
	done >>want
	diff want keys
	bs-cat -H cooc.bs | grep -q "streams.*real.*gen"
'
ok 'one stream, from a pipe: all records count' '
	bs-cooc - <real.bs 2>err | bs-cat -l | cut -f 1 | grep -c "^codes/" | grep -qx 8
	test ! -s err
'
for table in partners curve changes alignment
do
	ok "the list of $table, as NumPy and SciPy have it" 'lists $table'
done
ok 'the list of the spectrum, and residuals' '
	lists spectrum 1-4
	bs-cooc -l spectrum cooc.bs | tail -n +2 | awk "!(\$5 >= 0 && \$5 <= 2e-9 * \$3) { exit 1 }"
'
ok 'lists by another measure, of some streams, concepts, lines, in other formats' '
	bs-cooc -l partners --by=lift -m gen -n 1 cooc.bs >lift
	test $(cut -f 1 lift | sort -u | wc -l) -eq 2
	test $(cut -f 3 lift | sort -u | wc -l) -eq 2
	bs-cooc -l partners --by=count -m real -n 2 --concepts=3,5 cooc.bs | cut -f 2 | sort -u | wc -l | grep -qx 3
	bs-cooc -l changes --concepts=3 cooc.bs | tail -n +2 | awk "\$4 != 3 && \$5 != 3 { exit 1 }"
	bs-cooc -l concepts -n 3 -f jsonl cooc.bs | grep -c "^{\"stream\":\"[a-z]*\",\"concept\":[0-2]," | grep -qx 6
	bs-cooc -l alignment -f table <cooc.bs | head -n 1 | grep -q "^stream  rank  "
	bs-cooc -l curve -o curve.tsv cooc.bs && bs-cooc -l curve cooc.bs | cmp - curve.tsv
'
ok 'any threads, order of records, segments, memory: the same bytes' '
	for n in 1 2 5
	do
		bs-cooc -q -T $n $options real.bs gen.bs | cmp - cooc.bs
	done
	bs-cooc -q --memory=1500K $options real.bs gen.bs | cmp - cooc.bs
	bs-cooc -q --no-provenance $options real.bs gen.bs -o want.bs
	bs-cat --slice=9: real.bs -o tail.bs && bs-cat --slice=:9 real.bs -o head.bs
	cat tail.bs head.bs >turned.bs
	bs-cooc -q --no-provenance --label=real,gen $options turned.bs gen.bs | cmp - want.bs
'
ok 'parts by key, merged in any order: the same bytes' '
	for g in token image
	do
		bs-cooc -q --no-provenance -g $g $options real.bs gen.bs -o want.bs
		for i in 0 1 2
		do
			bs-cooc --partial -g $g --shard=$i/3 real.bs gen.bs -o part$i.bs 2>err
			test ! -s err
		done
		bs-cooc -q --no-provenance -g $g --merge $options part0.bs part1.bs part2.bs | cmp - want.bs
		cat part2.bs part0.bs part1.bs | bs-cooc -q --no-provenance --merge $options -T 1 | cmp - want.bs
	done
	bs-cooc --partial --shard=0/1000 real.bs gen.bs -o empty.bs
	bs-cooc -q --no-provenance -g token $options real.bs gen.bs -o want.bs
	bs-cooc --partial real.bs gen.bs | bs-cooc -q --no-provenance --merge $options empty.bs - | cmp - want.bs
'
ok 'parts that do not go together: 65' '
	bs-cooc --partial real.bs gen.bs -o part.bs
	bs-cooc --partial -g image --pool=max real.bs gen.bs -o max.bs
	refuse 65 "max.bs.: is of images, all, by max, not of tokens, all, by sum" bs-cooc --merge part.bs max.bs
	bs-cooc --partial --label=x,y real.bs gen.bs -o named.bs
	refuse 65 "named.bs.: its streams" bs-cooc --merge part.bs named.bs
	refuse 65 "part.bs.: record .*: key .set/.*. comes twice" bs-cooc --merge part.bs part.bs
	refuse 65 "holds no part" bs-cooc --merge cooc.bs
	refuse 65 "holds no part" bs-cooc --merge real.bs
	refuse 65 "kind .cooc., not .code." bs-cooc real.bs part.bs
	refuse 65 "no record to count" bs-cooc --merge empty.bs
'
ok 'parts that are wrong inside: 65' '
	for bad in order:"out of order" range:"out of order or range" len:"2 of 3 entries" empty:"row 1: 0 entries" \
		long:"row 1: 2 entries" rows:"3 rows of 2 tokens" set:"set .2.: too large" tokens:"tokens .0.: too small" \
		pool:"no known .pool." streams:"are not labels"
	do
		refuse 65 "bad-part-${bad%%:*}.bs.: .*${bad#*:}" bs-cooc --merge bad-part-${bad%%:*}.bs
	done
'
ok 'rows, scope, pool and thresholds are those that the head says' '
	bs-cooc -q -g image --scope=patch --pool=max --curve=cosine --unpaired real.bs gen.bs -o other.bs
	bs-cat -H other.bs >head
	for said in "granularity.*image" "scope.*patch" "pool.*max" "curve.*cosine" "paired.*0"
	do
		grep -q "\"$said" head || { echo "$said"; exit 1; }
	done
	bs-cat -j --key=real/concept other.bs | grep -q "\"rows\": *\"30\""
	bs-cooc -q --tau=0,1e-3:1:4,2 real.bs | bs-cooc -l curve | cut -f 2 | tr "\n" " " >taus
	grep -qE "^tau 0 0.001 0.0(1|09999+[0-9]*|10000+[0-9]) 0.(1|09999+[0-9]*|10000+[0-9]) 1 2 $" taus || { cat taus; exit 1; }
'
ok 'without matrices, vectors, partners, changes; a matrix of frequent pairs' '
	bs-cooc -q --no-matrix --vectors=0 --partners=0 --changes=0 real.bs gen.bs | bs-cat -l | cut -f 1 | tr "\n" " " |
		grep -qx "real/concept real/curve gen/concept gen/curve "
	bs-cooc -q --min-count=9 real.bs | bs-cat -t --key=real/matrix/00000000 | grep -A 1 "count:U32" | tail -n 1 |
		tr "\t" "\n" >counts
	test $(wc -l <counts) -eq 35 && test $(sort -n counts | head -n 1) -eq 9
'
ok 'four million concepts' '
	bs-cooc -q --vectors=0 --partners=0 many.bs >many.cooc.bs && bs-cat --verify many.cooc.bs
	bs-cooc -l concepts --concepts=7,4194303 many.cooc.bs | tail -n +2 | cut -f 2-5 | tr "\t" " " >got
	printf "%s\n" "7 1 1 1" "4194303 1 2 4" | diff - got
'
ok 'misuse: 64, one line and the usage' '
	for wrong in "--label=x real.bs gen.bs" "--label=x,x real.bs gen.bs" "--label=a/b real.bs" "--tau=1,1 real.bs" "--tau=x real.bs" \
		"--tau=-1 real.bs" "--tau=1:2 real.bs" "--tau=0:1:5 real.bs" "--tau=1:2:1 real.bs" "--tau=1:2:3:4 real.bs" "--tau=1, real.bs" \
		"--tau=1:2:1001 real.bs" "--pool=max real.bs" "--pool=mean -g image real.bs" "--merge --partial part.bs" \
		"--merge --label=x part.bs" "--list=curve --merge cooc.bs" "--list=curve cooc.bs cooc.bs" "--list=x cooc.bs" \
		"--tolerance=0 real.bs" "--tolerance=1 real.bs" "--support=0 real.bs" "--partners=101 real.bs" "--shard=3/3 real.bs"
	do
		exits 64 bs-cooc $wrong >out.bs 2>err || { echo "$wrong"; exit 1; }
		test $(wc -l <err) -eq 2 && test ! -s out.bs
	done
'
ok 'nothing to pair, a key twice, other codes, no codes: 65 or 66' '
	bs-cat --key=extra/1 gen.bs -o extra.bs
	refuse 65 "no key is in all 2 inputs" bs-cooc real.bs extra.bs
	bs-cooc -q --unpaired real.bs extra.bs >unpaired.bs && bs-cat --verify unpaired.bs
	cat gen.bs gen.bs >twice.bs
	refuse 65 "twice.bs.: record .*: key .* comes twice" bs-cooc real.bs twice.bs
	rank=$BS_SRC/tests/golden/rank
	refuse 65 "other-concepts.codes.bs.: codes of [0-9]+ concepts beside codes of" bs-cooc "$rank/real.codes.bs" "$rank/other-concepts.codes.bs"
	refuse 65 "other-dictionary.codes.bs.: codes of another dictionary" bs-cooc "$rank/real.codes.bs" "$rank/other-dictionary.codes.bs"
	bs-fetch "$BS_SRC/tests/sample" -o images.bs
	refuse 65 "images.bs.: .*kind .image., not .code." bs-cooc real.bs images.bs
	refuse 66 "nowhere.bs" bs-cooc real.bs nowhere.bs
'
ok 'values that are no numbers, or too large: 65' '
	refuse 65 "bad-nan.bs.: record .set/000.: token 1: value nan is not" bs-cooc real.bs bad-nan.bs
	refuse 65 "bad-infinite.bs.: record .set/000.: token 0: value inf is not" bs-cooc bad-infinite.bs
	refuse 65 "bad-large.bs.: record .set/000.: token 1: value 65536 is too large" bs-cooc bad-large.bs
	refuse 65 "bad-sum.bs.: record .set/000.: concept 3: its energy 80000 is too large" bs-cooc -g image bad-sum.bs
	bs-cooc -q bad-sum.bs | bs-cooc -l concepts --concepts=3 | tail -n 1 | grep -qx "bad-sum	3	2	40000	1600000000"
'
ok 'a stream cut anywhere, a flipped bit: 65' '
	size=$(wc -c <gen.bs)
	for at in 0 1 9 200 $((size / 2)) $((size - 1))
	do
		head -c $at gen.bs >cut.bs
		refuse 65 "^bs-cooc: cannot read .cut.bs" bs-cooc real.bs cut.bs
	done
	for at in 9 300 $((size / 2)) $((size - 30))
	do
		cp gen.bs flip.bs
		printf "\\252" | dd of=flip.bs bs=1 seek=$at conv=notrunc 2>/dev/null
		cmp -s gen.bs flip.bs || refuse 65 "^bs-cooc: cannot read .flip.bs" bs-cooc real.bs flip.bs
	done
'
ok 'lists of what is no result: one line' '
	exits 65 bs-cooc -l curve real.bs >out 2>err && says "real.bs.: is no result of bs-cooc but of kind .code." err
	exits 65 bs-cooc -l curve part.bs >out 2>err && says "a part" err
	exits 65 bs-cooc -l curve -m nobody cooc.bs >out 2>err && says "has no stream .nobody." err
	exits 64 bs-cooc -l partners --concepts=24 cooc.bs >out 2>err && says "no concept of 0 to 23" err
	head -c 3000 cooc.bs >cut.bs && exits 65 bs-cooc -l curve cut.bs >out 2>err && says "cannot read .cut.bs" err
	exits 66 bs-cooc -l curve nowhere.bs >out 2>err
	exits 74 bs-cooc -l curve cooc.bs >/dev/full 2>err
'
ok 'lists of results that are wrong inside: 65' '
	for bad in partner:"concept 0: partner 3 of 3" shape:".sum. and .idx. differ in shape" stream:"its table and stream" \
		concepts:"the concepts of .real. are not there" fires:".fires. is not U64 .n." rows:"does not say .rows."
	do
		exits 65 bs-cooc -l partners bad-list-${bad%%:*}.bs >out 2>err
		says "bad-list-${bad%%:*}.bs.: record .real/.*: .*${bad#*:}" err
	done
'
ok 'a full disk, an old output that stays, memory that is too little' '
	exits 74 bs-cooc -q real.bs gen.bs >/dev/full 2>err && says "cannot write" err
	echo old >out && head -c 900 gen.bs >cut.bs
	exits 65 bs-cooc -o out real.bs cut.bs 2>err
	test "$(cat out)" = old
	refuse 71 "10 eigenvectors of 4194304 concepts need [0-9]+ MiB more than" bs-cooc --partners=0 --vectors=10 many.bs
	refuse 64 "100 eigenvectors of 4194304 concepts are more than a record holds: .--vectors. can be 31" bs-cooc many.bs
	refuse 64 "10 partners of 4194304 concepts are more than a record holds: .--partners. can be 7" bs-cooc --vectors=0 many.bs
	TMPDIR=/nowhere exits 74 bs-cooc -q --memory=1M real.bs >out 2>err && says "cannot create a file in ./nowhere." err
'
ok 'input that ended early: 75, but for --allow-partial' '
	refuse 75 "early.bs.: partial: ended early after 9 records" bs-cooc real.bs early.bs
	bs-cooc --allow-partial real.bs early.bs >out 2>err
	bs-cat -j --key=early/concept out | grep -q "\"records\": *\"9\""
'
ok 'SIGTERM while reading: 75, and nothing is written' '
	mkfifo pipe
	bs-cooc real.bs pipe -o late.bs 2>err & pid=$!
	exec 4>pipe
	head -c 500 gen.bs >&4
	sleep 1
	kill -TERM $pid
	exits 75 wait $pid
	exec 4>&-
	says "SIGTERM" err && test ! -e late.bs
'
finish
