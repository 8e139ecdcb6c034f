/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The table of the keywords of jobs and defaults. Called by job.c. The shapes of their values are in keyword-shape.c.
 * Users get an error for a keyword that is missing here, so the table must have all of GitLab's keywords, also those
 * that mean nothing for a run on this host. */

#include "pipeline/keyword.h"

#include "base/string.h"
#include "pipeline/keyword-shape.h"
#include "pipeline/needs-check.h"
#include "pipeline/rule-check.h"
#include "pipeline/shape-common.h"

typedef enum KeywordFlags {
        OF_SCRIPT = 1 << 0,  /* jobs that run something */
        OF_TRIGGER = 1 << 1, /* jobs that trigger a pipeline */
        OF_DEFAULT = 1 << 2,
        OF_GLOBAL = 1 << 3, /* the top level, for old files */
        IN_VAIN = 1 << 4,   /* as a default: GitLab takes it, and no job gets it */
        OF_BOTH = OF_SCRIPT | OF_TRIGGER,
} KeywordFlags;

typedef struct Keyword {
        const char *name;
        unsigned flags;
        const Shape *shape;
} Keyword;

static int check_rules(Context *context, const Value *value, const char *name) {
        return rules_check(context, value, RULES_OF_JOB, name) ? 0 : -EINVAL;
}

static const Shape shape_rules = { .types = SHAPE_ANY, .check = check_rules };
static const Shape shape_needs = { .types = SHAPE_ANY, .check = needs_check };
static const Shape shape_trigger_needs = { .types = SHAPE_ANY, .check = needs_check_of_trigger };
static const Shape shape_parallel = { .types = SHAPE_INTEGER | SHAPE_MAP,
                                      .expect = "a number, or a mapping with 'matrix'",
                                      .check = parallel_check };

static const Keyword keywords[] = {
        { "after_script", OF_SCRIPT | OF_DEFAULT | OF_GLOBAL, &shape_script },
        { "allow_failure", OF_SCRIPT, &shape_allow_failure },
        { "allow_failure", OF_TRIGGER, &shape_boolean },
        { "artifacts", OF_SCRIPT | OF_DEFAULT, &shape_artifacts },
        { "before_script", OF_SCRIPT | OF_DEFAULT | OF_GLOBAL, &shape_script },
        { "cache", OF_SCRIPT | OF_DEFAULT | OF_GLOBAL, &shape_cache },
        { "coverage", OF_SCRIPT, &shape_regex },
        { "dast_configuration", OF_SCRIPT, &shape_dast },
        { "dependencies", OF_SCRIPT, &shape_texts },
        { "environment", OF_BOTH, &shape_environment },
        { "except", OF_BOTH, &shape_policy },
        { "hooks", OF_SCRIPT | OF_DEFAULT, &shape_hooks },
        { "id_tokens", OF_SCRIPT | OF_DEFAULT, &shape_id_tokens },
        { "identity", OF_SCRIPT | OF_DEFAULT, &shape_identity },
        { "image", OF_SCRIPT | OF_DEFAULT | OF_GLOBAL, &shape_image },
        { "inherit", OF_BOTH, &shape_inherit },
        { "inputs", OF_SCRIPT, &shape_job_inputs },
        { "interruptible", OF_BOTH | OF_DEFAULT, &shape_boolean },
        { "manual_confirmation", OF_BOTH, &shape_text },
        { "needs", OF_SCRIPT, &shape_needs },
        { "needs", OF_TRIGGER, &shape_trigger_needs },
        { "only", OF_BOTH, &shape_policy },
        { "pages", OF_SCRIPT, &shape_pages },
        { "parallel", OF_BOTH, &shape_parallel },
        { "publish", OF_SCRIPT, &shape_text },
        { "release", OF_SCRIPT, &shape_release },
        { "resource_group", OF_BOTH, &shape_name },
        { "retry", OF_SCRIPT | OF_DEFAULT, &shape_retry },
        { "rules", OF_BOTH, &shape_rules },
        { "run", OF_SCRIPT, &shape_run },
        { "script", OF_SCRIPT, &shape_commands },
        { "secrets", OF_SCRIPT, &shape_any_map },
        { "services", OF_SCRIPT | OF_DEFAULT | OF_GLOBAL, &shape_services },
        { "stage", OF_BOTH, &shape_name },
        { "start_in", OF_SCRIPT, &shape_start_in },
        { "tags", OF_SCRIPT | OF_DEFAULT, &shape_tags },
        { "timeout", OF_SCRIPT | OF_DEFAULT | IN_VAIN, &shape_timeout },
        { "trigger", OF_TRIGGER, &shape_trigger },
        { "variables", OF_BOTH, &shape_job_variables },
        { "when", OF_SCRIPT, &shape_job_when },
        { "when", OF_TRIGGER, &shape_trigger_when },
};

bool keyword_is_of_pages(const char *name, const Value *job) {
        const Value *pages = map_get_set(job, "pages");

        if (value_is(pages, VALUE_BOOLEAN))
                return pages->boolean;
        return value_is(pages, VALUE_MAP) || streq(name, "pages");
}

