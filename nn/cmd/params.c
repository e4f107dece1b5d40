/* SPDX-License-Identifier: Apache-2.0 */
/* fhola params: the parameter sets, prime by prime, with what their security rests on. */
#include <stdio.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/spec.h"

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

static void print_text(const char *name, const ckks_params *p)
{
    unsigned log_n = ckks_params_get_spec(p)->log_n,
             primes = ckks_params_chain(p) + ckks_params_special(p);
    ckks_basis q = ckks_basis_chain(p), s = ckks_basis_special(p);
    nn_cmd_show(stdout, name);
    printf(": N = 2^%u, 2^%u slots, %u + %u primes\n", log_n, log_n - 1, ckks_params_chain(p),
           ckks_params_special(p));
    for (unsigned i = 0; i < primes; i++) {
        printf("  %2u  %18llu  2^%-7.3f %s", i, (unsigned long long)ckks_params_prime(p, i),
               ckks_params_log2(p, one(i)), ckks_params_role(p, i));
        if (!(s & one(i))) printf(", digit %u", digit_of(p, i));
        if (ckks_basis_partner(p, one(i))) printf(", one limb with %u", partner_of(p, i));
        printf("\n");
    }
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
               ckks_params_get_spec(p)->hamming_weight, ckks_params_log2_ephemeral(p),
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
    printf("\"digits\": %u, \"log2_ephemeral\": %.4f, \"log2_ephemeral_cap\": %.0f, "
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

static fhola_status print_set(const char *name, int json)
{
    ckks_params *params = NULL;
    fhola_status status = ckks_params_named(&params, name);
    if (status != FHOLA_OK) return status;
    if (json)
        print_json(name, params);
    else
        print_text(name, params);
    ckks_params_destroy(params);
    return FHOLA_OK;
}

static fhola_status print_all(int json)
{
    fhola_status status = FHOLA_OK;
    if (json) printf("[");
    for (size_t i = 0; status == FHOLA_OK && ckks_params_name(i); i++) {
        if (i) printf(json ? ",\n " : "\n");
        status = print_set(ckks_params_name(i), json);
    }
    if (json) printf("]\n");
    return status;
}

/* Checks a set of somebody else's: prints it with the verdict. Refused sets fail, and the message
 * says which bound they miss. */
static fhola_status check_file(const char *path, bool json)
{
    ckks_params_spec spec;
    ckks_params *params = NULL;
    fhola_status status = nn_cmd_spec_read(&spec, path);
    if (status == FHOLA_OK) status = ckks_params_create(&params, &spec);
    if (status != FHOLA_OK) return status;
    if (json) {
        print_json(path, params);
        printf("\n");
    } else {
        ckks_basis all = ckks_basis_chain(params) | ckks_basis_special(params);
        print_text(path, params);
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
    fhola_status status = ckks_params_spec_named(&spec, name);
    if (status == FHOLA_OK) nn_cmd_spec_print(&spec);
    return status;
}

static fhola_status print_sets(const char *name, bool json)
{
    fhola_status status = name ? print_set(name, json) : print_all(json);
    if (status == FHOLA_OK && name && json) printf("\n");
    return status;
}

typedef struct params_options {
    const char *check;
    bool json, spec;
} params_options;

static const nn_cmd_option options[] = {
    NN_CMD_FLAG("json", 0, params_options, json,
                "print JSON: a list, or one object for a single set"),
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
    fhola_status status = o.check  ? check_file(o.check, o.json)
                          : o.spec ? print_spec(name)
                                   : print_sets(name, o.json);
    return nn_cmd_finish("params", status);
}

const nn_cmd_command nn_cmd_params = {
    .name = "params",
    .run = run,
    .usage = "[SET]",
    .purpose = "print the parameter sets: primes, digits, security",
    .options = options,
    .least = 0,
    .most = 1,
    .operands = "at most one parameter set",
    .examples = "fhola params\n"
                "fhola params R15 --json\n"
                "fhola params R16 --spec > my.params\n"
                "fhola params --check my.params",
};
