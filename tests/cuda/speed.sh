#!/bin/sh
# speed.sh [device [pictures [vit size ...]]] - pictures and tokens a second of
# whole commands, start left out: the difference of two runs.
set -eu
: "${BS_BIN:?}" "${BS_SRC:?}"
PATH=$BS_BIN:$PATH
device=${1:-cuda} many=${2:-2048}
test $# -lt 2 || shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

${PYTHON:-python3} "$BS_SRC/tests/cuda/vit.py" "$BS_SRC/tests/golden/dinov2/registers" vit ${3:+"$@"}
bs-fetch -q "$BS_SRC/tests/sample" -o sample.bs
has=$(bs-cat -l sample.bs | wc -l)
set --
while test $(($# * has)) -lt "$many"; do set -- "$@" sample.bs; done
# took command...: seconds.
took () {
	start=$(date +%s.%N)
	"$@" >out.bs || exit
	echo "$start $(date +%s.%N)" | awk '{ print $2 - $1 }'
}
# rate few many seconds seconds what thing
rate () {
	echo "$1 $2 $3 $4" | awk -v what="$5" -v thing="$6" '{
		printf "%-44s %12s  %31.1f %s/s\n", what, "", ($2 - $1) / ($4 - $3), thing }'
}
few=$((many / 8))
for math in f32 bf16
do
	embed () { bs-embed -q --device="$device" --math=$math -m vit --size=224 --resize=224 "$@"; }
	a=$(took embed -n $few "$@")
	b=$(took embed -n $many "$@")
	rate $few $many $a $b "bs-embed --math=$math" image
done
bs-cat -q -n $((few < 64 ? few : 64)) out.bs -o few.bs
bs-sae train -q --device=cpu --recipe=topk --concepts=32000 -k 5 --batch=512 --steps=1 --shuffle=0 few.bs -o sae.safetensors
set --
while test $# -lt 32; do set -- "$@" few.bs; done
tokens=$((256 * (few < 64 ? few : 64)))
encode () { bs-sae encode -q --device="$device" -m sae.safetensors "$@"; }
a=$(took encode few.bs)
b=$(took encode "$@")
rate $tokens $((32 * tokens)) $a $b 'bs-sae encode, 32,000 concepts' token
