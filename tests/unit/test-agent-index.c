/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/index.h"

/* An index as git writes it, with two empty files called "a" and "b/c", of which nothing is noted. */
static const unsigned char sample[] =
        "DIRC\0\0\0\2\0\0\0\2"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x81\xa4\0\0\0\0\0\0\0\0\0\0\0\0"
        "\xe6\x9d\xe2\x9b\xb2\xd1\xd6\x43\x4b\x8b\x29\xae\x77\x5a\xd8\xc2\xe4\x8c\x53\x91\0\1a\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x81\xa4\0\0\0\0\0\0\0\0\0\0\0\0"
        "\xe6\x9d\xe2\x9b\xb2\xd1\xd6\x43\x4b\x8b\x29\xae\x77\x5a\xd8\xc2\xe4\x8c\x53\x91\0\3b/c\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
#define FIRST 12U
#define SECOND (FIRST + 64U)
#define SAMPLE_BYTES (SECOND + 72U + 20U)

static int open_sample(GitIndex *index, size_t size, size_t change, unsigned char value) {
        unsigned char *copy = malloc(size + 1);

        memcpy(copy, sample, size);
        if (change < size)
                copy[change] = value;
        return index_init(index, copy, size);
}

static void test_note(_unused_ void **state) {
        const struct stat st = { .st_size = 0x1234, .st_ino = 0x100000007, .st_uid = 5, .st_mtim = { 9, 8 } };
        static const unsigned char mtime[] = { 0, 0, 0, 9, 0, 0, 0, 8 }, inode[] = { 0, 0, 0, 7 },
                                   size[] = { 0, 0, 0x12, 0x34 };
        size_t next = 0;
        GitIndex index;

        assert_int_equal(open_sample(&index, SAMPLE_BYTES, SIZE_MAX, 0), 0);
        assert_int_equal(index.n, 2);
        assert_false(index_note(&index, &next, "b", &st));
        assert_true(index_note(&index, &next, "b/c", &st)); /* out of order */
        assert_false(index_note(&index, &next, "c", &st));
        index_finish(&index);
        assert_memory_equal(index.data, sample, SECOND);
        assert_memory_equal(index.data + SECOND + 8, mtime, sizeof(mtime));
        assert_memory_equal(index.data + SECOND + 20, inode, sizeof(inode));
        assert_memory_equal(index.data + SECOND + 36, size, sizeof(size));
        assert_memory_equal(index.data + SECOND + 40, sample + SECOND + 40, 32);
        index_done(&index);
}

static void test_other_data(_unused_ void **state) {
        static const struct {
                size_t size, change;
                unsigned char value;
        } rows[] = {
                { 0, SIZE_MAX, 0 },
                { 31, SIZE_MAX, 0 },
                { SAMPLE_BYTES, 0, 'X' },
                { SAMPLE_BYTES, 7, 4 },             /* another version */
                { SAMPLE_BYTES, 11, 3 },            /* more entries than there are */
                { SAMPLE_BYTES, 8, 255 },           /* many more */
                { SAMPLE_BYTES, FIRST + 61, 2 },    /* another length of the path */
                { SAMPLE_BYTES - 40, SIZE_MAX, 0 }, /* cut off */
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t next = 0;
                GitIndex index;

                assert_row(open_sample(&index, rows[i].size, rows[i].change, rows[i].value) == -EBADMSG, i, "other");
                assert_false(index_note(&index, &next, "a", &(struct stat){ 0 }));
                index_finish(&index);
                index_done(&index);
        }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_note), cmocka_unit_test(test_other_data) };
UNIT_FILE(tests);
