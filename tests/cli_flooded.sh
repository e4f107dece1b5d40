#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Flooded results are counted beside the secret key: within a stream, across calls and processes; none that is too many is printed.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
"$top_builddir/tests/make_small_network" small tiny
mkdir keys
"$fhola" keygen small.client -d keys > /dev/null 2>&1
mv keys/eval.keys .
"$fhola" encrypt keys/secret.key "$picture" > picture.ct
"$fhola" infer small.fhola eval.keys picture.ct --quiet > scores.ct
cat scores.ct scores.ct scores.ct > three.ct
cat three.ct three.ct three.ct > nine.ct

# anew FOLDER: the key in a folder of its own, where nothing has been counted. A copy of a key has a count of its own.
anew()
{
    rm -rf "$1"
    mkdir "$1"
    cp keys/secret.key "$1"
}

# decrypts CODE LINES ARGUMENT...: the exit code, and how many results are printed; what is said on standard error stands on standard input.
decrypts()
{
    code=$1
    lines=$2
    shift 2
    cases=$((cases + 1))
    cat > ../expected
    found=0
    "$fhola" decrypt "$@" --json > ../out 2> ../err < ../input || found=$?
    sed -E 's/[0-9a-f]{16}/ID/g' ../err > ../err.shown
    [ $found -eq "$code" ] || wrong "decrypt $*: exit code $found, not $code"
    [ "$(wc -l < ../out)" -eq "$lines" ] || wrong "decrypt $*: $(wc -l < ../out) results, not $lines"
    cmp -s ../expected ../err.shown || wrong "decrypt $*: expected $(cat ../expected), found $(cat ../err.shown)"
}

# ---- in one stream, and in the next call

anew a
decrypts 9 2 a/secret.key three.ct --flood 4 --flood-queries 2 << END
fhola decrypt: every score has noise of standard deviation 1.57
fhola decrypt: security violation: $PWD/a/ID.flooded: 2 results have been decrypted with noise under this key; one more for 4 bits and 2 queries would leave less than the 4 bits promised: make a new key
END
[ "$(stat -c %a a/*.flooded)" = 600 ] || wrong "the count has mode $(stat -c %a a/*.flooded)"
decrypts 9 0 a/secret.key scores.ct --flood 2 --flood-queries 100 << END
fhola decrypt: every score has noise of standard deviation 5.54
fhola decrypt: security violation: $PWD/a/ID.flooded: 2 results have been decrypted with noise under this key; one more for 2 bits and 100 queries would leave less than the 4 bits promised: make a new key
END

# across calls; through a link as well
anew a
ln -s a/secret.key link.key
for key in a/secret.key link.key a/secret.key; do
    decrypts 0 1 $key scores.ct --flood 4 --flood-queries 4 << 'END'
fhola decrypt: every score has noise of standard deviation 2.22
END
done
decrypts 9 0 a/secret.key scores.ct --flood 4 --flood-queries 3 << END
fhola decrypt: every score has noise of standard deviation 1.92
fhola decrypt: security violation: $PWD/a/ID.flooded: 3 results have been decrypted with noise under this key; one more for 4 bits and 3 queries would leave less than the 4 bits promised: make a new key, or ask for noise for 4 queries
END
decrypts 9 1 a/secret.key three.ct --flood 4 --flood-queries 4 << END
fhola decrypt: every score has noise of standard deviation 2.22
fhola decrypt: security violation: $PWD/a/ID.flooded: 4 results have been decrypted with noise under this key; one more for 4 bits and 4 queries would leave less than the 4 bits promised: make a new key
END

# what is not a result does not count, nor does what is decrypted without noise
anew a
decrypts 4 0 a/secret.key picture.ct --flood 4 << 'END'
fhola decrypt: every score has noise of standard deviation 1.11
fhola decrypt: level mismatch: picture.ct: chunk 2 'CIPH' at byte 336: this is an encrypted picture, not a result
END
decrypts 0 3 a/secret.key three.ct < /dev/null
[ "$(ls -A a)" = secret.key ] || wrong "something was counted: $(ls -A a)"

# ---- two processes at once: as many results as were announced, and no more

anew a
cases=$((cases + 1))
for process in 1 2; do
    "$fhola" decrypt a/secret.key nine.ct --json --flood 3 --flood-queries 13 > ../out$process 2> ../err$process &
