#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What goes wrong with files and streams, as the user of the program meets it: the exact message, the exit code, nothing on standard
# output, no file left behind.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
model=${fhola%/*}/bundled/models/resnet20.safetensors
plan=${fhola%/*}/bundled/models/resnet20.plan
clean_up()
{
    umount "$work/files/tiny" 2> /dev/null || :
}

# ---- wrong use

expect 1 "$fhola" compile resnet20 << 'END'
fhola compile: -o FILE.fhola is missing
HINT
END
expect 1 "$fhola" compile resnet20 -o x.fhola --dry-run << 'END'
fhola compile: --dry-run writes nothing: not with -o
HINT
END
expect 1 "$fhola" compile -o x.fhola << 'END'
fhola compile: a model, and perhaps a plan, expected, 0 operands given
HINT
END
expect 1 "$fhola" compile a b c -o x.fhola << 'END'
fhola compile: a model, and perhaps a plan, expected, 3 operands given
HINT
END
expect 1 "$fhola" keygen << 'END'
fhola keygen: one client file expected, 0 operands given
HINT
END
expect 1 "$fhola" keygen x.client -d << 'END'
fhola keygen: -d needs a value
HINT
END
expect 1 "$fhola" encrypt secret.key << 'END'
fhola encrypt: a secret key and at least one picture expected, 1 operand given
HINT
END
expect 1 "$fhola" encrypt secret.key batch.bin --record x << 'END'
fhola encrypt: --record must be a whole number from 0 to 1000000000, or two of them, as 3-7, not 'x'
HINT
END
for range in 7-3 3- -3 3-4-5 3-x 0x3 3.5 1-1e10; do
    expect 1 "$fhola" encrypt secret.key batch.bin --record=$range << END
fhola encrypt: --record must be a whole number from 0 to 1000000000, or two of them, as 3-7, not '$range'
HINT
END
done
expect 1 "$fhola" infer x.fhola << 'END'
fhola infer: a compiled network, evaluation keys and perhaps a file of ciphertexts expected, 1 operand given
HINT
END
expect 1 "$fhola" infer x.fhola e.keys --fast << 'END'
fhola infer: unknown option '--fast'
HINT
END
expect 1 "$fhola" decrypt << 'END'
fhola decrypt: a secret key and perhaps a file of results expected, 0 operands given
HINT
END
expect 1 "$fhola" decrypt secret.key --top 0 << 'END'
fhola decrypt: --top must be a whole number from 1 to 1000, not '0'
HINT
END
expect 1 "$fhola" inspect << 'END'
fhola inspect: at least one file expected, 0 operands given
HINT
END
expect 8 "$fhola" inspect a b << 'END'
fhola inspect: input/output error: a: No such file or directory
fhola inspect: input/output error: b: No such file or directory
END
expect 1 "$fhola" params --progress lines << 'END'
fhola params: unknown option '--progress'
HINT
END
expect 1 "$fhola" keygen x.client --progress tune << 'END'
fhola keygen: --progress must be one of bar|lines|json|none, not 'tune'
HINT
END
expect 1 "$fhola" encrypt secret.key a.ppm --json << 'END'
fhola encrypt: --json goes with -o: standard output has ciphertexts
HINT
END
expect 1 "$fhola" encyrpt << 'END'
fhola: no command 'encyrpt'; did you mean 'encrypt'?
Try 'fhola help'.
END
expect 1 "$fhola" help xyz << 'END'
fhola: no command 'xyz'
Try 'fhola help'.
END
expect 1 "$fhola" keygen --directry keys x.client << 'END'
fhola keygen: unknown option '--directry'; did you mean --directory?
HINT
END
expect 1 "$fhola" encrypt secret.key "$picture" --outptu=x.ct << 'END'
fhola encrypt: unknown option '--outptu'; did you mean --output?
HINT
END
expect 1 "$fhola" infer -x a b << 'END'
fhola infer: unknown option '-x'
HINT
END
expect 1 "$fhola" infer --quiet=yes a b << 'END'
fhola infer: --quiet takes no value
HINT
END
expect 1 "$fhola" decrypt secret.key --flood 41 << 'END'
fhola decrypt: --flood must be a number from 0 to 40, not '41'
HINT
END
expect 1 "$fhola" decrypt secret.key --flood 4 --flood-queries 0 << 'END'
fhola decrypt: --flood-queries must be a whole number from 1 to 1000000000, not '0'
HINT
END
expect 1 "$fhola" decrypt secret.key --top 1.5 << 'END'
fhola decrypt: --top must be a whole number from 1 to 1000, not '1.5'
HINT
END
expect 1 "$fhola" plan resnet20 batch.bin --method quickly << 'END'
fhola plan: --method must be one of layerwise+|paper|greedy|uniform, not 'quickly'
HINT
END
expect 8 "$fhola" compile resent20 -o x.fhola << 'END'
fhola compile: input/output error: no bundled model 'resent20'; did you mean 'resnet20'? (files are named with a '/' or a '.')
END
expect 8 "$fhola" keygen vgg << 'END'
fhola keygen: input/output error: no bundled model 'vgg' (files are named with a '/' or a '.')
END

# ---- weights without metadata

expect 3 "$fhola" eval resnet20 batch.bin --mean 0.5,0.5 << 'END'
fhola eval: invalid parameter: --mean must be three numbers or one, not '0.5,0.5'
END
expect 3 "$fhola" classify "$picture" --std 1,1,1,1 << 'END'
fhola classify: invalid parameter: --std must be three numbers or one, not '1,1,1,1'
END
expect 8 "$fhola" compile resnet20 -o x.fhola --classes none.txt << 'END'
fhola compile: input/output error: --classes takes names separated by commas, or a file with one name a line; none.txt: No such file or directory
END
expect 3 "$fhola" compile resnet20 -o x.fhola --classes cat,dog << END
fhola compile: invalid parameter: 2 class names given, $model has 10 classes
END
expect 3 "$fhola" profile resnet20 batch.bin -o x.profile --std 1,1,0 << END
fhola profile: invalid parameter: $model: mean 0.4465, std 0 of channel 2: std must be positive
END
expect 3 "$fhola" eval resnet20 batch.bin --mean 125.3,123.0,113.9 --std 63.0,62.1,66.7 << END
fhola eval: invalid parameter: $model: mean 125.3, std 63 of channel 0: pixels are from 0 to 1: what is for pixels from 0 to 255 must be divided by 255
END
expect 1 "$fhola" compile resnet20 -o x.fhola --bn-eps 0 << 'END'
fhola compile: --bn-eps must be a number from 1e-12 to 1, not '0'
HINT
END
expect 3 "$fhola" compile resnet20 -o x.fhola --bn-eps 0.001 << END
fhola compile: invalid parameter: $plan: the plan is for another model: weights ID, the model's are ID
END
printf 'PK\003\004 and so on' > mine.pth
expect 7 "$fhola" plan ./mine.pth batch.bin --depth 63 -o x.plan << 'END'
fhola plan: malformed data: ./mine.pth: not a safetensors file but a zip archive, as torch.save writes it; export.py makes one of it, see man fhola
END

# ---- compile

expect 8 "$fhola" compile ./none.safetensors -o x.fhola << 'END'
fhola compile: input/output error: ./none.safetensors: No such file or directory
END
expect 3 "$fhola" compile resnet20 -o x.fhola --params R99 << 'END'
fhola compile: invalid parameter: no parameter set is called 'R99'
END
expect 8 "$fhola" compile resnet20 -o none/x.fhola << 'END'
fhola compile: input/output error: none/x.fhola: No such file or directory
END
expect 8 "$fhola" compile resnet20 -o . << 'END'
fhola compile: input/output error: .: Is a directory
END
if [ -w /dev/full ]; then
    expect 8 "$fhola" compile resnet20 -o /dev/full << 'END'
fhola compile: input/output error: /dev/full: writing at byte SIZE: No space left on device
END
fi

"$fhola" compile resnet20 -o n.fhola > /dev/null
cp n.client other-end.client
expect 3 "$fhola" eval ./n.fhola batch.bin --mean 0,0,0 << 'END'
fhola eval: invalid parameter: ./n.fhola: a compiled network has its mean, deviation, class names and folded batch norms already
END

# ---- keygen

expect 8 "$fhola" keygen none.client << 'END'
fhola keygen: input/output error: none.client: No such file or directory
END
expect 8 "$fhola" keygen ./ << 'END'
fhola keygen: input/output error: ./: reading at byte 0: Is a directory
END
expect 7 "$fhola" keygen "$picture" << END
fhola keygen: malformed data: $picture: byte 0: not a fhola file
END
expect 7 "$fhola" keygen n.fhola << 'END'
fhola keygen: malformed data: n.fhola: a compiled network instead of a client file
END
: > empty
expect 7 "$fhola" keygen ./empty << 'END'
fhola keygen: malformed data: ./empty: empty
END
head -c 1000 n.client > cut.client
expect 7 "$fhola" keygen cut.client << 'END'
fhola keygen: malformed data: cut.client: chunk 1 'CLNT' at byte 296: truncated: the data ends at byte 1000
END
cp n.client new.client
change new.client 8 006
expect 7 "$fhola" keygen new.client << 'END'
fhola keygen: malformed data: new.client: byte 0: format version 6 is newer than version 5, the one this program reads
END
change new.client 8 004
expect 7 "$fhola" keygen new.client << 'END'
fhola keygen: malformed data: new.client: byte 0: format version 4 is older than version 5, the one this program reads: compile the network and make the keys anew
END
cp n.client flipped.client
change flipped.client 2000 377
expect 7 "$fhola" keygen flipped.client << 'END'
fhola keygen: malformed data: flipped.client: chunk 1 'CLNT' at byte 296: the content does not match its checksum
END
echo something >> other-end.client
expect 7 "$fhola" keygen other-end.client << END
fhola keygen: malformed data: other-end.client: something follows the end at byte $(wc -c < n.client)
END
expect 8 "$fhola" keygen n.client -d n.fhola << 'END'
fhola keygen: KEYS in all, go into n.fhola/eval.keys
fhola keygen: input/output error: n.fhola/secret.key: Not a directory
END
# a disk that is full after the first megabytes, as far as this process can tell
limit=2000
expect 8 small_files "$fhola" keygen n.client -d . << END
fhola keygen: KEYS in all, go into ./eval.keys
fhola keygen: input/output error: ./eval.keys: writing at byte SIZE: File too large
END

"$fhola" keygen n.client -d keys > /dev/null 2>&1
mv keys/secret.key keys/eval.keys .
expect 3 "$fhola" keygen n.client << 'END'
fhola keygen: invalid parameter: ./secret.key exists; it would be lost (--force overwrites it)
END

# stopped while it writes: nothing stays, the exit code says which signal it was
mkdir stopped
"$fhola" keygen n.client -d stopped > ../out 2> ../err < /dev/null &
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 0.2
    [ "$(find /proc/$!/fd -lname "$PWD/stopped/*" 2> /dev/null | wc -l)" -lt 2 ] || break
done
kill -TERM $!
code=0
wait $! || code=$?
cases=$((cases + 1))
if [ $code -ne 143 ] || [ -n "$(ls -A stopped)" ] || [ "$(tail -n 1 ../err)" != 'fhola keygen: stopped by a signal, nothing was left behind' ]; then
    wrong "keygen stopped by SIGTERM: exit code $code, message $(cat ../err), left behind: $(ls -A stopped)"
fi

# ---- encrypt

expect 8 "$fhola" encrypt none.key "$picture" << 'END'
fhola encrypt: input/output error: none.key: No such file or directory
END
expect 7 "$fhola" encrypt eval.keys "$picture" << 'END'
fhola encrypt: malformed data: eval.keys: evaluation keys instead of a secret key
END
expect 8 "$fhola" encrypt secret.key none.ppm << 'END'
fhola encrypt: input/output error: none.ppm: No such file or directory
END
expect 8 "$fhola" encrypt secret.key ./ << 'END'
fhola encrypt: input/output error: ./: Is a directory
END
expect 7 "$fhola" encrypt secret.key n.fhola -o x.ct << 'END'
fhola encrypt: malformed data: n.fhola: not a PPM picture (it starts with neither P6 nor P3)
END
printf '\377\330\377\340 and so on' > cut.jpg
expect 7 "$fhola" encrypt secret.key cut.jpg -o x.ct << 'END'
fhola encrypt: malformed data: cut.jpg: JPEGERROR
END
cp secret.key flipped.key
change flipped.key 6000 125
expect 7 "$fhola" encrypt flipped.key "$picture" << END
fhola encrypt: malformed data: flipped.key: chunk 2 'SKEY' at byte $(($(wc -c < n.client) - 32)): the content does not match its checksum
END
expect 8 "$fhola" encrypt secret.key "$picture" -o none/x.ct << 'END'
fhola encrypt: input/output error: none/x.ct: No such file or directory
END
head -c 6146 /dev/zero > batch.bin
expect 7 "$fhola" encrypt secret.key ./batch.bin -o x.ct << 'END'
fhola encrypt: malformed data: ./batch.bin: no picture, but it may be a batch of them: --record N takes one
END
expect 10 "$fhola" encrypt secret.key ./batch.bin -o x.ct --record 2 << 'END'
fhola encrypt: value out of range: ./batch.bin: records 2 to 2 asked for, there are only 2
END
expect 10 "$fhola" classify ./batch.bin --record 2 << 'END'
fhola classify: value out of range: ./batch.bin: records 2 to 2 asked for, there are only 2
END
# two pictures of which the second is missing: no ciphertext of the first remains
expect 8 "$fhola" encrypt secret.key "$picture" none.ppm -o x.ct << 'END'
fhola encrypt: input/output error: none.ppm: No such file or directory
END
if [ -w /dev/full ]; then
    expect 8 to_full_disk "$fhola" encrypt secret.key "$picture" << 'END'
fhola encrypt: input/output error: standard output: writing at byte SIZE: No space left on device
END
fi
# a reader that goes away
expect 8 into_closed_pipe sh -c 'sleep 0.2; exec "$@"' sh "$fhola" encrypt secret.key "$picture" << 'END'
fhola encrypt: input/output error: standard output: writing at byte 0: Broken pipe
END
if $can_be_closed; then
    cp "$picture" closed.ppm
    chmod 000 closed.ppm
    expect 8 as_user "$fhola" encrypt secret.key closed.ppm << 'END'
fhola encrypt: input/output error: closed.ppm: Permission denied
END
fi

# ---- pictures: a PNG file is what the same pixels are as PPM; and what can be wrong with one

echo 'P3 4 4 255 121 66 189 242 33 6 240 132 119 98 240 243 203 77 118 77 199 7 32 81 21 154 15 137 242 198 218 202 227 68 187 49 18 69 253 111 132 223 154 215 197 179 208 118 172 14 143 83' > four.ppm
base64 -d > four.png << 'END'
iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAP0lEQVR42gE0AMv/AHlCvfIhBvCEd2Lw8wDLTXZNxwcgURWaD4kA
8sbayuNEuzESRf1vAITfmtfFs9B2rA6PU4eKGYPsjnuGAAAAAElFTkSuQmCC
END
"$fhola" encrypt secret.key four.ppm --preview -o four.ct 2> ../four.ppm.seen
if "$fhola" encrypt secret.key four.png --preview -o four.ct 2> ../four.png.seen; then
    cases=$((cases + 1))
    cmp ../four.ppm.seen ../four.png.seen || wrong 'the PNG file is another picture'
    head -c 70 four.png > cut.png
    expect 7 "$fhola" encrypt secret.key cut.png -o x.ct << 'END'
fhola encrypt: malformed data: cut.png: PNGERROR
END
else
    expect 7 "$fhola" encrypt secret.key four.png -o x.ct << 'END'
fhola encrypt: malformed data: four.png: a PNG file, but this program was built without libpng
END
fi

"$fhola" encrypt secret.key "$picture" -o picture.ct

# ---- infer: whatever is wrong is found before the network starts to work

expect 9 "$fhola" infer n.fhola secret.key picture.ct -o x.ct << 'END'
fhola infer: security violation: secret.key: a secret key instead of evaluation keys; it must stay with its owner
END
expect 9 "$fhola" infer n.fhola eval.keys secret.key -o x.ct << 'END'
fhola infer: security violation: secret.key: a secret key instead of a ciphertext; it must stay with its owner
END
expect 9 "$fhola" infer secret.key eval.keys picture.ct -o x.ct << 'END'
fhola infer: security violation: secret.key: a secret key instead of a compiled network; it must stay with its owner
END
expect 7 "$fhola" infer n.client eval.keys picture.ct -o x.ct << 'END'
fhola infer: malformed data: n.client: a client file instead of a compiled network
END
expect 7 "$fhola" infer n.fhola picture.ct eval.keys -o x.ct << 'END'
fhola infer: malformed data: picture.ct: a ciphertext instead of evaluation keys
END
expect 8 "$fhola" infer n.fhola eval.keys none.ct -o x.ct << 'END'
fhola infer: input/output error: none.ct: No such file or directory
END
expect 8 "$fhola" infer n.fhola eval.keys ./ -o x.ct << 'END'
fhola infer: input/output error: ./: reading at byte 0: Is a directory
END
expect 7 "$fhola" infer n.fhola eval.keys << 'END'
fhola infer: malformed data: no encrypted picture arrived
END
expect 7 "$fhola" infer n.fhola eval.keys "$picture" << END
fhola infer: malformed data: $picture: byte 0: not a fhola file
END
head -c 300000 picture.ct > cut.ct
expect 7 "$fhola" infer n.fhola eval.keys cut.ct -o x.ct << 'END'
fhola infer: malformed data: cut.ct: chunk 2 'CIPH' at byte 336: truncated: the data ends at byte 300000
END
head -c 300000 picture.ct > ../input
expect 7 "$fhola" infer n.fhola eval.keys << 'END'
fhola infer: malformed data: standard input: chunk 2 'CIPH' at byte 336: truncated: the data ends at byte 300000
END
: > ../input
cp picture.ct flipped.ct
change flipped.ct 200000 000
change flipped.ct 200001 377
expect 7 "$fhola" infer n.fhola eval.keys flipped.ct -o x.ct << 'END'
fhola infer: malformed data: flipped.ct: chunk 2 'CIPH' at byte 336: the content does not match its checksum
END
head -c 200000000 eval.keys > cut.keys
expect 7 sh -c '"$@" 2>&1 | sed "s/chunk [0-9]* .KEY . at byte [0-9]*/CHUNK/" >&2; exit 7' sh "$fhola" infer n.fhola cut.keys picture.ct -o x.ct << 'END'
fhola infer: malformed data: cut.keys: CHUNK: truncated: the data ends at byte 200000000
END
rm cut.keys

# Another network: one weight differs in its last bit or so. Another owner.
cp "$model" other.safetensors
chmod u+w other.safetensors
header=$(od -A n -t u4 -N 4 other.safetensors | tr -d ' ')
change other.safetensors $((8 + header + 4000)) 001
hash=$("$fhola" inspect other.safetensors | awk '$1 == "weights" { print $2 }')
sed "s/\"model_hash\": \"[0-9a-f]*\"/\"model_hash\": \"$hash\"/" "$plan" > other.plan
expect 3 "$fhola" compile ./other.safetensors "$plan" -o x.fhola << END
fhola compile: invalid parameter: $plan: the plan is for another model: weights ID, the model's are ID
END
"$fhola" compile ./other.safetensors other.plan -o other.fhola > /dev/null
expect 6 "$fhola" infer other.fhola eval.keys picture.ct -o x.ct << 'END'
fhola infer: unusable key: picture.ct: chunk 1 'NETW' at byte 296: made for another network (ID, not ID)
END
"$fhola" compile resnet20 -o wide.fhola --params R15-A3 > /dev/null
expect 6 "$fhola" infer wide.fhola eval.keys picture.ct -o x.ct << 'END'
fhola infer: unusable key: eval.keys: evaluation keys for other parameters (ID, not ID)
END
"$fhola" keygen other.client -d keys > /dev/null
"$fhola" encrypt keys/secret.key "$picture" -o other.ct
expect 6 "$fhola" infer n.fhola eval.keys other.ct -o x.ct << 'END'
fhola infer: unusable key: other.ct: a ciphertext of another key (ID, not ID)
END

# ---- decrypt

expect 7 "$fhola" decrypt eval.keys picture.ct << 'END'
fhola decrypt: malformed data: eval.keys: evaluation keys instead of a secret key
END
expect 4 "$fhola" decrypt secret.key picture.ct << 'END'
fhola decrypt: level mismatch: picture.ct: chunk 2 'CIPH' at byte 336: this is an encrypted picture, not a result
END
expect 6 "$fhola" decrypt secret.key other.ct << 'END'
fhola decrypt: unusable key: other.ct: a ciphertext of another key (ID, not ID)
END
expect 7 "$fhola" decrypt secret.key << 'END'
fhola decrypt: malformed data: no result arrived
END
expect 7 "$fhola" decrypt secret.key cut.ct << 'END'
fhola decrypt: malformed data: cut.ct: chunk 2 'CIPH' at byte 336: truncated: the data ends at byte 300000
END

# ---- inspect

expect 8 "$fhola" inspect none << 'END'
fhola inspect: input/output error: none: No such file or directory
END
expect 8 "$fhola" inspect . << 'END'
fhola inspect: input/output error: .: Is a directory
END
expect 7 "$fhola" inspect empty << 'END'
fhola inspect: malformed data: empty: empty
END
expect 7 "$fhola" inspect flipped.ct << 'END'
fhola inspect: malformed data: flipped.ct: chunk 2 'CIPH' at byte 336: the content does not match its checksum
END
expect 7 "$fhola" inspect cut.client << 'END'
fhola inspect: malformed data: cut.client: chunk 1 'CLNT' at byte 296: truncated: the data ends at byte 1000
END

# ---- standard output

if [ -w /dev/full ]; then
    for arguments in help 'help encrypt' version params; do
        # shellcheck disable=SC2086 # two words
        expect 8 to_full_disk "$fhola" $arguments << 'END'
fhola: cannot write to standard output
END
    done
fi
# a disk that is really full, where this user may make one
mkdir tiny
if mount -t tmpfs -o size=1m none tiny 2> /dev/null; then
    expect 8 "$fhola" keygen n.client -d tiny << 'END'
fhola keygen: KEYS in all, go into tiny/eval.keys
fhola keygen: input/output error: tiny/eval.keys: writing at byte SIZE: No space left on device
END
    [ -z "$(ls -A tiny)" ] || wrong "keygen leaves $(ls -A tiny)"
    expect 8 "$fhola" encrypt secret.key "$picture" "$picture" "$picture" -o tiny/x.ct << 'END'
fhola encrypt: input/output error: tiny/x.ct: writing at byte SIZE: No space left on device
END
    expect 8 "$fhola" compile resnet20 -o tiny/x.fhola << 'END'
fhola compile: input/output error: tiny/x.fhola: writing at byte SIZE: No space left on device
END
    [ -z "$(ls -A tiny)" ] || wrong "a full disk holds $(ls -A tiny)"
    umount tiny
else
    echo 'not tried: a file system of one megabyte'
fi

# ---- a client file that asks for the secret key under a secret of one coefficient
cp "$top_srcdir/tests/fuzz/cases/client/sparse-weight-1" hostile.client
expect 7 "$fhola" keygen hostile.client -d keys << 'END'
fhola keygen: malformed data: hostile.client: chunk 0 'PARM' at byte 40: an ephemeral secret of weight 1, but no levels of bootstrapping
END
rm -f hostile.client

# ---- secrets
if "$fhola" inspect --json secret.key | grep -i '"secret"'; then
    wrong 'inspect shows something secret'
fi

verdict
