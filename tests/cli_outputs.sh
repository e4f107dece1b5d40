#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What commands write: never over what they read, both keys or none, nothing left behind.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
small_picture
cp cat.ppm sound.ppm
for record in "$top_srcdir"/nn/data/*.ppm; do
    printf '\003'
    tail -c 3072 "$record"
done > batch.bin
"$fhola" plan ./small.fhola batch.bin --degrees 3 -o small.plan > /dev/null
cp "$top_srcdir/nn/models/resnet20.safetensors" "$top_srcdir/nn/models/resnet20.plan" .
ls -A > ../all
cat ./* | cksum > ../sums

# ---- no output is an input: by another name, through a link, as standard output

ln secret.key ../hard.key
ln -s files/cat.ppm ../soft.ppm
# spares INPUT COMMAND: refused, and INPUT is named; RUN may redirect
spares()
{
    input=$1
    shift
    code=0
    cases=$((cases + 1))
    "$@" > ../out 2> ../err || code=$?
    [ $code -eq 1 ] || [ $code -eq 3 ] || wrong "$*: exit code $code, $(cat ../err)"
    grep -q "$input" ../err || wrong "$*: $(cat ../err)"
    [ "$(cat ./* | cksum)" = "$(cat ../sums)" ] || wrong "$*: a file was changed"
    ls -A | cmp -s - ../all || wrong "$*: files came or went"
}
onto()
{
    target=$1
    shift
    "$@" >> "$target"
}
spares secret.key "$fhola" encrypt secret.key cat.ppm -o secret.key
spares secret.key "$fhola" encrypt secret.key cat.ppm -o ../hard.key
spares cat.ppm "$fhola" encrypt secret.key sound.ppm cat.ppm -o ./cat.ppm
spares cat.ppm "$fhola" encrypt secret.key cat.ppm -o ../soft.ppm
spares cat.ppm onto cat.ppm "$fhola" encrypt secret.key cat.ppm
spares secret.key onto secret.key "$fhola" encrypt secret.key cat.ppm
spares picture.ct "$fhola" infer small.fhola eval.keys picture.ct -o picture.ct
spares picture.ct onto picture.ct "$fhola" infer small.fhola eval.keys picture.ct
spares eval.keys "$fhola" infer small.fhola eval.keys picture.ct -o eval.keys
spares small.fhola "$fhola" infer small.fhola eval.keys picture.ct -o small.fhola
spares small.fhola "$fhola" compile ./small.fhola -o small.fhola
spares small.plan "$fhola" compile ./small.fhola small.plan -o small.plan
spares resnet20.plan "$fhola" compile ./resnet20.safetensors -o resnet20.plan
spares small.client "$fhola" compile ./resnet20.safetensors small.client -o small
spares batch.bin "$fhola" profile ./small.fhola batch.bin -o batch.bin
spares batch.bin "$fhola" plan ./small.fhola batch.bin --degrees 3 -o batch.bin
spares batch.bin "$fhola" plan ./small.fhola batch.bin --degrees 3 --points 0 --report batch.bin
spares small.plan "$fhola" plan ./small.fhola batch.bin --degrees 3 --judge small.plan -o small.plan
spares resnet20.safetensors "$fhola" plan ./resnet20.safetensors batch.bin --depth 50 -o resnet20.safetensors
spares x.y "$fhola" plan ./small.fhola batch.bin --degrees 3 --points 0 --report x.y -o x.y
cp small.client ../secret.key
cases=$((cases + 1))
(cd .. && "$fhola" keygen secret.key --force > out 2> err) && wrong 'keygen over its client file'
grep -q 'is read from' ../err || wrong "keygen over its client file: $(cat ../err)"
cmp -s small.client ../secret.key || wrong 'keygen lost its client file'
rm ../secret.key

# ---- "-" is standard output where that is a stream, and never the name of a file

spares 'called - is ./-' "$fhola" compile ./small.fhola -o -
spares 'called - is ./-' "$fhola" profile ./small.fhola batch.bin --output=-
spares 'called - is ./-' "$fhola" plan ./small.fhola batch.bin --degrees 3 -o -
spares 'called - is ./-' "$fhola" plan ./small.fhola batch.bin --degrees 3 --points 0 --report -
spares 'called - is ./-' "$fhola" bench --calibrate -o -
spares 'called - is ./-' "$fhola" keygen small.client -d -
cases=$((cases + 1))
"$fhola" encrypt secret.key cat.ppm -o - | "$fhola" infer -q small.fhola eval.keys - --output=- | "$fhola" decrypt secret.key > ../out 2> ../err ||
    wrong "a pipe through -o -: $(cat ../err)"
[ -s ../out ] && ls -A | cmp -s - ../all || wrong "a pipe through -o - made files, or no scores: $(cat ../out)"

# ---- both keys or none

mkdir keys
: > keys/eval.keys
expect 3 "$fhola" keygen small.client -d keys << 'END'
fhola keygen: invalid parameter: keys/eval.keys exists; it would be lost (--force overwrites it)
END
rm keys/eval.keys
cp secret.key eval.keys keys
cp secret.key ../old.key
limit=2000
expect 8 small_files "$fhola" keygen small.client -d keys --force << 'END'
fhola keygen: KEYS in all, go into keys/eval.keys
fhola keygen: input/output error: keys/eval.keys: writing at byte SIZE: File too large
END
cmp -s keys/secret.key ../old.key && cmp -s keys/eval.keys eval.keys || wrong 'a keygen --force that failed has changed the keys'
rm -r keys

# two at once: one pair, complete, and one message
for force in '' --force; do
    mkdir keys
    [ -z "$force" ] || cp secret.key eval.keys keys
    cases=$((cases + 1))
    # shellcheck disable=SC2086
    "$fhola" keygen small.client -d keys $force > ../out1 2> ../err1 &
    first=$!
    code=0
    # shellcheck disable=SC2086
    "$fhola" keygen small.client -d keys $force > ../out2 2> ../err2 || code=$?
    code1=0
    wait $first || code1=$?
    case $code1,$code in
        0,0) [ -n "$force" ] || wrong 'two keygen made keys in one folder' ;; # one after the other
        0,8 | 8,0) grep -q 'another process is making keys' ../err1 ../err2 || wrong "$(cat ../err1 ../err2)" ;;
        0,3 | 3,0) [ -z "$force" ] || wrong "$(cat ../err1 ../err2)" ;;
        *) wrong "two keygen $force: exit codes $code1 and $code: $(cat ../err1 ../err2)" ;;
    esac
    id_of()
    {
        "$fhola" inspect "$1" | sed -n 's/^  key  *\([0-9a-f]*\)$/\1/p'
    }
    [ "$(id_of keys/secret.key)" = "$(id_of keys/eval.keys)" ] || wrong "two keygen $force: the keys do not match"
    [ "$(ls -A keys | tr '\n' ' ')" = 'eval.keys secret.key ' ] || wrong "two keygen $force left $(ls -A keys)"
    rm -r keys
done

# ---- any signal that can be caught

mkdir keys
for signal in HUP INT QUIT ABRT SEGV USR1 ALRM TERM XCPU SYS; do
    cases=$((cases + 1))
    # not ignored, as a background job's SIGINT and SIGQUIT, or SIGHUP under nohup, would be
    ${PYTHON:-python3} -c 'import os, signal, sys
for s in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT): signal.signal(s, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$fhola" keygen small.client -d keys > ../out 2> ../err &
    process=$!
    tries=0
    until [ "$(find "/proc/$process/fd" -lname "$PWD/keys/*" 2> /dev/null | wc -l)" -ge 2 ] || [ $tries -eq 100 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    kill -$signal $process
    code=0
    wait $process 2> /dev/null || code=$?
    [ $code -gt 128 ] && [ -z "$(ls -A keys)" ] ||
        wrong "keygen stopped by SIG$signal: exit code $code, message $(cat ../err), left behind: $(ls -A keys)"
done
rm -r keys

# ---- through a symbolic link to what is not there yet; with names as long as they can be

cases=$((cases + 1))
mkdir place
ln -s place/real.ct link.ct
"$fhola" encrypt secret.key cat.ppm -o link.ct > /dev/null
[ -L link.ct ] && "$fhola" inspect place/real.ct > /dev/null || wrong 'a link to nothing yet was replaced'
ln -s place/real.profile link.profile
"$fhola" profile ./small.fhola batch.bin -o link.profile
[ -L link.profile ] && [ -f place/real.profile ] || wrong 'a link of profile to nothing yet was replaced'
for length in 243 244 250 255; do
    cases=$((cases + 1))
    name=$(printf "%${length}s" '' | tr ' ' n)
    "$fhola" encrypt secret.key cat.ppm -o "$name" > ../out 2>&1 || wrong "encrypt to a name of $length bytes: $(cat ../out)"
    "$fhola" encrypt secret.key cat.ppm -o "$name" > ../out 2>&1 || wrong "the same again: $(cat ../out)"
    rm -f "$name"
    "$fhola" plan ./small.fhola batch.bin --degrees 3 -o "$name" > ../out 2>&1 || wrong "plan to a name of $length bytes: $(cat ../out)"
    rm -f "$name"
done
verdict
