#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare.sh [OPENFHE]: one bootstrap of fhola and one of OpenFHE, of the same values, in a table. OPENFHE: the folder that OpenFHE was
# installed to (without it: where CMake looks by itself; "none": only fhola). Environment: FHOLA, the program (default: fhola on the
# PATH); LOG_N (16) and LOG_VALUES (14); PARAMS, fhola's parameter set (R16), of that ring; ARCSINE, levels of its arcsine (3); THREADS
# (2); RUNS of OpenFHE (3). bench/compare/README.md says what is compared.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fhola=${FHOLA:-fhola}
log_n=${LOG_N:-16}
log_values=${LOG_VALUES:-14}
params=${PARAMS:-R16}
threads=${THREADS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
: > "$work/openfhe"

"$fhola" bench bootstrap --params "$params" --log-values "$log_values" --identity "${ARCSINE:-3}" --threads "$threads" --json > "$work/fhola"

if [ "${1-}" != none ]; then
    if ! cmake -S "$here" -B "$work/build" ${1:+-DCMAKE_PREFIX_PATH="$1"} > "$work/log" 2>&1 || ! cmake --build "$work/build" >> "$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "compare.sh: openfhe_bootstrap cannot be built${1:+ with the OpenFHE of $1}" >&2
        exit 1
    fi
    OMP_NUM_THREADS=$threads "$work/build/openfhe_bootstrap" "$log_n" "$log_values" "${RUNS:-3}" > "$work/openfhe"
fi

# Both print an object of JSON a line.
cat "$work/fhola" "$work/openfhe" | awk -v log_n="$log_n" -v version="$("$fhola" version | head -n 1)" '
    function member(name,    text) {
        if (!match($0, "\"" name "\": (\"[^\"]*\"|[^,}]*)")) return ""
        text = substr($0, RSTART, RLENGTH)
        sub(/^"[a-z_]*": /, "", text)
        gsub(/"/, "", text)
        return text
    }
    function row(library, values, median, least, bits, levels, bytes) {
        printf "%-28s 2^%-3d %7d %9.2f %9.2f %9.1f %9.1f %7d %9.2f\n", library, log_n, values, median / 1e6, least / 1e6, median / values, bits,
            levels, bytes / 1e9
    }
    BEGIN {
        printf "%-28s %-5s %7s %9s %9s %9s %9s %7s %9s\n", "library", "N", "values", "median s", "least s", "us/value", "bits", "levels", "keys GB"
    }
    member("name") == "bootstrap" {
        if (member("n") != 2 ^ log_n) {
            print "the parameter set has another ring than 2^" log_n > "/dev/stderr"
            exit 1
        }
        median[member("isa")] = member("median_us")
        least[member("isa")] = member("min_us")
    }
    member("name") == "bootstrap_result" && member("library") == "" {
        isa = member("isa")
        row(version ", " isa, member("values"), median[isa], least[isa], member("precision_bits"), member("levels"), member("key_bytes"))
    }
    member("library") != "" {
        row(member("library"), member("values"), member("median_us"), member("min_us"), member("precision_bits"), member("levels"),
            member("key_bytes"))
    }'
