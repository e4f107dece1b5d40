/* SPDX-License-Identifier: Apache-2.0 */
/* make_small_network NAME [KIND [WIDTH]]: a compiled network of 8 layers with random weights,
 * NAME.fhola and NAME.client, for tests that want a whole run of the program without the time of a
 * real network. Its classes are called a to j. KIND: a number is a seed, of another network of the
 * same shape; "tiny" a network of a single layer, for pictures of 8 x 8; "weak" has parameters that
 * are marked as insecure. WIDTH: of intervals, half; as they are unless told, all pictures have
 * nearly the same scores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/nn.h"
#include "tests/small_network.h"

#define WIDE 12.0

static void tiny_network_init(small_network *s)
{
    small_begin(s, (nn_shape){3, 8, 8}, 1);
    nn_tensor x = small_relu(s, small_conv(s, 0, 4, 3, 1));
    small_end(s, small_dense(s, small_global(s, x), 10));
}

static fhola_status make_params(ckks_params **params, bool weak)
{
    ckks_params *good = NULL;
    FHOLA_TRY(ckks_params_named(&good, "R15"));
    ckks_params_spec spec = *ckks_params_get_spec(good);
    spec.insecure = weak;
    fhola_status status = ckks_params_create(params, &spec);
    ckks_params_destroy(good);
    return status;
}

int main(int argc, char **argv)
{
    char network[4096], client[4096];
    ckks_params *params = NULL;
    small_network s;
    if (argc < 2 || argc > 4) return 1;
    const char *kind = argc > 2 ? argv[2] : "";
    const bool weak = strcmp(kind, "weak") == 0, tiny = strcmp(kind, "tiny") == 0;
    double width = argc == 4 ? strtod(argv[3], NULL) : WIDE;
    snprintf(network, sizeof network, "%s.fhola", argv[1]);
    snprintf(client, sizeof client, "%s.client", argv[1]);
    if (tiny)
        tiny_network_init(&s);
    else
        small_network_init(&s, 1, 10, 0, *kind && !weak ? strtoull(kind, NULL, 10) : 1);
    if (*kind && !weak) s.model.hash = s.plan.model_hash = s.state;
    /* wide enough for what real pictures bring about, so that every run gives the same scores */
    for (size_t i = 0; i < s.plan.count; i++)
        for (unsigned c = 0; c < s.plan.activations[i].channels; c++)
            s.plan.activations[i].half_width[c] = width;
    fhola_status status = make_params(&params, weak);
    if (status == FHOLA_OK) status = nn_compiled_save(network, client, params, &s.model, &s.plan);
    if (status != FHOLA_OK) fprintf(stderr, "%s: %s\n", fhola_strerror(status), fhola_detail());
    ckks_params_destroy(params);
    small_network_clear(&s);
    return status != FHOLA_OK;
}
