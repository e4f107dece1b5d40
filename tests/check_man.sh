#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The manual pages are clean to mandoc's linter.
set -eu
top=${top_srcdir:-$(dirname "$0")/..}
if ! command -v mandoc > /dev/null 2>&1; then
    echo "SKIP: no mandoc (Debian: apt-get install mandoc)"
    exit 77
fi
cd "$top/man"
mandoc -Tlint -Wstyle ./*.[1-8]
