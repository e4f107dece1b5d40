/* SPDX-License-Identifier: Apache-2.0 */
/* Where functions bend. Internal to ola/. */
#ifndef OLA_FUNCTION_H
#define OLA_FUNCTION_H

#include "ola/ola.h"

#define OLA_MAX_KINKS 2u

/* The places where f, no table, bends sharply, rising; false if it is curved around 0 instead. */
bool ola_function_kinks(const ola_function *f, double *kinks, size_t *count);

#endif
