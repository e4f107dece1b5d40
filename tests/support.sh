# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What test scripts share. A script begins with
#     . "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
# and then has top_srcdir and top_builddir, absolute; fhola, the program of this build (or FHOLA); work, a directory of its own that goes
# when the script ends; fail, wrong and verdict.
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
