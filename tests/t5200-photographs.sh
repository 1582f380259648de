#!/bin/sh
# Real photographs: what strong JPEG and blur take from them is found.
#
# The photographs are those of a Debian package, in squares of 112 pixels;
# "generated" are the same squares after JPEG of quality 10 and blur.  Which
# concepts stand for fine detail is told by the pixels of the originals alone
# (tests/photos/detail.c), not by bs.
. "${0%/*}/lib.sh"

PATH=$BS_BIN/tests/photos:$PATH
model=$BS_SRC/tests/painter/dinov2
tab=$(printf '\t')
set -- /usr/share/backgrounds/*_by_*.jpg
if test ! -e "$1" || ! command -v pamdice >/dev/null
then
	skip 'no photographs (lomiri-wallpapers-16.04) or no netpbm'
	finish
	exit
fi
# Under a sanitizer: some of them, and no statistics.
steps=1200
test -z "${BS_SAN:-}" || { set -- "$1" "$2"; steps=40; }
photos=$*

# worse: a PPM, with JPEG and blur
worse () {
	pnmtojpeg -quality=10 | jpegtopnm | pnmsmooth | pnmsmooth
}

# squares: of all photos, into real/ and gen/
squares () {
	mkdir real gen
	for t_photo in $photos
	do
		t_name=$(basename "$t_photo" .jpg)
		jpegtopnm "$t_photo" >photo.ppm
		pamscale -width=448 photo.ppm >whole.ppm
		t_height=$(sed -n "2s/.* //p;2q" whole.ppm)
		pamcut -height=$((t_height / 112 * 112)) whole.ppm >real.ppm
		worse <real.ppm >gen.ppm
		pamdice -width=112 -height=112 -outstem="real/$t_name" real.ppm
		pamdice -width=112 -height=112 -outstem="gen/$t_name" gen.ppm
	done
	for t_square in real/*.ppm gen/*.ppm
	do
		pnmtojpeg -quality=95 "$t_square" >"${t_square%.ppm}.jpg"
	done
	rm real/*.ppm gen/*.ppm
}

ok 'photographs become squares, features, a dictionary, codes' '
	squares
	for i in real gen
	do
		bs-fetch -o $i.bs $i/
		bs-embed -m "$model" --size=112 --resize=112 -o $i.features.bs $i.bs
	done
	bs-sae train --concepts=128 -k 5 --batch=512 --steps=$steps -o sae.safetensors real.features.bs
	for i in real gen
	do
		bs-sae encode -m sae.safetensors -o $i.codes.bs $i.features.bs
	done
	bs-cat -l real.codes.bs >list
	set -- $photos
	test $(wc -l <list) -eq $(ls real | wc -l) && test $(wc -l <list) -ge $((8 * $#))
'
ok 'energies, and the detail that each concept stands for' '
	bs-energy --scope=patch -o energy.bs real.codes.bs gen.codes.bs
	bs-rank --columns=concept,delta,q -o energy.tsv energy.bs
	detail real.bs real.codes.bs >detail.tsv
	# concept, r with detail, delta, q: of those in 100 patches and more
	awk -F "$tab" "FNR == 1 { next } NR == FNR { delta[\$1] = \$2; q[\$1] = \$3; next }
		\$2 >= 100 { print \$1, \$3, delta[\$1], q[\$1] }" energy.tsv detail.tsv | sort -k 2,2gr >both
	test -n "${BS_SAN:-}" || test $(wc -l <both) -ge 20
'
if test -z "${BS_SAN:-}"
then
	ok 'the more detail a concept stands for, the more it is suppressed' '
		awk "{ n++; x += \$2; y += \$3; xx += \$2 * \$2; yy += \$3 * \$3; xy += \$2 * \$3 }
			END { r = (n * xy - x * y) / sqrt((n * xx - x * x) * (n * yy - y * y))
				print \"r\", r; exit !(r < -0.25) }" both
	'
	ok 'detail is lost, what is smooth is not' '
		awk "\$2 > 0.1 { n++; lost += \$3 } \$2 < -0.1 { m++; kept += \$3 }
			END { print n, lost / n, m, kept / m
				exit !(n >= 3 && m >= 3 && lost / n < 0.45 && kept / m > 0.47 && kept / m < 0.53) }" both
	'
	ok 'of the three concepts of most detail one is suppressed beyond chance' '
		head -n 3 both >most
		awk "\$3 < 0.45 && \$4 <= 0.01 { n++ } END { exit !n }" most || { cat most; exit 1; }
	'
fi
finish
