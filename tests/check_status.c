/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

START_TEST(knows_well_formed_characters)
{
    static const struct {
        const char *text;
        size_t bytes;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"\x7f", 1},
        {"\x80", 0},     /* a second byte alone */
        {"\xc1\xbf", 0}, /* longer than needed */
        {"\xc2\x80", 2},
        {"\xc3", 0}, /* cut */
        {"\xe0\x9f\xbf", 0},
        {"\xe2\x82\xac", 3},
        {"\xed\xa0\x80", 0}, /* a surrogate */
        {"\xed\x9f\xbf", 3},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x9f\x90\xb1", 4},
        {"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xe2\x82\x28", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(fhola_utf8_length(cases[i].text, strlen(cases[i].text)) == cases[i].bytes,
                      "case %zu", i);
}
END_TEST

START_TEST(refuses_what_a_terminal_obeys)
{
    static const char *const good[] = {
        "",         "cat",         "Katze \xc3\xa4", "\xe7\x8c\xab", "\xf0\x9f\x90\xb1",
        "\xc2\xa0", "\xe2\x80\x8d"};
    static const char *const bad[] = {
        "\x1b[31m",     "a\nb",         "\x7f",         "\xc2\x9b",     "\xc2\x80",
        "\x9b",         "\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8",
        "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9", "a\xff"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(fhola_is_printable(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!fhola_is_printable(bad[i], strlen(bad[i])), "bad %zu", i);
}
END_TEST

START_TEST(escapes)
{
    char out[64];
    fhola_escape(out, sizeof out, "a\x1b[2J\xc2\x9b\xe2\x80\xae\xff \xc3\xa4\\");
    ck_assert_str_eq(out, "a\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae\\xff \xc3\xa4\\");
    fhola_escape(out, 9, "01234567");
    ck_assert_str_eq(out, "01234567");
    fhola_escape(out, 9, "");
    ck_assert_str_eq(out, "");
}
END_TEST

/* Whatever the room, the result fits, is printable, and keeps the beginning and the end. */
START_TEST(cuts_the_middle)
{
    char text[700], out[600];
    for (size_t i = 0; i + 1 < sizeof text; i++) text[i] = (char)(i % 7 ? 'a' + (int)(i % 26) : 27);
    text[sizeof text - 1] = 0;
    for (size_t room = 30; room < sizeof out; room++) {
        memset(out, '#', sizeof out);
        fhola_escape(out, room, text);
        size_t length = strlen(out);
        ck_assert(length < room && length + 5 > room);
        ck_assert(fhola_is_printable(out, length));
        ck_assert(memcmp(out, "\\x1bbcdef", 8) == 0);
        ck_assert_str_eq(out + length - 2, text + sizeof text - 3);
        ck_assert(strstr(out, " ... ") != NULL);
        for (size_t i = room; i < sizeof out; i++) ck_assert(out[i] == '#');
    }
}
END_TEST

START_TEST(messages_keep_their_end)
{
    char path[5000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    (void)fhola_fail(FHOLA_IO, "%s: the reason", path);
    ck_assert_uint_lt(strlen(fhola_detail()), 512);
    ck_assert(memcmp(fhola_detail(), "ppp", 3) == 0);
    ck_assert_str_eq(fhola_detail() + strlen(fhola_detail()) - 13, "p: the reason");
    /* a message within a message, and escaped no more than once */
    (void)fhola_fail(FHOLA_IO, "%s: x", "a\x1b");
    (void)fhola_fail(FHOLA_IO, "more: %s", fhola_detail());
    ck_assert_str_eq(fhola_detail(), "more: a\\x1b: x");
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, knows_well_formed_characters);
    tcase_add_test(c, refuses_what_a_terminal_obeys);
    tcase_add_test(c, escapes);
    tcase_add_test(c, cuts_the_middle);
    tcase_add_test(c, messages_keep_their_end);
}

int main(void)
{
    return test_run("status", add, 20);
}
