#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page for browsers in real ones: 'make web', then Chromium without a window against 'fhola serve' (tests/web_page.py), from
# an empty profile to the class that the command line finds, too; and Firefox where there is one. FHOLA_WEB_NETWORK=FILE.fhola and FHOLA_WEB_CLIENT=FILE.client
# take the place of the small network, FHOLA_KEEP_PAGE=FOLDER keeps pictures of the page there.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
command -v emcc > /dev/null 2>&1 || skip 'no emcc'
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || :)
[ -n "$chromium" ] || skip 'no chromium'
firefox=$(command -v firefox-esr || command -v firefox || :)
[ -n "$firefox" ] || echo 'not tried: Firefox'
needs_server
"${MAKE:-make}" -C "$top_builddir" web > log 2>&1 || { cat log; fail 'make web'; }

pictures=$top_srcdir/nn/data
network=${FHOLA_WEB_NETWORK:-small.fhola}
[ "$network" != small.fhola ] || "$top_builddir/tests/make_small_network" small 3 2.5
"$fhola" keygen "${FHOLA_WEB_CLIENT:-small.client}" -d keys > /dev/null
"$fhola" encrypt keys/secret.key "$pictures/horse.ppm" "$pictures/ship.ppm" -o two.ct > /dev/null
"$fhola" infer "$network" keys/eval.keys two.ct -o two.scores --quiet
"$fhola" decrypt keys/secret.key two.scores --json --top 10 > expected
rm -r keys
ln -s "$top_builddir/web" web
cases=1
timeout 3000 python3 "$top_srcdir/tests/web_page.py" "$fhola" "$chromium" "$firefox" "$network" "$pictures" "${FHOLA_KEEP_PAGE-}" ||
    wrong 'the page'
verdict
