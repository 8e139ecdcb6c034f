/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks the shape of "needs" and "parallel". Called by the tables of keywords and of rules. It must not check whether
 * the jobs exist, because not all jobs were read yet: needs.c does that later. */

#include "pipeline/needs-check.h"

#include "base/string.h"
#include "pipeline/shape.h"

#define ELSEWHERE_MAX 5 /* needs in other pipelines and, for themselves, in other projects */
#define PARALLEL_MAX 200

static const Shape shape_matrix_value = { .types = SHAPE_STRING | SHAPE_INTEGER,
                                          .expect = "a text or a number without a fraction" };
static const Shape shape_matrix_values = { .types = SHAPE_STRING | SHAPE_INTEGER | SHAPE_LIST,
                                           .expect = "a text or a list of texts",
                                           .item = &shape_matrix_value,
                                           .not_empty = true };
static int check_entry(Context *context, const Value *value, const char *name) {
        for (size_t i = 0; i < value->n_pairs; i++)
                if (value_is_null(value->pairs[i].value))
                        return context_fail(context, value->pairs[i].place, "'%s' of %s has no value",
                                            value->pairs[i].key, name);
        return 0;
}

static const Shape shape_matrix_entry = { .types = SHAPE_MAP,
                                          .expect = "a mapping of variables and their values",
                                          .item = &shape_matrix_values,
                                          .not_empty = true,
                                          .check = check_entry };

static int check_product(Context *context, const Value *value, const char *name) {
        size_t total = 0;

        for (size_t i = 0; i < value->n_items; i++) {
                const Value *entry = value->items[i];
                size_t product = 1;

                for (size_t k = 0; k < entry->n_pairs; k++) {
                        const Value *values = entry->pairs[k].value;

                        if (values->type == VALUE_LIST && product <= PARALLEL_MAX)
                                product *= values->n_items;
                }
                total += product;
        }
        if (total <= PARALLEL_MAX)
                return 0;
        return context_fail(context, value->place, "%s makes %zu jobs; at most %d are allowed", name, total,
                            PARALLEL_MAX);
}

static const Shape shape_matrix = { .types = SHAPE_LIST,
                                    .expect = "a list of mappings",
                                    .item = &shape_matrix_entry,
                                    .not_empty = true,
                                    .check = check_product };
static const ShapeKey parallel_keys[] = { { .name = "matrix", .shape = &shape_matrix, .required = true }, { 0 } };
static const Shape shape_parallel_map = { .types = SHAPE_MAP,
                                          .expect = "a mapping with 'matrix'",
                                          .keys = parallel_keys };
static const Shape shape_parallel_number = {
        .types = SHAPE_INTEGER, .expect = "a number", .min = 1, .max = PARALLEL_MAX
};

int parallel_check(Context *context, const Value *value, const char *name) {
        return shape_check(context, value, value->type == VALUE_MAP ? &shape_parallel_map : &shape_parallel_number,
                           name);
}

static const ShapeKey job_keys[] = {
        { .name = "job", .shape = &shape_name, .required = true },
        { .name = "artifacts", .shape = &shape_boolean },
        { .name = "optional", .shape = &shape_boolean },
        { .name = "parallel", .shape = &shape_parallel_map },
        { 0 },
};
static const ShapeKey pipeline_keys[] = {
        { .name = "pipeline", .shape = &shape_name, .required = true },
        { .name = "job", .shape = &shape_name, .required = true },
        { .name = "artifacts", .shape = &shape_boolean },
        { 0 },
};
static const ShapeKey project_keys[] = {
        { .name = "project", .shape = &shape_name, .required = true },
        { .name = "job", .shape = &shape_name, .required = true },
        { .name = "ref", .shape = &shape_name, .required = true },
        { .name = "artifacts", .shape = &shape_boolean },
        { .name = "parallel", .shape = &shape_parallel_map },
        { 0 },
};
static const ShapeKey upstream_keys[] = { { .name = "pipeline", .shape = &shape_name, .required = true }, { 0 } };

static const Shape shape_job = { .types = SHAPE_MAP, .keys = job_keys };
static const Shape shape_pipeline = { .types = SHAPE_MAP, .keys = pipeline_keys };
static const Shape shape_project = { .types = SHAPE_MAP, .keys = project_keys };
static const Shape shape_upstream = { .types = SHAPE_MAP, .keys = upstream_keys };

typedef enum NeedsOf { NEEDS_OF_JOB, NEEDS_OF_TRIGGER, NEEDS_OF_RULE } NeedsOf;

static int check_need(Context *context, const Value *need, const char *name, NeedsOf of) {
        if (need->type == VALUE_STRING)
                return *need->string ? 0 : context_fail(context, need->place, "%s is an empty text; name a job", name);
        if (need->type != VALUE_MAP)
                return context_fail(context, need->place,
                                    "%s must be the name of a job or a mapping with 'job', not %s", name,
                                    value_describe(need));
        bool foreign = map_find(need, "project") || map_find(need, "pipeline");
        if (foreign && of == NEEDS_OF_RULE)
                return context_fail(context, need->place, "'needs' of a rule names jobs of this pipeline only");
        if (map_find(need, "project"))
                return shape_check(context, need, &shape_project, name);
        if (map_find(need, "pipeline"))
                return shape_check(context, need,
                                   of == NEEDS_OF_TRIGGER && !map_find(need, "job") ? &shape_upstream : &shape_pipeline,
                                   name);
        return shape_check(context, need, &shape_job, name);
}

/* How many of @needs have @key. */
static size_t count_with(const Value *needs, const char *key) {
        size_t count = 0;

        for (size_t i = 0; i < needs->n_items; i++)
                count += map_get_set(needs->items[i], key) ? 1 : 0;
        return count;
}

const Value *needs_flat(Context *context, const Value *value) {
        Value *flat = value_new(context->arena, VALUE_LIST, value->place);

        if (value->type != VALUE_LIST) {
                value_append(context->arena, flat, value);
                return flat;
        }
        const Value *items = value_flatten(context, value, "needs");
        for (size_t i = 0; items && i < items->n_items; i++)
                if (!value_is_null(items->items[i]))
                        value_append(context->arena, flat, items->items[i]);
        return items ? flat : NULL;
}

static int check(Context *context, const Value *value, const char *name, NeedsOf of) {
        int result = 0;

        if (value->type != VALUE_LIST && value->type != VALUE_MAP)
                return context_fail(context, value->place, "%s must be a list of jobs, as [build], not %s", name,
                                    value_describe(value));
        const Value *needs = needs_flat(context, value);
        if (!needs)
                return -EINVAL;
        for (size_t i = 0; i < needs->n_items; i++)
                if (check_need(context, needs->items[i], arena_printf(context->arena, "item %zu of %s", i + 1, name),
                               of) < 0)
                        result = -EINVAL;
        if (count_with(needs, "project") > ELSEWHERE_MAX || count_with(needs, "pipeline") > ELSEWHERE_MAX)
                result = context_fail(context, value->place,
                                      "%s has more than %d jobs of other pipelines, or of other projects", name,
                                      ELSEWHERE_MAX);
        return result;
}

int needs_check(Context *context, const Value *value, const char *name) {
        return check(context, value, name, NEEDS_OF_JOB);
}

int needs_check_of_trigger(Context *context, const Value *value, const char *name) {
        return check(context, value, name, NEEDS_OF_TRIGGER);
}

int needs_check_of_rule(Context *context, const Value *value, const char *name) {
        return check(context, value, name, NEEDS_OF_RULE);
}
