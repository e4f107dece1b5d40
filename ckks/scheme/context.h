/* SPDX-License-Identifier: Apache-2.0 */
/* A ring with the parameters of a scheme. */
#ifndef CKKS_CONTEXT_H
#define CKKS_CONTEXT_H

#include "ckks/ring/ring.h"
#include "ckks/scheme/params.h"

#endif
