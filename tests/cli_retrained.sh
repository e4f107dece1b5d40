#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A network with new weights: the secret key gets a file for it, and the evaluation keys that the server has go on serving. What does not fit
# is refused.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
small_picture
"$top_builddir/tests/make_small_network" again 2

expect 1 "$fhola" keygen again.client --secret secret.key << 'END'
fhola keygen: --secret and --output belong together
HINT
END
expect 1 "$fhola" keygen again.client -o again.key << 'END'
fhola keygen: --secret and --output belong together
HINT
END
expect 1 "$fhola" keygen again.client --secret secret.key -o again.key -d . << 'END'
fhola keygen: with --secret no keys go into a folder
HINT
END
expect 3 "$fhola" keygen again.client --secret secret.key -o picture.ct << 'END'
fhola keygen: invalid parameter: picture.ct exists; it would be lost (--force overwrites it)
END
expect 8 "$fhola" keygen again.client --secret none.key -o again.key << 'END'
fhola keygen: input/output error: none.key: No such file or directory
END
expect 7 "$fhola" keygen again.client --secret eval.keys -o again.key << 'END'
fhola keygen: malformed data: eval.keys: evaluation keys instead of a secret key
END
# a secret key is never replaced by itself, not even by its file for another network
cp secret.key kept.key
for output in secret.key ./secret.key; do
    cases=$((cases + 1))
    code=0
    "$fhola" keygen again.client --secret secret.key -o $output --force > ../out 2> ../err || code=$?
    [ $code -eq 3 ] || [ $code -eq 1 ] || wrong "keygen --secret secret.key -o $output: exit code $code, $(cat ../err)"
    cmp -s secret.key kept.key || wrong "keygen --secret secret.key -o $output changed it"
done

# this one needs other keys
"$fhola" compile resnet20 --batch 2 -o other.fhola > /dev/null
cases=$((cases + 1))
code=0
"$fhola" keygen other.client --secret secret.key -o other.key > ../out 2> ../err || code=$?
[ $code -eq 6 ] && [ ! -e other.key ] || wrong "keys are missing: exit code $code"
grep -Eq 'secret.key: .*keys that are needed are missing; the first is the [a-z-]+ key' ../err || wrong "keys are missing: $(cat ../err)"
code=0
"$fhola" infer other.fhola eval.keys picture.ct > ../out 2> ../err || code=$?
[ $code -eq 6 ] && [ ! -s ../out ] || wrong "infer without all keys: exit code $code"
grep -Eq 'eval.keys: .*keys that are needed are missing; the first is the [a-z-]+ key' ../err || wrong "infer without all keys: $(cat ../err)"

"$fhola" keygen again.client --secret secret.key -o again.key > ../out 2> ../err || wrong "keygen --secret: $(cat ../err)"
[ "$(sed -E 's/  [0-9.]+ [KM]B  /  SIZE  /' ../out)" = 'again.key  SIZE  stays with you' ] || wrong "keygen --secret says $(cat ../out)"
[ ! -s ../err ] || wrong "keygen --secret: $(cat ../err)"
[ "$(stat -c %a again.key)" = 600 ] || wrong "again.key has mode $(stat -c %a again.key)"
[ "$("$fhola" inspect again.key | grep '^  key  ')" = "$("$fhola" inspect secret.key | grep '^  key  ')" ] || wrong 'again.key is another key'
"$fhola" encrypt again.key cat.ppm | "$fhola" infer -q again.fhola eval.keys > again.ct
"$fhola" decrypt again.key again.ct > ../out || wrong 'the result cannot be decrypted'
[ "$(wc -l < ../out)" -eq 3 ] || wrong "the result is $(cat ../out)"
code=0
"$fhola" decrypt secret.key again.ct > ../out 2> ../err || code=$?
[ $code -eq 6 ] && grep -q 'made for another network' ../err || wrong "a result of the other network: exit code $code, $(cat ../err)"
verdict
