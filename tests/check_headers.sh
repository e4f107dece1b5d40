#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each public header compiles alone, with nothing but the C library's headers, as strict C11 and, where there is a compiler, as C++.
# Every header and script is in a list of the build: what is in none is not in the distribution.
set -eu
top=${top_srcdir:-$(dirname "$0")/..}
for header in ckks/status.h ckks/ckks.h ola/ola.h nn/nn.h; do
    [ -f "$top/$header" ] || { echo "$header is missing"; exit 1; }
    ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$top/ckks" -fsyntax-only -x c "$top/$header"
    if command -v "${CXX:-g++}" > /dev/null 2>&1; then
        "${CXX:-g++}" -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$top/ckks" -fsyntax-only -x c++ "$top/$header"
    else
        echo "no C++ compiler: $header tried as C only"
    fi
done
cd "$top"
listed=$(cat ./*/Makefile.inc Makefile.am | tr '[:space:]' '\n')
find ckks ola nn tests -name '*.h' -o -name '*.py' -o -name '*.sh' -o -name '*.js' | while read -r file; do
    # in a checkout that was configured itself some headers are made
    case $file in nn/cmd/onnx/*.pb-c.h) continue ;; esac
    echo "$listed" | grep -qxF "$file" || { echo "$file is in no Makefile.inc: not distributed"; exit 1; }
done
