/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unit.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/unpack.h"
#include "base/fd.h"
#include "base/string.h"
#include "wire/bundle.h"

static struct { unsigned n_cpus, n_threads_max, n_threads; } machine;

#undef sched_getaffinity
#undef pthread_create

int test_getaffinity(_unused_ pid_t pid, _unused_ size_t size, cpu_set_t *set) {
        CPU_ZERO(set);
        for (unsigned i = 0; i < machine.n_cpus; i++)
                CPU_SET(i, set);
        return 0;
}

int test_create_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *userdata) {
        return machine.n_threads++ < machine.n_threads_max ? pthread_create(thread, attr, start, userdata) : EAGAIN;
}

/* A bundle that is being made, and the directory it is for. */
typedef struct Bundle {
        int fd;
        BundleWriter writer;
        const char *directory;
        char *errors; /* what the last unpacking said */
} Bundle;

static void begin(Bundle *bundle, void *const *state) {
        *bundle = (Bundle){ .fd = memfd_create("bundle", MFD_CLOEXEC), .directory = *state };
        assert_true(bundle->fd >= 0);
        assert_int_equal(bundle_writer_init(&bundle->writer, bundle->fd), 0);
}

static void done(Bundle *bundle) {
        bundle_writer_done(&bundle->writer);
        close(bundle->fd);
        free(bundle->errors);
}

static void put(Bundle *bundle, const BundleEntry *entry) {
        assert_int_equal(bundle_put(&bundle->writer, entry), 0);
}

static void put_file(Bundle *bundle, const char *path, mode_t mode, const char *content) {
        static BundleEntry entry;

        entry = (BundleEntry){
                .type = BUNDLE_FILE, .mode = mode, .size = strlen(content), .mtime_sec = 1000000000, .clean = true
        };
        strcpy(entry.path, path);
        put(bundle, &entry);
        assert_int_equal(bundle_put_data(&bundle->writer, content, entry.size), 0);
}

static void put_symlink(Bundle *bundle, const char *path, const char *link) {
        static BundleEntry entry;

        entry = (BundleEntry){ .type = BUNDLE_SYMLINK, .mode = 0777, .mtime_sec = 1000000000 };
        strcpy(entry.path, path);
        strcpy(entry.link, link);
        put(bundle, &entry);
}

static void put_directory(Bundle *bundle, const char *path, mode_t mode) {
        static BundleEntry entry;

        entry = (BundleEntry){ .type = BUNDLE_DIRECTORY, .mode = mode };
        strcpy(entry.path, path);
        put(bundle, &entry);
}

/* More than one batch: the content tells the file. */
static void put_many(Bundle *bundle, const char *directory, unsigned n, const char *what) {
        char path[64], content[200];

        for (unsigned i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%s/%05u", directory, i);
                snprintf(content, sizeof(content), "%-150s %s\n", path, what);
                put_file(bundle, path, 0644, content);
        }
}

/* Unpacks in a process of its own. Its exit status. */
static int unpack_with(Bundle *bundle, unsigned n_cpus, unsigned n_threads) {
        int errors_fd = memfd_create("errors", MFD_CLOEXEC), status;

        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                machine.n_cpus = n_cpus;
                machine.n_threads_max = n_threads;
                (void) lseek(bundle->fd, 0, SEEK_SET);
                (void) dup2(bundle->fd, STDIN_FILENO);
                (void) dup2(errors_fd, STDERR_FILENO);
                (void) umask(022);
                _exit(agent_unpack(bundle->directory));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        free(bundle->errors);
        assert_true(lseek(errors_fd, 0, SEEK_SET) == 0);
        assert_int_equal(fd_read_all(errors_fd, 100000, &bundle->errors, NULL), 0);
        close(errors_fd);
        return WEXITSTATUS(status);
}

static int finish_and_unpack(Bundle *bundle) {
        assert_int_equal(bundle_finish(&bundle->writer), 0);
        return unpack_with(bundle, 4, 4);
}

