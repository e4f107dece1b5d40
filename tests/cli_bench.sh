#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shape of what `fhola bench` prints: JSON lines with the members the manual names, one for each table and size, and no times held
# against anything.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"

number='[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?'
positive="($number|null)"
line="^\\{\"name\": \"[a-z_0-9]+\", \"isa\": \"(portable|avx2|avx512f|avx512ifma|none)\", \"threads\": [1-9][0-9]*, \"n\": [1-9][0-9]*, "
line="$line\"prime_bits\": [0-9]+, \"hot\": (true|false), \"median_us\": $number, \"min_us\": $number, \"kcycles\": $number, "
line="$line\"gb_per_s\": $positive, \"ratio\": $positive\\}\$"

# shape FILE COUNT [LINE]: COUNT lines, all of that shape (or of LINE), the shortest time not above the median, no time of zero.
shape()
{
    [ "$(wc -l < "$1")" -eq "$2" ] || wrong "$1: $(wc -l < "$1") lines, not $2"
    if grep -vE "${3:-$line}" "$1"; then wrong "$1: a line is no figure"; fi
    awk -F'[:,]' '{
        for (i = 1; i < NF; i++) {
            if ($i ~ /"median_us"/) median = $(i + 1)
            if ($i ~ /"min_us"/) least = $(i + 1)
        }
        if (!(least > 0 && least <= median)) print
    }' "$1" > "$work/wrong"
    [ ! -s "$work/wrong" ] || wrong "$1: $(cat "$work/wrong")"
}

# Every table is there, the portable one as many times as any other, with ratio 1.
"$fhola" bench ntt --json --log-n 10 --bits 30 > "$work/ntt.json"
tables=$(grep -o '"isa": "[a-z0-9]*"' "$work/ntt.json" | sort -u | grep -vc none)
shape "$work/ntt.json" $((2 + 6 * tables))
for name in ntt_forward ntt_inverse ntt_forward_3; do
    for hot in true false; do
        found=$(grep "\"name\": \"$name\"" "$work/ntt.json" | grep -c "\"hot\": $hot" || :)
        [ "$found" -eq "$tables" ] || wrong "$name, hot $hot: $found figures for $tables tables"
    done
done
found=$(grep '"isa": "portable"' "$work/ntt.json" | grep -c '"ratio": 1}' || :)
[ "$found" -eq 6 ] || wrong "$found of 6 figures of the portable table are 1 of themselves"
found=$(grep -c '"name": "memory_copy", "isa": "none"' "$work/ntt.json" || :)
[ "$found" -eq 2 ] || wrong "$found figures of a memory copy"

# One figure, one table.
"$fhola" bench keyswitch --json --log-n 10 --bits 48 --only inner_product_r --isa portable --threads 2 > "$work/one.json"
shape "$work/one.json" 2
[ "$(grep -c '"threads": 2, "n": 1024, "prime_bits": 48' "$work/one.json")" -eq 2 ] || wrong "not what was asked for: $(cat "$work/one.json")"

# Both rings and all prime sizes by default; the same as a table for people.
"$fhola" bench ntt --only memory_copy --json > "$work/copies.json"
shape "$work/copies.json" 16
"$fhola" bench ntt --only memory_copy > "$work/copies.text"
[ "$(wc -l < "$work/copies.text")" -eq 17 ] || wrong "the table has $(wc -l < "$work/copies.text") lines"

# One bootstrap and its stages, of fewer values than slots, on one table.
"$fhola" bench bootstrap --params toy-boot --log-values 7 --complex --isa portable --json > "$work/bootstrap.all"
sed '$d' "$work/bootstrap.all" > "$work/bootstrap.json"
shape "$work/bootstrap.json" 5
tail -n 1 "$work/bootstrap.all" | grep -Eq "^\{\"name\": \"bootstrap_result\", \"isa\": \"portable\", \"threads\": [0-9]+, \"params\": \"toy-boot\", \"values\": 128, \"complex\": true, \"arcsine_levels\": 0, \"us_per_value\": $number, \"precision_bits\": [1-9][0-9.]+, \"levels\": [0-9]+, \"keys\": [0-9]+, \"key_bytes\": [0-9]+\}\$" ||
    wrong "the result of a bootstrap: $(tail -n 1 "$work/bootstrap.all")"
