/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Evaluates only and except, the older way of saying when a job runs. decide.c calls this for jobs without rules. It
 * must change nothing of a job. */

#include "pipeline/policy.h"

#include "base/string.h"
#include "pipeline/expression.h"
#include "pipeline/glob.h"

/* Does keyword @pattern mean @source? "push" and "pushes" mean pushes, "merge_requests" means merge_request_event. */
static bool is_source(const char *pattern, const char *source) {
        const char *end = endswith(source, "_event");
        size_t n = end ? (size_t) (end - source) : strlen(source);
        const char *plural = pattern + n;

        if (strncmp(pattern, source, n) != 0)
                return false;
        return !*plural || streq(plural, n > 0 && source[n - 1] == 'h' ? "es" : "s");
}

static bool matches_name(Context *context, const char *pattern, const char *ref) {
        const char *end = strrchr(pattern, '/'), *reason;
        const Regex *regex;
        unsigned flags = 0;

        if (pattern[0] != '/' || end == pattern)
                return streq(pattern, ref);
        for (const char *p = end + 1; *p; p++)
                flags |= *p == 'i' ? REGEX_IGNORE_CASE :
                         *p == 's' ? REGEX_DOT_ALL :
                         *p == 'm' ? REGEX_MULTI_LINE :
                         *p == 'U' ? REGEX_UNGREEDY :
                                     0u;
        if (regex_compile(&context->regexes, arena_copy(context->arena, pattern + 1, (size_t) (end - pattern - 1)),
                          flags, &regex, &reason) < 0)
                return false;
        return regex_search(regex, ref) > 0;
}

static bool matches_ref(Context *context, const char *text) {
        const PipelineRequest *request = context->request;
        bool merge_request = streq(request->source, "merge_request_event");
        const char *at = strchr(text, '@');
        const char *pattern = at ? arena_copy(context->arena, text, (size_t) (at - text)) : text;

        if (at && !streq(at + 1, request->project_path ? request->project_path : ""))
                return false;
        if (streq(pattern, "tags") && request->is_tag)
                return true;
        if (streq(pattern, "branches") && !request->is_tag && !merge_request)
                return true;
        if (is_source(pattern, request->source))
                return true;
        return !merge_request && matches_name(context, pattern, request->ref);
}

static const char *scope_variable(void *userdata, const char *name) {
        return variables_get(userdata, name);
}

static bool matches_variables(Context *context, const Value *list, const RuleScope *scope) {
        ExpressionNames names = { .variable = scope_variable, .userdata = (void *) scope->variables };

        for (size_t i = 0; i < list->n_items; i++) {
                Expression *expression;
                ExpressionError error;

                if (expression_parse(context->arena, &context->regexes, list->items[i]->string, &expression, &error) ==
                            0 &&
                    expression_evaluate(expression, &names, &error) > 0)
                        return true;
        }
        return false;
}

static int matches_changes(Context *context, const Value *list, const RuleScope *scope) {
        const PipelineProvider *provider = context->request->provider;
        char *const *paths;

        int r = provider->changes(provider->userdata, NULL, &paths);
        if (r == -ENODATA)
                return 1;
        if (r < 0)
                return context_fail(context, list->place, "cannot find out which files changed: %s", strerror(-r));
        for (; *paths; paths++)
                for (size_t i = 0; i < list->n_items; i++)
                        if (glob_match(variables_expand(scope->variables, list->items[i]->string, true), *paths))
                                return 1;
        return 0;
}

static bool matches_refs(Context *context, const Value *refs) {
        if (refs->type == VALUE_STRING)
                return matches_ref(context, refs->string);
        for (size_t i = 0; i < refs->n_items; i++)
                if (matches_ref(context, refs->items[i]->string))
                        return true;
        return false;
}

/* Counts the parts of a policy (*ret_parts), and returns how many of them apply. */
static int count(Context *context, const Value *policy, const RuleScope *scope, unsigned *ret_parts) {
        int n = 0;

        *ret_parts = 1;
        if (policy->type != VALUE_MAP)
                return matches_refs(context, policy);
        const Value *refs = map_get_set(policy, "refs"), *variables = map_get_set(policy, "variables");
        const Value *changes = map_get_set(policy, "changes"), *kubernetes = map_get_set(policy, "kubernetes");
        *ret_parts = (refs != NULL) + (variables != NULL) + (changes != NULL) + (kubernetes != NULL);
        if (changes) {
                n = matches_changes(context, changes, scope);
                if (n < 0)
                        return n;
        }
        /* No local pipeline has a cluster: 'kubernetes: active' never applies. */
        return n + (refs && matches_refs(context, refs)) + (variables && matches_variables(context, variables, scope));
}

int policy_includes(Context *context, const Value *only, const Value *except, bool no_default, RuleScope *scope) {
        unsigned parts;

        if (only) {
                int n = count(context, only, scope, &parts);
                if (n < 0 || (unsigned) n < parts)
                        return MIN(n, 0);
        } else if (!no_default && streq(context->request->source, "merge_request_event"))
                return 0;
        if (!except)
                return 1;
        int n = count(context, except, scope, &parts);
        return n < 0 ? n : n == 0;
}
