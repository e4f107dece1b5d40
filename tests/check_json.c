/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/base/json.h"

#include <locale.h>

#include "check_nn_support.h"

static nn_json *parse(const char *text)
{
    nn_json *value = NULL;
    succeed(nn_json_parse(&value, text, strlen(text), "text"));
    return value;
}

START_TEST(reads_every_kind)
{
    nn_json *v = parse(" {\"a\": [1, -2.5e-3, true, false, null, \"x\\u00e9\\ud83d\\ude00\\n\"], "
                       "\"b\": {}, \"c\" : []}\n");
    const nn_json *a = nn_json_get(v, "a"), *at = a->child;
    ck_assert_int_eq(v->type, NN_JSON_OBJECT);
    ck_assert_uint_eq(v->count, 3);
    ck_assert_uint_eq(a->count, 6);
    ck_assert_double_eq(at->number, 1);
    at = at->next;
    ck_assert_double_eq(at->number, -2.5e-3);
    at = at->next;
    ck_assert_int_eq(at->type, NN_JSON_TRUE);
    at = at->next;
    ck_assert_int_eq(at->type, NN_JSON_FALSE);
    at = at->next;
    ck_assert_int_eq(at->type, NN_JSON_NULL);
    at = at->next;
    ck_assert_str_eq(at->string, "x\xc3\xa9\xf0\x9f\x98\x80\n");
    ck_assert_uint_eq(at->line, 1);
    ck_assert_uint_eq(at->column, 40);
    ck_assert_uint_eq(nn_json_get(v, "b")->count, 0);
    ck_assert_int_eq(nn_json_get(v, "c")->type, NN_JSON_ARRAY);
    ck_assert_ptr_null(nn_json_get(v, "d"));
    ck_assert_ptr_null(nn_json_get(a, "a"));
    ck_assert_ptr_null(nn_json_get(NULL, "a"));
    nn_json_free(v);
}
END_TEST

static const struct {
    const char *text, *message;
} wrong[] = {{"", "text:1:1: the text ends"},
             {"  \n ", "text:2:2"},
             {"{", "text:1:2: a key in quotes"},
             {"[1,]", "text:1:4: not a JSON value"},
             {"[1 2]", "text:1:4: ',' or ']'"},
             {"{\"a\":1,}", "a key in quotes"},
             {"{\"a\" 1}", "':' expected"},
             {"{\"a\":1,\n \"a\":2}", "text:2:2: repeated key"},
             {"{a:1}", "a key in quotes"},
             {"01", "not a JSON value"},
             {"-", "not a JSON value"},
             {"1.", "digit is missing after the decimal point"},
             {".5", "not a JSON value"},
             {"1e", "digit is missing in the exponent"},
             {"+1", "not a JSON value"},
             {"1e999", "too large"},
             {"NaN", "not a JSON value"},
             {"Infinity", "not a JSON value"},
             {"tru", "not a JSON value"},
             {"nulll", "nothing expected after"},
             {"1 1", "nothing expected after"},
             {"\"abc", "ends inside a string"},
             {"\"abc\\", "ends inside a string"},
             {"\"a\tb\"", "control character"},
             {"\"\\x\"", "unknown escape"},
             {"\"\\u12g4\"", "four hexadecimal digits"},
             {"\"\\u0000\"", "NUL"},
             {"\"\\ud800x\"", "high surrogate"},
             {"\"\\ud800\\u0041\"", "high surrogate"},
             {"\"\\udc00\"", "low surrogate"},
             {"\"\xff\"", "not UTF-8"},
             {"\"\xc0\x80\"", "not UTF-8"},
             {"\"\xed\xa0\x80\"", "not UTF-8"},
             {"\"\xf4\x90\x80\x80\"", "not UTF-8"},
             {"\"\xe2\x82\"", "not UTF-8"},
             {"[1] // x", "nothing expected after"},
             {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
              "more than 79"}};

START_TEST(refuses_the_rest)
{
    nn_json *value = NULL;
    fail_with(nn_json_parse(&value, wrong[_i].text, strlen(wrong[_i].text), "text"), FHOLA_FORMAT,
              wrong[_i].message);
    ck_assert_ptr_null(value);
}
END_TEST

START_TEST(bounds_depth_and_members)
{
    char text[200000] = "";
    size_t at = 0;
    nn_json *value = NULL;
    memset(text, '[', NN_JSON_MAX_DEPTH);
    memset(text + NN_JSON_MAX_DEPTH, ']', NN_JSON_MAX_DEPTH);
    nn_json_free(parse(text));
    memset(text, '[', 100000);
    fail_with(nn_json_parse(&value, text, 100000, "text"), FHOLA_FORMAT, "nested too deeply");
    text[at++] = '{';
    for (unsigned i = 0; i <= NN_JSON_MAX_MEMBERS; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "\"%u\":0,", i);
    fail_with(nn_json_parse(&value, text, at, "text"), FHOLA_FORMAT, "too many members");
}
END_TEST

