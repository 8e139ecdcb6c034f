/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shapes of the keywords that decide when a job runs and what GitLab does around it: only, environment, release,
 * trigger. Only keyword.c uses them. They must look only at the shape of values: whether the things that values name
 * exist is checked later. */

#include "base/string.h"
#include "pipeline/keyword-shape.h"
#include "pipeline/keyword.h"
#include "pipeline/rule-check.h"
#include "pipeline/shape-common.h"

#define A_TEXT .types = SHAPE_STRING, .expect = "a text"

/* "name" or "/pattern/flags", with "@project". */
static int check_ref(Context *context, const Value *value, const char *name) {
        const char *text = value->string, *end = strrchr(text, '/'), *reason;
        const Regex *regex;

        if (text[0] != '/' || end == text)
                return *text ? 0 : context_fail(context, value->place, "%s is empty", name);
        if (end[1 + strspn(end + 1, "ismU")] != 0 && !strchr(end, '@'))
                return context_fail(context, value->place,
                                    "%s is no valid pattern; write /.../ with flags from i, s, m and U", name);
        if (regex_compile(&context->regexes, arena_copy(context->arena, text + 1, (size_t) (end - text - 1)), 0, &regex,
                          &reason) == 0)
                return 0;
        return context_fail(context, value->place, "%s is no valid pattern: %s", name, reason);
}

static int check_expression(Context *context, const Value *value, const char *name) {
        return expression_check(context, value, name);
}

static const Shape shape_ref = { A_TEXT, .check = check_ref };
static const Shape shape_refs = { .types = SHAPE_LIST, .expect = "a list of refs", .item = &shape_ref };
static const Shape shape_expression = { A_TEXT, .check = check_expression };
static const Shape shape_expressions = { .types = SHAPE_LIST,
                                         .expect = "a list of expressions",
                                         .item = &shape_expression };
static const Shape shape_changes = { .types = SHAPE_LIST, .expect = "a list of globs", .item = &shape_name, .max = 50 };
static const char *const kubernetes_words[] = { "active", NULL };
static const Shape shape_kubernetes = { A_TEXT, .words = kubernetes_words };
static const ShapeKey policy_keys[] = {
        { "refs", &shape_refs, false },
        { "variables", &shape_expressions, false },
        { "changes", &shape_changes, false },
        { "kubernetes", &shape_kubernetes, false },
        { 0 },
};

const Shape shape_policy = { .types = SHAPE_LIST | SHAPE_MAP,
                             .expect = "a list of refs, or a mapping with 'refs', 'variables' or 'changes'",
                             .item = &shape_ref,
                             .keys = policy_keys,
                             .not_empty = true };

static const ShapeKey hooks_keys[] = { { "pre_get_sources_script", &shape_script, false }, { 0 } };
const Shape shape_hooks = { .types = SHAPE_MAP,
                            .expect = "a mapping with 'pre_get_sources_script'",
                            .keys = hooks_keys };

static const ShapeKey id_token_keys[] = { { "aud", &shape_text_or_texts, true }, { 0 } };
static const Shape shape_id_token = { .types = SHAPE_MAP, .expect = "a mapping with 'aud'", .keys = id_token_keys };
const Shape shape_id_tokens = { .types = SHAPE_MAP, .expect = "a mapping of names", .item = &shape_id_token };

static const char *const identities[] = { "google_cloud", NULL };
const Shape shape_identity = { A_TEXT, .words = identities };

static int check_inheritable(Context *context, const Value *value, const char *name) {
        for (size_t i = 0; keyword_default(i); i++)
                if (streq(keyword_default(i), value->string))
                        return 0;
        return context_fail(context, value->place, "%s is '%.100s', which 'default' cannot have", name, value->string);
}

static const Shape shape_inheritable = { A_TEXT, .check = check_inheritable };
static const Shape shape_inherit_default = { .types = SHAPE_BOOLEAN | SHAPE_LIST,
                                             .expect = "true, false, or a list of keywords",
                                             .item = &shape_inheritable };
static const Shape shape_inherit_variables = { .types = SHAPE_BOOLEAN | SHAPE_LIST,
                                               .expect = "true, false, or a list of names",
                                               .item = &shape_text };
static const ShapeKey inherit_keys[] = { { "default", &shape_inherit_default, false },
                                         { "variables", &shape_inherit_variables, false },
                                         { 0 } };
