/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and per-thread error details, shared by every fhola layer. */
#ifndef FHOLA_STATUS_H
#define FHOLA_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FHOLA_WARN_UNUSED  __attribute__((warn_unused_result))
#define FHOLA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define FHOLA_WARN_UNUSED
#define FHOLA_PRINTF(f, a)
#endif

/* Every call that can fail returns one of these. On anything but FHOLA_OK the outputs are unchanged
 * or empty. */
typedef enum fhola_status {
    FHOLA_OK = 0,    /* success */
    FHOLA_NOMEM = 1, /* an allocation failed */
    /* an argument is outside its documented range, or arguments contradict each other */
    FHOLA_PARAM = 2,
    FHOLA_LEVEL = 3, /* a ciphertext's set of primes does not fit the operation */
    /* two scales that must match do not, or a scale leaves its usable range */
    FHOLA_SCALE = 4,
    /* a key is missing, or belongs to other parameters or to another secret */
    FHOLA_KEY = 5,
    FHOLA_FORMAT = 6, /* a file or stream is truncated, corrupted or of another kind */
    FHOLA_IO = 7,     /* the operating system refused a read or a write */
    /* the request would fall below 128-bit security, or would expose a secret */
    FHOLA_SECURITY = 8,
    FHOLA_RANGE = 9,     /* a value is outside the range the operation can represent */
    FHOLA_CANCELLED = 10 /* the caller wanted no more of it: a progress function, or a cancel */
} fhola_status;

/* Short English name of a status, never NULL. */
const char *fhola_strerror(fhola_status status);

/* What was wrong, with which values, in the last call of this thread that failed; "" before any
 * failure. Valid until the thread's next failure. */
const char *fhola_detail(void);

/* Records the detail message (printf format) of a failure for this thread and returns `status`.
 * Meant for code that extends the library: `return fhola_fail(FHOLA_PARAM, "degree %u is above 63",
 * d);` The message is kept as fhola_escape makes it, in at most 511 bytes. */
fhola_status fhola_fail(fhola_status status, const char *format, ...) FHOLA_PRINTF(2, 3);

/* Leaves the calling function with the status of a call that failed. For functions with nothing to
 * clean up; the others have one label, end. */
#define FHOLA_TRY(call)                                                                            \
    do {                                                                                           \
        const fhola_status fhola_try_status_ = (call);                                             \
        if (fhola_try_status_) return fhola_try_status_;                                           \
    } while (0)

/* ---- text that comes from strangers: names of files and classes ---- */

/* Bytes of the well-formed UTF-8 character (RFC 3629) at the start of `text`; 0: there is none. */
size_t fhola_utf8_length(const char *text, size_t length);

/* Whether a terminal shows the text and obeys nothing in it: well-formed UTF-8 without control
 * characters (C0, DEL, C1), without line and paragraph separators, without the characters that
 * change the direction of writing (Unicode's Bidi_Control). */
int fhola_is_printable(const char *text, size_t length);

/* Copies `text` to `out` of `room` > 8 bytes, so that it is printable: any byte of another
 * character becomes \xNN. What does not fit loses its middle, not its end. */
void fhola_escape(char *out, size_t room, const char *text);

#ifdef __cplusplus
}
#endif
#endif
