/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/string.h"
#include "failing.h"
#include "machine/log.h"

#define ROOM (2 * MACHINE_LOG_SEGMENT_BYTES)

static MachineDirectory open_lab(const char *path) {
        MachineDirectory directory = { .path = strdup(path), .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };

        assert_true(directory.fd >= 0);
        return directory;
}

/* Reads all that is new into @ret, which has room for @size; the number of bytes. */
static size_t read_all(const MachineDirectory *directory, uint64_t *offset, char *ret, size_t size, uint64_t *lost) {
        size_t total = 0;

        *lost = 0;
        for (;;) {
                _cleanup_free_ char *data = NULL;
                uint64_t gone;
                size_t n;

                assert_int_equal(machine_log_read(directory, offset, &data, &n, &gone), 0);
                *lost += gone;
                if (n == 0)
                        return total;
                assert_true(total + n <= size);
                memcpy(ret + total, data, n);
                total += n;
        }
}

static void test_follow(void **state) {
        _cleanup_machine_directory_ MachineDirectory directory = open_lab(*state);
        MachineLog log = MACHINE_LOG_NONE;
        uint64_t offset = 0, lost;
        char text[64];

        log.directory = &directory;
        assert_int_equal(read_all(&directory, &offset, text, sizeof(text), &lost), 0);
        machine_log_append(&log, "one\n", 4);
        assert_int_equal(read_all(&directory, &offset, text, sizeof(text), &lost), 4);
        assert_memory_equal(text, "one\n", 4);
        assert_int_equal(read_all(&directory, &offset, text, sizeof(text), &lost), 0);
        machine_log_append(&log, "two", 3);
        machine_log_append(&log, "3", 1);
        assert_int_equal(read_all(&directory, &offset, text, sizeof(text), &lost), 4);
        assert_memory_equal(text, "two3", 4);
        assert_int_equal(lost, 0);
        machine_log_done(&log);
}

/* However much is written: the last bytes are there, in order, and who reads learns how many are not. */
static void test_flood(void **state) {
        static const size_t totals[] = { ROOM / 2, ROOM, ROOM + 1, 5 * ROOM + 17 };
        static char text[2 * ROOM];

        for (size_t i = 0; i < ELEMENTSOF(totals); i++) {
                _cleanup_free_ char *path = NULL;
                MachineLog log = MACHINE_LOG_NONE;
                uint64_t offset = 0, lost;

                assert_int_equal(string_printf(&path, "%s/%zu", (char *) *state, i), 0);
                assert_int_equal(mkdir(path, 0700), 0);
                _cleanup_machine_directory_ MachineDirectory directory = open_lab(path);
                log.directory = &directory;
                for (size_t n = 0; n < totals[i]; n += 4096) {
                        char piece[4096];
                        size_t size = MIN(sizeof(piece), totals[i] - n);

                        for (size_t k = 0; k < size; k++)
                                piece[k] = (char) ((n + k) % 251);
                        machine_log_append(&log, piece, size);
                }
                size_t n = read_all(&directory, &offset, text, sizeof(text), &lost);
                assert_int_equal(offset, totals[i]);
                assert_int_equal(lost + n, totals[i]);
                assert_true(n <= ROOM && n >= MIN(totals[i], (size_t) MACHINE_LOG_SEGMENT_BYTES));
                for (size_t k = 0; k < n; k++)
                        assert_int_equal((unsigned char) text[k], (lost + k) % 251);
                machine_log_done(&log);
        }
}

/* Whoever reads misses what there was no room for, and learns how much that was. */
static void test_no_room(void **state) {
        _cleanup_machine_directory_ MachineDirectory directory = open_lab(*state);
        MachineLog log = MACHINE_LOG_NONE;
        uint64_t offset = 0, early = 0, lost;
        struct rlimit before;
        char text[64];

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
        log.directory = &directory;
        machine_log_append(&log, "0123", 4);
        assert_int_equal(read_all(&directory, &early, text, sizeof(text), &lost), 4);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 6, before.rlim_max }), 0);
        machine_log_append(&log, "456789", 6); /* a part of it fits */
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, before.rlim_max }), 0);
        for (unsigned i = 0; i < 5; i++)
                machine_log_append(&log, "ab", 2);
        assert_int_equal(read_all(&directory, &offset, text, sizeof(text), &lost), 6);
        assert_memory_equal(text, "012345", 6);
        assert_int_equal(lost, 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        machine_log_append(&log, "uv", 2);
        machine_log_append(&log, "w", 1);
        (void) signal(SIGXFSZ, handler);

        assert_int_equal(read_all(&directory, &offset, text, sizeof(text), &lost), 3);
        assert_memory_equal(text, "uvw", 3);
        assert_int_equal(lost, 14);
        assert_int_equal(offset, 23);
        assert_int_equal(read_all(&directory, &early, text, sizeof(text), &lost), 5);
        assert_memory_equal(text, "45uvw", 5);
        assert_int_equal(lost, 14);
        assert_int_equal(early, 23);
        machine_log_done(&log);
}

/* What cannot be listed to its end is no empty log. */
static void test_unreadable(void **state) {
        _cleanup_machine_directory_ MachineDirectory directory = open_lab(*state);
        MachineLog log = MACHINE_LOG_NONE;
        uint64_t offset = 0, lost;
        char *text = NULL;
        size_t size;

        log.directory = &directory;
        machine_log_append(&log, "one", 3);
        failing_readdir(0, EIO);
        int r = machine_log_read(&directory, &offset, &text, &size, &lost);
        failing_readdir(0, 0);
        assert_int_equal(r, -EIO);
        assert_int_equal(offset, 0);
        machine_log_done(&log);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follow, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_flood, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_room, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_unreadable, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
