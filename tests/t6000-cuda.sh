#!/bin/sh
# --device=cuda: whole commands on the GPU path, run by the emulation of
# tests/cuda or, without BS_FAKE (make check-gpu), by a GPU, against the same on
# the CPU.
. "${0%/*}/lib.sh"
. "$BS_SRC/tests/cuda/lib.sh"

cp -R "$BS_SRC/tests/golden/dinov2" golden
cp "$BS_SRC/tests/golden/sae/registers.safetensors" sae.safetensors
bs-fetch "$BS_SRC/tests/sample" -o real.bs
bs-fetch golden/images -o two.bs
embed () { model=$1; shift; bs-embed -m golden/$model --size=42 --dtype=f32 "$@"; }
encode () { bs-sae encode -m sae.safetensors "$@"; }
decode () { bs-sae decode -m sae.safetensors "$@"; }

embed registers two.bs --device=cpu -o features.bs
encode --device=cpu features.bs -o codes.bs

fake 'auto takes the GPU that is there, and the CPU where none is' '
	gpu embed registers two.bs -v 2>err >auto.bs
	grep -q "cuda:0 (emulated" err
	gpu embed registers two.bs --device=cuda:0 | cmp - auto.bs
	embed registers two.bs -v 2>err >out.bs
	grep -q "cpu (" err && cmp out.bs features.bs
	FAKE_CUDA_DEVICES=0 gpu embed registers two.bs -v 2>err | cmp - features.bs
	grep -q "cpu (.*; no device .cuda:0.: 0 are there" err
'
fake 'BS_DEVICE is what --device is unless it is given' '
	BS_DEVICE=cuda gpu embed registers two.bs -v 2>err >/dev/null
	grep -q "cuda:0" err
	BS_DEVICE=cuda gpu embed registers two.bs --device=cpu | cmp - features.bs
	BS_DEVICE=cuda exits 69 embed registers two.bs 2>err >/dev/null
	BS_DEVICE=no exits 64 embed registers two.bs 2>err >/dev/null
	says "no device .no." err
'
fake 'no driver, no such GPU: 69, one line, no output' '
	exits 69 embed registers two.bs --device=cuda -o none.bs 2>err
	says "device .cuda.: no driver: .*libcuda.so.1" err
	FAKE_CUDA_DEVICES=2 exits 69 gpu embed registers two.bs --device=cuda:2 -o none.bs 2>err
	says "no device .cuda:2.: 2 are there" err
	exits 64 gpu embed registers two.bs --device=cuda:x -o none.bs 2>err
	says "no device .cuda:x." err
	test ! -e none.bs
'
for model in registers plain giant timm
do
	ok "features of '$model': those of the CPU, within the tolerance" '
		embed '$model' two.bs --device=cpu >cpu.bs
		gpu embed '$model' two.bs --device=cuda >gpu.bs
		near cpu.bs gpu.bs 2e-5
	'
done
ok 'the same in bf16, less exactly' '
	embed registers two.bs --math=bf16 --device=cpu >cpu.bs
	gpu embed registers two.bs --math=bf16 --device=cuda >gpu.bs
	near cpu.bs gpu.bs 0.1
	gpu embed registers two.bs --device=cuda >f32.bs
	! cmp -s gpu.bs f32.bs
'
ok 'auto is the GPU' '
	gpu embed registers two.bs -v 2>err >auto.bs
	grep -q "cuda:0 (" err
	BS_DEVICE=cuda gpu embed registers two.bs | cmp - auto.bs
'
# The lock is that of the first run; flock(1) is another command that has it.
TMPDIR=$PWD/locks
export TMPDIR
mkdir locks
alone () { gpu bs-embed -m golden/plain --size=14 --resize=14 "$@" two.bs; }
ok '--wait-gpu: one after another, and what does not ask shares' '
	alone --device=cuda >want.bs
	test -z "$(ls locks)"
	alone --device=cuda --wait-gpu=9 | cmp - want.bs
	alone --wait-gpu=1m | cmp - want.bs
	lock=$(ls locks/bs-gpu-*.lock)
	test ! -s "$lock"
	mkfifo go
	(exec 9<"$lock"; flock 9; : >held; read -r end <go) &
	while ! test -e held; do sleep 0.05; done
	exits 69 alone --device=cuda --wait-gpu=1 2>err >out.bs
	says "device .cuda:0. is in use by another command that waited" err
	alone --wait-gpu=1 -v 2>err >auto.bs
	grep -q "cpu (.*; device .cuda:0. is in use" err
	alone --device=cuda | cmp - want.bs
	alone --device=cuda --wait-gpu=10m >late.bs &
	sleep 0.3
	echo end >go
	wait
	cmp late.bs want.bs
