/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/accuracy.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/plan_print.h"
#include "nn/cmd/spec.h"
#include "ola/ola.h"

#define MAX_ACTIVATIONS 400u
#define NO_PARAMS       "none"
/* of the largest degree chosen by default, 31 */
#define MAX_CHOSEN_DEPTH 5u
/* calibration pictures that --ablation and the report's frontier fit to */
#define COMPARED 1000u

typedef struct plan_options {
    const char *model, *profile, *calibration, *held_out, *output, *degrees, *method, *weight,
        *cost, *params, *report, *judge, *composite, *target, *scope, *function, *labels,
        *held_out_labels, *judge_labels;
    double depth, budget, max_loss, count, eps, max_degree, points, compared, judged, alpha,
        margin_inside, margin_output, refine;
    bool ablation, json;
    nn_cmd_metadata metadata;
} plan_options;

static const nn_cmd_option options[] = {
    NN_CMD_OUTPUT("output", 'o', "FILE", plan_options, output, "where the plan goes"),
    NN_CMD_WHOLE("depth", 0, "K", plan_options, depth, 1, 1e4,
                 "total multiplicative depth of all activations"),
    NN_CMD_NUMBER("budget", 0, "SECONDS", plan_options, budget, 1e-3, 1e6,
                  "time of an encrypted picture, by the table of costs"),
    NN_CMD_NUMBER("max-loss", 0, "POINTS", plan_options, max_loss, 1e-3, 100,
                  "the cheapest plan that loses at most so many points of accuracy\non the "
                  "held-out pictures"),
    NN_CMD_TEXT("degrees", 0, "LIST", plan_options, degrees,
                "degrees instead, separated by commas; the last one holds for all that follow"),
    NN_CMD_TEXT("composite", 0, "LIST", plan_options, composite,
                "ReLU everywhere by a composition of minimax polynomials of these odd\ndegrees, "
                "15,15,27 for instance"),
    NN_CMD_NUMBER("alpha", 0, "BITS", plan_options, alpha, 1, 40,
                  "fail unless the composition reaches this precision for ReLU"),
    NN_CMD_WORD(
        "method", 0, "layerwise+|paper|greedy|uniform", plan_options, method,
        "how (default layerwise+; paper: one polynomial per layer, normal weight,\ngradients)"),
    NN_CMD_WORD("weight", 0, "guarded|empirical|normal", plan_options, weight,
                "what fits are weighted with, in place of the method's"),
    NN_CMD_WORD("target", 0, "conditional|plain", plan_options, target,
                "what fits aim at, in place of the method's: the exact network's output,\nor the "
                "function of what arrives"),
    NN_CMD_WORD("scope", 0, "channel|layer", plan_options, scope,
                "a polynomial for each, in place of the method's"),
    NN_CMD_TEXT("function", 0, "F", plan_options, function,
                "the exact network's activation: relu, gelu, silu or a JSON file of "
                "points\n(default: what the model says)"),
    NN_CMD_TEXT(
        "params", 0, "SET", plan_options, params,
        "parameter set that the plan is for, or a file with one: its levels, its\neps, its costs "
        "(default R15; none: for any, by levels)"),
    NN_CMD_WHOLE("max-degree", 0, "N", plan_options, max_degree, 3, 63,
                 "largest degree (default: the largest the parameter set has levels for)"),
    NN_CMD_TEXT("cost", 0, "FILE", plan_options, cost,
                "times of the layers (default: the bundled table)"),
    NN_CMD_TEXT("heldout", 0, "FILE", plan_options, held_out,
                "batch to check ranges on (default: the last fifth of CALIBRATION,\nwhich is then "
                "not fitted to)"),
    NN_CMD_LABELS(plan_options, labels, "CALIBRATION"),
    NN_CMD_TEXT("heldout-labels", 0, "FILE", plan_options, held_out_labels,
                "the same for --heldout"),
    NN_CMD_WHOLE("count", 0, "N", plan_options, count, 1, 1e9,
                 "use the first N records of CALIBRATION"),
    NN_CMD_NUMBER("margin-inside", 0, "X", plan_options, margin_inside, 1, 100,
                  "half-width of intervals over the observed half range, of layers that are\nno "
                  "sum and that one "
                  "layer reads (default 1.3)"),
    NN_CMD_NUMBER("margin-output", 0, "X", plan_options, margin_output, 1, 100,
                  "the same for all other layers (default 1.3)"),
    NN_CMD_WHOLE("refine", 0, "N", plan_options, refine, 0, 1e9,
                 "improve the degrees by exchanges that are fitted and measured on\nN pictures "
                 "(default 0: as the sensitivities say)"),
    NN_CMD_NUMBER(
        "eps", 0, "X", plan_options, eps, 0, 0.25,
        "the bootstrap's sine takes the value w to sin(2 pi X w) (default: the\nparameter set's; "
        "0: no sine)"),
    NN_CMD_OUTPUT("report", 0, "FILE", plan_options, report, "write an HTML page"),
    NN_CMD_WHOLE("points", 0, "N", plan_options, points, 0, 32,
                 "measured points of the report's frontier (default 5, 0: none)"),
    NN_CMD_FLAG("ablation", 0, plan_options, ablation,
                "print what each part of the method is worth at this budget"),
    NN_CMD_TEXT("judge", 0, "FILE", plan_options, judge,
                "pictures that measure report and ablation (default: the held-out ones)"),
    NN_CMD_TEXT("judge-labels", 0, "FILE", plan_options, judge_labels, "their labels"),
    NN_CMD_WHOLE("judged", 0, "N", plan_options, judged, 1, 1e9, "the first N of them"),
    NN_CMD_WHOLE("compared", 0, "N", plan_options, compared, 1, 1e9,
                 "calibration pictures that report and ablation fit to (default 1000)"),
    NN_CMD_FLAG("json", 0, plan_options, json, "print one JSON object"),
    NN_CMD_THREADS,
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_METADATA(plan_options, metadata),
    NN_CMD_END,
};

