#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The manual pages are clean to mandoc's linter and to groff, which Debian's man uses, and both show the whole last section: in groff a word
# that is also a macro ("No", "Li") takes what follows with it.
set -eu
top=${top_srcdir:-$(dirname "$0")/..}
if ! command -v mandoc > /dev/null 2>&1; then
    echo "SKIP: no mandoc (Debian: apt-get install mandoc)"
    exit 77
fi
cd "$top/man"
# Which pages of others the system has is not our fault; those of ours are there.
said=$(mandoc -Tlint -Wstyle ./*.[1-8] 2>&1 | grep -vE 'outdated mandoc\.db lacks|referenced manual not found' || :)
if [ -n "$said" ]; then
    echo "FAIL: mandoc says: $said"
    exit 1
fi
for page in $(grep -ohE '\<Xr fhola[-a-z]* [1-8]' ./*.[1-8] | sed 's/Xr \(.*\) /\1./' | LC_ALL=C sort -u); do
    [ -f "$page" ] || { echo "FAIL: there is no $page"; exit 1; }
done

if ! command -v groff > /dev/null 2>&1; then
    echo 'without groff: not compared'
    exit 0
fi
# The last section of a page on standard input, as letters and digits alone; the last line is the footer.
last_section()
{
    sed '$d' | awk '/^[A-Z]/ { text = "" } { text = text $0 } END { print text }' | LC_ALL=C tr -cd 'A-Za-z0-9'
}
failures=0
for page in ./*.[1-8]; do
    said=$(groff -ww -mdoc -Tascii -P-c -P-b -P-u "$page" 2>&1 > /dev/null)
    ours=$(groff -mdoc -Tascii -P-c -P-b -P-u "$page" 2> /dev/null | last_section)
    theirs=$(mandoc -Tascii "$page" | sed 's/.\x08//g' | last_section)
    if [ -n "$said" ] || [ ${#ours} -lt 20 ] || [ "$ours" != "$theirs" ]; then
        echo "FAIL: $page: groff says '$said'; last section in groff: $ours; in mandoc: $theirs"
        failures=$((failures + 1))
    fi
done
[ $failures -eq 0 ]
