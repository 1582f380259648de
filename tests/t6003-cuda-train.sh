#!/bin/sh
# bs-sae train --device=cuda: on the GPU path, run by the emulation of tests/cuda
# or a GPU, against the same training on the CPU.
. "${0%/*}/lib.sh"
. "$BS_SRC/tests/cuda/lib.sh"

mkdir cpu gpu
cp -R "$BS_SRC/tests/golden/dinov2/registers" dinov2
# 7 records of 86 tokens, 24 wide
bs-fetch "$BS_SRC/tests/sample" | bs-cat -n 7 | bs-embed -m dinov2 --size=126 --resize=126 --device=cpu -o features.bs
small="--recipe=topk --concepts=60 -k 3 --batch=50 --steps=6"
on_cpu () { bs-sae train $small --device=cpu "$@"; }
on_gpu () { gpu bs-sae train $small --device=cuda "$@"; }
# both OPTION...: the same on CPU and GPU: model, checkpoint, metrics in cpu/ and gpu/.
both () {
	rm -f cpu/* gpu/*
	for t_device in cpu gpu
	do
		on_$t_device --checkpoint=$t_device/checkpoint --every=4 -o $t_device/model "$@" features.bs
	done
}
# same_losses: the metrics but for what a clock says: within 1e-6 of each.
same_losses () {
	for t_device in cpu gpu
	do
		sed "s/,\"tokens_s\".*//; s/[{}\"]//g; s/[:,]/ /g" $t_device.jsonl >$t_device.txt
	done
	test $(wc -l <cpu.txt) -eq $few_steps
	paste -d " " cpu.txt gpu.txt | awk '{
		for (i = 2; i <= NF / 2; i += 2) {
			a = $i; b = $(i + NF / 2); d = a - b; most = 1e-6 * (a < 0 ? -a : a)
			if (!(d <= most && -d <= most)) { print NR ": " $(i - 1) " " a " and " b; exit 1 }
		}
	}'
}

# The thread sanitizer looks for races: a short one of each kind is enough.
brief () { test "${BS_SAN:-}" = thread; }
brief && small="--recipe=topk --concepts=20 -k 2 --batch=20 --steps=2"
few_steps=$(echo "$small" | sed "s/.*--steps=//")

# What is used there has one order of sums.
for options in \
	"" "--recipe=batchtopk" "--dictionary=unit --clip=0.1 --decay=0.1" "--math=bf16 --pre-bias=none" \
	"--recipe=openai --aux-k=9 --dead=50 --rate=0.01" "--aux=reanimate --loss=fvu --dictionary=l2" \
	"--batch=131 --steps=3 --shuffle=0 --tokens=patch --no-enc-bias --pre-bias=median"
do
	case $options in *unit*|*l2*|*131*|*bf16*) brief && continue ;; esac
	ok "model and checkpoint, byte for byte: ${options:-topk}" "
		both $options
		cmp cpu/model gpu/model
		cmp cpu/checkpoint gpu/checkpoint
	"
done
# Products of matrices are not the same in every bit.
for options in \
	"--recipe=ra-sae --points=15 --clip=0.5" "--recipe=ra-sae --points=20 --aux=auxk --aux-k=5 --dead=50 --decay=0.1" \
	"--layer-norm --aux=reanimate" "--layer-norm --no-enc-bias --recipe=batchtopk --math=bf16"
do
	case $options in *20*|*bf16*) brief && continue ;; esac
	ok "losses within 1e-6, weights within 1e-4: $options" "
		on_cpu $options --keep-parts --metrics=cpu.jsonl --metrics-every=1 -o cpu/model features.bs
		on_gpu $options --keep-parts --metrics=gpu.jsonl --metrics-every=1 -o gpu/model features.bs
		same_losses
		near cpu/model gpu/model 1e-4
	"
done
ok 'reruns, order of lanes, late work: the same bytes' '
	for options in "--recipe=batchtopk" "--recipe=ra-sae --points=15 --layer-norm --steps=2"
	do
		brief && test "$options" = "--recipe=batchtopk" && continue
		on_gpu $options -o gpu/model features.bs
		brief || on_gpu $options features.bs | cmp - gpu/model
		EMU_ORDER=reverse on_gpu $options features.bs | cmp - gpu/model
		FAKE_CUDA_LAZY=1 on_gpu $options features.bs | cmp - gpu/model
	done
'
ok 'auto is the GPU, BS_DEVICE the default, turns are taken' '
	on_cpu -o cpu/model features.bs
	gpu bs-sae train $small -v -o gpu/model features.bs 2>err
	grep -q "cuda:0 (" err
	cmp cpu/model gpu/model
	TMPDIR=$PWD BS_DEVICE=cuda gpu bs-sae train $small --wait-gpu=9 features.bs | cmp - cpu/model
	ls bs-gpu-*.lock
'
# A pipe that has given half of the records and waits: the training stops there.
brief || ok 'put aside on the CPU, finished on the GPU' '
	mkfifo half go
	piped="--shuffle=50 --steps=8"
	bs-cat -n 4 features.bs -o first.bs
	bs-cat --slice=4:7 features.bs -o rest.bs
	cat first.bs rest.bs >all.bs
	on_cpu $piped --checkpoint=cpu/want -o cpu/model - <all.bs
	(cat first.bs; read -r end <go) >half &
	bs-sae train $small $piped --device=cpu --checkpoint=moved --every=1 <half 2>err &
	while ! test -e moved; do sleep 0.05; done
	kill -TERM $!
	wait $! || test $? -eq 75
	on_gpu $piped --resume=moved -o gpu/model - <all.bs
	cmp cpu/model gpu/model
	cmp cpu/want moved
	echo end >go
	wait
'
brief || fake 'a GPU that fails half way: 69, and the CPU goes on from its checkpoint' '
	on_cpu --steps=12 --checkpoint=cpu/want -o cpu/model features.bs
	FAKE_CUDA_LOG=$PWD/log on_gpu --steps=12 --checkpoint=moved --every=1 features.bs | cmp - cpu/model
	calls=$(sed -n "s/^call cuLaunchKernel //p" log)
	rm moved
	FAKE_CUDA_FAIL=cuLaunchKernel:$((calls / 2)) exits 69 on_gpu --steps=12 --checkpoint=moved --every=1 \
		-o none features.bs 2>err
	says "step [0-9]+: .*device .cuda:0.:" err
	test ! -e none
	bs-sae encode -m moved --device=cpu features.bs | bs-cat --verify
	on_cpu --steps=12 --resume=moved features.bs | cmp - cpu/model
	cmp cpu/want moved
	ls | grep -F moved. && exit 1
	true
'
fake 'no memory on the GPU: 71, the size asked for, nothing left behind' '
	for bytes in 5000 50000 70000
	do
		FAKE_CUDA_MEMORY=$bytes exits 71 on_gpu --concepts=60 --checkpoint=lost -o lost features.bs 2>err
		says "out of memory on device .cuda:0.: [0-9]+ bytes asked for, [0-9]+ of $bytes free; a smaller batch" err
		ls | grep -F lost && exit 1
	done
	true
'
bs-cat -n 1 features.bs -o one.bs
few="--concepts=9 -k 2 --batch=20 --steps=2 --epochs=1 --device=cuda"
fake 'whatever fails while training: one line, 69 or 71, no model' '
	broken topk bs-sae train --recipe=batchtopk $few --dictionary=unit one.bs
'
fake 'whatever fails under a layer norm, and while clustering' '
	broken norm bs-sae train --recipe=ra-sae --points=5 --layer-norm $few one.bs
'
finish
