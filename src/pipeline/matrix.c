/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the copies of parallel jobs. evaluate.c calls this after all jobs were checked, needs.c to choose among copies.
 * A pipeline must never get more than PIPELINE_JOBS_MAX jobs by it. */

#include "pipeline/matrix.h"

#include "base/string.h"

typedef struct Copies {
        Pipeline *pipeline;
        PipelineJob *jobs;
        size_t n;
        Value *names; /* of the copies, without values: equal names overwrite each other */
        size_t *places;
        size_t n_places;
} Copies;

/* Makes a copy of the job with variables of its own. */
static PipelineJob copy_job(Pipeline *pipeline, const PipelineJob *job) {
        PipelineJob copy = *job;

        copy.own = (Variables){ .arena = &pipeline->arena };
        variables_set_all(&copy.own, &job->own);
        return copy;
}

static int add(Copies *copies, const PipelineJob *job) {
        Arena *arena = &copies->pipeline->arena;
        const ValuePair *old = map_find(copies->names, job->name);

        if (old) {
                copies->jobs[copies->places[old - copies->names->pairs]] = *job;
                return 0;
        }
        if (copies->n >= PIPELINE_JOBS_MAX)
                return context_fail(&copies->pipeline->context, job->place, "there are more than %d jobs",
                                    PIPELINE_JOBS_MAX);
        map_set(arena, copies->names, job->name, job->place, copies->names);
        ARENA_APPEND(arena, copies->places, copies->n_places, copies->n);
        ARENA_APPEND(arena, copies->jobs, copies->n, *job);
        return 0;
}

static int add_numbered(Copies *copies, const PipelineJob *job, unsigned total) {
        for (unsigned i = 1; i <= total; i++) {
                PipelineJob copy = copy_job(copies->pipeline, job);

                copy.name = arena_printf(&copies->pipeline->arena, "%s %u/%u", job->name, i, total);
                copy.node_index = i;
                copy.node_total = total;
                int r = add(copies, &copy);
                if (r < 0)
                        return r;
        }
        return 0;
}

static size_t entry_size(const Value *entry) {
        size_t n = 1;

        for (size_t k = 0; k < entry->n_pairs; k++)
                n *= entry->pairs[k].value->type == VALUE_LIST ? entry->pairs[k].value->n_items : 1;
        return n;
}

/* Makes the copy for combination @i of the values of @entry: later keys vary fastest. */
static PipelineJob combine(Pipeline *pipeline, const PipelineJob *job, const Value *entry, size_t i) {
        PipelineJob copy = copy_job(pipeline, job);
        Text values = { .arena = &pipeline->arena };
        size_t rest = entry_size(entry);

        for (size_t k = 0; k < entry->n_pairs; k++) {
                const Value *value = entry->pairs[k].value;

                if (value->type == VALUE_LIST) {
                        rest /= value->n_items;
                        value = value->items[i / rest % value->n_items];
                }
                const char *text = value_to_string(&pipeline->arena, value);
                text_printf(&values, "%s%s", k > 0 ? ", " : "", text);
                variables_set_text(&copy.own, entry->pairs[k].key, text);
        }
        copy.name = arena_printf(&pipeline->arena, "%s: [%s]", job->name, text_get(&values));
        return copy;
}

/* Returns the entry with flat lists as its values. */
static const Value *flat_entry(Pipeline *pipeline, const Value *entry) {
        Value *flat = map_copy(&pipeline->arena, entry);

        for (size_t k = 0; k < flat->n_pairs; k++)
                if (flat->pairs[k].value->type == VALUE_LIST)
                        flat->pairs[k].value = value_flatten(&pipeline->context, flat->pairs[k].value, "matrix");
        return flat;
}

