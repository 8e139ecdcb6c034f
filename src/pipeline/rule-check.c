/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks the shape of rules, before any is evaluated. Called for jobs, the workflow and includes, which allow different
 * keys. It must evaluate nothing: a rule that would never match must be right, too. */

#include "pipeline/rule-check.h"

#include "base/string.h"
#include "pipeline/expression.h"
#include "pipeline/needs-check.h"
#include "pipeline/shape-common.h"

#define GLOBS_MAX 50
#define REGEXP_BYTES_MAX 255

static const char *const when_job[] = { "on_success", "on_failure", "always", "never", "manual", "delayed", NULL };
static const char *const when_other[] = { "always", "never", NULL };

static int check_if(Context *context, const Value *value, const char *name) {
        return expression_check(context, value, name);
}

int expression_check(Context *context, const Value *value, const char *what) {
        Expression *expression;
        ExpressionError error;

        if (expression_parse(context->arena, &context->regexes, value->string, &expression, &error) == 0)
                return 0;
        const char *rest = value->string + MIN(error.offset, strlen(value->string));
        return context_fail(context, value->place, "%s is no valid expression%s%.*s%s: %s", what,
                            *rest ? ", at \"" : "", (int) MIN(strcspn(rest, "\n"), (size_t) 40), rest,
                            *rest ? "\"" : "", error.text);
}

static const Shape shape_globs = {
        .types = SHAPE_LIST, .expect = "a list of globs", .item = &shape_text, .max = GLOBS_MAX
};
static const Shape shape_regexp = { .types = SHAPE_STRING, .expect = "a text", .max = REGEXP_BYTES_MAX };
static const ShapeKey changes_keys[] = {
        { .name = "paths", .shape = &shape_globs },
        { .name = "regexp", .shape = &shape_regexp },
        { .name = "compare_to", .shape = &shape_name },
        { 0 },
};

static int check_paths(Context *context, const Value *value, const char *name) {
        if (value->type == VALUE_MAP && (map_get_set(value, "paths") != NULL) == (map_get_set(value, "regexp") != NULL))
                return context_fail(context, value->place, "%s needs either 'paths' or 'regexp'", name);
        return 0;
}

static const Shape shape_changes = {
        .types = SHAPE_LIST | SHAPE_MAP,
        .expect = "a list of globs, or a mapping with 'paths'",
        .item = &shape_text,
        .keys = changes_keys,
        .max = GLOBS_MAX,
        .check = check_paths,
};
static const ShapeKey exists_keys[] = {
        { .name = "paths", .shape = &shape_globs },
        { .name = "regexp", .shape = &shape_regexp },
        { .name = "project", .shape = &shape_name },
        { .name = "ref", .shape = &shape_name },
        { 0 },
};
static const Shape shape_exists = {
        .types = SHAPE_STRING | SHAPE_LIST | SHAPE_MAP,
        .expect = "a glob, a list of globs, or a mapping with 'paths'",
        .item = &shape_text,
        .keys = exists_keys,
        .max = GLOBS_MAX,
        .check = check_paths,
};
static const Shape shape_if = { .types = SHAPE_STRING, .expect = "a text", .check = check_if };
static const Shape shape_when_job = { .types = SHAPE_STRING, .expect = "a text", .words = when_job };
static const Shape shape_when_other = { .types = SHAPE_STRING, .expect = "a text", .words = when_other };
static const Shape shape_needs = { .types = SHAPE_LIST | SHAPE_MAP,
                                   .expect = "a list of jobs",
                                   .check = needs_check_of_rule };

static const ShapeKey job_keys[] = {
        { .name = "if", .shape = &shape_if },
        { .name = "changes", .shape = &shape_changes },
        { .name = "exists", .shape = &shape_exists },
        { .name = "when", .shape = &shape_when_job },
        { .name = "start_in", .shape = &shape_start_in },
        { .name = "allow_failure", .shape = &shape_boolean },
        { .name = "interruptible", .shape = &shape_boolean },
        { .name = "variables", .shape = &shape_job_variables },
        { .name = "needs", .shape = &shape_needs },
        { 0 },
};
static const ShapeKey workflow_keys[] = {
        { .name = "if", .shape = &shape_if },
        { .name = "changes", .shape = &shape_changes },
        { .name = "exists", .shape = &shape_exists },
        { .name = "when", .shape = &shape_when_other },
        { .name = "variables", .shape = &shape_job_variables },
        { .name = "auto_cancel", .shape = &shape_auto_cancel },
        { 0 },
};
static const ShapeKey include_keys[] = {
        { .name = "if", .shape = &shape_if },
        { .name = "changes", .shape = &shape_changes },
        { .name = "exists", .shape = &shape_exists },
        { .name = "when", .shape = &shape_when_other },
        { 0 },
};

static int check_some(Context *context, const Value *value, const char *name) {
        if (value->n_pairs > 0)
                return 0;
        return context_fail(context, value->place, "%s is empty; write at least 'when'", name);
}

static int check_delay(Context *context, const Value *value, const char *name) {
        bool delayed = value_is_string(map_get(value, "when"), "delayed");
        const Value *start = map_get_set(value, "start_in");

        if (check_some(context, value, name) < 0)
                return -EINVAL;
        if (delayed && !start)
                return context_fail(context, value->place, "%s needs 'start_in', because its 'when' is delayed", name);
        if (!delayed && start)
                return context_fail(context, start->place, "%s has 'start_in', which only goes with 'when: delayed'",
                                    name);
        return 0;
}

static const Shape shapes[] = {
        [RULES_OF_JOB] = { .types = SHAPE_MAP,
                           .expect = "a mapping such as 'if: $CI_COMMIT_TAG'",
                           .keys = job_keys,
                           .check = check_delay },
        [RULES_OF_WORKFLOW] = { .types = SHAPE_MAP,
                                .expect = "a mapping such as 'if: $CI_COMMIT_TAG'",
                                .keys = workflow_keys,
                                .check = check_some },
        [RULES_OF_INCLUDE] = { .types = SHAPE_MAP,
                               .expect = "a mapping such as 'if: $CI_COMMIT_TAG'",
                               .keys = include_keys,
                               .check = check_some },
};

const Value *rules_check(Context *context, const Value *rules, RulesOf of, const char *name) {
        Shape shape = { .types = SHAPE_LIST,
                        .expect = "a list of rules",
                        .item = &shapes[of],
                        .flatten = true,
                        .not_empty = true };

        if (shape_check(context, rules, &shape, name) < 0)
                return NULL;
        return value_flatten(context, rules, "rules");
}
