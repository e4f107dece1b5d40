#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Several networks in one server, and their exchange on SIGHUP, driven by tests/serve_networks.py.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
needs_server

"$top_builddir/tests/make_small_network" small
"$top_builddir/tests/make_small_network" other 7
mkdir -p deep/small 'odd name'
cp small.fhola deep
cp small.fhola 'odd name/a b.fhola'
ln -s /dev/null .fhola
for case in "two networks called 'small'|small.fhola deep/small.fhola" "two networks called 'x'|x=small.fhola x=other.fhola" \
    "gives its network no name|.fhola" "gives its network no name|odd name/a b.fhola" "No such file|x=none.fhola" \
    "gives its network no name|small.fhola a/b=other.fhola"; do
    cases=$((cases + 1))
    code=0
    names=${case#*|}
    case $names in odd*) set -- "$names" ;; *) # shellcheck disable=SC2086
        set -- $names ;; esac
    timeout 300 "$fhola" serve "$@" --keys folder --listen 127.0.0.1:0 > out 2> err || code=$?
    { [ $code -ne 0 ] && grep -qFe "${case%%|*}" err; } || wrong "serve $names: exit code $code, $(cat err)"
done

# The unit among the examples says what the server understands; it stops at the tokens, which are not there.
cases=$((cases + 1))
command=$(sed -n 's/^ExecStart=[^ ]* //p' "$top_srcdir/nn/cmd/serve/fhola.service" | sed -e 's|/srv/fhola/resnet20|small|' -e 's|/var/lib/fhola/keys|folder|' -e 's|/etc/fhola/tokens|none|')
code=0
# shellcheck disable=SC2086
timeout 300 "$fhola" $command --listen 127.0.0.1:0 > out 2> err || code=$?
{ [ $code -eq 8 ] && grep -q 'none: No such file' err; } || wrong "$command: exit code $code, $(cat err)"

"$fhola" keygen small.client -d a > /dev/null
"$fhola" compile ./small.fhola -o wide.fhola --batch 2 -q
"$fhola" keygen other.client --secret a/secret.key -o other.key > /dev/null
"$fhola" encrypt a/secret.key "$top_srcdir/nn/data/cat.ppm" -o a.ct > /dev/null
"$fhola" encrypt other.key "$top_srcdir/nn/data/cat.ppm" -o other.ct > /dev/null
"$fhola" keygen wide.client -d w > /dev/null
"$fhola" encrypt w/secret.key "$top_srcdir/nn/data/cat.ppm" -o w.ct > /dev/null
cat w.ct w.ct > pair.ct
"$fhola" encrypt w/secret.key "$top_srcdir/nn/data/cat.ppm" "$top_srcdir/nn/data/ship.ppm" "$top_srcdir/nn/data/cat.ppm" -o packed.ct > /dev/null
for name in w pair packed; do "$fhola" infer wide.fhola w/eval.keys $name.ct -o $name.scores --quiet; done
"$fhola" infer small.fhola a/eval.keys a.ct -o a.scores --quiet
"$fhola" infer other.fhola a/eval.keys other.ct -o other.scores --quiet
cases=$((cases + 1))
timeout 3000 python3 "$top_srcdir/tests/serve_networks.py" "$fhola" || wrong 'networks'
verdict
