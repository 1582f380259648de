#!/bin/sh
# Faults that the painter plants in a generator are found, all of them and
# nothing else; a generator without faults has none.
#
# What is right is known from the painter alone: which factors are in a picture,
# and what each fault does by itself to the generated pictures.
. "${0%/*}/lib.sh"

PATH=$BS_BIN/tests/painter:$PATH
model=$BS_SRC/tests/painter/dinov2
tab=$(printf '\t')

# Under a sanitizer one small world, and no statistics of it.
worlds='1 2 3' pictures=600 steps=800
test -z "${BS_SAN:-}" || { worlds=1 pictures=80 steps=40; }

# plant SEED: what is planted in a world, as thing, background, never, ...
plant () {
	case $1 in
	1) echo yellow night purple grass striped ;;
	2) echo red sand blue brick checked ;;
	3) echo white water green sky striped ;;
	esac
}

# features LABEL [option ...]: of pictures that the painter paints
features () {
	t_label=$1; shift
	painter --count="$pictures" --seed="$seed" --thing="$thing" --background="$background" "$@" |
		bs-fetch - | bs-embed -m "$model" --size=112 --resize=112 -o "$t_label.features.bs"
}

codes () {
	features "$@"
	bs-sae encode -m sae.safetensors -o "$t_label.codes.bs" "$t_label.features.bs"
	rm "$t_label.features.bs"
}

# listed MODEL ENERGIES BELOW ABOVE [option ...]: what stands out
listed () {
	t_model=$1 t_energies=$2 t_below=$3 t_above=$4; shift 4
	bs-rank -m "$t_model" --suppressed --exaggerated --below="$t_below" --above="$t_above" \
		--columns=concept,side,delta,q "$@" "$t_energies"
}

# find: gen and none against real, and what the painter knows of it
find () {
	mkdir "$seed" && cd "$seed"
	features real --truth=real.tsv
	bs-sae train --concepts=256 -k 5 --batch=1024 --steps=$steps -o sae.safetensors real.features.bs
	bs-sae encode -m sae.safetensors -o real.codes.bs real.features.bs
	set -- --draw=1 --never="$never" --half="$half" --overdo="$overdo" --apart --copies=5
	codes gen "$@" --truth=gen.tsv
	codes none --draw=1
	codes never --draw=1 --never="$never"
	codes half --draw=1 --half="$half"
	codes overdo --draw=1 --overdo="$overdo"
	codes apart --draw=1 --apart
	bs-energy -o energy.bs real.codes.bs gen.codes.bs none.codes.bs
	bs-energy -o causes.bs none.codes.bs never.codes.bs half.codes.bs overdo.codes.bs apart.codes.bs gen.codes.bs
	bs-rank --columns=concept,model,delta,q -o causes.tsv causes.bs
	naming real.codes.bs real.tsv >concepts.tsv
	listed gen energy.bs 0.4 0.6 --max-q=0.01 --min-images=$((pictures / 10)) >list.tsv
	awk -f "$BS_SRC/tests/painter/causes.awk" causes.tsv list.tsv >found.tsv
}

# found FAULT SIDE SUBJECT: is there a concept on this side that the fault is
# behind and that goes along with the subject?
found () {
	awk -F "$tab" -v fault="$1" -v side="$2" -v subject="$3" '
	FILENAME == "concepts.tsv" { if (("+" $2 "+") ~ ("[+]" subject "[+]")) of[$1]; next }
	$NF == fault && $2 == side && $1 in of { n++ }
	END { exit n == 0 }' concepts.tsv found.tsv
}

for seed in $worlds
do
	set -- $(plant $seed)
	thing=$1 background=$2 never=$3 half=$4 overdo=$5
	ok "world $seed: pictures become energies" 'find'
	ok "world $seed: the five nearest pairs are the five copies" '
		cd $seed
		bs-rank -m gen --pairs=identical -n 5 --columns=key energy.bs >list
		awk -F "$tab" "\$2 == \"copy\" { print \$1 }" gen.tsv >copies
		test $(wc -l <copies) -eq 5
		sed 1d list | sort | diff - copies
	'
	test -z "${BS_SAN:-}" || continue
	ok "world $seed: nine of ten that stand out do so because of a fault" '
		cd $seed
		awk -F "$tab" "FNR > 1 { n++; true += \$NF != \"-\" } END {
			printf \"precision %d of %d\n\", true, n >\"precision\"
			exit !(n >= 10 && true >= 0.9 * n) }" found.tsv || { cat found.tsv; exit 1; }
	'
	ok "world $seed: four of five that the faults move far do stand out" '
		cd $seed
		listed gen causes.bs 0.33 0.67 --max-q=0.01 --min-images=$((pictures / 10)) >moved.tsv
		awk -F "$tab" "FILENAME == \"list.tsv\" { side[\$1] = \$2; next }
			FNR > 1 { n++; got += side[\$1] == \$2 }
			END { printf \"recall %d of %d\n\", got, n >\"recall\"
			exit !(n >= 3 && got >= 0.8 * n) }" list.tsv moved.tsv
	'
	ok "world $seed: $never is never drawn, $half half as often, too much is $overdo" '
		cd $seed
		found never suppressed $never
		found half suppressed $half
		found overdo exaggerated $overdo
	'
	ok "world $seed: $thing and $background are apart" '
		cd $seed
		bs-cooc -g image --support=$((pictures / 50)) --no-matrix --vectors=0 -o cooc.bs real.codes.bs gen.codes.bs
		bs-cooc --list=changes -n 200 -o changes.tsv cooc.bs
		listed gen energy.bs 0.4 0.6 >single.tsv
		awk -F "$tab" "FILENAME == \"single.tsv\" { single[\$1]; next }
			FILENAME == \"concepts.tsv\" { name[\$1] = \$2; next }
			FNR > 1 && \$2 == \"lost\" && !(\$4 in single) && !(\$5 in single) {
				print name[\$4], name[\$5]; exit }" single.tsv concepts.tsv changes.tsv >lost
		grep -qw $thing lost && grep -qw $background lost || { cat lost; exit 1; }
	'
done

test -z "${BS_SAN:-}" || { finish; exit; }
ok 'without faults nothing is found beyond the false discovery rate' '
	for seed in $worlds
	do
		bs-rank -m none --max-q=0.05 --below=0.5 --above=0.5 --suppressed --exaggerated $seed/energy.bs >list
		test $(wc -l <list) -eq 1 || echo $seed
		bs-rank -m none --columns=p $seed/energy.bs | sed 1d >>p
	done >wrong
	test $(wc -l <wrong) -le 1
	awk "{ n++; small += \$1 <= 0.05 } END { print small / n; exit !(small <= 0.1 * n) }" p
'
for seed in $worlds
do
	echo "# world $seed: $(cat "$seed/precision" "$seed/recall" | tr '\n' ' ')"
done
finish
