/* SPDX-License-Identifier: Apache-2.0 */
/* Automorphisms of limbs and of what inner products read, for tables that know how to rotate a
 * block: included behind `rotor`, `rotation`, rotor_of, rotation_of and rotate_block
 * (automorphism.h). Internal to kernels. */
#ifndef CKKS_KERNEL_ROTATE_H
#define CKKS_KERNEL_ROTATE_H

/* out = sigma(a), plus acc unless that is NULL (kernel.h), log_n >= 6. */
ALWAYS void permute_blocks(const ckks_prime *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, const ckks_automorphism *sigma)
{
    const size_t n = (size_t)1 << p->log_n;
    const rotor r = rotor_of(sigma->g);
    for (size_t b = 0; b < n; b += 64) {
        const uint32_t s = sigma->block[b >> 6];
        const rotation o = rotation_of(&r, s);
        const uint64_t *in = a + (s & ~(uint32_t)63);
        if (acc)
            rotate_block(&r, &o, out + b, acc + b, in, p->p);
        else
            rotate_block(&r, &o, out + b, NULL, in, p->p);
    }
}

/* Block `from` .. from + 63 of sigma(a): in place without sigma, else in *room, which moves on. The
 * next block is far away: it is fetched early. */
static const uint64_t *inner_operand(const ckks_switch_term *t, const rotor *r, const rotation *o,
                                     const uint64_t *a, size_t from, uint64_t **room)
{
    if (!t->sigma) return a + from;
    const uint32_t *source = &t->sigma->block[from >> 6];
    const uint64_t *next = a + (source[1] & ~(uint32_t)63);
    uint64_t *block = *room;
    for (size_t i = 0; i < 64; i += 8) _mm_prefetch((const char *)(next + i), _MM_HINT_T0);
    rotate_block(r, o, block, NULL, a + (source[0] & ~(uint32_t)63), 0);
    *room += 64;
    return block;
}

#endif
