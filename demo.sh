#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh [PICTURE]: sets up what a bare Debian 12 lacks, builds fhola in build/demo and classifies one encrypted picture.
set -eu
cd "$(dirname "$0")"
picture=${1:-nn/data/cat.ppm}

echo "== 1/3 packages: a C compiler, make, the autotools, xxHash (header) and libpng and libjpeg (optional: PNG and JPEG input)"
.ci/install.sh gcc libc6-dev make autoconf automake libtool pkgconf libxxhash-dev libpng-dev libjpeg-dev libprotobuf-c-dev protobuf-c-compiler

echo "== 2/3 building in build/demo"
.ci/build.sh build/demo

echo "== 3/3 fhola classify $picture: generate keys, encrypt, run ResNet-20 on the ciphertext, decrypt"
exec build/demo/fhola classify "$picture"
