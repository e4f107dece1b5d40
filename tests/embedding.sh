#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The library as others use it: installed copies, with and without OpenMP and a shared library, against which the example client and server
# are built with the one command that they name, and run; the headers in C++; what the libraries need; what is installed where.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
examples=$top_srcdir/nn/examples
make=${MAKE:-make}
unset MAKEFLAGS MFLAGS MAKELEVEL
if ! command -v pkg-config > /dev/null 2>&1; then
    echo 'SKIP: no pkg-config'
    exit 77
fi

server= silent=
clean_up()
{
    [ -z "$server$silent" ] || kill $server $silent 2> /dev/null || :
}
PKG_CONFIG_PATH=
export PKG_CONFIG_PATH

# needs FILE EXTRA...: besides the C library and libm, FILE needs nothing but EXTRA.
needs()
{
    file=$1
    shift
    ldd "$file" | sed -E 's/^[[:space:]]*([^ ]*).*/\1/; s|.*/||; s/\.so.*//' | sort > "$work/needed"
    { printf '%s\n' libc libm "$@"; } | sort > "$work/may"
    extra=$(grep -v -e '^linux-vdso$' -e '^ld-linux' -e '^ld64' "$work/needed" | grep -v -x -F -f "$work/may" | tr '\n' ' ' || :)
    [ -z "$extra" ] || fail "$(basename "$file") needs more than it should: $extra"
    echo "$(basename "$file") needs: $(grep -x -F -f "$work/may" "$work/needed" | tr '\n' ' ')"
}

# build_line FILE: the command in its first comment.
build_line()
{
    sed -n 's/^ \*     \(cc -o .*\)$/\1/p' "$1" | head -n 1
}

# run_examples DIRECTORY PICTURE...: builds both there, as their comments say, and has the pictures classified.
run_examples()
{
    mkdir "$1"
    cd "$1"
    shift
    cp "$examples/client.c" "$examples/server.c" .
    for part in client server; do
        lines=$(wc -l < $part.c)
        [ "$lines" -lt 95 ] || fail "$part.c has $lines lines"
        line=$(build_line $part.c)
        [ -n "$line" ] || fail "$part.c names no command that builds it"
        echo "$line"
        (
            cc()
            {
                ${CC:-gcc} -std=c11 -Wall -Wextra -Werror "$@"
            }
            eval "$line"
        )
    done
    ln -s "$work/small.client" small.client
    ./client keys small.client
    [ "$(stat -c %a secret.key)" = 600 ] || fail "secret.key has mode $(stat -c %a secret.key)"
    if ./server "$work/small.fhola" 0 secret.key > refused 2>&1; then fail 'the server takes a secret key'; fi
    grep -q 'must stay with its owner' refused || fail "the server refuses a secret key with another message: $(cat refused)"
    ./server "$work/small.fhola" 0 eval.keys > listening 2> complaints &
    server=$!
    for wait in $(seq 600); do
        grep -q port listening && break
        kill -0 $server 2> /dev/null || fail "the server ended: $(cat complaints)"
        sleep 0.2
    done
    port=$(sed -n 's/^port //p' listening)
    [ -n "$port" ] || fail "no port after $wait waits"
    # a client that says nothing, and one that stops within a picture, keep nobody waiting
    "$top_builddir/fhola" encrypt secret.key "$1" > part.ct
    ${PYTHON:-python3} -c 'import socket, sys, time
silent = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for i in range(2)]
silent[1].sendall(open("part.ct", "rb").read()[:1000])
time.sleep(1000)' "$port" &
    silent=$!
    sleep 0.5
    timeout 300 ./client ask "$port" "$@" > answers || fail 'a silent client keeps others waiting'
    cat answers
    kill $server
    wait $server 2> /dev/null || :
    kill $silent
    wait $silent 2> /dev/null || :
    server= silent=
    [ "$(sed 's/.*: //' answers | grep -c '^[a-j]$')" -eq $# ] || fail 'not every picture has a class'
    [ ! -s complaints ] || fail "the server complains: $(cat complaints)"
    # a client that comes before its server is ready
    timeout 300 ./client ask "$port" "$1" > early &
    client=$!
    sleep 0.5
    ./server "$work/small.fhola" "$port" eval.keys > listening 2> complaints &
    server=$!
    wait $client || fail 'a client does not wait for its server'
    kill $server
    wait $server 2> /dev/null || :
    server=
    [ "$(cat early)" = "$(head -n 1 answers)" ] || fail "the client that waited prints $(cat early)"
    cd "$work"
}

