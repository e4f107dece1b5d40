#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Help and manual agree: every command has a page, every page has its sections, and the options of --help are those of the page. Then what
# depends on a terminal: colours, progress, and NO_COLOR.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
man=$top_srcdir/man

same()
{
    cmp -s "$2" "$3" || { wrong "$1 (<: $2, >: $3)"; diff "$2" "$3" || :; }
}

cd "$work"
commands=$("$fhola" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -v -x -e help -e version)
for command in $commands; do
    page=$man/fhola-$command.1
    [ -f "$page" ] || { wrong "no page for $command"; continue; }
    "$fhola" help "$command" > help
    "$fhola" "$command" --help > option
    same "'fhola $command --help' is 'fhola help $command'" help option
    "$fhola" "$command" operand -h > option
    same "'fhola $command operand -h' is the same" help option

    # "-o --output VALUE": from the help, from the page's list of options
    sed -n -e 's/^  \(-.\), \(--[-a-z]*\) [^ ].*/\1 \2 VALUE/p' -e 's/^      \(--[-a-z]*\) [^ ].*/\1 VALUE/p' \
        -e 's/^  \(-.\), \(--[-a-z]*\)  .*/\1 \2/p' -e 's/^      \(--[-a-z]*\)  .*/\1/p' help | grep -v -e ' --help' | sort > help.options
    sed -n '/^\.Bl/,/^\.El/p' "$page" | sed -n 's/^\.It Fl //p' | sed -E \
        -e 's/^([a-z]) Ar .* , Fl -([-a-z]+) Ar .*/-\1 --\2 VALUE/' -e 's/^([a-z]) , Fl -([-a-z]+)$/-\1 --\2/' \
        -e 's/^-([-a-z]+) Ar [^ ]* , Fl -([-a-z]+) Ar .*/--\1 VALUE\n--\2 VALUE/' \
        -e 's/^-([-a-z]+) Ar .*/--\1 VALUE/' -e 's/^-([-a-z]+)$/--\1/' | sort -u > page.options
    same "options of $command in its help and in its page" help.options page.options

    # each, by one of its names, in the synopsis
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | grep -o 'Fl [-a-z]*' | sed 's/^Fl /-/' > synopsis
    while read -r first rest; do
        grep -q -x -e "$first" synopsis || grep -q -x -e "${rest%% *}" synopsis || wrong "$command: $first is not in the synopsis"
    done < help.options
    grep -q '^Examples:$' help || wrong "the help of $command has no examples"
    "$fhola" help | grep -q "^  $command " || wrong "$command is not in the overview"
    grep -q "^\.It Cm $command\$" "$man/fhola.1" || wrong "$command is not in fhola.1"
