# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Third-party networks in ONNX and the data they are judged on, beside support.sh.
#
# FHOLA_DATA: the folder with test_batch.bin, mnist_images.npy and mnist_labels.npy; FHOLA_ONNX: that with NAME.onnx and NAME.scores.json,
# a list of lists of scores (default: models/onnx beside the data).
data=${FHOLA_DATA:-}
networks=${FHOLA_ONNX:-$data/../models/onnx}
for file in test_batch.bin mnist_images.npy mnist_labels.npy; do
    if [ ! -r "$data/$file" ] || [ ! -d "$networks" ]; then
        echo "SKIP: FHOLA_DATA names no folder with $file, or there are no networks beside it (FHOLA_ONNX)"
        exit 77
    fi
done
cd "$work"
if "$fhola" eval "$networks/mnist_conv_avgpool.onnx" none 2>&1 | grep -q 'built without protobuf-c'; then
    echo 'SKIP: this build reads no ONNX'
    exit 77
fi

# network NAME: its file in $model, the options that say how its pictures are normalised in $options, its records in $judged (a file and
# its options; test records of CIFAR, the first ones of MNIST) and their file in $pictures.
network()
{
    model=$networks/$1.onnx
    case $1 in
        cifar10_resnet_2b) options='--mean .4914,.4822,.4465 --std .2471,.2435,.2616' ;;
        cifar10_*_kw) options='--mean .485,.456,.406 --std .225' ;;
        *) options= ;;
    esac
    case $1 in
        mnist*)
            pictures=$data/mnist_images.npy
            judged="$pictures --labels $data/mnist_labels.npy"
            ;;
        *)
            pictures=$data/test_batch.bin
            judged=$pictures
            ;;
    esac
}
