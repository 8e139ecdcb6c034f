/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/problem.h"
#include "pipeline/regex.h"

/* The expressions of rules:if and only:variables. Values and operators are those of GitLab, which are Ruby's: "||" and "&&"
 * give one of their operands back, and an empty text is true until the very end. */
typedef struct Expression Expression;

typedef struct ExpressionError {
        size_t offset;    /* in the text, of what is wrong */
        const char *text; /* what it is and what to write instead */
} ExpressionError;

/* Reads @text. 0; or -EINVAL with the reason in *reterr. The expression lives in @arena. */
int expression_parse(Arena *arena, RegexCache *regexes, const char *text, Expression **ret, ExpressionError *reterr);

/* Where variables come from: @variable returns the value of $NAME, or NULL; @input (may be NULL) that of $[[
 * inputs.NAME ]]. */
typedef struct ExpressionNames {
        const char *(*variable)(void *userdata, const char *name);
        const Value *(*input)(void *userdata, const char *name);
        void *userdata;
} ExpressionNames;

/* Evaluates: 1 or 0; or -EINVAL where GitLab would take a pattern in a variable for an error (which counts as false),
 * with the reason in *reterr. */
int expression_evaluate(const Expression *expression, const ExpressionNames *names, ExpressionError *reterr);

/* Name @i of the variables that it uses, each once, in order; NULL behind the last. */
const char *expression_variable(const Expression *expression, size_t i);