static bool check_combination(const plan_options *o)
{
    int budgets = (o->depth > 0) + (o->budget > 0) + (o->max_loss > 0) + (o->degrees != NULL) +
                  (o->composite != NULL);
    if (budgets != 1)
        return nn_cmd_wrong_use("plan",
                                "exactly one of --depth, --budget, --max-loss, --degrees and "
                                "--composite is needed, %d are given",
                                budgets) == 0;
    if (o->composite && (o->ablation || o->report))
        return nn_cmd_wrong_use("plan", "--composite goes without --ablation and --report") == 0;
    if (o->alpha > 0 && !o->composite)
        return nn_cmd_wrong_use("plan", "--alpha is the precision of a --composite") == 0;
    if ((o->held_out_labels && !o->held_out) || (o->judge_labels && !o->judge))
        return nn_cmd_wrong_use("plan", "--%s-labels goes with --%s",
                                o->judge_labels && !o->judge ? "judge" : "heldout",
                                o->judge_labels && !o->judge ? "judge" : "heldout") == 0;
    if (!o->output && !o->ablation && !o->report)
        return nn_cmd_wrong_use("plan", "-o PLAN is missing") == 0;
    if (o->ablation && o->depth == 0 && o->budget == 0)
        return nn_cmd_wrong_use("plan",
                                "--ablation compares plans within a --depth or a --budget") == 0;
    return true;
}

static bool read_options(plan_options *o, int argc, char **argv)
{
    *o = (plan_options){.eps = -1,
                        .points = 5,
                        .compared = COMPARED,
                        .method = "layerwise+",
                        .params = NN_CMD_PARAMS};
    if (!nn_cmd_parse(&nn_cmd_plan, o, &argc, argv) || !check_combination(o)) return false;
    o->model = argv[1];
    o->profile = argc == 4 ? argv[2] : NULL;
    o->calibration = argv[argc - 1];
    return true;
}

/* "7,15,7": the last degree is repeated. Ranges are nn_plan_make's to check. */
static bool parse_degrees(unsigned *degrees, const char *list)
{
    unsigned long value = 0;
    for (size_t i = 0; i < MAX_ACTIVATIONS; i++) {
        if (list) {
            char *end;
            value = *list >= '0' && *list <= '9' ? strtoul(list, &end, 10) : 1000;
            if (value > 999 || (*end && *end != ',')) return false;
            list = *end ? end + 1 : NULL;
        }
        degrees[i] = (unsigned)value;
    }
    return list == NULL;
}

