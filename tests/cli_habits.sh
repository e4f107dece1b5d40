#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What all commands have in common: files written are named at the end with their sizes, --json, --quiet, --progress; several inputs where one
# is possible; accuracies with their intervals; bundled pictures by their names.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
"$top_builddir/tests/make_small_network" small
for record in "$top_srcdir"/nn/data/*.ppm; do
    printf '\003'
    tail -c 3072 "$record"
done > batch.bin

# sizes: standard input, the sizes of files left out.
sizes()
{
    sed -E -e 's/  [0-9]+(\.[0-9])? [KM]B  /  SIZE  /' -e 's/"bytes": [0-9]+/"bytes": N/g'
}
# says WHAT FILE: standard input is what FILE holds.
says()
{
    cases=$((cases + 1))
    cat > ../expected
    sizes < "$2" | cmp -s ../expected - || { wrong "$1"; sizes < "$2" | diff ../expected - || :; }
}

# ---- files that were written, for people, for programs, and not at all

"$fhola" keygen small.client -q > ../out 2>&1
says 'keygen -q' ../out < /dev/null
"$fhola" keygen small.client --force --json > ../out 2> ../err
says 'keygen --json' ../out << 'END'
{"files": [{"file": "./secret.key", "bytes": N}, {"file": "./eval.keys", "bytes": N}]}
END
"$fhola" profile ./small.fhola batch.bin -o small.profile > ../out
says profile ../out << 'END'
small.profile  SIZE  the profile, for 'fhola plan'
END
"$fhola" profile ./small.fhola batch.bin -o small.profile --json > ../out
says 'profile --json' ../out << 'END'
{"files": [{"file": "small.profile", "bytes": N}]}
END
"$fhola" compile ./small.fhola -o other.fhola --json > ../out
says 'compile --json' ../out << 'END'
{"files": [{"file": "other.fhola", "bytes": N}, {"file": "other.client", "bytes": N}]}
END
"$fhola" compile ./small.fhola --dry-run --json > ../out
cases=$((cases + 1))
grep -Eq '^\{"pictures": 1, "picture_ciphertexts": 1, "layer_ciphertexts": 1, "bootstraps": [0-9]+, "keys": [0-9]+, "key_bytes": [0-9]+, "diagonal_bytes": [0-9]+, "memory_bytes": [0-9]+, "least_memory_bytes": [0-9]+\}$' ../out ||
    wrong "compile --dry-run --json: $(cat ../out)"

# the output is standard output, which goes into a file: nothing is said in it
cases=$((cases + 1))
"$fhola" profile ./small.fhola batch.bin -o /dev/stdout > other.profile
cmp -s small.profile other.profile || wrong 'profile -o /dev/stdout: something beside the profile'

# ---- plans: what they reach, whose costs they count

"$fhola" plan ./small.fhola small.profile batch.bin --depth 9999 -o small.plan --params none > ../out 2> ../err
cases=$((cases + 1))
grep -Eq '^depth [0-9]+ of the 9999 allowed, degrees( [0-9]+)+$' ../out || wrong "plan --depth 9999: $(cat ../out)"
share='[0-9.]+ % \([0-9.]+ to [0-9.]+\)'
grep -Eq "^accuracy     $share on 2 held-out pictures; exact network $share\$" ../out || wrong "plan says no accuracy: $(cat ../out)"
grep -Eq "^same class   $share as the exact network\$" ../out || wrong "plan says no agreement: $(cat ../out)"
tail -n 1 ../out > ../last
says 'plan' ../last << 'END'
small.plan  SIZE  the plan, for 'fhola compile'
END
grep -q '^predicted' ../out && wrong "seconds for any parameter set: $(cat ../out)"
[ ! -s ../err ] || wrong "plan: $(cat ../err)"
depth=$(sed -n 's/^depth \([0-9]*\) of .*/\1/p' ../out)
"$fhola" plan ./small.fhola small.profile batch.bin --depth "$depth" -o small.plan --params none --report page.html --points 0 > ../out
grep -q "^depth $depth, degrees" ../out || wrong "plan --depth $depth: $(cat ../out)"
tail -n 2 ../out > ../last
says 'plan --report' ../last << 'END'
small.plan  SIZE  the plan, for 'fhola compile'
page.html  SIZE  the report, for a browser
END
sed -e 's/"isa": "[a-z0-9]*"/"isa": "portable"/' -e 's/"threads": 2/"threads": 200/' "$top_srcdir/nn/models/cost.json" > cost.json
FHOLA_ISA=portable "$fhola" plan ./small.fhola small.profile batch.bin --budget 1000 --cost cost.json -o small.plan --threads 1 > ../out 2> ../err
cases=$((cases + 1))
grep -Eq '^predicted    [0-9.]+ s a picture on .*, portable, 200 threads$' ../out || wrong "plan --budget: $(cat ../out)"
grep -q '^fhola plan: the table of costs is of .*, portable, 200 threads; here they are portable and 1: ' ../err || wrong "no word about another machine's costs: $(cat ../err)"
sed 's/"threads": 200/"threads": 1/' cost.json > same.json
FHOLA_ISA=portable "$fhola" plan ./small.fhola small.profile batch.bin --budget 1000 --cost same.json -o small.plan --threads 1 --json > ../out 2> ../err
[ ! -s ../err ] || wrong "a word about this machine's costs: $(cat ../err)"
grep -Eq '^\{"depth": [0-9]+, "allowed_depth": null, "degrees": \[[0-9, ]+\], "composition": null, "max_w": \[[0-9., e-]+\], "pictures": 2, "polynomial_accuracy": [0-9.]+, "polynomial_accuracy_interval": \[[0-9., ]+\], "exact_accuracy": .*, "seconds": [0-9.]+, "cost": \{"machine": ".*", "isa": "portable", "threads": 1\}, "files": \[\{"file": "small.plan", "bytes": [0-9]+\}\]\}$' ../out ||
    wrong "plan --json: $(cat ../out)"
