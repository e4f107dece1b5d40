#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Parameter sets of third parties: fhola params --check and --spec.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
# accept FILE: the verdict's last line is "accepted"
accept()
{
    "$fhola" params --check "$1" --primes > "$work/out" || fail "$1 refused"
    tail -n 1 "$work/out" | grep -q '^accepted: log2(QP) is [0-9.]* below the bound' || fail "no verdict: $(tail -n 1 "$work/out")"
}

# refuse CODE WORDS: the set in $work/set fails with this exit code and a message with these words; nothing on standard output
refuse()
{
    code=0
    "$fhola" params --check "$work/set" > "$work/out" 2> "$work/err" || code=$?
    [ "$code" = "$1" ] || fail "exit code $code instead of $1: $(cat "$work/err")"
    grep -qF -- "$2" "$work/err" || fail "'$(cat "$work/err")' does not say '$2'"
    [ ! -s "$work/out" ] || fail "refused, but printed"
}

# vary SED: R16's specification, edited
vary()
{
    sed "$1" "$work/r16" > "$work/set"
}

# Every built-in set comes back from its own specification with the same primes.
for name in R15 R15-28 R15-A3 R15-A2 R15-B R16 R16-6; do
    "$fhola" params "$name" --spec > "$work/$name"
    accept "$work/$name"
    sed 1d "$work/out" | sed '$d' > "$work/checked"
    "$fhola" params "$name" --primes | sed -e 1d -e '/^  for /d' | cmp - "$work/checked" || fail "$name differs"
done
# A file will do wherever a set is named: here, and for plans and compiled networks, with the levels and the keys of the set it describes.
"$fhola" params "$work/R15" --json | sed 's/"name": "[^"]*"//; s/"precision_bits": [^,]*//' > "$work/a"
"$fhola" params R15 --json | sed 's/"name": "[^"]*"//; s/"precision_bits": [^,]*//' | cmp - "$work/a" || fail "a file is another set"
"$top_builddir/tests/make_small_network" "$work/small"
for record in "$top_srcdir"/nn/data/*.ppm; do
    printf '\003'
    tail -c 3072 "$record"
done > "$work/batch.bin"
"$fhola" compile "$work/small.fhola" -o "$work/a.fhola" --params "$work/R15" > "$work/out" || fail "compile does not take a file: $(cat "$work/out")"
"$fhola" compile "$work/small.fhola" -o "$work/b.fhola" --params R15 > "$work/out"
cmp "$work/a.fhola" "$work/b.fhola" || fail 'compile takes another set from a file'
sed 's/^special_primes = .*/special_primes = 4/' "$work/R15" > "$work/set"
"$fhola" plan "$work/small.fhola" "$work/batch.bin" --degrees 15 --params "$work/set" -o "$work/plan" > "$work/out" || fail "plan does not take a file"
code=0
"$fhola" plan "$work/small.fhola" "$work/batch.bin" --degrees 31 --params "$work/set" -o "$work/plan" 2> "$work/err" || code=$?
[ $code -eq 3 ] && grep -q "needs 6 residual levels, the parameter set $work/set has 5" "$work/err" || fail "plan for a file: exit code $code, $(cat "$work/err")"
sed 's/^special_primes = .*/special_primes = 9/' "$work/R15" > "$work/set"
code=0
"$fhola" plan "$work/small.fhola" "$work/batch.bin" --degrees 3 --params "$work/set" -o "$work/plan" 2> "$work/err" || code=$?
[ $code -eq 9 ] || fail "plan for a set that is not secure: exit code $code, $(cat "$work/err")"

