#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody else's weights, from the file to the decrypted class, with the program alone: profile, plan, compile, keygen, encrypt, infer,
# decrypt. Each step that takes long must show progress on a terminal; all of them together must stay below 15 minutes.
#
# The weights: those of the bundled network named by FHOLA_TEST_MODEL (default resnet20) under other names and without metadata. Pictures:
# data_batch_1.bin in the folder FHOLA_DATA. FHOLA_TEST_FITTED: records fitted to (default 4000); FHOLA_TEST_DEPTH: total depth.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
model=${FHOLA_TEST_MODEL:-resnet20}
fitted=${FHOLA_TEST_FITTED:-4000}
depth=${FHOLA_TEST_DEPTH:-63}
normalisation='--mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616'
PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$top_srcdir/nn/models:$top_srcdir/tests
export PYTHONDONTWRITEBYTECODE PYTHONPATH model

if [ ! -r "${FHOLA_DATA:-}/data_batch_1.bin" ]; then
    echo 'SKIP: FHOLA_DATA names no folder with data_batch_1.bin'
    exit 77
fi
for tool in python3 script; do
    if ! command -v $tool > /dev/null 2>&1; then
        echo "SKIP: no $tool"
        exit 77
    fi
done
cd "$work"
start=$(date +%s)

# step NAME PROGRESS COMMAND: runs COMMAND on a terminal of its own; what it shows must hold PROGRESS (a basic regular expression).
step()
{
    before=$(date +%s)
    script -qec "$3" screen > /dev/null < /dev/null || fail "$1: $(cat screen)"
    grep -q "$2" screen || fail "$1 shows no progress: $(cat screen)"
    echo "$1: $(($(date +%s) - before)) s, progress: $(tr '\r' '\n' < screen | grep "$2" | sed -n '2{s/.\[K//;p;}')"
}

python3 - << 'END'
import os
from export import read_safetensors, save
from foreign import rename
save("mine.safetensors", rename(read_safetensors(f"{os.environ['top_srcdir']}/nn/models/{os.environ['model']}.safetensors")))
END
printf '%s\n' plane car bird cat deer dog frog horse ship lorry > names.txt
head -c $((3073 * fitted)) "$FHOLA_DATA/data_batch_1.bin" > fitted.bin
tail -c +$((3073 * 8000 + 1)) "$FHOLA_DATA/data_batch_1.bin" > held.bin

step profile 'fhola profile: [a-z]* [0-9]* of' "$fhola profile ./mine.safetensors fitted.bin -o mine.profile $normalisation"
step plan 'fhola plan: fit [0-9]* of' \
    "$fhola plan ./mine.safetensors mine.profile fitted.bin --heldout held.bin --depth $depth -o mine.plan $normalisation"
"$fhola" compile ./mine.safetensors mine.plan -o mine.fhola $normalisation --classes names.txt
step keygen 'key [0-9]* of' "$fhola keygen mine.client -d keys"
"$fhola" encrypt keys/secret.key "$top_srcdir/nn/data/horse.ppm" -o horse.ct
step infer 'layer [0-9]* of' "$fhola infer mine.fhola keys/eval.keys horse.ct -o scores.ct"
"$fhola" decrypt keys/secret.key scores.ct --json | tee result
seconds=$(($(date +%s) - start))
echo "all steps: $seconds s"
grep -q '^{"class": "horse"' result || fail 'the horse is no horse'
[ $seconds -lt 900 ] || fail "$seconds s is more than 15 minutes"
