/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/modular.h"

uint64_t ckks_mod_mul(uint64_t a, uint64_t b, uint64_t p)
{
    return (uint64_t)((ckks_u128)a * b % p);
}

uint64_t ckks_mod_pow(uint64_t a, uint64_t e, uint64_t p)
{
    uint64_t r = 1;
    for (a %= p; e; e >>= 1) {
        if (e & 1) r = ckks_mod_mul(r, a, p);
        a = ckks_mod_mul(a, a, p);
    }
    return r;
}

uint64_t ckks_mod_inverse(uint64_t a, uint64_t m)
{
    int64_t x = 0, y = 1; /* x a = r0, y a = r1 modulo m; both below m in size */
    uint64_t r0 = m, r1 = a % m;
    while (r1) {
        uint64_t q = r0 / r1, r = r0 - q * r1;
        int64_t z = x - (int64_t)q * y;
        r0 = r1;
        r1 = r;
        x = y;
        y = z;
    }
    return x < 0 ? m - (uint64_t)-x : (uint64_t)x;
}

int ckks_is_prime(uint64_t n)
{
    static const uint64_t base[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    if (n < 2) return 0;
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++)
        if (n % base[i] == 0) return n == base[i];
    uint64_t d = n - 1;
    unsigned s = 0;
    for (; !(d & 1); d >>= 1) s++;
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++) {
        uint64_t x = ckks_mod_pow(base[i], d, n);
        int witness = x != 1 && x != n - 1;
        for (unsigned r = 1; r < s && witness; r++) {
            x = ckks_mod_mul(x, x, n);
            witness = x != n - 1;
        }
        if (witness) return 0;
    }
    return 1;
}
