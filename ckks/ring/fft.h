/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical embedding's special Fourier transform in double precision.
 * Internal.
 *
 * m complex slots stand for a real polynomial of 2m coefficients in Y = X^(N / 2m), Y^(2m) = -1;
 * with zeta = exp(2 pi i / 4m)
 *
 *     slot_j = sum over k < 2m of c_k zeta^(5^j k)
 *            = sum over k < m of (c_k + i c_(k+m)) zeta^(5^j k),   0 <= j < m,
 *
 * because zeta^(5^j m) = i. (Cheon, Kim, Kim, Song, "Homomorphic encryption for arithmetic of
 * approximate numbers", Asiacrypt 2017, section 3, with the slot order of Cheon, Han, Kim, Kim,
 * Song, "Bootstrapping for approximate homomorphic encryption", Eurocrypt 2018, section 2.) The
 * automorphism X -> X^5 rotates the slots to the left by one, X -> X^-1 conjugates them.
 *
 * Results are the same bits on every machine with IEEE 754 doubles and round-to-nearest: one order
 * of operations, none of them fused, and roots of unity from integer arithmetic. */
#ifndef CKKS_FFT_H
#define CKKS_FFT_H

#include <stddef.h>
#include <stdint.h>

#include "ckks/status.h"

#define CKKS_FFT_MAX_LOG_N 17u

/* Tables for all numbers of slots of one ring. Read-only after creation, so threads may share
 * it. */
typedef struct ckks_fft ckks_fft;

/* Tables for the ring of degree N = 2^log_n, 1 <= log_n <= CKKS_FFT_MAX_LOG_N, that is for m = 1,
 * 2, 4, ..., N/2. PARAM for another log_n, NOMEM; *out is then NULL. */
fhola_status ckks_fft_create(ckks_fft **out, unsigned log_n) FHOLA_WARN_UNUSED;
void ckks_fft_destroy(ckks_fft *fft);

/* Decoding direction, in place: re_im_interleaved[2k], [2k + 1] = c_k, c_(k+m) become the real and
 * imaginary part of slot k. m is a power of two up to N/2. The relative error in the Euclidean norm
 * is at most 7 log2(m) 2^-53; it is about 0.7 sqrt(log2(m)) 2^-53 on random inputs. */
void ckks_fft_forward(const ckks_fft *fft, double *re_im_interleaved, size_t m);

/* Encoding direction, in place: the inverse of ckks_fft_forward, the factor 1/m included. Same
 * error bound. */
void ckks_fft_inverse(const ckks_fft *fft, double *re_im_interleaved, size_t m);

#endif
