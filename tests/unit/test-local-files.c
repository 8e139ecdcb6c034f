/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "files.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/process.h"
#include "base/string.h"
#include "local/archive.h"
#include "local/files.h"
#include "wire/bundle.h"

static Arena arena;

static Value *list(const char *const texts[]) {
        Value *value = value_new(&arena, VALUE_LIST, (Place){ 0 });

        for (size_t i = 0; texts[i]; i++)
                value_append(&arena, value, value_new_string(&arena, texts[i], value->place));
        return value;
}

/* The table of the facts: what is below a directory that matches is meant; what is left out is compared file by file. */
static void test_selection(_unused_ void **state) {
        static const struct {
                const char *glob, *exclude, *path;
                bool meant;
        } rows[] = {
                { "out", NULL, "out", true },
                { "out", NULL, "out/a/b", true },
                { "out", NULL, "outer", false },
                { "out", NULL, "x/out", false },
                { "*.log", NULL, "a.log", true },
                { "*.log", NULL, "x/a.log", false },
                { "**/*.log", NULL, "x/y/a.log", true },
                { "**/*.log", NULL, "a.log", true },
                { "*/b", NULL, "a/b/c", true },
                { ".hidden", NULL, ".hidden/x", true },
                { "*", NULL, ".hidden", true },
                { "out", "out/**/*.log", "out/a/b.log", false },
                { "out", "out/**/*.log", "out/b.log", false },
                { "out", "out/a", "out/a/b", true }, /* that would take two asterisks */
                { "out", "out/a/**/*", "out/a/b/c", false },
        };

        if (setjmp(arena.exhausted) != 0)
                fail();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *const paths[] = { rows[i].glob, NULL }, *const exclude[] = { rows[i].exclude, NULL };
                const FileSelection selection = { .paths = list(paths), .exclude = list(exclude) };

                if (selection_has(&selection, rows[i].path) != rows[i].meant)
                        fail_msg("%s without %s: %s", rows[i].glob, rows[i].exclude ? rows[i].exclude : "-",
                                 rows[i].path);
        }
}

static void test_untracked(_unused_ void **state) {
        char *tracked[] = { (char *) "a", (char *) "d/b", NULL };
        const FileSelection selection = { .untracked = true, .tracked = tracked };

        assert_false(selection_has(&selection, "a"));
        assert_false(selection_has(&selection, "d/b"));
        assert_false(selection_has(&selection, ".git/config"));
        assert_true(selection_has(&selection, "d/c"));
        assert_true(selection_has(&selection, ".gitignore"));
}

static void test_globs(_unused_ void **state) {
        static const struct {
                const char *text, *glob; /* NULL: outside */
        } rows[] = {
                { "out/", "out" },
                { "./out", "out" },
                { ".", "**/*" },
                { "/builds/group/project/out", "out" },
                { "/builds/group/project", "**/*" },
                { "/builds/group/project2", NULL },
                { "/etc", NULL },
                { "../up", NULL },
                { "a/../../b", NULL },
                { "dir/**", "dir/**/*" },
                { "..a", "..a" },
        };
        const LocalJob job = { .arena = &arena, .project_dir = "/builds/group/project" };

        if (setjmp(arena.exhausted) != 0)
                fail();
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *why = NULL, *glob = selection_glob(&job, rows[i].text, &why);

                if (rows[i].glob)
                        assert_string_equal(glob, rows[i].glob);
                else
                        assert_null(glob);
        }
}

/* As Go's os.Expand, which GitLab Runner uses. */
static void test_expand(_unused_ void **state) {
        static const struct {
                const char *text, *expanded;
        } rows[] = {
                { "plain", "plain" },
                { "$A", "value" },
                { "${A}b", "valueb" },
                { "$AB", "" },
                { "$$A", "$A" },
                { "a$", "a$" },
                { "$1x", "x" },
                { "$?", "" },
                { "$FILE", "/tmp/p/FILE" },
                { "$RAW", "$A" },
                { "$A$A", "valuevalue" },
                { "%A%", "%A%" },
                { "${B:-x}y", "y" },
                { "${A:-x}y", "y" },
                { "${MY-A}", "dashed" },
                { "${A", "A" },
                { "${}x", "x" },
                { "${1}${$}", "$" },
        };
        LocalJob job = { .arena = &arena, .tmp_dir = "/tmp/p", .given = { .arena = &arena } };

        if (setjmp(arena.exhausted) != 0)
                fail();
        variables_set_text(&job.given, "A", "value");
        variables_set(&job.given, &(Variable){ .key = "FILE", .value = "content", .file = true });
        variables_set_text(&job.given, "MY-A", "dashed");
        variables_set(&job.given, &(Variable){ .key = "RAW", .value = "$A", .raw = true });
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_string_equal(local_expand(&job, rows[i].text), rows[i].expanded);
}

