/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"
#include "tree/size.h"

#include <elf.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/contents.h"
#include "image/image.h"
#include "image/lock.h"
#include "image/publish.h"
#include "image/staging.h"
#include "tree/finish.h"
#include "tree/remove.h"

static void make_directory(int dir_fd, const char *path) {
        assert_int_equal(mkdirat(dir_fd, path, 0755), 0);
}

static void test_name_problem(void **state) {
        static const struct {
                const char *name;
                bool fine;
        } table[] = {
                { "bookworm", true },  { "a", true },         { "Debian_12.5-x@y+z", true },
                { "a..b", true },      { "x:y,z", true },     { "", false },
                { ".", false },        { "..", false },       { ".hidden", false },
                { "-x", false },       { "/", false },        { "/etc", false },
                { "a/b", false },      { "a/../b", false },   { "a b", false },
                { "a\nb", false },     { "a\x1b[2J", false }, { "\x7f", false },
                { "\xc3\xa9", false }, { NULL, false },
        };
        char longest[130];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(!image_name_problem(table[i].name) == table[i].fine, i, table[i].name);

        memset(longest, 'x', sizeof(longest));
        longest[128] = 0;
        assert_null(image_name_problem(longest));
        longest[128] = 'x';
        longest[129] = 0;
        assert_non_null(image_name_problem(longest));
}

/* An image root with everything that may stand in one. */
static void fill_root(int dir_fd) {
        make_directory(dir_fd, "plain");
        make_directory(dir_fd, "plain/usr");
        make_directory(dir_fd, "plain/usr/bin");
        make_directory(dir_fd, "empty");
        make_directory(dir_fd, "linked-usr");
        make_directory(dir_fd, "linked-usr/real");
        make_directory(dir_fd, "linked-usr/real/bin");
        assert_int_equal(symlinkat("/real", dir_fd, "linked-usr/usr"), 0);
        make_directory(dir_fd, "escaping-usr");
        assert_int_equal(symlinkat("../plain/usr", dir_fd, "escaping-usr/usr"), 0);
        make_directory(dir_fd, ".hidden");
        make_directory(dir_fd, ".hidden/usr");
        make_directory(dir_fd, "with blank");
        make_directory(dir_fd, "with blank/usr");
        assert_int_equal(symlinkat("plain", dir_fd, "link"), 0);
        make_file(dir_fd, "file", "", 0600);
}

static void test_open(void **state) {
        static const struct {
                const char *name;
                int result;
        } table[] = {
                { "plain", 0 },         { "linked-usr", 0 },      { "empty", -ENODATA }, { "escaping-usr", -ENODATA },
                { ".hidden", -EINVAL }, { "link", -ENOTDIR },     { "file", -ENOTDIR },  { "none", -ENOENT },
                { "../x", -EINVAL },    { "plain/usr", -EINVAL }, { "", -EINVAL },       { "with blank", -EINVAL },
        };
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *path = NULL;

        fill_root(dir_fd);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_image_ Image *image = NULL;

                assert_row(image_open(*state, table[i].name, &image) == table[i].result, i, table[i].name);
                assert_row((image != NULL) == (table[i].result == 0), i, table[i].name);
        }

        _cleanup_image_ Image *image = NULL;
        assert_int_equal(image_open(*state, "plain", &image), 0);
        assert_int_equal(string_printf(&path, "%s/plain", (char *) *state), 0);
        assert_string_equal(image->path, path);
        assert_string_equal(image->name, "plain");

        _cleanup_image_ Image *nowhere = NULL;
        assert_int_equal(image_open("/nonexistent/root", "plain", &nowhere), -ENOENT);
        image_free(NULL);
}

static void test_list(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_strv_ char **names = NULL, **none = NULL, **missing = NULL, **broken = NULL;

        assert_int_equal(image_list(*state, &none, NULL), 0);
        assert_int_equal(strv_length(none), 0);
        assert_int_equal(image_list("/nonexistent/root", &missing, &broken), 0);
        assert_int_equal(strv_length(missing), 0);

        fill_root(dir_fd);
        assert_int_equal(image_list(*state, &names, &broken), 0);
        assert_int_equal(strv_length(names), 2);
        assert_string_equal(names[0], "linked-usr");
        assert_string_equal(names[1], "plain");
        assert_null(broken);
}

