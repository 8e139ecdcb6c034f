/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unit.h"

#include <string.h>
#include <sys/mman.h>

#include "wire/bundle.h"

static void test_paths(_unused_ void **state) {
        static const char *const plain[] = { "a", "a/b", ".a", "a..b/...", "a b\n" };
        static const char *const other[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a" };

        for (size_t i = 0; i < ELEMENTSOF(plain); i++)
                assert_true(bundle_path_is_plain(plain[i]));
        for (size_t i = 0; i < ELEMENTSOF(other); i++)
                assert_false(bundle_path_is_plain(other[i]));
}

static int bundle(const char *content, size_t size) {
        _cleanup_bundle_writer_ BundleWriter writer = { 0 };
        int fd = memfd_create("bundle", MFD_CLOEXEC);
        BundleEntry file = { .type = BUNDLE_FILE, .mode = 0755, .path = "a/b", .size = size, .mtime_sec = 7 };
        BundleEntry link = { .type = BUNDLE_SYMLINK, .mode = 0777, .path = "link", .link = "../x" };
        BundleEntry bad = { .type = BUNDLE_DIRECTORY, .path = "../x" };

        assert_true(fd >= 0);
        assert_int_equal(bundle_writer_init(&writer, fd), 0);
        assert_int_equal(bundle_put(&writer, &bad), -EINVAL);
        assert_int_equal(bundle_put(&writer, &file), 0);
        assert_int_equal(bundle_put_data(&writer, content, size), 0);
        assert_int_equal(bundle_put(&writer, &link), 0);
        assert_int_equal(bundle_finish(&writer), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static void check(size_t size, bool read_content) {
        _cleanup_bundle_reader_ BundleReader reader = { 0 };
        _cleanup_free_ char *content = malloc(size + 1), *found = malloc(size + 1);
        size_t n = 0, piece;
        const void *data;
        BundleEntry entry;

        memset(content, 'x', size);
        int fd = bundle(content, size);
        assert_int_equal(bundle_reader_init(&reader, fd), 0);
        assert_int_equal(bundle_next(&reader, &entry), 1);
        assert_int_equal(entry.type, BUNDLE_FILE);
        assert_string_equal(entry.path, "a/b");
        assert_int_equal(entry.mode, 0755);
        assert_int_equal(entry.mtime_sec, 7);
        assert_int_equal(entry.size, size);
        while (read_content && bundle_read(&reader, &data, &piece) == 0 && piece > 0) {
                memcpy(found + n, data, piece);
                n += piece;
        }
        if (read_content) {
                assert_int_equal(n, size);
                assert_memory_equal(content, found, size);
        }
        assert_int_equal(bundle_next(&reader, &entry), 1);
        assert_int_equal(entry.type, BUNDLE_SYMLINK);
        assert_string_equal(entry.link, "../x");
        assert_int_equal(bundle_next(&reader, &entry), 0);
        close(fd);
}

static void test_round_trip(_unused_ void **state) {
        static const size_t sizes[] = {
                0, 1, 4095, BUNDLE_BUFFER_BYTES - 20, BUNDLE_BUFFER_BYTES, 3 * BUNDLE_BUFFER_BYTES + 1
        };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                check(sizes[i], true);
                check(sizes[i], false);
        }
}

/* The reader may say how much is too much. */
static void test_limits(_unused_ void **state) {
        static const struct {
                uint64_t entries, names;
                unsigned n; /* how many come */
        } table[] = { { 2, UINT64_MAX, 2 }, { 1, UINT64_MAX, 1 }, { 0, UINT64_MAX, 0 }, { 2, 80, 1 }, { 2, 10, 0 } };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_bundle_reader_ BundleReader reader = { 0 };
                BundleEntry entry;
                unsigned n = 0;
                int r, fd = bundle("content", 7);

                assert_int_equal(bundle_reader_init(&reader, fd), 0);
                reader.entries_left = table[i].entries;
                reader.names_left = table[i].names;
                while ((r = bundle_next(&reader, &entry)) > 0)
                        n++;
                assert_int_equal(n, table[i].n);
                assert_int_equal(r, n < 2 ? -EFBIG : 0);
                close(fd);
        }
}

/* What is cut off anywhere, or is something else, is refused. */
static void test_hostile(_unused_ void **state) {
        int whole = bundle("content", 7);
        off_t size = lseek(whole, 0, SEEK_END);

        for (off_t n = 0; n < size; n++) {
                _cleanup_bundle_reader_ BundleReader reader = { 0 };
                BundleEntry entry;
                int r;

                assert_int_equal(ftruncate(whole, size - 1 - n), 0);
                assert_int_equal(lseek(whole, 0, SEEK_SET), 0);
                assert_int_equal(bundle_reader_init(&reader, whole), 0);
                while ((r = bundle_next(&reader, &entry)) > 0)
                        ;
                assert_int_equal(r, -EBADMSG);
        }
        close(whole);
        int fd = bundle("content", 7);
        for (off_t at = 0; at < size; at++) {
                _cleanup_bundle_reader_ BundleReader reader = { 0 };
                BundleEntry entry;
                char before, wrong;
                int r;

                assert_int_equal(pread(fd, &before, 1, at), 1);
                wrong = (char) (before ^ 0x2f);
                assert_int_equal(pwrite(fd, &wrong, 1, at), 1);
                assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                assert_int_equal(bundle_reader_init(&reader, fd), 0);
                while ((r = bundle_next(&reader, &entry)) > 0)
                        assert_true(bundle_path_is_plain(entry.path));
                assert_int_equal(pwrite(fd, &before, 1, at), 1);
        }
        close(fd);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hostile),
};
UNIT_FILE(tests);
