/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/name-table.h"
#include "base/string.h"
#include "base/utf8.h"

static void test_prefix_suffix(_unused_ void **state) {
        assert_string_equal(startswith("--root=x", "--root="), "x");
        assert_string_equal(startswith("abc", ""), "abc");
        assert_null(startswith("ab", "abc"));
        assert_string_equal(endswith("image.yaml", ".yaml"), ".yaml");
        assert_string_equal(endswith("a", ""), "");
        assert_null(endswith("yaml", ".yaml"));
        assert_true(streq_null(NULL, NULL));
        assert_true(streq_null("a", "a"));
        assert_false(streq_null("a", NULL));
        assert_false(streq_null(NULL, ""));
        assert_true(isempty(NULL));
        assert_true(isempty(""));
        assert_false(isempty(" "));
}

static void test_strv(_unused_ void **state) {
        _cleanup_strv_ char **v = NULL, **copy = NULL, **none = NULL;

        assert_int_equal(strv_length(NULL), 0);
        assert_int_equal(strv_extend(&v, "one"), 0);
        assert_int_equal(strv_extendf(&v, "%s-%d", "two", 2), 0);
        assert_int_equal(strv_length(v), 2);
        assert_string_equal(v[1], "two-2");
        assert_null(v[2]);

        assert_int_equal(strv_copy(v, &copy), 0);
        assert_int_equal(strv_length(copy), 2);
        assert_string_equal(copy[0], "one");
        assert_ptr_not_equal(copy[0], v[0]);
        assert_int_equal(strv_copy(NULL, &none), 0);
        assert_null(none);
        strv_free(NULL);
}

static void test_strv_many(_unused_ void **state) {
        _cleanup_strv_ char **v = NULL;
        const char *missing = NULL;

        assert_int_equal(strv_extend_many(&v, "b", "a", missing, "never"), 0);
        assert_int_equal(strv_length(v), 2);
        assert_int_equal(strv_extend_strv(&v, ARGV("b", "")), 0);
        assert_int_equal(strv_extend_strv(&v, NULL), 0);
        assert_int_equal(strv_length(v), 4);

        strv_sort(v);
        assert_string_equal(v[0], "");
        assert_string_equal(v[1], "a");
        strv_sort_unique(v);
        assert_int_equal(strv_length(v), 3);
        assert_string_equal(v[2], "b");
        strv_sort_unique(NULL);
        strv_sort(NULL);
}

static void test_replace(_unused_ void **state) {
        _cleanup_free_ char *s = NULL;

        assert_int_equal(string_replace(&s, "a"), 0);
        assert_int_equal(string_replace(&s, s), 0); /* of itself */
        assert_string_equal(s, "a");
        assert_int_equal(string_replace(&s, NULL), 0);
        assert_null(s);
        assert_int_equal(string_printf(&s, "%d%%", 30), 0);
        assert_string_equal(s, "30%");
}

static void test_append(_unused_ void **state) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(string_append(&text, ", ", "%s", "a"), 0);
        assert_string_equal(text, "a");
        assert_int_equal(string_append(&text, ", ", "%s%d", "b", 1), 0);
        assert_string_equal(text, "a, b1");
        assert_int_equal(string_append(&text, "", "%s", ""), 0);
        assert_string_equal(text, "a, b1");
        /* What is appended may be a part of it. */
        assert_int_equal(string_append(&text, "/", "%s", text), 0);
        assert_string_equal(text, "a, b1/a, b1");
}

