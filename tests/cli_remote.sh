#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fhola classify --server, driven by tests/remote_client.py: the classes are those of classify without a server; keys are made and uploaded once,
# by two at once, over connections that break; a server that sends nonsense, too much, nothing or weak parameters is refused.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
. "$top_srcdir/tests/expect.sh"
expect 1 "$fhola" classify << 'END'
fhola classify: at least one picture expected, 0 operands given
HINT
END
expect 1 "$fhola" classify --server http://127.0.0.1 << 'END'
fhola classify: at least one picture expected, 0 operands given
HINT
END
expect 1 "$fhola" classify cat --forget << 'END'
fhola classify: --forget goes with --server URL
HINT
END
expect 1 "$fhola" classify cat --server http://127.0.0.1 --forget << 'END'
fhola classify: --forget takes no picture
HINT
END
expect 1 "$fhola" classify cat --server http://127.0.0.1 --plan x << 'END'
fhola classify: --plan is for a network here: with --server it is there
HINT
END
expect 1 "$fhola" classify cat --network small << 'END'
fhola classify: --network goes with --server URL
HINT
END
expect 1 "$fhola" classify --server http://127.0.0.1 --network small --forget << 'END'
fhola classify: --forget takes no --network: keys may serve several
HINT
END
code=0
"$fhola" classify cat --server http://127.0.0.1:1 2> err || code=$?
if grep -q '^fhola classify: invalid parameter: this program was built without libcurl$' err; then
    [ $code -eq 3 ] || fail "without libcurl: exit code $code"
    skip 'built without libcurl'
fi
for url in 127.0.0.1 ftp://127.0.0.1 http:// http://me:word@127.0.0.1 http://127.0.0.1/?x 'http://127.0.0.1/#x' http://127.0.0.1:99999; do
    cases=$((cases + 1))
    code=0
    "$fhola" classify cat --server "$url" 2> err || code=$?
    { [ $code -eq 3 ] && grep -qF "'$url' is no URL of a server" err; } || wrong "--server $url: exit code $code, $(cat err)"
done
needs_server
"$top_builddir/tests/make_small_network" small
"$top_builddir/tests/make_small_network" weak weak
"$top_builddir/tests/make_small_network" other 7
"$fhola" classify cat --model ./small.fhola --json --quiet > local.json
"$fhola" keygen small.client -d a > /dev/null 2>&1
"$fhola" encrypt a/secret.key "$top_srcdir/nn/data/cat.ppm" -o a.ct --quiet
"$fhola" infer small.fhola a/eval.keys a.ct -o a.scores --quiet
rm a/eval.keys
cases=$((cases + 1))
timeout 3000 python3 "$top_srcdir/tests/remote_client.py" "$fhola" || wrong 'a client'
verdict