/* False, after a message, if the options contradict each other. */
static bool choose_method(nn_plan_options *chosen, const plan_options *o)
{
    static const char *const methods[] = {[NN_METHOD_LAYERWISE] = "layerwise+",
                                          [NN_METHOD_PAPER] = "paper",
                                          [NN_METHOD_GREEDY] = "greedy",
                                          [NN_METHOD_UNIFORM] = "uniform"};
    static const char *const weights[] = {[NN_WEIGHT_GUARDED] = "guarded",
                                          [NN_WEIGHT_EMPIRICAL] = "empirical",
                                          [NN_WEIGHT_NORMAL] = "normal"};
    for (int k = 0; k < 4; k++)
        if (strcmp(o->method, methods[k]) == 0) nn_plan_set_method(chosen, (nn_plan_method)k);
    for (int k = 0; k < 3; k++)
        if (o->weight && strcmp(o->weight, weights[k]) == 0) chosen->weight = (nn_plan_weight)k;
    if (o->scope) chosen->per_layer = strcmp(o->scope, "layer") == 0;
    if (o->target) chosen->plain_target = strcmp(o->target, "plain") == 0;
    if (o->margin_inside > 0) chosen->margin_inside = o->margin_inside;
    if (o->margin_output > 0) chosen->margin_output = o->margin_output;
    if (chosen->exact_inputs && !chosen->plain_target)
        return nn_cmd_wrong_use(
                   "plan",
                   "--method paper fits to the exact network's inputs: its --target is plain") == 0;
    if (o->target && chosen->weight == NN_WEIGHT_NORMAL && !chosen->plain_target)
        return nn_cmd_wrong_use("plan",
                                "--weight normal knows no samples: its --target is plain") == 0;
    return true;
}

/* "15,15,27": the degrees of a composition, for ReLU within 2^-alpha. False after a message,
 * *status set if that was not about usage. */
static bool parse_composite(ola_composite *sign, fhola_status *status, const plan_options *o)
{
    unsigned degree[OLA_MAX_STAGES], count = 0;
    const char *list = o->composite;
    *status = FHOLA_OK;
    while (list && count < OLA_MAX_STAGES) {
        char *end;
        unsigned long value = *list >= '0' && *list <= '9' ? strtoul(list, &end, 10) : 1000;
        if (value > 999 || (*end && *end != ',')) break;
        degree[count++] = (unsigned)value;
        list = *end ? end + 1 : NULL;
    }
    if (list)
        return nn_cmd_wrong_use("plan",
                                "--composite must be 1 to %u degrees separated by commas, not '%s'",
                                OLA_MAX_STAGES, o->composite) == 0;
    *status = ola_composite_relu(sign, degree, count, o->alpha > 0 ? o->alpha : 1);
    return *status == FHOLA_OK;
}

/* ---- the parameter set ---- */

static fhola_status check_levels(const char *what, unsigned degree, unsigned depth,
                                 const plan_options *o, const ckks_params_spec *spec)
{
    if (1 + depth <= spec->residual_levels) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM,
                      "%s %u needs %u residual levels, the parameter set %s has %u: --params names "
                      "another one, or none",
                      what, degree, 1 + depth, o->params, spec->residual_levels);
}

/* What 'fhola compile' would refuse for this set. */
static fhola_status check_against(const nn_plan_options *chosen, const plan_options *o,
                                  const ckks_params_spec *spec)
{
    fhola_status status = FHOLA_OK;
    unsigned depth = 1;
    if (spec->eval_mod_levels == 0)
        return fhola_fail(FHOLA_PARAM, "the parameter set %s cannot bootstrap", o->params);
    if (fabs(chosen->eps - spec->eps) > 1e-12)
        return fhola_fail(
            FHOLA_PARAM, "eps %g: the parameter set %s has %g: --params names another one, or none",
            chosen->eps, o->params, spec->eps);
    for (unsigned k = 0; chosen->sign && k < chosen->sign->count; k++)
        depth += ola_depth(chosen->sign->degree[k]);
    if (chosen->sign) return check_levels("a composition of depth", depth, depth, o, spec);
    for (size_t i = 0; chosen->degrees && i < MAX_ACTIVATIONS && status == FHOLA_OK; i++)
        status = check_levels("degree", chosen->degrees[i], ola_depth(chosen->degrees[i]), o, spec);
    if (status == FHOLA_OK && !chosen->degrees)
        status = check_levels("--max-degree", chosen->max_degree, ola_depth(chosen->max_degree), o,
                              spec);
    return status;
}

