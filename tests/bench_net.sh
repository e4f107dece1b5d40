#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fhola bench net: the members of its lines, the stages sum to the whole, and the work is the same on one thread and on two.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
TMPDIR=$work
export TMPDIR

number='[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?'
costs="\"predicted_seconds\": $number, \"transform_floor_seconds\": ($number|null), \"memory_floor_seconds\": $number, \"ntt\": [0-9]+, "
costs="$costs\"key_switches\": [0-9]+, \"key_bytes\": [0-9]+, \"plain_products\": [0-9]+, \"plain_bytes\": [0-9]+, \"products\": [0-9]+"
stage="^\\{\"layer\": [0-9]+, \"stage\": \"[a-z_]+\", \"stage_seconds\": $number, $costs\\}\$"
total="^\\{\"model\": \"resnet20\", \"threads\": [12], \"isa\": \"[a-z0-9]+\", \"seconds\": $number, $costs, \"predicted_by_kind\": "
total="$total\\{.*\\}, \"pictures\": 1, \"batch\": 1, \"seconds_per_picture\": $number, \"first_seconds\": $number, \"picture_seconds\": \\[$number\\], "
total="$total\"keys_mib\": $number, \"plaintexts_mib\": $number, \"workspace_mib\": $number, \"peak_mib\": $number, .*"
total="$total\"startup_seconds\": $number, \"keygen_seconds\": $number, \"class\": \"cat\"\\}\$"

for threads in 2 1; do
    out=$work/$threads
    "$fhola" bench net --json --threads $threads > "$out" || fail "$threads threads: exit code $?"
    [ "$(sed '$d' "$out" | grep -cvE "$stage")" -eq 0 ] || fail "a line is no stage: $(sed '$d' "$out" | grep -vE "$stage" | head -n 1)"
    tail -n 1 "$out" | grep -qE "$total" || fail "the last line is no total: $(tail -n 1 "$out")"
    # 19 layers of 6 stages and the scores
    [ "$(wc -l < "$out")" -eq $((19 * 6 + 2)) ] || fail "$(wc -l < "$out") lines"
    awk -F'[:,]' '
        function value(name,    i) { for (i = 1; i < NF; i++) if ($i ~ "[{ ]\"" name "\"") return $(i + 1) + 0; return -1 }
        BEGIN { n = split("ntt key_switches key_bytes plain_products plain_bytes products", count, " ") }
        /^{"layer"/ { seconds += value("stage_seconds"); for (i = 1; i <= n; i++) sum[i] += value(count[i]) }
        /^{"model"/ {
            whole = value("seconds")
            if (seconds > 1.001 * whole || seconds < 0.98 * whole) print "stages take " seconds " of " whole " s"
            for (i = 1; i <= n; i++) if (sum[i] != value(count[i]) || sum[i] == 0) print count[i] ": " sum[i] " in the stages, not " value(count[i])
        }' "$out" > "$work/wrong"
    [ ! -s "$work/wrong" ] || fail "$(cat "$work/wrong")"
    grep -oE '"(layer|stage|ntt|key_switches|key_bytes|plain_products|plain_bytes|products)": [^,}]*' "$out" > "$work/counts.$threads"
done
cmp "$work/counts.1" "$work/counts.2" || fail 'the work depends on the number of threads'
# Two pictures at once.
"$fhola" bench net --json --batch 2 > "$work/batch" || fail "a batch: exit code $?"
tail -n 1 "$work/batch" | grep -qE "\"pictures\": 1, \"batch\": 2, .*\"class\": \"cat\"\}\$" || fail "of a batch: $(tail -n 1 "$work/batch")"
[ -z "$(find "$work" -name 'fhola-bench-*')" ] || fail 'files were left behind'
