#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The module for Python, with the shared library and the program of this build, in a folder of its own.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
FHOLA_LIBRARY=$top_builddir/.libs/libfhola.so
FHOLA_PROGRAM=$fhola
PYTHONPATH=$top_builddir/nn/python
PYTHONDONTWRITEBYTECODE=1
export FHOLA_LIBRARY FHOLA_PROGRAM PYTHONPATH PYTHONDONTWRITEBYTECODE
if [ ! -f "$FHOLA_LIBRARY" ]; then
    echo 'not tried: a build without a shared library'
    exit 0
fi
if ldd "$FHOLA_LIBRARY" | grep -qE 'lib[atu]+b?san'; then
    echo 'not tried: a sanitizer wants to be in the program from the start'
    exit 0
fi
cd "$work"
"$top_builddir/tests/make_small_network" small
"$top_builddir/tests/make_small_onnx" small.onnx 1 28 4
${PYTHON:-python3} -W error "$top_srcdir/tests/python_module.py" -v