/* A set that cannot be had is refused here, not after minutes. */
static fhola_status find_set(ckks_params_spec *spec, const char *name)
{
    ckks_params *params = NULL;
    FHOLA_TRY(nn_cmd_params_find(&params, name));
    *spec = *ckks_params_get_spec(params);
    ckks_params_destroy(params);
    return FHOLA_OK;
}

/* Sets eps and the largest degree, so that what is planned for a set can be compiled for it. */
static fhola_status choose_for_set(nn_plan_options *chosen, const plan_options *o)
{
    ckks_params_spec spec = {.eps = chosen->eps, .residual_levels = 1 + MAX_CHOSEN_DEPTH};
    bool any = strcmp(o->params, NO_PARAMS) == 0;
    if (!any) FHOLA_TRY(find_set(&spec, o->params));
    unsigned depth =
        spec.residual_levels < 1 + MAX_CHOSEN_DEPTH ? spec.residual_levels - 1 : MAX_CHOSEN_DEPTH;
    chosen->params = any ? NULL : o->params;
    chosen->eps = o->eps >= 0 ? o->eps : spec.eps;
    chosen->max_degree = o->max_degree > 0 ? (unsigned)o->max_degree : (1u << depth) - 1;
    return any ? FHOLA_OK : check_against(chosen, o, &spec);
}

typedef struct plan_work {
    nn_model *model;
    nn_profile *profile;
    nn_cost *cost;
    nn_batch *pictures; /* whole, of which the others may be parts */
    nn_batch *calibration, *held_out, *compared, *judged;
    nn_plan *plan;
    nn_comparison *ablation, *frontier;
    nn_plan_options options;
    ola_composite sign;
    const char *const *words; /* of the command line */
    int64_t date;
    nn_cmd_accuracy accuracy;
    bool measured;
} plan_work;

/* Without a held-out file the last fifth of the calibration records is held out. */
static fhola_status load_pictures(plan_work *w, const plan_options *o)
{
    fhola_status status =
        nn_cmd_load_batch(&w->pictures, w->model, o->calibration, o->labels, 0, o->count);
    if (status == FHOLA_OK && o->held_out)
        status = nn_cmd_load_batch(&w->held_out, w->model, o->held_out, o->held_out_labels, 0, 0);
    if (status != FHOLA_OK) return status;
    size_t count = nn_batch_count(w->pictures), held = o->held_out ? 0 : count / 5;
    status = nn_batch_part(&w->calibration, w->pictures, 0, count - held);
    if (status == FHOLA_OK && held)
        status = nn_batch_part(&w->held_out, w->pictures, count - held, held);
    return status;
}

/* Comparisons need many fits, so they are made on fewer pictures. */
static fhola_status load_compared(plan_work *w, const plan_options *o)
{
    size_t count = nn_batch_count(w->calibration);
    if (o->compared < (double)count) count = (size_t)o->compared;
    fhola_status status = nn_batch_part(&w->compared, w->calibration, 0, count);
    if (status == FHOLA_OK && o->judge)
        status = nn_cmd_load_batch(&w->judged, w->model, o->judge, o->judge_labels, 0, o->judged);
    if (status == FHOLA_OK && !o->judge && !w->held_out)
        status = nn_batch_part(&w->judged, w->calibration, 0, count);
    return status;
}

static bool cost_knows(const nn_cost *cost, const char *params)
{
    for (size_t k = 0; params && k < nn_cost_sets(cost); k++)
        if (strcmp(nn_cost_params(cost, k), params) == 0) return true;
    return false;
}

/* Where the table knows nothing of the parameter set, levels count instead: all but a budget of
 * seconds can do without. */
