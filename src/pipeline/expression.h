/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/problem.h"
#include "pipeline/regex.h"

/* The expressions of rules:if and only:variables. Values and operators are those of GitLab, which are Ruby's: "||" and "&&"
 * give one of their operands back, and an empty text is true until the very end. */
typedef struct Expression Expression;

typedef struct ExpressionError {
        size_t offset;    /* where in the text the error is */
        const char *text; /* what is wrong and what to write instead */
} ExpressionError;

/* Parses @text. 0; or -EINVAL with the reason in *reterr. The expression lives in @arena. */
int expression_parse(Arena *arena, RegexCache *regexes, const char *text, Expression **ret, ExpressionError *reterr);

/* Looks up names: @variable returns the value of $NAME, or NULL; @input (may be NULL) returns the value of $[[
 * inputs.NAME ]]. */
typedef struct ExpressionNames {
        const char *(*variable)(void *userdata, const char *name);
        const Value *(*input)(void *userdata, const char *name);
        void *userdata;
} ExpressionNames;

/* Evaluates the expression. Returns 1: true; 0: false; or -EINVAL, with the reason in *reterr: a variable has a pattern
 * that is an error for GitLab (it counts as false). */
int expression_evaluate(const Expression *expression, const ExpressionNames *names, ExpressionError *reterr);

/* Returns name @i of the variables that the expression uses, each once, in order; NULL behind the last. */
const char *expression_variable(const Expression *expression, size_t i);