const Shape shape_inherit = { .types = SHAPE_MAP,
                              .expect = "a mapping with 'default' or 'variables'",
                              .keys = inherit_keys };

const Shape shape_job_inputs = {
        .types = SHAPE_MAP, .expect = "a mapping of inputs", .item = &shape_any_map, .max = 50
};

static const char *const actions[] = { "start", "stop", "prepare", "verify", "access", NULL };
static const char *const tiers[] = { "production", "staging", "testing", "development", "other", NULL };
static const Shape shape_action = { A_TEXT, .words = actions };
static const Shape shape_tier = { A_TEXT, .words = tiers, .variables = true };

static int check_environment_name(Context *context, const Value *value, const char *name) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/${}. -";
        size_t n = strlen(value->string);

        if (strspn(value->string, letters) == n && value->string[0] != '/' && value->string[n - 1] != '/')
                return 0;
        return context_fail(context, value->place,
                            "%s is '%.60s', but it can have only letters, digits, blanks and '-_/${}.', with no '/' at "
                            "its ends",
                            name, value->string);
}

static const Shape shape_environment_name = { A_TEXT, .max = 255, .not_empty = true, .check = check_environment_name };
static const ShapeKey environment_keys[] = {
        { "name", &shape_environment_name, true }, { "url", &shape_text, false },
        { "on_stop", &shape_name, false },         { "action", &shape_action, false },
        { "auto_stop_in", &shape_text, false },    { "deployment_tier", &shape_tier, false },
        { "kubernetes", &shape_any_map, false },   { 0 },
};

static int check_environment(Context *context, const Value *value, const char *name) {
        return value->type == VALUE_STRING ? check_environment_name(context, value, name) : 0;
}

const Shape shape_environment = { .types = SHAPE_STRING | SHAPE_MAP,
                                  .expect = "a name or a mapping with 'name'",
                                  .keys = environment_keys,
                                  .not_empty = true,
                                  .check = check_environment };

static const ShapeKey pages_keys[] = {
        { "publish", &shape_text, false },
        { "path_prefix", &shape_text, false },
        { "expire_in", &shape_expire_in, false },
        { 0 },
};
const Shape shape_pages = { .types = SHAPE_BOOLEAN | SHAPE_MAP,
                            .expect = "true, false, or a mapping",
                            .keys = pages_keys };

static const Shape shape_assets = { .types = SHAPE_MAP, .expect = "a mapping with 'links'" };
static const ShapeKey release_keys[] = {
        { "tag_name", &shape_name, true },
        { "description", &shape_name, true },
        { "tag_message", &shape_text, false },
        { "name", &shape_text, false },
        { "ref", &shape_text, false },
        { "milestones", &shape_text_or_texts, false },
        { "released_at", &shape_text, false },
        { "assets", &shape_assets, false },
        { 0 },
};
const Shape shape_release = { .types = SHAPE_MAP,
                              .expect = "a mapping with 'tag_name' and 'description'",
                              .keys = release_keys };

/* Whether @name is one of step-runner's, for steps and variables. */
static bool is_step_name(const char *name) {
        size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

        return n > 0 && !name[n] && !(name[0] >= '0' && name[0] <= '9');
}

/* The names in a mapping of a step. */
static int check_step_names(Context *context, const Value *map, const char *name) {
        int result = 0;

        for (size_t i = 0; i < map->n_pairs; i++)
                if (!is_step_name(map->pairs[i].key))
                        result = context_fail(context, map->pairs[i].place,
                                              "%s has '%.60s', but names consist of letters, digits and '_', and begin "
                                              "with no digit",
                                              name, map->pairs[i].key);
        return result;
}

static int check_step(Context *context, const Value *step, const char *name) {
        static const char *const kinds[] = { "script", "step", "func" };
        const Value *title = map_get_set(step, "name");
        int result = 0;
        size_t n = 0;

        if (title && !is_step_name(title->string))
                result = context_fail(context, title->place,
                                      "'name' of %s is '%.60s', but it must consist of letters, digits and '_', and "
                                      "begin with no digit",
                                      name, title->string);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                n += map_get_set(step, kinds[i]) ? 1 : 0;
        if (n != 1)
                result = context_fail(context, step->place, "%s needs 'script', 'step' or 'func', and only one of them",
                                      name);
        if (map_get_set(step, "script") && map_get_set(step, "inputs"))
                result = context_fail(context, map_find(step, "inputs")->place,
                                      "%s has 'script' and 'inputs'; give values to a script with 'env'", name);
        return result;
}

