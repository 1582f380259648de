#!/bin/sh
# make demo: the pipeline on the repository's sample pictures, step by step.
set -eu
: "${BS_BIN:?run through 'make demo'}" "${BS_SRC:?}"
PATH=$BS_BIN:$PATH
out=$BS_SRC/build/demo
rm -rf "$out" && mkdir -p "$out" && cd "$out"
cp -R "$BS_SRC/tests/sample" photos
cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2

# run 'command': show it, then do it
run () {
	printf '\n$ %s\n' "$1"
	eval "$1"
}

echo 'The sample pictures, with their captions, become a stream of images:'
run 'bs-fetch photos/ -o real.bs'
run 'bs-cat -l real.bs'
echo
echo 'A tiny model in the DINOv2 layout (random weights) turns them into features:'
run 'bs-embed -m dinov2/ -o features.bs real.bs'
run 'bs-cat -l features.bs'
echo
echo 'What a stream says of itself, and that it is whole:'
run 'bs-cat -H features.bs'
run 'bs-cat --verify features.bs && echo whole'
printf '\nThe files are in %s\n' "$out"
