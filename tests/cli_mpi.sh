#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# infer on the ranks of mpirun: the bytes of one process for 1, 2 and 4 ranks, into a file and through mpirun's pipe; a picture that fails; a rank
# that is lost, and the rest with --skip.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
"$fhola" version | grep -q '^MPI  *yes' || skip 'built without MPI (configure --with-mpi)'
command -v mpirun > /dev/null 2>&1 || skip 'no mpirun (Debian: openmpi-bin)'
. "$top_srcdir/tests/five_pictures.sh"

# results FILE
results()
{
    "$fhola" inspect "$1" 2> inspect.err | grep -c '^ *kind *a ciphertext' || :
}

# What Open MPI wants of root; more ranks than processors.
OMPI_ALLOW_RUN_AS_ROOT=1
OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
on_ranks()
{
    ranks=$1
    shift
    timeout 300 mpirun --oversubscribe -n "$ranks" "$@"
}

for ranks in 1 2 4; do
    cases=$((cases + 1))
    on_ranks $ranks "$fhola" infer tiny.fhola eval.keys five.ct -o ranks.ct --json > out 2> err || wrong "$ranks ranks: $(cat err)"
    cmp -s ranks.ct whole.ct || wrong "$ranks ranks: other results"
    [ "$(sed -n 's/^{"picture": \([0-9]*\), "seconds": [0-9.]*}$/\1/p' out | tr '\n' ' ')" = '1 2 3 4 5 ' ] && grep -q '^{"pictures": 5, ' out ||
        wrong "$ranks ranks --json: $(cat out)"
    [ ! -s err ] || wrong "$ranks ranks say $(cat err)"
    rm -f ranks.ct
done
cases=$((cases + 2))
on_ranks 2 "$fhola" infer tiny.fhola eval.keys --threads 1 < five.ct > piped.ct 2> err || wrong "through a pipe: $(cat err)"
cmp -s piped.ct whole.ct || wrong 'through a pipe: other results'
on_ranks 2 "$fhola" infer tiny.fhola eval.keys five.ct --skip 3 -o end.ct > out 2> err || wrong "--skip 3: $(cat err)"
cat whole.ct | tail -c $(($(wc -c < whole.ct) * 2 / 5)) | cmp -s - end.ct || wrong '--skip 3 on ranks: other results'

# Where no memory can be shared (here: no file may have 100 MB) every rank has keys of its own.
(ulimit -f 100000 && on_ranks 2 "$fhola" infer tiny.fhola eval.keys five.ct -o own.ct) > out 2> err || wrong "no shared memory: $(cat err)"
cases=$((cases + 1))
grep -q '^fhola infer: the ranks of a machine cannot share memory: each reads the keys$' err || wrong "no shared memory: $(cat err)"
cmp -s own.ct whole.ct || wrong 'no shared memory: other results'

# ---- what is wrong is said once, by rank 0

fails 8 'fhola infer: input/output error: none.fhola: No such file or directory$' on_ranks 2 "$fhola" infer none.fhola eval.keys five.ct -o x.ct
[ "$(grep -c '^fhola' err)" -eq 1 ] || wrong "two ranks without a network: $(cat err)"
fails 9 'fhola infer: security violation: secret.key: a secret key instead of evaluation keys' on_ranks 2 "$fhola" infer tiny.fhola secret.key five.ct -o x.ct
fails 3 'fhola infer: invalid parameter: all ranks read the network and the keys' on_ranks 2 "$fhola" infer tiny.fhola - five.ct -o x.ct
fails 7 'fhola infer: malformed data: no encrypted picture arrived$' on_ranks 2 "$fhola" infer tiny.fhola eval.keys -o x.ct
[ ! -e x.ct ] || wrong 'a file without results'

# A picture that is damaged, or none: what comes before it is kept.
head -c $(($(wc -c < cat.ct) * 5 / 2)) five.ct > cut.ct
fails 7 "fhola infer: malformed data: cut.ct: chunk 2 'CIPH' at byte [0-9]*: truncated: " on_ranks 2 "$fhola" infer tiny.fhola eval.keys cut.ct -o part.ct
head -c $(($(wc -c < whole.ct) * 2 / 5)) whole.ct | cmp -s - part.ct || wrong 'a cut picture on ranks: other results'
head -c $(($(wc -c < whole.ct) / 5)) whole.ct > first.ct
cat cat.ct ship.ct first.ct dog.ct > odd.ct
fails 4 'fhola infer: level mismatch: rank [01] on [^:]*: picture 3: chunk 2 ' on_ranks 2 "$fhola" infer tiny.fhola eval.keys odd.ct -o part.ct
head -c $(($(wc -c < whole.ct) * 2 / 5)) whole.ct | cmp -s - part.ct || wrong 'a picture that is none, on ranks: other results'
grep -q '^fhola infer: part.ct has the 2 results that were finished$' err && grep -q '^fhola infer: --skip 2 goes on behind them$' err ||
    wrong "a picture that is none, on ranks: $(cat err)"

# ---- a rank is lost while the stream is open: mpirun ends the others, and what is finished stays

rm -f part.ct
mkfifo stream
{ cat cat.ct ship.ct truck.ct && sleep 300; } > stream &
feeder=$!
clean_up()
{
    kill $feeder 2> /dev/null || :
}
# shellcheck disable=SC2016
on_ranks 2 sh -c 'echo $$ > pid.$OMPI_COMM_WORLD_RANK; exec "$@"' sh "$fhola" infer tiny.fhola eval.keys -o part.ct --json < stream > out 2> err &
job=$!
tries=0
until grep -q '"picture": 2' out || [ $tries -eq 1200 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -KILL "$(cat pid.1)"
code=0
wait $job || code=$?
kept=$(results part.ct)
cases=$((cases + 3))
[ $code -eq 137 ] || wrong "a lost rank: exit code $code, $(cat err)"
grep -q 'rank 1 .* on signal 9' err && grep -q "^fhola infer: stopped by a signal; part.ct has the $kept results that were finished\$" err ||
    wrong "a lost rank, $kept results: $(cat err)"
[ "$kept" -ge 2 ] && [ "$kept" -le 3 ] || wrong "a lost rank: $kept results"
"$fhola" infer tiny.fhola eval.keys five.ct --skip "$kept" -o rest.ct -q || wrong 'the rest of a lost job'
cat part.ct rest.ct | cmp -s - whole.ct || wrong 'a lost job and the rest of it: other results'
verdict
