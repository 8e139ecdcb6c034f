/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "job/service-log.h"
#include "machine/log.h"
#include "machine/plan.h"

#define LINE_BYTES ((size_t) 64 * 1024)

static MachineLog console = MACHINE_LOG_NONE;
static unsigned n_lines;

/* A service that prints faster than anybody reads. */
static void print_another(const char *line) {
        static char text[LINE_BYTES];

        assert_memory_equal(line, "[service:db] ", 13);
        n_lines++;
        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\n';
        machine_log_append(&console, text, sizeof(text));
}

/* Each call passes on what there was, and the next one goes on there. */
static void test_endless(void **state) {
        _cleanup_machine_directory_ MachineDirectory directory = {
                .path = strdup(*state),
                .fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        };
        const Machine machine = { .names = (char *[]){ (char *) "db", NULL } };

        console.directory = &directory;
        machine_log_append(&console, "first\n", 6);
        for (unsigned i = 0; i < 3; i++) {
                n_lines = 0;
                service_log_copy(&machine, &directory, i == 2, print_another);
                assert_in_range(n_lines, 1, MACHINE_LOG_BYTES_MAX / LINE_BYTES + 4);
        }
        machine_log_done(&console);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_endless, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
