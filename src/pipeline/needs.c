/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads which jobs a job waits for by name. evaluate.c calls this for what the configuration says, decide.c for what is
 * left after rules have decided. Needs that pass here must have no cycles: run-state.c relies on that. */

#include "pipeline/needs.h"

#include "base/string.h"
#include "pipeline/matrix.h"
#include "pipeline/needs-check.h"

#define NEEDS_MAX 50 /* GitLab's default limit */

/* Places of jobs by name and by group, so that each of thousands of needs is found without a search. */
typedef struct Names {
        Value *by_name, *by_group; /* integers: place of the (first) job */
} Names;

static Names names_make(Pipeline *pipeline) {
        Arena *arena = &pipeline->arena;
        Names names = { value_new(arena, VALUE_MAP, (Place){ 0 }), value_new(arena, VALUE_MAP, (Place){ 0 }) };

        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                const PipelineJob *job = pipeline->jobs + i;
                Value *place = value_new(arena, VALUE_INTEGER, job->place);

                place->integer = (int64_t) i;
                map_set(arena, names.by_name, job->name, job->place, place);
                if (!map_find(names.by_group, job->group))
                        map_set(arena, names.by_group, job->group, job->place, place);
        }
        return names;
}

static size_t names_find(const Value *map, const char *name) {
        const Value *place = map_get(map, name);

        return place ? (size_t) place->integer : SIZE_MAX;
}

static void add(Pipeline *pipeline, PipelineJob *job, PipelineNeed need) {
        ARENA_APPEND(&pipeline->arena, job->needs, job->n_needs, need);
}

/* Adds a need for each copy of a group that @matrix (NULL: all) selects. */
static int add_group(Pipeline *pipeline, PipelineJob *job, size_t first, const Value *matrix, PipelineNeed need) {
        const char *group = pipeline->jobs[first].group;
        bool any = false;

        /* The copies of a group are next to each other. */
        for (size_t i = first; i < pipeline->n_jobs && streq(pipeline->jobs[i].group, group); i++) {
                int r = matrix ? matrix_selects(pipeline, matrix, pipeline->jobs + i, job) : 1;
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                any = true;
                need.name = pipeline->jobs[i].name;
                add(pipeline, job, need);
        }
        if (any || need.optional)
                return 0;
        return context_fail(&pipeline->context, need.place,
                            "job '%s' needs copies of '%s' that its matrix does not make", job->name, group);
}

static int check_stage(Pipeline *pipeline, const PipelineJob *job, size_t needed, const char *key, Place place) {
        const PipelineJob *other = pipeline->jobs + needed;

        if (other->stage_index <= job->stage_index)
                return 0;
        return context_fail(&pipeline->context, place,
                            "%s of job '%s' names '%s', which is in a later stage ('%s' comes after '%s')", key,
                            job->name, other->name, other->stage, job->stage);
}

static int fail_unknown(Pipeline *pipeline, const PipelineJob *job, const char *name, const char *key,
                        const Names *names, Place place) {
        return context_fail(&pipeline->context, place, "%s of job '%s' names '%s', which is no job%s", key, job->name,
                            name, nearest_key_hint(&pipeline->arena, name, names->by_group));
}

static bool is_true(const Value *map, const char *key, bool standard) {
        const Value *value = map_get_set(map, key);

        return value ? value->boolean : standard;
}

static const char *name_of(const Value *need) {
        const Value *name = need->type == VALUE_STRING ? need : map_get_set(need, "job");

        return name ? name->string : "";
}

/* With @by_name, a group does not stand for its copies: in rules, GitLab takes the names of single jobs only. */
static int read_need(Pipeline *pipeline, PipelineJob *job, const Value *value, const Names *names, bool by_name) {
        const Value *elsewhere = map_get_set(value, "project");
        PipelineNeed need = { .place = value->place,
                              .job = SIZE_MAX,
                              .artifacts = is_true(value, "artifacts", true),
                              .optional = is_true(value, "optional", false) };

        need.of_project = elsewhere != NULL;
        if (!elsewhere)
                elsewhere = map_get_set(value, "pipeline");
        need.name = name_of(value);
        if (elsewhere) {
                need.elsewhere = elsewhere->string;
                add(pipeline, job, need);
                return 0;
        }
        const Value *matrix = map_get_set(map_get_set(value, "parallel"), "matrix");
        size_t place = names_find(names->by_name, need.name),
               group = by_name ? SIZE_MAX : names_find(names->by_group, need.name);
        if (place == SIZE_MAX && group == SIZE_MAX)
                return need.optional ? 0 : fail_unknown(pipeline, job, need.name, "'needs'", names, need.place);
        int r = check_stage(pipeline, job, place == SIZE_MAX ? group : place, "'needs'", need.place);
        if (r < 0)
                return r;
        if (group != SIZE_MAX && pipeline->jobs[group].node_index > 0)
                return add_group(pipeline, job, group, matrix, need);
        add(pipeline, job, need);
        return 0;
}