'
ok '--wait-gpu: a lock that cannot be, a file that is none' '
	TMPDIR=$PWD/nowhere exits 71 alone --device=cuda --wait-gpu=1 2>err >out.bs
	says "cannot open .*nowhere/bs-gpu-" err
	mkdir links
	ln -s /dev/null "links/$(cd locks && ls)"
	TMPDIR=$PWD/links exits 71 alone --device=cuda --wait-gpu=1 2>err >out.bs
	says "cannot open " err
'
unset TMPDIR
ok 'batches, reruns, order of lanes, late work: the same bytes' '
	gpu embed registers two.bs --device=cuda >gpu.bs
	gpu embed registers two.bs --device=cuda --batch=1 | cmp - gpu.bs
	EMU_ORDER=reverse gpu embed registers two.bs --device=cuda | cmp - gpu.bs
	FAKE_CUDA_LAZY=1 gpu embed registers two.bs --device=cuda | cmp - gpu.bs
'
ok 'codes: bit for bit those of the CPU' '
	for o in "" "--select=topk -k 5" "--select=topk -k 300" "--tau=1" "--tau=2.5 --dtype=f32"
	do
		encode --device=cpu $o features.bs >cpu.bs
		gpu encode --device=cuda $o features.bs | cmp - cpu.bs || { echo "differs: $o"; exit 1; }
	done
	encode --device=cpu features.bs >cpu.bs
	EMU_ORDER=reverse gpu encode --device=cuda features.bs | cmp - cpu.bs
	FAKE_CUDA_LAZY=1 gpu encode --device=cuda features.bs | cmp - cpu.bs
'
ok 'an autoencoder is judged alike' '
	bs-sae eval -m sae.safetensors --device=cpu features.bs >cpu.txt
	gpu bs-sae eval -m sae.safetensors --device=cuda features.bs | cmp - cpu.txt
'
ok 'images: the latents of the CPU, within the tolerance, and the same bytes again' '
	gen () { bs-gen -m "$BS_SRC/tests/golden/gen/pipeline" --steps=2 --safety=keep --latents "$@"; }
	echo fox | gen --device=cpu -q -o cpu.images.bs
	echo fox | gpu gen --device=cuda -v 2>err >gpu.images.bs
	grep -q "cuda:0" err
	near cpu.images.bs gpu.images.bs 1e-3
	echo fox | FAKE_CUDA_LAZY=1 gpu gen --device=cuda | cmp - gpu.images.bs
'
ok 'decoded features: bit for bit those of the CPU' '
	decode --device=cpu codes.bs >cpu.bs
	gpu decode --device=cuda codes.bs | cmp - cpu.bs
	FAKE_CUDA_LAZY=1 gpu decode --device=cuda codes.bs | cmp - cpu.bs
'
ok 'a bad value is found there too' '
	head="{\"x\":{\"dtype\":\"F32\",\"shape\":[1,24],\"data_offsets\":[0,96]}}"
	printf "\\$(printf %o ${#head})\\0\\0\\0\\0\\0\\0\\0%s" "$head" >nan.safetensors
	printf "\\0%.0s" $(seq 92) >>nan.safetensors
	printf "\\0\\0\\300\\177" >>nan.safetensors
	exits 65 gpu encode --device=cuda nan.safetensors 2>err >/dev/null
	says "not finite" err
