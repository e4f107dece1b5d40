#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# infer --skip: the results of the last pictures are what they are in the whole; what is finished when a picture fails stays, and --skip goes on
# behind it.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
. "$top_srcdir/tests/five_pictures.sh"

"$fhola" infer tiny.fhola eval.keys five.ct --skip 3 --json -o end.ct > out 2> err || wrong "infer --skip 3: $(cat err)"
head -c $(($(wc -c < whole.ct) * 3 / 5)) whole.ct | cat - end.ct | cmp -s - whole.ct || wrong 'infer --skip 3: other results'
[ "$(sed 's/"seconds": [0-9.]*/S/' out | tr '\n' ' ')" = '{"picture": 4, S} {"picture": 5, S} {"pictures": 2, S, "files": [{"file": "end.ct", "bytes": '"$(wc -c < end.ct)"'}]} ' ] ||
    wrong "infer --skip 3 --json: $(cat out)"
rm -f end.ct
cases=$((cases + 2))
fails 7 'fhola infer: malformed data: no encrypted picture is behind those to be skipped$' "$fhola" infer tiny.fhola eval.keys five.ct --skip 5 -o end.ct
fails 7 'fhola infer: malformed data: 5 pictures arrived, 6 were to be skipped$' "$fhola" infer tiny.fhola eval.keys five.ct --skip 6 -o end.ct
[ ! -e end.ct ] || wrong 'a file without results'

# What is finished stays when a picture fails: here a result in place of the second one.
head -c $(($(wc -c < whole.ct) / 5)) whole.ct > first.ct
cat cat.ct first.ct ship.ct > odd.ct
fails 4 'fhola infer: level mismatch: odd.ct: chunk 2 ' "$fhola" infer tiny.fhola eval.keys odd.ct -o part.ct
grep -q '^fhola infer: part.ct has the 1 result that was finished$' err && grep -q '^fhola infer: --skip 1 goes on behind them$' err ||
    wrong "a picture that fails: $(cat err)"
cmp -s part.ct first.ct || wrong 'a picture that fails leaves other results'


# The two commands of fhola-infer(1): the results are those of the whole, once the picture that failed is replaced.
cat cat.ct ship.ct truck.ct > mended.ct
"$fhola" infer tiny.fhola eval.keys mended.ct --skip 1 -o rest.ct -q || wrong 'infer --skip 1'
cat part.ct rest.ct > all.ct
cases=$((cases + 1))
head -c $(($(wc -c < whole.ct) * 3 / 5)) whole.ct | cmp -s - all.ct || wrong 'other results in two parts'
"$fhola" version | grep -q '^MPI  *yes' ||
    fails 3 'fhola infer: invalid parameter: mpirun has started 2 processes, but this program was built without MPI' env OMPI_COMM_WORLD_SIZE=2 \
        "$fhola" infer tiny.fhola eval.keys mended.ct -o x.ct
verdict
