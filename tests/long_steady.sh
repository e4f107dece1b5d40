#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The time of a picture from outside: fhola infer on 11 pictures less on 1, over 10. Held against what fhola bench net says of ten pictures
# in a loaded process, whose memory may not grow.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
picture=$top_srcdir/nn/data/cat.ppm
TMPDIR=$work
export TMPDIR

seconds() # of a command
{
    begun=$(date +%s.%N)
    "$@" || fail "$1 $2: exit code $?"
    ended=$(date +%s.%N)
    echo "$begun $ended" | awk '{ printf "%.2f", $2 - $1 }'
}

"$fhola" compile resnet20 -o "$work/net.fhola"
"$fhola" keygen "$work/net.client" -d "$work"
pictures=
for i in 1 2 3 4 5 6 7 8 9 10 11; do pictures="$pictures $picture"; done
"$fhola" encrypt "$work/secret.key" "$picture" -o "$work/one"
# shellcheck disable=SC2086 # many words
"$fhola" encrypt "$work/secret.key" $pictures -o "$work/eleven"
one=$(seconds "$fhola" infer "$work/net.fhola" "$work/eval.keys" "$work/one" --quiet -o "$work/result.1")
eleven=$(seconds "$fhola" infer "$work/net.fhola" "$work/eval.keys" "$work/eleven" --quiet -o "$work/result.11")
cats=$("$fhola" decrypt "$work/secret.key" "$work/result.11" --top 1 --json | grep -c cat || :)
[ "$cats" -eq 11 ] || fail "$cats of 11 results say cat"

"$fhola" bench net --json --pictures 10 > "$work/bench" || fail "bench net: exit code $?"
tail -n 1 "$work/bench" | awk -v one="$one" -v eleven="$eleven" '
    function value(name) { return match($0, "\"" name "\": [0-9.]+") ? substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 4) + 0 : -1 }
    {
        outside = (eleven - one) / 10
        inside = value("seconds")
        grown = value("memory_after_mib") - value("memory_before_mib")
        printf "1 picture %.2f s, 11 pictures %.2f s: %.3f s a picture from outside, %.3f s from inside\n", one, eleven, outside, inside
        printf "peak %.0f MiB, grown by %.1f MiB over 10 pictures; predicted %.3f s\n", value("peak_mib"), grown, value("predicted_seconds")
        if (outside <= 0 || inside <= 0 || outside > 1.25 * inside || inside > 1.25 * outside) { print "FAIL: the two times differ"; exit 1 }
        if (grown > 1) { print "FAIL: memory grows"; exit 1 }
    }'