"$top_builddir/tests/make_small_network" "$work/small"

# ---- this build, installed below another root

$make -C "$top_builddir" -s install DESTDIR="$work/root" > "$work/install.log" 2>&1 || { cat "$work/install.log"; fail 'make install'; }
pc=$(find "$work/root" -name fhola.pc)
prefix=$(sed -n 's/^prefix=//p' "$pc")
for file in include/fhola/ckks.h include/fhola/nn.h include/fhola/ola.h include/fhola/status.h share/man/man1/fhola.1 share/man/man3/fhola.3 \
    share/man/man5/fhola-formats.5 share/bash-completion/completions/fhola share/zsh/site-functions/_fhola share/fhola/models/resnet20.plan \
    share/fhola/pictures/cat.ppm share/doc/fhola/examples/client.c share/doc/fhola/examples/export.py share/fhola/python/fhola.py bin/fhola; do
    [ -f "$work/root$prefix/$file" ] || fail "$file is not installed"
done
[ "$(find "$work/root$prefix/include" -type f | wc -l)" -eq 4 ] || fail 'other headers are installed than the four public ones'
libdir=$(dirname "$(find "$work/root" -name 'libfhola.so')")
[ -d "$libdir" ] || fail 'no shared library is installed'
PKG_CONFIG_LIBDIR=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$work/root LD_LIBRARY_PATH=$libdir
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

library=$(sed -n 's/.*FHOLA_LIBRARY.* or "\(.*\)"$/\1/p' "$work/root$prefix/share/fhola/python/fhola.py")
[ -e "$work/root$library" ] || fail "the module for Python looks for the library at '$library'"
program=$(sed -n 's/.*FHOLA_PROGRAM.* or "\(.*\)"$/\1/p' "$work/root$prefix/share/fhola/python/fhola.py")
[ -x "$work/root$program" ] || fail "the module for Python looks for the program at '$program'"

