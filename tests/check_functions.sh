#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No function of ckks/, ola/ and nn/ has more than 45 lines between its braces, but for those named here with the reason. Every parallel
# region of the scheme has the context's number of threads.
set -eu
top=${top_srcdir:-$(dirname "$0")/..}
most=45

# Of each exception the file, the function and why.
exceptions='
ckks/kernel/avx512ifma.c plain_range keeps its sums in registers over all its loops
'

# long_functions TREE: "FILE FUNCTION LINES" of each that is too long. The braces of functions stand alone at the beginning of a line
# (.clang-format).
long_functions()
{
    (cd "$1" && find ckks ola nn -name '*.[ch]' | LC_ALL=C sort | xargs awk -v most="$most" '
        FNR == 1 { begin = 0; head = "" }
        /^{$/ { begin = FNR }
        /^}$/ && begin {
            name = head
            sub(/\(.*/, "", name)
            sub(/.*[^A-Za-z0-9_]/, "", name)
            if (FNR - begin - 1 > most) print FILENAME, name, FNR - begin - 1
            begin = 0
        }
        /^[A-Za-z].*\(/ && !begin { head = $0 }')
}

# unreasoned EXCEPTIONS: what long_functions prints and no exception names, and exceptions that name nothing long.
unreasoned()
{
    awk -v exceptions="$1" '
        BEGIN {
            for (n = split(exceptions, line, "\n"); n; n--)
                if (split(line[n], w, " ") > 2) reason[w[1] " " w[2]] = 1
        }
        ($1 " " $2) in reason { delete reason[$1 " " $2]; next }
        { print $1 ": " $2 " has " $3 " lines" }
        END { for (name in reason) print "no long function: " name }'
}

# First that the check itself notices what it must, and nothing else.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/ckks" "$scratch/ola" "$scratch/nn"
function_of() # NAME LINES
{
    printf 'static int %s(int a,\n               int b)\n{\n' "$1"
    yes '    a += b;' | head -n "$2"
    printf '}\n'
}
{ function_of short $most; function_of long $((most + 1)); } > "$scratch/nn/a.c"
function_of reasoned $((2 * most)) > "$scratch/ckks/b.h"
found=$(long_functions "$scratch" | unreasoned 'ckks/b.h reasoned it is a table
ola/c.c gone once long
nn/a.c long')
if [ "$found" != "nn/a.c: long has 46 lines
no long function: ola/c.c gone" ]; then
    echo "check_functions.sh does not count: $found"
    exit 1
fi

found=$(long_functions "$top" | unreasoned "$exceptions")
if [ -n "$found" ]; then
    echo "$found"
    echo "A function beyond $most lines falls apart along its own comments, or is named with its reason in tests/check_functions.sh."
    exit 1
fi

# teamless TREE: parallel regions that OpenMP gives its own number of threads.
teamless()
{
    (cd "$1" && find ckks/ring ckks/scheme ckks/circuit -name '*.[ch]' | LC_ALL=C sort |
        xargs grep -n 'pragma omp parallel' | grep -v -e 'num_threads(ckks_context_threads(' -e 'num_threads(threads)' || :)
}
mkdir "$scratch/ckks/ring" "$scratch/ckks/scheme" "$scratch/ckks/circuit"
echo '#pragma omp parallel for schedule(static)' > "$scratch/ckks/ring/a.c"
echo '#pragma omp parallel for num_threads(ckks_context_threads(c))' > "$scratch/ckks/scheme/b.c"
if [ "$(teamless "$scratch" | grep -c .)" -ne 1 ]; then
    echo "check_functions.sh does not see parallel regions"
    exit 1
fi
found=$(teamless "$top")
if [ -n "$found" ]; then
    echo "$found"
    echo "A parallel region takes its number of threads from the context: num_threads(ckks_context_threads(c))."
    exit 1
fi
