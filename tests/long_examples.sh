#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every command that the manual pages, the help and README.md show is run as it is printed, by a shell, in a directory that has the files it
# names. What is different from a user's machine:
# - resnet20.fhola and resnet20.client are those of a network of 8 layers with random weights, so that a picture takes seconds;
#   'fhola classify' without --model uses it, too.
# - the files of CIFAR records hold 20 pictures each, made of the bundled ones; so do the folder of pictures and the array.
# - net.onnx has one layer, and net.fhola is the network of 8 layers, so that the keys fit.
# - 'ssh server' runs what follows here, in a directory of its own.
# - 'fhola bench', 'fhola serve' and its clients are left to their own tests, and what builds, installs or needs a network is not run: only lines that begin with fhola.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
real=$fhola
man=$top_srcdir/man

mkdir "$work/bin" "$work/ready" "$work/server"
cd "$work"

# ---- programs in the user's path

cat > bin/fhola << END
#!/bin/sh
case "\$* " in
    *--model\ *) ;;
    classify\ *) set -- "\$@" --model ./resnet20.fhola ;;
esac
exec "$real" "\$@"
END
cat > bin/ssh << END
#!/bin/sh
cd "$work/server" && shift && exec "\$@"
END
chmod +x bin/fhola bin/ssh
PATH=$work/bin:$PATH
export PATH

# ---- files that the examples name

"$top_builddir/tests/make_small_network" small
"$top_builddir/tests/make_small_network" retrained 2
cd ready
cp "$top_srcdir/nn/data/cat.ppm" "$top_srcdir/nn/data/ship.ppm" .
mkdir -p nn/data
cp cat.ppm nn/data/
# a record: a label, then the bytes of a picture, here in another order than CIFAR's
for i in 1 2; do
    label=0
    for picture in "$top_srcdir"/nn/data/*.ppm; do
        printf "\\00$label"
        tail -c 3072 "$picture"
        label=$(((label + 1) % 8))
    done
done > test_batch.bin
cp test_batch.bin data_batch_1.bin
cp ../small.fhola resnet20.fhola
cp ../small.client resnet20.client
cp ../retrained.client .
fhola keygen resnet20.client -d keys > /dev/null
mv keys/eval.keys ..
ln -s "$work/eval.keys" keys/eval.keys
fhola keygen retrained.client --secret keys/secret.key -o keys/retrained.key > /dev/null
ln -s "$work/eval.keys" eval.keys
fhola encrypt keys/secret.key cat.ppm -o cat.ct
fhola encrypt keys/secret.key ship.ppm -o ship.ct
fhola infer resnet20.fhola eval.keys cat.ct -o scores.ct
fhola profile resnet20 data_batch_1.bin -o resnet20.profile
cp "$top_srcdir/nn/models/resnet20.safetensors" mine.safetensors
cp "$top_srcdir/nn/models/resnet20.plan" mine.plan
cp resnet20.profile mine.profile
"$top_builddir/tests/make_small_onnx" net.onnx 3 32 10
for picture in "$top_srcdir"/nn/data/*.ppm; do
    class=pictures/$(basename "$picture" .ppm)
    mkdir -p "$class"
    cp "$picture" "$class/1.ppm"
    cp "$picture" "$class/2.ppm"
done
{
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (10, 32, 32, 3)}"
    for picture in "$top_srcdir"/nn/data/*.ppm; do tail -c 3072 "$picture"; done
} > images.npy
{
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': (10,)}"
    printf '\000\001\002\003\004\005\006\007\010\011'
} > labels.npy
fhola plan net.onnx pictures --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26 --degrees 7 -o net.plan > /dev/null
cp ../small.fhola net.fhola
cp ../small.client net.client
cp "$top_srcdir/nn/models/cost.json" .
fhola params R16 --spec > my.params
ln -s "$work/ready/resnet20.fhola" "$work/eval.keys" ../server/
cd ..

# ---- the commands: one a line, continued lines joined

{
    for page in "$man"/*.1; do
        sed -n -e 's/^\.Dl \$ //p' -e '/^\.Bd -literal/,/^\.Ed/p' "$page" | awk '
            /^\.Bd/ { inside = 1; next }
            /^\.Ed/ { inside = 0; next }
            inside { line = line " " $0; if ($0 ~ /[|\\]$/) next; sub(/^ *\$ /, "", line); print line; line = ""; next }
            { print }' | sed -e 's/\\e/\\/g'
    done
    for command in $("$real" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
        case $command in
            help) "$real" help ;;
            version) ;;
            *) "$real" help "$command" ;;
        esac | sed -n '/^Examples:/,/^$/s/^  //p'
    done
    awk '/^```/ { inside = !inside; next } inside { line = line $0; if ($0 ~ /[|\\]$/) next; print line; line = "" }' "$top_srcdir/README.md" |
        sed 's/  *#.*//'
} | sed -E -e 's/  +/ /g' -e 's/ +$//' | grep -E '^(fhola|cat [a-z. ]*\| fhola) ' | grep -vE '^fhola (bench|serve|classify --server)' | LC_ALL=C sort -u > commands

# ---- whether the bundled table of costs speaks of this machine

table=$(sed -n 's/.*"isa": "\([a-z0-9]*\)", "threads": \([0-9]*\).*/\1 \2/p' "$top_srcdir/nn/models/cost.json")
here=$("$real" version --json | sed 's/.*"kernel": "\([a-z0-9]*\)", "threads": \([0-9]*\).*/\1 \2/')
foreign=1
[ "$table" != "$here" ] || foreign=0

count=0
failures=0
while read -r command; do
    count=$((count + 1))
    cp -a ready run
    # what the command makes must not be there yet
    case $command in
        *keygen*--secret*) rm run/keys/retrained.key ;;
        *keygen*) rm -rf run/keys run/eval.keys ;;
    esac
    started=$(date +%s)
    code=0
    (cd run && sh -c "$command") > out 2> err < /dev/null || code=$?
    echo "$(($(date +%s) - started)) s: $command"
    # a command and two options say something on standard error, and 'plan' does where its costs are of another machine
    case $command in
        *keygen* | *--preview* | *--flood*) ;;
        *'fhola plan '*)
            grep -v '^fhola plan: the table of costs is of ' err > other || true
            [ ! -s other ] && [ "$(wc -l < err)" -le $foreign ] || code="$code, and not the message of costs alone"
            ;;
        *) [ ! -s err ] || code="$code, and a message" ;;
    esac
    if [ "$code" != 0 ]; then
        failures=$((failures + 1))
        echo "FAIL: exit code $code: $command"
        head -n 5 err
    fi
    rm -rf run
done < commands

[ $count -ge 25 ] || failures=$((failures + 1))
echo "$((count - failures)) passed, $failures failed, 0 skipped"
[ $failures -eq 0 ]
