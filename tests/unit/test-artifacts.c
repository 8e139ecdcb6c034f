/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What jobs of `exec` leave in the store for later ones. */

#include "files.h"
#include "pipeline.h"

#include "base/hash.h"
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

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dotenv_of_several, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