done
wait
[ "$(cat ../out1 ../out2 | wc -l)" -eq 13 ] || wrong "two processes: $(cat ../out1 ../out2 | wc -l) results, not 13: $(cat ../err1 ../err2)"

# ---- a count that is damaged, or cannot be kept

anew a
decrypts 0 1 a/secret.key scores.ct --flood 4 --flood-queries 9 << 'END'
fhola decrypt: every score has noise of standard deviation 3.33
END
for count in a/*.flooded; do :; done
sed -i 's/ 1\]/ 0]/' "$count"
decrypts 7 0 a/secret.key scores.ct --flood 4 --flood-queries 9 << END
fhola decrypt: every score has noise of standard deviation 3.33
fhola decrypt: malformed data: $PWD/a/ID.flooded: the count of flooded results is damaged; it is not begun anew: bring it back from a copy, or make a new key
END
: > "$count"
decrypts 7 0 a/secret.key scores.ct --flood 4 --flood-queries 9 << END
fhola decrypt: every score has noise of standard deviation 3.33
fhola decrypt: malformed data: $PWD/a/ID.flooded: the count of flooded results is damaged; it is not begun anew: bring it back from a copy, or make a new key
END
anew a
chmod 500 a
if $can_be_closed; then
    cases=$((cases + 1))
    code=0
    as_user "$fhola" decrypt a/secret.key scores.ct --flood 4 > ../out 2> ../err || code=$?
    [ $code -eq 8 ] && [ ! -s ../out ] || wrong "a folder that cannot be written to: exit code $code, $(cat ../out)"
    tail -n 1 ../err | grep -q '^fhola decrypt: input/output error: .*\.flooded: Permission denied$' || wrong "a folder that cannot be written to: $(cat ../err)"
fi
chmod 700 a

# ---- a key that is no file: there is no place for a count; standard input from a file has one

cases=$((cases + 1))
code=0
# shellcheck disable=SC2002 # a pipe
cat a/secret.key | "$fhola" decrypt - scores.ct --flood 4 > ../out 2> ../err || code=$?
[ $code -eq 3 ] && [ ! -s ../out ] || wrong "a key from a pipe: exit code $code"
grep -q 'this is no file$' ../err || wrong "a key from a pipe: $(cat ../err)"
cases=$((cases + 1))
"$fhola" decrypt - scores.ct --flood 4 > ../out 2> ../err < a/secret.key || wrong "a key as standard input: $(cat ../err)"
[ "$(find a -name '*.flooded' | wc -l)" -eq 1 ] || wrong "a key as standard input: counted elsewhere"

# ---- noise on the side of the server: no two results are alike, and all have the scores, up to noise of deviation 0.014

numbers() # FILE: the scores in it
{
    "$fhola" decrypt keys/secret.key "$1" --json --top 10 | grep -oE -- '-?[0-9]+\.[0-9]+' | tr '\n' ' '
    echo
}
cases=$((cases + 1))
for k in 1 2; do
    "$fhola" infer small.fhola eval.keys picture.ct --sanitize 0 --sanitize-error 0.001 --quiet > sane$k.ct 2> ../err || wrong "infer --sanitize: $(cat ../err)"
done
if cmp -s sane1.ct sane2.ct || cmp -s sane1.ct scores.ct; then wrong 'infer --sanitize: two results are alike'; fi
numbers scores.ct > exact
[ "$(wc -w < exact)" -gt 9 ] || wrong "too few scores: $(cat exact)"
for k in 1 2; do
    numbers sane$k.ct > noisy
    paste -d ' ' exact noisy | awk '
        NF % 2 { print "other numbers of values"; exit 1 }
        { for (i = 1; i <= NF / 2; i++) if (($i - $(i + NF / 2)) ^ 2 > 0.15 ^ 2) { print $i, "and", $(i + NF / 2); bad = 1 } }
        END { exit bad || NR < 1 }' || wrong 'infer --sanitize: other scores'
done
cases=$((cases + 1))
code=0
"$fhola" infer small.fhola eval.keys picture.ct --sanitize 12 -o x.ct > ../out 2> ../err || code=$?
{ [ $code -eq 10 ] && [ ! -e x.ct ] && grep -q 'results are readable up to 9.14' ../err; } || wrong "infer --sanitize 12: exit code $code, $(cat ../err)"
verdict