# as precise as the toy ring is, of real values and of complex ones: more than 8 bits
"$fhola" bench bootstrap --params toy-boot --isa portable > "$work/out"
for result in "$work/bootstrap.all" "$work/out"; do
    sed -n -e 's/.*"precision_bits": \([0-9]*\).*/\1/p' -e 's/^  precision  *\([0-9]*\)\..*/\1/p' "$result" | awk '$1 > 8 { fine = 1 } END { exit !fine }' || wrong "precision: $(cat "$result")"
done
# The values themselves, and fewer levels left.
levels=$(sed -n 's/^  levels afterwards *//p' "$work/out")
"$fhola" bench bootstrap --params toy-boot --isa portable --identity 2 > "$work/identity" || wrong "bench bootstrap --identity: exit code $?"
awk '/^  precision / && $2 > 6 { fine = 1 } END { exit !fine }' "$work/identity" && grep -q "^  levels afterwards  *$((levels - 2))\$" "$work/identity" &&
    grep -q ', to themselves by an arcsine of 2 levels, portable' "$work/identity" || wrong "bench bootstrap --identity: $(cat "$work/identity")"
# The table of bench/compare, without the other library.
log_n=$("$fhola" params toy-boot --json | sed 's/.*"log_n": \([0-9]*\).*/\1/')
FHOLA=$fhola PARAMS=toy-boot LOG_N=$log_n LOG_VALUES=7 ARCSINE=2 THREADS=1 "$top_srcdir/bench/compare/compare.sh" none > "$work/table" || wrong "compare.sh: exit code $?"
[ "$(grep -Ec "^fhola [0-9.]+, (portable|avx2|avx512f|avx512ifma) +2\\^$log_n +128( +[0-9]+\.[0-9]+){4} +$((levels - 2)) +[0-9.]+\$" "$work/table")" -eq "$tables" ] ||
    wrong "compare.sh: $(cat "$work/table")"
if FHOLA=$fhola PARAMS=toy-boot LOG_N=12 LOG_VALUES=7 ARCSINE=2 THREADS=1 "$top_srcdir/bench/compare/compare.sh" none > "$work/table" 2>&1; then
    wrong "compare.sh takes another ring: $(cat "$work/table")"
fi
grep -Eq '^bootstrap of 2\^[0-9]+ real values, toy-boot, portable, [0-9]+ thread' "$work/out" && grep -Eq '^  a value +[0-9.]+ us$' "$work/out" || wrong "bench bootstrap: $(cat "$work/out")"

# The plaintext engine: every instruction set of the machine, the portable one with ratio 1; one of them; the same for people.
plain_line="^\\{\"name\": \"[a-z_0-9]+\", \"isa\": \"(portable|avx2|avx512f)\", \"threads\": [1-9], \"in\": [0-9]+, \"out\": [0-9]+, "
plain_line="$plain_line\"kernel\": [13], \"stride\": [12], \"side\": [0-9]+, \"median_us\": $number, \"min_us\": $number, "
plain_line="$plain_line\"gmac_per_s\": $number, \"ratio\": $number\\}\$"
"$fhola" bench plain --json > "$work/plain.json"
sets=$(grep -o '"isa": "[a-z0-9]*"' "$work/plain.json" | sort -u | wc -l)
shape "$work/plain.json" $((5 * sets)) "$plain_line"
for name in convolve_3_16 convolve_16_16 convolve_32_32 convolve_64_64 project_16_32; do
    found=$(grep "\"name\": \"$name\"" "$work/plain.json" | grep -c '"isa": "portable".*"ratio": 1.000}' || :)
    [ "$found" -eq 1 ] || wrong "$name: $found portable figures with ratio 1: $(cat "$work/plain.json")"
