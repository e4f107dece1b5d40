#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every kind of file, damaged in every way, as 'fhola inspect' and the command that needs it see it: the exact message, the exit code,
# nothing on standard output, no file left behind. And writing each of them where there is no room, or no right.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"

# ---- one sound file of each kind, of a network of 8 layers

"$top_builddir/tests/make_small_network" small
"$fhola" keygen small.client > /dev/null
"$fhola" encrypt secret.key "$picture" -o picture.ct > /dev/null
"$fhola" infer small.fhola eval.keys picture.ct -o scores.ct --quiet
for record in "$top_srcdir"/nn/data/*.ppm; do
    printf '\003'
    tail -c 3072 "$record"
done > batch.bin
"$fhola" profile ./small.fhola batch.bin -o small.profile
"$fhola" plan ./small.fhola small.profile batch.bin --degrees 3 -o small.plan > /dev/null
cp "$top_srcdir/nn/models/cost.json" .
chmod u+w cost.json
kinds='small.fhola small.client secret.key eval.keys picture.ct scores.ct small.plan small.profile cost.json'

# The command that needs a file of this kind, on x.bad.
command_of()
{
    case $1 in
        small.fhola | eval.keys | picture.ct) echo infer ;;
        small.client) echo keygen ;;
        secret.key | scores.ct) echo decrypt ;;
        small.plan) echo compile ;;
        small.profile | cost.json) echo plan ;;
    esac
}
run= # 'as_user' for files that may not be read
read_with()
{
    case $1 in
        small.fhola) $run "$fhola" infer x.bad eval.keys picture.ct -o y ;;
        small.client) $run "$fhola" keygen x.bad -d "$work" ;;
        secret.key) $run "$fhola" decrypt x.bad scores.ct ;;
        eval.keys) $run "$fhola" infer small.fhola x.bad picture.ct -o y ;;
        picture.ct) $run "$fhola" infer small.fhola eval.keys x.bad -o y ;;
        scores.ct) $run "$fhola" decrypt secret.key x.bad ;;
        small.plan) $run "$fhola" compile ./small.fhola x.bad -o y.fhola ;;
        small.profile) $run "$fhola" plan ./small.fhola x.bad batch.bin --depth 20 -o y ;;
        cost.json) $run "$fhola" plan ./small.fhola small.profile batch.bin --budget 30 --cost x.bad -o y ;;
    esac
}

# refuse CODE KIND MESSAGE [INSPECT]: the command says MESSAGE about x.bad, 'fhola inspect' the same or INSPECT.
refuse()
{
    case $1 in
        7) words='malformed data' ;;
        8) words='input/output error' ;;
    esac
    expect "$1" read_with "$2" << END
fhola $(command_of "$2"): $words: $3
END
    expect "$1" $run "$fhola" inspect x.bad << END
fhola inspect: $words: ${4:-$3}
END
}

# flip FILE OFFSET BIT: changes one bit of a byte.
flip()
{
    byte=$(dd if="$1" bs=1 skip="$2" count=1 2> /dev/null | od -A n -t u1)
    change "$1" "$2" "$(printf %03o $((byte ^ (1 << $3))))"
}

# What a file of JSON is called where another one is wanted.
name_of()
{
    case $1 in
        small.plan) echo 'a plan' ;;
        small.profile) echo 'a profile' ;;
        cost.json) echo 'a table of costs' ;;
    esac
}

# ---- what has nothing to do with the content

for kind in $kinds; do
    directory='x.bad: reading at byte 0: Is a directory'
    empty='x.bad: empty'
    case $kind in
        small.plan | small.profile | cost.json)
            directory='x.bad: Is a directory'
            empty='x.bad:1:1: the text ends where a value is expected'
            ;;
        picture.ct) empty='no encrypted picture arrived' ;;
        scores.ct) empty='no result arrived' ;;
    esac
    refuse 8 $kind 'x.bad: No such file or directory'
    mkdir x.bad
    refuse 8 $kind "$directory" 'x.bad: Is a directory'
    rmdir x.bad
    : > x.bad
    refuse 7 $kind "$empty" 'x.bad: empty'
    if $can_be_closed; then
        cp small.client x.bad
        chmod 000 x.bad
        run=as_user
        refuse 8 $kind 'x.bad: Permission denied'
        run=
    fi
    rm -f x.bad
done

# ---- containers: a head of 40 bytes, then chunks: PARM first, the second one at byte 296

for kind in small.fhola small.client secret.key eval.keys picture.ct scores.ct; do
    bytes=$(wc -c < $kind)
    head -c 2000000 $kind > sound # all damage is before, or at the end of a small file
    cp "$picture" x.bad
    refuse 7 $kind 'x.bad: byte 0: not a fhola file'
    cp cost.json x.bad
    expect 7 read_with $kind << END
fhola $(command_of $kind): malformed data: x.bad: byte 0: not a fhola file
END
    head -c 20 $kind > x.bad
    refuse 7 $kind 'x.bad: byte 0: truncated: the data ends at byte 20'
    head -c 100 $kind > x.bad
    refuse 7 $kind "x.bad: chunk 0 'PARM' at byte 40: truncated: the data ends at byte 100"
    if [ "$bytes" -le 2000000 ]; then
        head -c $((bytes - 1)) $kind > x.bad
        chunks=$("$fhola" inspect $kind | sed -n 's/^  chunks *//p')
        refuse 7 $kind "x.bad: chunk $chunks 'head' at byte $((bytes - 32)): truncated: the data ends at byte $((bytes - 1))"
    fi
    cp sound x.bad
    change x.bad 8 004
    refuse 7 $kind "x.bad: byte 0: format version 4 is older than version 5, the one this program reads: compile the network and make the keys anew"
    change x.bad 8 006
    refuse 7 $kind "x.bad: byte 0: format version 6 is newer than version 5, the one this program reads"
    # one bit of the head, of the head of a chunk, of its content
    cp sound x.bad
    flip x.bad 17 0
    refuse 7 $kind 'x.bad: byte 0: the head is damaged'
    cp sound x.bad
    flip x.bad 305 2
    refuse 7 $kind "x.bad: chunk 1 'head' at byte 296: the chunk's head is damaged"
    tag=$(dd if=$kind bs=1 skip=296 count=4 2> /dev/null)
    cp sound x.bad
    flip x.bad 330 2
    refuse 7 $kind "x.bad: chunk 1 '$tag' at byte 296: the content does not match its checksum"
    "$fhola" inspect --json $kind > ../shown
    [ "$(wc -l < ../shown)" -eq 1 ] && grep -q "^{\"file\": \"$kind\", \"kind\": \"[a-z ]*\", \"version\": 5, .*}\$" ../shown ||
        wrong "inspect --json $kind: $(cat ../shown)"
    [ "$("$fhola" inspect $kind | sed -n 's/^  version *//p')" = 5 ] || wrong "inspect $kind"
    rm -f x.bad sound
