/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program of all unit tests that need none of their own: one takes far less time to link, and to start under
 * valgrind, than a hundred. It runs the files that are its arguments, one after the other. It must not know what any of
 * them tests. */
#include "unit.h"

#include <fnmatch.h>

#include "base/string.h"

static UnitFile *files;

void unit_add(UnitFile *file) {
        file->next = files;
        files = file;
}

/* The file test-@name.c. */
static const UnitFile *find(const char *name) {
        for (const UnitFile *file = files; file; file = file->next) {
                const char *rest = startswith(file->file, "test-");

                rest = rest ? startswith(rest, name) : NULL;
                if (rest && streq(rest, ".c"))
                        return file;
        }
        errx(EXIT_FAILURE, "there are no tests of '%s'", name);
}

/* Has cmocka run some tests of @file: with --only those that match the pattern, with --skip the others. */
static void choose(const UnitFile *file, const char *option, const char *pattern) {
        size_t found = 0;

        for (size_t i = 0; i < file->n_tests; i++)
                found += fnmatch(pattern, file->tests[i].name, 0) == 0;
        if (found == 0 || found == file->n_tests)
                errx(EXIT_FAILURE, "'%s %s' chooses nothing", option, pattern);
        if (streq(option, "--only"))
                cmocka_set_test_filter(pattern);
        else if (streq(option, "--skip"))
                cmocka_set_skip_filter(pattern);
        else
                errx(EXIT_FAILURE, "unknown option '%s'", option);
}

int main(int argc, char *argv[]) {
        bool failed = false, skipped = false;

        if (argc == 1)
                errx(EXIT_FAILURE, "usage: %s NAME [--only PATTERN|--skip PATTERN]...", argv[0]);
        for (int i = 1; i < argc; i++) {
                const char *name = argv[i];
                const UnitFile *file = find(name);
                const char *lacking = file->lacks ? file->lacks() : NULL;

                cmocka_set_test_filter(NULL);
                cmocka_set_skip_filter(NULL);
                if (i + 2 < argc && startswith(argv[i + 1], "--")) {
                        choose(file, argv[i + 1], argv[i + 2]);
                        i += 2;
                }
                printf("%s\n", file->file);
                if (lacking)
                        printf("needs %s\n", lacking);
                else if (_cmocka_run_group_tests(name, file->tests, file->n_tests, file->setup, file->teardown) != 0)
                        failed = true;
                skipped |= lacking != NULL;
        }
        if (failed)
                return EXIT_FAILURE;
        return skipped ? 77 : EXIT_SUCCESS; /* skipped, to meson */
}
