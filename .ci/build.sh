#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIRECTORY [CONFIGURE-OPTION...]: configures (once) and builds the project in DIRECTORY, below the checkout.
set -eu
cd "$(dirname "$0")/.."
directory=$1
shift
jobs=$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)

if [ ! -x configure ] || [ ! -f Makefile.in ]; then ./bootstrap; fi
mkdir -p "$directory"
# A relative path to the sources: configure takes no absolute one with a space in it.
source=$(echo "$directory" | sed 's|[^/][^/]*|..|g')
cd "$directory"
if [ ! -f Makefile ]; then "$source/configure" "$@"; fi
make -j"$jobs"
