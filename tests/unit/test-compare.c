/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "tree/compare.h"

static void make_old_file(int dir_fd, const char *name, const char *content, mode_t mode, time_t time) {
        make_file(dir_fd, name, content, mode);
        assert_int_equal(utimensat(dir_fd, name, (struct timespec[2]){ { time, 0 }, { time, 0 } }, 0), 0);
}

/* Writes down "+path", "-path" or "*path", with '!' for other content. */
static int on_difference(void *userdata, const Difference *difference) {
        char **text = userdata, *longer;

        assert_int_equal(string_printf(&longer, "%s%c%s%s ", *text,
                                       !difference->old ? '+' :
                                       !difference->new ? '-' :
                                                          '*',
                                       difference->path, difference->content ? "!" : ""),
                         0);
        free(*text);
        *text = longer;
        return 0;
}

static int cancel(void *userdata _unused_, const Difference *difference _unused_) {
        return -ECANCELED;
}

static void test_compare(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int old_fd = open_directory_at(fd, "old", true, 0755);
        _cleanup_close_ int new_fd = open_directory_at(fd, "new", true, 0755);
        _cleanup_free_ char *text = strdup(""), *nothing = strdup("");

        for (unsigned i = 0; i < 2; i++) {
                int tree_fd = i == 0 ? old_fd : new_fd;

                make_old_file(tree_fd, "same", "x", 0644, 100);
                make_old_file(tree_fd, "touched", "x", 0644, 100 + i);
                make_old_file(tree_fd, "mode", "x", i == 0 ? 0644 : 0755, 100);
                make_old_file(tree_fd, "size", i == 0 ? "x" : "xx", 0644, 100);
                make_old_file(tree_fd, "content", i == 0 ? "x" : "y", 0644, 100 + i);
                assert_int_equal(symlinkat("same", tree_fd, "link"), 0);
                assert_int_equal(symlinkat(i == 0 ? "a" : "b", tree_fd, "target"), 0);
                assert_int_equal(mkdirat(tree_fd, "d", 0755), 0);
                assert_int_equal(mkdirat(tree_fd, i == 0 ? "d/gone" : "d/come", 0755), 0);
                make_old_file(tree_fd, i == 0 ? "d/gone/file" : "d/come/file", "x", 0644, 100);
                if (i == 0)
                        make_old_file(tree_fd, "type", "", 0755, 100);
                else
                        assert_int_equal(mkdirat(tree_fd, "type", 0755), 0);
        }
        make_old_file(new_fd, "type/inside", "x", 0644, 100);
        /* What is behind a symlink is not of the tree. */
        assert_int_equal(symlinkat("/", old_fd, "root"), 0);
        assert_int_equal(symlinkat("/", new_fd, "root"), 0);

        assert_int_equal(compare_trees(old_fd, new_fd, 0, on_difference, &text), 0);
        assert_string_equal(text, "*content! +d/come +d/come/file -d/gone -d/gone/file *mode *size! *target *type "
                                  "+type/inside ");
        assert_int_equal(compare_trees(old_fd, old_fd, 0, on_difference, &nothing), 0);
        assert_string_equal(nothing, "");
        /* Owners of another range: those below it count as they are. */
        _cleanup_free_ char *shifted = strdup("");
        assert_int_equal(compare_trees(old_fd, old_fd, 1, on_difference, &shifted), 0);
        assert_true((getuid() == 0 && getgid() == 0) == isempty(shifted));
        assert_int_equal(compare_trees(old_fd, new_fd, 0, cancel, NULL), -ECANCELED);
}

/* As a job that goes on while we look: it removes files after their directory was listed, and puts others in their
 * place. */
static int on_difference_change(void *userdata, const Difference *difference) {
        int fd = *(int *) userdata;

        if (!streq(difference->path, "a"))
                return streq(difference->path, "z") ? -ECANCELED : 0;
        assert_int_equal(unlinkat(fd, "file", 0), 0);
        assert_int_equal(unlinkat(fd, "link", 0), 0);
        assert_int_equal(unlinkat(fd, "directory/below", 0), 0);
        assert_int_equal(unlinkat(fd, "directory", AT_REMOVEDIR), 0);
        assert_int_equal(symlinkat("/", fd, "directory"), 0);
        return 0;
}

static void test_compare_changing(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int old_fd = open_directory_at(fd, "old", true, 0755);
        _cleanup_close_ int new_fd = open_directory_at(fd, "new", true, 0755);

        make_old_file(new_fd, "a", "x", 0644, 100);
        make_old_file(new_fd, "file", "x", 0644, 100);
        assert_int_equal(symlinkat("a", new_fd, "link"), 0);
        assert_int_equal(mkdirat(new_fd, "directory", 0755), 0);
        make_old_file(new_fd, "directory/below", "x", 0644, 100);
        make_old_file(new_fd, "z", "x", 0644, 100);
        assert_int_equal(compare_trees(old_fd, new_fd, 0, on_difference_change, &new_fd), -ECANCELED);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_compare, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_compare_changing, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
