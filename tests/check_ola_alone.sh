#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The approximation layer by itself: the example of fhola(3), compiled with the files of ola/ and the status codes, nothing else.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
mkdir "$work/fhola"
cp "$top_srcdir/ola/ola.h" "$top_srcdir/ckks/status.h" "$work/fhola"
awk '/^\.Bd -literal/ { block = ""; next }
    /^\.Ed/ { if (block ~ /<fhola\/ola.h>/) printf "%s", block; next }
    { gsub(/\\e/, "\\"); block = block $0 "\n" }' "$top_srcdir/man/fhola.3" > "$work/example.c"
${CC:-cc} -std=c11 -O1 -ffp-contract=off -Wall -Wextra -Werror -I"$work" -I"$top_srcdir" -I"$top_srcdir/ckks" -o "$work/example" \
    "$work/example.c" "$top_srcdir"/ola/*.c "$top_srcdir/ckks/status.c" -lm
"$work/example" > "$work/out"
cat "$work/out"
# The wider layer gets what the narrow one does not need.
grep -Eqx 'layer 0: degree 3, rms error 0\.[0-9]{4}, constant [0-9]+\.[0-9]{4}' "$work/out"
grep -Eqx 'layer 1: degree 15, rms error 0\.[0-9]{4}, constant [0-9]+\.[0-9]{4}' "$work/out"
grep -qx '6 levels' "$work/out"