/* What the other side of files_take() does. */
typedef struct Taking {
        const char *what;
        uint64_t sizes[2];         /* of the files that are listed */
        bool list_full, pack_full; /* the step wrote as much as it may, and was killed */
        bool hangs;                /* it goes on until somebody signals */
        const char *paths[3];
        bool wanted_before, wanted, late; /* the end of the job */
        size_t files_max;                 /* 0: as many as there are */
        /* What comes of it. */
        int result;
        int n_calls;
        const char *arguments; /* of the list, behind the directory */
} Taking;

#define BYTES_MAX UINT64_C(1000)

static int receive_request(int fd, BrokerRequest *request, int fds[static 4]) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * 4)];
        } control = { 0 };
        struct iovec part = { .iov_base = request, .iov_len = sizeof(*request) };
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };

        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (n > 0 && request->action == BROKER_CALL)
                memcpy(fds, CMSG_DATA(&control.header), sizeof(int) * 4);
        return n > 0;
}

static int write_files(int fd, const uint64_t sizes[static 2], bool content) {
        static char data[BYTES_MAX];
        static BundleEntry entry;
        _cleanup_bundle_writer_ BundleWriter writer = { 0 };

        int r = bundle_writer_init(&writer, fd);
        for (unsigned i = 0; r == 0 && i < 2; i++) {
                entry = (BundleEntry){ .type = content ? BUNDLE_FILE : BUNDLE_LISTED, .size = sizes[i] };
                snprintf(entry.path, sizeof(entry.path), "out/%u", i);
                r = bundle_put(&writer, &entry);
                if (r == 0 && content)
                        r = bundle_put_data(&writer, data, sizes[i]);
        }
        return r < 0 ? r : bundle_finish(&writer);
}

/* Serves one call: the status of the step. */
static int serve_call(int fd, const Taking *taking, const BrokerRequest *request, int stdout_fd) {
        const char *arguments = request->arguments, *rest = arguments + strlen(arguments) + 1;
        bool packs = streq(arguments, "pack");
        BrokerRequest other;
        int fds[4];

        rest += strlen(rest) + 1;
        if (!packs && !streq(rest < arguments + request->arguments_size ? rest : "", taking->arguments))
                _exit(100);
        if (request->file_bytes_max != FILES_LIST_BYTES_MAX + (packs ? BYTES_MAX : 0))
                _exit(101);
        if (taking->hangs) {
                if (!receive_request(fd, &other, fds) || other.action != BROKER_SIGNAL)
                        _exit(102);
                return 128 + SIGTERM;
        }
        if (packs ? taking->pack_full : taking->list_full)
                return ftruncate(stdout_fd, (off_t) request->file_bytes_max) < 0 ? 1 : 128 + SIGXFSZ;
        return write_files(stdout_fd, taking->sizes, packs) < 0;
}

static int serve(int fd, const Taking *taking) {
        BrokerRequest request;
        int fds[4], n = 0;

        for (; receive_request(fd, &request, fds); n++) {
                BrokerReply reply = { .event = BROKER_DONE, .exit_code = -1 };

                reply.status = serve_call(fd, taking, &request, fds[1]);
                for (unsigned i = 0; i < 4; i++)
                        close(fds[i]);
                (void) send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
        }
        return n;
}

static bool has_text(int fd, const char *text) {
        static char data[65536];
        ssize_t n = pread(fd, data, sizeof(data), 0);

        return n > 0 && memmem(data, (size_t) n, text, strlen(text));
}

static void take(void **state, const Taking *taking, size_t i) {
        LocalJob job = { .arena = &arena, .project_dir = "/builds/p", .variables = { .arena = &arena } };
        const FileSelection selection = { .paths = list(taking->paths) };
        int pair[2], status;
        size_t n = 0;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        pid_t pid = fork();
        if (pid == 0) {
                close(pair[0]);
                _exit(serve(pair[1], taking));
        }
        close(pair[1]);
        _cleanup_close_ int cancel_fd = eventfd(taking->wanted, EFD_CLOEXEC);
        _cleanup_close_ int events_fd = memfd_create("events", MFD_CLOEXEC), bundle_fd = -EBADF;
        Caller caller = {
                .broker_fd = pair[0],
                .events_fd = events_fd,
                .cancel_fd = cancel_fd,
                .job = &job,
                .cancelled = taking->wanted_before,
                .ignored = taking->wanted_before,
                .deadline_usec = taking->late ? 1 : USEC_INFINITY,
                .files_bytes_max = BYTES_MAX,
                .files_max = taking->files_max > 0 ? taking->files_max : 2,
        };

        int r = files_take(&caller, &selection, *state, &bundle_fd, &n);
        close(pair[0]);
        assert_true(pid > 0);
        assert_int_equal(process_wait(pid, &status), 0);
        assert_row(r == taking->result, i, taking->what);
        assert_row(process_exit_status(status) == taking->n_calls, i, taking->what);
        assert_row(has_text(events_fd, "too large") == (r == -EFBIG), i, taking->what);
        assert_row((bundle_fd >= 0) == (r == 0), i, taking->what);
}

