/* SPDX-License-Identifier: GPL-3.0-or-later */

/* YAML as Ruby's Psych reads it: scalars, merge keys, aliases, limits; documents of a file. */

#include <math.h>

#include "pipeline.h"
#include "pipeline/document.h"
#include "pipeline/scalar.h"
#include "pipeline/yaml.h"

/* As Ruby's inspect shows it. */
static const char *inspect(Arena *arena, const char *text) {
        Value value = { 0 };
        Text json = { .arena = arena };

        if (scalar_read(text, &value) == SCALAR_IS_DATE)
                return "date";
        value_to_json(&json, &value);
        return text_get(&json);
}

static void test_scalars(_unused_ void **state) {
        static const struct {
                const char *text, *json;
        } rows[] = {
                { "yes", "true" },
                { "Yes", "true" },
                { "YES", "true" },
                { "on", "true" },
                { "On", "true" },
                { "true", "true" },
                { "TRUE", "true" },
                { "no", "false" },
                { "off", "false" },
                { "False", "false" },
                { "null", "null" },
                { "Null", "null" },
                { "~", "null" },
                { "", "null" },
                { "y", "\"y\"" },
                { "n", "\"n\"" },
                { "Y", "\"Y\"" },
                { "N", "\"N\"" },
                { "010", "8" },
                { "0777", "511" },
                { "0x1F", "31" },
                { "0b11", "3" },
                { "1_000", "1000" },
                { "1,000", "1000" },
                { "08", "\"08\"" },
                { "0888", "\"0888\"" },
                { "0o10", "\"0o10\"" },
                { "1e3", "\"1e3\"" },
                { "1.2.3", "\"1.2.3\"" },
                { "1.10", "1.1" },
                { "1.0e+3", "1000.0" },
                { ".5", "0.5" },
                { "3.", "3.0" },
                { "1:30", "5400" },
                { "12:30:45", "45045" },
                { ":sym", "\"sym\"" },
                { "0", "0" },
                { "-5", "-5" },
                { "+7", "7" },
                { "1.5e10", "\"1.5e10\"" },
                { "-1.5", "-1.5" },
                { "1__0", "\"1__0\"" },
                { "1,2,3", "123" },
                { "0x", "\"0x\"" },
                { "0b", "\"0b\"" },
                { "1_", "\"1_\"" },
                { "_1", "\"_1\"" },
                { ".inf", "\"Infinity\"" },
                { "-.inf", "\"-Infinity\"" },
                { ".nan", "\"NaN\"" },
                { ".", "\".\"" },
                { "-.", "\"-.\"" },
                { "+.", "\"+.\"" },
                { "1.e+3", "1000.0" },
                { "1:60", "\"1:60\"" },
                { "1:5", "3900" },
                { "190:20:30", "685230" },
                { "1:30.5", "5430.0" },
                { "12a", "\"12a\"" },
                { "0.1", "0.1" },
                { "100.0", "100.0" },
                { "1e+20", "\"1e+20\"" },
                { "1.0e+20", "1.0e+20" },
                { "1.0e-5", "1.0e-05" },
                { "12345678901234567890.5", "1.2345678901234567e+19" },
                { "-0", "0" },
                { "00", "0" },
                { "0,0", "0" },
                { "-.5", "-0.5" },
                { "=", "\"=\"" },
                { "<<", "\"<<\"" },
                { "9223372036854775807", "9223372036854775807" },
                { "12:00", "43200" },
                { "a b", "\"a b\"" },
                { "-x", "\"-x\"" },
                { "2024-01-01", "date" },
                { "2024-1-1", "date" },
                { "2024-02-30", "date" },
                { "2024-01-01 10:00:00", "date" },
                { "2024-01-01T10:00:00Z", "date" },
                { "2024-02-29 12:00:00 +02:00", "date" },
                { "2024-13-01", "\"2024-13-01\"" },
                { "2024-01-32", "\"2024-01-32\"" },
                { "2024-01", "\"2024-01\"" },
                { "-2024-01-01", "\"-2024-01-01\"" },
        };
        TEST_ARENA(arena);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *json = inspect(&arena, rows[i].text);

                if (!streq(json, rows[i].json))
                        fail_msg("%s: %s, not %s", rows[i].text, json, rows[i].json);
        }
}

/* The document as JSON, or the first problem. */
static const char *load(Arena *arena, const char *text) {
        Problems problems = { .arena = arena };
        Text json = { .arena = arena };
        const Value *value = NULL;

        if (yaml_load(&problems, "f", 1, 1, text, strlen(text), &value) < 0)
                return arena_printf(arena, "%u:%u: %s", problems.items[0].place.line, problems.items[0].place.column,
                                    problems.items[0].text);
        if (!value)
                return "";
        value_to_json(&json, value);
        return text_get(&json);
}