done

# ---- JSON: no checksums, so only damage to its form, or beyond the range of a number, can show

for kind in small.plan small.profile cost.json; do
    bytes=$(wc -c < $kind)
    name=$(name_of $kind)
    format=$(sed -n '1s/^{"format": "\([a-z-]*\)".*/\1/p' $kind)
    cp "$picture" x.bad
    refuse 7 $kind 'x.bad:1:1: not a JSON value' 'x.bad: byte 0: not a fhola file'
    cp picture.ct x.bad
    expect 7 read_with $kind << END
fhola $(command_of $kind): malformed data: x.bad:1:1: not a JSON value
END
    head -c 20 $kind > x.bad
    refuse 7 $kind 'x.bad:1:21: the text ends inside a string'
    head -c $((bytes - 3)) $kind > x.bad
    refuse 7 $kind "x.bad:$(wc -l < x.bad | awk '{ print $1 + 1 }'):$(tail -n 1 x.bad | wc -c | awk '{ print $1 + 1 }'): the text ends inside an array"
    current=$(sed -n '1s/.*"version": \([0-9]*\).*/\1/p' $kind)
    key=$(grep -bo '"version"' $kind | sed -n '1s/:.*//p')
    for version in $((current - 1)) $((current + 1)); do
        sed "1s/\"version\": [0-9]*/\"version\": $version/" $kind > x.bad
        case $version in
            0) message='"version" must be a whole number from 1 on' ;;
            1) message="format version 1 is older than version $current, the one this program reads: make it anew" ;;
            *) message="format version $version is newer than version $current, the one this program reads" ;;
        esac
        refuse 7 $kind "x.bad:1:$((key + 12)): $message"
    done
    cp $kind x.bad
    flip x.bad "$key" 6
    refuse 7 $kind "x.bad:1:$((key + 1)): a key in quotes expected"
    for foreign in "$(sed '1s/fhola-/fhole-/' $kind)" '{"format": "zip"}'; do
        echo "$foreign" > x.bad
        refuse 7 $kind "x.bad:1:12: \"format\" must be \"$format\"" 'x.bad:1:12: "format" must be "fhola-plan", "fhola-profile" or "fhola-cost"'
    done
    for other in small.plan small.profile cost.json; do
        [ $other != $kind ] || continue
        cp $other x.bad
        expect 7 read_with $kind << END
