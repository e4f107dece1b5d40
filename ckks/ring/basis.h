/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of primes, and of their limbs: bit i of `shared` says that primes i and i + 1 share a limb
 * while both are there. */
#ifndef CKKS_BASIS_H
#define CKKS_BASIS_H

#include <stdbool.h>

#include "ckks/ckks.h"

#define CKKS_BIT(i) ((ckks_basis)1 << (i))

/* Index of the lowest prime of a nonempty basis. */
unsigned ckks_basis_lowest(ckks_basis basis);
/* Limbs of a polynomial over `basis`, fewer than its primes where two share one. */
unsigned ckks_basis_limbs(ckks_basis shared, ckks_basis basis);
/* Whether `part` is a subset of `whole` whose limbs are limbs of `whole`, none of them half a
 * shared one. */
bool ckks_basis_same_limbs(ckks_basis shared, ckks_basis part, ckks_basis whole);

#endif