static void test_parse_uint64(_unused_ void **state) {
        static const struct {
                const char *text;
                int result;
                uint64_t value;
        } table[] = {
                { "0", 0, 0 },
                { "007", 0, 7 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE, 0 },
                { "99999999999999999999999", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { NULL, -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
                { "1 ", -EINVAL, 0 },
                { "+1", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "0x10", -EINVAL, 0 },
                { "1\n", -EINVAL, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t value = 4711;
                int r = parse_uint64(table[i].text, &value);

                assert_row(r == table[i].result, i, table[i].text);
                assert_row(value == (r < 0 ? 4711 : table[i].value), i, table[i].text);
        }
}

static void test_edit_distance(_unused_ void **state) {
        static const struct {
                const char *a, *b;
                size_t distance;
        } table[] = {
                { "", "", 0 },         { "", "abc", 3 },           { "abc", "", 3 },
                { "same", "same", 0 }, { "kitten", "sitting", 3 }, { "prepaer", "prepare", 2 },
                { "run", "runs", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(edit_distance(table[i].a, table[i].b) == table[i].distance, i, table[i].a);
}

static const char *candidate(const void *userdata, size_t i) {
        return ((const char *const *) userdata)[i];
}

static void test_nearest_name(_unused_ void **state) {
        static const char *const names[] = { "prepare", "run", "gc", "chroot-maintenance", "chroot-list", "", NULL };
        static const struct {
                const char *typed, *nearest;
        } table[] = {
                { "prepaer", "prepare" },
                { "prepare", "prepare" },
                { "prep", "prepare" }, /* the beginning of it */
                { "rum", "run" },
                { "ru", "run" },
                { "g", NULL },
                { "xy", NULL }, /* nothing in common with "gc" */
                { "chroot-lsit", "chroot-list" },
                { "chroot-maint", "chroot-maintenance" },
                { "entirely different", NULL },
                { "", NULL },
                { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                int n = nearest_name(table[i].typed, candidate, names);
                assert_row(streq_null(n < 0 ? NULL : names[n], table[i].nearest), i, table[i].typed);
        }
}

/* Of equal names, the last value counts, at the place of the first; a name that begins like another is its own. */
static void test_set_variable(_unused_ void **state) {
        static const char *const assignments[] = { "A=1", "AB=2", "A=3", "C=", "C", "C=4" };
        _cleanup_strv_ char **variables = NULL;

        for (size_t i = 0; i < ELEMENTSOF(assignments); i++)
                assert_int_equal(strv_set_variable(&variables, assignments[i]), 0);
        assert_int_equal(strv_length(variables), 4);
        assert_string_equal(variables[0], "A=3");
        assert_string_equal(variables[1], "AB=2");
        assert_string_equal(variables[2], "C=4");
        assert_string_equal(variables[3], "C");
}

static void test_utf8_decode(_unused_ void **state) {
        static const struct {
                const char *text;
                size_t length;
                uint32_t code; /* 7: untouched */
        } table[] = {
                { "a", 1, 'a' },
                { "", 1, 0 },
                { "\xc3\xa4x", 2, 0xe4 },
                { "\xe2\x82\xac", 3, 0x20ac },
                { "\xf0\x9f\x98\x80", 4, 0x1f600 },
                { "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
                { "\xe4", 0, 7 },
                { "\xc3", 0, 7 },
                { "\x80", 0, 7 },
                { "\xc0\x80", 0, 7 },         /* overlong */
                { "\xed\xa0\x80", 0, 7 },     /* a surrogate */
                { "\xf4\x90\x80\x80", 0, 7 }, /* beyond Unicode */
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint32_t code = 7;

                assert_row(utf8_decode(table[i].text, &code) == table[i].length, i, table[i].text);
                assert_row(code == table[i].code, i, table[i].text);
        }
}

static void test_name_table(_unused_ void **state) {
        _cleanup_name_table_ NameTable outer = { 0 }, table = { .outer = &outer };
        static const char names[] = "abcab";

        assert_null(name_table_find(&table, "a", 1));
        assert_null(name_table_find(NULL, "a", 1));
        assert_int_equal(name_table_set(&outer, "a", 1, "outer a"), 0);
        assert_int_equal(name_table_set(&outer, names, 2, "outer ab"), 0);
        assert_int_equal(name_table_set(&table, names, 2, "first"), 0);
        assert_int_equal(name_table_set(&table, names + 3, 2, "second"), 0);
        assert_string_equal(name_table_find(&table, "abx", 2), "second");
        assert_string_equal(name_table_find(&outer, "ab", 2), "outer ab");
        assert_string_equal(name_table_find(&table, "a=1", 1), "outer a");
        assert_null(name_table_find(&table, "abc", 3));
        assert_null(name_table_find(&table, "", 0));
}

static void test_string_list(_unused_ void **state) {
        _cleanup_string_list_ StringList list = { 0 };
        char text[16];

        assert_null(string_list_take(&list));
        for (unsigned i = 0; i < 1000; i++) {
                snprintf(text, sizeof(text), "%u", i);
                assert_int_equal(i % 2 ? string_list_add(&list, text) : string_list_addf(&list, "%u", i), 0);
                assert_string_equal(list.strings[i], text);
                assert_null(list.strings[i + 1]);
        }
        assert_int_equal(list.n, 1000);
        char **strings = string_list_take(&list);
        assert_int_equal(strv_length(strings), 1000);
        assert_null(list.strings);
        strv_free(strings);
        assert_int_equal(string_list_add(&list, "again"), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_table),   cmocka_unit_test(test_string_list),   cmocka_unit_test(test_prefix_suffix),
        cmocka_unit_test(test_strv),         cmocka_unit_test(test_strv_many),     cmocka_unit_test(test_replace),
        cmocka_unit_test(test_parse_uint64), cmocka_unit_test(test_edit_distance), cmocka_unit_test(test_append),
        cmocka_unit_test(test_nearest_name), cmocka_unit_test(test_set_variable),  cmocka_unit_test(test_utf8_decode),
};
UNIT_FILE(tests);
