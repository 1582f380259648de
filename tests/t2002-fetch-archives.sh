#!/bin/sh
# bs-fetch: tar and zip in every wrapping, captions beside, damage, hostile names.
. "${0%/*}/lib.sh"

heads () { zstd -dcq "$1" | grep -ao '{"__metadata__":{[^}]*}'; }
keys () { heads "$1" | sed -n 's/.*"key":"\([^"]*\)".*/\1/p'; }

cp -R "$BS_SRC/tests/sample" photos && rm photos/*.py
(cd photos && tar --sort=name --owner=0 --group=0 --mtime=@0 --format=pax -cf ../photos.tar *)
bs-fetch photos/ >want.bs
zip () { perl -MIO::Compress::Zip=zip,:constants -e '
	my ($out, @in) = @ARGV;
	zip(\@in => $out, BinModeIn => 1) or die $IO::Compress::Zip::ZipError;' "$@"; }

ok 'an archive gives the records that its folder gives' '
	bs-fetch photos.tar 2>err | cmp - want.bs && test ! -s err
	bs-fetch - <photos.tar | cmp - want.bs && cat photos.tar | bs-fetch -T 1 - | cmp - want.bs
'
ok 'in any compression, whatever its name' '
	for how in "gzip -c" "zstd -qc" "xz -c" "bzip2 -c" "gzip -c photos.tar | zstd -qc"
	do
		command -v ${how%% *} >/dev/null || continue
		case $how in *\|*) eval "$how" >blob;; *) $how photos.tar >blob;; esac
		bs-fetch blob | cmp - want.bs && bs-fetch - <blob | cmp - want.bs
	done
'
ok 'archives in a row are one' '
	(cd photos && tar --sort=name -cf ../1.tar landscapes && tar --sort=name -cf ../2.tar still-life textiles town)
	cat 1.tar 2.tar >both.tar && bs-fetch both.tar | cmp - want.bs
	gzip -k 1.tar 2.tar && cat 1.tar.gz 2.tar.gz | bs-fetch - | cmp - want.bs
'
ok 'zip: from its directory, and streamed' '
	(cd photos && zip ../photos.zip $(find * -type f | LC_ALL=C sort))
	bs-fetch photos.zip | cmp - want.bs && cat photos.zip | bs-fetch - | cmp - want.bs
'
ok 'captions that are no neighbours are counted and told' '
	(cd photos && tar -cf ../apart.tar town/houses.png town/skyline.jpg town/houses.txt town/skyline.json)
	bs-fetch apart.tar >o.bs 2>err && says "warning: 2 candidates: 2 ok; 2 captions do not stand beside" err
	! heads o.bs | grep "\"caption\"" && bs-fetch --no-captions apart.tar >o.bs 2>err && test ! -s err
'
ok 'folders, links and other members are passed over' '
	mkdir m && cp photos/town/houses.png m/a.png && ln m/a.png m/b.png && ln -s a.png m/c.png
	mkfifo m/d.png && mkdir m/.x && cp m/a.png m/.x && echo >m/__index__
	tar --sort=name -cf m.tar m && bs-fetch m.tar >o.bs && test "$(keys o.bs)" = m/a
'
ok 'hostile names only make keys' '
	cp photos/town/houses.png x.png && tar -cPf h.tar --transform "s|x.png|../../etc/x.png|" x.png
	tar -rPf h.tar --transform "s|x.png|/abs/x.png|" x.png
	tar -rPf h.tar --transform "s|x.png|$(printf "c\033[2J")/x.png|" x.png
	bs-fetch h.tar >o.bs 2>err && test ! -s err
	test "$(keys o.bs | tr "\n" " ")" = "__/__/etc/x abs/x c__2J/x "
	heads o.bs | sed -n 1p | grep -q bs.kind && ! heads o.bs | grep "$(printf "\033")"
'
ok 'names of any length and script' '
	mkdir n && cp x.png "n/$(printf "%0200d" 1).png" && cp x.png "n/$(printf "\346\227\245").png" && cp x.png "n/$(printf "\377").png"
	for format in gnu pax
	do
		tar --sort=name --format=$format -cf n.tar n && bs-fetch n.tar >o.bs
		test "$(keys o.bs | tail -n 2 | tr "\n" " ")" = "n/___ n/_ "
		heads o.bs | grep -q "\"orig_key\":\"n/$(printf "\346\227\245")\""
	done
'
ok 'cut at any place: 65, no end' '
	tar --sort=name -C photos -cf small.tar textiles && size=$(wc -c <small.tar)
	for wrap in cat "gzip -c" "zstd -qc"
	do
		$wrap <small.tar >whole && n=$(wc -c <whole)
		for at in 1 511 512 513 $((n / 4)) $((n / 2)) $((n * 3 / 4))
		do
			head -c $at whole >cut.tar && exits 65 bs-fetch cut.tar >o.bs 2>err
			test $(wc -l <err) -eq 1 && { ! test -s o.bs || ! zstd -dcq o.bs | grep -a bs.records; }
		done
	done
'
ok 'cut between two members: 65, but for --allow-partial' '
	size=$(($(tar -tvRf small.tar | sed -n "s/^block \([0-9]*\): .* textiles.plaid.png$/\1/p") * 512))
	head -c $size small.tar >cut.tar && exits 65 bs-fetch cut.tar >o.bs 2>err
	says "^bs-fetch: archive .cut.tar. does not say that it ends: it may be cut$" err
	bs-fetch --allow-partial cut.tar >o.bs 2>err && says "warning: .*1 archive may be cut" err
'
ok 'a cut zip, one with a wrong checksum, one with a passphrase' '
	head -c $(($(wc -c <photos.zip) - 5)) photos.zip >cut.zip && exits 65 bs-fetch cut.zip >o.bs 2>err
	says "no directory of members: the zip archive is cut" err
	head -c 1000 photos.zip | { exits 65 bs-fetch - >o.bs 2>err; } && test $(wc -l <err) -eq 1
	cp photos.zip crc.zip && printf junk | dd of=crc.zip bs=1 seek=5000 conv=notrunc 2>/dev/null
	exits 65 bs-fetch crc.zip >o.bs 2>err && says "^bs-fetch: cannot read .crc.zip.: member 2 .landscapes/balloons.webp.: " err
'
ok 'a member that unpacks to more than the limit is too large, not too much memory' '
	mkdir z && head -c 200000000 /dev/zero >z/a.png && cp x.png z/b.png && tar --sort=name -cf - z | zstd -qc >bomb && rm -r z
	(ulimit -v 400000; test -n "${BS_SAN:-}" || bs-fetch --log=log bomb >o.bs 2>err)
	test -n "${BS_SAN:-}" || { grep -q too_large log && test "$(keys o.bs)" = z/b; }
'
ok 'an archive without pictures is 65' '
	tar -cf t.tar photos/town/houses.txt && exits 65 bs-fetch t.tar >o.bs 2>err && says "no images in .t.tar." err
'
finish
