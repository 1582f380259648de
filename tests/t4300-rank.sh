#!/bin/sh
# bs-rank: lists against those that the definitions give (tests/golden/make-rank.py),
# formats, columns, top images, contact sheets, bad input.
. "${0%/*}/lib.sh"

golden=$BS_SRC/tests/golden/rank
cp "$golden"/*.bs .

cat >near.awk <<'EOT'
BEGIN { FS = "\t" }
NR == FNR { want[n = FNR] = $0; next }
{
	if (split(want[FNR], w) != NF) { print "line " FNR ": " $0; bad = 1 }
	for (i = 1; i <= NF; i++) {
		far = $i - w[i]; far = far < 0 ? -far : far
		size = w[i] < 0 ? -w[i] : w[i]
		if ($i != w[i] && ($i !~ /^[-+.e0-9]+$/ || !(far <= 1e-9 * (size > 1e-3 ? size : 1e-3)))) {
			print "line " FNR ": " $i ", wanted " w[i]; bad = 1
		}
	}
}
END { if (FNR != n) { print FNR " lines, wanted " n; bad = 1 } exit bad }
EOT
# lists GOLDEN options...: bs-rank prints that table, numbers to 1e-9, its columns chosen
lists () {
	t_golden=$golden/$1.tsv; shift
	bs-rank --columns="$(head -n 1 "$t_golden" | tr '\t' ,)" "$@" >got.tsv
	awk -f near.awk "$t_golden" got.tsv
}
codes='--real-codes=real.codes.bs --gen-codes=gen.codes.bs'

ok 'suppressed concepts, of every model' '
	lists suppressed --suppressed energy.bs
	bs-rank --suppressed <energy.bs | cut -f 1,2 | diff "$golden/suppressed.tsv" -
'
ok 'exaggerated concepts with a limit of q' '
	lists exaggerated-q --exaggerated --max-q=0.01 energy.bs
'
ok 'universal concepts' 'lists universal --universal energy.bs'
ok 'model-specific concepts: equivalence, as SciPy and statsmodels have it' '
	lists specific --specific energy.bs
'
ok 'a wider margin finds what is known less well, a narrower one less' '
	bs-rank --specific --margin=0.45 energy.bs | cut -f 1,2 | grep -qx "3	sd15"
	test "$(bs-rank --specific --margin=0.001 energy.bs | wc -l)" -eq 1
'
ok 'divergent pairs, identical ones, those that a model lacks' '
	lists divergent --pairs=divergent -n 5 energy.bs
	bs-rank --pairs=identical --columns=l2 -m sd15 energy.bs | tail -n +2 >near
	bs-rank --pairs=divergent --columns=l2 -m sd15 energy.bs | tail -n +2 >far
	sort -g near | cmp - near && sort -gr far | cmp - far
	test "$(wc -l <near)" -eq 12
	bs-rank --pairs=divergent -m sd21 energy.bs | tail -n +2 >some
	test "$(wc -l <some)" -eq 11 && ! grep -q still-life/fruits some
'
ok 'correlations, as SciPy has them' '
	lists correlate --correlate energy.bs
	test "$(bs-rank --correlate -m sd21,sd15 energy.bs | wc -l)" -eq 2
	bs-rank --correlate --by=delta --columns=spearman energy.bs >delta
	bs-rank --correlate --columns=spearman energy.bs | cmp - delta
'
ok 'order: by raw, relative, q and number; -n; only some concepts' '
	bs-rank --by=concept -m sd15 --columns=concept energy.bs | tail -n +2 >got
	sort -n got | cmp - got
	test "$(wc -l <got)" -eq 12
	for by in raw relative
	do
		bs-rank --by=$by -m sd15 --columns="$(echo $by | cut -c 1-3)" energy.bs | tail -n +2 | tr -d - >got
		sort -gr got | cmp - got
	done
	bs-rank --by=q -m sd15 --columns=q energy.bs | tail -n +2 | grep -v nan >got
	sort -g got | cmp - got
	bs-rank -n 2 --concepts=9,5,2 -m sd21,sd15 --columns=model,concept energy.bs >got
	printf "model\tconcept\nsd15\t2\nsd15\t9\nsd21\t5\nsd21\t9\n" | diff - got
'
ok 'what fires in too few images is left out' '
	bs-rank --suppressed --min-images=2 --columns=concept energy.bs >got
	! grep -qx 8 got && grep -qx 0 got
'
ok 'thresholds; both sides; other q' '
	test "$(bs-rank --suppressed --below=0.08 energy.bs | wc -l)" -eq 3
	bs-rank --suppressed --exaggerated -m sd21 --columns=side energy.bs | sort | uniq -c >got
	grep -q "4 suppressed" got || cat got
	test "$(bs-rank --max-q=0.001 --fdr=by energy.bs | wc -l)" -le "$(bs-rank --max-q=0.001 energy.bs | wc -l)"
	bs-rank --max-q=0.001 --fdr=maxt --columns=p_max energy.bs | tail -n +2 | awk "\$1 > 0.001 { exit 1 }"
'
ok 'JSON lines are JSON, with null for what is not known' '
	bs-rank -f jsonl -m sd15 --concepts=7 energy.bs >got
	printf "%s\n" "{\"concept\":7,\"model\":\"sd15\",\"side\":\"\",\"real\":0,\"gen\":0,\"raw\":0,\"rel\":null,\"delta\":null,\"lo\":null,\"hi\":null,\"q\":null,\"real_images\":0,\"gen_images\":0}" | diff - got
	bs-rank -f jsonl --columns=p_eq,delta@sd21 --concepts=0 -m sd15 energy.bs | grep -q "^{\"p_eq\":null,\"delta@sd21\":0.0890"
'
ok 'a table is aligned' '
	bs-rank -f table -n 3 --suppressed -m sd15 --columns=concept,model,delta,side energy.bs >got
	cat >want <<-EOT
	concept  model    delta  side
	      8  sd15   0.07763  suppressed
	      0  sd15    0.0851  suppressed
	      3  sd15   0.08707  suppressed
	EOT
	diff want got
'
ok 'on a terminal it is a table' '
	script -qec "bs-rank -n 1 --columns=concept,model energy.bs" /dev/null </dev/null | tr -d "\r" >got
	grep -q "^concept  model$" got
'
ok 'top images with counterparts, by the definition' '
	lists top --suppressed -m sd15 --top=4 $codes energy.bs
'
ok 'parts merge to the same, in any order' '
	bs-rank --suppressed -m sd15 --top=4 $codes energy.bs >want.tsv
	bs-cat --split=3 -o real%d.bs real.codes.bs && bs-cat --split=3 -o gen%d.bs gen.codes.bs
	for i in 0 1 2
	do
		bs-rank --partial --top=4 --real-codes=real$i.bs --gen-codes=gen$i.bs -o part$i.bs
		bs-rank --partial --top=4 --real-codes=real$i.bs --gen-codes=gen$i.bs | cmp - part$i.bs
	done
	bs-rank --suppressed -m sd15 --top=4 --merge energy.bs part2.bs part0.bs part1.bs | cmp - want.tsv
	cat part1.bs part0.bs part2.bs | bs-rank --suppressed -m sd15 --top=4 --merge energy.bs - | cmp - want.tsv
	bs-cat -H part0.bs | grep -q "\"kind\":\"code\""
'
ok 'parts that do not fit: 65' '
	exits 65 bs-rank -m sd15 --top=4 --merge energy.bs part0.bs part0.bs 2>err
	says "part0.bs.: record .real.: .*the key comes twice" err
	exits 65 bs-rank -m sd15 --top=5 --merge energy.bs part0.bs 2>err
	says "has the top 4 of each concept, not 5" err
	exits 65 bs-rank -m sd15 --top=4 --merge energy.bs real.codes.bs 2>err
	says "kind .code., not parts" err
	exits 65 bs-rank part0.bs 2>err
	says "kind .rank., not .energy." err
	for at in 3 100 300 500 $(($(wc -c <part1.bs) - 1))
	do
		head -c $at part1.bs >cut.bs
		exits 65 bs-rank -m sd15 --top=4 --merge energy.bs cut.bs 2>err >out
		test ! -s out && says "^bs-rank: cannot read .cut.bs.: " err
	done
'
ok 'parts that are wrong inside: 65 and where' '
	bs-rank -m sd15 --top=4 --merge energy.bs part.bs --by=concept --columns=concept,side,key,score,other,caption >got
	printf "concept\tside\tkey\tscore\tother\tcaption\n0\treal\ta\t2.5\t\t\n1\treal\tb/c\t1.5\t0\tcaf\303\251 one\n" |
		diff - got
	for case in "key valid.key" "caption no.text" "image image.2" "score score.*nan" "other scores.2.5.and.inf" \
		"ptr concept.0" "ends concept.11" "offsets do.not.fit" "lacks image.*missing" "side no.list" "twice twice"
	do
		set -- $case
		exits 65 bs-rank -m sd15 --top=4 --merge energy.bs bad-part-$1.bs 2>err >out
		test ! -s out && says "^bs-rank: .bad-part-$1.bs.: record .*$2" err
	done
'
ok 'lists of more concepts than memory is allowed: 64' '
	exits 64 bs-rank --partial --memory=1M --top=100 --real-codes=many.codes.bs --gen-codes=gen.codes.bs 2>err
	says "top 100 of 16777216 concepts take" err
	exits 64 bs-rank --partial --real-codes=many.codes.bs --gen-codes=gen.codes.bs 2>err
'
if bs-rank --version | grep -q 'no png'
then
	ok 'without libpng sheets are refused at once' '
		exits 69 bs-rank -m sd15 --sheets=s --real-images=x --gen-images=y $codes energy.bs 2>err
		says "cannot write .s.: built without png" err
	'
else
	bs-fetch "$BS_SRC/tests/sample" -o photos.bs
	sheets="-m sd15 $codes --real-images=photos.bs --gen-images=photos.bs"
	ok 'contact sheets: one a concept, whole PNG files, the same twice' '
		bs-rank --suppressed $sheets --sheets=one energy.bs >list 2>err
		test ! -s err
		bs-rank --suppressed $sheets --sheets=two --heat energy.bs | cmp - list
		bs-rank --suppressed $sheets --sheets=three energy.bs >list
		ls one | sed "s/concept-0*\(.\).png/\1/" | sort -n >got
		tail -n +2 list | cut -f 1 | sort -n | diff - got
		diff -r one three && ! cmp -s one/concept-00000.png two/concept-00000.png
		bs-fetch one | bs-cat -j | grep -q "\"height\":\"696\".*\"width\":\"1332\"" || { bs-fetch one | bs-cat -j; exit 1; }
	'
	ok 'sheets of other sizes; images that are missing are said once' '
		bs-rank --suppressed -n 1 $sheets --side=32 --top=2 --sheets=small energy.bs >list
		test "$(ls small | wc -l)" -eq 1 && test "$(wc -l <list)" -eq 5
		bs-fetch "$BS_SRC/tests/sample/town" | bs-rank --suppressed -n 1 -m sd15 $codes --sheets=few \
			--real-images=- --gen-images=photos.bs energy.bs >list 2>err
		says "0 cannot be read, 1[0-2] are not there" err
		exits 64 bs-rank --memory=1M -m sd15 $sheets --side=512 --sheets=big energy.bs 2>err
		says "more than .--memory." err
	'
	ok 'a sheet of pairs: generated images below the real ones' '
		images="--real-images=photos.bs --gen-images=photos.bs"
		bs-rank --pairs=identical -n 3 -m sd15 --sheets=pairs $images energy.bs >list
		bs-rank --pairs=identical -n 3 -m sd15 energy.bs | cmp - list
		bs-fetch "$BS_SRC/tests/sample/town" | bs-rank --pairs=divergent -n 12 -m sd15 --side=32 \
			--sheets=pairs --real-images=- --gen-images=photos.bs energy.bs >list 2>err
		says "0 cannot be read, [1-9][0-9]* are not there" err
		test "$(ls pairs | tr "\n" " ")" = "divergent.png identical.png "
		bs-fetch pairs | bs-cat -j | grep -c "\"width\":\"1332\"" | grep -qx 1
		exits 64 bs-rank --pairs=identical --sheets=pairs $images energy.bs 2>err
		says "say which with .--model." err
		exits 64 bs-rank --pairs=identical -m sd15 --sheets=pairs --heat $images energy.bs 2>err
		exits 64 bs-rank --pairs=identical -m sd15 --top=3 $codes energy.bs 2>err
		exits 64 bs-rank --pairs=identical -m sd15 --sheets=pairs energy.bs 2>err
	'
	ok 'a sheet shows what bs-embed saw of an image, by the head of the codes' '
		model=$BS_SRC/tests/golden/dinov2/registers
		small="--recipe=topk --concepts=8 -k 2 --batch=500 --steps=3"
		for resize in 224 256
		do
			bs-embed -m "$model" --resize=$resize -o f.bs photos.bs
			test -e m || bs-sae train $small -o m f.bs
			bs-sae encode -m m -o $resize.bs f.bs
			bs-sae encode --no-provenance -m m -o $resize-untold.bs f.bs
		done
		bs-energy 224.bs 256.bs -o energy224.bs
		for codes in 224 256 224-untold 256-untold
		do
			bs-rank -n 1 --top=3 --sheets=sheet-$codes --real-images=photos.bs --gen-images=photos.bs \
				--real-codes=$codes.bs --gen-codes=$codes.bs energy224.bs >list
		done
		diff -r sheet-256 sheet-256-untold
		! diff -rq sheet-224 sheet-224-untold
	'
	ok 'sheets where there is no room, or no folder: 74' '
		touch file
		exits 74 bs-rank -n 1 $sheets --sheets=file energy.bs 2>err >out
		says "file" err
		exits 74 bs-rank -n 1 $sheets --sheets=no/folder energy.bs 2>err >out
		says "cannot make .no/folder." err
		test ! -s out
	'
	ok 'what is no image: 65' '
		exits 65 bs-rank $sheets --real-images=real.codes.bs --sheets=s energy.bs 2>err
		says "kind .code., not .image." err
	'
fi
ok 'energies that are none, or lack something: 65 and why' '
	for case in "real.codes kind" "bad-partial merge.it" "bad-form squared" "bad-lacks-delta delta.*missing" \
		"bad-missing-model kandinsky" "bad-infinite concept.5:.gen.is.inf"
	do
		set -- $case
		exits 65 bs-rank $1.bs 2>err >out
		test ! -s out && says "^bs-rank: .$1.bs.*$2" err
	done
	exits 65 bs-rank --pairs=divergent bad-pair.bs 2>err && says "l2" err
	exits 65 bs-rank --pairs=divergent energy-one.bs 2>err && says "no table of pairs" err
	exits 65 bs-rank --specific energy-one.bs 2>err && says "one only" err
	exits 65 bs-rank --correlate energy-one.bs 2>err && says "one only" err
	exits 65 bs-rank --max-q=0.1 energy-bare.bs 2>err && says "have no .q.," err
	exits 65 bs-rank --specific energy-bare.bs 2>err && says "have no .q.," err
	exits 65 bs-rank --min-images=3 energy-bare.bs 2>err && says "do not count images" err
	exits 65 bs-rank -m sd99 energy.bs 2>err && says "no model .sd99." err
	bs-rank energy-bare.bs --columns=q,real_images -n 1 -m sd15 >got
	printf "q\treal_images\nnan\t\n" | diff - got
'
ok 'energies cut anywhere, empty, twice, not there' '
	for at in 0 1 100 1000 $(($(wc -c <energy.bs) - 1))
	do
		head -c $at energy.bs >cut.bs
		exits 65 bs-rank cut.bs 2>err >out
		test ! -s out && says "^bs-rank: cannot read .cut.bs.: " err
	done
	cat energy.bs energy.bs >double.bs
	exits 65 bs-rank double.bs 2>err && says "more than one" err
	exits 66 bs-rank nowhere.bs 2>err
'
ok 'codes of another dictionary, of more concepts: 65' '
	exits 65 bs-rank -m sd15 --top=3 --real-codes=real.codes.bs --gen-codes=other-dictionary.codes.bs energy.bs 2>err
	says "other-dictionary.*another dictionary" err
	exits 65 bs-rank -m sd15 --top=3 --real-codes=other-concepts.codes.bs --gen-codes=gen.codes.bs energy.bs 2>err
	says "other-concepts.*codes of 13 concepts beside codes of 12" err
	exits 65 bs-rank -m sd15 --top=3 --real-codes=energy.bs --gen-codes=gen.codes.bs energy.bs 2>err
	says "kind .energy., not .code." err
	cat real.codes.bs real.codes.bs >twice.bs
	exits 65 bs-rank -m sd15 --top=12 --real-codes=twice.bs --gen-codes=gen.codes.bs energy.bs 2>err
	says "the key comes twice" err
'
ok 'misuse: 64 and why' '
	exits 64 bs-rank --columns=concept,foo energy.bs 2>err
	says "unknown column .foo.; known are concept, model, .*, q_eq$" err
	exits 64 bs-rank --columns=concept@sd15 energy.bs 2>err
	exits 64 bs-rank --columns=delta@sd99 energy.bs 2>err && says "no such model" err
	exits 64 bs-rank --columns= energy.bs 2>err
	exits 64 bs-rank --concepts=12 energy.bs 2>err && says "0 to 11" err
	exits 64 bs-rank --universal --specific energy.bs 2>err
	exits 64 bs-rank --below=0.6 energy.bs 2>err
	exits 64 bs-rank --margin=0.5 energy.bs 2>err
	exits 64 bs-rank --correlate --by=q energy.bs 2>err
	exits 64 bs-rank --top=3 energy.bs 2>err
	exits 64 bs-rank --top=3 --real-codes=real.codes.bs energy.bs 2>err
	exits 64 bs-rank --top=3 $codes energy.bs 2>err && says "say which with .--model." err
	exits 64 bs-rank $codes energy.bs 2>err
	exits 64 bs-rank --merge --top=3 energy.bs 2>err
	exits 64 bs-rank --partial $codes energy.bs 2>err
	exits 64 bs-rank --sheets=s $codes energy.bs 2>err
	exits 64 bs-rank energy.bs energy.bs 2>err
'
ok 'an output file appears whole; a full disk is 74' '
	bs-rank energy.bs -o list.tsv && bs-rank energy.bs | cmp - list.tsv
	exits 65 bs-rank bad-form.bs -o list.tsv 2>err && bs-rank energy.bs | cmp - list.tsv
	exits 74 bs-rank energy.bs >/dev/full 2>err && says "No space left" err
	exits 74 bs-rank --partial $codes >/dev/full 2>err
'
finish
