#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Names that are long or hold anything, in messages and reports; closed descriptors; limits of the system.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
"$top_builddir/tests/make_small_network" small
"$fhola" keygen small.client > /dev/null

# ---- nothing in a name reaches the terminal, and reports in JSON stay valid

strange=$(printf 'n\033[31m\302\205\342\200\256\377\303\244"\\')
shown='n\x1b[31m\xc2\x85\xe2\x80\xae\xffä"\'
json='n\u001b[31m\u0085\u202e\ufffdä\"\\'
expect 8 "$fhola" inspect "$strange" << END
fhola inspect: input/output error: $shown: No such file or directory
END
expect 8 "$fhola" encrypt "./$strange" "$picture" << END
fhola encrypt: input/output error: ./$shown: No such file or directory
END
expect 8 "$fhola" eval "./$strange" x.bin << END
fhola eval: input/output error: ./$shown: No such file or directory
END
expect 1 "$fhola" "$strange" << END
fhola: no command '$shown'
Try 'fhola help'.
END
expect 1 "$fhola" keygen "--$strange" x << END
fhola keygen: unknown option '--$shown'
HINT
END
cases=$((cases + 1))
cp secret.key "$strange"
[ "$("$fhola" inspect "$strange" | head -n 1)" = "file          $shown" ] || wrong "inspect of a strange name: $("$fhola" inspect "$strange" | head -n 1)"
"$fhola" inspect --json "$strange" > ../shown
grep -qF "{\"file\": \"$json\", \"kind\": \"a secret key\"," ../shown || wrong "inspect --json of a strange name: $(cat ../shown)"
"$fhola" encrypt secret.key "$picture" -o "$strange.ct" > ../shown
grep -q "^n.x1b.*\.ct  377 KB" ../shown || wrong "the report of a strange name: $(cat ../shown)"
"$fhola" params R16 --spec > "$strange.params"
"$fhola" params --check "$strange.params" > ../shown
[ "$(head -n 1 ../shown | sed 's/: N = .*//')" = "$shown.params" ] || wrong "params --check of a strange name: $(head -n 1 ../shown)"
"$fhola" params --json --check "$strange.params" | grep -qF "{\"name\": \"$json.params\", \"log_n\": 16," || wrong 'params --json of a strange name'
for record in "$top_srcdir"/nn/data/*.ppm; do
    printf '\003'
    tail -c 3072 "$record"
done > batch.bin
cp small.fhola "$strange.fhola"
"$fhola" plan "$strange.fhola" batch.bin --degrees 3 -o other.plan > /dev/null
"$fhola" bench paper --model "$strange.fhola" --plans other --configs 4 --json | grep -qF "{\"model\": \"$json.fhola\", " || wrong 'bench paper --json of a strange name'
rm -f "$strange" "$strange".* batch.bin other.plan

# ---- class names: refused where they are read

bundled=$(dirname "$(realpath "$fhola")")/bundled
for name in 'a\033b' 'a\302\233b' 'a\342\200\256b' 'a\377b' 'a\303' 'a\177b'; do
    names=$(printf "$name,b,c,d,e,f,g,h,i,j")
    expect 7 "$fhola" compile resnet20 -o x.fhola --classes "$names" << END
fhola compile: malformed data: $bundled/models/resnet20.safetensors: the name of class 0 has control characters, is no UTF-8 or longer than 255 bytes
END
done

# ---- long names keep the reason

long=$(printf '%300s' '' | tr ' ' x)
path=$(printf '%1500s' '' | sed 's/ /d\//g')
cases=$((cases + 1))
"$fhola" keygen "$path$long/n.client" > ../out 2> ../err && wrong 'keygen of a file that cannot be there'
case $(cat ../err) in
    'fhola keygen: input/output error: d/d/'*' ... '*'xxx/n.client: '[FN]*) ;;
    *) wrong "the message about a long name lost its reason: $(cat ../err)" ;;
esac

# ---- closed descriptors: no file gets their number

cases=$((cases + 1))
"$fhola" encrypt secret.key "$picture" -o x.ct --preview > ../out 2>&- || wrong 'encrypt --preview without standard error'
"$fhola" inspect x.ct > ../out || wrong "a preview in the ciphertext: $(cat ../out)"
rm -f x.ct
cases=$((cases + 1))
code=0
"$fhola" inspect secret.key 2> ../err >&- || code=$?
[ $code -eq 8 ] || wrong "inspect without standard output: exit code $code"
code=0
"$fhola" decrypt secret.key 2> ../err <&- || code=$?
[ $code -eq 8 ] || wrong "decrypt without standard input: exit code $code: $(cat ../err)"
"$fhola" encrypt secret.key "$picture" -o x.ct <&- >&- 2>&- || code=$?
"$fhola" inspect x.ct > ../out || wrong 'a ciphertext written without descriptors'
rm -f x.ct

# ---- a limit on the size of files is an error of the write; so many threads cannot be had

cases=$((cases + 1))
code=0
(ulimit -f 8 && "$fhola" encrypt secret.key "$picture" -o x.ct) > ../out 2> ../err || code=$?
[ $code -eq 8 ] && grep -q 'x.ct: writing at byte [0-9]*: File too large$' ../err || wrong "encrypt beyond ulimit -f: exit code $code, $(cat ../err)"
[ ! -e x.ct ] || wrong 'a file that was too large remains'
cases=$((cases + 1))
OMP_NUM_THREADS=100000 "$fhola" encrypt secret.key "$picture" -o x.ct > ../out 2> ../err || wrong "100000 threads: $(cat ../err)"
expect 1 "$fhola" infer small.fhola eval.keys x.ct --threads 4096 << 'END'
fhola infer: --threads must be a whole number from 1 to 256, not '4096'
HINT
END
verdict
