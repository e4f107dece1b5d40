#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference that `make doc` makes has every function the library exports, each with a text; no comment names a function or a parameter that there is not.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
make=${MAKE:-make}
unset MAKEFLAGS MFLAGS MAKELEVEL
doxygen=$(sed -n 's/^DOXYGEN = *//p' "$top_builddir/Makefile")
if [ -z "$doxygen" ]; then
    echo 'SKIP: no Doxygen when configure ran (Debian: apt-get install doxygen)'
    exit 77
fi

# faults WARNINGS: those that are about functions or text. Types and members may go without.
faults()
{
    grep -vE -e ': (Member|Compound) .* is not documented\.$' "$1" || :
    grep -E -e ': Member .* \(function\) .* is not documented\.$' "$1" || :
}

"$make" -s -C "$top_builddir" doc ckks/fhola.map doc_folder="$work/doc" > "$work/log" 2>&1 || { cat "$work/log"; fail 'make doc'; }
faults "$work/doc/warnings" > "$work/faults"
if [ -s "$work/faults" ]; then
    cat "$work/faults"
    wrong 'comments of the public headers'
fi

# strangers HEADER: what its comments have in backticks, as names of parameters, and its declarations do not have.
strangers()
{
    awk '
        function take_code(text) { gsub(/[^A-Za-z0-9_]+/, " ", text); n = split(text, w, " "); while (n) known[w[n--]] = 1 }
        function take_comment(text) {
            while (match(text, /`[A-Za-z0-9_]+`/)) {
                named[substr(text, RSTART + 1, RLENGTH - 2)] = FNR
                text = substr(text, RSTART + RLENGTH)
            }
        }
        {
            rest = $0
            while (rest != "") {
                mark = index(rest, inside ? "*/" : "/*")
                part = mark ? substr(rest, 1, mark - 1) : rest
                if (inside) take_comment(part); else take_code(part)
                if (!mark) break
                inside = !inside
                rest = substr(rest, mark + 2)
            }
        }
        END { for (name in named) if (!(name in known)) print FILENAME ":" named[name] ": there is no " name }' "$1"
}
for header in $(sed -n 's/^INPUT += "\(.*\.h\)"$/\1/p' "$work/doc/Doxyfile"); do
    cases=$((cases + 1))
    found=$(strangers "$header")
    [ -z "$found" ] || wrong "$found"
done

# Functions have a title in the page of their header: <h2 class="memtitle">...</span>NAME()</h2>.
sed -n 's/^\([a-z].*\);$/\1/p' "$top_builddir/ckks/fhola.map" | LC_ALL=C sort -u > "$work/exported"
cat "$work"/doc/html/*.html | sed -n 's/^<h2 class="memtitle">.*<\/span>\([a-z0-9_]*\)()<\/h2>$/\1/p' | LC_ALL=C sort -u > "$work/described"
[ "$(wc -l < "$work/exported")" -gt 250 ] || wrong "only $(wc -l < "$work/exported") functions are exported"
cases=$(wc -l < "$work/exported")
if ! diff "$work/exported" "$work/described" > "$work/difference"; then
    cat "$work/difference"
    wrong 'exported, but not described (<); described, but not exported (>)'
fi

# The check notices what it must: a function without a comment, a link to nothing, a parameter that is none.
mkdir "$work/planted"
cat > "$work/planted/planted.h" << 'END'
/* SPDX-License-Identifier: Apache-2.0 */
/* A header. */
int ckks_mute(int x);

/* Does what ckks_gone did. */
int ckks_linked(int x);

/* The same for `y`. */
int ckks_wrong(int x);

int ckks_sound(int x); /* the absolute value of `x`, see ckks_linked */
END
{
    grep -v '^INPUT +=' "$work/doc/Doxyfile"
    echo "INPUT = \"$work/planted/planted.h\""
    echo "OUTPUT_DIRECTORY = \"$work/planted\""
    echo "WARN_LOGFILE = \"$work/planted/warnings\""
} > "$work/planted/Doxyfile"
"$doxygen" "$work/planted/Doxyfile" > /dev/null 2>&1 || :
for fault in 'ckks_mute.*not documented' 'ckks_gone.*could not be resolved'; do
    cases=$((cases + 1))
    faults "$work/planted/warnings" | grep -q "$fault" || { cat "$work/planted/warnings"; wrong "not noticed: $fault"; }
done
cases=$((cases + 1))
[ "$(strangers "$work/planted/planted.h")" = "$work/planted/planted.h:8: there is no y" ] || wrong 'not noticed: a parameter that is none'
cases=$((cases + 1))
if faults "$work/planted/warnings" | grep -q -e ckks_sound -e 'ckks_linked.*not documented'; then
    cat "$work/planted/warnings"
    wrong 'a fault in a sound comment'
fi
verdict