needs "$libdir/libfhola.so" libgomp libomp libpthread
run_examples "$work/with" "$top_srcdir/nn/data/cat.ppm" "$top_srcdir/nn/data/ship.ppm"
needs "$work/with/client" libfhola libgomp libomp libpthread
# the static library, with what pkg-config says that it needs
if [ -f "$libdir/libfhola.a" ]; then
    mkdir "$work/archive"
    mv "$libdir"/libfhola.so* "$work/archive"
    # shellcheck disable=SC2046 # several words
    ${CC:-gcc} -o "$work/client-static" "$examples/client.c" $(pkg-config --static --cflags --libs fhola)
    mv "$work/archive"/* "$libdir"
    needs "$work/client-static" libgomp libomp libpthread
    mkdir "$work/static"
    (cd "$work/static" && ../client-static keys ../small.client && "$work/root$prefix/bin/fhola" inspect secret.key) | grep 'a secret key' ||
        fail 'the client with the static library makes no key'
fi
# the installed program uses the installed files, and knows no others; debugging information may
strip -o "$work/bare" "$work/root$prefix/bin/fhola"
if grep -aqF "$top_srcdir/nn" "$work/bare"; then fail 'the path of the source tree is in the installed program'; fi
(cd / && "$work/root$prefix/bin/fhola" compile resnet20 -o "$work/resnet20.fhola" > /dev/null)
mv "$work/root$prefix/share/fhola/models" "$work/models"
if "$work/root$prefix/bin/fhola" compile resnet20 -o "$work/again.fhola" 2> /dev/null; then fail 'the installed program reads the source tree'; fi

# ---- the programs of fhola(3), with the command of its synopsis

mkdir "$work/manual"
cd "$work/manual"
awk '/^\.Bd -literal/ { n++; file = "program" n ".c"; next } /^\.Ed/ { file = ""; next } file { gsub(/\\e/, "\\"); print > file }' \
    "$top_srcdir/man/fhola.3"
line=$(sed -n 's/^\.Dl \(cc program.c .*\)$/\1/p' "$top_srcdir/man/fhola.3")
[ -n "$line" ] && [ "$(ls program*.c | wc -l)" -ge 3 ] || fail 'fhola.3 does not show a command and its programs'
for source in program*.c; do
    program=${source%.c}
    math=
    if grep -q '<math.h>' "$source"; then math=-lm; fi
    eval "$(echo "$line" | sed "s/^cc program.c/${CC:-gcc} -std=c11 -Wall -Wextra -Werror -o $program $source/") $math"
    if grep -q ckks_mul "$source"; then arithmetic=$program; fi
    if grep -q nn_run_answer "$source"; then serve=$program; fi
done
"./$arithmetic" > squares || fail "the program of fhola.3 that computes"
grep -q -x '0.49 0.09 0.81 0.25, level 2' squares || fail "the program of fhola.3 that computes prints $(cat squares)"
ln -s "$work/small.fhola" resnet20.fhola
# two clients, whose pictures come one after the other, and a third, whose keys the server does not have
for client in second third; do "$work/root$prefix/bin/fhola" keygen -d $client "$work/small.client"; done
for keys in "$work/with" second third; do "$work/root$prefix/bin/fhola" encrypt $keys/secret.key "$top_srcdir/nn/data/cat.ppm"; done > all.ct
size=$(($(wc -c < all.ct) / 3))
head -c $((2 * size)) all.ct | "./$serve" "$work/with/eval.keys" second/eval.keys > both.ct
half=$(($(wc -c < both.ct) / 2))
head -c $half both.ct | "$work/root$prefix/bin/fhola" decrypt "$work/with/secret.key" > first.scores
tail -c $half both.ct | "$work/root$prefix/bin/fhola" decrypt second/secret.key > second.scores
cat first.scores second.scores
[ "$(head -n 1 first.scores | cut -d ' ' -f 1-3)" = "$(head -n 1 second.scores | cut -d ' ' -f 1-3)" ] || fail 'two clients get two answers'
if tail -c $size all.ct | "./$serve" "$work/with/eval.keys" second/eval.keys > third.ct 2> refused; then fail 'no keys, but an answer'; fi
grep -q 'no client has the key' refused || fail "keys are missing: $(cat refused)"
cd "$work"

# ---- C++

cat > "$work/plus.cc" << 'END'
#include <fhola/ckks.h>
#include <fhola/nn.h>
#include <fhola/ola.h>
#include <cstdio>
int main()
{
    ckks_params *params = nullptr;
    nn_model *model = nullptr;
    if (ckks_params_named(&params, "R15") != FHOLA_OK) return 1;
    std::printf("%.1f\n", ckks_params_log2(params, ckks_basis_chain(params) | ckks_basis_special(params)));
    ckks_params_destroy(params);
    return nn_model_load(&model, "/nowhere", nullptr) == FHOLA_IO ? 0 : 1;
}
END
if command -v "${CXX:-g++}" > /dev/null 2>&1; then
    # shellcheck disable=SC2046 # several words
    "${CXX:-g++}" -Wall -Wextra -Werror -o "$work/plus" "$work/plus.cc" $(pkg-config --cflags --libs fhola)
    bits=$("$work/plus")
    echo "C++: log2(QP) = $bits"
    case $bits in
        8[0-6][0-9].*) ;;
        *) fail "log2(QP) is $bits" ;;
    esac
else
    echo 'not tried: no C++ compiler'
fi

# ---- a build without OpenMP and without a shared library: its own copy in a folder with a space in its name, the library only, hastily
# optimised

source="$work/the source"
mkdir "$source" "$work/one"
(cd "$top_srcdir" && tar cf - configure Makefile.am Makefile.in aclocal.m4 build-aux configure.ac fhola.pc.in ckks ola nn tests/Makefile.inc \
    bench/Makefile.inc man/Makefile.inc man/Doxyfile.in) | (cd "$source" && tar xf -)
chmod -R u+w "$source"
find "$source" \( -name '*.o' -o -name '*.lo' -o -name '*.la' \) -exec rm -f {} +
(
    cd "$source"
    ./configure --disable-openmp --disable-shared --enable-werror --without-libpng --without-gmp --prefix="$work/one" CC="${CC:-gcc}" CFLAGS=-O1
    $make -j2 libfhola.la
    $make install-libLTLIBRARIES install-pkgincludeHEADERS install-pkgconfigDATA
) > "$work/one.log" 2>&1 || { tail -n 30 "$work/one.log"; fail 'the build without OpenMP'; }
unset PKG_CONFIG_SYSROOT_DIR
PKG_CONFIG_LIBDIR=$work/one/lib/pkgconfig
LD_LIBRARY_PATH=$work/one/lib
[ ! -e "$work/one/lib/libfhola.so" ] || fail 'a shared library in spite of --disable-shared'
run_examples "$work/without" "$top_srcdir/nn/data/cat.ppm"
needs "$work/without/client"
needs "$work/without/server"
[ "$(head -n 1 "$work/with/answers")" = "$(cat "$work/without/answers")" ] || fail 'the two builds answer differently'
