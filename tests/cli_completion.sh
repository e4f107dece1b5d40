#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The completion scripts, sourced by their shells, offer what the program takes.
. "${top_srcdir:-$(dirname "$0")/..}/tests/support.sh"
PATH=$top_builddir:$PATH
export PATH
if ! command -v bash > /dev/null 2>&1; then
    echo 'SKIP: no bash'
    exit 77
fi

cd "$work"
mkdir folder
: > file.ppm

cat > ask.bash << 'END'
# ask.bash SCRIPT WORD...: what the last word can become, sorted, on one line.
source "$1"
shift
complete -p fhola > /dev/null || exit 1
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"$(complete -p fhola | sed 's/.*-F \([^ ]*\) .*/\1/')" fhola "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | tr '\n' ' '
END
cat > ask.zsh << 'END'
# The same for zsh, whose own functions are replaced by ones that print.
emulate -R zsh
script=$1
shift
words=("$@")
CURRENT=$#words
_describe()
{
    [[ $1 == -o ]] && shift
    print -r -l -- ${${(P)2}%%:*}
}
compadd()
{
    [[ $1 == -a ]] && shift
    print -r -l -- ${(P)1}
}
_files()
{
    [[ ${1:-} == -/ ]] && print -l *(/N) || print -l *(N)
}
_alternative()
{
    local one
    for one; do eval ${one##*:}; done
}
compset()
{
    words[CURRENT]=${words[CURRENT]#*=}
}
{ source $script } | while read -r line; do
    [[ $line == $words[CURRENT]* || $words[CURRENT] == *=* ]] && print -r -- $line
done | LC_ALL=C sort | tr '\n' ' '
END

# expect 'WHAT COMES' WORD...
expect()
{
    expected=$1
    shift
    for shell in $shells; do
        cases=$((cases + 1))
        found=$(ask $shell "$@")
        [ "$found" = "$expected" ] && continue
        failures=$((failures + 1))
        echo "FAIL: $shell, $*: expected '$expected', found '$found'"
    done
}

ask()
{
    shell=$1
    shift
    case $shell in
        bash) bash ask.bash "$top_srcdir/nn/cmd/completion/fhola" "$@" ;;
        zsh) zsh -f ask.zsh "$top_srcdir/nn/cmd/completion/_fhola" "$@" ;;
    esac
}

shells=bash
if command -v zsh > /dev/null 2>&1; then shells='bash zsh'; else echo 'not tried: no zsh'; fi

commands=$(fhola help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | LC_ALL=C sort | tr '\n' ' ')
[ "$(echo "$commands" | wc -w)" -ge 13 ] || { echo "FAIL: fhola help lists $commands"; exit 1; }
models=$(fhola help | sed -n 's/^Bundled models: //p' | tr " " "\n" | LC_ALL=C sort | tr "\n" " ")
expect "$commands" fhola ''
expect "$commands" fhola help ''
expect 'encrypt ' fhola en
expect 'compile ' fhola help comp
expect '--preview ' fhola encrypt secret.key --pre
expect "$models" fhola compile resn
expect "$models" fhola classify --model resn
expect 'file.ppm ' fhola encrypt secret.key fi
expect 'file.ppm ' fhola infer x.fhola eval.keys -o fi
expect 'folder ' fhola keygen resnet20 -d f
expect 'empirical guarded normal ' fhola plan --weight ''
expect 'uniform ' fhola plan --method u
expect "$(fhola params --primes | sed -n 's/^\([^ ]*\): N = .*/\1/p' | LC_ALL=C sort | tr '\n' ' ')" fhola compile x --params R
expect '' fhola nonsense ''
expect '' fhola decrypt secret.key --top ''
for command in $commands; do
    case $command in help | version) continue ;; esac
    # a dash: every option of the help
    expect "$(fhola help "$command" | sed -n 's/^  \(-.,\|   \) \(--[-a-z]*\).*/\2/p' | LC_ALL=C sort | tr '\n' ' ')" fhola "$command" --
done
# --option=value: three words for bash, one for zsh
shells=bash
expect 'guarded ' fhola plan --weight = gu
expect 'empirical guarded normal ' fhola plan --weight =
if command -v zsh > /dev/null 2>&1; then
    shells=zsh
    expect 'empirical guarded normal ' fhola plan --weight=
fi

verdict
