# SPDX-License-Identifier: Apache-2.0
# A public header as Doxygen reads it, line by line: headers are written for people, with plain comments.
#
#   the comment at the top                 the page of the file
#   a comment in front of a declaration    documents it
#   a comment behind one, on its line      documents it
#   a heading, "---- files ----"           a section of the page, which ends at the next one; comments behind it that an
#                                          empty line follows belong to the section
#   `name`                                 is set as code
#   ckks_rotate and the like               become links: Doxygen warns of one that leads nowhere
#
# Comments of macros stay as they are, and so does a line of comment that an empty line follows elsewhere.

{ line[NR] = $0 }

# What Doxygen would obey is quoted.
function quoted(text,    out, k, c) {
    out = ""
    for (k = 1; k <= length(text); k++) {
        c = substr(text, k, 1)
        if (index("\\@&#%", c) || (c == "<" && substr(text, k + 1, 1) ~ /[A-Za-z\/!?]/)) out = out "\\"
        out = out c
    }
    return out
}

# Text without code: quoted, with links.
function linked(text,    out, before, name) {
    out = ""
    while (match(text, /(ckks|ola|nn|fhola)_[a-z0-9_]+/)) {
        name = substr(text, RSTART, RLENGTH)
        before = RSTART > 1 ? substr(text, RSTART - 1, 1) : " "
        out = out quoted(substr(text, 1, RSTART - 1))
        text = substr(text, RSTART + RLENGTH)
        if (before ~ /[A-Za-z0-9_\/.<-]/ || name ~ /_$/ || text ~ /^(\.[a-z]|\([^)])/)
            out = out name
        else
            out = out "#" name
    }
    return out quoted(text)
}

# The text of a comment; code begins and ends on one line.
function shown(text,    part, parts, k, out) {
    parts = split(text, part, "`")
    out = linked(part[1])
    for (k = 2; k <= parts; k++)
        out = out (k % 2 ? linked(part[k]) : (k < parts ? "<code>" quoted(part[k]) "</code>" : "`" linked(part[k])))
    return out
}

# The text of a line of a comment without the asterisk in front.
function inner(text) {
    sub(/^ *\* ?/, "", text)
    return text
}

# The line in which the comment that begins in line n ends.
function last_line(n) {
    while (n < NR && line[n] !~ /\*\//) n++
    return n
}

# Whether line n is followed by an empty one, a comment, and another empty one: then it describes the section.
function describes(n,    last) {
    if (line[n + 1] != "" || line[n + 2] !~ /^\/\*/ || line[n + 2] ~ /----/) return 0
    last = last_line(n + 2)
    return last < NR && line[last + 1] == ""
}

# The first half of a comment that is documentation, with what opens it.
function opened(text, start) {
    inside = text !~ /\*\//
    if (inside) return start " " shown(text)
    sub(/ *\*\/ *$/, "", text)
    return start " " shown(text) finish()
}

function finish(    end) {
    end = describing ? (more ? "" : " */ /** @{ */") : " */"
    if (describing && !more) described = 1
    return end
}

function close_section(    text) {
    text = sectioned ? "/** @} */ " : ""
    sectioned = 0
    return text
}

# What a heading begins; behind it, the comments that describe the section.
function heading(n, title,    text) {
    text = close_section()
    if (title ~ /^end of /) return text
    sectioned = 1
    describing = describes(n)
    text = text "/** @name " shown(title)
    return text (describing ? "" : " */ /** @{ */")
}

END {
    print "/** @file"
    at_top = 1
    for (n = 2; n <= NR; n++) {
        text = line[n]
        if (inside) {
            text = inner(text)
            if (text ~ /\*\//) {
                sub(/ *\*\/ *$/, "", text)
                inside = 0
                print " * " shown(text) finish()
                if (described) describing = described = 0
            } else
                print " * " shown(text)
        } else if (macro || text ~ /^#.*\\$/)
            print text
        else if (at_top && text ~ /^\/\*/) {
            at_top = 0
            sub(/^\/\* */, "", text)
            print opened(text, " *")
        } else if (text ~ /^\/\* ----/) {
            gsub(/^\/\* -+ *| *-+ *\*\/$/, "", text)
            print heading(n, text)
        } else if (text ~ /^ *\/\*/) {
            sub(/^ *\/\* */, "", text)
            if (describing) {
                more = describes(last_line(n))
                print opened(text, " *")
                if (described) describing = described = 0
            } else if (n < NR && line[last_line(n) + 1] == "" && text ~ /\*\/$/)
                print "/* " text
            else
                print opened(text, "/**")
        } else if (describing && text == "")
            print " *"
        else if (text ~ /\/\*/) {
            code = substr(text, 1, index(text, "/*") - 1)
            sub(/^.*\/\* */, "", text)
            print code opened(text, "/**<")
        } else if (sectioned && text ~ /^#ifdef __cplusplus/)
            print close_section() text
        else
            print text
        macro = line[n] ~ /\\$/
    }
}
