# Which planted fault makes a concept stand out.
#
#     awk -f causes.awk causes.tsv list.tsv
#
# causes.tsv is a list of bs-rank(1) with the columns concept, model, delta, q:
# a faultless generator's pictures against the same pictures painted with one
# fault alone, the model, and with all of them, gen.  Each line of list.tsv
# (concept, side, ...; a line of names first) comes out with the fault that moves
# the concept furthest to this side, significantly so; with "several" where only
# all of them do; or with "-".
BEGIN { FS = OFS = "\t" }
FNR == 1 {
	if (NR != 1) print $0, "cause"
	next
}
NR == FNR {
	delta[$1, $2] = $3
	q[$1, $2] = $4
	if ($2 != "gen") fault[$2]
	next
}
{
	most = 0
	cause = moved($1, "gen", $2) > 0 ? "several" : "-"
	for (f in fault)
		if (moved($1, f, $2) > most) {
			most = moved($1, f, $2)
			cause = f
		}
	print $0, cause
}

function moved(concept, model, side) {
	return q[concept, model] > 0.05 ? 0 : (delta[concept, model] - 0.5) * (side == "suppressed" ? -1 : 1)
}
