/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fnmatch.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "container/channel.h"
#include "wire/service.h"

/* The agent's server with the one program that a machine is for, in a process of its own, outside of any container. */

/* Starts a server for it, whose output can be read from *ret_output; *ret_socket is a connection to it from before. */
static pid_t start_service(const char *parent, const WireService *service, int *ret_socket, int *ret_output) {
        _cleanup_free_ char *directory = NULL, *data = NULL;
        int output[2];
        size_t size;

        assert_int_equal(string_printf(&directory, "%s/service", parent), 0);
        assert_true(mkdir(directory, 0700) >= 0 || errno == EEXIST);
        _cleanup_close_ int listen_fd = channel_listen(directory);
        assert_true(listen_fd >= 0);
        *ret_socket = channel_connect(directory);
        assert_true(*ret_socket >= 0);
        assert_int_equal(wire_format_service(service, &data, &size), 0);
        _cleanup_close_ int service_fd = memfd_new_sealed("service", data, size);
        assert_true(service_fd >= 0);
        assert_int_equal(pipe2(output, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                prctl(PR_SET_CHILD_SUBREAPER, 1);
                if (dup2(output[1], STDOUT_FILENO) < 0 || dup2(output[1], STDERR_FILENO) < 0)
                        _exit(99);
                (void) fd_set_nonblock(listen_fd, true);
                ServerSetup setup = SERVER_SETUP_NONE;

                setup.service_fd = service_fd;
                _exit(server_run(listen_fd, &setup));
        }
        close(output[1]);
        *ret_output = output[0];
        return pid;
}

/* It ends with its program, and as that did, but not before the host was answered. */
static void test_service(void **state) {
        const char *parent = *state;
        static const struct {
                const char *script;
                const char *output;
                int ready, status;
        } table[] = {
                { "echo out; echo err >&2; exit 7", "out\nerr\n", 0, 7 },
                { "echo $VARIABLE; pwd; kill -9 $$", "value\n/\n", 0, 128 + SIGKILL },
                { "[ -d \"$MADE\" ] && echo made", "made\n", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *made = NULL, *variable = NULL, *output = NULL;
                int status, socket_fd, output_fd;
                size_t size;

                assert_int_equal(string_printf(&made, "%s/service/a/b", parent), 0);
                assert_int_equal(string_printf(&variable, "MADE=%s", made), 0);
                WireService service = { .directory = (char *) "/",
                                        .directories = ARGV(made),
                                        .argv = ARGV("sh", "-c", table[i].script),
                                        .environment = ARGV("VARIABLE=value", variable) };
                pid_t pid = start_service(parent, &service, &socket_fd, &output_fd);
                assert_int_equal(channel_wait_ready(socket_fd, -EBADF, 60 * USEC_PER_SEC, false), table[i].ready);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == table[i].status);
                assert_int_equal(fd_read_all(output_fd, 4096, &output, &size), 0);
                assert_string_equal(output, table[i].output);
                close(socket_fd);
                close(output_fd);
        }
}

/* A program that cannot be started: the host hears of it, and its log says why. */
static void test_service_refused(void **state) {
        static const struct {
                const char *program, *user, *output;
        } table[] = {
                { "/nonexistent/program", NULL, "*'/nonexistent/program'*No such file*" },
                { "nonexistent-program", NULL, "*No such file*" },
                { "/dev/null", NULL, "*Permission denied*" },
                { "true", "nonexistent-user", "*nonexistent-user*no such user*" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                WireService service = { .argv = ARGV(table[i].program), .user = (char *) table[i].user };
                _cleanup_free_ char *output = NULL;
                int status, socket_fd, output_fd;
                size_t size;

                pid_t pid = start_service(*state, &service, &socket_fd, &output_fd);
                assert_int_equal(channel_wait_ready(socket_fd, -EBADF, 60 * USEC_PER_SEC, false), -ENOEXEC);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
                assert_int_equal(fd_read_all(output_fd, 4096, &output, &size), 0);
                assert_int_equal(fnmatch(table[i].output, output, 0), 0);
                close(socket_fd);
                close(output_fd);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_service_refused, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
