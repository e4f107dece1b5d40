/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned memory for limbs. Big blocks ask the system for huge pages and do without where it has none. */
#ifndef CKKS_ALLOC_H
#define CKKS_ALLOC_H

#include <stddef.h>

/* 64-byte aligned (2 MiB aligned from 2 MiB up), NULL when there is no memory; contents undefined. Release with ckks_free. */
void *ckks_alloc(size_t bytes);
void ckks_free(void *memory);

#endif