done
for page in "$man"/*.1; do
    name=$(basename "$page" .1)
    [ "$name" = fhola ] || echo "$commands" | grep -q -x "${name#fhola-}" || wrong "$name.1 describes no command"
    for section in 'EXIT STATUS' ENVIRONMENT FILES EXAMPLES SECURITY; do
        grep -q "^\.Sh $section\$" "$page" || wrong "$name.1 has no section $section"
    done
done
for section in EXAMPLES SECURITY ENVIRONMENT; do
    grep -q "^\.Sh $section\$" "$man/fhola.3" || wrong "fhola.3 has no section $section"
done
grep -q '^\.Sh SECURITY$' "$man/fhola-formats.5" || wrong 'fhola-formats.5 has no section SECURITY'

# ---- golden: the overview of one command

"$fhola" help inspect > help
cat > expected << 'END'
usage: fhola inspect FILE... [OPTION...]

Say what files are, whether they are whole, and what they belong to.

Options:
      --json  print one JSON object a line
  -h, --help  print this

Examples:
  fhola inspect keys/secret.key keys/eval.keys
  fhola inspect --json scores.ct

More: man fhola-inspect
END
same 'help inspect' expected help
"$fhola" version > version
sed -E -e '1s/ [0-9.]+$/ N/' -e '2s/ [a-z0-9, ]*portable; used: [a-z0-9]+$/ K/' -e '3s/[0-9]+$/N/' -e 's/ (yes|no):/ B:/' version > shown
cat > expected << 'END'
fhola N
kernels K
threads    N
OpenMP     B: threads
libpng     B: PNG pictures
libjpeg    B: JPEG pictures
MPI        B: 'mpirun fhola infer'
protobuf-c B: ONNX networks
microhttpd B: serve
libcurl    B: classify --server
END
same 'version' expected shown
"$fhola" --version | cmp -s - version || wrong '--version is another one'
FHOLA_ISA=portable "$fhola" version --threads 2 | grep -q '; used: portable$' || wrong 'version does not say the kernel that FHOLA_ISA names'
FHOLA_ISA=abacus "$fhola" version | grep -q '; FHOLA_ISA names none of them$' || wrong 'version knows a kernel that is none'
"$fhola" version --json > shown
grep -Eq '^\{"version": "[0-9.]+", "kernels": \[("[a-z0-9]+", )*"portable"\], "kernel": "[a-z0-9]+", "threads": [0-9]+, "libraries": \{"OpenMP": (true|false), ' shown ||
    wrong "version --json prints $(cat shown)"

# ---- nothing, help about help, and the overview

"$fhola" help > overview
code=0
"$fhola" > shown || code=$?
[ $code -eq 1 ] || wrong "without a command: exit code $code"
same 'fhola alone' overview shown
"$fhola" --help | cmp -s - overview || wrong '--help is no overview'
for command in help version; do
    "$fhola" help $command > shown || wrong "no help about $command"
    [ "$(head -n 1 shown | cut -d ' ' -f 1-3)" = "usage: fhola $command" ] || wrong "help $command: $(cat shown)"
done
grep -q '^Bundled pictures: airplane .* truck$' overview || wrong "no pictures in the overview: $(cat overview)"

# ---- options may follow operands, values may be joined, "--" ends options

"$fhola" params R15 --json > a
"$fhola" params --json -- R15 > b
same 'options before and after operands' a b
"$fhola" compile resnet20 -o a.fhola --params=R15 > out && "$fhola" compile -oa.fhola resnet20 --params R15 > b
same 'joined values' out b

# ---- a terminal

if command -v script > /dev/null 2>&1 && script -qec true /dev/null > /dev/null 2>&1; then
    escape=$(printf '\033')
    # on_terminal COMMAND: both outputs are one
    on_terminal()
    {
        script -qec "$1" /dev/null < /dev/null | tr -d '\r'
    }
    TERM=xterm
    export TERM
    unset NO_COLOR
    on_terminal "$fhola inspect none" > shown || :
    grep -q "$escape\[1;31mfhola inspect:$escape\[0m input" shown || wrong "no colour in a message on a terminal: $(cat -v shown)"
    NO_COLOR=1 on_terminal "$fhola inspect none" > shown || :
    if grep -q "$escape" shown; then wrong "a colour in spite of NO_COLOR: $(cat -v shown)"; fi
    TERM=dumb on_terminal "$fhola inspect none" > shown || :
    if grep -q "$escape" shown; then wrong "a colour on a dumb terminal: $(cat -v shown)"; fi
    "$fhola" keygen a.client -d keys > /dev/null 2> silent
    [ "$(wc -l < silent)" -eq 1 ] && ! grep -q ' key ' silent || wrong "progress without a terminal: $(cat silent)"
    on_terminal "$fhola keygen a.client -f -d keys" > shown
    grep -q 'fhola keygen: \[##*-*\] *[0-9]* %, [0-9]* s elapsed.*, key [0-9]* of' shown || wrong "no progress on a terminal: $(cat -v shown)"
    on_terminal "$fhola encrypt keys/secret.key $top_srcdir/nn/data/cat.ppm" > shown || :
    grep -q 'ciphertexts are not for a terminal' shown || wrong "a ciphertext on a terminal: $(head -c 300 shown | cat -v)"
    on_terminal "$fhola decrypt keys/secret.key" > shown || :
    grep -q 'not typed at a terminal' shown || wrong "decrypt waits for a terminal: $(head -c 300 shown | cat -v)"
    on_terminal "$fhola encrypt keys/secret.key $top_srcdir/nn/data/cat.ppm --preview -o x.ct" > shown
    [ "$(grep -c "$escape\[38;2;" shown)" -eq 16 ] || wrong 'no preview in colours'
    NO_COLOR=1 on_terminal "$fhola encrypt keys/secret.key $top_srcdir/nn/data/cat.ppm --preview -o x.ct" > shown
    if grep -q "$escape" shown; then wrong 'a preview in colours in spite of NO_COLOR'; fi
    [ "$(grep -c '^................................$' shown)" -eq 16 ] || wrong "no preview in characters: $(cat shown)"
else
    echo 'not tried: no pseudo-terminal (script)'
fi

verdict
