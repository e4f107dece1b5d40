/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/status.h"

/* Here for the whole library, which is compiled with the same flags. */
#if defined __FAST_MATH__ || __FINITE_MATH_ONLY__ || defined __ASSOCIATIVE_MATH__
#error "no -Ofast, no -ffast-math: NaN and infinity in files must be found, sums keep their order"
#endif

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char detail[512];

const char *fhola_strerror(fhola_status status)
{
    switch (status) {
    case FHOLA_OK: return "success";
    case FHOLA_NOMEM: return "out of memory";
    case FHOLA_PARAM: return "invalid parameter";
    case FHOLA_LEVEL: return "level mismatch";
    case FHOLA_SCALE: return "scale mismatch";
    case FHOLA_KEY: return "unusable key";
    case FHOLA_FORMAT: return "malformed data";
    case FHOLA_IO: return "input/output error";
    case FHOLA_SECURITY: return "security violation";
    case FHOLA_RANGE: return "value out of range";
    case FHOLA_CANCELLED: return "cancelled";
    }
    return "unknown status";
}

const char *fhola_detail(void)
{
    return detail;
}

fhola_status fhola_fail(fhola_status status, const char *format, ...)
{
    /* Not into `detail`: fhola_detail() itself may be among the arguments. */
    char message[2 * sizeof detail], *longer = NULL;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (length >= (int)sizeof message && (longer = malloc((size_t)length + 1)) != NULL) {
        va_start(args, format);
        vsnprintf(longer, (size_t)length + 1, format, args);
        va_end(args);
    }
    fhola_escape(detail, sizeof detail, longer ? longer : message);
    free(longer);
    return status;
}

/* ---- text that comes from strangers ---- */

size_t fhola_utf8_length(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text;
    if (length == 0) return 0;
    unsigned char first = at[0], low = 0x80, high = 0xbf;
    if (first < 0x80) return 1;
    size_t bytes = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (bytes == 0 || length < bytes) return 0;
    /* RFC 3629, section 4: neither longer than needed, nor a surrogate, nor beyond U+10FFFF */
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < bytes; i++)
        if (at[i] < 0x80 || at[i] > 0xbf) return 0;
    return bytes;
}

static int is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* Bytes of the printable character at the start of `text`; 0: there is none. */
static size_t printable_length(const char *text, size_t length)
{
    static const unsigned char mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t bytes = fhola_utf8_length(text, length);
    uint32_t code = (unsigned char)text[0] & mask[bytes];
    for (size_t i = 1; i < bytes; i++) code = code << 6 | ((unsigned char)text[i] & 0x3fu);
    return bytes && !is_control(code) ? bytes : 0;
}

int fhola_is_printable(const char *text, size_t length)
{
    while (length) {
        size_t bytes = printable_length(text, length);
        if (!bytes) return 0;
        text += bytes;
        length -= bytes;
    }
    return 1;
}

/* One character of `text`, escaped if it must be: its bytes in *taken, those it becomes
 * returned. */
static size_t escape_one(char out[5], size_t *taken, const char *text, size_t length)
{
    size_t bytes = printable_length(text, length);
    *taken = bytes ? bytes : 1;
    if (!bytes) return (size_t)snprintf(out, 5, "\\x%02x", (unsigned)(unsigned char)*text);
    memcpy(out, text, bytes);
    return bytes;
}

void fhola_escape(char *out, size_t room, const char *text)
{
    static const char gap[] = " ... ";
    char piece[5];
    size_t length = strlen(text), all = 0, taken, used = 0, skipped = 0;
    for (size_t at = 0; at < length; at += taken)
        all += escape_one(piece, &taken, text + at, length - at);
    /* with a gap: the first third, and as much of the end as there is room for */
    size_t head = all < room ? all : room / 3;
    for (size_t at = 0, seen = 0; at < length; at += taken) {
        size_t bytes = escape_one(piece, &taken, text + at, length - at);
        seen += bytes;
        int fits = !skipped && seen <= head;
        if (!fits && !skipped && used + sizeof gap <= room) {
            memcpy(out + used, gap, sizeof gap - 1);
            used += sizeof gap - 1;
            skipped = 1;
        }
        if (!fits && all - seen + bytes >= room - used) continue;
        memcpy(out + used, piece, bytes);
        used += bytes;
    }
    out[used] = 0;
}
