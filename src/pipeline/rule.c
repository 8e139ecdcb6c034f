/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Evaluates rules: conditions, changed files and existing files. Called for each job, for the workflow and for
 * includes. Rules were checked by rule-check.c before; here only their values matter. It must change nothing, and read
 * no file except through the request's provider. */

#include "pipeline/rule.h"

#include "base/string.h"
#include "pipeline/expression.h"
#include "pipeline/glob.h"
#include "pipeline/mask.h"
#include "pipeline/rule-check.h"

#define COMPARISONS_MAX 50000 /* of globs with paths in one rule; beyond that, GitLab assumes a match */

static const char *scope_variable(void *userdata, const char *name) {
        return variables_get(userdata, name);
}

static const char *expand_glob(RuleScope *scope, const char *text) {
        const char *loop;

        if (!strpbrk(text, "$%"))
                return text;
        if (!scope->expanded) {
                Variables *expanded = arena_new(scope->variables->arena, Variables);

                (void) variables_expand_nested(scope->variables, true, expanded, &loop);
                scope->expanded = expanded;
        }
        return variables_expand(scope->expanded, text, true);
}

/* Lists the variables of an expression, as in "$A is "x", $B is not set". */
static void trace_variables(Text *trace, const Expression *expression, const RuleScope *scope) {
        const char *name;

        for (size_t i = 0; (name = expression_variable(expression, i)); i++) {
                const Variable *variable = variables_find(scope->variables, name);

                text_printf(trace, "%s$%s %s", i > 0 ? ", " : " (", name, variable ? "is " : "is not set");
                if (variable)
                        json_add_string(trace, mask_value(scope->variables, variable));
        }
        if (expression_variable(expression, 0))
                text_add_string(trace, ")");
}

static int match_if(Context *context, const Value *value, RuleScope *scope, Text *trace) {
        ExpressionNames names = { .variable = scope_variable, .userdata = (void *) scope->variables };
        Expression *expression;
        ExpressionError error;

        if (trace)
                text_printf(trace, "if: %s", value->string);
        if (expression_parse(context->arena, &context->regexes, value->string, &expression, &error) < 0)
                return 0;
        int r = expression_evaluate(expression, &names, &error);
        if (trace) {
                text_add_string(trace, r > 0 ? " -> true" : " -> false");
                trace_variables(trace, expression, scope);
                if (r < 0)
                        text_printf(trace, " (%s)", error.text);
        }
        return r < 0 ? 0 : r;
}

static int match_regexp(Context *context, const Value *regexp, char *const *paths, const char **ret_path) {
        const Regex *regex;
        const char *reason;

        if (regex_compile(&context->regexes, regexp->string, REGEX_RUBY, &regex, &reason) < 0)
                return context_fail(context, regexp->place, "'regexp': %s", reason);
        for (; *paths; paths++)
                if (regex_search(regex, *paths) > 0) {
                        *ret_path = *paths;
                        return 1;
                }
        return 0;
}

/* Returns the index of the first of the sorted @paths that is not less than @path. */
static size_t lower_bound(char *const *paths, size_t n, const char *path) {
        size_t low = 0;

        while (n > 0) {
                size_t half = n / 2;

                if (strcmp(paths[low + half], path) < 0) {
                        low += half + 1;
                        n -= half + 1;
                } else
                        n = half;
        }
        return low;
}

/* For a glob that means all files with some ending in any directory, returns that ending; NULL for other globs. */
static const char *glob_suffix(const char *glob) {
        const char *suffix = startswith(glob, "**/*.");

        return suffix && !strchr(suffix, '/') && !glob_is_pattern(suffix) ? suffix - 1 : NULL;
}

/* Returns the first path that @glob matches, or NULL. Each comparison with a real pattern takes one of @budget; when
 * the budget is used up, that counts as a match. */
static const char *match_glob(const char *glob, char *const *paths, size_t n_paths, bool directories, size_t *budget) {
        const char *suffix = glob_suffix(glob);

        if (!glob_is_pattern(glob)) {
                size_t at = lower_bound(paths, n_paths, glob);
                bool below = directories && endswith(glob, "/");

                return at < n_paths && (below ? startswith(paths[at], glob) != NULL : streq(paths[at], glob)) ?
                               paths[at] :
                               NULL;
        }
        for (char *const *path = paths; *path; path++) {
                if (suffix ? endswith(*path, suffix) != NULL : glob_match(glob, *path))
                        return *path;
                if (!suffix && (*budget)-- == 0)
                        return "too many paths to compare";
        }
        return NULL;
}

/* Does one of the globs in @globs (a list, or one text) match one of the sorted paths? With @of_tree, the paths are a
 * whole tree: "a/" means a directory, and comparisons are counted while they are made. Otherwise their number is
 * computed before the first one. */
static int match_globs(const Value *globs, char *const *paths, RuleScope *scope, bool of_tree, const char **ret_path) {
        size_t n = globs->type == VALUE_LIST ? globs->n_items : 1, n_paths = strv_length(paths),
               budget = COMPARISONS_MAX;

        if (!of_tree && n * n_paths > COMPARISONS_MAX) {
                *ret_path = "too many paths to compare";
                return 1;
        }
        for (size_t i = 0; i < n; i++) {
                const char *glob = expand_glob(scope, (globs->type == VALUE_LIST ? globs->items[i] : globs)->string);

                *ret_path = match_glob(glob, paths, n_paths, of_tree, &budget);
                if (*ret_path)
                        return 1;
        }
        return 0;
}