fhola $(command_of $kind): malformed data: x.bad:1:12: $(name_of $other) instead of $name
END
    done
    rm -f x.bad
done

# ---- sound, but of something else

expect 4 "$fhola" infer small.fhola eval.keys scores.ct -o y << 'END'
fhola infer: level mismatch: scores.ct: chunk 2 'CIPH' at byte 336: this is no encrypted picture: its primes are base, slots to coefficients 1, not base, slots to coefficients 1-2, residual 1
END
expect 9 "$fhola" decrypt secret.key secret.key << 'END'
fhola decrypt: security violation: secret.key: a secret key instead of a ciphertext; it must stay with its owner
END
"$fhola" keygen small.client -d other > /dev/null
expect 6 "$fhola" decrypt other/secret.key scores.ct << 'END'
fhola decrypt: unusable key: scores.ct: a ciphertext of another key (ID, not ID)
END
expect 6 "$fhola" infer small.fhola other/eval.keys picture.ct -o y << 'END'
fhola infer: unusable key: picture.ct: a ciphertext of another key (ID, not ID)
END
rm -r other
expect 3 "$fhola" plan resnet20 small.profile batch.bin --depth 60 -o y << 'END'
fhola plan: invalid parameter: small.profile: the profile is of another model or activation function: ID, the model's is ID
END
expect 3 "$fhola" plan ./small.fhola small.profile batch.bin --depth 20 --function silu -o y << 'END'
fhola plan: invalid parameter: small.profile: the profile is of another model or activation function: ID, the model's is ID
END
expect 3 "$fhola" eval resnet20 batch.bin --plan small.plan << 'END'
fhola eval: invalid parameter: small.plan: the plan is for another model: weights ID, the model's are ID
END
expect 3 "$fhola" plan ./small.fhola small.profile batch.bin --budget 30 --cost cost.json --params R15-A3 -o y << 'END'
fhola plan: invalid parameter: a budget of 30 seconds needs the costs of the parameter set R15-A3, which the table lacks: 'fhola bench --calibrate' measures them
END
expect 3 "$fhola" plan ./small.fhola small.profile batch.bin --depth 20 --params R16 -o y << 'END'
fhola plan: invalid parameter: the profile was made with eps 0.25, the plan is for eps 0.125
END
# what could not be compiled for the set
while read -r options <&3 && read -r message <&3; do
    expect 3 sh -c '"$0" plan ./small.fhola small.profile batch.bin -o y '"$options" "$fhola" << END
fhola plan: invalid parameter: $message
END
done 3<< 'END'
--depth 20 --max-degree 31
--max-degree 31 needs 6 residual levels, the parameter set R15 has 5: --params names another one, or none
--degrees 3,7,16 --params R15-28
degree 16 needs 6 residual levels, the parameter set R15-28 has 5: --params names another one, or none
--composite 15,15,27 --params R16-6
a composition of depth 14 needs 15 residual levels, the parameter set R16-6 has 6: --params names another one, or none
--depth 20 --eps 0
eps 0: the parameter set R15 has 0.25: --params names another one, or none
--depth 20 --params toy
the parameter set toy cannot bootstrap
--depth 20 --params R99
no parameter set is called 'R99'
END
# a set the table of costs knows nothing of: levels count, and by itself no degree is too high for it
cases=$((cases + 1))
SOURCE_DATE_EPOCH=951827696 "$fhola" plan ./small.fhola small.profile batch.bin --depth 400 --params R15-28 --report page.html --points 0 \
    -o deep.plan > /dev/null 2> err || wrong "plan for R15-28: $(cat err)"