expect 3 sh -c '"$0" plan ./small.fhola small.profile batch.bin --budget 0.125 -o y 2>&1 > /dev/null | sed "s/takes [0-9.]* /takes N /" >&2; exit 3' "$fhola" << 'END'
fhola plan: invalid parameter: a budget of 0.125 seconds is too small: the cheapest plan takes N seconds
END
"$fhola" plan ./small.fhola batch.bin --composite 3,5,7 --params none --eps 0.125 -o sign.plan > ../out
grep -q '^depth [0-9]*, every activation a composition of degrees 3,5,7$' ../out || wrong "plan --composite: $(cat ../out)"

# ---- accuracies have intervals: Wilson's, reckoned here once more

"$fhola" eval ./small.fhola batch.bin --per-class > ../out
"$fhola" eval ./small.fhola batch.bin --per-class --json > ../json
cases=$((cases + 1))
sed -n 's/^exact accuracy  *\([0-9.]*\) % (\([0-9.]*\) to \([0-9.]*\)).*/\1 \2 \3/p' ../out | awk '
    { n = 10; z = 1.959964; p = $1 / 100; s = 1 + z * z / n; m = (p + z * z / 2 / n) / s
      h = z * sqrt(p * (1 - p) / n + z * z / 4 / n / n) / s
      if (($2 - 100 * (m - h)) ^ 2 > 1e-4 || ($3 - 100 * (m + h)) ^ 2 > 1e-4) exit 1; found = 1 } END { exit !found }' ||
    wrong "the interval of eval: $(cat ../out)"
grep -Eq "^same class           $share\$" ../out || wrong "eval says no agreement: $(cat ../out)"
# every record has label 3: its row has all ten, the others none
row=$(awk '/^taken for/ { on = 1; next } on && ++k == 4 { for (i = 2; i <= NF; i++) { sum += $i; right = i == 5 ? $i : right }; print sum, right }' ../out)
right=$(sed -n 's/^polynomial accuracy  *\([0-9]*\)\..*/\1/p' ../out)
[ "$row" = "10 $((right / 10))" ] || wrong "the row of class 3 has $row, of $right %: $(cat ../out)"
grep -q '"exact_accuracy_interval": \[.*, "agreement": .*, "classes": \[.*\], "confusion": \[\[0, 0, .*\]\], "files": \[\]}$' ../json || wrong "eval --json: $(cat ../json)"
"$fhola" eval ./small.fhola batch.bin --scores scores > ../out
tail -n 1 ../out > ../last
says 'eval --scores' ../last << 'END'
scores  SIZE  the scores, a record a line
END

