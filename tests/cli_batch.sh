#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Batches from the command line: three pictures through a network that computes two at once, the last one alone in its group. Each gets the
# classes it gets by itself, in its order.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
"$top_builddir/tests/make_small_network" small

# classify NETWORK FOLDER: three pictures, with the lines of 'infer --json' in FOLDER/lines and the classes in FOLDER/classes.
classify()
{
    "$fhola" keygen "$1.client" -d "$2" -q
    for name in cat ship truck; do "$fhola" encrypt "$2/secret.key" "$top_srcdir/nn/data/$name.ppm"; done > "$2/pictures.ct" 2> "$2/err"
    "$fhola" infer "$1.fhola" "$2/eval.keys" "$2/pictures.ct" -o "$2/scores.ct" --json > "$2/lines" 2> "$2/err" ||
        wrong "infer $1: $(cat "$2/err")"
    "$fhola" decrypt "$2/secret.key" "$2/scores.ct" > "$2/classes" 2> "$2/err" || wrong "decrypt $1: $(cat "$2/err")"
    cases=$((cases + 1))
    [ "$(grep -Ec '^\{"picture": [123], "seconds": [0-9.]+\}$' "$2/lines")" -eq 3 ] || wrong "infer $1 --json: $(cat "$2/lines")"
    grep -q '^{"pictures": 3, ' "$2/lines" || wrong "infer $1 --json counts $(tail -n 1 "$2/lines")"
}
"$fhola" compile ./small.fhola -o two.fhola --batch 2 -q
"$fhola" compile ./two.fhola --dry-run --json | grep -q '^{"pictures": 2, ' || wrong 'compile of a network for two forgets them'
classify small one
classify two two

# Scores within 0.05 of those alone: 'decrypt --json' gives a list of them a picture.
for way in one two; do
    "$fhola" decrypt $way/secret.key $way/scores.ct --json 2> err | sed -e 's/[^0-9.e+-]\{1,\}/ /g' > $way/numbers
done
cases=$((cases + 1))
[ "$(wc -w < one/numbers)" -gt 9 ] || wrong "too few scores: $(cat one/numbers)"
paste -d ' ' one/numbers two/numbers | awk '
    NF % 2 { print "other numbers of values"; exit 1 }
    { for (i = 1; i <= NF / 2; i++) if (($i - $(i + NF / 2)) ^ 2 > 0.05 ^ 2) { print $i, "and", $(i + NF / 2); bad = 1 } }
    END { exit bad || NR < 1 }' || wrong 'other scores in a batch'

# Packed: the same three pictures in two containers, two and one. Each gets the scores it gets encrypted by itself, in its order.
"$fhola" encrypt two/secret.key "$top_srcdir/nn/data/cat.ppm" "$top_srcdir/nn/data/ship.ppm" "$top_srcdir/nn/data/truck.ppm" \
    -o packed.ct -q 2> err || wrong "encrypt packs: $(cat err)"
"$fhola" infer two.fhola two/eval.keys packed.ct -o packed.scores --json > lines 2> err || wrong "infer packs: $(cat err)"
"$fhola" decrypt two/secret.key packed.scores --json 2> err | tee packed.json | sed -e 's/[^0-9.e+-]\{1,\}/ /g' > packed.numbers
cases=$((cases + 3))
[ "$(wc -c < packed.ct)" -lt "$(($(wc -c < two/pictures.ct) * 3 / 4))" ] || wrong 'two packed pictures take more than one'
[ "$(wc -c < packed.scores)" -lt "$(($(wc -c < two/scores.ct) * 3 / 4))" ] || wrong 'two packed results take more than one'
grep -q '^{"pictures": 3, ' lines || wrong "infer of packs counts $(tail -n 1 lines)"
[ "$(grep -Ec '^\{"result": [123], ' packed.json)" -eq 3 ] || wrong "decrypt of packs: $(cat packed.json)"
paste -d ' ' two/numbers packed.numbers | awk '
    NF % 2 { print "other numbers of values"; exit 1 }
    { for (i = 1; i <= NF / 2; i++) if (($i - $(i + NF / 2)) ^ 2 > 0.05 ^ 2) { print $i, "and", $(i + NF / 2); bad = 1 } }
    END { exit bad || NR != 3 }' || wrong 'other scores when packed'

# --skip counts pictures: behind the pack of two comes the third one's result, bit for bit, and no pack is taken apart.
cases=$((cases + 2))
"$fhola" infer two.fhola two/eval.keys packed.ct -o rest.scores --skip 2 -q 2> err || wrong "--skip 2: $(cat err)"
tail -c "$(wc -c < rest.scores)" packed.scores | cmp -s - rest.scores || wrong '--skip 2: another result'
[ "$("$fhola" decrypt two/secret.key rest.scores --json 2> err | grep -c '"result"')" -eq 1 ] || wrong '--skip 2: not one result'
code=0
"$fhola" infer two.fhola two/eval.keys packed.ct -o x.scores --skip 1 > out 2> err || code=$?
[ $code -eq 3 ] && [ ! -e x.scores ] && grep -q 'pictures 1 to 2 are packed in one ciphertext: 0 or 2 can be skipped, not 1' err ||
    wrong "--skip 1: exit code $code, $(cat err)"

# A batch network refuses what no batch can be.
cases=$((cases + 1))
code=0
"$fhola" compile ./small.fhola -o x.fhola --batch 9 > out 2> err || code=$?
[ $code -eq 1 ] && [ ! -e x.fhola ] || wrong "--batch 9: exit code $code, $(cat err)"
verdict
