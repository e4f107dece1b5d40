#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Third-party networks in ONNX from the file to decrypted scores, by the program alone: profile, plan, compile, keygen, encrypt, infer,
# decrypt. The polynomial network loses at most half a point on 2,000 records, and ten encrypted records have its scores within 2 % of
# their deviation, and its class wherever two scores are not nearer to each other than that. Prints a row for each network: total depth,
# both accuracies, agreement and error, seconds of the last four steps, and the MiB of infer.
#
# Arguments: names of networks (default: all seven). What the environment says: onnx_networks.sh; data_batch_1.bin is needed as well.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/onnx_networks.sh"
if [ ! -r "$data/data_batch_1.bin" ] || ! command -v python3 > /dev/null 2>&1; then
    echo 'SKIP: no data_batch_1.bin in FHOLA_DATA, or no python3'
    exit 77
fi

cat > compare.py << 'END'
import json
import sys

name, depth, summary, wanted, found, seconds, mib = sys.argv[1:]
summary = json.load(open(summary))
wanted = [json.loads(line)["scores"] for line in open(wanted)]
results = [{t["name"]: t["score"] for t in json.loads(line)["top"]} for line in open(found)]
assert len(wanted) == len(results) == 10, (len(wanted), len(results))
values = [value for row in wanted for value in row]
mean = sum(values) / len(values)
deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
square, agree = 0.0, 0
for row, result in zip(wanted, results):
    scores = [result[f"c{k}"] for k in range(len(row))]
    square += sum((a - b) ** 2 for a, b in zip(row, scores))
    best = max(range(len(row)), key=scores.__getitem__)
    agree += max(row) - row[best] <= 0.02 * deviation
error = (square / len(values)) ** 0.5 / deviation
lost = summary["exact_accuracy"] - summary["polynomial_accuracy"]
print(f"| {name} | {depth} | {summary['exact_accuracy']:.2f} | {summary['polynomial_accuracy']:.2f} | {agree} of 10 "
      f"| {error:.4f} | {seconds} | {mib} |")
sys.exit(not (error < 0.02 and agree == 10 and lost <= 0.5))
END

# Records 2,000 to 5,999 of MNIST are for the plans, the first 2,000 judge them.
python3 - "$data" << 'END'
import sys
for name, size, kind in ("mnist_images", 784, "(4000, 28, 28)"), ("mnist_labels", 1, "(4000,)"):
    data = open(f"{sys.argv[1]}/{name}.npy", "rb").read()
    start = 10 + int.from_bytes(data[8:10], "little")
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }" % kind
    header = header.ljust(117) + "\n"
    with open(f"{name}.npy", "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        out.write(data[start + 2000 * size:start + 6000 * size])
END

# run NAME DEPTH
run()
{
    name=$1
    depth=$2
    cases=$((cases + 1))
    network "$name"
    options="$options --classes c0,c1,c2,c3,c4,c5,c6,c7,c8,c9"
    case $name in
        mnist*) fitted='mnist_images.npy --labels mnist_labels.npy' ;;
        *) fitted=$data/data_batch_1.bin ;;
    esac
    # Lists of words.
    # shellcheck disable=SC2086
    "$fhola" profile "$model" $fitted --count 4000 -o profile $options > log 2>&1 &&
        "$fhola" plan "$model" profile $fitted --count 4000 --depth "$depth" -o plan $options >> log 2>&1 &&
        "$fhola" eval "$model" $judged --plan plan --count 2000 --json $options > summary 2>> log &&
        "$fhola" eval "$model" $judged --plan plan --count 10 --scores wanted $options >> log 2>&1 &&
        "$fhola" compile "$model" plan -o net.fhola $options >> log 2>&1 || { cat log; wrong "$name: plan"; return; }
    before=$(date +%s)
    "$fhola" keygen net.client -d keys -f >> log 2>&1 || { cat log; wrong "$name: keygen"; return; }
    rm -f pictures.ct
    for k in 0 1 2 3 4 5 6 7 8 9; do
        "$fhola" encrypt keys/secret.key "$pictures" --record $k >> pictures.ct || { wrong "$name: encrypt"; return; }
    done
    python3 - "$fhola" << 'END' > usage || { cat log; wrong "$name: infer"; return; }
import resource
import subprocess
import sys
subprocess.run([sys.argv[1], "infer", "net.fhola", "keys/eval.keys", "pictures.ct", "-o", "scores.ct", "--quiet"], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
END
    "$fhola" decrypt keys/secret.key scores.ct --json --top 1000 > found || { wrong "$name: decrypt"; return; }
    seconds=$(($(date +%s) - before))
    python3 compare.py "$name" "$depth" summary wanted found "$seconds" "$(cat usage)" || wrong "$name"
}

depth_of()
{
    case $1 in
        cifar10_base_kw) echo 10 ;;
        cifar10_deep_kw) echo 18 ;;
        cifar10_resnet_2b) echo 20 ;;
        cifar10_small_nhwc | mnist_fc_256x4) echo 16 ;;
        mnist_conv_avgpool) echo 4 ;;
        mnist_relu_9_200) echo 36 ;;
        *) fail "no network is called $1" ;;
    esac
}
[ $# -gt 0 ] || set -- cifar10_base_kw cifar10_deep_kw cifar10_resnet_2b cifar10_small_nhwc mnist_conv_avgpool mnist_fc_256x4 mnist_relu_9_200
for name in "$@"; do
    depth=$(depth_of "$name")
    run "$name" "$depth"
done
verdict
