/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shapes that several tables of keywords use: durations, scripts, variables. Used by the tables of keywords and of
 * rules. This must evaluate nothing and expand no variable. */

#include "pipeline/shape-common.h"

#include "base/string.h"
#include "pipeline/duration.h"

#define WEEK UINT64_C(604800)
#define MONTH UINT64_C(2629746) /* as Rails counts it */

static int check_duration(Context *context, const Value *value, const char *name) {
        uint64_t seconds;

        if (duration_parse(value->string, &seconds) == 0)
                return 0;
        return context_fail(context, value->place, "%s must be a duration such as '3h 30m' or '1 week', not '%.60s'",
                            name, value->string);
}

static int check_start_in(Context *context, const Value *value, const char *name) {
        uint64_t seconds;

        if (check_duration(context, value, name) < 0)
                return -EINVAL;
        if (duration_parse(value->string, &seconds) == 0 && seconds <= WEEK)
                return 0;
        return context_fail(context, value->place, "%s is longer than a week; GitLab delays a job by at most '1 week'",
                            name);
}

static int check_timeout(Context *context, const Value *value, const char *name) {
        uint64_t seconds;

        if (check_duration(context, value, name) < 0)
                return -EINVAL;
        if (duration_parse(value->string, &seconds) == 0 && seconds < MONTH)
                return 0;
        return context_fail(context, value->place, "%s is too long; GitLab's limit is a month", name);
}

static int check_expire_in(Context *context, const Value *value, const char *name) {
        return streq(value->string, "never") ? 0 : check_duration(context, value, name);
}

const Shape shape_start_in = { .types = SHAPE_STRING,
                               .expect = "a duration such as '30 minutes'",
                               .check = check_start_in };
const Shape shape_timeout = { .types = SHAPE_STRING, .expect = "a duration such as '3h 30m'", .check = check_timeout };
const Shape shape_expire_in = { .types = SHAPE_STRING,
                                .expect = "a duration such as '1 week', or never",
                                .check = check_expire_in };

static const Shape shape_line = { .types = SHAPE_STRING, .expect = "a text" };
const Shape shape_script = {
        .types = SHAPE_STRING | SHAPE_LIST, .expect = "a text or a list of texts", .item = &shape_line, .flatten = true
};

const Shape shape_commands = { .types = SHAPE_STRING | SHAPE_LIST,
                               .expect = "a text or a list of texts",
                               .item = &shape_line,
                               .flatten = true,
                               .not_empty = true };

static int check_regex(Context *context, const Value *value, const char *name) {
        size_t n = strlen(value->string);
        const Regex *regex;
        const char *reason;

        if (n < 3 || value->string[0] != '/' || value->string[n - 1] != '/')
                return context_fail(context, value->place,
                                    "%s must be a pattern between slashes, as '/Total: (\\d+)%%/'", name);
        if (regex_compile(&context->regexes, arena_copy(context->arena, value->string + 1, n - 2), 0, &regex,
                          &reason) == 0)
                return 0;
        return context_fail(context, value->place, "%s is no valid pattern: %s", name, reason);
}

const Shape shape_regex = { .types = SHAPE_STRING, .expect = "a pattern between slashes", .check = check_regex };

static const char *const auto_cancel_commit[] = { "conservative", "interruptible", "none", NULL };
static const char *const auto_cancel_failure[] = { "none", "all", NULL };
static const Shape shape_on_commit = { .types = SHAPE_STRING, .expect = "a text", .words = auto_cancel_commit };
static const Shape shape_on_failure = { .types = SHAPE_STRING, .expect = "a text", .words = auto_cancel_failure };
static const ShapeKey auto_cancel_keys[] = {
        { .name = "on_new_commit", .shape = &shape_on_commit },
        { .name = "on_job_failure", .shape = &shape_on_failure },
        { 0 },
};
const Shape shape_auto_cancel = { .types = SHAPE_MAP, .expect = "a mapping", .keys = auto_cancel_keys };

#define SCALARS (SHAPE_STRING | SHAPE_INTEGER | SHAPE_BOOLEAN | SHAPE_TYPE(VALUE_FLOAT))

static const Shape shape_value = { .types = SCALARS, .expect = "a text or a number" };
static const ShapeKey job_variable_keys[] = {
        { .name = "value", .shape = &shape_value },
        { .name = "expand", .shape = &shape_boolean },
        { 0 },
};
static const ShapeKey root_variable_keys[] = {
        { .name = "value", .shape = &shape_value },
        { .name = "expand", .shape = &shape_boolean },
        { .name = "description", .shape = &shape_text },
        { .name = "options", .shape = &shape_texts },
        { 0 },
};

static int check_options(Context *context, const Value *value, const char *name) {
        const Value *options = map_get_set(value, "options"), *chosen = map_get_set(value, "value");

        if (!options)
                return 0;
        for (size_t i = 0; chosen && i < options->n_items; i++)
                if (streq(value_to_string(context->arena, chosen), options->items[i]->string))
                        return 0;
        return context_fail(context, (chosen ? chosen : options)->place,
                            "%s needs a 'value' that is one of its 'options'", name);
}

static const Shape shape_job_variable = { .types = SCALARS | SHAPE_MAP,
                                          .expect = "a text, a number, or a mapping with 'value'",
                                          .keys = job_variable_keys };
static const Shape shape_root_variable = { .types = SCALARS | SHAPE_MAP,
                                           .expect = "a text, a number, or a mapping with 'value'",
                                           .keys = root_variable_keys,
                                           .check = check_options };
const Shape shape_job_variables = { .types = SHAPE_MAP,
                                    .expect = "a mapping of names and values",
                                    .item = &shape_job_variable };
const Shape shape_root_variables = { .types = SHAPE_MAP,
                                     .expect = "a mapping of names and values",
                                     .item = &shape_root_variable };