/* No prefix of a document is a document, and none of them crashes. */
START_TEST(refuses_every_truncation)
{
    const char *text =
        "{\"a\": [1.5e+3, true, null, \"x\\u00e9\\ud83d\\ude00\"], \"bc\": {\"d\": false}}";
    for (size_t length = 0; length < strlen(text); length++) {
        /* exact size, so that a sanitizer sees any read beyond */
        char *copy = malloc(length + 1);
        nn_json *value = NULL;
        memcpy(copy, text, length);
        ck_assert_int_eq(nn_json_parse(&value, copy, length, "text"), FHOLA_FORMAT);
        free(copy);
    }
}
END_TEST

START_TEST(survives_any_change_of_a_byte)
{
    const char *text =
        "{\"a\": [1.5e+3, true, null, \"x\\u00e9\\ud83d\\ude00\"], \"bc\": {\"d\": false}}";
    char copy[128];
    for (size_t i = 0; i < strlen(text); i++) {
        for (int byte = 0; byte < 256; byte++) {
            nn_json *value = NULL;
            strcpy(copy, text);
            copy[i] = (char)byte;
            fhola_status status = nn_json_parse(&value, copy, strlen(text), "text");
            ck_assert(status == FHOLA_OK || status == FHOLA_FORMAT);
            nn_json_free(value);
        }
    }
}
END_TEST

START_TEST(numbers_come_back_the_same)
{
    uint64_t random = test_seed;
    for (int i = 0; i < 20000; i++) {
        nn_text text = {0};
        uint64_t bits = next_random(&random);
        double number;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number)) continue;
        nn_json_add_number(&text, number);
        nn_json *value = parse(text.bytes);
        ck_assert_double_eq(value->number, number);
        nn_json_free(value);
        free(text.bytes);
    }
}
END_TEST

START_TEST(strings_come_back_the_same)
{
    const char *string = "quote \" backslash \\ tab \t bell \a e-acute \xc3\xa9";
    nn_text text = {0};
    nn_json_add_string(&text, string);
    nn_json *value = parse(text.bytes);
    ck_assert_str_eq(value->string, string);
    nn_json_free(value);
    free(text.bytes);
}
END_TEST

START_TEST(does_not_mind_the_locale)
{
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) return;
    nn_text text = {0};
    nn_json_add_number(&text, -0.125);
    ck_assert_str_eq(text.bytes, "-0.125");
    nn_json *value = parse("[1.5]");
    ck_assert_double_eq(value->child->number, 1.5);
    nn_json_free(value);
    free(text.bytes);
}
END_TEST

START_TEST(checks_members)
{
    nn_json *v = parse("{\"n\": 3, \"x\": 2.5, \"row\": [1, 2], \"odd\": [1, \"2\"], \"format\": "
                       "\"f\", \"version\": 1, "
                       "\"model_hash\": \"00ffAA0000000000\"}");
    unsigned number = 0;
    double row[2];
    succeed(nn_json_get_whole(&number, v, "n", 1, 3, "text"));
    ck_assert_uint_eq(number, 3);
    fail_with(nn_json_get_whole(&number, v, "n", 1, 2, "text"), FHOLA_FORMAT,
              "text:1:7: \"n\" must be a whole number from 1 to 2");
    fail_with(nn_json_get_whole(&number, v, "x", 1, 3, "text"), FHOLA_FORMAT, "\"x\"");
    fail_with(nn_json_get_whole(&number, v, "none", 1, 3, "text"), FHOLA_FORMAT,
              "text:1:1: \"none\"");
    succeed(nn_json_get_row(row, nn_json_get(v, "row"), v, 2, "row", "text"));
    ck_assert_double_eq(row[1], 2);
    fail_with(nn_json_get_row(row, nn_json_get(v, "row"), v, 1, "row", "text"), FHOLA_FORMAT,
              "must be 1 numbers");
    fail_with(nn_json_get_row(row, nn_json_get(v, "odd"), v, 2, "odd", "text"), FHOLA_FORMAT,
              "\"odd\" must be 2 numbers");
    fail_with(nn_json_get_row(row, NULL, v, 0, "none", "text"), FHOLA_FORMAT, "\"none\"");
    nn_json_free(v);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json");
    tcase_add_test(tcase, reads_every_kind);
    tcase_add_loop_test(tcase, refuses_the_rest, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tcase, bounds_depth_and_members);
    tcase_add_test(tcase, refuses_every_truncation);
    tcase_add_test(tcase, survives_any_change_of_a_byte);
    tcase_add_test(tcase, numbers_come_back_the_same);
    tcase_add_test(tcase, strings_come_back_the_same);
    tcase_add_test(tcase, does_not_mind_the_locale);
    tcase_add_test(tcase, checks_members);
    return run_tests("json", tcase, 60);
}
