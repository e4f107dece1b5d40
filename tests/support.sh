# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What test scripts share. A script begins with
#     . "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
# and then has top_srcdir and top_builddir, absolute; fhola, the program of this build (or FHOLA); work, a directory of its own that goes
# when the script ends; fail, skip, wrong and verdict; fails and needs_server.
set -eu
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
top_builddir=${top_builddir:-$top_srcdir}
fhola=${FHOLA:-$top_builddir/fhola}
case $top_srcdir in /*) ;; *) top_srcdir=$PWD/$top_srcdir ;; esac
case $top_builddir in /*) ;; *) top_builddir=$PWD/$top_builddir ;; esac
case $fhola in /*) ;; *) fhola=$PWD/$fhola ;; esac
# threads that wait leave the processors to other tests
OMP_WAIT_POLICY=passive
export top_srcdir top_builddir OMP_WAIT_POLICY

work=$(mktemp -d)
clean_up() # a script with more to clean up has its own
{
    :
}
trap 'clean_up; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# fail MESSAGE: the test ends.
fail()
{
    echo "FAIL: $*"
    exit 1
}

# skip MESSAGE: the test cannot run here.
skip()
{
    echo "SKIP: $*"
    exit 77
}

# wrong MESSAGE: the test goes on, and fails at its end, which is "verdict".
cases=0
failures=0
wrong()
{
    failures=$((failures + 1))
    echo "FAIL: $*"
}
verdict()
{
    echo "$cases cases, $failures failures"
    [ $failures -eq 0 ]
}

# fails CODE TEXT COMMAND...: the exit code, and a line of standard error that begins with TEXT. Output is in `out` and `err`.
fails()
{
    wanted=$1 text=$2
    shift 2
    cases=$((cases + 1))
    code=0
    "$@" > out 2> err || code=$?
    [ $code -eq "$wanted" ] && grep -q "^$text" err || wrong "$*: exit code $code, $(cat err)"
}

# What tests of a server need: Python, which drives them, and a program that serves; another one says so.
needs_server()
{
    command -v python3 > /dev/null 2>&1 || skip 'no python3'
    code=0
    "$fhola" serve none --keys folder --listen 127.0.0.1:0 2> err || code=$?
    grep -q '^fhola serve: invalid parameter: this program was built without libmicrohttpd$' err || return 0
    [ $code -eq 3 ] || fail "without libmicrohttpd: exit code $code"
    skip 'built without libmicrohttpd'
}