# ---- the encrypted network, as right as the one in the clear

# encrypted NETWORK COUNT
encrypted()
{
    "$fhola" eval "$1" batch.bin --count "$2" --encrypted --json > ../json
    cases=$((cases + 1))
    grep -Eq '"encrypted": \{"pictures": '"$2"', "accuracy": [0-9.]+, "accuracy_interval": \[[0-9., ]+\], "agreement": 100, "agreement_interval": \[[0-9., ]+\], "rms_error": [0-9.e-]+, "relative_error": (0\.0[0-9]*|[0-9.]+e-[0-9]+), "max_error": [0-9.e-]+, "seconds": [0-9.]+, "keygen_seconds": [0-9.]+, "startup_seconds": [0-9.]+\}, "files": \[\]\}$' ../json ||
        wrong "eval $1 --encrypted: $(cat ../json)"
}
encrypted ./small.fhola 2
# two at once, then one
"$fhola" compile ./small.fhola -o two.fhola --batch 2 -q
encrypted ./two.fhola 3
rm two.fhola two.client
for options in --encrypted '--encrypted --count 2 --noise 12' '--memory 4' '--params R15'; do
    cases=$((cases + 1))
    code=0
    # shellcheck disable=SC2086
    "$fhola" eval ./small.fhola batch.bin $options > ../out 2> ../err || code=$?
    [ $code -eq 1 ] && grep -q -e '--encrypted' ../err || wrong "eval $options: exit code $code, $(cat ../err)"
done

# ---- several inputs

"$fhola" encrypt secret.key batch.bin --record 1-3 -o three.ct > ../out
says 'encrypt --record 1-3' ../out << 'END'
three.ct  SIZE  encrypted pictures, for the server
END
[ "$("$fhola" inspect three.ct | grep -c 'kind')" -eq 3 ] || wrong "encrypt --record 1-3 made $("$fhola" inspect three.ct)"
"$fhola" encrypt secret.key batch.bin --record 1 -o one.ct --json > ../out
says 'encrypt --json' ../out << 'END'
{"files": [{"file": "one.ct", "bytes": N}]}
END
cases=$((cases + 1))
"$fhola" inspect secret.key small.client > ../out
[ "$(sed -n 's/^file  *//p' ../out | tr '\n' ' ')" = 'secret.key small.client ' ] && [ "$(grep -c '^$' ../out)" -eq 1 ] || wrong "inspect of two files: $(cat ../out)"
code=0
"$fhola" inspect --json secret.key batch.bin none small.client > ../out 2> ../err || code=$?
[ $code -eq 7 ] && [ "$(wc -l < ../out)" -eq 2 ] && [ "$(wc -l < ../err)" -eq 2 ] || wrong "inspect of four files, two of them wrong: exit code $code, $(cat ../out ../err)"

# ---- results with their times; an interrupt keeps those that are finished

