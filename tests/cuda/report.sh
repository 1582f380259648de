#!/bin/sh
# report.sh - what ptxas says of the kernels: report.sh build/cuda/kernels/*.ptxas
#
# The version, then a line for each kernel and architecture: registers of a thread, bytes of
# static shared memory of a block, of stack of a thread, of spilled registers.
sed -n 's/.*release \([0-9.]*\),.*/# nvcc \1/p;T;q' "$1"
printf 'kernel\tarch\tregisters\tshared\tstack\tspills\n'
cat "$@" | tr -d "'," | awk '
	/Compiling entry function/ { name = $7; sub(/^bs_/, "", name); arch = $9 }
	/bytes stack frame/ { stack = $1; spills = $5 + $9 }
	/Used [0-9]+ registers/ {
		shared = 0
		for (i = 3; i <= NF; i++)
			if ($i == "smem") shared = $(i - 2)
		printf "%s\t%s\t%d\t%d\t%d\t%d\n", name, arch, $5, shared, stack, spills
	}' | LC_ALL=C sort
