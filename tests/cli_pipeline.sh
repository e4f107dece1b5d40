#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The two parties, each in a directory of its own, sharing the client file, the evaluation keys and ciphertexts and nothing else: a real
# picture is encrypted, the real network runs on it, the scores come back. Every step at full size.
set -eu
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
fhola=${FHOLA:-${top_builddir:-$top_srcdir}/fhola}
pictures=$top_srcdir/nn/data
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/server" "$work/owner" "$work/wire"

fail()
{
    echo "FAIL: $*"
    exit 1
}

# same WHAT FILE: standard input is what FILE holds.
same()
{
    cat > "$work/expected"
    cmp -s "$work/expected" "$2" || { echo "FAIL: $1: expected"; cat "$work/expected"; echo "but found"; cat "$2"; exit 1; }
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
same 'compile, stdout' out << 'END'
resnet20.fhola  the network, for the server
resnet20.client  for the owners of pictures, to make keys from
END
same 'compile, stderr' err < /dev/null
cp resnet20.client ../wire/

# The owner makes keys and encrypts.
cd "$work/owner"
cp ../wire/resnet20.client .
"$fhola" keygen -d keys resnet20.client > ../out 2> ../err
sed 's/  [0-9.]* MB/  SIZE/' ../out > ../out.sizes
same 'keygen, stdout' ../out.sizes << 'END'
keys/secret.key  SIZE  stays with you
keys/eval.keys  SIZE  goes to the server
END
same 'keygen, stderr' ../err < /dev/null
[ "$(ls keys | tr '\n' ' ')" = 'eval.keys secret.key ' ] || fail "keys/ holds $(ls keys)"
[ "$(stat -c %a keys/secret.key)" = 600 ] || fail "secret.key has mode $(stat -c %a keys/secret.key)"
below 'evaluation keys' keys/eval.keys 1000000000
mv keys/eval.keys ../wire/
"$fhola" encrypt keys/secret.key "$pictures/cat.ppm" > ../wire/cat.ct
below 'encrypted picture' ../wire/cat.ct 600000

# The server works. Nothing of the owner's is readable from here but what came over the wire.
cd "$work/server"
mv ../wire/eval.keys ../wire/cat.ct .
"$fhola" infer resnet20.fhola eval.keys cat.ct -o scores.ct > out 2> err
same 'infer, stdout' out < /dev/null
same 'infer, stderr' err < /dev/null
below 'encrypted scores' scores.ct 300000
for file in *; do
    if "$fhola" inspect "$file" 2> /dev/null | grep 'a secret key'; then fail "the server holds a secret key: $file"; fi
done
cp scores.ct ../wire/

# The owner reads the scores.
cd "$work/owner"
"$fhola" decrypt keys/secret.key ../wire/scores.ct > ../out 2> ../err
same 'decrypt, stderr' ../err < /dev/null
cat ../out
awk 'NF != 2 || $2 !~ /^-?[0-9]+\.[0-9][0-9]$/ || (NR > 1 && $2 > last) { exit 1 } { last = $2 } END { exit NR != 3 }' ../out ||
    fail 'decrypt does not print the three best classes, best first'
[ "$(head -n 1 ../out | cut -d ' ' -f 1)" = cat ] || fail 'the cat is no cat'

# Everything through pipes; two pictures in one stream come back in order, under the same keys.
"$fhola" encrypt keys/secret.key "$pictures/ship.ppm" "$pictures/cat.ppm" |
    (cd ../server && "$fhola" infer resnet20.fhola eval.keys) |
    "$fhola" decrypt keys/secret.key --json --top 2 > ../out 2> ../err
same 'decrypt --json, stderr' ../err < /dev/null
cat ../out
sed 's/"score": -*[0-9]*\.[0-9][0-9]/"score": S/g; s/, {[^}]*}]/, SECOND]/' ../out > ../out.names
same 'decrypt --json' ../out.names << 'END'
{"class": "ship", "top": [{"name": "ship", "score": S}, SECOND]}
{"class": "cat", "top": [{"name": "cat", "score": S}, SECOND]}
END