/* A container can let files seem as large as it wants, and need not end. */
static void test_limits(void **state) {
        static const Taking table[] = {
                { .what = "all that may be", .sizes = { 400, 600 }, .n_calls = 2 },
                { .what = "a byte more", .sizes = { 400, 601 }, .result = -EFBIG, .n_calls = 1 },
                { .what = "holes", .sizes = { 1, UINT64_MAX }, .result = -EFBIG, .n_calls = 1 },
                { .what = "a list without end", .list_full = true, .result = -EFBIG, .n_calls = 1 },
                { .what = "files that grow", .sizes = { 1, 1 }, .pack_full = true, .result = -EFBIG, .n_calls = 2 },
                { .what = "too many", .sizes = { 1, 1 }, .files_max = 1, .result = -EFBIG, .n_calls = 1 },
                { .what = "cancelled", .hangs = true, .wanted = true, .result = -ECANCELED, .n_calls = 1 },
                { .what = "no time left", .hangs = true, .late = true, .result = -ETIME, .n_calls = 1 },
                { .what = "cancelled before", .sizes = { 1, 1 }, .wanted_before = true, .n_calls = 2 },
                { .what = "no time after it",
                  .hangs = true,
                  .wanted_before = true,
                  .late = true,
                  .result = -ETIME,
                  .n_calls = 1 },
                { .what = "one path below another", .paths = { "out/0", "out" }, .sizes = { 400, 600 }, .n_calls = 2 },
        };

        if (setjmp(arena.exhausted) != 0)
                fail();
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Taking taking = table[i];

                taking.arguments = "out";
                if (!taking.paths[0])
                        taking.paths[0] = "out";
                take(state, &taking, i);
        }
}

/* The bundle comes from a container: it may have other files than those that were listed, and paths of any depth. */
static void test_extract(void **state) {
        static const struct {
                const char *paths[2];
                size_t files_max;
                int result;
        } table[] = {
                { { "a", "b/c" }, 2, 0 },
                { { "d", "e" }, 1, -EFBIG },
                { { "f/f/f/f", "g" }, 3, 0 },
                { { "h/h/h/h", "i" }, 2, -EFBIG },
        };

        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_bundle_writer_ BundleWriter writer = { 0 };
                Caller caller = { .broker_fd = -EBADF,
                                  .cancel_fd = -EBADF,
                                  .deadline_usec = USEC_INFINITY,
                                  .files_max = table[i].files_max };
                static BundleEntry entry;
                Problem problem = { 0 };

                _cleanup_close_ int fd = memfd_create("bundle", MFD_CLOEXEC);
                assert_int_equal(bundle_writer_init(&writer, fd), 0);
                for (size_t k = 0; k < ELEMENTSOF(table[i].paths); k++) {
                        entry = (BundleEntry){ .type = BUNDLE_FILE, .mode = 0644 };
                        strcpy(entry.path, table[i].paths[k]);
                        assert_int_equal(bundle_put(&writer, &entry), 0);
                }
                assert_int_equal(bundle_finish(&writer), 0);
                assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                int r = bundle_to_directory(&caller, fd, dir_fd, NULL, &problem);
                assert_row(r == table[i].result, i, table[i].paths[0]);
                assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                r = archive_from_bundle(&caller, fd, null_fd, ARCHIVE_ZIP, 1, &problem);
                assert_row(r == (table[i].files_max < 2 ? -EFBIG : 0), i, table[i].paths[1]);
        }
}

static int setup_arena(_unused_ void **state) {
        arena_init(&arena, 1024 * 1024);
        return 0;
}

static int teardown_arena(_unused_ void **state) {
        arena_done(&arena);
        return 0;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_untracked),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_expand),
        cmocka_unit_test_setup_teardown(test_limits, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_extract, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .setup = setup_arena, .teardown = teardown_arena);
