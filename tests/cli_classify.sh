#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# classify with several pictures: names and results in their order, one picture after the other or two at once, with the same scores; and what
# inspect says of a network for two.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
"$top_builddir/tests/make_small_network" tiny tiny
"$fhola" compile ./tiny.fhola -o two.fhola --batch 2 -q
for name in cat ship truck; do cp "$top_srcdir/nn/data/$name.ppm" .; done

# classify NETWORK: lines of JSON in NETWORK.json, text in NETWORK.text
classify()
{
    "$fhola" classify cat.ppm ship.ppm truck.ppm --model ./$1.fhola --json > $1.json 2> err || wrong "classify with $1: $(cat err)"
    "$fhola" classify cat.ppm ship.ppm truck.ppm --model ./$1.fhola > $1.text 2> err || wrong "classify with $1: $(cat err)"
    cases=$((cases + 2))
    [ "$(sed -n 's/^{"picture": "\([a-z.]*\)", "class": "[a-j]", "top": .*, "seconds": .*}$/\1/p' $1.json | tr '\n' ' ')" = 'cat.ppm ship.ppm truck.ppm ' ] ||
        wrong "classify --json with $1: $(cat $1.json)"
    grep -x '[a-z]*\.ppm' $1.text | tr '\n' ' ' | grep -qx 'cat.ppm ship.ppm truck.ppm ' || wrong "classify with $1: $(cat $1.text)"
    [ "$(grep -c '^  a picture  *[0-9.]* s$' $1.text)" -eq 1 ] && [ "$(grep -c '^inference' $1.text)" -eq 1 ] || wrong "classify with $1: $(cat $1.text)"
    sed -e 's/.*"top": \[\(.*\)\], "seconds.*/\1/' -e 's/[^0-9.-]\{1,\}/ /g' $1.json > $1.numbers
}
classify tiny
classify two
cases=$((cases + 1))
[ "$(wc -w < tiny.numbers)" -eq 9 ] || wrong "scores: $(cat tiny.numbers)"
paste -d ' ' tiny.numbers two.numbers | awk '
    NF != 6 { print "other numbers of values"; exit 1 }
    { for (i = 1; i <= 3; i++) if (($i - $(i + 3)) ^ 2 > 0.05 ^ 2) { print $i, "and", $(i + 3); bad = 1 } }
    END { exit bad || NR != 3 }' || wrong 'other scores two at once'

# one picture has no heading
"$fhola" classify ship.ppm --model ./two.fhola > one.text 2> err || wrong "classify of one: $(cat err)"
cases=$((cases + 2))
! grep -q -e ppm -e 'a picture' one.text || wrong "classify of one: $(cat one.text)"
code=0
"$fhola" classify cat.ppm none.ppm --model ./tiny.fhola > out 2> err || code=$?
[ $code -eq 8 ] && [ ! -s out ] && grep -q '^fhola classify: input/output error: none.ppm: ' err || wrong "a picture that is missing: exit code $code, $(cat out err)"

for file in two.fhola two.client; do
    cases=$((cases + 1))
    "$fhola" inspect $file | grep -q '^  batch  *2$' && "$fhola" inspect --json $file | grep -q '"batch": 2,' || wrong "inspect $file: $("$fhola" inspect $file)"
done
"$fhola" inspect --json tiny.client | grep -q '"batch": 1,' || wrong 'inspect tiny.client: another batch'
verdict
