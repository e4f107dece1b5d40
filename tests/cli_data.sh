#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calibration and test data as the user of the program has it: arrays, IDX files and folders give the same scores, as files and as streams;
# networks of other shapes than CIFAR's take their pictures; what goes wrong has its message.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
"$top_builddir/tests/make_small_onnx" grey.onnx 1 28 4
"$top_builddir/tests/make_small_onnx" colour.onnx 3 64 4
if "$fhola" eval ./grey.onnx none 2>&1 | grep -q 'built without protobuf-c'; then
    echo 'SKIP: this build reads no ONNX'
    exit 77
fi

# ---- the same twelve pictures of 28 x 28 in every form

# bytes NUMBER...: bytes of these values
bytes()
{
    for byte in "$@"; do printf "\\$(printf %03o "$byte")"; done
}
# npy TYPE SHAPE: standard input as a .npy file
npy()
{
    header="{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
    printf '\223NUMPY\001\000'
    bytes $((${#header} % 256)) $((${#header} / 256))
    printf %s "$header"
    cat
}
tail -c 9408 "$top_srcdir/nn/models/resnet20.safetensors" > pixels
bytes 0 1 2 3 3 2 1 0 0 1 2 3 > labels
npy '|u1' '(12, 28, 28)' < pixels > images.npy
npy '|u1' '(12,)' < labels > labels.npy
{
    bytes 0 0 8 3 0 0 0 12 0 0 0 28 0 0 0 28
    cat pixels
} > images-idx3-ubyte
{
    bytes 0 0 8 1 0 0 0 12
    cat labels
} > labels-idx1-ubyte
# a picture of grey in colours; the folders of the classes in the order of the records of each
record=0
for label in 0 1 2 3 3 2 1 0 0 1 2 3; do
    mkdir -p folder/$label
    {
        printf 'P6 28 28 255\n'
        tail -c +$((784 * record + 1)) pixels | head -c 784 | od -An -v -tu1 -w1 | while read -r byte; do bytes "$byte" "$byte" "$byte"; done
    } > "folder/$label/$(printf %02d $record).ppm"
    record=$((record + 1))
done

"$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores scores > summary
cases=$((cases + 1))
[ "$(wc -l < scores)" -eq 12 ] || wrong "--scores wrote $(wc -l < scores) lines"
[ "$(sed 's/^{"label": \([0-9]\), "scores": \[[-0-9., e]*\]}$/\1/' scores | tr -d '\n')" = 012332100123 ] || wrong "--scores wrote $(cat scores)"
right=$(sed -e 's/{"label": //' -e 's/,.*\[/ /' -e 's/[],}]//g' scores |
    awk '{ best = 2; for (i = 3; i <= NF; i++) if ($i > $best) best = i; right += best - 2 == $1 } END { printf "%.2f", 100 * right / NR }')
grep -q "^exact accuracy       $right %" summary || wrong "the scores say $right %, $(cat summary)"

# same NAME COMMAND: the scores again, alone on standard output
same()
{
    cases=$((cases + 1))
    name=$1
    shift
    "$@" > ../found 2> ../err || wrong "$name: $(cat ../err)"
    cmp -s scores ../found || wrong "$name: other scores: $(head -n 2 ../found) $(cat ../err)"
}
same 'standard output' "$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores -
same 'IDX' "$fhola" eval ./grey.onnx images-idx3-ubyte --labels labels-idx1-ubyte --scores -
same 'JSON' "$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores - --json
same 'images from a pipe' "$fhola" eval ./grey.onnx - --labels labels.npy --scores - < images.npy
same 'labels from a pipe' "$fhola" eval ./grey.onnx images.npy --labels - --scores - < labels.npy
mkfifo fifo
cat images.npy > fifo &
same 'a FIFO' "$fhola" eval ./grey.onnx fifo --labels labels.npy --scores -
# a folder takes them in turn: 0, 1, 2, 3 and so on
for order in 1 2 3 4 8 7 6 5 9 10 11 12; do sed -n "${order}p" scores; done > in.turn
mv scores in.order
mv in.turn scores
same 'a folder' "$fhola" eval ./grey.onnx folder --scores -
mv in.order scores
cases=$((cases + 1))
"$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores all.fifo.txt --first 3 --count 2 > /dev/null
sed -n 4,5p scores | cmp -s - all.fifo.txt || wrong '--first and --count give other scores'

# ---- with a plan: the polynomial's scores, and the exact ones beside them

cases=$((cases + 1))
"$fhola" profile ./grey.onnx images.npy --labels labels.npy -o grey.profile
"$fhola" profile ./grey.onnx folder -o folder.profile
[ -s folder.profile ] || wrong 'no profile of a folder'
"$fhola" plan ./grey.onnx grey.profile images.npy --labels labels.npy --heldout images-idx3-ubyte --heldout-labels labels-idx1-ubyte \
    --degrees 7 -o grey.plan > /dev/null
"$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores both > /dev/null
sed 's/"scores": .*"exact_scores"/"scores"/' both | cmp -s - scores || wrong "exact scores beside those of a plan: $(head -n 1 both)"
sed 's/, "exact_scores".*/}/' both | cmp -s - scores && wrong 'the scores of a plan are the exact ones'

# ---- pictures for a network of another shape, encrypted

"$fhola" compile ./grey.onnx -o grey.fhola > /dev/null
tail -c +785 pixels | head -c 784 | npy '|u1' '(28, 28)' > one.npy
wanted=$(sed -n '2s/.*"scores": \[\([^]]*\)\], "exact.*/\1/p' both)
"$fhola" classify one.npy --model ./grey.fhola --json --quiet > ../json
for one in $(sed 's/.*"top": \[\(.*\)\], "seconds.*/\1/' ../json | tr '{}' '\n\n' | sed -n 's/"name": "\([0-9]\)", "score": \(.*\)/\1:\2/p'); do
    cases=$((cases + 1))
    echo "$wanted" | awk -F ', ' -v one="$one" '{ split(one, part, ":"); d = part[2] - $(part[1] + 1); exit !(d < 0.05 && d > -0.05) }' ||
        wrong "encrypted scores $(cat ../json), plain ones $wanted"
done
[ $cases -gt 10 ] || wrong "$(cat ../json)"
"$fhola" keygen grey.client -d keys > /dev/null
# shows PATH OPTIONS: what the network sees of a picture, in characters
shows()
{
    NO_COLOR=1 "$fhola" encrypt keys/secret.key "$@" --preview -o x.ct 2>&1 > /dev/null
}
cases=$((cases + 1))
shows one.npy > ../wanted
[ "$(wc -l < ../wanted)" -eq 14 ] && ! grep -q -v '^.\{28\}$' ../wanted || wrong "a preview of 28 x 28: $(cat ../wanted)"
for form in folder/1/01.ppm 'images.npy --record 1' 'images-idx3-ubyte --record 1' 'folder --record 1'; do
    cases=$((cases + 1))
    # shellcheck disable=SC2086
    shows $form | cmp -s - ../wanted || wrong "$form: another picture than one.npy"
done
rm -r keys x.ct

# ---- errors

expect 3 "$fhola" eval ./grey.onnx images.npy << 'END'
fhola eval: invalid parameter: images.npy: an array has no labels: --labels FILE gives them
END
expect 3 "$fhola" eval ./colour.onnx images.npy --labels labels.npy << 'END'
fhola eval: invalid parameter: images.npy: records of 28 x 28 values, the network takes 3 x 64 x 64 (channels, height, width)
END
expect 3 "$fhola" eval ./grey.onnx folder --labels labels.npy << 'END'
fhola eval: invalid parameter: folder: folders for each class have labels already; labels.npy is one too many
END
expect 10 "$fhola" eval ./grey.onnx images.npy --labels labels.npy --first 12 << 'END'
fhola eval: value out of range: images.npy: records 12 to 12 asked for, there are only 12
END
gzip -c images.npy > images.gz
expect 7 "$fhola" profile ./grey.onnx images.gz --labels labels.npy -o x.profile << 'END'
fhola profile: malformed data: images.gz: compressed by gzip: gunzip it first
END
expect 7 "$fhola" eval ./grey.onnx images.npy --labels images.npy << 'END'
fhola eval: malformed data: images.npy: labels are one number a record, in a row
END
expect 7 "$fhola" eval ./grey.onnx - --labels labels.npy << 'END'
fhola eval: malformed data: standard input: neither a .npy nor an IDX file
END
expect 7 "$fhola" eval ./grey.onnx - << 'END'
fhola eval: malformed data: standard input: 0 bytes are no whole number of CIFAR-10 (3073 bytes) or CIFAR-100 (3074 bytes) records
END
cp images.npy ../input
expect 3 "$fhola" eval ./grey.onnx - --labels - << 'END'
fhola eval: invalid parameter: standard input can be read only once
END
: > ../input
expect 1 "$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores labels.npy << 'END'
fhola eval: labels.npy is read, and would be overwritten by the output labels.npy
HINT
END
expect 8 "$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores none/x << 'END'
fhola eval: input/output error: none/x: No such file or directory
END
expect 7 "$fhola" eval ./grey.onnx folder --classes a,b,c,d << 'END'
fhola eval: malformed data: folder: the folder '0' is no class of the network ('a' is one); --classes says how they are called
END
expect 1 "$fhola" plan ./grey.onnx images.npy --labels labels.npy --degrees 3 --judge-labels labels.npy -o x.plan << 'END'
fhola plan: --judge-labels goes with --judge
HINT
END
expect 3 "$fhola" classify images.npy --model ./grey.fhola << 'END'
fhola classify: invalid parameter: images.npy: 9408 values, the network takes 1 x 28 x 28 (channels, height, width); --record N takes a record of many
END
expect 7 "$fhola" classify images-idx3-ubyte --model ./grey.fhola << 'END'
fhola classify: malformed data: images-idx3-ubyte: no picture, but it may be a batch of them: --record N takes one
END
if [ -w /dev/full ]; then
    expect 8 "$fhola" eval ./grey.onnx images.npy --labels labels.npy --scores /dev/full << 'END'
fhola eval: input/output error: /dev/full: writing at byte SIZE: No space left on device
END
fi
verdict
