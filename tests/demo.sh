#!/bin/sh
# make demo: find the faults that were planted in a generator, step by step.
set -eu
: "${BS_BIN:?run through 'make demo'}" "${BS_SRC:?}"
PATH=$BS_BIN:$BS_BIN/tests/painter:$PATH
LC_ALL=C
export LC_ALL
out=$BS_SRC/build/demo
rm -rf "$out" && mkdir -p "$out" && cd "$out"
cp -R "$BS_SRC/tests/painter/dinov2" dinov2

# say: a paragraph from standard input
say () {
	printf '\n'
	sed 's/^/   /'
}

# run 'command': show it, then do it
run () {
	printf '\n$ %s\n' "$1"
	eval "$1"
}

# codes LABEL 'options': of pictures that the painter paints with these options
codes () {
	eval "painter $2" | bs-fetch - |
		bs-embed -m dinov2/ --size=112 --resize=112 |
		bs-sae encode -m sae.safetensors -o "$1.codes.bs"
}

# named FILE: the concepts of a list (concept, side, delta, q, ..., cause), each
# with its name in the painter's truth and the fault that is behind it
named () {
	awk -F '\t' '
	FILENAME == "faults.tsv" { fault[$1] = $2; next }
	FILENAME == "concepts.tsv" { name[$1] = $2 " (" $3 ")"; next }
	FNR == 1 {
		printf "   %4s %-11s %5s %6s  %-23s %s\n", "", $2, $3, $4, "looks like (r)", "because"
		next
	}
	{
		printf "   %4d %-11s %5.2f %6.0e  %-23s %s\n", $1, $2, $3, $4, name[$1], fault[$NF]
	}' faults.tsv concepts.tsv "$1"
}

# lost FILE: pairs of concepts that a list of bs-cooc says were lost, without
# those in which one concept is rarer or more frequent by itself (single.tsv)
lost () {
	awk -F '\t' '
	FILENAME == "single.tsv" { single[$1]; next }
	FILENAME == "concepts.tsv" { name[$1] = $1 " " $2; next }
	FNR == 1 {
		printf "   %-20s %-20s %s\n", "", "", "cosine real, generated"
		next
	}
	$4 in single || $5 in single { next }
	shown++ < 6 { printf "   %-20s %-20s %.3f  %.3f\n", name[$4], name[$5], $7, $6 }
	' single.tsv concepts.tsv "$1"
}

say <<'EOT'
A little world, painted: things of some shapes, colours and textures in front of
some backgrounds, each picture with its caption.  The "real" pictures are 1000
of them.  The "generated" ones are painted anew from the same captions, by a
generator with these faults:

  never    purple is never drawn,
  half     grass is drawn half as often,
  overdo   a third of what is not striped comes out striped,
  apart    yellow things are never in the night, where they mostly are,
  copies   five pictures are copies of the real ones.
EOT
cat >faults.tsv <<'EOT'
never	purple is never drawn
half	half of the grass
overdo	too many stripes
apart	no yellow in the night
several	more than one of these
-	chance
EOT
which='--suppressed --exaggerated --below=0.37 --above=0.63 --max-q=0.01 --min-images=100'
world='--count=1000 --seed=1 --thing=yellow --background=night'
run "painter $world --truth=real.tsv >real.tar"
run "painter $world --draw=1 --never=purple --half=grass --overdo=striped --apart --copies=5 --truth=gen.tsv >gen.tar"

say <<'EOT'
None of the following commands is told what the faults are.  The archives become
streams of images, the images features: 69 tokens each, of a tiny model in the
layout of DINOv2 with registers, which other pictures of the painter trained.
EOT
run 'bs-fetch -o real.bs real.tar && bs-fetch -o gen.bs gen.tar'
run 'bs-embed -m dinov2/ --size=112 --resize=112 -o real.features.bs real.bs'
run 'bs-embed -m dinov2/ --size=112 --resize=112 -o gen.features.bs gen.bs'
run 'bs-cat -n 3 gen.features.bs | bs-cat -l'

