/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects from strangers: found where they are, and nowhere else; every text that
 * is cut or changed ends without reading beyond it. */
#include "nn/cmd/remote/json.h"

#include "check_nn_support.h"

START_TEST(members)
{
    static const char json[] = " { \"a\" : [1, {\"b\": \"}\\\"]\"}], \"b\":-2.5e1,\n\"c\": true , "
                               "\"d\":\"x\\\"y\\u0041\\u20ac\\n\", \"e\": {}, \"f\": false}";
    double number = 0;
    bool value = false;
    char text[32];
    ck_assert(remote_json_number(json, "b", &number));
    ck_assert_double_eq(number, -25);
    ck_assert(remote_json_bool(json, "c", &value) && value);
    ck_assert(remote_json_bool(json, "f", &value) && !value);
    ck_assert(remote_json_text(json, "d", text, sizeof text));
    ck_assert_str_eq(text, "x\"yA? ");
    ck_assert(remote_json_text(json, "d", text, 3));
    ck_assert_str_eq(text, "x\"");
    /* of another type, or not there */
    ck_assert(!remote_json_number(json, "a", &number) && !remote_json_number(json, "c", &number));
    ck_assert(!remote_json_number(json, "d", &number) && !remote_json_number(json, "g", &number));
    ck_assert(!remote_json_bool(json, "b", &value) && !remote_json_bool(json, "e", &value));
    ck_assert(!remote_json_text(json, "b", text, sizeof text));
    ck_assert(!remote_json_text(json, "", text, sizeof text));
}
END_TEST

START_TEST(items)
{
    static const char list[] = "{\"x\": [1], \"y\" : [ {\"z\": [2]} ,{\"a\":\"u\"},"
                               "{\"a\":\"v\"} ], \"a\": 1}";
    char text[8];
    double number = 0;
    ck_assert(remote_json_text(remote_json_item(list, "y", 1), "a", text, sizeof text));
    ck_assert_str_eq(text, "u");
    ck_assert(remote_json_text(remote_json_item(list, "y", 2), "a", text, sizeof text));
    ck_assert_str_eq(text, "v");
    ck_assert(!remote_json_number(remote_json_item(list, "y", 0), "a", &number));
    ck_assert_ptr_null(remote_json_item(list, "y", 3));
    ck_assert_ptr_null(remote_json_item(list, "x", 0));
    ck_assert_ptr_null(remote_json_item(list, "a", 0));
    ck_assert_ptr_null(remote_json_item(list, "b", 0));
    ck_assert_ptr_null(remote_json_item("{\"a\":[{},{\"b\":1", "a", 2));
    ck_assert_ptr_null(remote_json_item(NULL, "a", 0));
}
END_TEST

START_TEST(no_objects)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "{",
                                        "[\"a\"]",
                                        "\"a\"",
                                        "{\"a",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":}",
                                        "{\"a\":]",
                                        "{,",
                                        "{\"a\" 1}",
                                        "{\"b\":[",
                                        "{\"b\":\"",
                                        "{\"b\":\"\\",
                                        "{\"b\"}",
                                        "{\"b\":1 \"a\":1}",
                                        "{\"b\":{\"a\":1}}",
                                        "null"};
    double number;
    bool value;
    char text[8];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_msg(!remote_json_number(texts[i], "a", &number), "%s", texts[i]);
        ck_assert_msg(!remote_json_bool(texts[i], "a", &value), "%s", texts[i]);
        ck_assert_msg(!remote_json_text(texts[i], "a", text, sizeof text), "%s", texts[i]);
    }
    ck_assert(!remote_json_number(NULL, "a", &number));
}
END_TEST

/* In memory of its exact length, so that a sanitizer sees what reads beyond it. */
static void look_at(const char *bytes, size_t length)
{
    char *copy = malloc(length + 1), text[8];
    double number;
    bool value;
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, length);
    copy[length] = 0;
    for (const char *const *key = (const char *const[]){"a", "b", "detail", NULL}; *key; key++) {
        (void)remote_json_number(copy, *key, &number);
        (void)remote_json_bool(copy, *key, &value);
        for (size_t i = 0; i < 3; i++)
            (void)remote_json_number(remote_json_item(copy, *key, i), "a", &number);
        if (remote_json_text(copy, *key, text, sizeof text)) ck_assert_uint_lt(strlen(text), 8);
    }
    free(copy);
}

START_TEST(cut_and_changed)
{
    static const char json[] =
        "{\"a\":[1,{\"b\":\"\\u12\\\"\"}],\"b\":\"\\u00e9\\\\\",\"detail\":\"\\n\"}";
    static const char others[] = "{}[]\",:\\u1 ";
    char changed[sizeof json];
    for (size_t i = 0; i < sizeof json; i++) {
        look_at(json, i);
        for (const char *c = others; *c && i + 1 < sizeof json; c++) {
            memcpy(changed, json, sizeof json);
            changed[i] = *c;
            look_at(changed, sizeof json - 1);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json");
    tcase_add_test(tcase, members);
    tcase_add_test(tcase, items);
    tcase_add_test(tcase, no_objects);
    tcase_add_test(tcase, cut_and_changed);
    return run_tests("remote_json", tcase, 60);
}
