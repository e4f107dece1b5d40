/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* TIOCGWINSZ */
#include "nn/cmd/progress.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nn/cmd/cmd.h"

#define MOST_PHASES 32u
#define NOT_BEGUN   SIZE_MAX
#define ROOM        256u
#define BAR         20 /* characters */
/* what is done tells little before: no time remaining */
#define LEAST_SECONDS  1.0
#define LEAST_FRACTION 0.01

typedef enum style { AS_BAR, AS_LINES, AS_JSON, AS_NOTHING } style;

/* Seconds from one report to the next of the same phase. */
static const double pause_of[] = {[AS_BAR] = 0.1, [AS_LINES] = 5, [AS_JSON] = 1};

static struct progress {
    style style;
    nn_cmd_phase phase[MOST_PHASES];
    size_t phases, current; /* current NOT_BEGUN: none of them yet */
    bool known;             /* the step at work is the current phase */
    size_t repeated;        /* the phase that every picture has */
    size_t picture, pictures, together;
    const char *step;
    size_t done, total;
    double reached;     /* fraction of the phases: a phase that comes again does not go back */
    double start, last; /* of the first report; of the last one shown */
    bool shown;         /* a bar stands on the terminal */
} p = {.current = NOT_BEGUN, .repeated = NOT_BEGUN, .start = -1};

void nn_cmd_progress_style(const char *name)
{
    p.style = strcmp(name, "lines") == 0  ? AS_LINES
              : strcmp(name, "json") == 0 ? AS_JSON
              : strcmp(name, "bar") == 0  ? AS_BAR
                                          : AS_NOTHING;
}

/* The clock begins with the first thing that is known of the work. */
static void start_clock(void)
{
    if (p.start < 0) p.start = nn_cmd_now();
}

void nn_cmd_progress_expect(const nn_cmd_phase *phases, size_t count)
{
    start_clock();
    p.phases = count < MOST_PHASES ? count : MOST_PHASES;
    memcpy(p.phase, phases, p.phases * sizeof *phases);
    p.current = NOT_BEGUN;
    p.reached = 0;
}

void nn_cmd_progress_picture(size_t picture, size_t pictures, size_t together)
{
    size_t left = pictures >= picture ? pictures - picture + 1 : together;
    p.picture = picture;
    p.pictures = pictures;
    p.together = left < together ? left : together;
    p.repeated = p.phases ? p.phases - 1 : NOT_BEGUN;
    p.done = 0;
}

/* The phase of that step behind the current one, if there is one. Where there is more of a step
 * than was expected, the last phase of it goes on. */
static void enter(const char *step)
{
    size_t next = p.current == NOT_BEGUN ? 0 : p.current + 1;
    while (next < p.phases && strcmp(p.phase[next].step, step) != 0) next++;
    p.known = next < p.phases;
    if (p.known)
        p.current = next;
    else if (p.current != NOT_BEGUN)
        p.known = strcmp(p.phase[p.current].step, step) == 0;
}

/* Units of phase k for all pictures. */
static double units_of(size_t k)
{
    size_t times = k == p.repeated && p.pictures > 1 ? p.pictures : 1;
    return p.phase[k].units * (double)times;
}

/* Of the whole command; of the step where the whole is not known. */
static double fraction(void)
{
    double all = 0, before = 0, here = p.total ? (double)p.done / (double)p.total : 0;
    if (!p.known || (p.current == p.repeated && p.picture && !p.pictures)) return here;
    for (size_t k = 0; k < p.phases; k++) {
        all += units_of(k);
        if (k < p.current) before += units_of(k);
    }
    if (p.current == p.repeated && p.picture)
        here = here * (double)p.together + (double)(p.picture - 1);
    p.reached = fmax(p.reached, fmin(1, (before + here * p.phase[p.current].units) / all));
    return p.reached;
}

/* ---- showing ---- */

static double seconds_left(double f, double elapsed)
{
    return f >= LEAST_FRACTION && elapsed >= LEAST_SECONDS ? elapsed * (1 - f) / f : (double)NAN;
}

