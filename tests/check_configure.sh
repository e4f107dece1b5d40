#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What configure refuses, and what it says about linking: in a folder with a space in its name.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
CC=${CC:-gcc}
folder="$work/with space"
mkdir -p "$folder/sources/ckks/kernel"
cd "$top_srcdir"
tar cf - configure configure.ac aclocal.m4 Makefile.am Makefile.in fhola.pc.in man/Doxyfile.in build-aux ckks/kernel/kernel.h .ci/build.sh | (cd "$folder/sources" && tar xf -)

# configure_as NAME OPTION...: in a folder of that name
configure_as()
{
    mkdir "$folder/$1"
    cd "$folder/$1"
    shift
    ../sources/configure --without-libpng --without-libjpeg --without-gmp "$@" > out 2>&1
}

# refused NAME MESSAGE OPTION...
refused()
{
    name=$1
    message=$2
    shift 2
    cases=$((cases + 1))
    if configure_as "$name" "$@"; then wrong "configure $*: not refused"; fi
    grep -q "^configure: error: $message" out || wrong "configure $*: $(tail -n 3 out)"
}

# ---- as demo.sh and check.sh do it, but for make

cases=$((cases + 1))
mkdir "$work/bin"
printf '#!/bin/sh\n' > "$work/bin/make"
chmod +x "$work/bin/make"
PATH="$work/bin:$PATH" "$folder/sources/.ci/build.sh" build/demo CC="$CC" --without-libpng --without-libjpeg > "$work/out" 2>&1 &&
    [ -f "$folder/sources/build/demo/Makefile" ] || wrong "build.sh in a folder with a space in its name: $(tail -n 3 "$work/out")"

# in a checkout that somebody has configured in place
cases=$((cases + 1))
touch "$folder/sources/config.status"
if PATH="$work/bin:$PATH" "$folder/sources/.ci/build.sh" build/other > "$work/out" 2>&1; then wrong 'build.sh in a configured checkout'; fi
grep -q "make distclean" "$work/out" || wrong "build.sh in a configured checkout: $(cat "$work/out")"
[ ! -e "$folder/sources/build/other" ] || wrong 'build.sh leaves a folder'
rm "$folder/sources/config.status"

# ---- what the arithmetic cannot do without

# a compiler for a 32-bit machine, as far as the preprocessor tells
cat > "$work/narrow" << END
#!/bin/sh
exec $CC -U__SIZEOF_INT128__ "\$@"
END
chmod +x "$work/narrow"
refused narrow "fhola needs a 64-bit machine: '.*narrow .*' has no integers of 128 bits" CC="$work/narrow"
refused fast 'no -Ofast and no -ffast-math' CC="$CC" CFLAGS=-Ofast
refused finite 'no -Ofast and no -ffast-math' CC="$CC" CFLAGS='-O2 -ffinite-math-only'

# with flags given to make only: the library does not compile
cd "$top_srcdir"
for flags in -O2 -Ofast '-O2 -ffast-math'; do
    cases=$((cases + 1))
    result=compiled
    # shellcheck disable=SC2086 # several words
    $CC -std=c11 $flags -fsyntax-only -I. -Ickks ckks/status.c 2> "$work/err" || result=refused
    case $flags:$result in
        -O2:compiled | *fast*:refused) ;;
        *) wrong "ckks/status.c with $flags: $result" ;;
    esac
done

# ---- a static library alone, compiled by clang, linked by another compiler

if command -v clang > /dev/null 2>&1; then
    cases=$((cases + 1))
    configure_as static CC=clang --disable-shared || wrong "configure CC=clang --disable-shared: $(tail -n 3 out)"
    needed=$(sed -n 's/^Libs.private: //p' fhola.pc)
    grep -qF -- "-lfhola $needed" fhola.pc || wrong "the line for a static library alone lacks $needed: $(grep Libs: fhola.pc)"
    cat > threads.c << 'END'
int main(void)
{
    int sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 9; i++) sum += i;
    return sum != 36;
}
END
    if clang -fopenmp -c threads.c 2> err; then
        # shellcheck disable=SC2086 # several words
        gcc -o threads threads.o $needed 2> err && ./threads || wrong "gcc links what clang compiled with $needed: $(cat err)"
    else
        echo "not tried: clang without OpenMP"
    fi
fi
verdict
