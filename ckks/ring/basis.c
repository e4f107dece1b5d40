/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/basis.h"

unsigned ckks_basis_count(ckks_basis basis)
{
    unsigned n = 0;
    for (; basis; basis &= basis - 1) n++;
    return n;
}

unsigned ckks_basis_lowest(ckks_basis basis)
{
    unsigned i = 0;
    while (!(basis >> i & 1)) i++;
    return i;
}

ckks_basis ckks_basis_top(ckks_basis basis)
{
    while (basis & (basis - 1)) basis &= basis - 1;
    return basis;
}

unsigned ckks_basis_limbs(ckks_basis shared, ckks_basis basis)
{
    return ckks_basis_count(basis) - ckks_basis_count(basis & basis >> 1 & shared);
}

bool ckks_basis_same_limbs(ckks_basis shared, ckks_basis part, ckks_basis whole)
{
    return !(part & ~whole) && !((part ^ part >> 1) & whole & whole >> 1 & shared);
}
