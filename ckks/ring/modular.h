/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic modulo one number, for set-up. */
#ifndef CKKS_MODULAR_H
#define CKKS_MODULAR_H

#include <stddef.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 ckks_u128;
__extension__ typedef __int128 ckks_i128;

/* a b mod p, a^e mod p for p below 2^63; a^-1 mod m for a prime to m, m below 2^63: set-up only. */
uint64_t ckks_mod_mul(uint64_t a, uint64_t b, uint64_t p);
uint64_t ckks_mod_pow(uint64_t a, uint64_t e, uint64_t p);
uint64_t ckks_mod_inverse(uint64_t a, uint64_t m);
/* Deterministic Miller-Rabin for 64-bit integers. */
int ckks_is_prime(uint64_t n);

#endif
