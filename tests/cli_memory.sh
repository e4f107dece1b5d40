#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# infer --memory: the same result within less memory, a line that says so, and an error where it cannot be.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
small_picture

member()
{
    printf '%.2f' "$("$fhola" inspect --json small.fhola | sed "s/.*\"$1\": \([0-9.]*\).*/\1/")"
}
most=$(member memory_gib)
least=$(member least_gib)
awk "BEGIN { exit !($least > 0.1 && $least < $most) }" || wrong "memory from $least to $most GiB"

little=$(awk "BEGIN { print $least + 0.006 }") # both are rounded

# all there is room for
"$fhola" infer small.fhola eval.keys picture.ct -o scores.ct --memory 1000 > /dev/null 2> err || wrong 'infer'
[ ! -s err ] || wrong "infer with 1000 GiB said: $(cat err)"
# no room for a diagonal, or nearly
"$fhola" infer small.fhola eval.keys picture.ct -o less.ct --memory "$little" > /dev/null 2> err ||
    wrong "infer with little memory: $(cat err)"
cmp scores.ct less.ct || wrong 'other results with less memory'
grep -q '^fhola infer: [0-9.]* GiB of memory: not all weights stay encoded' err || wrong "infer with little memory said: $(cat err)"
"$fhola" infer small.fhola eval.keys picture.ct -o less.ct --memory "$little" -q > /dev/null 2> err
[ ! -s err ] || wrong "infer -q said: $(cat err)"

expect 2 "$fhola" infer small.fhola eval.keys picture.ct -o none.ct --memory 0.05 << END
fhola infer: out of memory: the network needs $least GiB of memory without any encoded weights (keys, ciphertexts and its largest layer), 0.05 are there
END
"$fhola" classify cat.ppm --memory 0.1 > out 2> err && wrong 'classify within 0.1 GiB'
grep -q '^fhola classify: out of memory: the network needs [0-9.]* GiB' err || wrong "classify within 0.1 GiB said: $(cat err)"
verdict
