#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What 'fhola serve' gives browsers: the files of the page under their names, with the right headers, and no other file, however
# it is asked for (tests/web_client.py). The page itself is tests/web_page.sh's.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
cd "$work"
needs_server
mkdir page
for name in index.html client.wasm icon.svg keep.js keys.js library.js page.js picture.js server.js style.css worker.js; do
    echo "this is $name" > page/$name
done
cp "$top_srcdir"/nn/data/*.ppm page
echo secret > page/other.js
"$top_builddir/tests/make_small_network" small tiny
for missing in index.html worker.js cat.ppm; do
    cases=$((cases + 1))
    mv page/$missing kept
    code=0
    "$fhola" serve small.fhola --keys folder --web page --listen 127.0.0.1:0 2> err || code=$?
    { [ $code -eq 8 ] && grep -qF "page/$missing: No such file" err; } || wrong "without $missing: exit code $code, $(cat err)"
    mv kept page/$missing
done
cases=$((cases + 1))
timeout 600 python3 "$top_srcdir/tests/web_client.py" "$fhola" || wrong 'requests'
verdict
