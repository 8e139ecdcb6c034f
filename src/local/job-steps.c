/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the commands for the keyword `run`. job-script.c puts them where a job's own commands are otherwise, and worker.c asks
 * why they failed. No step may be left out: what only step-runner can do ends the job if there is none. Pure. */

#include "local/job-steps.h"

#include "base/string.h"
#include "local/quote.h"

#define BEGIN "${{"
#define END "}}"
#define BLANKS " \t\n"

/* The value of `vars.NAME`, or `job.NAME` as it was called first (@size bytes). step-runner has only these variables where
 * GitLab Runner's custom executor starts it. NULL: it is something else. */
static const char *evaluate(const LocalJob *job, const char *expression, size_t size) {
        static const char *const prefixes[] = { "CI_", "DOCKER_", "GITLAB_" };
        const char *text = arena_copy(job->arena, expression, size), *name = startswith(text, "vars.");

        if (!name)
                name = startswith(text, "job.");

        for (size_t i = 0; name && i < ELEMENTSOF(prefixes); i++)
                if (startswith(name, prefixes[i]))
                        return local_variable(job, name, NULL);
        return NULL;
}

/* @text with the values of its expressions; NULL: we cannot evaluate one. */
static const char *interpolate(const LocalJob *job, const char *text) {
        Text result = { .arena = job->arena };
        const char *begin, *end;

        while ((begin = strstr(text, BEGIN))) {
                const char *expression = begin + strlen(BEGIN) + strspn(begin + strlen(BEGIN), BLANKS);
                size_t size = strcspn(expression, BLANKS "}");

                end = expression + size + strspn(expression + size, BLANKS);
                const char *value = startswith(end, END) ? evaluate(job, expression, size) : NULL;
                if (!value)
                        return NULL;
                text_add(&result, text, (size_t) (begin - text));
                text_add_string(&result, value);
                text = end + strlen(END);
        }
        text_add_string(&result, text);
        return text_get(&result);
}

static const char *name_of(const Value *step) {
        const Value *name = map_get(step, "name");

        return value_is(name, VALUE_STRING) ? name->string : "";
}

/* Without variables of the shell: only step-runner knows what they are there. */
static const char *step_env(const LocalJob *job, const ValuePair *pair) {
        return value_is_scalar(pair->value) ? interpolate(job, value_to_string(job->arena, pair->value)) : NULL;
}

static const char *step_script(const LocalJob *job, const Value *step) {
        const Value *script = map_get(step, "script");

        return value_is(script, VALUE_STRING) ? interpolate(job, script->string) : NULL;
}

static const char *why(const LocalJob *job, const Value *step) {
        const Value *env = map_get_set(step, "env");

        if (!map_get_set(step, "script"))
                return "is no script";
        if (!step_script(job, step))
                return "has an expression other than ${{ vars.CI_... }}";
        for (size_t i = 0; env && i < env->n_pairs; i++)
                if (!step_env(job, env->pairs + i))
                        return "has an expression other than ${{ vars.CI_... }}";
        return NULL;
}

const char *local_steps_need(const LocalJob *job) {
        const Value *run = map_get_set(job->job->config, "run");

        for (size_t i = 0; run && i < run->n_items; i++) {
                const char *reason = why(job, run->items[i]);

                if (reason)
                        return arena_printf(
                                job->arena,
                                "step '%.100s' %s, so 'run' needs step-runner, which the image does not have",
                                name_of(run->items[i]), reason);
        }
        return NULL;
}

/* As step-runner does it: the shell goes on after a command that fails, and whatever status it ends with becomes 1. */
static void add_step(const LocalJob *job, const Value *step, bool posix, Text *text) {
        const Value *env = map_get_set(step, "env");

        text_add_string(text, "echo ");
        text_add_quoted(text, arena_printf(job->arena, "\033[32;1mRunning step name=%s\033[0;m", name_of(step)), posix);
        text_add_string(text, "\nenv ");
        for (size_t i = 0; env && i < env->n_pairs; i++) {
                const char *value = step_env(job, env->pairs + i);

                text_add_quoted(text, arena_printf(job->arena, "%s=%s", env->pairs[i].key, value), posix);
                text_add(text, " ", 1);
        }
        text_add_string(text, "\"$(command -v bash || command -v sh)\" -c ");
        text_add_quoted(text, step_script(job, step), posix);
        text_add_string(text, " || exit 1\n");
}

void local_steps(const LocalJob *job, bool posix, Text *text) {
        const Value *run = map_get_set(job->job->config, "run");
        const char *need = local_steps_need(job);
        Text json = { .arena = job->arena };

        value_to_json(&json, run);
        text_add_string(text, "if command -v step-runner > /dev/null\nthen\nexport STEPS=");
        text_add_quoted(text, text_get(&json), posix);
        text_add_string(text, "\nstep-runner ci\nelse\n");
        if (need) {
                text_add_string(text, "echo ");
                text_add_quoted(text, arena_printf(job->arena, "\033[31;1mERROR: %s\033[0;m", need), posix);
                text_printf(text, " >&2\nexit %d\n", LOCAL_STEPS_EXIT_STATUS);
        }
        for (size_t i = 0; !need && i < run->n_items; i++)
                add_step(job, run->items[i], posix, text);
        text_add_string(text, "fi\n");
}
