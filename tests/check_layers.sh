#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The layers of the project, enforced twice: no source file includes a header of a layer above its own, and no object uses a function or
# table of a layer above its own, or, in ckks/ and ola/, of one that uses it in turn. ARCHITECTURE.md explains the order.
set -eu
top=${top_srcdir:-$(dirname "$0")/..}

# Height of a file or object of ckks/: status, memory and files in the making, kernels, then the floors; measuring stands beside the upper floors.
floors='
    function floor(path,    part)
    {
        if (path ~ /^ckks\/(status|alloc|clock|output|wipe)\.[a-z]+$/) return 0
        split(path, part, "/")
        if (part[2] in height) return height[part[2]]
        print path ": not on any floor; give it a place in tests/check_layers.sh"
        return 99
    }
    BEGIN {
        split("kernel ring scheme circuit measure", storey, " ")
        for (i = 1; i in storey; i++) height[storey[i]] = i
    }'

# violations TREE: one line per forbidden include below TREE.
violations()
{
    (cd "$1" && find ckks ola nn -name '*.[ch]' | LC_ALL=C sort | xargs grep -nE '^[ 	]*#[ 	]*include[ 	]*"' /dev/null) | awk -v tree="$1" "$floors"'
    BEGIN {
        split("base graph plain planner encrypted party measure", story, " ")
        for (i = 1; i in story; i++) level[story[i]] = i
    }
    function exists(path,    line, found)
    {
        found = (getline line < (tree "/" path)) >= 0
        close(tree "/" path)
        return found
    }
    # Floor of a file of nn/ other than nn.h, and of the program above them all.
    function level_of(path)
    {
        if (path !~ /^nn\/[a-z]*\//) return 99
        sub(/^nn\//, "", path)
        sub(/\/.*/, "", path)
        return path in level ? level[path] : 99
    }
    function allowed(from, to)
    {
        if (to == "ckks/status.h") return 1
        if (to == "ckks/output.h" && from ~ /^nn\/base\//) return 1
        if (from == "ckks/ckks.h" || from == "ola/ola.h" || from == "nn/nn.h") return 0
        if (from ~ /^ckks\//)
            return to == "ckks/ckks.h" ? floor(from) > 1 : to ~ /^ckks\// && floor(to) <= floor(from)
        if (from ~ /^ola\//) return to ~ /^ola\//
        # the program sees public names, and what measures
        if (from ~ /^nn\/cmd\//)
            return to ~ /^nn\/(cmd|measure)\// || to == "ckks/measure/measure.h" || to == "ckks/ckks.h" || to == "ola/ola.h" || to == "nn/nn.h"
        if (to == "ckks/measure/measure.h") return from ~ /^(ckks|nn)\/measure\//
        if (to == "nn/nn.h" || to == "ola/ola.h") return 1
        # files are wiped and written by what ckks/ has for it
        if (from == "nn/base/file.c" && (to == "ckks/ckks.h" || to == "ckks/output.h")) return 1
        if (to == "ckks/ckks.h") return level_of(from) >= level["encrypted"]
        # a client description is part of both
        if (from == "nn/encrypted/network.h" && to == "nn/party/client.h") return 1
        return level_of(to) <= level_of(from)
    }
    {
        from = $0
        sub(/:.*/, "", from)
        where = $0
        sub(/:[^:]*$/, "", where)
        name = $0
        sub(/^[^"]*"/, "", name)
        sub(/".*/, "", name)
        folder = from
        sub(/[^\/]*$/, "", folder)
        to = ""
        if (exists(folder name)) to = folder name
        else if (exists(name)) to = name
        else if (exists("ckks/" name)) to = "ckks/" name
        if (to == "") print where ": \"" name "\" does not exist"
        else if (to ~ /\.\./) print where ": \"" name "\" is not relative to the top folder"
        else if (!allowed(from, to)) print where ": " from " must not include " to
    }'
}

# symbols BUILD: "D file symbol" for what an object defines, "U file symbol" for what it uses. Objects whose source is gone are left out.
symbols()
{
    (cd "$1" && find ckks ola -name '*.lo') | LC_ALL=C sort | while read -r object; do
        folder=${object%/*} name=${object##*/}
        name=${name%.lo}
        source=$folder/${name#*_la-}.c
        [ -f "$top/$source" ] || continue
        file=$1/$folder/.libs/$name.o
        [ -f "$file" ] || file=$1/$folder/$name.o
        ${NM:-nm} -P "$file" | awk -v source="$source" '$2 == "U" { print "U", source, $1 } $2 ~ /^[A-TV-Z]$/ { print "D", source, $1 }'
    done
}

# uses: who uses whom, "user used symbol", of the output of symbols.
uses()
{
    awk '$1 == "D" { home[$3] = $2 } { line[NR] = $0 }
        END { for (i = 1; i <= NR; i++) { split(line[i], w, " "); if (w[1] == "U" && w[3] in home && home[w[3]] != w[2]) print w[2], home[w[3]], w[3] } }'
}

# tangles: one line per use of a higher floor, and one for each file of a circle, of the output of uses.
tangles()
{
    cat > "$scratch/uses"
    awk "$floors"'
        $1 ~ /^ckks/ && $2 ~ /^ckks/ && floor($1) < floor($2) { print $1 " must not use " $3 " of " $2 }
        $1 ~ /^ola/ && $2 ~ /^ckks/ && $2 != "ckks/status.c" || $1 ~ /^ckks/ && $2 ~ /^ola/ { print $1 " must not use " $3 " of " $2 }
    ' "$scratch/uses"
    # Kernels know the portable table, which holds what they do not do themselves.
    awk '{ print $1, $2 }' "$scratch/uses" | sort -u | { tsort 2>&1 > /dev/null || true; } | sed -n 's/^tsort: \(.*\.c\)$/a circle: \1/p'
}

# First that the check itself notices what it must, and nothing else.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/ckks/kernel" "$scratch/ckks/ring" "$scratch/ckks/scheme" "$scratch/ckks/circuit" "$scratch/ola" "$scratch/nn/cmd" \
    "$scratch/nn/graph" "$scratch/nn/encrypted" "$scratch/nn/planner" "$scratch/nn/plain" "$scratch/ckks/measure" "$scratch/nn/measure"
for header in ckks/status.h ckks/ckks.h ckks/measure/measure.h ckks/ring/rns.h ckks/circuit/bootstrap.h ckks/kernel/kernel.h ola/ola.h nn/nn.h nn/graph/model.h \
    nn/plain/plain.h nn/planner/plan.h; do
    : > "$scratch/$header"
done
echo '#include "ckks/ring/rns.h"' > "$scratch/ckks/circuit/bootstrap.c"
echo '#include "ckks/ckks.h"' > "$scratch/nn/encrypted/network.c"
echo '#include "nn/plain/plain.h"' > "$scratch/nn/planner/plan.c"
for source in ckks/measure/bench.c nn/measure/session.c nn/cmd/bench.c; do
    echo '#include "ckks/measure/measure.h"' > "$scratch/$source"
done
if [ -n "$(violations "$scratch")" ]; then
    echo "check_layers.sh objects to a correct tree:"
    violations "$scratch"
    exit 1
fi
echo '#include "ckks/circuit/bootstrap.h"' > "$scratch/ckks/ring/rns.c"
echo ' # include "ckks/ckks.h"' > "$scratch/ckks/kernel/portable.c"
echo '#include "ckks/ckks.h"' > "$scratch/ola/fit.c"
echo '#include "ckks/ring/rns.h"' > "$scratch/nn/encrypted/infer.c"
echo '#include "nn/graph/model.h"' > "$scratch/nn/cmd/main.c"
echo '#include "ckks/ckks.h"' > "$scratch/nn/nn.h"
echo '#include "ckks/ckks.h"' > "$scratch/nn/graph/model.c"
echo '#include "nn/planner/plan.h"' > "$scratch/nn/plain/trace.c"
echo '#include "nn/plain/plain.h"' > "$scratch/nn/graph/graph.c"
echo '#include "ckks/nowhere.h"' > "$scratch/ckks/scheme/encode.c"
for source in ckks/circuit/polyeval.c nn/encrypted/linear.c; do
    echo '#include "ckks/measure/measure.h"' > "$scratch/$source"
done
if [ "$(violations "$scratch" | wc -l)" -ne 12 ]; then
    echo "check_layers.sh misses a violation; found only:"
    violations "$scratch"
    exit 1
fi
sound='ckks/scheme/keys.c ckks/ring/poly.c ckks_poly_lay
ckks/scheme/evaluate.c ckks/scheme/keys.c ckks_eval_keys_find
ola/fit.c ckks/status.c fhola_fail'
upward='ckks/scheme/params.c ckks/circuit/polyeval.c ckks_polynomial_depth'
circle='ckks/scheme/keys.c ckks/scheme/evaluate.c ckks_rotate'
if [ -n "$(echo "$sound" | tangles)" ] || [ "$(printf '%s\n' "$sound" "$upward" | tangles | wc -l)" -ne 1 ] ||
    [ "$(printf '%s\n' "$sound" "$circle" | tangles | wc -l)" -ne 2 ]; then
    echo "check_layers.sh does not see what objects use"
    exit 1
fi

# plant SOURCE CODE: an object as libtool leaves it, of a file that there is.
plant()
{
    folder=$scratch/objects/${1%/*} name=${1##*/}
    mkdir -p "$folder/.libs"
    : > "$folder/libplanted_la-${name%.c}.lo"
    echo "$2" > "$scratch/planted.c"
    ${CC:-cc} -c -o "$folder/.libs/libplanted_la-${name%.c}.o" "$scratch/planted.c"
}
# planted LINES: these objects make as many lines.
planted()
{
    symbols "$scratch/objects" > "$scratch/symbols"
    found=$(uses < "$scratch/symbols" | tangles)
    if [ "$(echo "$found" | grep -c .)" -ne "$1" ]; then
        echo "check_layers.sh does not see what planted objects use: $found"
        exit 1
    fi
}
if [ -n "${top_builddir-}" ]; then
    plant ckks/ring/poly.c 'int ckks_lay(void); int ckks_lay(void) { return 1; }'
    plant ckks/scheme/keys.c 'int ckks_lay(void); int ckks_find(void); int ckks_find(void) { return ckks_lay(); }'
    plant ckks/scheme/evaluate.c 'int ckks_find(void); int ckks_turn(void); int ckks_turn(void) { return ckks_find(); }'
    planted 0
    plant ckks/scheme/keys.c 'int ckks_turn(void); int ckks_find(void); int ckks_find(void) { return ckks_turn(); }'
    planted 2
    plant ckks/scheme/keys.c 'int ckks_find(void); int ckks_find(void) { return 1; }'
    plant ckks/ring/poly.c 'extern int (*ckks_table)(void); int ckks_lay(void); int ckks_lay(void) { return ckks_table(); }'
    plant ckks/scheme/params.c 'int (*ckks_table)(void) = 0;'
    planted 1
fi

found=$(violations "$top")
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi

[ -n "${top_builddir-}" ] || exit 0
symbols "$top_builddir" > "$scratch/symbols"
for source in ckks/scheme/params.c ckks/circuit/bootstrap.c ola/remez.c; do
    grep -q "^D $source " "$scratch/symbols" || { echo "no symbols of $source"; exit 1; }
done
found=$(uses < "$scratch/symbols" | tangles)
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