say <<'EOT'
A sparse autoencoder learns a dictionary of 256 concepts from the real pictures'
features, and says of every token which five are in it, and how much.
EOT
run 'bs-sae train --concepts=256 -k 5 --batch=1024 --epochs=20 -o sae.safetensors real.features.bs'
run 'bs-sae encode -m sae.safetensors -o real.codes.bs real.features.bs'
run 'bs-sae encode -m sae.safetensors -o gen.codes.bs gen.features.bs'

say <<'EOT'
How much of each concept is in real and in generated pictures?  delta is 0.5 for
no difference, towards 0 for what the generator lacks, towards 1 for what it
overdoes; q is the false discovery rate.
EOT
run 'bs-energy -o energy.bs real.codes.bs gen.codes.bs'
run "bs-rank $which --columns=concept,side,delta,q,real_images,gen_images -o list.tsv energy.bs"

say <<'EOT'
The pictures that show these concepts, and where in them, go on contact sheets.
EOT
run "bs-rank $which -n 16 --sheets=sheets --heat --real-codes=real.codes.bs --gen-codes=gen.codes.bs --real-images=real.bs --gen-images=gen.bs -o images.tsv energy.bs"

say <<'EOT'
Which concepts are together in real pictures, and no longer in generated ones?
EOT
run 'bs-cooc -g image --support=20 --no-matrix --vectors=0 -o cooc.bs real.codes.bs gen.codes.bs'
run 'bs-cooc --list=changes -n 200 -o lost.tsv cooc.bs'
run 'bs-rank --suppressed --exaggerated --below=0.4 --above=0.6 --columns=concept -o single.tsv energy.bs'

say <<'EOT'
Which generated pictures are nearest to the real one of their caption?
EOT
run 'bs-rank --pairs=identical -n 8 --columns=rank,key,l2,caption --sheets=sheets --real-images=real.bs --gen-images=gen.bs -f table energy.bs'

say <<'EOT'
Now the answers.  The painter knows what is in each picture, so a concept gets
the name of what it goes along with (Pearson's r over the real pictures).  And it
can paint the generated pictures with no fault, and with each fault alone: the
fault that moves a concept furthest is the reason that it stands out.
EOT
naming real.codes.bs real.tsv >concepts.tsv
codes none "$world --draw=1"
codes never "$world --draw=1 --never=purple"
codes half "$world --draw=1 --half=grass"
codes overdo "$world --draw=1 --overdo=striped"
codes apart "$world --draw=1 --apart"
bs-energy -o causes.bs none.codes.bs never.codes.bs half.codes.bs overdo.codes.bs apart.codes.bs gen.codes.bs
bs-rank --columns=concept,model,delta,q -o causes.tsv causes.bs
awk -f "$BS_SRC/tests/painter/causes.awk" causes.tsv list.tsv >answers.tsv
head -n 17 answers.tsv >top.tsv
printf '\n   Concepts, of %d that stand out:\n' "$(sed 1d list.tsv | wc -l)"
named top.tsv
printf '\n   Concepts that are as frequent as before, but not together:\n'
lost lost.tsv
printf '\n   Copies that the painter made:\n'
awk -F '\t' '$2 == "copy" { printf "   %s", $1 } END { print "" }' gen.tsv

# sheet FAULT SIDE: the contact sheet of the first concept that it is behind
sheet () {
	awk -F '\t' -v fault="$1" -v side="$2" -v out="$out" '
	$NF == fault && $2 == side { printf "   %-7s %s/sheets/concept-%05d.png\n", fault, out, $1; exit }
	' top.tsv
}

printf '\n   Pictures:\n'
sheet never suppressed
sheet half suppressed
sheet overdo exaggerated
sheet apart suppressed
printf '   copies  %s/sheets/identical.png\n' "$out"