'
# features of what no library computed, in bf16 so that all is asked for.
both () { gpu embed giant two.bs --math=bf16 --device=cuda "$@"; }
fake 'cuBLASLt multiplies and cuDNN attends where they are there, and -v says so' '
	FAKE_CUDA_LOG=$PWD/log.lt both -v 2>err >lt.bs
	grep -q "cuda:0 (.*); cuBLASLt 13.1.0; cuDNN 9.19.0" err
	grep -q "call cublasLtMatmul " log.lt
	grep -q "call cudnnBackendExecute " log.lt
	! grep -q "kernel bs_attention" log.lt
	! grep -q "kernel bs_gemm_bf16 " log.lt
	BS_CUDA_LIBRARIES=none FAKE_CUDA_LOG=$PWD/log.own both -v 2>err >own.bs
	grep -q "cuda:0 (.*); no libraries" err
	! grep -q "call cu[bd]" log.own
	grep -q "kernel bs_gemm_bf16 " log.own
	near lt.bs own.bs 0.05
	! cmp -s lt.bs own.bs
	BS_CUDA_LIBRARIES=auto both | cmp - lt.bs
	BS_CUDA_LIBRARIES=all exits 64 both 2>err >out.bs
	says "BS_CUDA_LIBRARIES is .all.: auto or none" err
'
fake 'a library that cannot be used: our own kernels, and -v says why' '
	FAKE_CUDNN_VERSION=91200 both -v 2>err >lt-only.bs
	grep -q "; cuBLASLt 13.1.0; no cuDNN: version 91200 is too old" err
	! cmp -s lt-only.bs lt.bs && ! cmp -s lt-only.bs own.bs
	for type in 41 15 5
	do
		FAKE_CUDNN_REFUSE=$type both -v 2>err | cmp - lt-only.bs
		grep -q "cuDNN 9.19.0" err
	done
	FAKE_CUDA_FAIL=cudnnCreate:1 both -v 2>err | cmp - lt-only.bs
	grep -q "no cuDNN: CUDNN_STATUS_INTERNAL_ERROR" err
	export FAKE_CUDNN_VERSION=100000
	FAKE_CUBLASLT_VERSION=990000 both -v 2>err | cmp - own.bs
	grep -q "no cuBLASLt: version 990000 is not known; no cuDNN: version 100000 is not known" err
	FAKE_CUDA_FAIL=cublasLtCreate:1 both -v 2>err | cmp - own.bs
	grep -q "no cuBLASLt: CUBLAS_STATUS_INTERNAL_ERROR" err
	FAKE_CUBLASLT_NONE=1 both -v 2>err | cmp - own.bs
	mkdir old
	ln -s "$BS_FAKE/libcuda.so.1" old
	echo "int nothing;" | ${CC:-cc} -x c -shared -fPIC -Wl,-soname,libcublasLt.so.13 -o old/libcublasLt.so.13 -
	LD_LIBRARY_PATH=$PWD/old embed giant two.bs --math=bf16 --device=cuda -v 2>err | cmp - own.bs
	grep -q "no cuBLASLt: it lacks cublasLtGetVersion; no cuDNN: " err
'
fake 'a library without memory: 71' '
	FAKE_CUDA_FAIL=cublasLtCreate:1:3 exits 71 both -o none.bs 2>err
	says "device .cuda:0.: cublasLtCreate: CUBLAS_STATUS_ALLOC_FAILED .3." err
	test ! -e none.bs
'
fake 'no memory on the GPU: 71, the size asked for, and what to do' '
	FAKE_CUDA_MEMORY=100000 exits 71 gpu embed registers two.bs --device=cuda -o none.bs 2>err
	says "out of memory on device .cuda:0.: [0-9]+ bytes asked for, [0-9]+ of 100000 free; a smaller batch" err
	test ! -e none.bs
'
bs-cat -n 1 two.bs -o one.bs
embed registers one.bs --tokens=cls --device=cpu -o few.bs
encode --device=cpu few.bs -o few-codes.bs
fake 'whatever fails while embedding: one line, 69 or 71' '
	broken embed bs-embed -m golden/giant --size=14 --resize=14 --math=bf16 --device=cuda one.bs
'
fake 'whatever fails while encoding' '
	broken encode bs-sae encode -m sae.safetensors --device=cuda few.bs
	broken topk bs-sae encode -m sae.safetensors --select=topk -k 3 --device=cuda few.bs
'
fake 'whatever fails while decoding' '
	broken decode bs-sae decode -m sae.safetensors --device=cuda few-codes.bs
'
finish
