#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ResNet-32 encrypted: layer by layer and score by score against its plaintext polynomial network on the ten bundled pictures, then the
# program on one of them, within 6 GiB.
set -eu
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
top_builddir=${top_builddir:-$top_srcdir}
models=$top_srcdir/nn/models
FHOLA_TEST_MODEL=$models/resnet32.safetensors
FHOLA_TEST_PLAN=$models/resnet32.plan
FHOLA_TEST_RECORDS=${FHOLA_TEST_RECORDS:-0}
export top_srcdir FHOLA_TEST_MODEL FHOLA_TEST_PLAN FHOLA_TEST_RECORDS
"$top_builddir/tests/long_network"

result=$("$top_builddir/fhola" classify --model resnet32 --json "$top_srcdir/nn/data/ship.ppm")
echo "$result"
case $result in
    *'"class": "ship"'*) ;;
    *) echo 'FAIL: the ship is no ship'; exit 1 ;;
esac
peak=$(echo "$result" | sed -n 's/.*"peak_mib": \([0-9]*\).*/\1/p')
if [ "$peak" -gt 6144 ]; then
    echo "FAIL: $peak MiB are more than 6 GiB"
    exit 1
fi
