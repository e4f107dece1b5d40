#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The layers of the project, enforced: no source file includes a header of a layer above its own. ARCHITECTURE.md explains the order.
set -eu
top=${top_srcdir:-$(dirname "$0")/..}

# violations TREE: one line per forbidden include below TREE.
violations()
{
    (cd "$1" && find ckks ola nn -name '*.[ch]' | LC_ALL=C sort | xargs grep -nE '^[ 	]*#[ 	]*include[ 	]*"' /dev/null) | awk -v tree="$1" '
    BEGIN {
        split("elementary ntt fft chacha20 sample params gaussian bench cost | context workspace | poly rns | ciphertext encode keys encrypt | keyswitch evaluate | " \
              "lintrans polyeval | bootstrap | container file", word, " ")
        layer = 2
        for (i = 1; i in word; i++)
            if (word[i] == "|") layer++
            else rank[word[i]] = layer
        split("base graph plain planner encrypted party", floor, " ")
        for (i = 1; i in floor; i++) level[floor[i]] = i
    }
    function exists(path,    line, found)
    {
        found = (getline line < (tree "/" path)) >= 0
        close(tree "/" path)
        return found
    }
    # Layer of a file of ckks/ other than ckks.h: 0 status, memory, files in the making, 1 kernels, then the table above.
    function height(path,    name)
    {
        if (path ~ /^ckks\/(status|alloc|output)\.[ch]$/) return 0
        if (path ~ /^ckks\/kernel\//) return 1
        name = path
        sub(/^ckks\//, "", name)
        sub(/\.[ch]$/, "", name)
        if (name in rank) return rank[name]
        print path ": not in any layer; give it a place in tests/check_layers.sh"
        return 99
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
            return to == "ckks/ckks.h" ? height(from) > 1 : to ~ /^ckks\// && height(to) <= height(from)
        if (from ~ /^ola\//) return to ~ /^ola\//
        if (from ~ /^nn\/cmd\//) return to ~ /^nn\/cmd\// || to == "ckks/ckks.h" || to == "ola/ola.h" || to == "nn/nn.h"
        if (to == "nn/nn.h" || to == "ola/ola.h") return 1
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

# First that the check itself notices what it must, and nothing else.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/ckks/kernel" "$scratch/ola" "$scratch/nn/cmd" "$scratch/nn/graph" "$scratch/nn/encrypted" \
    "$scratch/nn/planner" "$scratch/nn/plain"
for header in ckks/status.h ckks/ckks.h ckks/rns.h ckks/bootstrap.h ckks/kernel/kernel.h ola/ola.h nn/nn.h nn/graph/model.h nn/plain/plain.h \
    nn/planner/plan.h; do
    : > "$scratch/$header"
done
echo '#include "ckks/rns.h"' > "$scratch/ckks/bootstrap.c"
echo '#include "ckks/ckks.h"' > "$scratch/nn/encrypted/network.c"
echo '#include "nn/plain/plain.h"' > "$scratch/nn/planner/plan.c"
if [ -n "$(violations "$scratch")" ]; then
    echo "check_layers.sh objects to a correct tree:"
    violations "$scratch"
    exit 1
fi
echo '#include "bootstrap.h"' > "$scratch/ckks/rns.c"
echo ' # include "ckks/ckks.h"' > "$scratch/ckks/kernel/portable.c"
echo '#include "ckks/ckks.h"' > "$scratch/ola/fit.c"
echo '#include "ckks/rns.h"' > "$scratch/nn/encrypted/infer.c"
echo '#include "nn/graph/model.h"' > "$scratch/nn/cmd/main.c"
echo '#include "ckks/ckks.h"' > "$scratch/nn/nn.h"
echo '#include "ckks/ckks.h"' > "$scratch/nn/graph/model.c"
echo '#include "nn/planner/plan.h"' > "$scratch/nn/plain/trace.c"
echo '#include "nn/plain/plain.h"' > "$scratch/nn/graph/graph.c"
echo '#include "ckks/nowhere.h"' > "$scratch/ckks/encode.c"
if [ "$(violations "$scratch" | wc -l)" -ne 10 ]; then
    echo "check_layers.sh misses a violation; found only:"
    violations "$scratch"
    exit 1
fi

found=$(violations "$top")
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
