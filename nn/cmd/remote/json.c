/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/remote/json.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *c)
{
    return c + strspn(c, " \t\r\n");
}

/* Behind the string that begins at c; NULL: there is none. */
static const char *skip_string(const char *c)
{
    if (*c++ != '"') return NULL;
    for (; *c && *c != '"'; c++)
        if (*c == '\\' && !*++c) return NULL;
    return *c ? c + 1 : NULL;
}

/* The same for any value; brackets are counted, not matched. */
static const char *skip_value(const char *c)
{
    size_t depth = 0;
    do {
        c = skip_space(c);
        if (*c == '"') {
            c = skip_string(c);
            if (!c) return NULL;
            continue;
        }
        if (*c == '{' || *c == '[') depth++;
        if (*c == '}' || *c == ']') depth--;
        size_t length = strchr("{}[],:", *c) ? 1 : strcspn(c, "{}[],:\" \t\r\n");
        if (!*c) return NULL;
        c += length;
    } while (depth);
    return c;
}

/* The member's value. */
static const char *find(const char *json, const char *key)
{
    const size_t length = strlen(key);
    const char *c = json ? skip_space(json) : "";
    if (*c != '{') return NULL;
    do {
        const char *name = skip_space(c + 1), *end = skip_string(name);
        if (!end) return NULL;
        c = skip_space(end);
        if (*c != ':') return NULL;
        c = skip_space(c + 1);
        if ((size_t)(end - name) == length + 2 && memcmp(name + 1, key, length) == 0) return c;
        if (strchr("}],:", *c)) return NULL; /* no value */
        c = skip_value(c);
        if (!c) return NULL;
        c = skip_space(c);
    } while (*c == ',');
    return NULL;
}

bool remote_json_number(const char *json, const char *key, double *number)
{
    const char *c = find(json, key);
    if (!c || !strchr("-0123456789", *c) || !*c) return false;
    char *end;
    double value = strtod(c, &end);
    if (end == c || !strchr(",} \t\r\n", *end)) return false;
    *number = value;
    return true;
}

bool remote_json_bool(const char *json, const char *key, bool *value)
{
    const char *c = find(json, key);
    if (!c || (strncmp(c, "true", 4) != 0 && strncmp(c, "false", 5) != 0)) return false;
    *value = *c == 't';
    return true;
}

const char *remote_json_item(const char *json, const char *key, size_t index)
{
    const char *c = find(json, key);
    if (!c || *c != '[') return NULL;
    for (c = skip_space(c + 1); *c == '{'; c = skip_space(c + 1)) {
        if (index-- == 0) return c;
        c = skip_value(c);
        if (!c) return NULL;
        c = skip_space(c);
        if (*c != ',') return NULL;
    }
    return NULL;
}

/* The character behind a backslash; *c is then at its last byte. */
static char unescape(const char **c)
{
    char digits[5] = "";
    switch (**c) {
    case 'n':
    case 'r':
    case 't':
    case 'b':
    case 'f': return ' ';
    case 'u': break;
    default: return **c;
    }
    strncpy(digits, *c + 1, 4);
    *c += strspn(digits, "0123456789abcdefABCDEF");
    unsigned long code = strtoul(digits, NULL, 16);
    return code >= ' ' && code < 127 ? (char)code : '?';
}

bool remote_json_text(const char *json, const char *key, char *text, size_t room)
{
    const char *c = find(json, key);
    if (!c || !skip_string(c)) return false;
    size_t at = 0;
    for (c++; *c != '"' && at + 1 < room; c++) {
        if (*c != '\\') {
            text[at++] = *c;
            continue;
        }
        c++;
        text[at++] = unescape(&c);
    }
    text[at] = 0;
    return true;
}
