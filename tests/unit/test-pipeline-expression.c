/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Expressions of rules: the grammar, the values, and patterns as RE2 has them. */

#include "pipeline.h"
#include "pipeline/expression.h"

static const char *variable(_unused_ void *userdata, const char *name) {
        static const char *const values[][2] = {
                { "A", "abc" },     { "E", "" },        { "S", "  " },        { "T", "true" },    { "Q", "ab" },
                { "P", "/^a.c$/" }, { "L", "/(?=a)/" }, { "N", "line\nabc" }, { "Slash", "a/b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                if (streq(values[i][0], name))
                        return values[i][1];
        return NULL;
}

static const Value *input(_unused_ void *userdata, const char *name) {
        static const Value text = { .type = VALUE_STRING, .string = "abc" };
        static const Value yes = { .type = VALUE_BOOLEAN, .boolean = true };
        static const Value number = { .type = VALUE_INTEGER, .integer = 3 };

        return streq(name, "text") ? &text : streq(name, "yes") ? &yes : streq(name, "number") ? &number : NULL;
}

typedef enum Result { F, T, INVALID, BAD } Result; /* BAD: an error while it is evaluated */

static Result evaluate(Arena *arena, const char *text, const char **ret_reason) {
        RegexCache regexes = { .arena = arena };
        ExpressionNames names = { .variable = variable, .input = input };
        ExpressionError error = { .text = "" };
        Expression *expression;

        int r = expression_parse(arena, &regexes, text, &expression, &error);
        *ret_reason = error.text;
        if (r < 0)
                return INVALID;
        r = expression_evaluate(expression, &names, &error);
        *ret_reason = error.text;
        return r < 0 ? BAD : r > 0 ? T : F;
}

static void test_table(_unused_ void **state) {
        static const struct {
                const char *text;
                Result result;
        } rows[] = {
                { "$A", T },
                { "$E", F },
                { "$S", F },
                { "$U", F },
                { "\"0\"", T },
                { "\"false\"", T },
                { "$E || $A", F },
                { "$U || $A", T },
                { "$E && $A", T },
                { "$A && $E", F },
                { "$S || null", F },
                { "!$E", T },
                { "!$U", T },
                { "!$S", T },
                { "!$A", F },
                { "!!$A", T },
                { "$T == true", T },
                { "false == $T", F },
                { "$T != false", T },
                { "$E == false", F },
                { "!$E == \"true\"", T },
                { "$T == \"true\"", T },
                { "$U == \"\"", F },
                { "$U == null", T },
                { "$E == null", F },
                { "\"\" == $E", T },
                { "$A != \"abc\"", F },
                { "$A != null", T },
                { "true", T },
                { "false", F },
                { "null", F },
                { "$A =~ /a/", INVALID },
                { "$A =~ /ab/", T },
                { "$A =~ /ABC/i", T },
                { "$A =~ /ABC/", F },
                { "$A =~ $P", T },
                { "$A =~ $Q", F },
                { "$Q =~ $A", T },
                { "$E =~ \"abc\"", T },
                { "$U =~ \"abc\"", T },
                { "$A =~ \"xabcx\"", T },
                { "$A =~ $U", F },
                { "$A !~ $U", T },
                { "$A !~ /xy/", T },
                { "$A !~ /ab/", F },
                { "$U =~ /^$/", T },
                { "!$A == \"abc\"", F },
                { "!($A == \"x\")", T },
                { "$A == \"abc\" == $T", T },
                { "$A == \"abc\" == true", T },
                { "$A == \"x\" || $A == \"abc\" && $Z == \"1\"", F },
                { "$A == \"abc\" || $A == \"x\" && $Z == \"1\"", T },
                { "($A == \"abc\" || $A == \"x\") && $Z == \"1\"", F },
                { "\"string\" == \"test\" || \"string\"", T },
                { "${A} == \"x\"", INVALID },
                { "$A == abc", INVALID },
                { "$A == 1", INVALID },
                { "== \"a\"", INVALID },
                { "$A \"b\"", INVALID },
                { "($A", INVALID },
                { "$A)", INVALID },
                { "$A ==", INVALID },
                { "", INVALID },
                { "$A = \"x\"", INVALID },
                { "$A & $B", INVALID },
                { "$", INVALID },
                { "\"a", INVALID },
                { "\"a\nb\"", INVALID },
                { "()", INVALID },
                { "$A\n==\n'abc'", T },
                { "$A=='abc'&&$T", T },
                { "'a\"b' == 'a\"b'", T },
                { "$N =~ /^abc/", F },
                { "$N =~ /^abc/m", T },
                { "$N =~ /e.abc/", F },
                { "$N =~ /e.abc/s", T },
                { "$A =~ /c$/", T },
                { "$Slash =~ /a\\/b/", T },
                { "$A =~ /(?=a)/", INVALID },
                { "$A =~ /(a)\\1/", INVALID },
                { "$A =~ /a++/", INVALID },
                { "$A =~ /(?P<x>a)/", T },
                { "$A =~ /(?i)ABC/", T },
                { "$A =~ /(?>a)/", INVALID },
                { "$A =~ /a{1001}/", INVALID },
                { "$A =~ /[[:alpha:]]+/", T },
                { "$A =~ /ab/x", INVALID },
                { "$A =~ $L", BAD },
                { "$A =~ /[a/", INVALID },
                { "$[[ inputs.text ]] == \"abc\"", T },
                { "$[[ inputs.yes ]]", T },
                { "$[[ inputs.yes ]] == true", T },
                { "$[[ inputs.number ]] == \"3\"", T },
                { "$[[ inputs.none ]] == null", T },
                { "$[[inputs.text]]", INVALID },
        };
        TEST_ARENA(arena);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *reason;
                Result result = evaluate(&arena, rows[i].text, &reason);

                if (result != rows[i].result)
                        fail_msg("%s: %d, not %d (%s)", rows[i].text, result, rows[i].result, reason);
                assert_row((result == INVALID || result == BAD) == (*reason != 0), i, rows[i].text);
        }
}

static void test_what_to_write_instead(_unused_ void **state) {
        static const struct {
                const char *text, *advice;
        } rows[] = {
                { "${A} == \"x\"", "write $NAME" },
                { "$A == abc", "put a text in quotes" },
                { "$A = \"x\"", "write ==" },
                { "$A & $B", "write &&" },
                { "$A | $B", "write ||" },
                { "$A =~ /a/", "at least two characters" },
                { "($A", "not closed" },
                { "$A)", "no parenthesis is open" },
                { "$A \"b\"", "operator" },
                { "== $A", "value is missing" },
                { "$A == 'x", "quote is not closed" },
                { "$A =~ /(?!x)ab/", "look ahead" },
                { "$A =~ /(?<=x)ab/", "look behind" },
                { "$[[inputs.x]]", "one blank" },
        };
        TEST_ARENA(arena);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *reason;

                assert_row(evaluate(&arena, rows[i].text, &reason) == INVALID, i, rows[i].text);
                if (!strstr(reason, rows[i].advice))
                        fail_msg("%s: %s", rows[i].text, reason);
        }
}

