# fish completion for the bs commands: each command is asked for its options.
for cmd in bs-cat bs-embed bs-fetch
    command -q $cmd; or continue
    for line in ($cmd --list-options 2>/dev/null)
        set -l field (string split \t -- $line)
        set -l spec -c $cmd -l (string replace -r '^--' '' -- $field[2]) -d $field[5]
        test -n "$field[1]"; and set -a spec -s (string replace -r '^-' '' -- $field[1])
        if test -n "$field[4]"
            set -a spec -x -a (string replace -a '|' ' ' -- $field[4])
        else if test -n "$field[3]"
            set -a spec -r
        end
        complete $spec
    end
end
