#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shared library exports exactly the functions of the public headers (ckks/fhola.map lists them), and needs only the C library, libm
# and, with OpenMP, the compiler's threading runtime (and a sanitizer's, in a build with one). The program, which links the library's
# objects, uses these functions only, and what measures: ckks/measure/ and nn/measure/ are no part of the library.
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

# names LETTERS FILE...: the project's symbols of these types in object files.
names()
{
    letters=$1
    shift
    for object in "$@"; do ${NM:-nm} -P "$object"; done | awk -v letters="^[$letters]\$" '$2 ~ letters && $1 ~ /^(ckks|ola|nn|fhola)_/ { print $1 }' |
        LC_ALL=C sort -u
}
# Names of folders may have spaces.
cd "$top_builddir"
program=$(find nn/cmd -name '*.o' ! -name 'tests_*' ! -path '*/libonnx*' ! -path '*/libserve*'; find nn/cmd -path '*/.libs/*.o')
measuring=$(find ckks/measure nn/measure -path '*/.libs/*.o')
names U $program > "$work/used"
names TDBRC $program $measuring > "$work/own"
LC_ALL=C comm -23 "$work/used" "$work/own" | LC_ALL=C comm -23 - "$work/exported" > "$work/others"
if [ -s "$work/others" ]; then
    echo "The program uses what is not public:"
    cat "$work/others"
    status=1
fi
# As a check that the lists are what they should be.
for name in ckks_encrypt nn_session_open; do
    grep -qx $name "$work/used" || { echo "the program does not use $name?"; status=1; }
done
if names TDBRC $measuring | LC_ALL=C comm -12 - "$work/exported" | grep .; then
    echo "The library exports what measures."
    status=1
fi
exit $status
