/* SPDX-License-Identifier: Apache-2.0 */
/* How far a command has come: one bar over all of it, with the time elapsed and the time
 * remaining. Internal to the program. */
#ifndef NN_CMD_PROGRESS_H
#define NN_CMD_PROGRESS_H

#include <stddef.h>

#include "status.h"

/* A phase of a command, and the time it takes in units that only the phases of one command
 * share. */
typedef struct nn_cmd_phase {
    const char *step; /* as an nn_progress calls it: "fit" */
    double units;
} nn_cmd_phase;

/* What lies ahead, in its order; there may be less of it, or more of the step that a phase has.
 * Copied, but for the names. Without it
 * the bar is that of the phase at work. */
void nn_cmd_progress_expect(const nn_cmd_phase *phases, size_t count);
/* The picture at work, or the first of `together` at most, counted from 1, and how many there will
 * be (0: nobody knows): the last phase is that of every picture. */
void nn_cmd_progress_picture(size_t picture, size_t pictures, size_t together);

/* `done` of `total` units of a step, and what is said beside it (may be NULL). Another step,
 * fewer units done than before, or more of a step that was complete begin the next phase. */
void nn_cmd_progress_at(const char *step, size_t done, size_t total, const char *detail);
/* An nn_progress; user: not used. */
void nn_cmd_progress(void *user, const char *step, size_t done, size_t total);
/* Removes the bar: before anything else is printed. */
void nn_cmd_progress_end(void);

/* How progress is shown: "bar" (on a terminal, otherwise nothing, which is the default), "lines",
 * "json" or "none". */
void nn_cmd_progress_style(const char *style);

#endif
