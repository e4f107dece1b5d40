#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh [PICTURE]: sets up what a bare Debian 12 lacks, builds fhola in build/demo and classifies one encrypted picture.
# demo.sh --serve [ADDRESS:PORT]: builds the same, and the page for browsers where Emscripten is installed, and serves ResNet-20 (default:
# 127.0.0.1:8080) until Ctrl-C. The keys of clients stay in build/demo/clients.
set -eu
cd "$(dirname "$0")"
packages='gcc libc6-dev make autoconf automake libtool pkgconf libxxhash-dev libpng-dev libjpeg-dev libprotobuf-c-dev protobuf-c-compiler'
say='a C compiler, make, the autotools, xxHash (header) and libpng and libjpeg (optional: PNG and JPEG input)'
serve=false
if [ "${1-}" = --serve ]; then
    serve=true
    packages="$packages libmicrohttpd-dev"
    say="$say, libmicrohttpd"
fi

echo "== 1/3 packages: $say"
# shellcheck disable=SC2086 # a list of names
.ci/install.sh $packages

echo "== 2/3 building in build/demo"
.ci/build.sh build/demo

if ! $serve; then
    picture=${1:-nn/data/cat.ppm}
    echo "== 3/3 fhola classify $picture: generate keys, encrypt, run ResNet-20 on the ciphertext, decrypt"
    exec build/demo/fhola classify "$picture"
fi

address=${2:-127.0.0.1:8080}
page=
if command -v emcc > /dev/null 2>&1 && make -C build/demo -n web > /dev/null 2>&1; then
    make -C build/demo web
    page=', a page for browsers'
fi
echo "== 3/3 fhola serve resnet20: http://$address/$page (Ctrl-C ends it)"
echo "   The client file: curl -s http://$address/v1/network > resnet20.client; 'man fhola-serve' goes on from there"
exec build/demo/fhola serve resnet20 --keys build/demo/clients --listen "$address"