done
"$fhola" bench plain --json --isa portable --threads 2 --only project > "$work/plain.json"
shape "$work/plain.json" 1 "$plain_line"
grep -q '"threads": 2, "in": 16, "out": 32, "kernel": 1, "stride": 2, "side": 32' "$work/plain.json" || wrong "not what was asked for: $(cat "$work/plain.json")"
"$fhola" bench plain --only convolve_16 > "$work/plain.text"
[ "$(wc -l < "$work/plain.text")" -eq $((1 + sets)) ] || wrong "the table has $(wc -l < "$work/plain.text") lines"

# A table of costs, measured for one degree of a set from a file, beside another one's sets, is one that plans count with: of pictures of noise.
models=$top_srcdir/nn/models
"$fhola" params R15 --spec > "$work/my.set"
cd "$work"
"$fhola" bench --calibrate --params ./my.set --max-degree 3 --repeat 1 --machine 'one "two"' --keep "$models/cost.json" -o "$work/cost.json" > "$work/out" 2>&1
grep -Eq '/cost.json  [0-9]+ KB  the table of costs, for .fhola plan --cost.$' "$work/out" && [ "$(wc -l < "$work/out")" -eq 1 ] || wrong "--calibrate: $(cat "$work/out")"
grep -Eq '"isa": "(portable|avx2|avx512f|avx512ifma)"' "$work/cost.json" || wrong "--calibrate: no kernel: $(head -n 3 "$work/cost.json")"
grep -q '"machine": "one \\"two\\""' "$work/cost.json" || wrong "--calibrate: another machine: $(cat "$work/cost.json")"
grep -q '"params": "./my.set", "estimated": false, "degrees": \[3\],' "$work/cost.json" || wrong "--calibrate: another set: $(cat "$work/cost.json")"
grep -q '"params": "R16"' "$work/cost.json" || wrong "--calibrate: nothing kept: $(cat "$work/cost.json")"
for i in 0 1 2 3 4 5 6 7; do
    printf "\\00$i"
    tail -c $((3072 * (i + 1))) "$models/resnet20.safetensors" | head -c 3072
done > "$work/noise.bin"
"$fhola" plan resnet20 "$work/noise.bin" --budget 1000 --params ./my.set --cost "$work/cost.json" -o "$work/plan" > "$work/out" 2>&1 || wrong "plan: $(cat "$work/out")"
grep -q 'degrees 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3$' "$work/out" || wrong "plan: $(cat "$work/out")"
found=0
"$fhola" plan resnet20 "$work/noise.bin" --budget 0.01 --params ./my.set --cost "$work/cost.json" -o "$work/plan2" > "$work/out" 2>&1 || found=$?
[ $found -ne 0 ] && [ ! -f "$work/plan2" ] || wrong "a layer cost nothing: $(cat "$work/cost.json")"

# Wrong use.
for arguments in "" "abacus" "plain plain" "--calibrate" "ntt --calibrate -o x" "--calibrate -o x --repeat 0" "ntt --bits 51" "ntt --log-n 9" "ntt --threads 0" "ntt --bits" "ntt 15" "ntt --bits 30.5" "ntt --isa abacus" "net --batch 9"; do
    found=0
    # shellcheck disable=SC2086
    "$fhola" bench $arguments > "$work/out" 2> "$work/err" || found=$?
    [ $found -eq 1 ] || wrong "bench $arguments: exit code $found, not 1"
    [ ! -s "$work/out" ] || wrong "bench $arguments: something on standard output"
    grep -q '^fhola bench: ' "$work/err" || wrong "bench $arguments: $(cat "$work/err")"
done
for arguments in "keyswitch --only rotate --params abacus" "--calibrate -o x --params abacus"; do
    found=0
    # shellcheck disable=SC2086
    "$fhola" bench $arguments --json > "$work/out" 2> "$work/err" || found=$?
    [ $found -eq 3 ] || wrong "bench $arguments: exit code $found, not 3"
    grep -q 'abacus' "$work/err" || wrong "bench $arguments: $(cat "$work/err")"
done
found=0
"$fhola" bench bootstrap --params toy-boot --log-values 11 --json > "$work/out" 2> "$work/err" || found=$?
[ $found -eq 3 ] || wrong "more values than slots: exit code $found, not 3"
grep -q '2^11 values' "$work/err" || wrong "more values than slots: $(cat "$work/err")"
verdict