grep -q ', 2000-02-29 12:34 UTC: <code>fhola plan ./small.fhola small.profile batch.bin <i>--depth</i> 400 ' page.html &&
    grep -q 'bootstraps a picture' page.html || wrong "the page's origin: $(grep origin page.html)"
"$fhola" compile ./small.fhola deep.plan --params R15-28 -o deep.fhola > /dev/null 2> err || wrong "a plan for R15-28: $(cat err)"
rm -f page.html deep.*
expect 3 env SOURCE_DATE_EPOCH=today "$fhola" plan ./small.fhola small.profile batch.bin --degrees 7 --report y << 'END'
fhola plan: invalid parameter: SOURCE_DATE_EPOCH must be a whole number of seconds, not 'today'
END
# a stream: what follows a sound picture is damaged; the result of the first one stays
{ cat picture.ct && head -c 1000 picture.ct; } > two.ct
: > y
expect 7 "$fhola" infer small.fhola eval.keys two.ct -o y << 'END'
fhola infer: malformed data: two.ct: chunk 2 'CIPH' at byte 377624: truncated: the data ends at byte 378288
fhola infer: y has the 1 result that was finished
fhola infer: --skip 1 goes on behind them
END
cmp -s y scores.ct || wrong 'infer of a damaged stream leaves other results'
rm two.ct y

# ---- where nothing can be written: said at once by commands that work for minutes

cat > ../writers << 'END'
compile ./small.fhola -o FILE
encrypt secret.key cat.ppm -o FILE
infer small.fhola eval.keys picture.ct -o FILE
profile ./small.fhola batch.bin -o FILE
plan ./small.fhola small.profile batch.bin --degrees 3 -o FILE
plan ./small.fhola small.profile batch.bin --degrees 3 --points 0 --report FILE
END
cp "$picture" .
mkdir sealed
chmod 555 sealed
ln -s /dev/full full # lest a mistake replaces the device itself
while read -r command; do
    # refused FILE MESSAGE RUN: the command with this file, run by RUN
    refused()
    {
        target=$1
        message=$2
        # shellcheck disable=SC2046 # several words
        expect 8 "$3" "$fhola" $(echo "$command" | sed "s|FILE|$target|") << END
fhola ${command%% *}: input/output error: $target: $message
END
    }
    refused none/y 'No such file or directory' env
    refused . 'Is a directory' env
    if $can_be_closed; then refused sealed/y 'Permission denied' as_user; fi
    # a disk that is full after the first kilobytes, as far as the process can tell
    refused y 'writing at byte SIZE: File too large' small_files
    case $command in
        profile* | plan*) [ ! -w full ] || refused full 'writing at byte SIZE: No space left on device' env ;;
    esac
done < ../writers
[ ! -w full ] || [ -c full ] || wrong 'a file where a device was'

# ---- standard output that is full, or gone

if [ -w /dev/full ]; then
    for command in 'decrypt secret.key scores.ct' 'inspect small.plan' 'inspect small.profile' 'inspect scores.ct'; do
        # shellcheck disable=SC2086
        expect 8 to_full_disk "$fhola" $command << 'END'
fhola: cannot write to standard output
END
    done
fi
expect 8 into_closed_pipe sh -c 'sleep 0.2; exec "$@"' sh "$fhola" infer small.fhola eval.keys picture.ct << 'END'
fhola infer: input/output error: standard output: writing at byte 0: Broken pipe
END
expect 8 into_closed_pipe sh -c 'sleep 0.2; exec "$@"' sh "$fhola" decrypt secret.key scores.ct << 'END'
fhola: cannot write to standard output
END

# ---- golden: what inspect says of the files of JSON