/* Where systemd is, through merged /usr too, but never outside of the image, where the host surely has one. */
static void test_init(void **state) {
        static const struct {
                const char *target; /* of the symlink /lib; NULL: a directory */
                const char *file;   /* NULL: none */
                mode_t mode;
                const char *init;
        } table[] = {
                { "usr/lib", "usr/lib/systemd/systemd", 0755, "/usr/lib/systemd/systemd" },
                { NULL, "lib/systemd/systemd", 0755, "/lib/systemd/systemd" },
                { NULL, "lib/systemd/systemd", 0644, NULL },
                { NULL, NULL, 0, NULL },
                { "/usr/lib", "usr/lib/systemd/systemd", 0755, "/usr/lib/systemd/systemd" },
                { "../../../../../../usr/lib", NULL, 0, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_close_ int root_fd = open_directory(state);
                _cleanup_image_ Image *image = NULL;
                const char *init = "untouched";

                make_directory(root_fd, "image");
                _cleanup_close_ int dir_fd = open_directory_at(root_fd, "image", false, 0);
                make_directory(dir_fd, "usr");
                make_directory(dir_fd, "usr/bin");
                make_directory(dir_fd, "usr/lib");
                if (table[i].target)
                        assert_int_equal(symlinkat(table[i].target, dir_fd, "lib"), 0);
                else
                        make_directory(dir_fd, "lib");
                if (table[i].file) {
                        make_directory(dir_fd, startswith(table[i].file, "usr/") ? "usr/lib/systemd" : "lib/systemd");
                        make_file(dir_fd, table[i].file, "", table[i].mode);
                }

                assert_int_equal(image_open(*state, "image", &image), 0);
                assert_int_equal(image_init(image->fd, &init), 0);
                assert_row(streq_null(init, table[i].init), i, table[i].target);
                assert_row(image_boot(image->fd, BOOT_AUTO, &init) == 0 && streq_null(init, table[i].init), i, "auto");
                assert_row(image_boot(image->fd, BOOT_NO, &init) == 0 && !init, i, "no");
                if (table[i].init)
                        for (size_t j = 0; j < 2; j++)
                                assert_row(image_boot(image->fd, j == 0 ? BOOT_YES : BOOT_EAGER, &init) == 0 &&
                                                   streq_null(init, table[i].init),
                                           i, j == 0 ? "yes" : "eager");
                else
                        assert_row(image_boot(image->fd, BOOT_YES, &init) == -ENOEXEC &&
                                           image_boot(image->fd, BOOT_EAGER, &init) == -ENOEXEC,
                                   i, "yes");
                assert_int_equal(remove_tree_at(root_fd, "image"), 0);
        }
}

/* What a process that may open no more files finds out about an image is right, or an error that says so. */
static void check_without_descriptors(const char *directory, int image_fd) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_strv_ char **names = NULL;
        const char *init = NULL, *lack = NULL;

        int r = image_open(directory, "image", &image);
        assert_true(r == -EMFILE || (r == 0 && image));
        r = image_list(directory, &names, NULL);
        assert_true(r == -EMFILE || (r == 0 && strv_length(names) == 1));
        r = image_boot(image_fd, BOOT_YES, &init);
        assert_true(r == -EMFILE || (r == 0 && init));
        r = image_boot(image_fd, BOOT_AUTO, &init);
        assert_true(r == -EMFILE || (r == 0 && init));
        r = image_is_i386(image_fd);
        assert_true(r == -EMFILE || r == 1);
        r = image_systemd_version(image_fd);
        assert_true(r == -EMFILE || r == 257);
        r = image_has_bash(image_fd);
        assert_true(r == -EMFILE || r == 1);
        r = image_has_program(image_fd, NULL, "git");
        assert_true(r == -EMFILE || r == 1);
        r = image_lacks(image_fd, NULL, &lack);
        assert_true(r == -EMFILE || (r == 0 && streq(lack, "certificates")));
}

