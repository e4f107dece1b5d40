/* SPDX-License-Identifier: Apache-2.0 */
/* fhola params: what the parameter sets are for, their security, their primes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/spec.h"

#define NETWORK "resnet20" /* whose pictures are an example of the time */

typedef struct params_options {
    const char *check;
    bool json, spec, primes;
} params_options;

static ckks_basis one(unsigned prime)
{
    return (ckks_basis)1 << prime;
}

/* Digit of a chain prime; the number of digits for a special prime. */
static unsigned digit_of(const ckks_params *p, unsigned prime)
{
    unsigned d = 0;
    while (d < ckks_params_digits(p) && !(ckks_params_digit(p, d) & one(prime))) d++;
    return d;
}

/* The neighbour with which a prime shares a limb. */
static unsigned partner_of(const ckks_params *p, unsigned prime)
{
    return ckks_basis_partner(p, one(prime)) > one(prime) ? prime + 1 : prime - 1;
}

/* ---- overview ---- */

/* What is known of a set by its name. The precision is that of a bootstrap in bench/RESULTS.md: its
 * error (RMS) is so many bits below the range. */
static const struct known {
    const char *name, *purpose;
    double bits;
} known[] = {
    {"R15", "networks with polynomials up to degree 15: the default", 12.4},
    {"R15-28", "the same, a limb for each prime: slower, more precise", 14.1},
    {"R15-A3", "three digits: what R15-28 was chosen against", (double)NAN},
    {"R15-A2", "two levels to the slots: another one", (double)NAN},
    {"R15-B", "larger primes, four special ones: another one", (double)NAN},
    {"R16", "compositions of polynomials, deep activations", 21.6},
    {"R16-6", "polynomials up to degree 31", 12.7},
};

static struct known look_up(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0) return known[i];
    return (struct known){name, "", (double)NAN};
}

/* Bytes of an evaluation key on all primes, as files have it: a polynomial for each digit, as the
 * other halves are made of seeds. */
static double key_bytes(const ckks_params *p)
{
    double bits = 0;
    for (unsigned i = 0; i < ckks_params_chain(p) + ckks_params_special(p); i++) {
        ckks_basis limb = one(i) | ckks_basis_partner(p, one(i));
        if (limb < 2 * one(i)) bits += ceil(ckks_params_log2(p, limb));
    }
    return bits * ckks_params_digits(p) * exp2(ckks_params_get_spec(p)->log_n) / 8;
}

static unsigned largest_degree(const ckks_params *p)
{
    unsigned levels = ckks_params_get_spec(p)->residual_levels;
    return levels < 2 ? 0 : levels > 6 ? 63 : (1u << (levels - 1)) - 1;
}

/* What predicts the time of a picture: the bundled network, plan and table of costs. */
typedef struct predictor {
    nn_cmd_network network;
    nn_cost *cost;
} predictor;

static fhola_status open_predictor(predictor *p)
{
    char path[NN_CMD_PATH_ROOM];
    nn_cmd_bundled(path, sizeof path, "models", "cost", ".json");
    FHOLA_TRY(nn_cmd_find_network(&p->network, NETWORK, NULL, NULL));
    return nn_cmd_load_cost(&p->cost, path);
}

static void close_predictor(predictor *p)
{
    nn_cmd_network_clear(&p->network);
    nn_cost_free(p->cost);
}

/* NaN: the table of costs does not know the set. */
static fhola_status predict(double *seconds, const predictor *p, const char *set)
{
    *seconds = (double)NAN;
    for (size_t k = 0; k < nn_cost_sets(p->cost); k++)
        if (strcmp(nn_cost_params(p->cost, k), set) == 0)
            return nn_plan_seconds(seconds, p->network.plan, p->network.model, p->cost, set);
    return FHOLA_OK;
}

/* Right-aligned, with its unit; a dash for what is not known. */
static void print_figure(int width, double figure, const char *unit)
{
    if (isfinite(figure))
        printf(" %*.1f%s", width - (int)strlen(unit), figure, unit);
    else
        printf(" %*s", width, "-");
}

static void print_row(const char *name, const ckks_params *p, double seconds)
{
    const ckks_params_spec *spec = ckks_params_get_spec(p);
    struct known k = look_up(name);
    printf("%-8s  2^%-3u %6u %7u", name, spec->log_n - 1, spec->residual_levels, largest_degree(p));
    print_figure(10, k.bits, " bits");
    print_figure(8, key_bytes(p) / 1e6, " MB");
    print_figure(9, seconds, " s");
    printf("  %s\n", k.purpose);
}

