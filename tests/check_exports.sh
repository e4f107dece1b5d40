#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shared library exports exactly the functions of the public headers (ckks/fhola.map lists them), and needs only the C library, libm
# and, with OpenMP, the compiler's threading runtime (and a sanitizer's, in a build with one).
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
library=$top_builddir/.libs/libfhola.so
map=$top_builddir/ckks/fhola.map
if [ ! -f "$library" ] || [ ! -f "$map" ]; then
    echo "SKIP: no shared library or no version script in this build"
    exit 77
fi
sed -n 's/^\([a-z].*\);$/\1/p' "$map" | LC_ALL=C sort -u > "$work/declared"
${NM:-nm} -D --defined-only "$library" | sed -n 's/^.* [TDBR] \([^@]*\).*$/\1/p' | LC_ALL=C sort -u > "$work/exported"
status=0
if ! diff "$work/declared" "$work/exported" > "$work/difference"; then
    echo "Declared in a public header only (<), exported only (>):"
    cat "$work/difference"
    status=1
fi
if command -v readelf > /dev/null 2>&1; then
    others=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' |
        grep -vE '^(libc|libm|ld-linux[-a-z0-9]*|libgomp|libomp|libpthread|libasan|libubsan)\.so' || :)
    if [ -n "$others" ]; then
        echo "libfhola needs more than it should: $others"
        status=1
    fi
fi
exit $status