# So does every command with --params: each of them is tried here, with a set that is secure and with one that is not.
known='bench classify compile eval plan '
sed 's/^special_primes = .*/special_primes = 5/' "$work/R15" > "$work/good.set"
mv "$work/set" "$work/weak.set"
cat > "$work/commands" << END
classify --model tiny.fhola cat.ppm
compile small.fhola -o compiled.fhola
eval small.fhola batch.bin --encrypted --count 1
plan small.fhola batch.bin --degrees 3 -o plan
bench net --model tiny.fhola
bench keyswitch --only rescale
END
(
    cd "$work"
    "$top_builddir/tests/make_small_network" tiny tiny
    cp "$top_srcdir/nn/data/cat.ppm" .
    for command in $("$fhola" help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' | sort -u); do
        ! "$fhola" help "$command" 2> /dev/null | grep -q '^ *--params ' || printf '%s ' "$command"
    done > have
    [ "$(cat have)" = "$known" ] || fail "commands with --params: $(cat have), tried are $known"
    while read -r command; do
        # shellcheck disable=SC2086
        "$fhola" $command --params ./good.set > out 2>&1 < /dev/null || fail "$command with a set from a file: $(cat out)"
    done < commands
    { cat commands; echo 'bench bootstrap'; echo 'bench --calibrate -o cost.json'; } > all
    while read -r command; do
        code=0
        # shellcheck disable=SC2086
        "$fhola" $command --params ./weak.set > out 2> err < /dev/null || code=$?
        [ $code -eq 9 ] || fail "$command with a set that is not secure: exit code $code, $(cat err)"
    done < all
)

# The overview: a line for each set, primes only when asked for.
"$fhola" params > "$work/out"
[ "$(sed -e 1d -e '/^$/,$d' -e 's/ .*//' "$work/out" | tr '\n' ' ')" = 'R15 R15-28 R15-A3 R15-A2 R15-B R16 R16-6 ' ] || fail "the overview: $(cat "$work/out")"
grep -Eq '^R15 +2\^14 +5 +15 +12\.4 bits +[0-9.]+ MB +[0-9.]+ s  networks' "$work/out" || fail "R15 in the overview: $(cat "$work/out")"
"$fhola" params R15 > "$work/out"
grep -q 'one limb with' "$work/out" && fail 'primes that nobody asked for'
[ "$("$fhola" params --primes | grep -c ': N = ')" -eq 7 ] || fail 'params --primes does not show all sets'

"$fhola" params --check "$work/R16" --json | grep -q '"log_n": 16' || fail "no JSON"

cp "$work/R16" "$work/r16"
vary 's/^special_primes = .*/special_primes = 14/'
refuse 9 'log2(QP) = 1783.1'
refuse 9 'is above 1747, the 128-bit cap at N = 2^16'
vary 's/^hamming_weight = .*/hamming_weight = 31/'
refuse 9 'an ephemeral secret of weight 31 is below 32'
vary 's/^base_bits = .*/base_bits = 80/'
refuse 3 'a prime of 80.00 bits is outside'
vary 's/^double_angles = .*/double_angles = 3/'
refuse 3 'takes 9 levels, not 7'
vary '/^eps/d'
refuse 7 'eps is missing'
vary 's/^eps = .*/eps = small/'
refuse 7 'eps needs a number'
vary 's/^residual_low_bits = .*/residual_low_bits = 30/'
refuse 7 'residual_low_bits needs two numbers'
vary 's/^limb_bits = .*/limb_bits = 51/'
refuse 3 'limbs of 51 bits are larger than 50'
vary 's/^log_n = .*/log_n = 15.5/'
refuse 7 'line 1: log_n needs a whole number'
vary 's/^eps/epsilon/'
refuse 7 "unknown key 'epsilon'"
vary '1p'
refuse 7 'line 2: log_n is given twice'
vary '1s/=/:/'
refuse 7 "'key = value' expected"
vary '$s/$/\ninsecure = 1/'
refuse 7 "unknown key 'insecure'"
vary 's/^eval_mod_scale_bits = .*/eval_mod_scale_bits = 1 2 3 4 5 6 7 8 9 10 11 12 13/'
refuse 7 'needs 1 to 12 numbers'
rm "$work/set"
refuse 8 'cannot open'

# comments and blank lines, and a set without bootstrapping
cat > "$work/flat" << 'END'
# five levels of 40 bits
log_n = 14

base_bits = 60  # too large for a kernel
residual_levels = 5
residual_bits = 40
special_primes = 2
special_bits = 48
END
cp "$work/flat" "$work/set"
refuse 3 'a prime of 60.00 bits is outside'
sed 's/^base_bits = 60/base_bits = 50/' "$work/set" > "$work/flat"
accept "$work/flat"
grep -q 'ephemeral' "$work/out" && fail "an ephemeral secret without bootstrapping"
for wrong in "--check" "R15 --check $work/flat" "--spec" "R15 --spec --json" "R15 R16"; do
    code=0
    # shellcheck disable=SC2086
    "$fhola" params $wrong > /dev/null 2>&1 || code=$?
    [ "$code" = 1 ] || fail "'params $wrong': exit code $code"
done