static void test_no_descriptors(void **state) {
        unsigned char header[sizeof(Elf32_Ehdr)] = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB };
        _cleanup_close_ int root_fd = open_directory(state);
        struct rlimit before;

        header[18] = EM_386;
        make_directory(root_fd, "image");
        _cleanup_close_ int image_fd = open_directory_at(root_fd, "image", false, 0);
        make_directory(image_fd, "usr");
        make_directory(image_fd, "usr/bin");
        make_directory(image_fd, "usr/lib");
        make_directory(image_fd, "usr/lib/systemd");
        make_file(image_fd, "usr/lib/systemd/systemd", "", 0755);
        make_file(image_fd, "usr/lib/systemd/libsystemd-shared-257.so", "", 0644);
        make_file(image_fd, "usr/bin/bash", "x", 0755);
        make_file(image_fd, "usr/bin/git", "x", 0755);
        assert_int_equal(symlinkat("usr/bin", image_fd, "bin"), 0);
        _cleanup_close_ int shell_fd = openat(image_fd, "bin/sh", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        assert_int_equal(fd_write_all(shell_fd, (char *) header, sizeof(header)), 0);

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (rlim_t n = 3; n <= (rlim_t) shell_fd + 10; n++) {
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ n, before.rlim_max }), 0);
                check_without_descriptors(*state, image_fd);
        }
        check_without_descriptors(*state, image_fd);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(image_boot(image_fd, BOOT_YES, &(const char *){ NULL }), 0);
}

