/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "descriptors.h"
#include "store/store.h"
#include "store/working-copy.h"

#define URL "https://gitlab.example.com/group/project.git"

static void make_file(int dir_fd, const char *path, size_t size) {
        _cleanup_free_ char *data = calloc(1, size + 1);
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0 && data);
        assert_int_equal(fd_write_all(fd, data, size), 0);
}

static void test_owner(_unused_ void **state) {
        static const struct {
                StoreOwner owner;
                bool known;
        } table[] = {
                { { URL, 1, false }, true },
                { { "http://h:8080/p.git", UINT64_MAX, true }, true },
                { { URL, 0, false }, false },
                { { NULL, 1, false }, false },
                { { "", 1, false }, false },
                { { "/srv/project.git", 1, false }, false },
                { { "file:///srv/project.git", 1, false }, false },
                { { "https://", 1, false }, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(store_owner_is_known(&table[i].owner) == table[i].known, i, table[i].owner.repository);
}

/* All of server, project and protection make a difference, each by itself; the name is the same tomorrow. */
static void test_names(_unused_ void **state) {
        static const StoreOwner owners[] = {
                { URL, 12, false },
                { URL, 12, true },
                { URL, 1, false },
                { "https://gitlab.example.org/group/project.git", 12, false },
                { "http://gitlab.example.com/group/project.git", 12, false },
                { "https://gitlab.example.com/group/project2.git", 12, false },
        };
        _cleanup_strv_ char **names = NULL;

        for (size_t i = 0; i < ELEMENTSOF(owners); i++) {
                _cleanup_free_ char *name = NULL, *shared = NULL;

                assert_int_equal(store_cache_name(owners + i, false, &name), 0);
                assert_int_equal(store_cache_name(owners + i, true, &shared), 0);
                assert_string_equal(shared, owners[i].ref_protected ? "shared-protected" : "shared-other");
                assert_row(!strchr(name, '/') && name[0] != '.', i, name);
                assert_int_equal(strv_extend(&names, name), 0);
        }
        assert_string_equal(names[0], "b1097148f198f277-12-other");
        strv_sort_unique(names);
        assert_int_equal(strv_length(names), ELEMENTSOF(owners));
}

static const StoreOwner owner = { URL, 12, false };

/* Several jobs have one cache, each its own working copy, and the lowest that is free. */
static void test_hold(void **state) {
        Place caches[2] = { PLACE_NONE, PLACE_NONE }, builds[3] = { PLACE_NONE, PLACE_NONE, PLACE_NONE };
        _cleanup_free_ char *holder = NULL;
        PlaceRecord record = { 0 };
        struct stat st;
        bool replaced;

        for (size_t i = 0; i < 2; i++)
                assert_int_equal(store_hold_cache(*state, &owner, false, &caches[i]), 0);
        assert_string_equal(caches[0].path, caches[1].path);
        assert_int_equal(fstat(caches[0].fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(fstatat(caches[0].fd, PLACE_DATA, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0777);
        assert_int_equal(place_load_record(&caches[0], &record), 0);
        assert_string_equal(record.repository, URL);
        assert_true(record.project_id == 12 && !record.ref_protected && record.slot == UINT64_MAX);
        place_record_done(&record);
        assert_int_equal(store_remove(*state, &place_caches, caches[0].name), -EBUSY);

        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(store_hold_builds(*state, &owner, NULL, "job", &builds[i], &replaced), 0);
                assert_false(replaced);
                assert_int_equal(place_load_record(&builds[i], &record), 0);
                assert_int_equal(record.slot, i);
                assert_true(exists_at(builds[i].fd, PLACE_HOLDER));
                place_record_done(&record);
        }
        /* Whoever carries the machine out takes the lock over. */
        _cleanup_close_ int other_fd = open(builds[1].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(other_fd, LOCK_SH | LOCK_NB), 0);
        place_done(&builds[1]);
        assert_int_equal(store_hold_builds(*state, &owner, NULL, "job", &builds[1], &replaced), 0);
        assert_string_equal(endswith(builds[1].name, "-3"), "-3");
        place_done(&builds[0]);
        assert_int_equal(store_hold_builds(*state, &owner, NULL, "next", &builds[0], &replaced), 0);
        assert_string_equal(endswith(builds[0].name, "-0"), "-0");
        assert_int_equal(file_read_at(builds[0].fd, PLACE_HOLDER, 64, &holder, NULL), 0);
        assert_string_equal(holder, "next");
        place_done(&builds[0]);
        assert_int_equal(store_hold_builds(*state, &owner, "image\nuser", "job", &builds[0], &replaced), 0);
        assert_non_null(strstr(builds[0].name, "-user"));

        for (size_t i = 0; i < 2; i++)
                place_done(&caches[i]);
        for (size_t i = 0; i < 3; i++)
                place_done(&builds[i]);
        assert_int_equal(store_remove(*state, &place_caches, "none"), -ENOENT);
}

/* What is measured is kept, and known to be old after the next use; half of it is no more than a lower bound. */
static void test_size(void **state) {
        _cleanup_place_ Place place = PLACE_NONE;
        PlaceSize size;

        assert_int_equal(store_hold_cache(*state, &owner, false, &place), 0);
        size = place_size(&place);
        assert_true(size.bytes == 0 && !size.complete && !size.is_up_to_date);
        make_file(place.fd, PLACE_DATA "/file", 1 << 20);
        assert_int_equal(place_measure(&place, USEC_INFINITY, &size), 0);
        assert_true(size.complete && size.bytes >= 1 << 20 && size.bytes < 2 << 20);
        const uint64_t bytes = size.bytes;
        size = place_size(&place);
        assert_true(size.complete && size.is_up_to_date && size.bytes == bytes);

        /* The clock of a file system may stand still for some milliseconds. */
        struct timespec later[2] = { { .tv_sec = time(NULL) + 10 }, { .tv_sec = time(NULL) + 10 } };
        assert_int_equal(utimensat(place.fd, "used", later, 0), 0);
        size = place_size(&place);
        assert_true(size.complete && !size.is_up_to_date && size.bytes == bytes);

        for (unsigned i = 0; i < 200; i++) {
                char name[32];

                snprintf(name, sizeof(name), PLACE_DATA "/%u", i);
                make_file(place.fd, name, 10);
        }
        assert_int_equal(place_measure(&place, 1, &size), 0);
        assert_true(!size.complete && size.bytes >= bytes);
        assert_false(place_size(&place).complete);

        static const char *const broken[] = { "", "x", "12", "-", "+" };
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                assert_int_equal(file_replace_at(place.fd, "size", broken[i], strlen(broken[i]), 0600), 0);
                size = place_size(&place);
                assert_row(!size.complete && size.bytes == 0, i, broken[i]);
        }
}

static void use_cache(const char *root_dir, uint64_t project, time_t when, size_t bytes) {
        const StoreOwner one = { URL, project, false };
        _cleanup_place_ Place place = PLACE_NONE;
        struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };

        assert_int_equal(store_hold_cache(root_dir, &one, false, &place), 0);
        make_file(place.fd, PLACE_DATA "/data", bytes);
        assert_int_equal(place_measure(&place, USEC_INFINITY, NULL), 0);
        assert_int_equal(utimensat(place.fd, "used", times, 0), 0);
}

static size_t count_places(const char *root_dir) {
        _cleanup_strv_ char **names = NULL;

        assert_int_equal(place_list(root_dir, &place_caches, &names), 0);
        return strv_length(names);
}

static void test_shrink(void **state) {
        const StoreOwner held_owner = { URL, 2, false }, kept_owner = { URL, 1, false };
        _cleanup_strv_ char **removed = NULL, **would = NULL;
        _cleanup_place_ Place held = PLACE_NONE;
        _cleanup_free_ char *kept = NULL;

        assert_int_equal(store_shrink(*state, &place_caches, 0, NULL, false, &removed), 0);
        for (uint64_t project = 1; project <= 5; project++)
                use_cache(*state, project, 1000 * (time_t) project, 1 << 20);
        assert_int_equal(store_cache_name(&kept_owner, false, &kept), 0);
        assert_int_equal(store_hold_cache(*state, &held_owner, false, &held), 0);
        struct timespec times[2] = { { .tv_sec = 2000 }, { .tv_sec = 2000 } };
        assert_int_equal(utimensat(held.fd, "used", times, 0), 0);

        assert_int_equal(store_shrink(*state, &place_caches, 6 << 20, kept, false, &removed), 0);
        assert_int_equal(strv_length(removed), 0);
        /* 1 is to be used next, and 2 is held: 3 goes first, then 4. */
        assert_int_equal(store_shrink(*state, &place_caches, 7 << 19, kept, true, &would), 0);
        assert_int_equal(strv_length(would), 2);
        assert_int_equal(count_places(*state), 5);
        assert_int_equal(store_shrink(*state, &place_caches, 7 << 19, kept, false, &removed), 0);
        assert_int_equal(strv_length(removed), 2);
        assert_non_null(strstr(removed[0], "-3-"));
        assert_non_null(strstr(removed[1], "-4-"));
        assert_int_equal(count_places(*state), 3);
        assert_int_equal(store_shrink(*state, &place_caches, 0, kept, false, NULL), 0);
        assert_int_equal(count_places(*state), 1);
        place_done(&held);
        assert_int_equal(store_shrink(*state, &place_caches, 0, NULL, false, NULL), 0);
        assert_int_equal(count_places(*state), 0);
}

/* More places than the process may have descriptors. */
static void test_many(void **state) {
        struct rlimit before, few;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (uint64_t project = 1; project <= 50; project++)
                use_cache(*state, project, 1000 * (time_t) project, 4096);
        few = (struct rlimit){ (rlim_t) count_descriptors(0) + 20, before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int r = store_shrink(*state, &place_caches, 0, NULL, false, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, 0);
        assert_int_equal(count_places(*state), 0);
}

static bool after_two(void *userdata, uint64_t removed_bytes) {
        unsigned *n = userdata;

        assert_true(removed_bytes >= (uint64_t) (*n + 1) << 20);
        return ++*n == 2;
}

/* One after the other, until somebody has enough; what is held stays. */
static void test_give_way(void **state) {
        const StoreOwner held_owner = { URL, 1, false };
        _cleanup_place_ Place held = PLACE_NONE;
        _cleanup_strv_ char **names = NULL;
        unsigned n = 0;

        assert_int_equal(store_give_way(*state, &place_caches, after_two, &n), 0);
        for (uint64_t project = 1; project <= 5; project++)
                use_cache(*state, project, 1000 * (time_t) project, 1 << 20);
        assert_int_equal(store_hold_cache(*state, &held_owner, false, &held), 0);
        struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
        assert_int_equal(utimensat(held.fd, "used", times, 0), 0);

        assert_int_equal(store_give_way(*state, &place_caches, after_two, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(place_list(*state, &place_caches, &names), 0);
        strv_sort(names);
        assert_int_equal(strv_length(names), 3);
        assert_non_null(strstr(names[0], "-1-"));
        assert_non_null(strstr(names[1], "-4-"));
        assert_non_null(strstr(names[2], "-5-"));
}

static void test_path(_unused_ void **state) {
        static const struct {
                const char *url, *path;
        } table[] = {
                { URL, "group/project" },
                { "https://h/p.git", "p" },
                { "https://h:1//a/b/c", "a/b/c" },
                { "https://h/a/.git.git", "a/.git" },
                { "https://h", NULL },
                { "https://h/", NULL },
                { "https://h/.git", NULL },
                { "https://h/../x.git", NULL },
                { "https://h/a/./x.git", NULL },
                { "https://h/a//x.git", NULL },
                { "https://h/a/...git", NULL },
                { "/a/b.git", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *path = NULL;
                int r = working_copy_path(table[i].url, &path);

                assert_row(r == (table[i].path ? 0 : -EINVAL), i, table[i].url);
                assert_row(streq_null(path, table[i].path), i, table[i].url);
        }
}

static int open_state(void **state) {
        int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void make_directories(int fd, const char *const paths[]) {
        for (; *paths; paths++)
                assert_int_equal(mkdirat(fd, *paths, 0755), 0);
}

static void test_clean(void **state) {
        static const char *const gone[] = {
                "root/group/project/.git/index.lock",
                "root/group/project/.git/packed-refs.lock",
                "root/group/project/.git/refs/heads/x.lock",
                "root/group/project/.git/modules/m/config.lock",
                "root/group/project/.git/objects/maintenance.lock",
                "root/group/project/.git/objects/info/commit-graph.lock",
                "root/group/project.tmp/TOKEN",
        };
        static const char *const stay[] = {
                "root/group/project/yarn.lock",  "root/group/project/.git/HEAD",
                "root/group/project/.git/locks", "root/group/project/.git/objects/ab/cd.lock",
                "root/group/other.tmp",          "outside/index.lock",
        };
        _cleanup_close_ int fd = open_state(state);

        assert_int_equal(working_copy_clean(fd, "root", URL), 0);
        make_directories(fd, (const char *const[]){ "root", NULL });
        assert_int_equal(working_copy_clean(fd, "root", URL), 0);
        make_directories(fd, (const char *const[]){ "root/group", "root/group/project", "outside", NULL });
        assert_int_equal(working_copy_clean(fd, "root", URL), 0);
        make_directories(fd,
                         (const char *const[]){ "root/group/project.tmp", "root/group/project/.git",
                                                "root/group/project/.git/refs", "root/group/project/.git/refs/heads",
                                                "root/group/project/.git/modules", "root/group/project/.git/modules/m",
                                                "root/group/project/.git/objects", "root/group/project/.git/objects/ab",
                                                "root/group/project/.git/objects/info", NULL });
        for (size_t i = 0; i < ELEMENTSOF(gone); i++)
                make_file(fd, gone[i], 1);
        for (size_t i = 0; i < ELEMENTSOF(stay); i++)
                make_file(fd, stay[i], 1);
        /* Directories that are called so may be submodules; a symlink is removed, and not followed. */
        make_directories(fd, (const char *const[]){ "root/group/project/.git/modules/x.lock", NULL });
        assert_int_equal(symlinkat("../../../../outside", fd, "root/group/project/.git/link"), 0);
        assert_int_equal(symlinkat("../../../../outside/index.lock", fd, "root/group/project/.git/shallow.lock"), 0);

        assert_int_equal(working_copy_clean(fd, "root", URL), 0);
        for (size_t i = 0; i < ELEMENTSOF(gone); i++)
                assert_row(!exists_at(fd, gone[i]), i, gone[i]);
        for (size_t i = 0; i < ELEMENTSOF(stay); i++)
                assert_row(exists_at(fd, stay[i]), i, stay[i]);
        assert_false(exists_at(fd, "root/group/project/.git/shallow.lock"));
        assert_true(exists_at(fd, "root/group/project/.git/modules/x.lock"));
        /* Whose project has no path is left alone. */
        assert_int_equal(working_copy_clean(fd, "root", "https://h/"), 0);
}

/* Where a part of the way is not what it should be, nothing is touched, and the caller knows. */
static void test_clean_hostile(void **state) {
        _cleanup_close_ int fd = open_state(state);

        make_directories(fd, (const char *const[]){ "root", "outside", "outside/project", "outside/project/.git",
                                                    "outside/project.tmp", NULL });
        make_file(fd, "outside/project/.git/index.lock", 1);
        assert_int_equal(symlinkat("../outside", fd, "root/group"), 0);
        assert_int_equal(working_copy_clean(fd, "root", URL), -ELOOP);
        assert_int_equal(unlinkat(fd, "root/group", 0), 0);
        make_file(fd, "root/group", 1);
        assert_int_equal(working_copy_clean(fd, "root", URL), -ENOTDIR);
        assert_int_equal(unlinkat(fd, "root/group", 0), 0);
        make_directories(fd, (const char *const[]){ "root/group", NULL });
        assert_int_equal(symlinkat("../../outside/project", fd, "root/group/project"), 0);
        assert_int_equal(working_copy_clean(fd, "root", URL), -ELOOP);
        assert_int_equal(unlinkat(fd, "root/group/project", 0), 0);
        make_directories(fd, (const char *const[]){ "root/group/project", NULL });
        assert_int_equal(symlinkat("../../../outside/project/.git", fd, "root/group/project/.git"), 0);
        assert_int_equal(working_copy_clean(fd, "root", URL), -ELOOP);
        assert_true(exists_at(fd, "outside/project/.git/index.lock"));
        /* What is beside the project may be a symlink, too: it goes. */
        assert_int_equal(unlinkat(fd, "root/group/project/.git", 0), 0);
        assert_int_equal(symlinkat("../../outside/project.tmp", fd, "root/group/project.tmp"), 0);
        assert_int_equal(working_copy_clean(fd, "root", URL), 0);
        assert_false(exists_at(fd, "root/group/project.tmp"));
        assert_true(exists_at(fd, "outside/project.tmp"));
        /* As deep as no repository is. */
        make_directories(fd, (const char *const[]){ "root/group/project/.git", NULL });
        _cleanup_close_ int deep_fd = openat(fd, "root/group/project/.git", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < 100; i++) {
                assert_int_equal(mkdirat(deep_fd, "d", 0755), 0);
                int next_fd = openat(deep_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(deep_fd);
                deep_fd = next_fd;
        }
        assert_int_equal(working_copy_clean(fd, "root", URL), -ELOOP);
}

/* What was used in order is there again; what could not be cleaned, or was cut off, is replaced. */
static void test_replace(void **state) {
        static const char other_boot[] = "5e3cd9b8-0000-4000-8000-000000000000\n";
        bool replaced;

        for (unsigned round = 0; round < 5; round++) {
                _cleanup_place_ Place place = PLACE_NONE;

                assert_int_equal(store_hold_builds(*state, &owner, NULL, "job", &place, &replaced), 0);
                assert_int_equal(replaced, round == 2 || round == 4);
                assert_int_equal(exists_at(place.fd, PLACE_DATA "/mark"), round == 1 || round == 3);
                assert_true(exists_at(place.fd, "busy"));
                make_file(place.fd, PLACE_DATA "/mark", 1);
                if (round == 1)
                        assert_int_equal(file_replace_at(place.fd, "busy", other_boot, sizeof(other_boot) - 1, 0600),
                                         0);
                if (round == 3)
                        assert_int_equal(symlinkat("/etc", place.fd, PLACE_DATA "/group"), 0);
                if (round != 0)
                        continue;
                /* Of another job that has it, the mark stays. */
                store_release(place.path);
                assert_true(exists_at(place.fd, "busy"));
                assert_int_equal(flock(place.fd, LOCK_UN), 0);
                store_release(place.path);
                assert_false(exists_at(place.fd, "busy"));
        }
        store_release("/nowhere");
}

/* A process that may open no more files takes what is there, or fails: it throws nothing away. */
static void test_no_descriptors(void **state) {
        struct rlimit before, few;
        bool replaced;

        for (unsigned round = 0, more = 0; round < 2; more++) {
                _cleanup_place_ Place place = PLACE_NONE;

                assert_true(more < 50);
                if (more > 0) {
                        int next_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

                        assert_true(next_fd >= 0 && close(next_fd) == 0);
                        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
                        few = (struct rlimit){ (rlim_t) next_fd + more, before.rlim_max };
                        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
                }
                int r = store_hold_builds(*state, &owner, NULL, "job", &place, &replaced);
                if (more > 0)
                        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
                assert_row(r == -EMFILE || (r == 0 && !replaced), more, "replaced");
                if (more == 0)
                        make_directories(place.fd, (const char *const[]){
                                                           PLACE_DATA "/group",
                                                           PLACE_DATA "/group/project",
                                                           PLACE_DATA "/group/project/.git",
                                                           PLACE_DATA "/group/project/.git/refs",
                                                           PLACE_DATA "/group/project/.git/refs/heads",
                                                           NULL,
                                                   });
                round += r == 0;
        }
}

/* What cannot be written leaves nothing beside it. */
static void test_write_fails(void **state) {
        static const char *const names[] = { "busy", PLACE_HOLDER };
        _cleanup_place_ Place place = PLACE_NONE;

        assert_int_equal(store_hold_cache(*state, &owner, false, &place), 0);
        make_directories(place.fd, (const char *const[]){ names[0], names[1], NULL });
        assert_int_equal(place_set_busy(&place, true), -EISDIR);
        assert_int_equal(place_set_holder(&place, "job"), -EISDIR);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char new[32], hidden[32];

                snprintf(new, sizeof(new), "%s.new", names[i]);
                snprintf(hidden, sizeof(hidden), ".%s.new", names[i]);
                assert_row(!exists_at(place.fd, new) && !exists_at(place.fd, hidden), i, names[i]);
        }
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup_directory, teardown_directory)
static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner),     cmocka_unit_test(test_names), WITH_DIRECTORY(test_hold),
        WITH_DIRECTORY(test_size),        WITH_DIRECTORY(test_shrink),  WITH_DIRECTORY(test_give_way),
        cmocka_unit_test(test_path),      WITH_DIRECTORY(test_clean),   WITH_DIRECTORY(test_clean_hostile),
        WITH_DIRECTORY(test_replace),     WITH_DIRECTORY(test_many),    WITH_DIRECTORY(test_no_descriptors),
        WITH_DIRECTORY(test_write_fails),
};
UNIT_FILE(tests);