/* Checks for keywords that exclude each other. */
static int check_together(Context *context, const char *name, const Value *job) {
        static const char *const with_rules[] = { "only", "except", "start_in" };
        static const char *const with_run[] = { "script", "before_script", "after_script" };
        bool delayed = value_is_string(map_get(job, "when"), "delayed");
        int result = 0;

        if (map_get_set(job, "publish") && !keyword_is_of_pages(name, job))
                result = context_fail(
                        context, map_find(job, "publish")->place,
                        "job '%s' has 'publish', which only goes with 'pages'; write 'pages: {publish: ...}'", name);
        for (size_t i = 0; map_get_set(job, "rules") && i < ELEMENTSOF(with_rules); i++)
                if (map_get_set(job, with_rules[i]))
                        result = context_fail(context, map_find(job, with_rules[i])->place,
                                              "job '%s' has 'rules' and '%s'; write the condition as a rule", name,
                                              with_rules[i]);
        for (size_t i = 0; map_get_set(job, "run") && i < ELEMENTSOF(with_run); i++)
                if (map_get_set(job, with_run[i]))
                        result = context_fail(context, map_find(job, with_run[i])->place,
                                              "job '%s' has 'run' and '%s'; make a step of it", name, with_run[i]);
        if (map_get_set(job, "rules"))
                return result;
        if (delayed && !map_get_set(job, "start_in"))
                result = context_fail(context, map_find(job, "when")->place, "job '%s' is delayed and needs 'start_in'",
                                      name);
        if (!delayed && map_get_set(job, "start_in"))
                result = context_fail(context, map_find(job, "start_in")->place,
                                      "job '%s' has 'start_in', which only goes with 'when: delayed'", name);
        return result;
}

static const Keyword *find(const char *name, unsigned flag) {
        for (size_t i = 0; i < ELEMENTSOF(keywords); i++)
                if (streq(keywords[i].name, name) && (keywords[i].flags & flag))
                        return keywords + i;
        return NULL;
}

static const char *hint(Context *context, const char *typed, unsigned flag) {
        const char *names[ELEMENTSOF(keywords) + 1];
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(keywords); i++)
                if (keywords[i].flags & flag)
                        names[n++] = keywords[i].name;
        names[n] = NULL;
        return nearest_hint(context->arena, typed, names);
}

static int check_all(Context *context, const char *owner, const Value *map, unsigned flag, unsigned other) {
        int result = 0;

        for (size_t i = 0; i < map->n_pairs; i++) {
                const ValuePair *pair = map->pairs + i;
                const Keyword *keyword = find(pair->key, flag);

                if (!keyword && streq(pair->key, "trigger") && flag == OF_SCRIPT)
                        result = context_fail(context, pair->place,
                                              "%s has '%s' and 'trigger'; a job does one or the other", owner,
                                              map_get_set(map, "script") ? "script" : "run");
                else if (!keyword && find(pair->key, other))
                        result = context_fail(context, pair->place, "%s cannot have '%s'", owner, pair->key);
                else if (!keyword)
                        result = context_fail(context, pair->place, "%s has an unknown keyword '%.100s'%s", owner,
                                              pair->key, hint(context, pair->key, flag));
                else if (shape_check(context, pair->value, keyword->shape,
                                     arena_printf(context->arena, "'%s' of %s", pair->key, owner)) < 0)
                        result = -EINVAL;
        }
        return result;
}

int keyword_check_job(Context *context, const char *name, const Value *job, JobKind kind) {
        const char *owner = arena_printf(context->arena, "%s '%s'", kind == JOB_TRIGGER ? "trigger job" : "job", name);
        unsigned flag = kind == JOB_TRIGGER ? OF_TRIGGER : OF_SCRIPT;

        int r = check_all(context, owner, job, flag, flag ^ OF_BOTH);
        return check_together(context, name, job) < 0 ? -EINVAL : r;
}

int keyword_check_default(Context *context, const Value *defaults) {
        for (size_t i = 0; defaults->type == VALUE_MAP && i < defaults->n_pairs; i++) {
                const ValuePair *pair = defaults->pairs + i;

                if (find(pair->key, IN_VAIN) && !value_is_null(pair->value))
                        context_warn(
                                context, pair->place,
                                "'%s' of 'default' has no effect in GitLab, and has none here; write it in the jobs",
                                pair->key);
        }
        return check_all(context, "'default'", defaults, OF_DEFAULT, OF_BOTH);
}

const char *keyword_default(size_t i) {
        for (size_t k = 0; k < ELEMENTSOF(keywords); k++)
                if ((keywords[k].flags & OF_DEFAULT) && i-- == 0)
                        return keywords[k].name;
        return NULL;
}

bool keyword_is_inherited(const char *name) {
        const Keyword *keyword = find(name, OF_DEFAULT);

        return keyword && !(keyword->flags & IN_VAIN);
}

bool keyword_is_global(const char *name) {
        return find(name, OF_GLOBAL) != NULL;
}

int keyword_check_global(Context *context, const char *name, const Value *value) {
        return shape_check(context, value, find(name, OF_GLOBAL)->shape, arena_printf(context->arena, "'%s'", name));
}
