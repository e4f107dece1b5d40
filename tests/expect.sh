# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What tests of error messages share beside support.sh. They work in $work/files.
picture=$top_srcdir/nn/data/cat.ppm
mkdir "$work/files"
cd "$work/files"
: > ../input # what commands read from standard input

# expect CODE COMMAND ...: runs COMMAND; standard error must be what stands on standard input, where ID stands for any id, HINT for the
# hint at the help; nothing on standard output, and no file comes or goes.
expect()
{
    code=$1
    shift
    cases=$((cases + 1))
    cat > ../expected
    ls -A > ../before
    found=0
    "$@" > ../out 2> ../err < ../input || found=$?
    ls -A > ../after
    sed -E -e 's/[0-9a-f]{16}/ID/g' -e 's/^(fhola keygen: )[0-9]+ keys for the server, [0-9.]+ [KM]B/\1KEYS/' -e 's/(cut.png: ).*/\1PNGERROR/' -e 's/(cut.jpg: ).*/\1JPEGERROR/' -e 's/byte [0-9]+: (File too large|No space left on device)/byte SIZE: \1/' -e "s/^Try 'fhola help [a-z]*'\\.\$/HINT/" ../err > ../err.shown
    problem=
    [ $found -eq "$code" ] || problem="exit code $found, not $code"
    cmp -s ../expected ../err.shown || problem="$problem; another message"
    [ ! -s ../out ] || problem="$problem; something on standard output"
    cmp -s ../before ../after || problem="$problem; files came or went: $(diff ../before ../after | tr '\n' ' ')"
    [ -n "$problem" ] || return 0
    wrong "$*: ${problem#; }"
    echo "  expected: $(cat ../expected)"
    echo "  found:    $(cat ../err.shown)"
}

# A small network with keys and an encrypted picture: small.fhola, small.client, secret.key, eval.keys, cat.ppm, picture.ct.
small_picture()
{
    "$top_builddir/tests/make_small_network" small
    "$fhola" keygen small.client > /dev/null
    cp "$picture" cat.ppm
    "$fhola" encrypt secret.key cat.ppm -o picture.ct > /dev/null
}

# change FILE OFFSET BYTE: one byte (three octal digits) of FILE.
change()
{
    printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null
}

# Runs a command without the right to read files that are closed; root gives it up.
as_user()
{
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}
: > closed
chmod 000 closed
can_be_closed=false
if as_user true 2> /dev/null && ! as_user cat closed > /dev/null 2>&1; then can_be_closed=true; else echo 'not tried: files that may not be read'; fi
rm -f closed

# Runs a command whose standard output is a full disk.
to_full_disk()
{
    "$@" > /dev/full
}

# The same with a reader that goes away.
into_closed_pipe()
{
    { code=0; "$@" || code=$?; echo $code > ../code; } | :
    return "$(cat ../code)"
}

# A disk that is full after the first $limit blocks, as far as the process can tell.
limit=8
small_files()
{
    (trap '' XFSZ && ulimit -f $limit && "$@")
}
