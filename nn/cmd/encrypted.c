/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/encrypted.h"

static int show_keys(void *user, size_t done, size_t total)
{
    (void)user;
    nn_cmd_progress_at("key", done, total, NULL);
    return 0;
}

static int show_step(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    nn_cmd_progress_step(user, layer, step, done, total);
    return 0;
}

fhola_status nn_cmd_session_open(nn_session *session, const nn_cmd_network *files, double memory)
{
    const nn_session_options options = {
        .memory = nn_cmd_memory(memory), .tell = nn_cmd_say_memory, .keys = show_keys};
    nn_cmd_progress_at("loading", 0, 1, "preparing the network");
    return nn_session_open(session, files->params, files->model, files->plan, &options);
}

fhola_status nn_cmd_session_infer(nn_session *session, size_t count)
{
    const nn_infer_hooks hooks = {.user = session->network, .progress = show_step};
    return nn_session_infer(session, count, &hooks);
}
