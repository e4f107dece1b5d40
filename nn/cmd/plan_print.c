/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/plan_print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/cmd/cmd.h"

/* ---- for people ---- */

static void print_degrees(const nn_cmd_planned *p)
{
    printf("depth %u", nn_plan_depth(p->plan));
    if (p->allowed > nn_plan_depth(p->plan)) printf(" of the %u allowed", p->allowed);
    if (p->sign) {
        printf(", every activation a composition of degrees");
        for (unsigned k = 0; k < p->sign->count; k++) printf(k ? ",%u" : " %u", p->sign->degree[k]);
    } else {
        printf(", degrees");
        for (size_t i = 0; i < nn_plan_count(p->plan); i++)
            printf(" %u", nn_plan_degree(p->plan, i));
    }
    printf("\nheld-out |w|");
    for (size_t i = 0; i < nn_plan_count(p->plan); i++) printf(" %.2f", nn_plan_max_w(p->plan, i));
    printf("\n");
}

static void print_accuracy(const nn_cmd_accuracy *a)
{
    printf("accuracy     ");
    nn_cmd_print_share(nn_cmd_share_of(a->polynomial.right, a->pictures));
    printf(" on %zu held-out pictures; exact network ", a->pictures);
    nn_cmd_print_share(nn_cmd_share_of(a->exact.right, a->pictures));
    printf("\nsame class   ");
    nn_cmd_print_share(nn_cmd_share_of(a->agreeing, a->pictures));
    printf(" as the exact network\n");
}

static void print_cost(const nn_cmd_planned *p)
{
    const char *isa = nn_cost_isa(p->cost);
    printf("predicted    %.2f s a picture on ", p->seconds);
    nn_cmd_show(stdout, nn_cost_machine(p->cost));
    printf(", %s, %u thread%s\n", isa ? isa : "unknown kernel", nn_cost_threads(p->cost),
           nn_cost_threads(p->cost) == 1 ? "" : "s");
}

/* Right-aligned; a dash for what is no number. */
static void print_number(int width, double number)
{
    if (isfinite(number))
        printf("  %*.2f", width, number);
    else
        printf("  %*s", width, "-");
}

static void print_row(const nn_comparison *c, const nn_comparison_row *row)
{
    printf("%-10s  %-26s  %5u", row->group, row->name, row->depth);
    print_number(7, row->seconds);
    print_number(9, row->predicted);
    print_number(8, row->accuracy);
    print_number(6, c->exact_accuracy - row->accuracy);
    printf("  %10zu", row->not_finite);
    print_number(8, row->max_w);
    printf(" ");
    for (size_t i = 0; i < c->activations; i++) printf(" %u", row->degrees[i]);
    printf("\n");
}

static void print_comparison(const nn_comparison *c)
{
    printf("fitted to %zu pictures, measured on %zu; exact network %.2f %%\n", c->calibration,
           c->pictures, c->exact_accuracy);
    printf("%-10s  %-26s  %5s  %7s  %9s  %8s  %6s  %10s  %8s  degrees\n", "varied", "plan", "depth",
           "seconds", "predicted", "accuracy", "loss", "not finite", "max |w|");
    for (size_t k = 0; k < c->count; k++) print_row(c, &c->row[k]);
}

void nn_cmd_plan_print(const nn_cmd_planned *p)
{
    if (p->plan) print_degrees(p);
    if (p->accuracy) print_accuracy(p->accuracy);
    if (p->plan && p->cost && isfinite(p->seconds)) print_cost(p);
    if (p->ablation) print_comparison(p->ablation);
    nn_cmd_report_files(p->files, NN_CMD_PLAN_FILES, false);
}

/* ---- for programs ---- */

static void json_degrees(const unsigned *degrees, size_t count)
{
    for (size_t i = 0; i < count; i++) printf(i ? ", %u" : "%u", degrees[i]);
}

static void json_plan(const nn_cmd_planned *p)
{
    printf("\"depth\": %u, \"allowed_depth\": ", nn_plan_depth(p->plan));
    nn_cmd_json_number(p->allowed ? p->allowed : (double)NAN);
    printf(", \"degrees\": [");
    for (size_t i = 0; i < nn_plan_count(p->plan); i++)
        printf(i ? ", %u" : "%u", nn_plan_degree(p->plan, i));
    printf("], \"composition\": ");
    printf(p->sign ? "[" : "null");
    if (p->sign) json_degrees(p->sign->degree, p->sign->count);
    printf("%s, \"max_w\": [", p->sign ? "]" : "");
    for (size_t i = 0; i < nn_plan_count(p->plan); i++) {
        if (i) printf(", ");
        nn_cmd_json_number(nn_plan_max_w(p->plan, i));
    }
    printf("], ");
}

static void json_accuracy(const nn_cmd_accuracy *a)
{
    printf("\"pictures\": %zu, ", a->pictures);
    nn_cmd_json_share("polynomial_accuracy", nn_cmd_share_of(a->polynomial.right, a->pictures));
    printf(", ");
    nn_cmd_json_share("exact_accuracy", nn_cmd_share_of(a->exact.right, a->pictures));
    printf(", ");
    nn_cmd_json_share("agreement", nn_cmd_share_of(a->agreeing, a->pictures));
    printf(", ");
}

static void json_cost(const nn_cmd_planned *p)
{
    printf("\"seconds\": ");
    nn_cmd_json_number(p->seconds);
    printf(", \"cost\": {\"machine\": ");
    nn_cmd_json_string(nn_cost_machine(p->cost));
    printf(", \"isa\": ");
    if (nn_cost_isa(p->cost))
        nn_cmd_json_string(nn_cost_isa(p->cost));
    else
        printf("null");
    printf(", \"threads\": %u}, ", nn_cost_threads(p->cost));
}

static void json_row(const nn_comparison *c, const nn_comparison_row *row)
{
    printf("{\"varied\": ");
    nn_cmd_json_string(row->group);
    printf(", \"plan\": ");
    nn_cmd_json_string(row->name);
    printf(", \"depth\": %u, \"seconds\": ", row->depth);
    nn_cmd_json_number(row->seconds);
    printf(", \"predicted\": ");
    nn_cmd_json_number(row->predicted);
    printf(", \"accuracy\": ");
    nn_cmd_json_number(row->accuracy);
    printf(", \"not_finite\": %zu, \"max_w\": ", row->not_finite);
    nn_cmd_json_number(row->max_w);
    printf(", \"degrees\": [");
    json_degrees(row->degrees, c->activations);
    printf("]}");
}

static void json_comparison(const nn_comparison *c)
{
    printf("\"ablation\": {\"fitted\": %zu, \"judged\": %zu, \"exact_accuracy\": ", c->calibration,
           c->pictures);
    nn_cmd_json_number(c->exact_accuracy);
    printf(", \"rows\": [");
    for (size_t k = 0; k < c->count; k++) {
        if (k) printf(", ");
        json_row(c, &c->row[k]);
    }
    printf("]}, ");
}

void nn_cmd_plan_json(const nn_cmd_planned *p)
{
    printf("{");
    if (p->plan) json_plan(p);
    if (p->accuracy) json_accuracy(p->accuracy);
    if (p->plan && p->cost) json_cost(p);
    if (p->ablation) json_comparison(p->ablation);
    nn_cmd_json_files(p->files, NN_CMD_PLAN_FILES);
    printf("}\n");
}
