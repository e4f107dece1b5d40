/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKKS_CLOCK_H
#define CKKS_CLOCK_H

/* Seconds of a clock that nobody sets. */
double ckks_seconds(void);

#endif