static fhola_status load_cost(plan_work *w, const plan_options *o)
{
    char path[NN_CMD_PATH_ROOM];
    nn_cmd_bundled(path, sizeof path, "models", "cost", ".json");
    fhola_status status = nn_cmd_check_input(path);
    if (status == FHOLA_OK) status = nn_cmd_load_cost(&w->cost, o->cost ? o->cost : path);
    if (status != FHOLA_OK) return status;
    if (cost_knows(w->cost, w->options.params))
        w->options.cost = w->cost;
    else if (o->budget > 0)
        return fhola_fail(FHOLA_PARAM,
                          "a budget of %g seconds needs the costs of the parameter set %s, which "
                          "the table lacks: 'fhola bench --calibrate' measures them",
                          o->budget, o->params);
    return FHOLA_OK;
}

/* ---- how long it takes ---- */

/* What is found on the way decides how often these come: numbers that were usual with ResNet-20. */
#define USUAL_TRIES  4 /* plans fitted for --max-loss */
#define USUAL_ROUNDS 3 /* of --refine */

#define FIT      5.5 /* of a network, a picture, in the units of nn_cmd_profile_phases */
#define EVALUATE 1.2
#define ROUND    8 /* fits of the whole network in a round, beside those of each activation */

typedef struct phases {
    nn_cmd_phase phase[NN_CMD_PROFILE_PHASES + USUAL_TRIES + USUAL_ROUNDS + 5];
    size_t count;
} phases;

static void expect(phases *p, size_t times, const char *step, double units)
{
    for (size_t k = 0; k < times; k++) p->phase[p->count++] = (nn_cmd_phase){step, units};
}

static double pictures_in(const nn_batch *batch)
{
    return batch ? (double)nn_batch_count(batch) : 0;
}

/* A round fits every activation twice, with all that follow, which is half of the network. */
static double units_of_round(const plan_work *w)
{
    nn_model_info info;
    double limit = (double)w->options.refine_pictures,
           fitted = fmin(limit, pictures_in(w->calibration)),
           judged = fmin(limit, pictures_in(w->held_out ? w->held_out : w->calibration));
    nn_model_describe(w->model, &info);
    return ((double)info.activations + ROUND) * (FIT * fitted + EVALUATE * judged);
}

/* Rows of plans beside each other, as nn_compare_ablation and nn_compare_frontier make them: of the
 * first four have degrees of their own, of the second all. */
static void expect_comparisons(phases *p, const plan_work *w, const plan_options *o)
{
    double judged = pictures_in(w->judged ? w->judged : w->held_out),
           row = FIT * pictures_in(w->compared) + EVALUATE * judged,
           refined = row + USUAL_ROUNDS * units_of_round(w);
    if (o->ablation) expect(p, 1, "plans", 6 * row + 4 * refined + judged);
    if (o->report && o->points >= 2) expect(p, 1, "plans", o->points * refined + judged);
}

static void expect_phases(const plan_work *w, const plan_options *o)
{
    phases p = {.count = 0};
    bool chooses = !o->degrees && !o->composite;
    double held = pictures_in(w->held_out), fit = FIT * pictures_in(w->calibration);
    if (!w->profile && (chooses || o->report)) {
        nn_cmd_profile_phases(p.phase, nn_batch_count(w->calibration), &w->options);
        p.count = NN_CMD_PROFILE_PHASES;
    }
    if (o->refine > 0 && (o->output || o->report))
        expect(&p, USUAL_ROUNDS, "degrees", units_of_round(w));
    if (o->output || o->report)
        expect(&p, o->max_loss > 0 ? USUAL_TRIES : 1, "fit",
               o->max_loss > 0 ? fit + EVALUATE * held : fit);
    expect_comparisons(&p, w, o);
    if (held > 0 && (o->output || o->report)) {
        expect(&p, 1, "pictures", held);
        expect(&p, 1, "pictures", EVALUATE * held);
    }
    nn_cmd_progress_expect(p.phase, p.count);
}