/* Notes a problem for a name that occurs twice. */
static int check_duplicates(Pipeline *pipeline, const PipelineJob *job) {
        Value *seen = value_new(&pipeline->arena, VALUE_MAP, job->place);

        for (size_t i = 0; i < job->n_needs; i++) {
                const PipelineNeed *need = job->needs + i;
                const char *name = need->elsewhere ?
                                           arena_printf(&pipeline->arena, "%s %s", need->elsewhere, need->name) :
                                           need->name;

                if (map_find(seen, name))
                        return context_fail(&pipeline->context, need->place, "job '%s' needs '%s' twice; remove one",
                                            job->name, need->name);
                map_set(&pipeline->arena, seen, name, need->place, seen);
        }
        return 0;
}

static int read_job(Pipeline *pipeline, PipelineJob *job, const Value *value, const Names *names, bool by_name) {
        const Value *needs = needs_flat(&pipeline->context, value);
        int result = 0;

        job->needs = NULL;
        job->n_needs = 0;
        job->by_needs = true;
        for (size_t i = 0; needs && i < needs->n_items; i++)
                if (read_need(pipeline, job, needs->items[i], names, by_name) < 0)
                        result = -EINVAL;
        /* A job that mirrors another pipeline waits for stages, as without needs. */
        for (size_t i = 0; i < job->n_needs; i++)
                if (job->needs[i].elsewhere && !*job->needs[i].name)
                        job->by_needs = false;
        return result < 0 ? result : check_duplicates(pipeline, job);
}

/* A copy of a job has its needs only to check them. */
static int check_rule(Pipeline *pipeline, const PipelineJob *job, const Value *value, const Names *names) {
        const Value *needs = needs_flat(&pipeline->context, value);
        PipelineJob copy = *job;

        for (size_t i = 0; needs && i < needs->n_items; i++) {
                const char *name = name_of(needs->items[i]);
                size_t group = names_find(names->by_group, name);

                if (names_find(names->by_name, name) == SIZE_MAX && group != SIZE_MAX &&
                    !is_true(needs->items[i], "optional", false))
                        return context_fail(&pipeline->context, needs->items[i]->place,
                                            "job '%s' needs '%s' by a rule, which takes whole names only, such as '%s'",
                                            job->name, name, pipeline->jobs[group].name);
        }
        return read_job(pipeline, &copy, value, names, true);
}

/* GitLab checks the needs of all rules, also of those that do not match. */
static int check_rules(Pipeline *pipeline, const PipelineJob *job, const Names *names) {
        int result = 0;

        for (size_t i = 0; job->rules && i < job->rules->n_items; i++) {
                const Value *needs = map_get_set(job->rules->items[i], "needs");

                if (needs && check_rule(pipeline, job, needs, names) < 0)
                        result = -EINVAL;
        }
        return result;
}

int needs_read_rules(Pipeline *pipeline) {
        Names names = names_make(pipeline);
        int result = 0;

        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (pipeline->jobs[i].rule_needs && pipeline->jobs[i].included &&
                    read_job(pipeline, pipeline->jobs + i, pipeline->jobs[i].rule_needs, &names, true) < 0)
                        result = -EINVAL;
        return result;
}

static int read_dependencies(Pipeline *pipeline, const PipelineJob *job, const Names *names) {
        const Value *needs = map_get_set(job->config, "needs");
        int result = 0;

        needs = needs ? needs_flat(&pipeline->context, needs) : NULL;

        for (size_t i = 0; job->dependencies && i < job->dependencies->n_items; i++) {
                const Value *item = job->dependencies->items[i];
                size_t place = names_find(names->by_name, item->string);
                bool needed = !needs || needs->n_items == 0; /* with no needs at all, GitLab takes any dependency */

                if (place == SIZE_MAX)
                        place = names_find(names->by_group, item->string);
                if (place == SIZE_MAX) {
                        result = fail_unknown(pipeline, job, item->string, "'dependencies'", names, item->place);
                        continue;
                }
                if (check_stage(pipeline, job, place, "'dependencies'", item->place) < 0)
                        result = -EINVAL;
                for (size_t k = 0; k < job->n_needs && !needed; k++)
                        needed = streq(job->needs[k].name, pipeline->jobs[place].name);
                if (!needed)
                        result = context_fail(&pipeline->context, item->place,
                                              "job '%s' depends on '%s' without needing it; add it to 'needs'",
                                              job->name, item->string);
        }
        return result;
}

