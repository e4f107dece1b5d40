/* SPDX-License-Identifier: Apache-2.0 */
/* A ring with the parameters of a scheme. */
#ifndef CKKS_CONTEXT_H
#define CKKS_CONTEXT_H

#include "ckks/ring/ring.h"
#include "ckks/scheme/params.h"

/* With a kernel of the caller's; the tally as in ckks_ring_create. */
fhola_status ckks_context_create_with(ckks_context **out, const ckks_params *params,
                                      const ckks_kernel *kernel,
                                      ckks_tally *tally) FHOLA_WARN_UNUSED;

#endif