static void test_documents_of_yaml(_unused_ void **state) {
        static const struct {
                const char *text, *json;
        } rows[] = {
                { "", "" },
                { "a: 1\nb: [x, 'y', \"z\"]\n", "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"]}" },
                { "a: '010'\nb: !!str 010\nc: ! 010\nd: !foo 010\n", "{\"a\":\"010\",\"b\":\"010\",\"c\":8,\"d\":8}" },
                { "a: 1\na: 2\n", "{\"a\":2}" },
                { "x: &x {p: 1, q: 1}\na: {p: 0, <<: *x, q: 2}\n",
                  "{\"x\":{\"p\":1,\"q\":1},\"a\":{\"p\":1,\"q\":2}}" },
                { "x: &x {p: 1}\ny: &y {p: 2, q: 2}\na: {<<: [*x, *y]}\n",
                  "{\"x\":{\"p\":1},\"y\":{\"p\":2,\"q\":2},\"a\":{\"p\":1,\"q\":2}}" },
                { "a: {<<: 1}\n", "{\"a\":{\"<<\":1}}" },
                { "on: 1\n1: 2\n", "{\"true\":1,\"1\":2}" },
                { "a: !reference [.b, script]\n", "{\"a\":[\".b\",\"script\"]}" },
                { "a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}" },
                { "a: *b\n", "1:4: there is no anchor '&b' above this in the file" },
                { "a: &a [*a]\n", "1:8: '*a' contains itself" },
                { "a: 2024-01-01\n", "1:4: an unquoted date or time is not allowed; write \"2024-01-01\" in quotes" },
                { "a: b: c\n", "1:5: mapping values are not allowed in this context; put a text with ': ' in quotes" },
                { "[a]: 1\n", "1:1: a key must be a text, not a list; put it in quotes if it contains [ or {" },
                { "a: \"\\0\"\n", "1:4: a text contains a NUL byte, which no job can get" },
        };
        TEST_ARENA(arena);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *json = load(&arena, rows[i].text);

                if (!streq(json, rows[i].json))
                        fail_msg("%s: %s, not %s", rows[i].text, json, rows[i].json);
        }
}

/* Each line doubles or multiplies the one before. */
static void test_billion_laughs(_unused_ void **state) {
        TEST_ARENA(arena);
        Text text = { .arena = &arena };

        text_add_string(&text, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for (unsigned i = 1; i < 12; i++)
                text_printf(&text, "a%u: &a%u [*a%u, *a%u, *a%u, *a%u, *a%u, *a%u, *a%u, *a%u, *a%u]\n", i, i, i - 1,
                            i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        assert_non_null(strstr(load(&arena, text_get(&text)), "the file expands to more than 2 MiB"));
}

static void test_depth(_unused_ void **state) {
        TEST_ARENA(arena);
        char text[512];

        memset(text, '[', 100);
        memset(text + 100, ']', 100);
        text[200] = 0;
        assert_null(strstr(load(&arena, text), "levels"));
        memset(text, '[', 101);
        memset(text + 101, ']', 101);
        text[202] = 0;
        assert_non_null(strstr(load(&arena, text), "more than 100 levels"));
        /* Through an alias, too. */
        Text aliased = { .arena = &arena };
        text_add_string(&aliased, "a: &a ");
        for (unsigned i = 0; i < 60; i++)
                text_add(&aliased, "[", 1);
        for (unsigned i = 0; i < 60; i++)
                text_add(&aliased, "]", 1);
        text_add_string(&aliased, "\nb: ");
        for (unsigned i = 0; i < 60; i++)
                text_add(&aliased, "[", 1);
        text_add_string(&aliased, "*a");
        for (unsigned i = 0; i < 60; i++)
                text_add(&aliased, "]", 1);
        assert_non_null(strstr(load(&arena, text_get(&aliased)), "more than 100 levels"));
}

static void test_split(_unused_ void **state) {
        static const struct {
                const char *text, *content;
                bool header;
                unsigned line, column;
        } rows[] = {
                { "a: 1\n", "a: 1\n", false, 1, 1 },
                { "---\na: 1\n", "a: 1\n", false, 2, 1 },
                { "--- # c\na: 1\n", "# c\na: 1\n", false, 1, 5 },
                { "spec:\n  inputs: {}\n---\na: 1\n", "a: 1\n", true, 4, 1 },
                { "---\nspec: {}\n---\n\na: 1\n", "a: 1\n", true, 5, 1 },
                { "a: 1\n---\nb: 2\n", "a: 1\n", false, 1, 1 },
                { "a: |\n ---\n", "a: |\n ---\n", false, 1, 1 },
                { "# c\n---\na: 1\n", "a: 1\n", false, 3, 1 },
                { "# c\n---\nspec: {}\n---\na: 1\n", "a: 1\n", true, 5, 1 },
                { "a: 1\n---\nb: 1\n---\nc: 1\n", "a: 1\n", false, 1, 1 },
                { "spec: {}\n---\nb: 1\n---\nc: 1\n---\n[\n", "c: 1\n", true, 5, 1 },
                { "\xef\xbb\xbf"
                  "a: 1\n",
                  "a: 1\n", false, 1, 1 },
        };
        TEST_ARENA(arena);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Problems problems = { .arena = &arena };
                Documents documents;

                assert_row(documents_split(&problems, "f", rows[i].text, strlen(rows[i].text), &documents) == 0, i,
                           rows[i].text);
                assert_row((documents.header != NULL) == rows[i].header, i, rows[i].text);
                assert_row(strlen(rows[i].content) == documents.content.size &&
                                   memcmp(documents.content.text, rows[i].content, documents.content.size) == 0,
                           i, rows[i].text);
                assert_row(documents.content.line == rows[i].line && documents.content.column == rows[i].column, i,
                           rows[i].text);
        }
        Problems problems = { .arena = &arena };
        Documents documents;
        assert_int_equal(documents_split(&problems, "f", "a: 1\n---\nb: 1\n---\n- c\n", 22, &documents), -EINVAL);
        assert_int_equal(problems.items[0].place.line, 5);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),        cmocka_unit_test(test_documents_of_yaml),
        cmocka_unit_test(test_billion_laughs), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_split),
};
UNIT_FILE(tests);