static void trace_files(Text *trace, const char *what, int r, const char *path) {
        if (!trace)
                return;
        text_printf(trace, "%s -> %s", what, r > 0 ? "true" : "false");
        if (path)
                text_printf(trace, " (%s)", path);
}

static int match_changes(Context *context, const Value *changes, RuleScope *scope, Text *trace) {
        const PipelineProvider *provider = context->request->provider;
        const Value *compare_to = map_get_set(changes, "compare_to"), *regexp = map_get_set(changes, "regexp");
        const Value *globs = changes->type == VALUE_MAP ? map_get_set(changes, "paths") : changes;
        const char *revision = compare_to ? expand_glob(scope, compare_to->string) : NULL, *path = NULL;
        char *const *paths;

        int r = provider->changes(provider->userdata, revision, &paths);
        if (r == -ENODATA) {
                trace_files(trace, "changes", 1, "nothing to compare with, so everything counts as changed");
                return 1;
        }
        if (r == -ENOENT && compare_to)
                return context_fail(context, compare_to->place,
                                    "'compare_to' names '%s', which is no branch, tag or commit here", revision);
        if (r == -ENOLINK && compare_to)
                return context_fail(context, compare_to->place,
                                    "'compare_to' names '%s', which has no commit in common with HEAD here; with a "
                                    "shallow clone, fetch more of its history",
                                    revision);
        if (r < 0)
                return context_fail(context, changes->place, "cannot find out which files changed: %s", strerror(-r));
        r = regexp ? match_regexp(context, regexp, paths, &path) :
            globs  ? match_globs(globs, paths, scope, false, &path) :
                     0;
        trace_files(trace, "changes", r, path);
        return r;
}

static int match_exists(Context *context, const Value *exists, RuleScope *scope, Text *trace) {
        const PipelineProvider *provider = context->request->provider;
        const Value *regexp = map_get_set(exists, "regexp"), *project = map_get_set(exists, "project");
        const Value *globs = exists->type == VALUE_MAP ? map_get_set(exists, "paths") : exists;
        const Value *ref = map_get_set(exists, "ref");
        const PipelineRoot *root = scope->root;
        const char *path = NULL, *why = NULL;
        PipelineRoot other = { .kind = ROOT_PROJECT };
        char *const *paths;

        if (project) {
                other.name = arena_printf(context->arena, "%s/%s", context->request->host,
                                          expand_glob(scope, project->string));
                other.ref = value_is(ref, VALUE_STRING) ? expand_glob(scope, ref->string) : NULL;
                root = &other;
        }
        int r = provider->list(provider->userdata, root, &paths, &why);
        if (r == -EUNATCH)
                return context_fail(context, exists->place, ROOT_MISSING, root->name, root->name);
        if (r == -EREMOTEIO)
                return context_fail(context, exists->place, ROOT_NOT_FETCHED, root->name, why ? why : strerror(-r),
                                    root->name);
        if (r < 0)
                return context_fail(context, exists->place, "cannot list the files of the repository: %s",
                                    strerror(-r));
        r = regexp ? match_regexp(context, regexp, paths, &path) :
            globs  ? match_globs(globs, paths, scope, true, &path) :
                     0;
        trace_files(trace, "exists", r, path);
        return r;
}

static int match_rule(Context *context, const Value *rule, RuleScope *scope, Text *trace) {
        static const struct {
                const char *key;
                int (*match)(Context *context, const Value *value, RuleScope *scope, Text *trace);
        } clauses[] = { { "if", match_if }, { "changes", match_changes }, { "exists", match_exists } };
        bool first = true;

        for (size_t i = 0; i < ELEMENTSOF(clauses); i++) {
                const Value *value = map_get_set(rule, clauses[i].key);

                if (!value)
                        continue;
                if (trace && !first)
                        text_add_string(trace, "; ");
                first = false;
                int r = clauses[i].match(context, value, scope, trace);
                if (r <= 0)
                        return r;
        }
        if (trace && first)
                text_add_string(trace, "no condition -> true");
        return 1;
}

int rules_decide(Context *context, const Value *rules, RuleScope *scope, Text *trace, const Value **ret,
                 size_t *ret_index) {
        *ret = NULL;
        for (size_t i = 0; i < rules->n_items; i++) {
                const Value *rule = rules->items[i];

                if (trace)
                        text_printf(trace, "rule %zu (%s:%u): ", i + 1, rule->place.file ? rule->place.file : "?",
                                    rule->place.line);
                int r = match_rule(context, rule, scope, trace);
                if (trace)
                        text_add_string(trace, "\n");
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret = rule;
                        *ret_index = i;
                        return 0;
                }
        }
        return 0;
}

int rule_include(Context *context, const Value *rules, const PipelineRoot *root) {
        RuleScope scope = { .variables = &context->variables, .root = root };
        const Value *rule;
        size_t i;

        if (!rules)
                return 1;
        rules = rules_check(context, rules, RULES_OF_INCLUDE, "'rules' of an include");
        if (!rules)
                return -EINVAL;
        int r = rules_decide(context, rules, &scope, NULL, &rule, &i);
        if (r < 0)
                return r;
        return rule && !value_is_string(map_get(rule, "when"), "never");
}