"$fhola" encrypt secret.key batch.bin --record 0-9 -o ten.ct -q
# slowly, since there is a line a second at most
FHOLA_ISA=portable "$fhola" infer small.fhola eval.keys three.ct -o scores.ct --json --progress json > ../out 2> ../err
cases=$((cases + 1))
[ "$(grep -Ec '^\{"picture": [123], "seconds": [0-9]+\.[0-9]{3}\}$' ../out)" -eq 3 ] || wrong "infer --json: $(cat ../out)"
grep -q '"what": "picture 3 of 3, layer ' ../err || wrong "infer does not count pictures: $(cat ../err)"
tail -n 1 ../out | sed 's/"seconds": [0-9]*\.[0-9]*,/"seconds": S,/' > ../last
says 'infer --json, last line' ../last << 'END'
{"pictures": 3, "seconds": S, "files": [{"file": "scores.ct", "bytes": N}]}
END
"$fhola" infer small.fhola eval.keys one.ct --json 2> ../err > scores.ct
cases=$((cases + 1))
tail -n 1 ../err | grep -Eqx '\{"pictures": 1, "seconds": [0-9.]+\}' && "$fhola" inspect scores.ct > ../out || wrong "infer --json into standard output: $(cat ../err)"
cases=$((cases + 1))
rm scores.ct
cat ten.ct ten.ct ten.ct ten.ct > forty.ct
env --default-signal=INT "$fhola" infer small.fhola eval.keys forty.ct -o scores.ct --json > ../out 2> ../err < /dev/null &
tries=0
until grep -q '"picture": 2' ../out || [ $tries -eq 1200 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -INT $!
code=0
wait $! || code=$?
results=$("$fhola" inspect scores.ct | grep -c '^  kind *a' || :)
[ $code -eq 130 ] && [ "$results" -ge 2 ] && [ "$results" -lt 40 ] || wrong "infer interrupted after two results: exit code $code, $results results, $(cat ../err)"
grep -q "^fhola infer: stopped by a signal; scores.ct has the $results results that were finished\$" ../err || wrong "infer interrupted with $results results says $(cat ../err)"

# ---- bundled pictures, by name; what is there comes first

for name in cat cat.ppm; do
    "$fhola" encrypt secret.key $name -o x.ct > ../out 2> ../err
    says "encrypt $name, a bundled picture" ../err << END
fhola encrypt: $name: no such file here, this is the bundled picture
END
done
"$fhola" encrypt secret.key cat -q -o x.ct > ../out 2>&1
says 'encrypt -q of a bundled picture' ../out < /dev/null
echo 'no picture' > cat.ppm
cases=$((cases + 1))
"$fhola" encrypt secret.key cat.ppm -o x.ct > ../out 2>&1 && wrong 'a bundled picture in place of a file'
rm cat.ppm
for name in ./cat.ppm cat.png kat; do
    expect 8 "$fhola" encrypt secret.key $name -o y.ct << END
fhola encrypt: input/output error: $name: No such file or directory
END
done

# ---- progress without a terminal

"$fhola" keygen small.client --force --progress lines 2> ../err > ../out
cases=$((cases + 1))
sed 1d ../err | head -n 1 | grep -Eq '^fhola keygen: [0-9]+ %, [0-9]+ s elapsed(, [0-9]+ s remaining)?, key [0-9]+ of [0-9]+$' || wrong "keygen --progress lines: $(cat ../err)"
tail -n 1 ../err | grep -q '^fhola keygen: 100 %' || wrong "keygen --progress lines ends with $(tail -n 1 ../err)"
"$fhola" eval ./small.fhola batch.bin --progress json 2> ../err > ../out
tail -n 1 ../err | grep -Eq '^\{"command": "eval", "step": "pictures", "done": 10, "total": 10, "what": "pictures 10 of 10", "fraction": 1\.0000, "elapsed": [0-9.]+, "remaining": (null|[0-9.]+)\}$' ||
    wrong "eval --progress json ends with $(tail -n 1 ../err)"
head -n 1 ../err | grep -q '"fraction": 0\.4' || wrong "the first half of eval is $(head -n 1 ../err)"
# One bar over whatever a plan asks for: never back, and complete at the end only.
for plan in '--max-loss 50' '--depth 400 --refine 5' '--depth 400 --ablation --report page.html --points 2 --params none'; do
    cases=$((cases + 1))
    # shellcheck disable=SC2086
    "$fhola" plan ./small.fhola small.profile batch.bin $plan -o small.plan --progress json > ../out 2> ../err || wrong "plan $plan: $(cat ../err)"
    sed -n 's/.*"step": "\([a-z]*\)".*"fraction": \([0-9.]*\).*/\1 \2/p' ../err | awk '
        $2 < last || last == 1 || ($1 != "pictures" && $2 == 1) { wrong = 1 }
        { last = $2 }
        END { exit wrong || last != 1 }' || wrong "progress of plan $plan: $(cat ../err)"
done
"$fhola" eval ./small.fhola batch.bin --progress none 2>&1 > ../out | grep . && wrong 'eval --progress none shows progress'
verdict
