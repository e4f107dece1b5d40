#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIRECTORY [CONFIGURE-OPTION...]: configures (once) and builds the project in DIRECTORY, below the checkout.
set -eu
cd "$(dirname "$0")/.."
directory=$1
shift
jobs=$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)

if [ ! -x configure ] || [ ! -f Makefile.in ]; then ./bootstrap; fi
if [ ! -f "$directory/Makefile" ] && [ -f config.status ]; then
    # configure's own words for this do not say that what was built here will do.
    echo "The checkout itself is configured, so that $directory cannot be. Use what 'make' built here, ./fhola, or say 'make distclean' and start again." >&2
    exit 1
fi
mkdir -p "$directory"
# A relative path to the sources: configure takes no absolute one with a space in it.
source=$(echo "$directory" | sed 's|[^/][^/]*|..|g')
cd "$directory"
if [ ! -f Makefile ]; then "$source/configure" "$@"; fi
make -j"$jobs"
