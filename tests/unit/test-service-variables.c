/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/id.h"
#include "base/string.h"
#include "gitlab/environment.h"
#include "gitlab/service-variables.h"

#define VARIABLE(name, text, is_public, is_raw) \
        { .key = strdup(name), .value = strdup(text), .public = is_public, .raw = is_raw }

static int name_services(JobSpec *job) {
        _cleanup_name_table_ NameTable variables = { 0 };

        int r = gitlab_variables(&variables);
        return r < 0 ? r : gitlab_name_services(job, &variables);
}

static bool has(char *const *environment, const char *assignment) {
        for (; environment && *environment; environment++)
                if (streq(*environment, assignment))
                        return true;
        return false;
}

static int fill(JobVariables *variables, const JobVariable *items, size_t n) {
        variables->items = calloc(n, sizeof(*items));
        if (!variables->items)
                return -ENOMEM;
        memcpy(variables->items, items, n * sizeof(*items));
        variables->n = n;
        return 0;
}

static void test_complete(_unused_ void **state) {
        const JobVariable of_job[] = {
                VARIABLE("PUBLIC", "raw $X", true, false), VARIABLE("SECRET", "s", false, false),
                VARIABLE("TWICE", "1", true, false),       VARIABLE("TWICE", "2", false, false),
                VARIABLE("SHOWN", "1", false, false),      VARIABLE("SHOWN", "2", true, false),
                VARIABLE("FILE", "content", true, false),  VARIABLE("OTHER", "content", false, false),
        };
        const JobVariable of_service[] = {
                VARIABLE("PASSWORD", "$SECRET-${PUBLIC}", false, false), VARIABLE("RAW", "$SECRET", false, true),
                VARIABLE("URL", "x/$PASSWORD$NONE$$", false, false),     VARIABLE("FILE", "own", false, false),
                VARIABLE("PATHS", "$FILE $OTHER", false, false),         VARIABLE("PUBLIC", "mine", false, false),
        };
        _cleanup_job_spec_ JobSpec job = { .n_services = 2 };
        size_t n;

        job.services = calloc(2, sizeof(*job.services));
        assert_non_null(job.services);
        assert_int_equal(fill(&job.variables, of_job, ELEMENTSOF(of_job)), 0);
        assert_int_equal(fill(&job.services[0].variables, of_service, ELEMENTSOF(of_service)), 0);
        assert_int_equal(strv_extend(&job.secret_names, "VAULT"), 0);
        n = job.variables.n;
        job.variables.items[n - 1].file = job.variables.items[n - 2].file = true;
        job.services[0].variables.items[3].file = true;
        job.services[0].name = strdup("db:$TAG");
        job.services[0].alias = strdup("a ${TAG}x");
        job.services[0].user = strdup("$TAG");

        const char *const claimed[] = { "PUBLIC=expanded",
                                        "SECRET=s",
                                        "TWICE=2",
                                        "SHOWN=2",
                                        "CI_SERVER=yes",
                                        "CI_JOB_SERVICES=[]",
                                        "TAG=16",
                                        "FILE=content",
                                        "OTHER=content",
                                        "RUNNER_TEMP_PROJECT_DIR=/b.tmp",
                                        "VAULT=from it",
                                        "VAULT2=y",
                                        "CI_SERVER_TLS_KEY_FILE=key" };
        for (size_t i = 0; i < ELEMENTSOF(claimed); i++) {
                _cleanup_free_ char *name = NULL;

                n = strcspn(claimed[i], "=");
                assert_int_equal(string_printf(&name, "CUSTOM_ENV_%.*s", (int) n, claimed[i]), 0);
                assert_int_equal(setenv(name, claimed[i] + n + 1, 1), 0);
        }
        setenv("PLAIN", "1", 1);
        assert_int_equal(name_services(&job), 0);
        assert_int_equal(gitlab_fill_services(&job), 0);

        assert_string_equal(job.services[0].name, "db:16");
        assert_string_equal(job.services[0].alias, "a 16x");
        assert_string_equal(job.services[0].user, "16");
        char **seen = job.services[1].environment;
        assert_true(has(seen, "PUBLIC=expanded") && has(seen, "SHOWN=2") && has(seen, "CI_SERVER=yes"));
        assert_false(has(seen, "SECRET=s") || has(seen, "TWICE=2") || has(seen, "CI_JOB_SERVICES=[]"));
        assert_false(has(seen, "VAULT=from it") || has(seen, "CI_SERVER_TLS_KEY_FILE=key"));
        assert_true(has(seen, "VAULT2=y"));
        assert_false(has(seen, "PLAIN=1") || has(seen, "OTHER=content") || has(seen, "OTHER=/b.tmp/OTHER"));
        assert_true(has(seen, "FILE=/b.tmp/FILE") && !has(seen, "FILE=content"));
        seen = job.services[0].environment;
        assert_true(has(seen, "PASSWORD=s-expanded") && has(seen, "RAW=$SECRET"));
        assert_true(has(seen, "URL=x/s-expanded$") && has(seen, "FILE=/b.tmp/FILE") && !has(seen, "FILE=own"));
        assert_true(has(seen, "PATHS=/b.tmp/FILE /b.tmp/OTHER"));
        assert_string_equal(seen[strv_length(seen) - 1], "PUBLIC=mine"); /* over the job's, which comes before */
}

