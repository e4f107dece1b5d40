#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh: sets up what a bare Debian 12 lacks, builds fhola in build/check and runs its tests. Fails if any test fails.
# Tests on CIFAR-10 data read the folder named by FHOLA_DATA (default: ../shared/data if it exists) and are skipped without it.
set -eu
cd "$(dirname "$0")"

echo "== 1/3 packages: what demo.sh needs, and for the tests Check, GMP (the oracle), mandoc and groff, Doxygen, a C++ compiler and Python"
.ci/install.sh gcc libc6-dev make autoconf automake libtool pkgconf libxxhash-dev libpng-dev libjpeg-dev libprotobuf-c-dev protobuf-c-compiler \
    libmicrohttpd-dev libcurl4-openssl-dev check libgmp-dev mandoc groff-base doxygen g++ python3

echo "== 2/3 building in build/check"
# CONFIGURE_OPTIONS: unquoted on purpose, any number of options.
.ci/build.sh build/check ${CONFIGURE_OPTIONS-}

echo "== 3/3 make check"
data=${FHOLA_DATA:-../shared/data}
if [ -d "$data" ]; then
    # The tests run in another folder.
    FHOLA_DATA=$(cd "$data" && pwd)
    export FHOLA_DATA
fi
cd build/check
rm -f test-suite.log
exec make -j"$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)" check VERBOSE=1