static char *content_of(const Bundle *bundle, const char *path) {
        _cleanup_close_ int fd = open(bundle->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *content = NULL;

        return file_read_at(fd, path, 1 << 24, &content, NULL) < 0 ? NULL : content;
}

static void check_content(const Bundle *bundle, const char *path, const char *expected) {
        _cleanup_free_ char *content = content_of(bundle, path);

        if (!content || !streq(content, expected))
                fail_msg("%s: '%s' instead of '%s'", path, row_text(content), expected);
}

static struct stat stat_of(const Bundle *bundle, const char *path) {
        _cleanup_close_ int fd = open(bundle->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st = { 0 };

        if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                fail_msg("%s: %s", path, strerror(errno));
        return st;
}

static void check_many(const Bundle *bundle, const char *directory, unsigned n, const char *what) {
        char path[64], content[200];

        for (unsigned i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%s/%05u", directory, i);
                snprintf(content, sizeof(content), "%-150s %s\n", path, what);
                check_content(bundle, path, content);
        }
}

static void check_mode(const Bundle *bundle, const char *path, mode_t mode) {
        if ((stat_of(bundle, path).st_mode & 07777) != mode)
                fail_msg("%s: %o instead of %o", path, stat_of(bundle, path).st_mode & 07777, mode);
}

/* Few files and many, in one directory and in several, on machines of all kinds. */
static void test_files(void **state) {
        static const struct {
                unsigned n_cpus, n_threads;
        } rows[] = { { 1, 4 }, { 2, 4 }, { 4, 4 }, { 64, 64 }, { 2, 0 }, { 4, 1 } };
        _cleanup_free_ char *large = malloc(1 << 20);
        Bundle bundle;

        memset(large, 'x', 1 << 20);
        begin(&bundle, state);
        for (size_t size = 130000; size < 132000; size += 300) { /* around the size of a batch */
                char path[64];

                snprintf(path, sizeof(path), "deep/er/%zu", size);
                large[size] = 0;
                put_file(&bundle, path, 0640, large);
                large[size] = 'x';
        }
        large[(1 << 20) - 1] = 0;
        put_file(&bundle, "deep/er/large", 0755, large);
        put_many(&bundle, "flat", 2000, "1");
        put_symlink(&bundle, "link", "flat");
        for (char c = 'a'; c <= 'z'; c++)
                put_many(&bundle, (char[]){ 'm', '/', c, 0 }, 40, "1");
        put_file(&bundle, "z", 0600, "");
        assert_int_equal(bundle_finish(&bundle.writer), 0);
        for (size_t row = 0; row < ELEMENTSOF(rows); row++) {
                assert_row(unpack_with(&bundle, rows[row].n_cpus, rows[row].n_threads) == 0, row, bundle.errors);
                check_content(&bundle, "deep/er/large", large);
                check_mode(&bundle, "deep/er/large", 0755);
                check_mode(&bundle, "deep/er/130300", 0640);
                assert_int_equal(stat_of(&bundle, "deep/er/131800").st_size, 131800);
                assert_int_equal(stat_of(&bundle, "deep/er/131800").st_mtime, 1000000000);
                check_many(&bundle, "flat", 2000, "1");
                for (char c = 'a'; c <= 'z'; c++)
                        check_many(&bundle, (char[]){ 'm', '/', c, 0 }, 40, "1");
                check_mode(&bundle, "m", 0755);
                check_mode(&bundle, "z", 0600);
                assert_true(S_ISLNK(stat_of(&bundle, "link").st_mode));
                assert_string_equal(bundle.errors, "");
        }
        done(&bundle);
}

/* What comes last stays, however much is still to be made before it. */
static void test_order(void **state) {
        Bundle bundle;

        begin(&bundle, state);
        put_many(&bundle, "a", 1000, "1");
        put_many(&bundle, "a", 1000, "2");
        put_file(&bundle, "a/00999", 0600, "3\n");
        put_file(&bundle, "a/00999", 0644, "4\n");
        put_many(&bundle, "b", 1000, "1");
        put_symlink(&bundle, "b/00999", "elsewhere");
        put_many(&bundle, "c", 1000, "1");
        put_symlink(&bundle, "c/00000", "elsewhere");
        put_file(&bundle, "c/00000", 0644, "5\n");
        assert_int_equal(finish_and_unpack(&bundle), 0);
        check_many(&bundle, "a", 999, "2");
        check_content(&bundle, "a/00999", "4\n");
        check_mode(&bundle, "a/00999", 0644);
        assert_true(S_ISLNK(stat_of(&bundle, "b/00999").st_mode));
        check_many(&bundle, "b", 999, "1");
        check_content(&bundle, "c/00000", "5\n");
        done(&bundle);
}

/* A directory has its own mode, not that of directories that are only on the way to files. */
static void test_directories(void **state) {
        Bundle bundle;

        begin(&bundle, state);
        put_many(&bundle, "a", 1000, "1");
        put_directory(&bundle, "private", 0700);
        put_directory(&bundle, "private/er", 0711);
        put_many(&bundle, "private/er", 1000, "1");
        put_directory(&bundle, "read-only", 0555);
        put_many(&bundle, "read-only", 1000, "1");
        put_directory(&bundle, "a", 0700); /* too late: it is there */
        put_directory(&bundle, "empty", 0750);
        assert_int_equal(finish_and_unpack(&bundle), 0);
        check_mode(&bundle, "a", 0755);
        check_mode(&bundle, "private", 0700);
        check_mode(&bundle, "private/er", 0711);
        check_mode(&bundle, "read-only", 0755); /* its owner may write */
        check_mode(&bundle, "empty", 0750);
        check_many(&bundle, "private/er", 1000, "1");
        done(&bundle);
}

static unsigned count_lines(const char *text) {
        unsigned n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

/* All but what is in the way, and each of that is told once. */
static void test_errors(void **state) {
        Bundle bundle;
        char path[200];

        begin(&bundle, state);
        put_many(&bundle, "a", 1000, "1");
        put_many(&bundle, "b", 1000, "1");
        put_file(&bundle, "b/00999/below", 0644, "one of the two fails\n");
        assert_int_equal(bundle_finish(&bundle.writer), 0);
        for (const char *const *name =
                     (const char *const[]){ "a", "a/00007", "a/00007/x", "b", "b/00500", "b/00500/x", NULL };
             *name; name++) {
                snprintf(path, sizeof(path), "%s/%s", bundle.directory, *name);
                assert_int_equal(mkdir(path, 0755), 0);
        }
        assert_int_equal(unpack_with(&bundle, 4, 4), EXIT_FAILURE);
        assert_non_null(strstr(bundle.errors, "a/00007: Is a directory\n"));
        assert_non_null(strstr(bundle.errors, "b/00500: Is a directory\n"));
        assert_non_null(strstr(bundle.errors, "b/00999"));
        assert_int_equal(count_lines(bundle.errors), 3);
        check_many(&bundle, "a", 7, "1");
        assert_int_equal(stat_of(&bundle, "a/00999").st_size, stat_of(&bundle, "b/00501").st_size);
        done(&bundle);
}

/* A file without its content, as lists have it, is an error: nothing else is put in its place. */
static void test_listed(void **state) {
        const size_t sizes[] = { 1, 1000, (size_t) 1 << 20 };
        static BundleEntry entry;
        Bundle bundle;

        begin(&bundle, state);
        put_file(&bundle, "before", 0644, "1");
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                entry = (BundleEntry){ .type = BUNDLE_LISTED, .mode = 0644, .size = sizes[i] };
                snprintf(entry.path, sizeof(entry.path), "listed/%zu", i);
                put(&bundle, &entry);
        }
        put_file(&bundle, "then", 0644, "2");
        assert_int_equal(finish_and_unpack(&bundle), EXIT_FAILURE);
        assert_non_null(strstr(bundle.errors, "listed/2: Bad message\n"));
        assert_int_equal(count_lines(bundle.errors), ELEMENTSOF(sizes));
        check_content(&bundle, "before", "1");
        check_content(&bundle, "then", "2");
        assert_null(content_of(&bundle, "listed/0"));
        assert_null(content_of(&bundle, "listed/2"));
        done(&bundle);
}

/* A bundle that ends too early is an error, and nothing is waited for. */
static void test_cut_off(void **state) {
        Bundle bundle;

        begin(&bundle, state);
        put_many(&bundle, "a", 2000, "1");
        assert_int_equal(bundle_finish(&bundle.writer), 0);
        off_t size = lseek(bundle.fd, 0, SEEK_END);
        for (unsigned i = 1; i < 20; i += 3) {
                assert_int_equal(ftruncate(bundle.fd, size - size / 20 * i), 0);
                assert_int_equal(unpack_with(&bundle, 4, 4), EXIT_FAILURE);
                assert_non_null(strstr(bundle.errors, "Bad message"));
                check_many(&bundle, "a", 50, "1");
        }
        done(&bundle);
}

/* No symlink leads out, whoever makes the files. */
static void test_outside(void **state) {
        _cleanup_free_ char *inside = NULL, *outside = NULL;
        Bundle bundle;

        begin(&bundle, state);
        assert_true(asprintf(&inside, "%s/inside", bundle.directory) >= 0);
        assert_true(asprintf(&outside, "%s/outside", bundle.directory) >= 0);
        assert_int_equal(mkdir(outside, 0755), 0);
        bundle.directory = inside;
        put_symlink(&bundle, "absolute", outside);
        put_many(&bundle, "absolute", 1000, "1");
        put_symlink(&bundle, "relative", "../outside");
        put_many(&bundle, "relative", 1000, "1");
        put_directory(&bundle, "relative/directory", 0755);
        put_symlink(&bundle, "relative/symlink", "x");
        put_many(&bundle, "z", 1000, "1");
        assert_int_equal(finish_and_unpack(&bundle), EXIT_FAILURE);
        assert_int_equal(count_lines(bundle.errors), 2002);
        assert_int_equal(rmdir(outside), 0); /* it is empty */
        check_many(&bundle, "z", 1000, "1");
        done(&bundle);
}

static void put_word(unsigned char *p, uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (unsigned char) (value >> (24 - 8 * i));
}

/* An index for put_many(). */
static size_t make_index(const char *directory, unsigned n, unsigned char *ret) {
        unsigned char *p = ret;
        char path[64];

        memcpy(p, "DIRC\0\0\0\2", 8);
        put_word(p + 8, n);
        p += 12;
        for (unsigned i = 0; i < n; i++) {
                size_t length = (size_t) snprintf(path, sizeof(path), "%s/%05u", directory, i);

                p[61] = (unsigned char) length;
                memcpy(p + 62, path, length);
                p += (62 + length + 8) & ~(size_t) 7;
        }
        return (size_t) (p - ret) + 20;
}

/* Each thread notes its files in the one index. */
static void test_index(void **state) {
        static unsigned char index[200000];
        _cleanup_free_ char *found = NULL;
        BundleEntry entry = { .type = BUNDLE_FILE, .mode = 0644, .path = ".git/index", .clean = true };
        unsigned char inode[4];
        Bundle bundle;
        char path[64];
        size_t size;

        begin(&bundle, state);
        entry.size = make_index("a", 2000, index);
        put_many(&bundle, ".before", 1000, "1");
        put(&bundle, &entry);
        assert_int_equal(bundle_put_data(&bundle.writer, index, entry.size), 0);
        put_many(&bundle, "a", 2000, "1");
        assert_int_equal(finish_and_unpack(&bundle), 0);
        snprintf(path, sizeof(path), "%s/.git/index", bundle.directory);
        assert_int_equal(file_read_at(AT_FDCWD, path, sizeof(index), &found, &size), 0);
        assert_int_equal(size, entry.size);
        for (unsigned i = 0; i < 2000; i++) {
                snprintf(path, sizeof(path), "a/%05u", i);
                put_word(inode, (uint32_t) stat_of(&bundle, path).st_ino);
                assert_memory_equal(found + 12 + i * 72 + 20, inode, 4);
        }
        done(&bundle);
}

static int setup_file(_unused_ void **state) {
        /* In memory: an ext4 without a journal looks at each file that was removed lately for each new one. */
        return setenv("TMPDIR", "/dev/shm", true);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_order, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_directories, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_errors, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_listed, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_cut_off, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_outside, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_index, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .setup = setup_file);
