/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "machine/tree-files.h"
#include "tree/remove.h"

#define MACHINE "nspawn-runner-job-image-1"
#define LINE "127.0.1.1\t" MACHINE "\n"

/* One file: a content, a link ("->TARGET"), a directory ("/"), or nothing (NULL). */
static void put(int etc_fd, const char *name, const char *what) {
        (void) remove_tree_at(etc_fd, name);
        if (!what)
                return;
        if (startswith(what, "->"))
                assert_int_equal(symlinkat(what + 2, etc_fd, name), 0);
        else if (streq(what, "/"))
                assert_int_equal(mkdirat(etc_fd, name, 0755), 0);
        else
                assert_int_equal(file_replace_at(etc_fd, name, what, strlen(what), 0640), 0);
}

static bool is(int etc_fd, const char *name, const char *what) {
        _cleanup_free_ char *data = NULL;
        char target[256] = "";
        struct stat st;

        if (fstatat(etc_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return !what && errno == ENOENT;
        if (!what)
                return false;
        if (S_ISLNK(st.st_mode))
                return readlinkat(etc_fd, name, target, sizeof(target) - 1) > 0 && startswith(what, "->") &&
                       streq(target, what + 2);
        if (S_ISDIR(st.st_mode))
                return streq(what, "/");
        return file_read_at(etc_fd, name, 4096, &data, NULL) >= 0 && streq(data, what);
}

#define NO_CHANGE "same"

static void test_restore(void **state) {
        static const struct {
                const char *name, *image, *machine, *work, *result;
        } table[] = {
                /* nobody touched what the machine wrote */
                { "hostname", "old\n", "machine\n", NO_CHANGE, "old\n" },
                { "hostname", NULL, "machine\n", NO_CHANGE, NULL },
                { "machine-id", "", "0123\n", NO_CHANGE, "" },
                { "resolv.conf", "->../run/stub", "nameserver ::1\n", NO_CHANGE, "->../run/stub" },
                { "resolv.conf", "->a", "->b", NO_CHANGE, "->a" },
                { "hosts", "1 a\n", "1 a\n" LINE, NO_CHANGE, "1 a\n" },
                { "hosts", NULL, "1 localhost\n" LINE, NO_CHANGE, NULL },
                /* the machine had nothing to write */
                { "hostname", "old\n", "old\n", NO_CHANGE, "old\n" },
                { "resolv.conf", NULL, NULL, NO_CHANGE, NULL },
                /* the work did */
                { "hostname", "old\n", "machine\n", "new\n", "new\n" },
                { "hostname", "old\n", "machine\n", NULL, NULL },
                { "resolv.conf", "->a", "x\n", "->b", "->b" },
                { "resolv.conf", NULL, "x\n", "y\n", "y\n" },
                { "resolv.conf", "x\n", "x\n", "/", "/" },
                { "hosts", "1 a\n", "1 a\n" LINE, "1 a\n" LINE "2 b\n", "1 a\n2 b\n" },
                { "hosts", "1 a\n", "1 a\n" LINE, LINE, "" },
                { "hosts", "1 a\n", "1 a\n" LINE, "2 b\n", "2 b\n" },
                { "hosts", "1 a\n", "1 a\n" LINE, NULL, NULL },
                /* something that is no file */
                { "hostname", "/", "/", NO_CHANGE, "/" },
                { "machine-id", "/", "0123\n", NO_CHANGE, NULL },
                { "resolv.conf", "/", "x\n", "y\n", "y\n" },
        };
        _cleanup_close_ int tree_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int etc_fd = open_directory_at(tree_fd, "etc", true, 0755);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_tree_files_ TreeFiles *files = NULL;

                put(etc_fd, table[i].name, table[i].image);
                assert_int_equal(tree_files_save(tree_fd, &files), 0);
                put(etc_fd, table[i].name, table[i].machine);
                assert_int_equal(tree_files_note(tree_fd, files), 0);
                if (!streq_null(table[i].work, NO_CHANGE))
                        put(etc_fd, table[i].name, table[i].work);
                assert_int_equal(tree_files_restore(tree_fd, files, MACHINE), 0);
                assert_row(is(etc_fd, table[i].name, table[i].result), i, table[i].result);
                put(etc_fd, table[i].name, NULL);
        }
}

/* Mode and time come back with the content. */
static void test_attributes(void **state) {
        const struct timespec times[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
        _cleanup_close_ int tree_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int etc_fd = open_directory_at(tree_fd, "etc", true, 0755);
        _cleanup_tree_files_ TreeFiles *files = NULL;
        struct stat st;

        assert_int_equal(file_replace_at(etc_fd, "machine-id", "", 0, 0444), 0);
        assert_int_equal(utimensat(etc_fd, "machine-id", times, 0), 0);
        assert_int_equal(tree_files_save(tree_fd, &files), 0);
        put(etc_fd, "machine-id", "0123\n");
        assert_int_equal(tree_files_note(tree_fd, files), 0);
        assert_int_equal(tree_files_restore(tree_fd, files, MACHINE), 0);
        assert_int_equal(fstatat(etc_fd, "machine-id", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0444);
        assert_int_equal(st.st_size, 0);
        assert_int_equal(st.st_mtim.tv_sec, times[1].tv_sec);
        assert_int_equal(st.st_mtim.tv_nsec, times[1].tv_nsec);
}

/* An etc that leads out of the tree leads to the tree's own place of that name, and a link in it is not followed. */
static void test_hostile(void **state) {
        _cleanup_free_ char *outside = NULL;
        _cleanup_close_ int parent_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int outside_fd = open_directory_at(parent_fd, "outside", true, 0755);
        _cleanup_close_ int tree_fd = open_directory_at(parent_fd, "tree", true, 0755);
        _cleanup_tree_files_ TreeFiles *files = NULL, *none = NULL, *nothing = NULL;
        char nowhere[NAME_MAX + 2] = "";

        assert_int_equal(string_printf(&outside, "%s/outside", (char *) *state), 0);
        put(outside_fd, "hostname", "precious\n");
        assert_int_equal(symlinkat(outside, tree_fd, "etc"), 0);
        assert_int_equal(tree_files_save(tree_fd, &files), 0);
        assert_int_equal(tree_files_note(tree_fd, files), 0);
        put(outside_fd, "hostname", "changed\n");
        assert_int_equal(tree_files_restore(tree_fd, files, MACHINE), 0);
        assert_true(is(outside_fd, "hostname", "changed\n"));

        assert_int_equal(unlinkat(tree_fd, "etc", 0), 0);
        memset(nowhere, 'x', sizeof(nowhere) - 1);
        assert_int_equal(symlinkat(nowhere, tree_fd, "etc"), 0); /* too long a name to be there */
        assert_int_equal(tree_files_save(tree_fd, &nothing), 0);

        assert_int_equal(unlinkat(tree_fd, "etc", 0), 0);
        _cleanup_close_ int etc_fd = open_directory_at(tree_fd, "etc", true, 0755);
        put(etc_fd, "hostname", "old\n");
        assert_int_equal(tree_files_save(tree_fd, &none), 0);
        _cleanup_free_ char *target = NULL;
        assert_int_equal(string_printf(&target, "->%s/hostname", outside), 0);
        put(etc_fd, "hostname", target);
        assert_int_equal(tree_files_note(tree_fd, none), 0);
        assert_int_equal(tree_files_restore(tree_fd, none, MACHINE), 0);
        assert_true(is(etc_fd, "hostname", "old\n"));
        assert_true(is(outside_fd, "hostname", "changed\n"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restore, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_attributes, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_hostile, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