static fhola_status print_rows(const predictor *p)
{
    printf("%-8s  %-5s %6s %7s %10s %8s %9s  for\n", "set", "slots", "levels", "degree",
           "precision", "key", NETWORK);
    for (size_t i = 0; ckks_params_name(i); i++) {
        const char *name = ckks_params_name(i);
        ckks_params *params = NULL;
        double seconds;
        FHOLA_TRY(predict(&seconds, p, name));
        FHOLA_TRY(ckks_params_named(&params, name));
        print_row(name, params, seconds);
        ckks_params_destroy(params);
    }
    return FHOLA_OK;
}

static fhola_status print_overview(void)
{
    predictor p = {.cost = NULL};
    fhola_status status = open_predictor(&p);
    if (status == FHOLA_OK) status = print_rows(&p);
    if (status == FHOLA_OK) {
        printf("\nAll are 128-bit secure. levels: between bootstraps, one of them for the "
               "convolution; degree: of the largest\npolynomial they allow; precision: of a "
               "bootstrap; key: an evaluation key on all primes, at most;\n" NETWORK
               ": seconds a picture on ");
        nn_cmd_show(stdout, nn_cost_machine(p.cost));
        printf(", %u threads.\n'fhola params SET' says more of one, --primes what it is made of.\n",
               nn_cost_threads(p.cost));
    }
    close_predictor(&p);
    return status;
}

/* ---- one set ---- */

static void print_primes(const ckks_params *p)
{
    unsigned primes = ckks_params_chain(p) + ckks_params_special(p);
    ckks_basis s = ckks_basis_special(p);
    for (unsigned i = 0; i < primes; i++) {
        printf("  %2u  %18llu  2^%-7.3f %s", i, (unsigned long long)ckks_params_prime(p, i),
               ckks_params_log2(p, one(i)), ckks_params_role(p, i));
        if (!(s & one(i))) printf(", digit %u", digit_of(p, i));
        if (ckks_basis_partner(p, one(i))) printf(", one limb with %u", partner_of(p, i));
        printf("\n");
    }
}

static void print_text(const char *name, const ckks_params *p, bool primes)
{
    const ckks_params_spec *spec = ckks_params_get_spec(p);
    ckks_basis q = ckks_basis_chain(p), s = ckks_basis_special(p);
    nn_cmd_show(stdout, name);
    printf(": N = 2^%u, 2^%u slots, %u + %u primes\n", spec->log_n, spec->log_n - 1,
           ckks_params_chain(p), ckks_params_special(p));
    if (*look_up(name).purpose) printf("  for %s\n", look_up(name).purpose);
    if (primes) print_primes(p);
    printf("  %u levels between bootstraps: polynomials up to degree %u\n", spec->residual_levels,
           largest_degree(p));
    printf("  an evaluation key on all primes has %.1f MB\n", key_bytes(p) / 1e6);
    printf("  log2(Q) = %.2f\n", ckks_params_log2(p, q));
    printf("  log2(P) = %.2f\n", ckks_params_log2(p, s));
    printf("  log2(QP) = %.2f, at most %.0f for 128-bit security with a uniform ternary secret\n",
           ckks_params_log2(p, q | s), ckks_params_log2_cap(p));
    printf("  %u key-switching digits of", ckks_params_digits(p));
    for (unsigned d = 0; d < ckks_params_digits(p); d++)
        printf("%s %.2f", d ? "," : "", ckks_params_log2(p, ckks_params_digit(p, d)));
    printf(" bits\n");
    if (ckks_params_log2_ephemeral(p) > 0)
        printf("  the ephemeral secret of Hamming weight %u has keys at %.2f bits, at most %.0f\n",
               spec->hamming_weight, ckks_params_log2_ephemeral(p),
               ckks_params_log2_ephemeral_cap(p));
}

static void print_json(const char *name, const ckks_params *p)
{
    unsigned primes = ckks_params_chain(p) + ckks_params_special(p);
    ckks_basis q = ckks_basis_chain(p), s = ckks_basis_special(p);
    printf("{\"name\": ");
    nn_cmd_json_string(name);
    printf(", \"log_n\": %u, \"log2_q\": %.4f, \"log2_p\": %.4f, \"log2_qp\": "
           "%.4f, \"log2_qp_cap\": %.0f, ",
           ckks_params_get_spec(p)->log_n, ckks_params_log2(p, q), ckks_params_log2(p, s),
           ckks_params_log2(p, q | s), ckks_params_log2_cap(p));
    printf("\"slots\": %.0f, \"levels\": %u, \"largest_degree\": %u, \"key_bytes\": %.0f, "
           "\"precision_bits\": ",
           exp2(ckks_params_get_spec(p)->log_n - 1), ckks_params_get_spec(p)->residual_levels,
           largest_degree(p), key_bytes(p));
    nn_cmd_json_number(look_up(name).bits);
    printf(", \"digits\": %u, \"log2_ephemeral\": %.4f, \"log2_ephemeral_cap\": %.0f, "
           "\"hamming_weight\": %u, \"primes\": [",
           ckks_params_digits(p), ckks_params_log2_ephemeral(p), ckks_params_log2_ephemeral_cap(p),
           ckks_params_get_spec(p)->hamming_weight);
    for (unsigned i = 0; i < primes; i++) {
        printf("%s{\"prime\": %llu, \"log2\": %.4f, \"role\": \"%s\"", i ? ", " : "",
               (unsigned long long)ckks_params_prime(p, i), ckks_params_log2(p, one(i)),
               ckks_params_role(p, i));
        if (!(s & one(i))) printf(", \"digit\": %u", digit_of(p, i));
        if (ckks_basis_partner(p, one(i))) printf(", \"limb_with\": %u", partner_of(p, i));
        printf("}");
    }
    printf("]}");
}