static fhola_status load(plan_work *w, const plan_options *o)
{
    fhola_status status = nn_cmd_check_output(o->output);
    if (status == FHOLA_OK) status = nn_cmd_check_output(o->report);
    if (status == FHOLA_OK && o->report) status = nn_cmd_report_date(&w->date);
    if (status == FHOLA_OK) status = nn_cmd_find_model(&w->model, o->model, &o->metadata);
    if (status == FHOLA_OK && o->function) status = nn_cmd_set_function(w->model, o->function);
    if (status == FHOLA_OK) status = load_cost(w, o);
    if (status == FHOLA_OK && o->profile)
        status = nn_cmd_load_profile(&w->profile, o->profile, w->model);
    if (status == FHOLA_OK) status = load_pictures(w, o);
    if (status == FHOLA_OK && (o->report || o->max_loss > 0) && !w->held_out)
        status = fhola_fail(FHOLA_PARAM, "%s has too few records to hold some out: add --heldout",
                            o->calibration);
    if (status == FHOLA_OK && (o->ablation || o->report)) status = load_compared(w, o);
    if (status == FHOLA_OK) expect_phases(w, o);
    if (status == FHOLA_OK && !w->profile && ((!o->degrees && !o->composite) || o->report))
        status = nn_profile_make(&w->profile, w->model, w->calibration, &w->options,
                                 nn_cmd_progress, NULL);
    w->options.profile = w->profile;
    return status;
}

static fhola_status compare(plan_work *w, const plan_options *o)
{
    fhola_status status = FHOLA_OK;
    const nn_batch *judged = w->judged ? w->judged : w->held_out;
    if (o->ablation)
        status = nn_compare_ablation(&w->ablation, w->model, w->compared, w->held_out, judged,
                                     &w->options, nn_cmd_progress, NULL);
    if (status == FHOLA_OK && o->report && o->points >= 2)
        status = nn_compare_frontier(&w->frontier, w->model, w->compared, w->held_out, judged,
                                     &w->options, (size_t)o->points, nn_cmd_progress, NULL);
    return status;
}

/* Whether the table speaks of this machine, as far as it says. */
static void warn_of_cost(const nn_cost *cost)
{
    const char *isa = nn_cost_isa(cost), *kernel = nn_cmd_kernel();
    if (isa && kernel && strcmp(isa, kernel) == 0 && nn_cost_threads(cost) == nn_cmd_threads())
        return;
    nn_cmd_note(
        "the table of costs is of %s, %s, %u threads; here they are %s and %u: 'fhola bench "
        "--calibrate' measures this machine",
        nn_cost_machine(cost), isa ? isa : "an unknown kernel", nn_cost_threads(cost),
        kernel ? kernel : "none", nn_cmd_threads());
}

/* ---- what is printed ---- */

static fhola_status measure(plan_work *w, const nn_plan *plan)
{
    if (!plan || !w->held_out) return FHOLA_OK;
    FHOLA_TRY(nn_cmd_accuracy_measure(&w->accuracy, w->model, plan, w->held_out, 0));
    w->measured = true;
    return FHOLA_OK;
}

static fhola_status print(const plan_work *w, const plan_options *o)
{
    nn_cmd_planned planned = {.plan = w->plan,
                              .sign = w->options.sign,
                              .allowed = (unsigned)o->depth,
                              .accuracy = w->measured ? &w->accuracy : NULL,
                              .cost = w->options.cost,
                              .ablation = w->ablation,
                              .files = {{o->output, "the plan, for 'fhola compile'"},
                                        {o->report, "the report, for a browser"}}};
    if (w->plan && w->options.cost) {
        FHOLA_TRY(nn_plan_seconds(&planned.seconds, w->plan, w->model, w->options.cost, o->params));
        warn_of_cost(w->options.cost);
    }
    (o->json ? nn_cmd_plan_json : nn_cmd_plan_print)(&planned);
    return FHOLA_OK;
}

/* ---- all of it ---- */

static fhola_status save_report(const plan_work *w, const plan_options *o)
{
    nn_report report = {.model = w->model,
                        .plan = w->plan,
                        .options = &w->options,
                        .held_out = w->held_out,
                        .frontier = w->frontier,
                        .ablation = w->ablation,
                        .command = w->words,
                        .date = w->date};
    if (w->options.params) FHOLA_TRY(nn_cmd_report_size(&report, w->options.params));
    return nn_report_save(o->report, &report);
}