static const Shape shape_step_inputs = { .types = SHAPE_MAP, .expect = "a mapping", .check = check_step_names };
static const Shape shape_step_env = {
        .types = SHAPE_MAP, .expect = "a mapping of names and texts", .item = &shape_text, .check = check_step_names
};
static const Shape shape_step_place = { .types = SHAPE_STRING | SHAPE_MAP, .expect = "a text or a mapping" };
static const ShapeKey step_keys[] = {
        { "name", &shape_name, true },
        { "script", &shape_name, false },
        { "step", &shape_step_place, false },
        { "func", &shape_step_place, false },
        { "env", &shape_step_env, false },
        { "inputs", &shape_step_inputs, false },
        { 0 },
};
static const Shape shape_step = { .types = SHAPE_MAP,
                                  .expect = "a step with 'name' and 'script', 'step' or 'func'",
                                  .keys = step_keys,
                                  .check = check_step };
const Shape shape_run = { .types = SHAPE_LIST, .expect = "a list of steps", .item = &shape_step, .not_empty = true };

static const ShapeKey dast_keys[] = { { "site_profile", &shape_text, false },
                                      { "scanner_profile", &shape_text, false },
                                      { 0 } };
const Shape shape_dast = { .types = SHAPE_MAP, .expect = "a mapping", .keys = dast_keys };

static const ShapeKey child_keys[] = {
        { "local", &shape_text, false },
        { "template", &shape_text, false },
        { "artifact", &shape_text, false },
        { "job", &shape_text, false },
        { "project", &shape_text, false },
        { "file", &shape_text_or_texts, false },
        { "ref", &shape_text, false },
        { "component", &shape_text, false },
        { "remote", &shape_text, false },
        { "inputs", &shape_any_map, false },
        { 0 },
};

static int check_child(Context *context, const Value *value, const char *name) {
        if (value->type != VALUE_MAP)
                return 0;
        if (map_get_set(value, "artifact") && !map_get_set(value, "job"))
                return context_fail(context, value->place, "%s has 'artifact' and needs 'job', the job that makes it",
                                    name);
        return 0;
}

static const Shape shape_child = {
        .types = SHAPE_STRING | SHAPE_MAP, .expect = "a path or a mapping", .keys = child_keys, .check = check_child
};
static const Shape shape_child_list = { .types = SHAPE_STRING | SHAPE_LIST,
                                        .expect = "a path or a list of at most 3 paths and mappings",
                                        .item = &shape_child,
                                        .max = 3 };
static const char *const strategies[] = { "depend", "mirror", NULL };
static const Shape shape_strategy = { A_TEXT, .words = strategies };
static const ShapeKey forward_keys[] = { { "yaml_variables", &shape_boolean, false },
                                         { "pipeline_variables", &shape_boolean, false },
                                         { 0 } };
static const Shape shape_forward = { .types = SHAPE_MAP, .expect = "a mapping", .keys = forward_keys };
static const ShapeKey trigger_keys[] = {
        { "project", &shape_name, false },
        { "branch", &shape_text, false },
        { "strategy", &shape_strategy, false },
        { "forward", &shape_forward, false },
        { "inputs", &shape_any_map, false },
        { "include", &shape_child_list, false },
        { 0 },
};

static int check_trigger(Context *context, const Value *value, const char *name) {
        static const char *const of_project[] = { "branch", "inputs" };

        if (value->type == VALUE_MAP &&
            (map_get_set(value, "project") != NULL) == (map_get_set(value, "include") != NULL))
                return context_fail(context, value->place, "%s needs either 'project' or 'include'", name);
        for (size_t i = 0; map_get_set(value, "include") && i < ELEMENTSOF(of_project); i++)
                if (map_get_set(value, of_project[i]))
                        return context_fail(context, map_find(value, of_project[i])->place,
                                            "%s has '%s', which does not go with 'include'", name, of_project[i]);
        return 0;
}

const Shape shape_trigger = { .types = SHAPE_STRING | SHAPE_MAP,
                              .expect = "a project, or a mapping with 'project' or 'include'",
                              .keys = trigger_keys,
                              .not_empty = true,
                              .check = check_trigger };
