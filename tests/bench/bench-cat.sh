#!/bin/sh
# Gigabytes of features a second through a stage that changes nothing, beside
# cat(1) on the same bytes, best of five, taking turns.
#
#     bench-cat.sh FOLDER-OF-COMMANDS
set -eu
PATH=$1:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
images=2600 # 1.04 GB as 261 tokens of 768 halves

{
	printf '\223NUMPY\001\000\166\000'
	printf '%-117s\n' "{'descr': '<f2', 'fortran_order': False, 'shape': ($images, 261, 768), }"
	head -c $((images * 261 * 768 * 2)) /dev/urandom | tr '\174\175\176\177\374\375\376\377' '\60\61\62\63\260\261\262\263'
} >features.npy
bs-cat -o features.bs features.npy
rm features.npy
bytes=$(wc -c <features.bs)

# seconds 'script': its wall time
seconds () {
	start=$(date +%s%N)
	eval "$1"
	echo $(($(date +%s%N) - start))
}

for round in 1 2 3 4 5
do
	while IFS='	' read -r name script
	do
		printf '%s\t%s\n' "$name" "$(seconds "$script")"
	done <<-EOT
	cat | cat	cat features.bs | cat >/dev/null
	bs-cat	bs-cat <features.bs >/dev/null
	bs-cat | bs-cat	bs-cat <features.bs | bs-cat >/dev/null
	EOT
done | awk -F '\t' -v bytes="$bytes" '
	!($1 in best) || $2 < best[$1] { best[$1] = $2 }
	END { for (name in best) printf "%-20s %6.2f GB/s\n", name, bytes / best[name] }' | sort
