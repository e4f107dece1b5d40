/* SPDX-License-Identifier: Apache-2.0 */
/* make_small_onnx FILE CHANNELS SIDE CLASSES: the network of small_onnx.h, for scripts. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/small_onnx.h"

int main(int argc, char **argv)
{
    if (argc != 5) return 1;
    onnx_bytes network =
        small_onnx((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    FILE *file = fopen(argv[1], "wb");
    if (!file || fwrite(network.at, 1, network.length, file) != network.length || fclose(file)) {
        perror(argv[1]);
        return 1;
    }
    free(network.at);
    return 0;
}