static fhola_status make(plan_work *w, const plan_options *o)
{
    bool needs_plan = o->output || o->report;
    fhola_status status = load(w, o);
    if (status == FHOLA_OK && needs_plan)
        status = nn_plan_make(&w->plan, w->model, w->calibration, w->held_out, &w->options,
                              nn_cmd_progress, NULL);
    if (status == FHOLA_OK && o->output) status = nn_plan_save(w->plan, o->output);
    if (status == FHOLA_OK && (o->ablation || o->report)) status = compare(w, o);
    if (status == FHOLA_OK && o->report) status = save_report(w, o);
    if (status == FHOLA_OK) status = measure(w, w->plan);
    nn_cmd_progress_end();
    return status == FHOLA_OK ? print(w, o) : status;
}

static void release(plan_work *w)
{
    nn_cmd_accuracy_clear(&w->accuracy);
    nn_comparison_free(w->frontier);
    nn_comparison_free(w->ablation);
    nn_plan_free(w->plan);
    nn_batch_free(w->judged);
    nn_batch_free(w->compared);
    nn_batch_free(w->held_out);
    nn_batch_free(w->calibration);
    nn_batch_free(w->pictures);
    nn_cost_free(w->cost);
    nn_profile_free(w->profile);
    nn_model_free(w->model);
}

static int execute(int argc, char **argv, const char *const *words)
{
    plan_options o;
    unsigned degrees[MAX_ACTIVATIONS];
    plan_work w;
    memset(&w, 0, sizeof w);
    w.words = words;
    if (!read_options(&o, argc, argv)) return NN_CMD_WRONG_USE;
    if (o.degrees && !parse_degrees(degrees, o.degrees))
        return nn_cmd_wrong_use("plan", "--degrees must be numbers separated by commas, not '%s'",
                                o.degrees);
    nn_plan_defaults(&w.options);
    if (!choose_method(&w.options, &o)) return NN_CMD_WRONG_USE;
    w.options.depth = (unsigned)o.depth;
    w.options.seconds = o.budget;
    w.options.max_loss = o.max_loss;
    w.options.degrees = o.degrees ? degrees : NULL;
    w.options.refine_pictures = (size_t)o.refine;
    fhola_status status = FHOLA_OK;
    if (o.composite && !parse_composite(&w.sign, &status, &o))
        return status == FHOLA_OK ? NN_CMD_WRONG_USE : nn_cmd_finish("plan", status);
    w.options.sign = o.composite ? &w.sign : NULL;
    status = choose_for_set(&w.options, &o);
    if (status == FHOLA_OK && o.composite && !o.json)
        printf("composition: ReLU within 2^%.2f of the half-width, sign within 2^%.2f from 2^%.2f "
               "on\n",
               log2(w.sign.relu_error), log2(w.sign.error), log2(w.sign.delta));
    if (status == FHOLA_OK) status = make(&w, &o);
    release(&w);
    return nn_cmd_finish("plan", status);
}

/* Reading options moves operands about in argv, so the words are kept before. */
static int run(int argc, char **argv)
{
    const char **words = calloc((size_t)argc + 1, sizeof *words);
    if (!words) return nn_cmd_finish("plan", fhola_fail(FHOLA_NOMEM, "no memory for words"));
    for (int k = 0; k < argc; k++) words[k] = argv[k];
    int code = execute(argc, argv, words);
    free(words);
    return code;
}

const nn_cmd_command nn_cmd_plan = {
    .name = "plan",
    .run = run,
    .usage = "MODEL [PROFILE] CALIBRATION --depth K|--budget SECONDS|--max-loss POINTS|--composite "
             "LIST|--degrees LIST -o PLAN",
    .purpose = "choose a degree for every activation and fit its polynomials",
    .options = options,
    .least = 2,
    .most = 3,
    .operands = "a model, perhaps a profile, and calibration pictures",
    .notes = "PROFILE, from 'fhola profile', saves measuring it again. CALIBRATION "
             "holds\n" NN_CMD_RECORDS,
    .examples =
        "fhola plan resnet20 data_batch_1.bin --depth 64 -o resnet20.plan\n"
        "fhola plan resnet20 resnet20.profile data_batch_1.bin --budget 3.1 -o resnet20.plan "
        "--report plan.html\n"
        "fhola plan net.onnx pictures --depth 20 -o net.plan",
};
