# fish completion for the bs commands: each command is asked for its options.
function __bs_options -a cmd condition
    for line in ($argv[3..] --list-options 2>/dev/null)
        set -l field (string split \t -- $line)
        set -l spec -c $cmd -l (string replace -r '^--' '' -- $field[2]) -d $field[5]
        test -n "$condition"; and set -a spec -n $condition
        test -n "$field[1]"; and set -a spec -s (string replace -r '^-' '' -- $field[1])
        if test -n "$field[4]"
            set -a spec -x -a (string replace -a '|' ' ' -- $field[4])
        else if test -n "$field[3]"
            set -a spec -r
        end
        complete $spec
    end
end
for cmd in bs-cat bs-cooc bs-embed bs-energy bs-fetch bs-gen bs-rank
    command -q $cmd; and __bs_options $cmd '' $cmd
end
# bs-sae has commands of its own.
if command -q bs-sae
    for line in (bs-sae --list-commands)
        set -l field (string split \t -- $line)
        complete -c bs-sae -n __fish_use_subcommand -f -a $field[1] -d $field[2]
        __bs_options bs-sae "__fish_seen_subcommand_from $field[1]" bs-sae $field[1]
    end
end
