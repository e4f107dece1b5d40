/* SPDX-License-Identifier: Apache-2.0 */
/* make_small_network NAME [SEED | tiny]: a compiled network of 8 layers with random weights,
 * NAME.fhola and NAME.client, for tests that want a whole run of the program without the time of a
 * real network. Its classes are called a to j. Another seed is another network of the same shape;
 * "tiny" is one of a single layer, for pictures of 8 x 8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/nn.h"
#include "tests/small_network.h"

#define WIDE 12

static void tiny_network_init(small_network *s)
{
    small_begin(s, (nn_shape){3, 8, 8}, 1);
    nn_tensor x = small_relu(s, small_conv(s, 0, 4, 3, 1));
    small_end(s, small_dense(s, small_global(s, x), 10));
}

int main(int argc, char **argv)
{
    char network[4096], client[4096];
    ckks_params *params = NULL;
    small_network s;
    if (argc != 2 && argc != 3) return 1;
    snprintf(network, sizeof network, "%s.fhola", argv[1]);
    snprintf(client, sizeof client, "%s.client", argv[1]);
    bool tiny = argc == 3 && strcmp(argv[2], "tiny") == 0;
    if (tiny)
        tiny_network_init(&s);
    else
        small_network_init(&s, 1, 10, 0, argc == 3 ? strtoull(argv[2], NULL, 10) : 1);
    if (argc == 3) s.model.hash = s.plan.model_hash = s.state;
    /* wide enough for what real pictures bring about, so that every run gives the same scores */
    for (size_t i = 0; i < s.plan.count; i++)
        for (unsigned c = 0; c < s.plan.activations[i].channels; c++)
            s.plan.activations[i].half_width[c] = WIDE;
    fhola_status status = ckks_params_named(&params, "R15");
    if (status == FHOLA_OK) status = nn_compiled_save(network, client, params, &s.model, &s.plan);
    if (status != FHOLA_OK) fprintf(stderr, "%s: %s\n", fhola_strerror(status), fhola_detail());
    ckks_params_destroy(params);
    small_network_clear(&s);
    return status != FHOLA_OK;
}