static void test_systemd_version(void **state) {
        static const struct {
                const char *directory, *name; /* of its library */
                int version;
        } table[] = {
                { "usr/lib/systemd", "libsystemd-shared-247.so", 247 },
                { "usr/lib/x86_64-linux-gnu/systemd", "libsystemd-shared-262.so", 262 },
                { "usr/lib64/systemd", "libsystemd-shared-258.1-1.fc43.so", 258 },
                { "usr/lib/systemd", "libsystemd-core-258.so", 0 },
                { "usr/lib/elsewhere/systemd", "libsystemd-shared-258.so", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char path[256];

                snprintf(path, sizeof(path), "%s/image/%s", (char *) *state, table[i].directory);
                assert_row(mkdir_parents(path, 0755) == 0, i, path);
                _cleanup_close_ int root_fd = open_directory(state);
                _cleanup_close_ int dir_fd = open_directory_at(root_fd, "image", false, 0);
                snprintf(path, sizeof(path), "%s/%s", table[i].directory, table[i].name);
                make_file(dir_fd, path, "", 0644);
                assert_row(image_systemd_version(dir_fd) == table[i].version, i, path);
                assert_int_equal(remove_tree_at(root_fd, "image"), 0);
        }
}

/* Asked of the shell, as far as it is a file in the image; else of the next program. */
static void test_is_i386(void **state) {
        static const char i386[20] = { 0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0 };
        static const char arm[20] = { 0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 40, 0 };
        static const char wide[20] = { 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0 };
        static const char script[20] = "#!/bin/other\n";
        enum { FILE_OF, LINK_TO, FIFO, NOTHING };
        static const struct {
                int kind;
                const char *sh; /* content, or target */
                const char *env;
                bool is_i386;
        } table[] = {
                { FILE_OF, i386, NULL, true },   { FILE_OF, i386, wide, true },
                { FILE_OF, wide, NULL, false },  { FILE_OF, wide, i386, false },
                { FILE_OF, arm, NULL, false },   { FILE_OF, script, NULL, false },
                { FILE_OF, script, i386, true }, { NOTHING, NULL, i386, true },
                { NOTHING, NULL, NULL, false },  { LINK_TO, "/usr/bin/env", i386, true },
                { LINK_TO, "sh", i386, true },   { FIFO, NULL, i386, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_close_ int root_fd = open_directory(state);
                _cleanup_image_ Image *image = NULL;
                char header[52] = "";

                make_directory(root_fd, "image");
                _cleanup_close_ int dir_fd = open_directory_at(root_fd, "image", false, 0);
                make_directory(dir_fd, "usr");
                make_directory(dir_fd, "usr/bin");
                assert_int_equal(symlinkat("usr/bin", dir_fd, "bin"), 0);
                _cleanup_close_ int bin_fd = open_directory_at(dir_fd, "usr/bin", false, 0);
                if (table[i].kind == FILE_OF) {
                        memcpy(header, table[i].sh, 20);
                        assert_int_equal(file_replace_at(bin_fd, "sh", header, sizeof(header), 0755), 0);
                } else if (table[i].kind == LINK_TO) {
                        assert_int_equal(symlinkat(table[i].sh, bin_fd, "sh"), 0);
                } else if (table[i].kind == FIFO) {
                        assert_int_equal(mkfifoat(bin_fd, "sh", 0755), 0);
                }
                if (table[i].env) {
                        memcpy(header, table[i].env, 20);
                        assert_int_equal(file_replace_at(bin_fd, "env", header, sizeof(header), 0755), 0);
                }
                assert_int_equal(image_open(*state, "image", &image), 0);
                assert_row(image_is_i386(image->fd) == table[i].is_i386, i, table[i].sh);
                assert_int_equal(remove_tree_at(root_fd, "image"), 0);
        }
}

static uint64_t size_of(const char *root_dir) {
        _cleanup_image_ Image *image = NULL;
        uint64_t bytes = 0;

        assert_int_equal(image_open(root_dir, "image", &image), 0);
        assert_int_equal(tree_size(image->fd, &bytes), 0);
        return bytes;
}

/* Links count once, and what a symlink leads to does not. */
static void test_size(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);
        _cleanup_free_ char *content = malloc(100001);

        memset(content, 'x', 100000);
        content[100000] = 0;
        make_directory(root_fd, "image");
        make_directory(root_fd, "image/usr");
        make_directory(root_fd, "image/usr/bin");
        make_file(root_fd, "outside", content, 0600);
        uint64_t empty = size_of(*state);

        assert_int_equal(symlinkat("../outside", root_fd, "image/link"), 0);
        assert_int_equal(symlinkat("..", root_fd, "image/up"), 0);
        assert_in_range(size_of(*state), empty, empty + 50000);

        make_file(root_fd, "image/usr/file", content, 0600);
        sync(); /* file systems that allocate late count then */
        uint64_t one = size_of(*state);
        assert_true(one > empty);
        for (unsigned i = 0; i < 2000; i++) {
                _cleanup_free_ char *name = NULL;

                assert_int_equal(string_printf(&name, "image/usr/link-%u", i), 0);
                assert_int_equal(linkat(root_fd, "image/usr/file", root_fd, name, 0), 0);
        }
        /* but for the directory, which grew */
        assert_true(size_of(*state) < one + 1000000);
}

static void test_lock(void **state) {
        _cleanup_close_ int a = open_directory(state);
        _cleanup_close_ int b = open_directory(state);
        _cleanup_close_ int c = open_directory(state);

        assert_int_equal(image_lock_shared(a), 0);
        assert_int_equal(image_lock_shared(b), 0);
        assert_int_equal(image_lock_exclusive(c), -EBUSY);
        closep(&a);
        assert_int_equal(image_lock_exclusive(c), -EBUSY);
        closep(&b);
        assert_int_equal(image_lock_exclusive(c), 0);

        a = open_directory(state);
        assert_int_equal(image_lock_shared(a), -EBUSY);
        assert_int_equal(image_lock_exclusive(a), -EBUSY);
        closep(&c);
        assert_int_equal(image_lock_shared(a), 0);
}

static void test_staging(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE, second = STAGING_NONE;
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int root_fd = open_directory(state);

        assert_int_equal(staging_open(*state, "../x", NULL, &staging), -EINVAL);
        assert_int_equal(staging_open(*state, "image", NULL, &staging), 0);
        assert_int_equal(staging_open(*state, "image", NULL, &second), -EBUSY);
        assert_false(is_there(root_fd, "image"));

        /* In work: nobody collects it. */
        assert_int_equal(staging_collect(*state, false, &names), 0);
        assert_int_equal(strv_length(names), 0);

        _cleanup_close_ int tree_fd = staging_tree(&staging);
        assert_true(tree_fd >= 0);
        make_directory(tree_fd, "usr");
        assert_int_equal(staging_discard(&staging), 0);
        assert_false(is_there(root_fd, ".staging"));

        make_directory(root_fd, "image");
        assert_int_equal(staging_open(*state, "image", NULL, &second), -EEXIST);
        assert_false(is_there(root_fd, ".staging"));
        assert_int_equal(staging_open_empty(*state, "image", NULL, &second), 0);
        _cleanup_close_ int work_fd = staging_work(&second);
        assert_true(work_fd >= 0);
        assert_int_equal(access(second.work_path, F_OK), 0);
        assert_int_equal(staging_discard(&second), 0);
        assert_false(is_there(root_fd, ".staging"));
}

/* Who has the lock, also of an image's generations. */
static void test_holder(void **state) {
        Turn turn = { .command = "chroot-remove", .cancel_fd = -EBADF };
        _cleanup_staging_ Staging staging = STAGING_NONE;
        TurnHolder holder = { .pid = 1 };
        char text[TURN_TEXT_BYTES];

        staging_holder(*state, "image", &holder);
        assert_int_equal(holder.pid, 0);
        assert_string_equal(turn_describe(&holder, text), "another process");

        assert_int_equal(staging_open(*state, "image", &turn, &staging), 0);
        for (size_t i = 0; i < 2; i++) {
                staging_holder(*state, i == 0 ? "image" : "image@3", &holder);
                assert_int_equal(holder.pid, getpid());
                assert_string_equal(holder.command, "chroot-remove");
                assert_ptr_equal(strstr(turn_describe(&holder, text), "chroot-remove (PID "), text);
        }
        staging_holder(*state, "other@3", &holder);
        assert_int_equal(holder.pid, 0);
        assert_int_equal(staging_discard(&staging), 0);
        staging_holder(*state, "image", &holder);
        assert_int_equal(holder.pid, 0);
}

/* What has the name when the image is ready stays. */
static void test_staging_race(void **state) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_close_ int root_fd = open_directory(state);

        assert_int_equal(staging_open(*state, "image", NULL, &staging), 0);
        make_directory(root_fd, "image");
        assert_int_equal(publish(&staging, NULL, NULL, NULL), -EEXIST);
        assert_int_equal(staging_discard(&staging), 0);
        assert_false(is_there(root_fd, ".staging"));
        assert_true(is_there(root_fd, "image"));
}