static fhola_status print_set(const char *name, const params_options *o)
{
    ckks_params *params = NULL;
    fhola_status status = nn_cmd_params_find(&params, name);
    if (status != FHOLA_OK) return status;
    if (o->json)
        print_json(name, params);
    else
        print_text(name, params, o->primes);
    ckks_params_destroy(params);
    return FHOLA_OK;
}

static fhola_status print_all(const params_options *o)
{
    fhola_status status = FHOLA_OK;
    if (o->json) printf("[");
    for (size_t i = 0; status == FHOLA_OK && ckks_params_name(i); i++) {
        if (i) printf(o->json ? ",\n " : "\n");
        status = print_set(ckks_params_name(i), o);
    }
    if (o->json) printf("]\n");
    return status;
}

/* Checks a set of somebody else's: prints it with the verdict. Refused sets fail, and the message
 * says which bound they miss. */
static fhola_status check_file(const char *path, const params_options *o)
{
    ckks_params_spec spec;
    ckks_params *params = NULL;
    fhola_status status = nn_cmd_spec_read(&spec, path);
    if (status == FHOLA_OK) status = ckks_params_create(&params, &spec);
    if (status != FHOLA_OK) return status;
    if (o->json) {
        print_json(path, params);
        printf("\n");
    } else {
        ckks_basis all = ckks_basis_chain(params) | ckks_basis_special(params);
        print_text(path, params, o->primes);
        printf("accepted: log2(QP) is %.2f below the bound",
               ckks_params_log2_cap(params) - ckks_params_log2(params, all));
        if (spec.eval_mod_levels)
            printf(", the ephemeral secret's modulus %.2f below its own",
                   ckks_params_log2_ephemeral_cap(params) - ckks_params_log2_ephemeral(params));
        printf("\n");
    }
    ckks_params_destroy(params);
    return FHOLA_OK;
}

static fhola_status print_spec(const char *name)
{
    ckks_params_spec spec;
    fhola_status status = nn_cmd_spec_find(&spec, name);
    if (status == FHOLA_OK) nn_cmd_spec_print(&spec);
    return status;
}

static fhola_status print_sets(const char *name, const params_options *o)
{
    if (!name) return o->json || o->primes ? print_all(o) : print_overview();
    fhola_status status = print_set(name, o);
    if (status == FHOLA_OK && o->json) printf("\n");
    return status;
}

static const nn_cmd_option options[] = {
    NN_CMD_FLAG("json", 0, params_options, json,
                "print JSON: a list, or one object for a single set"),
    NN_CMD_FLAG("primes", 0, params_options, primes, "show every prime with its role"),
    NN_CMD_FLAG("spec", 0, params_options, spec, "print the specification of SET, to be varied"),
    NN_CMD_TEXT("check", 0, "FILE", params_options, check,
                "say whether the set specified in FILE can be had and is secure, and\nprint it; "
                "fails if not"),
    NN_CMD_END,
};

static int run(int argc, char **argv)
{
    params_options o = {0};
    if (!nn_cmd_parse(&nn_cmd_params, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    const char *name = argc > 1 ? argv[1] : NULL;
    if (o.check && (name || o.spec))
        return nn_cmd_wrong_use("params", "--check FILE goes without a set and without --spec");
    if (o.spec && (!name || o.json))
        return nn_cmd_wrong_use("params", "--spec goes with a set, and without --json");
    fhola_status status = o.check  ? check_file(o.check, &o)
                          : o.spec ? print_spec(name)
                                   : print_sets(name, &o);
    return nn_cmd_finish("params", status);
}

const nn_cmd_command nn_cmd_params = {
    .name = "params",
    .run = run,
    .usage = "[SET]",
    .purpose = "say what the parameter sets are for, and what their security rests on",
    .options = options,
    .least = 0,
    .most = 1,
    .operands = "at most one parameter set",
    .notes = "SET may be a file, as for --check: the other commands' --params takes it, too.",
    .examples = "fhola params\n"
                "fhola params R15 --primes\n"
                "fhola params R15 --json\n"
                "fhola params R16 --spec > my.params\n"
                "fhola params --check my.params",
};
