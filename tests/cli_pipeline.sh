#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The two parties, each in a directory of its own, sharing the client file, the evaluation keys and ciphertexts and nothing else: a real
# picture is encrypted, the real network runs on it, the scores come back. Every step at full size.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
pictures=$top_srcdir/nn/data

mkdir "$work/server" "$work/owner"

# same WHAT FILE: standard input is what FILE holds.
same()
{
    cat > "$work/expected"
    cmp -s "$work/expected" "$2" || { echo "FAIL: $1: expected"; cat "$work/expected"; echo "but found"; cat "$2"; exit 1; }
}

# sizes FILE: what a command says, its figures left out.
sizes()
{
    sed -E 's/  [0-9]+(\.[0-9])? [KM]B  /  SIZE  /' "$1"
}

below()
{
    bytes=$(wc -c < "$2")
    echo "$1: $bytes bytes"
    [ "$bytes" -lt "$3" ] || fail "$1 has $bytes bytes, not less than $3"
}

# The server compiles.
cd "$work/server"
"$fhola" compile resnet20 -o resnet20.fhola > out 2> err
sizes out > out.sizes
same 'compile, stdout' out.sizes << 'END'
resnet20.fhola  SIZE  the network, for the server
resnet20.client  SIZE  for the owners of pictures, to make keys from
END
same 'compile, stderr' err < /dev/null
cp resnet20.client ../owner/
"$fhola" compile resnet20 --dry-run > out
sed -E 's/(keys|diagonals|memory) .*/\1/' out > out.sizes
same 'a dry run' out.sizes << 'END'
ciphertexts of a picture  1
ciphertexts of a layer    1 at most
bootstraps                19
evaluation keys
encoded diagonals
memory
END
# What owners send: bytes of the bundled networks' keys, from their lists.
key_bytes()
{
    "$fhola" compile "$@" --dry-run --json | sed 's/.*"key_bytes": \([0-9]*\),.*/\1/'
}
for network in resnet20 resnet20-gelu; do
    all=$(key_bytes $network)
    few=$(key_bytes $network --small-keys)
    [ "$all" -le 230000000 ] || fail "keys of $network: $all bytes"
    [ "$few" -le 130000000 ] || fail "small keys of $network: $few bytes"
done
grep -Eq 'diagonals +[01]\.[0-9][0-9] GiB' out || fail "a dry run's diagonals: $(cat out)"

# The owner makes keys.
cd "$work/owner"
"$fhola" keygen -d keys resnet20.client > ../out 2> ../err
sizes ../out > ../out.sizes
same 'keygen, stdout' ../out.sizes << 'END'
keys/secret.key  SIZE  stays with you
keys/eval.keys  SIZE  goes to the server
END
sed -E 's/[0-9]+ keys/N keys/; s/[0-9.]+ MB/SIZE/' ../err > ../err.sizes
same 'keygen, stderr' ../err.sizes << 'END'
fhola keygen: N keys for the server, SIZE in all, go into keys/eval.keys
END
[ "$(ls keys | tr '\n' ' ')" = 'eval.keys secret.key ' ] || fail "keys/ holds $(ls keys)"
[ "$(stat -c %a keys/secret.key)" = 600 ] || fail "secret.key has mode $(stat -c %a keys/secret.key)"
below 'evaluation keys' keys/eval.keys 1000000000
mv keys/eval.keys ../server/

# A ship and a cat go through the pipe in one stream, in tiny pieces: a byte at a time to the server, seven and a rest back. The server has
# nothing of the owner's but what came over the wire.
"$fhola" encrypt keys/secret.key "$pictures/ship.ppm" "$pictures/cat.ppm" | dd bs=1 2> /dev/null |
    (cd ../server && tee pictures.ct | "$fhola" infer resnet20.fhola eval.keys 2> ../err.infer) |
    dd bs=7 2> /dev/null | tee scores.ct | "$fhola" decrypt keys/secret.key --json --top 2 > ../out 2> ../err
same 'infer, stderr' ../err.infer < /dev/null
same 'decrypt --json, stderr' ../err < /dev/null
cat ../out
sed 's/"score": -*[0-9]*\.[0-9][0-9]/"score": S/g; s/, {[^}]*}]/, SECOND]/' ../out > ../out.names
same 'decrypt --json' ../out.names << 'END'
{"result": 1, "class": "ship", "top": [{"name": "ship", "score": S}, SECOND]}
{"result": 2, "class": "cat", "top": [{"name": "cat", "score": S}, SECOND]}
END
# A reader that makes the writer wait; stopped and continued meanwhile, its write is cut short.
mkfifo ../slow
"$fhola" encrypt keys/secret.key "$pictures/ship.ppm" "$pictures/cat.ppm" "$pictures/dog.ppm" > ../slow 2> ../err &
{
    sleep 2
    kill -STOP $!
    kill -CONT $!
    cat
} < ../slow > slow.ct
wait $! || fail 'encrypt fails when a write is cut short'
same 'encrypt, stderr' ../err < /dev/null
"$fhola" inspect slow.ct > ../out || fail 'encrypt does not write the rest when a write is cut short'
below 'two encrypted pictures' ../server/pictures.ct 1200000
below 'their encrypted scores' scores.ct 800000

