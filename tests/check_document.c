/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/base/document.h"

#include "check_nn_support.h"

#define HASH "\"model_hash\": \"0123456789abcdef\""

/* The header of `text`, read as a plan of version 3. */
static fhola_status get_header(uint64_t *hash, const char *text)
{
    nn_json *root;
    succeed(nn_json_parse(&root, text, strlen(text), "text"));
    fhola_status status = nn_document_get_header(hash, root, NN_DOCUMENT_PLAN, 3, "text");
    nn_json_free(root);
    return status;
}

START_TEST(reads_what_it_writes)
{
    nn_text text = {0};
    uint64_t hash;
    nn_document_add_header(&text, NN_DOCUMENT_PLAN, 3, UINT64_C(0xfedcba9876543210));
    nn_text_add(&text, "}");
    succeed(get_header(&hash, text.bytes));
    ck_assert_uint_eq(hash, UINT64_C(0xfedcba9876543210));
    free(text.bytes);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"{}", "text:1:1: \"format\" must be \"fhola-plan\""},
        {"[1]", "text:1:1: \"format\" must be \"fhola-plan\""},
        {"{\"format\": 1}", "text:1:12: \"format\" must be \"fhola-plan\""},
        {"{\"format\": \"fhola-plans\"}", "text:1:12: \"format\" must be \"fhola-plan\""},
        {"{\"format\": \"fhola-profile\", \"version\": 3, " HASH "}",
         "text:1:12: a profile instead of a plan"},
        {"{\"format\": \"fhola-cost\"}", "text:1:12: a table of costs instead of a plan"},
        {"{\"format\": \"fhola-plan\", " HASH "}",
         "text:1:1: \"version\" must be a whole number from 1 on"},
        {"{\"format\": \"fhola-plan\", \"version\": 2.5}",
         "text:1:37: \"version\" must be a whole number from 1 on"},
        {"{\"format\": \"fhola-plan\", \"version\": \"3\"}",
         "text:1:37: \"version\" must be a whole number from 1 on"},
        {"{\"format\": \"fhola-plan\", \"version\": 1e10}",
         "text:1:37: \"version\" must be a whole number from 1 on"},
        {"{\"format\": \"fhola-plan\", \"version\": 2, " HASH "}",
         "text:1:37: format version 2 is older than version 3, the one this program reads: make it "
         "anew"},
        {"{\"format\": \"fhola-plan\", \"version\": 40, " HASH "}",
         "text:1:37: format version 40 is newer than version 3, the one this program reads"},
        {"{\"format\": \"fhola-plan\", \"version\": 3}",
         "text:1:1: \"model_hash\" must be 16 hexadecimal digits"},
        {"{\"format\": \"fhola-plan\", \"version\": 3, \"model_hash\": \"0123456789abcdeg\"}",
         "must be 16 hexadecimal digits"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint64_t hash = 5;
        fail_with(get_header(&hash, wrong[i].text), FHOLA_FORMAT, wrong[i].message);
        ck_assert_uint_eq(hash, 5);
    }
}
END_TEST

START_TEST(tells_kinds_apart)
{
    static const struct {
        const char *text, *name;
        nn_document kind;
    } files[] = {
        {"{\"version\": 9, \"format\": \"fhola-plan\"}", "a plan", NN_DOCUMENT_PLAN},
        {"{\"format\": \"fhola-profile\"}", "a profile", NN_DOCUMENT_PROFILE},
        {"{\"format\": \"fhola-cost\"}", "a table of costs", NN_DOCUMENT_COST},
    };
    nn_document kind = NN_DOCUMENT_PLAN;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        succeed(nn_document_load_kind(&kind, write_string("file", files[i].text)));
        ck_assert_int_eq(kind, files[i].kind);
        ck_assert_str_eq(nn_document_name(kind), files[i].name);
    }
    fail_with(nn_document_load_kind(&kind, write_string("file", "{\"format\": \"tar\"}")),
              FHOLA_FORMAT, "file:1:12: \"format\" must be");
    fail_with(nn_document_load_kind(&kind, write_string("file", "{\"format\": ")), FHOLA_FORMAT,
              "file:1:");
    fail_with(nn_document_load_kind(&kind, in_folder("none")), FHOLA_IO, "none");
    ck_assert_int_eq(kind, NN_DOCUMENT_COST);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("document");
    tcase_add_test(tcase, reads_what_it_writes);
    tcase_add_test(tcase, says_what_is_wrong);
    tcase_add_test(tcase, tells_kinds_apart);
    return run_tests("document", tcase, 60);
}
