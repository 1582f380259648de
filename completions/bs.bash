# bash completion for the bs commands: each command is asked for its options,
# so this file needs no change when one is added.
_bs ()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local short long arg values help name command=("$1")

	COMPREPLY=()
	# bs-sae has commands of its own: "bs-sae encode".
	if [[ $1 == *bs-sae ]]; then
		if (( COMP_CWORD == 1 )); then
			COMPREPLY=($(compgen -W "$("$1" --list-commands 2>/dev/null | cut -f 1)" -- "$cur"))
			return
		fi
		command+=("${COMP_WORDS[1]}")
	fi
	# "--device=cpu" arrives as three words; look behind the '='.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	while IFS=$'\x1f' read -r short long arg values help; do
		if [[ -n $values && ( $prev == "$long" || $prev == "$short" ) ]]; then
			COMPREPLY=($(compgen -W "${values//|/ }" -- "$cur"))
			return
		fi
		if [[ $cur == -* ]]; then
			name=$long${arg:+=}
			[[ $name == "$cur"* ]] && COMPREPLY+=("$name")
			[[ -n $short && $short == "$cur" ]] && COMPREPLY+=("$short")
		fi
	done < <("${command[@]}" --list-options 2>/dev/null | tr '\t' '\037')
	[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
	return 0
}
complete -o default -F _bs bs-cat bs-cooc bs-embed bs-energy bs-fetch bs-gen bs-rank bs-sae
