/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What jobs of `exec` leave in the store for later ones. */

#include "files.h"
#include "pipeline.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/string.h"
#include "local/artifacts.h"
#include "pipeline/dotenv.h"

/* What job @job left. */
static void leave(void **state, const char *job, const char *suffix, const char *content) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *name = NULL;

        assert_int_equal(hash_file_name(job, suffix, &name), 0);
        make_file(dir_fd, name, content, 0600);
}

/* Each job may have as many variables as GitLab allows. One with more has none. */
static void test_dotenv_of_several(void **state) {
        const LocalStore store = { .artifacts = *state };

        TEST_ARENA(arena);
        Variables variables = { .arena = &arena };
        Text text = { .arena = &arena };
        for (unsigned i = 0; i < DOTENV_VARIABLES_MAX; i++)
                text_printf(&text, "A%u=1\n", i);
        leave(state, "first", ".env", text_get(&text));
        leave(state, "second", ".env", "A0=2\nB=2\n");
        text_add_string(&text, "C=3\n");
        leave(state, "third", ".env", text_get(&text));
        leave(state, "fourth", ".env", "D=4\n\n");

        artifacts_read_dotenv(&store, "first", &variables);
        assert_int_equal(variables.n, DOTENV_VARIABLES_MAX);
        artifacts_read_dotenv(&store, "second", &variables);
        assert_int_equal(variables.n, DOTENV_VARIABLES_MAX + 1);
        artifacts_read_dotenv(&store, "third", &variables);
        artifacts_read_dotenv(&store, "fourth", &variables);
        artifacts_read_dotenv(&store, "none", &variables);
        assert_int_equal(variables.n, DOTENV_VARIABLES_MAX + 1);
        assert_string_equal(variables_get(&variables, "A0"), "2");
        assert_string_equal(variables_get(&variables, "B"), "2");
}

static size_t count_runs(const LocalStore *store) {
        _cleanup_free_ char *path = NULL;
        _cleanup_strv_ char **names = NULL;

        assert_int_equal(string_printf(&path, "%s/runs", store->path), 0);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(directory_names(fd, &names), 0);
        return strv_length(names);
}

static void open_store(LocalStore *ret) {
        *ret = (LocalStore){ 0 };
        assert_int_equal(store_open("/top", ret), 0);
}

/* What a run has is its own, until it ends. What killed ones left goes, and what living ones have stays. */
static void test_runs(void **state) {
        LocalStore first, second;

        assert_int_equal(setenv("XDG_STATE_HOME", *state, true), 0);
        open_store(&first);
        open_store(&second);
        assert_int_equal(count_runs(&first), 2);
        pid_t pid = fork();
        if (pid == 0) {
                LocalStore killed;
                _cleanup_free_ char *fresh = NULL;

                /* The lock of its parent is its parent's. */
                if (store_open("/top", &killed) < 0 || keeper_fresh(&killed, &fresh) < 0 ||
                    open(fresh, O_WRONLY | O_CREAT, 0600) < 0)
                        _exit(EXIT_FAILURE);
                _exit(EXIT_SUCCESS);
        }
        int status;
        assert_true(pid > 0 && process_wait(pid, &status) == 0 && status == 0);
        assert_int_equal(count_runs(&first), 3);
        store_done(&second);
        assert_int_equal(count_runs(&first), 2);
        open_store(&second);
        assert_int_equal(count_runs(&first), 2);
        assert_int_equal(access(first.run, F_OK), 0);
        store_done(&first);
        store_done(&second);
        assert_int_equal(unsetenv("XDG_STATE_HOME"), 0);
}

/* A job that leaves a file with this content, as artifacts_upload() does. */
static void run_job(const LocalStore *store, const char *job, const char *content) {
        _cleanup_free_ char *fresh = NULL, *name = NULL, *path = NULL, *own = NULL;

        assert_int_equal(artifacts_forget(store, job), 0);
        if (!content)
                return;
        assert_int_equal(keeper_fresh(store, &fresh), 0);
        make_file(AT_FDCWD, fresh, content, 0600);
        assert_int_equal(hash_file_name(job, ".env", &name), 0);
        assert_int_equal(string_printf(&path, "%s/%s", store->artifacts, name), 0);
        assert_int_equal(string_printf(&own, "%s/%s", store->run, name), 0);
        assert_int_equal(keeper_publish(fresh, path, own), 0);
        assert_true(access(fresh, F_OK) < 0);
}

static void assert_value(const LocalStore *store, const char *job, const char *value) {
        TEST_ARENA(arena);
        Variables variables = { .arena = &arena };

        artifacts_read_dotenv(store, job, &variables);
        const char *found = variables_get(&variables, "A");
        assert_true(value ? found && streq(found, value) : !found);
}

/* Jobs of a run get what its own jobs left, and of other jobs what there was last. */
static void test_own_artifacts(void **state) {
        LocalStore first, second, third;

        assert_int_equal(setenv("XDG_STATE_HOME", *state, true), 0);
        open_store(&first);
        open_store(&second);
        open_store(&third);
        run_job(&first, "job", "A=1\n");
        assert_value(&first, "job", "1");
        assert_value(&third, "job", "1");
        run_job(&second, "job", NULL); /* it has begun */
        assert_value(&first, "job", "1");
        assert_value(&second, "job", NULL);
        assert_value(&third, "job", NULL);
        run_job(&second, "job", "A=2\n");
        assert_value(&first, "job", "1");
        assert_value(&third, "job", "2");
        run_job(&first, "job", NULL); /* again */
        assert_value(&first, "job", NULL);
        assert_value(&second, "job", "2");
        store_done(&first);
        store_done(&second);
        store_done(&third);
        assert_int_equal(unsetenv("XDG_STATE_HOME"), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_own_artifacts, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_dotenv_of_several, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
