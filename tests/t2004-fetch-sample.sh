#!/bin/sh
# bs-fetch: samples, shards, limits; the same whatever the source and the threads.
. "${0%/*}/lib.sh"

keys () { zstd -dcq "$1" | grep -ao '{"__metadata__":{[^}]*}' | sed -n 's/.*"key":"\([^"]*\)".*/\1/p'; }

mkdir all
for i in $(seq -w 0 39); do cp "$BS_SRC/tests/sample/textiles/plaid.png" all/$i.png; done
for i in $(seq -w 0 3 39); do echo bad >all/$i.bad.png; done
bs-fetch all >whole.bs 2>err
tar --sort=name -C all -cf all.tar . && (cd all && ls) >all/list.txt

ok 'a sample has as many images as asked for, whatever fails' '
	bs-fetch --sample=12 --seed=1 --log=log all >o.bs 2>err && test $(keys o.bs | wc -l) -eq 12
	says "warning: [0-9]+ candidates: 12 ok, [0-9]+ not_image" err
	test $(keys o.bs | sort -u | wc -l) -eq 12
	test $(wc -l <log) -lt 30
'
ok 'the same seed gives the same sample, another seed another' '
	for t in 1 2 3; do bs-fetch -T $t --sample=12 --seed=1 --log=log$t all 2>err | cmp - o.bs; done
	cmp log log1 && cmp log log3
	bs-fetch --sample=12 --seed=2 all >p.bs 2>err && ! cmp -s o.bs p.bs
'
ok 'a smaller sample is part of a larger one' '
	bs-fetch --sample=5 --seed=1 all >s.bs 2>err && keys s.bs | sort >s && keys o.bs | sort >o
	test $(wc -l <s) -eq 5 && test -z "$(comm -23 s o)"
'
ok 'folder, archive, list, pipe: the same sample' '
	for source in all.tar all/list.txt
	do
		bs-fetch --sample=12 --seed=1 $source 2>err >q.bs && keys o.bs >want && keys q.bs | cmp - want
	done
	cat all.tar | bs-fetch --sample=12 --seed=1 - 2>err >q.bs && keys q.bs | cmp - want
	gzip -c all.tar | bs-fetch --sample=12 --seed=1 - 2>err >q.bs && keys q.bs | cmp - want
	(cd all && cat list.txt | bs-fetch --sample=12 --seed=1 - 2>../err >../q.bs) && keys q.bs | cmp - want
	bs-fetch --sample=12 --seed=1 - <all.tar 2>err >q.bs && keys q.bs | cmp - want
'
ok 'a temporary file that cannot be is 74' '
	cat all.tar | { TMPDIR=/nowhere exits 74 bs-fetch --sample=2 - >q.bs 2>err; }
	says "cannot make a temporary file in ./nowhere." err
'
ok 'a sample of more than there is takes all and says so' '
	bs-fetch --sample=100 all >q.bs 2>err && says "; a sample of 100 was asked for$" err
	keys q.bs >got && keys whole.bs | cmp - got
'
ok '--limit ends whole, after so many images' '
	bs-fetch --limit=7 --log=log all >q.bs 2>err && test $(keys q.bs | wc -l) -eq 7
	keys whole.bs | head -n 7 >want && keys q.bs | cmp - want
	test "$(tail -n 1 log | grep -c "\"ok\"")" -eq 1
	zstd -dcq q.bs | grep -aq "\"bs.records\":\"7\"" && ! zstd -dcq q.bs | grep -a partial
	bs-fetch -n 0 all >q.bs && zstd -dcq q.bs | grep -aq "\"bs.records\":\"0\""
'
ok 'shards are disjoint and complete, keys do not depend on them' '
	for i in 0 1 2; do bs-fetch --shard=$i/3 all >$i.bs 2>err && keys $i.bs; done | sort >got
	keys whole.bs | sort | cmp - got
	test $(keys 0.bs | wc -l) -gt 4 && test $(keys 1.bs | wc -l) -gt 4
	SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=3 bs-fetch --shard=auto all 2>err | cmp - 1.bs
	bs-fetch --shard=1/3 --sample=3 all >q.bs 2>err && test $(keys q.bs | wc -l) -eq 3
	keys 1.bs | sort >one && test -z "$(keys q.bs | sort | comm -23 - one)"
'
ok 'duplicates do not count as successes of a sample' '
	mkdir two && cp all/00.png two/a.png && cp all/00.png two/b.png
	cp "$BS_SRC/tests/sample/town/houses.png" two/c.png
	bs-fetch --sample=2 --dedupe two >q.bs 2>err && test $(keys q.bs | wc -l) -eq 2 && keys q.bs | grep -q c
'
finish
