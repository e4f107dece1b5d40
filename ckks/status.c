/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/status.h"

#include <stdarg.h>
#include <stdio.h>

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
    }
    return "unknown status";
}

const char *fhola_detail(void)
{
    return detail;
}

fhola_status fhola_fail(fhola_status status, const char *format, ...)
{
    char message[sizeof detail];
    va_list args;
    va_start(args, format);
    /* Through a local buffer, so that fhola_detail() itself may be among the arguments. */
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    snprintf(detail, sizeof detail, "%s", message);
    return status;
}