# Interrupted at once, and among the layers of the first picture: the program ends by the signal, and nothing is left.
mkdir ../stopped
for seconds in 0.5 3; do
    env --default-signal=INT "$fhola" infer ../server/resnet20.fhola ../server/eval.keys ../server/pictures.ct -o ../stopped/result \
        > ../out 2> ../err < /dev/null &
    sleep $seconds
    kill -INT $!
    code=0
    wait $! || code=$?
    [ $code -eq 130 ] || fail "infer interrupted after $seconds s: exit code $code"
    [ -z "$(ls -A ../stopped)" ] || fail "infer interrupted after $seconds s left $(ls -A ../stopped)"
    grep -q 'stopped by a signal, nothing was left behind' ../err || fail "infer interrupted after $seconds s said $(cat ../err)"
done
cd ../server
for file in *; do
    if "$fhola" inspect "$file" 2> /dev/null | grep 'a secret key'; then fail "the server holds a secret key: $file"; fi
done

# The same results from a file, as text: per picture its number and the best three classes, best first.
cd ../owner
"$fhola" decrypt scores.ct keys/secret.key 2> /dev/null && fail 'operands in the wrong order pass'
"$fhola" decrypt keys/secret.key scores.ct > ../out 2> ../err
same 'decrypt, stderr' ../err < /dev/null
cat ../out
awk 'NF == 0 { next }
     /^result / { if ($2 != ++number) exit 1; last = 1000; next }
     NF != 2 || $2 !~ /^-?[0-9]+\.[0-9][0-9]$/ || (NR > 1 && $2 > last) { exit 1 }
     { last = $2 }
     END { if (NR != 9) exit 1 }' ../out || fail 'decrypt does not print the three best classes of each picture, best first'
[ "$(cut -d ' ' -f 1 ../out | sed -n '2p;7p' | tr '\n' ' ')" = 'ship cat ' ] || fail 'the ship is no ship or the cat is no cat'

# Flooded: the noise is said, and new every time; as many results as were announced, and no more.
for file in one two; do
    "$fhola" decrypt keys/secret.key scores.ct --flood 4 --flood-queries 4 --top 10 > ../$file 2> ../err
    same 'decrypt --flood, stderr' ../err << 'END'
fhola decrypt: every score has noise of standard deviation 2.22
END
done
code=0
"$fhola" decrypt keys/secret.key scores.ct --flood 4 --flood-queries 4 > ../out 2> ../err || code=$?
[ $code -eq 9 ] && [ ! -s ../out ] || fail "decrypt --flood of a fifth result of four: exit code $code"
cmp -s ../one ../two && fail 'the same noise twice'
[ "$(wc -l < ../one)" -eq 23 ] || fail 'decrypt --flood does not print ten classes of each picture'

# A result for another key, and one that is damaged.
refused()
{
    code=0
    "$fhola" decrypt "$2" "$3" > "$work/out" 2> "$work/err" || code=$?
    [ $code -eq "$1" ] || fail "decrypt $3: exit code $code, not $1"
    sed -E 's/[0-9a-f]{16}/ID/g' "$work/err" > "$work/err.ids"
    same "decrypt $3, stderr" "$work/err.ids"
}
"$fhola" keygen resnet20.client -d others > /dev/null
refused 6 others/secret.key scores.ct << 'END'
fhola decrypt: unusable key: scores.ct: a ciphertext of another key (ID, not ID)
END
[ ! -s ../out ] || fail 'decrypt prints something for a result of another key'
head -c 20000 scores.ct > cut.ct
refused 7 keys/secret.key cut.ct << 'END'
fhola decrypt: malformed data: cut.ct: chunk 2 'CIPH' at byte 336: truncated: the data ends at byte 20000
END
change()
{
    cp scores.ct changed.ct
    printf "\\$2" | dd of=changed.ct bs=1 seek="$1" conv=notrunc 2> /dev/null
}
[ "$(wc -c < scores.ct)" -lt 50000 ] || fail "two results of $(wc -c < scores.ct) bytes"
change 5000 000
cmp -s scores.ct changed.ct && change 5000 377
refused 7 keys/secret.key changed.ct << 'END'
fhola decrypt: malformed data: changed.ct: chunk 2 'CIPH' at byte 336: the content does not match its checksum
END
change 8 004
refused 7 keys/secret.key changed.ct << 'END'
fhola decrypt: malformed data: changed.ct: byte 0: format version 4 is older than version 5, the one this program reads: compile the network and make the keys anew
END
change 8 006
refused 7 keys/secret.key changed.ct << 'END'
fhola decrypt: malformed data: changed.ct: byte 0: format version 6 is newer than version 5, the one this program reads
END