/* Each variable is a hundred times the one before: they would need more memory than any host has. */
static void test_multiplied(_unused_ void **state) {
        char text[1024] = "", names[] = "ABCDEFG";
        _cleanup_job_spec_ JobSpec job = { .n_services = 1 };

        job.services = calloc(1, sizeof(*job.services));
        assert_non_null(job.services);
        JobVariables *variables = &job.services[0].variables;
        variables->items = calloc(strlen(names), sizeof(*variables->items));
        assert_non_null(variables->items);
        for (size_t i = 0; i < strlen(names); i++) {
                memset(text, 'x', 1000);
                for (size_t k = 0; i > 0 && k < 100; k++)
                        snprintf(text + 2 * k, sizeof(text) - 2 * k, "$%c", names[i - 1]);
                variables->items[variables->n++] = (JobVariable){ .key = strndup(names + i, 1),
                                                                  .value = strdup(text),
                                                                  .public = true };
        }
        job.services[0].name = strdup("$LONG");
        memset(text, 'y', 1000);
        char *all = NULL;
        for (size_t i = 0; i < 200; i++)
                assert_int_equal(string_append(&all, "", "%.1000s", text), 0);
        assert_int_equal(setenv("CUSTOM_ENV_LONG", all, 1), 0);
        free(all);
        assert_int_equal(name_services(&job), 0);
        assert_string_equal(job.services[0].name, "$LONG");
        assert_int_equal(gitlab_fill_services(&job), -E2BIG);
        assert_int_equal(unsetenv("CUSTOM_ENV_LONG"), 0);
}

/* What each of them may have, they may not have together. */
static void test_together(_unused_ void **state) {
        enum { BYTES = 100000, N_OWN = 10 };
        _cleanup_job_spec_ JobSpec job = { .n_services = ID_SERVICES_MAX };
        _cleanup_free_ char *value = malloc(BYTES + 1);

        memset(value, 'x', BYTES);
        value[BYTES] = 0;
        job.services = calloc(job.n_services, sizeof(*job.services));
        for (size_t i = 0; i < job.n_services; i++) {
                JobVariables *variables = &job.services[i].variables;

                variables->items = calloc(N_OWN, sizeof(*variables->items));
                for (; variables->n < N_OWN; variables->n++)
                        variables->items[variables->n] = (JobVariable){ .key = strdup("V"), .value = strdup(value) };
        }
        assert_int_equal(gitlab_fill_services(&job), -E2BIG);
        assert_null(job.services[40].environment);
}

/* However many there are, and however often they are referred to, each is looked up quickly. */
static void test_many_variables(_unused_ void **state) {
        enum { N_OF_JOB = 50000, N_OWN = 20000, N_REFERENCES = 50000 };
        _cleanup_job_spec_ JobSpec job = { .n_services = 1 };
        char key[32], *text = malloc(2 * N_REFERENCES + 1);

        assert_int_equal(unsetenv("CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR"), 0);
        job.services = calloc(1, sizeof(*job.services));
        job.variables.items = calloc(N_OF_JOB, sizeof(JobVariable));
        for (; job.variables.n < N_OF_JOB; job.variables.n++) {
                snprintf(key, sizeof(key), "JOB_%zu", job.variables.n);
                job.variables.items[job.variables.n] = (JobVariable) VARIABLE(key, "x", true, false);
                job.variables.items[job.variables.n].file = true;
        }
        JobVariables *own = &job.services[0].variables;
        own->items = calloc(N_OWN + 5, sizeof(JobVariable));
        for (; own->n < N_OWN; own->n++) {
                snprintf(key, sizeof(key), "OWN_%zu", own->n);
                own->items[own->n] = (JobVariable) VARIABLE(key, "$JOB_7", true, false);
        }
        for (size_t i = 0; i < N_REFERENCES; i++)
                memcpy(text + 2 * i, "$X", 3);
        for (size_t i = 0; i < 5; i++)
                own->items[own->n++] = (JobVariable) VARIABLE("LAST", text, true, false);
        free(text);
        assert_int_equal(gitlab_fill_services(&job), 0);
        assert_true(has(job.services[0].environment, "OWN_19999=x") && has(job.services[0].environment, "LAST="));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_multiplied),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_many_variables),
};
UNIT_FILE(tests);
