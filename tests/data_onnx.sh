#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Third-party networks in ONNX on real data: the scores that 'fhola eval --scores' writes for the first 100 records are those of
# onnxruntime within 1e-3 of their deviation, and the accuracy on the first 2,000 is what it found.
# What the environment says: onnx_networks.sh.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/onnx_networks.sh"

# like NAME PERCENT: the network on its data
like()
{
    name=$1
    percent=$2
    cases=$((cases + 1))
    network "$name"
    # Lists of words.
    # shellcheck disable=SC2086
    "$fhola" eval "$model" $judged $options --count 2000 --scores found --json > summary || { wrong "$name: eval"; return; }
    grep -q "\"exact_accuracy\": $percent," summary || wrong "$name: $(cat summary), not $percent"
    [ "$(wc -l < found)" -eq 2000 ] || wrong "$name: $(wc -l < found) lines of scores"
    # a row of numbers a record, ours behind theirs
    tr -d ' ' < "$networks/$name.scores.json" | sed -e 's/\],\[/\n/g' | tr -d '[]' | tr , ' ' > wanted.rows
    head -n 100 found | sed -e 's/.*"scores": \[//' -e 's/\].*//' -e 's/,//g' > found.rows
    paste -d ' ' wanted.rows found.rows | awk -v name="$name" '
        {
            n = NF / 2
            for (i = 1; i <= n; i++) {
                count++; sum += $i; square += $i * $i
                difference = $i - $(n + i)
                error += difference ^ 2
                if (difference ^ 2 > worst) worst = difference ^ 2
            }
        }
        END {
            deviation = count ? sqrt(square / count - (sum / count) ^ 2) : 0
            if (NR != 100 || count < 1000 || deviation == 0) { print name ": not 100 records to compare"; exit 1 }
            printf "%s: error %.2g of the deviation, worst %.2g\n", name, sqrt(error / count) / deviation, sqrt(worst) / deviation
            exit !(sqrt(worst) / deviation < 1e-3)
        }' || wrong "$name: other scores than onnxruntime's"
}
like cifar10_resnet_2b 69.85
like cifar10_base_kw 59.05
like cifar10_deep_kw 55.35
like cifar10_small_nhwc 62.9
like mnist_conv_avgpool 98.2
like mnist_fc_256x4 99.2
like mnist_relu_9_200 95.7
verdict
