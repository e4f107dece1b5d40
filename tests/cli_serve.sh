#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fhola serve, driven over the loopback by tests/serve_client.py: clients with keys of their own get what 'fhola infer' finds, others an error;
# uploads survive broken connections and kill -9; damaged, oversized, misnamed, slow and silent requests are refused.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
needs_server

# refuse CODE MESSAGE OPTION...: the server does not start.
refuse()
{
    cases=$((cases + 1))
    wanted=$1
    message=$2
    shift 2
    code=0
    timeout 300 "$fhola" serve small.fhola --listen 127.0.0.1:0 "$@" > out 2> err || code=$?
    { [ $code -eq "$wanted" ] && grep -qFe "$message" err; } || wrong "serve $*: exit code $code, $(cat err)"
}
"$top_builddir/tests/make_small_network" small
refuse 1 '--keys DIRECTORY is missing'
refuse 1 '--tls-cert and --tls-key go together' --keys folder --tls-cert x
for address in 8080 localhost:80 127.0.0.1: 127.0.0.1:65536 127.0.0.1:x ::1:80 '[::1]' ''; do
    refuse 3 'is no ADDRESS:PORT' --keys folder --listen "${address:-:}"
done
refuse 8 'No such file' --keys folder --tokens none
refuse 8 'No such file' --keys none/folder
printf 'ann 0123456789abcde\n' > tokens
refuse 7 'tokens: line 1: a name and a token of 16 characters' --keys folder --tokens tokens
printf '# none\n\n' > tokens
refuse 7 'tokens: there is no token' --keys folder --tokens tokens
printf 'ann 0123456789abcdef\n../bob 0123456789abcdeg\n' > tokens
refuse 7 'tokens: line 2: a name has 1 to 32 letters' --keys folder --tokens tokens
printf 'ann 0123456789abcdef\nbob 0123456789abcdef\n' > tokens
refuse 7 'tokens: line 2: a token that is there already' --keys folder --tokens tokens

for client in a b; do
    "$fhola" keygen small.client -d $client > /dev/null
    "$fhola" encrypt $client/secret.key "$top_srcdir/nn/data/cat.ppm" -o $client.ct > /dev/null
    "$fhola" infer small.fhola $client/eval.keys $client.ct -o $client.scores --quiet
done
cases=$((cases + 1))
timeout 3000 python3 "$top_srcdir/tests/serve_client.py" "$fhola" || wrong 'requests'
cases=$((cases + 1))
timeout 3000 python3 "$top_srcdir/tests/serve_storm.py" "$fhola" short || wrong 'a storm'
verdict