/* "picture 3 of 10, layer 2 of 20, sine" */
static void describe(char text[ROOM], const char *detail)
{
    int at = 0;
    text[0] = 0;
    if (p.picture)
        at = snprintf(text, ROOM, p.pictures ? "picture %zu of %zu, " : "picture %zu, ", p.picture,
                      p.pictures);
    if (detail)
        snprintf(text + at, ROOM - (size_t)at, "%s", detail);
    else
        snprintf(text + at, ROOM - (size_t)at, "%s %zu of %zu", p.step, p.done, p.total);
}

/* "1:05" from a minute on. */
static void show_time(char *text, size_t room, double seconds)
{
    if (seconds < 60)
        snprintf(text, room, "%.0f s", seconds);
    else
        snprintf(text, room, "%.0f:%02.0f min", floor(seconds / 60), fmod(floor(seconds), 60));
}

static void show_times(char *text, size_t room, double elapsed, double left)
{
    char a[32], b[32];
    show_time(a, sizeof a, elapsed);
    show_time(b, sizeof b, left);
    if (isfinite(left))
        snprintf(text, room, "%s elapsed, %s remaining", a, b);
    else
        snprintf(text, room, "%s elapsed", a);
}

static size_t screen_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) return size.ws_col - 1u;
    return ROOM;
}

static void show_bar(double f, const char *what, const char *times)
{
    char line[2 * ROOM + BAR + 64], bar[BAR + 1];
    for (int i = 0; i < BAR; i++) bar[i] = i < (int)(f * BAR) ? '#' : '-';
    bar[BAR] = 0;
    snprintf(line, sizeof line, "fhola %s: [%s] %2.0f %%, %s, %s", nn_cmd_running(), bar,
             floor(100 * f), times, what);
    fprintf(stderr, "\r\033[K%.*s", (int)screen_width(), line);
    p.shown = true;
}

static void show_json(double f, const char *what, double elapsed, double left)
{
    fprintf(stderr,
            "{\"command\": \"%s\", \"step\": \"%s\", \"done\": %zu, \"total\": %zu, \"what\": "
            "\"%s\", \"fraction\": %.4f, \"elapsed\": %.1f, \"remaining\": ",
            nn_cmd_running(), p.step, p.done, p.total, what, f, elapsed);
    if (isfinite(left))
        fprintf(stderr, "%.1f}\n", left);
    else
        fprintf(stderr, "null}\n");
}

static void show(const char *detail)
{
    char what[ROOM], times[96];
    double f = fraction(), elapsed = nn_cmd_now() - p.start, left = seconds_left(f, elapsed);
    describe(what, detail);
    show_times(times, sizeof times, elapsed, left);
    if (p.style == AS_BAR)
        show_bar(f, what, times);
    else if (p.style == AS_JSON)
        show_json(f, what, elapsed, left);
    else
        fprintf(stderr, "fhola %s: %.0f %%, %s, %s\n", nn_cmd_running(), floor(100 * f), times,
                what);
    (void)fflush(stderr);
}

void nn_cmd_progress_at(const char *step, size_t done, size_t total, const char *detail)
{
    bool begins = !p.step || strcmp(step, p.step) != 0 || done < p.done || p.done == p.total;
    start_clock();
    if (begins) enter(step);
    p.step = step;
    p.done = done;
    p.total = total;
    if (p.style == AS_NOTHING || (p.style == AS_BAR && !nn_cmd_is_screen(STDERR_FILENO))) return;
    double now = nn_cmd_now();
    if (!begins && done < total && now - p.last < pause_of[p.style]) return;
    p.last = now;
    show(detail);
}

void nn_cmd_progress(void *user, const char *step, size_t done, size_t total)
{
    (void)user;
    nn_cmd_progress_at(step, done, total, NULL);
}

void nn_cmd_progress_end(void)
{
    if (p.shown) fprintf(stderr, "\r\033[K");
    p.shown = false;
}
