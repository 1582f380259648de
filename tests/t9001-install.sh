#!/bin/sh
# Install into an empty prefix, use what was installed, take it away again.
. "${0%/*}/lib.sh"

make_ () { make -C "$BS_SRC" -s SAN="${BS_SAN:-}" "$@"; }

ok 'install puts commands, pages and completions in their places' '
	make_ install DESTDIR="$PWD/root" PREFIX=/usr >log 2>&1 || { cat log; exit 1; }
	cd root
	for cmd in $(cd "$BS_SRC/cmd" && ls bs-*.c | sed "s/\.c$//")
	do
		test -x usr/bin/$cmd && test -f usr/share/man/man1/$cmd.1
		test -f usr/share/bash-completion/completions/$cmd
		test -f usr/share/fish/vendor_completions.d/$cmd.fish
	done
	test -f usr/share/man/man5/bs-stream.5 && test -f usr/share/man/man7/bs.7
	test -f usr/share/zsh/site-functions/_bs
'
ok 'an installed command runs from there' '
	PATH=$PWD/root/usr/bin:/usr/bin:/bin bs-cat --version | grep -q "^bs-cat "
'
ok 'uninstall leaves no file' '
	make_ uninstall DESTDIR="$PWD/root" PREFIX=/usr >log 2>&1
	find root -type f >left && test ! -s left || { cat left; exit 1; }
'
if test -d "$BS_SRC/.git" && git -C "$BS_SRC" rev-parse HEAD >/dev/null 2>&1
then
	ok 'lint is clean' 'make_ lint >log 2>&1 || { cat log; exit 1; }'
else
	skip 'lint: not a git checkout'
fi
finish
