/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "tree/packages.h"

/* A list as "name=version name=version ". */
static char *list_text(const PackageList *list) {
        char *text = strdup("");

        for (size_t i = 0; i < list->n; i++) {
                char *longer;
                assert_int_equal(
                        string_printf(&longer, "%s%s=%s ", text, list->packages[i].name, list->packages[i].version), 0);
                free(text);
                text = longer;
        }
        return text;
}

static void test_parse(void **state _unused_) {
        static const struct {
                int (*parse)(const char *text, size_t size, PackageList *ret);
                const char *text, *result;
        } table[] = {
                { packages_parse_dpkg, "", "" },
                { packages_parse_dpkg, "\n\n\n", "" },
                { packages_parse_dpkg, "Package: a\nStatus: install ok installed\nVersion: 1:2-3\n", "a=1:2-3 " },
                /* the last line may lack its end */
                { packages_parse_dpkg, "Package: a\nStatus: install ok installed\nVersion: 1", "a=1 " },
                { packages_parse_dpkg,
                  "Package: b\nStatus: install ok installed\nVersion: 2\n\nPackage: a\nStatus: hold ok installed\n"
                  "Version: 1\n",
                  "a=1 b=2 " },
                { packages_parse_dpkg,
                  "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: never\n"
                  "Status: unknown ok not-installed\nVersion: 1\n\nPackage: half\nStatus: install ok half-configured\n"
                  "Version: 3\n",
                  "half=3 " },
                { packages_parse_dpkg,
                  "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
                  "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2\n\n"
                  "Package: doc\nStatus: install ok installed\nArchitecture: all\nVersion: 3\n\n"
                  "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 4\n",
                  "doc=3 dpkg=4 libc6=1 libc6:i386=2 " },
                { packages_parse_dpkg,
                  "Package: a\nStatus: install ok installed\nDescription: x\n Package: no\nVersion: 1\n", "a=1 " },
                { packages_parse_dpkg, "Version: 1\nStatus: install ok installed\n\nPackage: a\n", "" },
                { packages_parse_dpkg, "garbage\0Package: x", "" },
                { packages_parse_apk, "C:Q1x=\nP:musl\nV:1.2.3-r4\nA:x86_64\n\nP:apk-tools\nV:2\nA:x86_64\n\n",
                  "apk-tools=2 musl=1.2.3-r4 " },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_package_list_ PackageList list = { 0 };

                assert_row(table[i].parse(table[i].text, strlen(table[i].text), &list) == 0, i, table[i].text);
                _cleanup_free_ char *text = list_text(&list);
                assert_row(streq(text, table[i].result), i, table[i].text);
        }
}

static void make(int dir_fd, const char *path, const char *text) {
        _cleanup_free_ char *copy = strdup(path);

        for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                (void) mkdirat(dir_fd, copy, 0755);
                *slash = '/';
        }
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void test_pacman(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_package_list_ PackageList none = { 0 }, list = { 0 };

        assert_int_equal(packages_read(fd, &none), -ENOENT);
        make(fd, "var/lib/pacman/local/gcc-libs-13.2.1-3/desc", "");
        make(fd, "var/lib/pacman/local/bash-5.2-1/desc", "");
        make(fd, "var/lib/pacman/local/ALPM_DB_VERSION", "9");
        make(fd, "var/lib/pacman/local/x-1/desc", "");
        assert_int_equal(packages_read(fd, &list), 0);
        _cleanup_free_ char *text = list_text(&list);
        assert_string_equal(text, "bash=5.2-1 gcc-libs=13.2.1-3 ");
}

/* A list that is not to be found is none, whatever leads nowhere there. */
static void test_no_list(void **state) {
        static const char *const paths[] = { "var/lib/dpkg/status", "lib/apk/db/installed", "var/lib/pacman/local" };
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_package_list_ PackageList list = { 0 };
        char target[NAME_MAX + 2] = "";

        memset(target, 'x', NAME_MAX + 1);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_free_ char *beside = strdup(paths[i]);

                strcpy(strrchr(beside, '/'), "/x");
                make(fd, beside, "");
                assert_int_equal(symlinkat(strrchr(paths[i], '/') + 1, fd, paths[i]), 0); /* a loop */
                assert_row(packages_read(fd, &list) == -ENOENT, i, paths[i]);
                assert_int_equal(unlinkat(fd, paths[i], 0), 0);
                assert_int_equal(symlinkat(target, fd, paths[i]), 0);
                assert_row(packages_read(fd, &list) == -ENOENT, i, paths[i]);
        }
}

/* A tree cannot make us read the host's list, or wait. */
static void test_hostile(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_package_list_ PackageList list = { 0 };

        make(fd, "outside/dpkg/status", "Package: outside\nStatus: install ok installed\nVersion: 1\n");
        make(fd, "tree/var/x", "");
        _cleanup_close_ int tree_fd = open_directory_at(fd, "tree", false, 0);
        assert_int_equal(symlinkat("../../outside", tree_fd, "var/lib"), 0);
        assert_int_equal(packages_read(tree_fd, &list), -ENOENT);
        assert_int_equal(unlinkat(tree_fd, "var/lib", 0), 0);
        assert_int_equal(mkdirat(tree_fd, "var/lib", 0755), 0);
        assert_int_equal(mkdirat(tree_fd, "var/lib/dpkg", 0755), 0);
        assert_int_equal(mkfifoat(tree_fd, "var/lib/dpkg/status", 0644), 0);
        assert_int_equal(packages_read(tree_fd, &list), -ENOENT);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_pacman, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_list, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_hostile, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
