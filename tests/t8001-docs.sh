#!/bin/sh
# Man pages, --help and the completions say the same, and the examples run.
. "${0%/*}/lib.sh"

cmds=$(cd "$BS_SRC/cmd" && ls bs-*.c | sed 's/\.c$//')
# A page bs-sae-encode is that of "bs-sae encode".
pages=$(cd "$BS_SRC/man" && ls *.1 | sed 's/\.1$//')

for page in "$BS_SRC"/man/*.[157]
do
	ok "${page##*/}: mandoc has nothing to say" '
		mandoc -Tlint -W warning "$page" >lint 2>&1 || { cat lint; exit 1; }
		test ! -s lint || { cat lint; exit 1; }
	'
done

# A folder as the man pages' examples expect it.
mkdir examples && cp -R "$BS_SRC/tests/sample" examples/photos
cp -R "$BS_SRC/tests/golden/dinov2/registers" examples/dinov2
cp -RL "$BS_SRC/tests/golden/gen/pipeline" examples/sd15
cp -R "$BS_SRC/tests/golden/gen/steer" examples/steer
cp "$BS_SRC/tests/golden/sae/registers.safetensors" examples/sae.safetensors
cp "$BS_SRC/tests/golden/sae/registers.safetensors" examples/other.safetensors
cp "$BS_SRC/tests/golden/sae-import/released.safetensors" examples/RA-SAE-DINOv2-32k.safetensors
cp -R "$BS_SRC/tests/golden/sae-import/sparsify" examples/sparsify
cp "$BS_SRC/tests/golden/rank/energy.bs" "$BS_SRC/tests/golden/rank/real.codes.bs" examples
cp "$BS_SRC/tests/golden/rank/gen.codes.bs" examples/sd15.codes.bs
cp examples/sd15.codes.bs examples/dpo.codes.bs
(cd examples && bs-fetch photos/ >real.bs && cp real.bs sd15.bs && bs-embed -m dinov2/ <real.bs >features.bs &&
	bs-sae encode -m sae.safetensors <features.bs >codes.bs) 2>setup.err

for name in $pages
do
	page=$BS_SRC/man/$name.1
	cmd=$name
	for c in $cmds
	do
		case $name in "$c"-*) cmd="$c ${name#"$c"-}";; esac
	done
	ok "$cmd: every option is in its page, by both names" '
		$cmd --list-options >opts
		mandoc -Tascii "$page" | col -bx >text
		while IFS= read -r line
		do
			short=$(printf "%s\n" "$line" | cut -f 1)
			long=$(printf "%s\n" "$line" | cut -f 2)
			case $long in --no-*) continue;; esac
			name=${long#--}
			grep -qE -e "--(\[no-\])?$name([^a-z-]|$)" text || { echo "missing: $long"; exit 1; }
			test -z "$short" || grep -qF -e "$short" text || { echo "missing: $short"; exit 1; }
		done <opts
	'
	ok "$cmd: the page names no option that is not there" '
		$cmd --list-options | cut -f 2 >known
		mandoc -Tascii "$page" | col -bx | sed -n "/^DESCRIPTION/,/^EXIT STATUS/p" |
			grep -oE "^ +(-[A-Za-z], )?--[a-z0-9-]+" | grep -oE -e "--[a-z0-9-]+" | sort -u >named
		while read -r name
		do
			grep -qx -e "$name" known || { echo "not an option: $name"; exit 1; }
		done <named
	'
	ok "$cmd: name and synopsis are those of --help" '
		$cmd --help >help
		mandoc -Tascii -Owidth=1000 "$page" | col -bx >text
		brief=$(sed -n "2s/^$cmd - //p" help)
		grep -qF "$brief" text || { echo "NAME lacks: $brief"; exit 1; }
		usage=$(sed -n "1s/^usage: //p" help)
		sed -n "/^SYNOPSIS/,/^DESCRIPTION/p" text | tr -s " " | sed "s/^ //" >synopsis
		grep -qxF "$usage" synopsis || { echo "wanted: $usage"; cat synopsis; exit 1; }
	'
	ok "$cmd: its examples run" '
		test ! -s setup.err || cat setup.err
		sed -n "s/^\.Dl \\$ //p" "$page" | sed "s/\\\\e/\\\\/g; s/\\\\&//g; s/\\\\-/-/g" >ex
		test -s ex
		cp -R examples run && cd run && sh -e ../ex >/dev/null
	'
done

ok 'bs.7: its examples run' '
	sed -n "s/^\.Dl \\$ //p" "$BS_SRC/man/bs.7" | sed "s/\\\\e/\\\\/g; s/\\\\&//g; s/\\\\-/-/g" >ex
	test -s ex
	cp -R examples run && cd run && sh -e ../ex >/dev/null
'
ok 'bash: option names and values are completed' '
	cat >try.bash <<-EOT
	. "$BS_SRC/completions/bs.bash"
	compopt () { :; }
	COMP_WORDS=(bs-embed --tok) COMP_CWORD=1; _bs bs-embed; echo "\${COMPREPLY[@]}"
	COMP_WORDS=(bs-embed --tokens = p) COMP_CWORD=3; _bs bs-embed; echo "\${COMPREPLY[@]}"
	COMP_WORDS=(bs-cat --no-prov) COMP_CWORD=1; _bs bs-cat; echo "\${COMPREPLY[@]}"
	EOT
	bash try.bash >got
	printf "%s\n" "--tokens=" "patch" "--no-provenance" | diff - got
'
for shell in zsh fish
do
	file=$BS_SRC/completions/_bs
	test $shell = zsh || file=$BS_SRC/completions/bs.fish
	if command -v $shell >/dev/null
	then
		ok "$shell: the completion parses" '$shell -n "$file"'
	else
		skip "$shell is not installed"
	fi
done
if command -v fish >/dev/null
then
	ok 'fish: option names and values are completed' '
		HOME=$PWD fish -c "source $BS_SRC/completions/bs.fish; complete -C \"bs-embed --tok\"" | grep -q -e "--tokens"
		HOME=$PWD fish -c "source $BS_SRC/completions/bs.fish; complete -C \"bs-embed --tokens \"" | grep -q "^patch"
	'
fi
ok 'every command is in bs.7, README and the completions' '
	for cmd in $cmds
	do
		for file in man/bs.7 README.md completions/bs.bash completions/_bs completions/bs.fish
		do
			grep -q "$cmd" "$BS_SRC/$file" || { echo "$file lacks $cmd"; exit 1; }
		done
	done
'
finish