/* Gives each need the place of its job, if that job exists and, with @included_only, is in the pipeline. */
static void find_places(Pipeline *pipeline, bool included_only) {
        Names names = names_make(pipeline);

        for (size_t i = 0; i < pipeline->n_jobs; i++)
                for (size_t k = 0; k < pipeline->jobs[i].n_needs; k++) {
                        PipelineNeed *need = pipeline->jobs[i].needs + k;

                        need->job = need->elsewhere ? SIZE_MAX : names_find(names.by_name, need->name);
                        if (need->job != SIZE_MAX && included_only && !pipeline->jobs[need->job].included)
                                need->job = SIZE_MAX;
                }
}

/* Sorts depth first, with a stack of our own, because a chain of needs may be as long as the list of jobs. */
static int needs_sort(Pipeline *pipeline, size_t **ret_order, size_t *reterr_job) {
        size_t n = pipeline->n_jobs, depth = 0, n_order = 0;
        size_t *order = arena_alloc(&pipeline->arena, n * sizeof(size_t));
        size_t *stack = arena_alloc(&pipeline->arena, n * sizeof(size_t)),
               *next = arena_alloc(&pipeline->arena, n * sizeof(size_t));
        unsigned char *state = arena_alloc(&pipeline->arena, n); /* 1: on the stack, 2: done */

        for (size_t i = 0; i < n; i++) {
                if (state[i] == 0) {
                        stack[depth++] = i;
                        state[i] = 1;
                }
                while (depth > 0) {
                        size_t at = stack[depth - 1];
                        const PipelineJob *job = pipeline->jobs + at;

                        if (next[at] == job->n_needs) {
                                state[at] = 2;
                                order[n_order++] = at;
                                depth--;
                                continue;
                        }
                        size_t needed = job->needs[next[at]++].job;
                        if (needed == SIZE_MAX || state[needed] == 2)
                                continue;
                        if (state[needed] == 1) {
                                *reterr_job = at;
                                return -ELOOP;
                        }
                        state[needed] = 1;
                        stack[depth++] = needed;
                }
        }
        *ret_order = order;
        return 0;
}

static int check_circles(Pipeline *pipeline) {
        size_t *order, loop;

        if (needs_sort(pipeline, &order, &loop) >= 0)
                return 0;
        return context_fail(&pipeline->context, pipeline->jobs[loop].place,
                            "job '%s' needs itself, through the jobs that it needs", pipeline->jobs[loop].name);
}

int needs_read(Pipeline *pipeline) {
        Names names = names_make(pipeline);
        int result = 0;

        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                PipelineJob *job = pipeline->jobs + i;
                const Value *needs = map_get_set(job->config, "needs");

                if (needs && read_job(pipeline, job, needs, &names, false) < 0)
                        result = -EINVAL;
                else if (read_dependencies(pipeline, job, &names) < 0)
                        result = -EINVAL;
                if (check_rules(pipeline, job, &names) < 0)
                        result = -EINVAL;
        }
        if (result < 0)
                return result;
        find_places(pipeline, false);
        return check_circles(pipeline);
}

/* Copies of a parallel job count, each for itself, and only in jobs of the pipeline. */
static int check_number(Pipeline *pipeline, const PipelineJob *job) {
        const Value *needs = map_get_set(job->config, "needs");

        if (!needs || job->rule_needs || job->n_needs <= NEEDS_MAX)
                return 0;
        return context_fail(&pipeline->context, needs->place, "'needs' of job '%s' has %zu jobs; GitLab allows %d",
                            job->name, job->n_needs, NEEDS_MAX);
}

/* Says of a job that is not in the pipeline why not. */
static int fail_left_out(Pipeline *pipeline, const PipelineJob *job, const PipelineNeed *need, const Names *names) {
        size_t place = names_find(names->by_name, need->name);
        const char *why = place == SIZE_MAX ? NULL : pipeline->jobs[place].reason;

        return context_fail(
                &pipeline->context, need->place,
                "job '%s' needs '%s', which is not in this pipeline%s%s%s; write {job: '%s', optional: true} "
                "if it may be missing",
                job->name, need->name, why ? " (" : "", why ? why : "", why ? ")" : "", need->name);
}

int needs_resolve(Pipeline *pipeline) {
        Names names = names_make(pipeline);
        int result = 0;

        find_places(pipeline, true);
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (pipeline->jobs[i].included && check_number(pipeline, pipeline->jobs + i) < 0)
                        result = -EINVAL;
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                for (size_t k = 0; pipeline->jobs[i].included && k < pipeline->jobs[i].n_needs; k++) {
                        const PipelineNeed *need = pipeline->jobs[i].needs + k;

                        if (need->job == SIZE_MAX && !need->optional && !need->elsewhere)
                                result = fail_left_out(pipeline, pipeline->jobs + i, need, &names);
                }
        return result < 0 ? result : check_circles(pipeline);
}
