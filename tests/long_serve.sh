#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad weather for fhola serve, by tests/serve_storm.py: long_serve.sh [PART]..., by default all: storm, crowd, disk, kills, proxy. FHOLA may name
# the program of another build, with sanitizers.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
needs_server
"$top_builddir/tests/make_small_network" small
for client in a b; do
    "$fhola" keygen small.client -d $client --quiet
    "$fhola" encrypt $client/secret.key "$top_srcdir/nn/data/cat.ppm" -o $client.ct --quiet
    "$fhola" infer small.fhola $client/eval.keys $client.ct -o $client.scores --quiet
done
[ $# -gt 0 ] || set -- storm crowd disk kills proxy
# A disk of its own wants a name space of its own, which ends with the script.
alone=
if unshare -m true 2> /dev/null; then alone='unshare -m'; elif unshare -rm true 2> /dev/null; then alone='unshare -rm'; fi
# shellcheck disable=SC2086 # words
timeout 10000 $alone python3 "$top_srcdir/tests/serve_storm.py" "$fhola" "$@"