static void test_limits(_unused_ void **state) {
        TEST_ARENA(arena);
        Text text = { .arena = &arena };
        const char *reason;

        /* 99 parts: 50 variables and 49 operators. */
        for (unsigned i = 0; i < 50; i++)
                text_add_string(&text, i > 0 ? " && $A" : "$A");
        assert_int_equal(evaluate(&arena, text_get(&text), &reason), T);
        text_add_string(&text, " && $A");
        assert_int_equal(evaluate(&arena, text_get(&text), &reason), INVALID);

        Text deep = { .arena = &arena };
        for (unsigned i = 0; i < 49; i++)
                text_add_string(&deep, "(");
        text_add_string(&deep, "$A");
        for (unsigned i = 0; i < 49; i++)
                text_add_string(&deep, ")");
        assert_int_equal(evaluate(&arena, text_get(&deep), &reason), T);
        /* A search that would take for ever ends. */
        assert_int_equal(evaluate(&arena,
                                  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\" =~ /^(a|a|a)*(a|a|a)*c?$/",
                                  &reason),
                         BAD);
}

static void test_variables_used(_unused_ void **state) {
        TEST_ARENA(arena);
        RegexCache regexes = { .arena = &arena };
        ExpressionError error;
        Expression *expression;

        assert_int_equal(expression_parse(&arena, &regexes, "$A == $B || $A", &expression, &error), 0);
        assert_string_equal(expression_variable(expression, 0), "A");
        assert_string_equal(expression_variable(expression, 1), "B");
        assert_null(expression_variable(expression, 2));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_what_to_write_instead),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_variables_used),
};
UNIT_FILE(tests);
