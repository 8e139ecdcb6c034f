/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "gitlab/stage.h"
#include "image/contents.h"
#include "machine/tools-plan.h"

static void test_stages(_unused_ void **state) {
        static const struct {
                const char *stage;
                bool own;
        } table[] = {
                { "prepare_script", true },
                { "get_sources", true },
                { "clear_worktree", true },
                { "restore_cache", true },
                { "download_artifacts", true },
                { "archive_cache", true },
                { "archive_cache_on_failure", true },
                { "upload_artifacts_on_success", true },
                { "upload_artifacts_on_failure", true },
                { "cleanup_file_variables", true },
                /* those of the job, and those that nobody knows */
                { "build_script", false },
                { "step_script", false },
                { "step_get_sources", false },
                { "after_script", false },
                { "get_sources_", false },
                { "get_source", false },
                { "GET_SOURCES", false },
                { "", false },
                { NULL, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(gitlab_stage_is_own(table[i].stage) == table[i].own, i, table[i].stage);
}

/* A file in a tree, with the directories above it. */
static void add_file(const char *tree, const char *path, const char *text, mode_t mode) {
        _cleanup_free_ char *file = NULL, *directory = NULL;

        assert_int_equal(string_printf(&file, "%s%s", tree, path), 0);
        assert_int_equal(string_replace(&directory, file), 0);
        *strrchr(directory, '/') = 0;
        assert_int_equal(mkdir_parents(directory, 0755), 0);
        _cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
}

static int open_tree_of(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_powershell(_unused_ void **state) {
        static const char *const others[] = { NULL, "", "bash", "/bin/sh", "/opt/pwsh/bash", "pwsh-preview" };

        assert_true(gitlab_shell_is_powershell("pwsh"));
        assert_true(gitlab_shell_is_powershell("/usr/bin/pwsh"));
        assert_true(gitlab_shell_is_powershell("powershell"));
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                assert_row(!gitlab_shell_is_powershell(others[i]), i, others[i]);
}

static const char *lacks(int fd, char *const *environment) {
        const char *lack;

        assert_int_equal(image_lacks(fd, environment, &lack), 0);
        return lack;
}

static void test_lacks(void **state) {
        const char *tree = *state;
        char *own_path[] = { (char *) "PATH=/opt/git:/bin", NULL }, *other[] = { (char *) "A=PATH=/opt/git", NULL };
        _cleanup_close_ int fd = open_tree_of(tree);
        _cleanup_free_ char *link = NULL;

        assert_string_equal(lacks(fd, NULL), "git");
        add_file(tree, "/opt/git/git", "x", 0755);
        assert_string_equal(lacks(fd, NULL), "git");
        assert_string_equal(lacks(fd, other), "git");
        assert_string_equal(lacks(fd, own_path), "bash");
        add_file(tree, "/usr/bin/git", "x", 0644); /* not executable */
        assert_string_equal(lacks(fd, NULL), "git");
        add_file(tree, "/usr/bin/git", "x", 0755);
        assert_string_equal(lacks(fd, NULL), "bash");
        add_file(tree, "/bin/bash", "", 0755); /* empty */
        assert_string_equal(lacks(fd, NULL), "bash");
        add_file(tree, "/usr/local/bin/bash", "x", 0755);
        assert_string_equal(lacks(fd, NULL), "certificates");
        add_file(tree, "/etc/ssl/certs/ca-certificates.crt", "", 0644);
        assert_string_equal(lacks(fd, NULL), "certificates");

        /* A link that leads into the tree, as it is seen from inside; one to a file of the host's leads nowhere. */
        assert_int_equal(string_printf(&link, "%s/etc/ssl/cert.pem", tree), 0);
        assert_int_equal(symlink("/proc/self/maps", link), 0);
        assert_string_equal(lacks(fd, NULL), "certificates");
        assert_int_equal(unlink(link), 0);
        assert_int_equal(symlink("/bundle", link), 0);
        add_file(tree, "/bundle", "x", 0444);
        assert_null(lacks(fd, NULL));
}

/* What is in an image may be anything: nothing waits at it. */
static void test_lacks_hostile(void **state) {
        _cleanup_free_ char *fifo = NULL, *directory = NULL;
        const char *tree = *state;
        _cleanup_close_ int fd = open_tree_of(tree);

        add_file(tree, "/bin/bash", "x", 0755);
        add_file(tree, "/bin/git", "x", 0755);
        assert_int_equal(string_printf(&directory, "%s/etc/ssl", tree), 0);
        assert_int_equal(mkdir_parents(directory, 0755), 0);
        assert_int_equal(string_printf(&fifo, "%s/cert.pem", directory), 0);
        assert_int_equal(mkfifo(fifo, 0755), 0);
        assert_string_equal(lacks(fd, NULL), "certificates");
        char *long_path[] = { calloc(1, 8192), NULL };
        assert_non_null(long_path[0]);
        strcpy(long_path[0], "PATH=/");
        memset(long_path[0] + 6, 'a', 8000);
        assert_string_equal(lacks(fd, long_path), "git");
        free(long_path[0]);
}

static void plan(Machine *machine, const char *tree, const char *bash, const char *runner, int result,
                 Problem *problem) {
        _cleanup_close_ int fd = open_tree_of(tree);

        assert_int_equal(settings_init(&machine->settings), 0);
        assert_int_equal(string_replace(&machine->settings.bash_program, bash), 0);
        assert_int_equal(string_replace(&machine->settings.runner_program, runner), 0);
        assert_int_equal(tools_plan(machine, fd, -EBADF, problem), result);
}

static void machine_done(Machine *machine) {
        free(machine->bash_path);
        free(machine->runner_path);
        settings_done(&machine->settings);
        *machine = (Machine){ 0 };
}

static void test_plan(void **state) {
        _cleanup_free_ char *program = NULL, *link = NULL, *real = realpath(*state, NULL);
        Problem problem = { 0 };
        const char *tree = *state;
        Machine machine = { 0 };

        assert_non_null(real);
        add_file(tree, "/host/program", "x", 0755);
        assert_int_equal(string_printf(&program, "%s/host/program", real), 0);
        assert_int_equal(string_printf(&link, "%s/link", real), 0);
        assert_int_equal(symlink("host/program", link), 0);

        plan(&machine, tree, "none", "none", 0, &problem);
        assert_null(machine.bash_path);
        assert_null(machine.runner_path);
        machine_done(&machine);

        /* The plan has real paths. */
        plan(&machine, tree, link, link, 0, &problem);
        assert_string_equal(machine.bash_path, program);
        assert_string_equal(machine.runner_path, program);
        machine_done(&machine);

        /* An image that has bash needs none: what the setting says is not even looked at. */
        add_file(tree, "/bin/bash", "x", 0755);
        plan(&machine, tree, "/nowhere", "none", 0, &problem);
        assert_null(machine.bash_path);
        machine_done(&machine);

        /* The helper's tree has none: then it is for that one, whatever shell the job's scripts have. */
        {
                _cleanup_close_ int fd = open_tree_of(tree), helper_fd = -EBADF;
                _cleanup_free_ char *helper = NULL;

                assert_int_equal(string_printf(&helper, "%s/empty", tree), 0);
                assert_int_equal(mkdir(helper, 0755), 0);
                helper_fd = open_tree_of(helper);
                assert_int_equal(settings_init(&machine.settings), 0);
                assert_int_equal(string_replace(&machine.settings.bash_program, link), 0);
                assert_int_equal(string_replace(&machine.settings.shell, "/bin/sh"), 0);
                assert_int_equal(tools_plan(&machine, fd, helper_fd, &problem), 0);
                assert_string_equal(machine.bash_path, program);
                machine_done(&machine);
        }

        assert_int_equal(chmod(program, 0754), 0);
        plan(&machine, tree, "auto", program, -EINVAL, &problem);
        assert_non_null(strstr(problem.text, "runner_program"));
        assert_null(machine.runner_path);
        machine_done(&machine);
}

/* What `auto` finds in PATH; this test's own parent is not called gitlab-runner. */
static void test_auto(void **state) {
        _cleanup_free_ char *before = strdup(getenv("PATH")), *real = NULL;
        Problem problem = { 0 };
        const char *tree = *state;
        Machine machine = { 0 };

        assert_non_null(before);
        add_file(tree, "/gitlab-runner", "x", 0755);
        assert_int_equal(setenv("PATH", tree, true), 0);
        plan(&machine, tree, "auto", "auto", 0, &problem);
        real = realpath(tree, NULL);
        assert_non_null(real);
        assert_non_null(machine.runner_path);
        assert_non_null(startswith(machine.runner_path, real));
        machine_done(&machine);

        assert_int_equal(setenv("PATH", "/nowhere", true), 0);
        plan(&machine, tree, "auto", "auto", 0, &problem);
        assert_null(machine.runner_path);
        assert_string_equal(problem.text, "");
        machine_done(&machine);
        assert_int_equal(setenv("PATH", before, true), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_powershell),
        cmocka_unit_test_setup_teardown(test_lacks, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_lacks_hostile, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_plan, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_auto, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