/* A creation that was killed: its lock is gone, its files are not. */
static void test_staging_leftovers(void **state) {
        _cleanup_strv_ char **seen = NULL, **removed = NULL, **nothing = NULL;
        _cleanup_close_ int root_fd = open_directory(state);

        for (unsigned round = 0; round < 2; round++) {
                _cleanup_staging_ Staging killed = STAGING_NONE, next = STAGING_NONE;

                assert_int_equal(staging_open(*state, "image", NULL, &killed), 0);
                _cleanup_close_ int tree_fd = staging_tree(&killed);
                make_file(tree_fd, "half-made", "", 0600);
                staging_done(&killed);
                assert_true(is_there(root_fd, ".staging/image/root/half-made"));

                if (round == 0) { /* the next try starts clean */
                        assert_int_equal(staging_open(*state, "image", NULL, &next), 0);
                        assert_false(is_there(root_fd, ".staging/image/root/half-made"));
                        assert_int_equal(staging_discard(&next), 0);
                }
        }

        assert_int_equal(staging_collect(*state, true, &seen), 0);
        assert_int_equal(strv_length(seen), 1);
        assert_string_equal(seen[0], "image");
        assert_true(is_there(root_fd, ".staging/image/root/half-made"));
        assert_int_equal(staging_collect(*state, false, &removed), 0);
        assert_int_equal(strv_length(removed), 1);
        assert_false(is_there(root_fd, ".staging"));
        assert_int_equal(staging_collect(*state, false, &nothing), 0);
        assert_int_equal(strv_length(nothing), 0);
}