shows()
{
    cases=$((cases + 1))
    cat > ../expected
    "$fhola" inspect "$@" > ../shown 2>&1 || wrong "inspect $*: $(cat ../shown)"
    sed -E -e 's/[0-9a-f]{16}/ID/g' -e 's/-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?([], ]|$)/N\3/g' ../shown > ../shown.plain
    cmp -s ../expected ../shown.plain || { wrong "inspect $*"; diff ../expected ../shown.plain || :; }
}
shows small.plan << 'END'
file          small.plan
  kind          a plan
  weights       ID
  eps           N
  activations   N
  depth         N
  degrees       N N N N N N N
END
shows --json small.plan << 'END'
{"file": "small.plan", "kind": "a plan", "weights": "ID", "eps": N, "activations": N, "depth": N, "degrees": [N, N, N, N, N, N, N]}
END
shows small.profile << 'END'
file          small.profile
  kind          a profile
  weights       ID
  eps           N
  activations   N
  pictures      N
  least         N N N N N N N
  most          N N N N N N N
  deviation     N N N N N N N
END
shows --json small.profile << 'END'
{"file": "small.profile", "kind": "a profile", "weights": "ID", "eps": N, "activations": N, "pictures": N, "least": [N, N, N, N, N, N, N], "most": [N, N, N, N, N, N, N], "deviation": [N, N, N, N, N, N, N]}
END
shows small.fhola << 'END'
file          small.fhola
  kind          a compiled network
  version       N
  offset        N
  bytes         N
  chunks        N
  params        ID
  logN n        N
  logN qp       N
  logN qp cap   N
  network       ID
  weights       ID
  input         N x N x N
  nodes         N
  layers        N
  longest path  N
  class count   N
  test accuracy N
  activations   N
  depth         N
  degrees       N N N N N N N
  batch         N
  ciphertexts   N
  bootstraps    N
  diagonals gib N
  memory gib    N
  least gib     N
  keys needed   N
END
"$fhola" inspect --json small.fhola | grep -q '"input": \[3, 32, 32\], "nodes": 9, "layers": 8, "longest_path": 8, "class_count": 10' ||
    wrong "inspect small.fhola: $("$fhola" inspect --json small.fhola)"
"$fhola" inspect small.client | grep -q '^  input         3 x 32 x 32$' || wrong 'inspect small.client: another input'
# an ONNX network of one activation, ReLU of four values, which are taken as a picture of 2 x 2
printf '\010\010\072\050\012\014\012\001x\022\001y\042\004Relu\132\023\012\001x\022\016\012\014\010\001\022\010\012\002\010\001\012\002\010\004' > relu.onnx
printf '\142\003\012\001y\102\002\020\015' >> relu.onnx
code=0
"$fhola" inspect --json relu.onnx > ../shown 2>&1 || code=$?
case $(cat ../shown) in
*'built without protobuf-c'*) [ $code -eq 7 ] || wrong "inspect relu.onnx: exit code $code" ;;
'{"file": "relu.onnx", "kind": "an ONNX network", "weights": "'*'", "input": [1, 2, 2], "nodes": 3, "layers": 2, "longest_path": 2, "class_count": 4, "test_accuracy": null, "activations": 1, "has_mean_std": false}') ;;
*) wrong "inspect relu.onnx: $(cat ../shown)" ;;
esac
"$fhola" inspect small.plan | grep -q '^  degrees       3 3 3 3 3 3 3$' || wrong 'inspect small.plan: other degrees'
"$fhola" inspect small.profile | grep -q '^  pictures      10$' || wrong 'inspect small.profile: another number of pictures'
"$fhola" inspect cost.json | grep -q '^  sets          R15 R16 R16-6$' || wrong 'inspect cost.json: other sets'
"$fhola" inspect --json cost.json | grep -q '^{"file": "cost.json", "kind": "a table of costs", "machine": ".*", "threads": [0-9]*, "sets": \["R15", "R16", "R16-6"\]}$' ||
    wrong 'inspect --json cost.json'
# what belongs together has equal ids
id_of()
{
    "$fhola" inspect "$2" | sed -n "s/^  $1 *//p"
}
for file in small.client secret.key eval.keys picture.ct scores.ct; do
    [ "$(id_of network $file)" = "$(id_of network small.fhola)" ] || wrong "$file belongs to another network"
done
for file in small.plan small.profile; do
    [ "$(id_of weights $file)" = "$(id_of weights small.fhola)" ] || wrong "$file belongs to other weights"
done
verdict
