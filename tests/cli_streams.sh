#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whatever a command reads is opened once and read as a stream: a FIFO, a pipe, standard input as "-" or /dev/stdin will do for every kind
# of input. What does not belong together, or was damaged on its way, is called that.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
small_picture
"$fhola" infer small.fhola eval.keys picture.ct -o scores.ct --quiet
for record in "$top_srcdir"/nn/data/*.ppm; do
    printf '\003'
    tail -c 3072 "$record"
done > batch.bin
"$fhola" profile ./small.fhola batch.bin -o small.profile
"$fhola" plan ./small.fhola small.profile batch.bin --degrees 3 -o small.plan > /dev/null
"$fhola" params R16 --spec > my.params
cp "$top_srcdir/nn/models/cost.json" "$top_srcdir/nn/models/resnet20.safetensors" .
printf 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n' > names.txt
printf '[[-1, 0], [0, 0], [1, 1]]' > points.json
mkfifo fifo

# from INPUT COMMAND...: the command, with INPUT for what is called IN, prints the same from the file and from every kind of stream.
from()
{
    input=$1
    shift
    cases=$((cases + 1))
    run "$input" "$@" > ../wanted 2> ../err < /dev/null || wrong "$*: $(cat ../err)"
    cat "$input" > fifo &
    writer=$!
    compare ./fifo "$@"
    # a command that does not read it would leave the writer
    kill $writer 2> /dev/null && wrong "$*: did not read a FIFO"
    wait $writer 2> /dev/null || :
    compare - "$@" < "$input"
    # shellcheck disable=SC2002 # a pipe
    cat "$input" | compare /dev/stdin "$@"
    # shellcheck disable=SC2002
    cat "$input" | compare - "$@"
}
run()
{
    name=$1
    shift
    # shellcheck disable=SC2046 # words
    timeout 60 "$fhola" $(printf '%s\n' "$@" | sed "s|^IN\$|$name|")
}
plain() # names of inputs, and random bits, are no part of the comparison
{
    sed -E -e 's/"file": "[^"]*"/"file": X/' -e 's/^(\{"name": )"[^"]*"/\1X/' -e 's/^[^:]*(: N = )/\1/'
}
compare()
{
    code=0
    run "$@" > ../found 2> ../err || code=$?
    if [ $code -ne 0 ]; then
        echo "FAIL: $*: exit code $code, $(cat ../err)"
        echo >> ../wrong
        return
    fi
    plain < ../wanted > ../wanted.plain
    plain < ../found | cmp -s - ../wanted.plain || { echo "FAIL: $*: another result" && echo >> ../wrong; }
}
: > ../wrong
for file in small.fhola small.client secret.key eval.keys picture.ct scores.ct small.plan small.profile cost.json resnet20.safetensors; do
    from $file inspect --json IN
done
# weights whose header's length begins as containers do
length=$(($(od -A n -t u1 -N 3 resnet20.safetensors | awk '{ print $1 + 256 * $2 + 65536 * $3 }')))
pad=$(((393 - length % 256) % 256))
{
    # shellcheck disable=SC2059 # the format is the bytes
    printf "$(printf '\\%03o' 137 $(((length + pad) / 256 % 256)) $(((length + pad) / 65536)) 0 0 0 0 0)"
    tail -c +9 resnet20.safetensors | head -c $length
    printf "%${pad}s" ''
    tail -c +$((9 + length)) resnet20.safetensors
} > x89.safetensors
from x89.safetensors inspect --json IN
from x89.safetensors eval IN batch.bin --json --count 1
from secret.key decrypt IN scores.ct
from scores.ct decrypt secret.key IN
from small.fhola eval IN batch.bin --json
from batch.bin eval ./small.fhola IN --json
from small.plan eval ./small.fhola batch.bin --plan IN --json
from resnet20.safetensors eval IN batch.bin --json --count 1
from names.txt eval ./resnet20.safetensors batch.bin --json --count 1 --classes IN
from points.json eval ./small.fhola batch.bin --json --function IN
from my.params params --json --check IN
for input in small.profile batch.bin cost.json small.fhola; do
    case $input in
        small.profile) from $input plan ./small.fhola IN batch.bin --budget 60 -o /dev/stdout ;;
        batch.bin) from $input plan ./small.fhola small.profile IN --depth 20 --points 0 -o /dev/stdout ;;
        cost.json) from $input plan ./small.fhola small.profile batch.bin --budget 60 --cost IN -o /dev/stdout ;;
        small.fhola) from $input plan IN batch.bin --degrees 3 -o /dev/stdout ;;
    esac
done
from batch.bin profile ./small.fhola IN -o /dev/stdout
# what makes random bits: that it works is enough
works()
{
    cases=$((cases + 1))
    input=$1
    shift
    for how in - /dev/stdin ./fifo; do
        if [ $how = ./fifo ]; then cat "$input" > fifo & fi
        # shellcheck disable=SC2002
        cat "$input" | run $how "$@" > ../found 2> ../err || wrong "$how: $*: $(cat ../err)"
        wait
    done
}
works small.client keygen --force IN -d other
works secret.key encrypt IN cat.ppm -o x.ct
works cat.ppm encrypt secret.key IN -o x.ct
works batch.bin encrypt secret.key IN --record 3 -o x.ct
works small.fhola compile IN -o x.fhola
works small.plan compile ./small.fhola IN -o x.fhola
works small.fhola infer -q IN eval.keys picture.ct -o x.ct
works eval.keys infer -q small.fhola IN picture.ct -o x.ct
works picture.ct infer -q small.fhola eval.keys IN -o x.ct
[ ! -s ../wrong ] || failures=$((failures + $(wc -l < ../wrong)))

# ---- once only

expect 3 "$fhola" infer small.fhola - -o y << 'END'
fhola infer: invalid parameter: standard input can be read only once
END
expect 7 "$fhola" eval - - << 'END'
fhola eval: malformed data: standard input: not a safetensors file: 0 bytes are too few
END

# ---- what does not belong together is found before hundreds of megabytes are read

rm -r other
"$fhola" keygen small.client -d other > /dev/null
head -c 1000 other/eval.keys > cut.keys # so short that reading them would fail
expect 6 "$fhola" infer small.fhola cut.keys picture.ct -o y << 'END'
fhola infer: unusable key: picture.ct: a ciphertext of another key (ID, not ID)
END

# ---- lines ends changed on the way

for file in small.fhola small.client secret.key picture.ct; do
    sed 's/$/\r/' $file > crlf.bad # LF becomes CR LF
    tr -d '\r' < $file > lf.bad
    for bad in crlf.bad lf.bad; do
        expect 7 "$fhola" inspect $bad << END
fhola inspect: malformed data: $bad: byte 0: a fhola file that was damaged by a transfer as text, which changes line ends: transfer it as binary
END
    done
done
expect 7 "$fhola" decrypt lf.bad << 'END'
fhola decrypt: malformed data: lf.bad: byte 0: a fhola file that was damaged by a transfer as text, which changes line ends: transfer it as binary
END
# weights and pictures have no signature that would show it: as many CR LF as there are LF do, or none
for damage in 's/$/\r/' 's/\r//g' 's/\r$//'; do
    LC_ALL=C sed "$damage" resnet20.safetensors > weights.bad
    LC_ALL=C sed "$damage" batch.bin > batch.bad
    expect 7 "$fhola" eval weights.bad batch.bin << 'END'
fhola eval: malformed data: weights.bad: damaged by a transfer as text, which changes line ends: transfer it as binary
END
    [ "$damage" != 's/\r$//' ] || continue # too few to tell
    expect 7 "$fhola" eval ./small.fhola batch.bad << 'END'
fhola eval: malformed data: batch.bad: damaged by a transfer as text, which changes line ends: transfer it as binary
END
done
# but a text may have such lines
printf 'airplane,0\r\nautomobile,1\r\nbird,2\r\ncat,3\r\ndeer,4\r\n' > batch.bad
expect 7 "$fhola" eval ./small.fhola batch.bad << 'END'
fhola eval: malformed data: batch.bad: 49 bytes are no whole number of CIFAR-10 (3073 bytes) or CIFAR-100 (3074 bytes) records
END
printf '\211PNG\r\n\032\n and so on' > sound.png
sed 's/$/\r/' sound.png > crlf.bad
tr -d '\r' < sound.png > lf.bad
for bad in crlf.bad lf.bad; do
    expect 7 "$fhola" encrypt secret.key $bad -o y << END
fhola encrypt: malformed data: $bad: a PNG file that was damaged by a transfer as text, which changes line ends: transfer it as binary
END
done

# ---- what is a result

cases=$((cases + 1))
"$fhola" inspect scores.ct | grep -q '^  result        yes$' || wrong 'inspect does not know a result'
"$fhola" inspect --json scores.ct | grep -q '"result": true' || wrong 'inspect --json does not know a result'
"$fhola" inspect picture.ct | grep -q '^  result        no$' || wrong 'inspect takes a picture for a result'
verdict