static int add_matrix(Copies *copies, const PipelineJob *job, const Value *matrix) {
        unsigned total = 0, index = 0;

        for (size_t i = 0; i < matrix->n_items; i++)
                total += (unsigned) entry_size(flat_entry(copies->pipeline, matrix->items[i]));
        for (size_t i = 0; i < matrix->n_items; i++) {
                const Value *entry = flat_entry(copies->pipeline, matrix->items[i]);
                size_t n = entry_size(entry);

                for (size_t k = 0; k < n; k++) {
                        PipelineJob copy = combine(copies->pipeline, job, entry, k);

                        copy.node_index = ++index;
                        copy.node_total = total;
                        int r = add(copies, &copy);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int add_job(Copies *copies, const PipelineJob *job) {
        const Value *parallel = map_get(job->config, "parallel");

        if (value_is(parallel, VALUE_INTEGER))
                return add_numbered(copies, job, (unsigned) parallel->integer);
        if (value_is(parallel, VALUE_MAP))
                return add_matrix(copies, job, map_get(parallel, "matrix"));
        return add(copies, job);
}

int matrix_expand(Pipeline *pipeline) {
        Copies copies = { .pipeline = pipeline };

        copies.names = value_new(&pipeline->arena, VALUE_MAP, pipeline->config->place);
        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                int r = add_job(&copies, pipeline->jobs + i);
                if (r < 0)
                        return r;
        }
        pipeline->jobs = copies.jobs;
        pipeline->n_jobs = copies.n;
        return 0;
}

#define BLANKS " \t\r\n\f\v"
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* Finds the next "$[[ matrix.X ]]" in @text. Returns its length, with *ret_start at it and X in *ret_name; 0: none. */
static size_t find_block(Arena *arena, const char *text, const char **ret_start, const char **ret_name) {
        for (const char *start = strstr(text, "$[["); start; start = strstr(start + 1, "$[[")) {
                const char *name = start + strlen("$[[");

                name += strspn(name, BLANKS);
                if (!startswith(name, "matrix."))
                        continue;
                name += strlen("matrix.");
                size_t n = strspn(name, NAME_CHARACTERS);
                const char *end = name + n + strspn(name + n, BLANKS);
                if (n == 0 || !startswith(end, "]]"))
                        continue;
                *ret_start = start;
                *ret_name = arena_copy(arena, name, n);
                return (size_t) (end + strlen("]]") - start);
        }
        return 0;
}

/* Returns a value of a selection, with each "$[[ matrix.X ]]" replaced. NULL: job @of has no such X. */
static const char *selected_value(Pipeline *pipeline, const Value *value, const PipelineJob *of) {
        const char *text = value_to_string(&pipeline->arena, value), *start, *name;
        Text all = { .arena = &pipeline->arena };
        size_t n;

        for (; (n = find_block(&pipeline->arena, text, &start, &name)) > 0; text = start + n) {
                const char *own = of->node_index > 0 ? variables_get(&of->own, name) : NULL;

                if (!own)
                        return NULL;
                text_add(&all, text, (size_t) (start - text));
                text_add_string(&all, own);
        }
        text_add_string(&all, text);
        return text_get(&all);
}

int matrix_selects(Pipeline *pipeline, const Value *matrix, const PipelineJob *job, const PipelineJob *of) {
        for (size_t i = 0; i < matrix->n_items; i++) {
                const Value *entry = flat_entry(pipeline, matrix->items[i]);
                bool all = true;

                for (size_t k = 0; k < entry->n_pairs; k++) {
                        const Value *values = entry->pairs[k].value;
                        const char *has = variables_get(&job->own, entry->pairs[k].key);
                        bool found = false;

                        for (size_t v = 0; v < (values->type == VALUE_LIST ? values->n_items : 1); v++) {
                                const Value *value = values->type == VALUE_LIST ? values->items[v] : values;
                                const char *text = selected_value(pipeline, value, of);

                                if (!text)
                                        return context_fail(&pipeline->context, value->place,
                                                            "job '%s' has no such variable in its own matrix",
                                                            of->name);
                                found = found || streq_null(has, text);
                        }
                        all = all && found;
                }
                if (all)
                        return 1;
        }
        return 0;
}
