#!/bin/sh
# Finds the Pythons of this machine that the project runs on (the least version is pyproject.toml's requires-python).
#
#   sh tools/python.sh FILE ARGUMENT...   run FILE with the default one: $PYTHON if given, else python3 if it is new
#                                         enough, else the newest found
#   sh tools/python.sh --list             their paths, the default one first, then the newest other one of each minor
#                                         version: beside Debian's 3.11.2 a 3.11.7 is another one
#
# A shell script, since a Python that is too old could not even read one of ours.
set -eu

least=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\)"$/\1/p' "$(dirname "$0")/../pyproject.toml")

# "MINOR MICRO PATH" of a program, if it is a finished Python 3 of a version that will do.
describe() {
    "$1" -c '
import sys
v = sys.version_info
if v[0] == 3 and v[1] >= int(sys.argv[1]) and (v[3] == "final" or sys.argv[2]):
    print("%d %d %s" % (v[1], v[2], sys.executable))
' "$least" "${2-}" 2>/dev/null || :
}

# Every other Python on PATH and under pyenv, newest first. What pyenv puts on PATH may not run: describe() drops it.
others() {
    (
        IFS=:
        for folder in $PATH; do
            for program in "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do
                [ ! -x "$program" ] || describe "$program"
            done
        done
    )
    for program in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/*/bin/python3; do
        [ ! -x "$program" ] || describe "$program"
    done
}

newest_first() { sort -k1,1nr -k2,2nr | awk '!seen[$1]++'; }

if [ -n "${PYTHON:-}" ]; then
    default=$(describe "$PYTHON" even-unfinished)
    [ -n "$default" ] || { echo "spiceemu needs Python 3.$least or newer, and PYTHON=$PYTHON is not one" >&2; exit 1; }
else
    default=$(describe python3)
    [ -n "$default" ] || default=$(others | newest_first | head -n 1)
    [ -n "$default" ] || {
        found=$(python3 -V 2>&1) || found="no python3"
        echo "spiceemu needs Python 3.$least or newer, and here is $found; name another with: make PYTHON=... VERB" >&2
        exit 1
    }
fi

case "${1:?what to run is missing}" in
--list)
    version=$(echo "$default" | cut -d ' ' -f -2)
    { echo "$default"; others | awk -v default="$version" '$1 " " $2 != default' | newest_first; } | cut -d ' ' -f 3-
    ;;
*)
    exec "$(echo "$default" | cut -d ' ' -f 3-)" "$@"
    ;;
esac
