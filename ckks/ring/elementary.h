/* SPDX-License-Identifier: Apache-2.0 */
/* Logarithm and power of two for numbers that reach ciphertexts or choose primes: the C library's
 * may differ in the last bit from one system to the next, these are the same bits on every machine
 * with IEEE 754 doubles and round-to-nearest (one order of operations, none of them fused; besides
 * + - * / only functions that are exact). Internal. */
#ifndef CKKS_ELEMENTARY_H
#define CKKS_ELEMENTARY_H

#include <stdint.h>

/* 2^x for |x| < 1000, error below 2 ulp; exact for integers. */
double ckks_exp2(double x);

/* log2(x) for normal x > 0, error below 2 ulp of max(|result|, 1); exact for powers of two. */
double ckks_log2(double x);

/* out = {cos, sin} of 2 pi k / 2^log_order, log_order <= 62; k is taken modulo 2^log_order. Error
 * below 0.51 ulp. */
void ckks_root_of_unity(double out[2], uint64_t k, unsigned log_order);

/* sin(2 pi x) and cos(2 pi x) for finite x, error below 0.51 ulp; +0 where they vanish. NaN if x is
 * infinite or NaN. */
double ckks_sin2pi(double x);
double ckks_cos2pi(double x);

#endif