static void assert_content(int dir_fd, const char *path, const char *content) {
        _cleanup_free_ char *data = NULL;

        assert_int_equal(file_read_at(dir_fd, path, 4096, &data, NULL), 0);
        assert_string_equal(data, content);
}

static void test_finish(void **state) {
        _cleanup_close_ int fd = open_directory(state);
        static const char *const directories[] = {
                "etc",
                "var",
                "var/lib",
                "var/lib/dbus",
                "var/lib/apt",
                "var/lib/apt/lists",
                "var/lib/apt/lists/partial",
                "var/cache",
                "var/cache/apt",
                "var/cache/apt/archives",
                "var/log",
                "tmp",
                "tmp/d",
        };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                make_directory(fd, directories[i]);
        make_file(fd, "etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444);
        make_file(fd, "etc/hostname", "builder\n", 0644);
        assert_int_equal(symlinkat("/etc/passwd", fd, "etc/resolv.conf"), 0);
        make_file(fd, "var/lib/dbus/machine-id", "x", 0644);
        make_file(fd, "var/lib/apt/lists/a_Packages", "x", 0644);
        make_file(fd, "var/lib/apt/lists/partial/b", "x", 0644);
        make_file(fd, "var/cache/apt/archives/c.deb", "x", 0644);
        make_file(fd, "var/log/bootstrap.log", "x", 0644);
        make_file(fd, "tmp/d/f", "x", 0644);

        assert_int_equal(finish_tree(fd), 0);
        assert_content(fd, "etc/machine-id", "");
        assert_content(fd, "etc/resolv.conf", "");
        assert_false(is_there(fd, "etc/hostname"));
        assert_true(is_there(fd, "etc/hosts"));
        assert_false(is_there(fd, "var/lib/dbus/machine-id"));
        assert_false(is_there(fd, "var/lib/apt/lists/a_Packages"));
        assert_false(is_there(fd, "var/lib/apt/lists/partial/b"));
        assert_true(is_there(fd, "var/lib/apt/lists/partial"));
        assert_false(is_there(fd, "var/cache/apt/archives/c.deb"));
        assert_false(is_there(fd, "var/log/bootstrap.log"));
        assert_false(is_there(fd, "tmp/d"));
        assert_true(is_there(fd, "tmp"));
        assert_int_equal(access("/etc/passwd", F_OK), 0);

        /* A second time there is nothing to do; and what the image has for /etc/hosts stays. */
        assert_int_equal(unlinkat(fd, "etc/hosts", 0), 0);
        make_file(fd, "etc/hosts", "own", 0644);
        assert_int_equal(finish_tree(fd), 0);
        assert_content(fd, "etc/hosts", "own");
}

static void test_finish_keyring(void **state) {
        _cleanup_close_ int fd = open_directory(state);
        _cleanup_free_ char *keyring = NULL, *inside = NULL;

        make_directory(fd, "host");
        make_directory(fd, "tree");
        make_file(fd, "host/own.gpg", "keys", 0600);
        assert_int_equal(string_printf(&keyring, "%s/host/own.gpg", (char *) *state), 0);
        assert_int_equal(string_printf(&inside, "tree%s", keyring), 0);

        _cleanup_close_ int tree_fd = open_directory_at(fd, "tree", false, 0);
        assert_int_equal(finish_keyring(tree_fd, keyring), 0);
        assert_content(fd, inside, "keys");
        assert_int_equal(finish_keyring(tree_fd, keyring), 0);
        assert_int_equal(finish_keyring(tree_fd, "/nonexistent/keyring.gpg"), -ENOENT);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_problem),
        cmocka_unit_test_setup_teardown(test_open, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_list, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_is_i386, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_systemd_version, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_descriptors, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_init, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_size, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_lock, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_staging, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_holder, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_staging_race, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_staging_leftovers, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_finish, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_finish_keyring, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
