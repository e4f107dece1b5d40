#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Commands that open or make a secret key dump no core and cannot be looked into; the others can. Each is looked at while it waits for what
# it is to read. And keygen says beforehand how much it will write.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
"$top_builddir/tests/make_small_network" small tiny
"$fhola" keygen small.client > /dev/null 2> ../err

# ---- what keygen will write

cases=$((cases + 1))
bytes=$(wc -c < eval.keys)
keys=$("$fhola" inspect --json eval.keys | sed 's/.*"keys": \([0-9]*\).*/\1/')
echo "fhola keygen: $keys keys for the server, $(awk "BEGIN { printf \"%.1f\", $bytes / 1e6 }") MB in all, go into ./eval.keys" > ../expected
cmp -s ../expected ../err || wrong "keygen says $(cat ../err), not $(cat ../expected)"

# ---- memory

# Owned by root in /proc is what other processes of the same user may not look into: so no root here.
nobody=
[ "$(id -u)" -ne 0 ] || nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
if ! $nobody cat "$top_srcdir/nn/models/cost.json" > /dev/null 2>&1; then
    echo 'not tried: memory and core dumps, without setpriv or in a folder that root alone can enter'
    verdict
    exit
fi
chmod 755 "$work" . && chmod 644 ./*
mkdir -m 777 new
mkfifo -m 666 fifo

# looks WANTED COMMAND...: at the process while it reads fifo, where nothing comes
looks()
{
    wanted=$1
    shift
    cases=$((cases + 1))
    (
        ulimit -c unlimited 2> /dev/null || :
        # shellcheck disable=SC2086 # words
        exec $nobody "$fhola" "$@"
    ) > ../out 2>&1 &
    process=$!
    (
        sleep 30
        : < fifo
    ) & # should the command not read it
    watch=$!
    exec 8> fifo
    owner=$(stat -c %u "/proc/$process/mem" 2> /dev/null || echo none)
    core=$(sed -n 's/^Max core file size  *\([^ ]*\)  *\([^ ]*\) .*/\1 \2/p' "/proc/$process/limits" 2> /dev/null)
    exec 8>&-
    wait $process || :
    kill $watch 2> /dev/null
    wait $watch 2> /dev/null || :
    case $wanted,$owner,$core in
        private,0,'0 0') ;;
        private,* | open,0,* | open,none,*) wrong "$*: memory of user $owner, core files of $core bytes: $(cat ../out)" ;;
    esac
}
looks private encrypt secret.key ./fifo -o new/x.ct
looks private decrypt secret.key ./fifo
looks private decrypt ./fifo scores.ct
looks private keygen ./fifo -d new
looks private classify ./fifo
looks private inspect ./fifo
looks open compile ./fifo -o new/x.fhola
verdict
