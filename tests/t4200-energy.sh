#!/bin/sh
# bs-energy: what it writes, parts and threads, what it refuses.
. "${0%/*}/lib.sh"

cp "$BS_SRC"/tests/golden/energy/*.bs .
refuse () {
	t_code=$1 t_line=$2
	shift 2
	exits $t_code "$@" >out.bs 2>err
	says "$t_line" err
	rc=0; bs-cat --verify out.bs 2>/dev/null || rc=$?; test $rc -eq 65
}

ok 'tables, a contrast, the null and a record a pair; a word about what has no partner' '
	bs-energy real.bs a.bs b.bs -o energy.bs 2>err
	test $(wc -l <err) -eq 2 && grep -q ".a.: 21 pairs; left out: 3 real and 2 generated" err
	bs-cat --verify energy.bs
	bs-cat -j energy.bs | grep -o "\"table\": *\"[a-z]*\"" | sort | uniq -c | tr -s " " >tables
	bs-cat -l energy.bs | cut -f 1 | head -n 4 | tr "\n" " " | grep -qx "a b a/b null "
	bs-cat -l --where=table=pair energy.bs | grep -c . | grep -qx 24
	bs-cat -j --where=table=pair energy.bs | head -n 1 | grep -q "picture set/000"
	bs-cat -H energy.bs | grep -q "only_gen.*:2.*only_real.*:3.*pairs.*:21"
'
ok 'quietly with -q' '
	bs-energy -q real.bs a.bs b.bs 2>err | cmp - energy.bs
	test ! -s err
'
ok 'any threads, any order of records, any segments: the same bytes' '
	for n in 1 2 5
	do
		bs-energy -q -T $n real.bs a.bs b.bs | cmp - energy.bs
	done
	bs-cat --slice=12: real.bs -o tail.bs && bs-cat --slice=:12 real.bs -o head.bs
	cat tail.bs head.bs >turned.bs
	bs-energy -q --no-provenance turned.bs a.bs b.bs >got
	bs-energy -q --no-provenance real.bs a.bs b.bs | cmp - got
'
ok 'parts by key, by stream and by hand, merged in any order: the same bytes' '
	bs-energy -q --no-provenance real.bs a.bs b.bs -o want.bs
	for i in 0 1 2
	do
		bs-energy --partial --shard=$i/3 real.bs a.bs b.bs -o part$i.bs 2>err
		test ! -s err
	done
	bs-energy -q --no-provenance --merge part0.bs part1.bs part2.bs | cmp - want.bs
	cat part2.bs part0.bs part1.bs | bs-energy -q --no-provenance --merge -T 1 | cmp - want.bs
	bs-energy -q --no-provenance --partial real.bs a.bs b.bs | bs-energy -q --no-provenance --merge - | cmp - want.bs
'
ok 'parts that do not go together: 65' '
	bs-energy --partial --pool=max real.bs a.bs b.bs -o max.bs
	refuse 65 "is pooled by max over all, not by sum" bs-energy --merge part0.bs max.bs
	bs-energy --partial --label=x,y real.bs a.bs b.bs -o named.bs
	refuse 65 "models" bs-energy --merge part0.bs named.bs
	refuse 65 "key .set/.*. comes twice" bs-energy --merge part0.bs part0.bs
	refuse 65 "no partial energies" bs-energy --merge energy.bs
	refuse 65 "no partial energies" bs-energy --merge real.bs
	refuse 65 "kind .energy., not .code." bs-energy real.bs part0.bs
'
ok 'the seed changes flips, not energies' '
	bs-energy -q --seed=7 real.bs a.bs -o seven.bs && bs-energy -q real.bs a.bs -o none.bs
	! cmp -s seven.bs none.bs
	bs-cat -t --key=a seven.bs | sed -n "/ real /,/^#/p" >x
	bs-cat -t --key=a none.bs | sed -n "/ real /,/^#/p" | cmp - x
'
ok 'intervals, forms and pools are those that the head says' '
	bs-energy -q --form=raw -t 2 --interval=bootstrap --confidence=0.9 --scope=patch --pool=mean real.bs a.bs -o other.bs
	bs-cat -H other.bs >head
	for said in "form.*raw" "interval.*bootstrap" "pool.*mean" "scope.*patch" "temperature.*2"
	do
		grep -q "\"$said" head || { echo "$said"; exit 1; }
	done
	bs-energy -q --preset=def real.bs a.bs | bs-cat -H | grep -q "\"form\": *\"raw\""
'
ok 'labels: those of the files, made distinct, or those given' '
	cp a.bs "od d.codes.bs"
	bs-energy -q real.bs "od d.codes.bs" a.bs ./a.bs | bs-cat -l | cut -f 1 | head -n 3 | tr "\n" " " | grep -qx "od_d a a-2 "
	bs-energy -q --label=x-1,y real.bs a.bs b.bs | bs-cat -l | cut -f 1 | head -n 2 | tr "\n" " " | grep -qx "x-1 y "
'
ok 'misuse: 64, one line and the usage' '
	for wrong in "real.bs" "" "--label=x real.bs a.bs b.bs" "--label=x,x real.bs a.bs b.bs" "--label=a/b real.bs a.bs" \
		"--label=x,y,z real.bs a.bs b.bs" "-t 0 real.bs a.bs" "-t -1 real.bs a.bs" "--confidence=1 real.bs a.bs" \
		"--pool=median real.bs a.bs" "--merge --partial a.bs" "--merge --label=x a.bs" "--permutations=0 real.bs a.bs" \
		"--shard=3/3 real.bs a.bs" "--top=0 real.bs a.bs"
	do
		exits 64 bs-energy $wrong >out.bs 2>err || { echo "$wrong"; exit 1; }
		test $(wc -l <err) -eq 2 && test ! -s out.bs
	done
'
ok 'nothing to pair, a key twice, other codes: 65' '
	bs-cat --key=extra/1,extra/2 a.bs -o extra.bs
	refuse 65 "none of its 2 keys is among the 24 real ones" bs-energy real.bs extra.bs
	cat a.bs a.bs >twice.bs
	refuse 65 "twice.bs.: record .*: key .* comes twice" bs-energy real.bs twice.bs
	cp "$BS_SRC"/tests/golden/rank/real.codes.bs other.bs
	refuse 65 "other.bs.: codes of [0-9]+ concepts beside codes of 50" bs-energy real.bs other.bs
	bs-fetch "$BS_SRC/tests/sample" -o images.bs
	refuse 65 "kind .image., not .code." bs-energy real.bs images.bs
	refuse 66 "nowhere.bs" bs-energy real.bs nowhere.bs
'
ok 'a stream cut anywhere, a flipped bit: 65' '
	size=$(wc -c <a.bs)
	for at in 0 1 9 200 $((size / 2)) $((size - 1))
	do
		head -c $at a.bs >cut.bs
		refuse 65 "^bs-energy: cannot read .cut.bs" bs-energy real.bs cut.bs
	done
	for at in 9 300 $((size / 2)) $((size - 30))
	do
		cp a.bs flip.bs
		printf "\\252" | dd of=flip.bs bs=1 seek=$at conv=notrunc 2>/dev/null
		cmp -s a.bs flip.bs || refuse 65 "^bs-energy: cannot read .flip.bs" bs-energy real.bs flip.bs
	done
'
ok 'a full disk, an old output that stays' '
	exits 74 bs-energy -q real.bs a.bs >/dev/full 2>err
	echo old >out && head -c 900 a.bs >cut.bs
	exits 65 bs-energy -o out real.bs cut.bs 2>err
	test "$(cat out)" = old
'
ok 'SIGTERM while reading: 75, and nothing is written' '
	mkfifo pipe
	bs-energy real.bs pipe -o late.bs 2>err & pid=$!
	exec 4>pipe
	head -c 500 a.bs >&4
	sleep 1
	kill -TERM $pid
	exits 75 wait $pid
	exec 4>&-
	says "SIGTERM" err && test ! -e late.bs
'
finish
