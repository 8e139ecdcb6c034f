/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "maintain/playbook-scan.h"

static void test_facts(void **state) {
        static const struct {
                const char *text;
                bool facts;
        } table[] = {
                { "- hosts: all\n", true },
                { "- hosts: all\n  gather_facts: yes\n", true },
                { "- hosts: all\n  gather_facts: no\n", false },
                { "- hosts: all\n  gather_facts: False\n", false },
                { "- hosts: all\n  gather_facts: 'off'\n", false },
                { "- gather_facts: n\n  hosts: all\n", false },
                { "- hosts: all\n  gather_facts: [no]\n", true },
                /* the first play decides */
                { "- {hosts: all, gather_facts: no}\n- {hosts: all}\n", false },
                { "- {hosts: all}\n- {hosts: all, gather_facts: no}\n", true },
                { "- hosts: localhost\n- hosts: all\n", false },
                { "- import_playbook: other.yaml\n", false },
                /* ansible says what is wrong with these */
                { "", false },
                { "[]", false },
                { "hosts: all\n", false },
                { "- text\n", false },
                { "- hosts: [\n", false },
                { "- *unknown\n", false },
                { "- hosts: [all]\n", false },
        };
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/playbook.yaml", (char *) *state), 0);
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_int_equal(file_replace_at(dir_fd, "playbook.yaml", table[i].text, strlen(table[i].text), 0600),
                                 0);
                assert_row(playbook_begins_with_facts(path) == table[i].facts, i, table[i].text);
        }
        assert_false(playbook_begins_with_facts("/no/such/playbook"));
}

static void test_python(void **state) {
        static const struct {
                const char *directory, *name;
                bool python;
        } table[] = {
                { "usr/bin", "python3", true },         { "usr/bin", "python", true },
                { "usr/bin", "python3.11", true },      { "usr/local/bin", "python3.13", true },
                { "bin", "python2.7", true },           { "usr/libexec", "platform-python", true },
                { "usr/bin", "python3-config", false }, { "usr/bin", "pythonic", false },
                { "usr/sbin", "python3", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *tree = NULL, *directory = NULL;

                assert_int_equal(string_printf(&tree, "%s/%zu", (char *) *state, i), 0);
                assert_int_equal(string_printf(&directory, "%s/%s", tree, table[i].directory), 0);
                assert_int_equal(mkdir_parents(directory, 0755), 0);
                _cleanup_close_ int tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_int_equal(tree_has_python(tree_fd), 0);
                /* As an image has it: a link that leads nowhere from here. */
                _cleanup_close_ int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_int_equal(symlinkat("/no/such/file", dir_fd, table[i].name), 0);
                bool link_counts = !streq(table[i].directory, "usr/libexec");
                assert_row(tree_has_python(tree_fd) == (table[i].python && link_counts), i, table[i].name);
                if (!link_counts) {
                        assert_int_equal(unlinkat(dir_fd, table[i].name, 0), 0);
                        assert_int_equal(file_replace_at(dir_fd, table[i].name, "", 0, 0755), 0);
                        assert_int_equal(tree_has_python(tree_fd), 1);
                }
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_facts, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_python, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
