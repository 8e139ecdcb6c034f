/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "container/channel.h"
#include "descriptors.h"
#include "failing.h"

/* The agent's server in a process of its own, outside of any container, asked for steps as `run` asks. What it cannot
 * do here: be PID 1, and be root. */

/* The server; one for each test, with a directory for what the scripts leave. */
typedef struct Lab {
        char *directory;
        pid_t pid;
} Lab;

/* One connection and its step. */
typedef struct Call {
        int socket_fd;
        int fds[3]; /* its stdout, stderr, and perhaps stdin */
} Call;

#define CALL_NONE                                                      \
        (Call) {                                                       \
                .socket_fd = -EBADF, .fds = { -EBADF, -EBADF, -EBADF } \
        }

static void call_done(Call *call) {
        closep(&call->socket_fd);
        closep(&call->fds[0]);
        closep(&call->fds[1]);
        closep(&call->fds[2]);
        *call = CALL_NONE;
}
#define _cleanup_call_ _cleanup_(call_done)

/* Closes what belongs to its step. */
static void call_forget(Call *call) {
        for (size_t i = 0; i < 3; i++)
                closep(&call->fds[i]);
}

char agent_dir[256] = "/nonexistent"; /* until a lab has one */

static int setup_lab(void **state) {
        void *directory;

        if (setup_directory(&directory) < 0 || chmod(directory, 0711) < 0)
                return -1;
        snprintf(agent_dir, sizeof(agent_dir), "%s/agent", (const char *) directory);
        Lab *lab = calloc(1, sizeof(Lab));
        lab->directory = directory;
        _cleanup_close_ int listen_fd = channel_listen(lab->directory);
        if (listen_fd < 0)
                return -1;
        lab->pid = fork();
        if (lab->pid == 0) {
                const struct rlimit none = { 0, 0 };

                /* As main() of the agent does, and as if it were PID 1. */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                prctl(PR_SET_CHILD_SUBREAPER, 1);
                (void) setrlimit(RLIMIT_CORE, &none);
                (void) signal(SIGPIPE, SIG_IGN);
                (void) fd_set_nonblock(listen_fd, true);
                (void) umask(0022);
                _exit(server_run(listen_fd, &SERVER_SETUP_NONE));
        }
        *state = lab;
        return 0;
}

/* The server ends when it is told to, with nothing left of any script. */
static int teardown_lab(void **state) {
        Lab *lab = *state;
        void *directory = lab->directory;
        int status;

        if (kill(lab->pid, SIGTERM) < 0 || waitpid(lab->pid, &status, 0) != lab->pid || status != 0)
                return -1;
        free(lab);
        if (rmdir(AGENT_DIR) < 0 && errno != ENOENT)
                return -1;
        return teardown_directory(&directory);
}

static Call call_connect(const Lab *lab) {
        Call call = CALL_NONE;

        call.socket_fd = channel_connect(lab->directory);
        assert_true(call.socket_fd >= 0);
        return call;
}

static void receive(const Call *call, WireType type, WireMessage *ret) {
        assert_int_equal(wire_receive(call->socket_fd, ret), 1);
        assert_int_equal(ret->type, type);
}

static void send_script(const Call *call, const char *shell, const char *script, uint32_t kill_timeout_msec) {
        char *argv[] = { (char *) shell, NULL };
        WireExec exec = { .kill_timeout_msec = kill_timeout_msec, .argv = argv };
        _cleanup_close_ int fd = script ? memfd_new_sealed("script", script, strlen(script)) : -EBADF;

        assert_int_equal(wire_send_exec(call->socket_fd, &exec, fd, -EBADF), 0);
}

static void take_streams(Call *call, size_t n) {
        WireMessage message;

        receive(call, WIRE_STARTED, &message);
        assert_int_equal(message.n_fds, n + 1);
        assert_true(fd_is_pidfd(message.fds[n]));
        for (size_t i = 0; i < n; i++)
                call->fds[i] = TAKE_FD(message.fds[i]);
        wire_message_done(&message);
}

static void take_started(Call *call) {
        take_streams(call, 2);
}

/* Starts a command with an input. */
static Call call_command(const Lab *lab, const WireExec *exec) {
        Call call = call_connect(lab);

        assert_int_equal(wire_send_exec(call.socket_fd, exec, -EBADF, -EBADF), 0);
        take_streams(&call, exec->wants_stdin ? 3 : 2);
        return call;
}

/* Starts @script with /bin/sh. */
static Call call_start(const Lab *lab, const char *script, uint32_t kill_timeout_msec) {
        Call call = call_connect(lab);

        send_script(&call, "/bin/sh", script, kill_timeout_msec);
        take_started(&call);
        return call;
}

static WireExited take_exited(const Call *call) {
        WireMessage message;
        WireExited exited;

        receive(call, WIRE_EXITED, &message);
        assert_int_equal(wire_parse_exited(&message, &exited), 0);
        wire_message_done(&message);
        return exited;
}

static WireFailed take_failed(const Call *call) {
        WireMessage message;
        WireFailed failed;

        receive(call, WIRE_FAILED, &message);
        assert_int_equal(wire_parse_failed(&message, &failed), 0);
        wire_message_done(&message);
        return failed;
}

static char *read_to_end(int fd) {
        char *text;

        assert_int_equal(fd_read_all(fd, 1 << 24, &text, NULL), 0);
        return text;
}

/* The first line that a script prints. */
static void read_line(int fd, char *ret, size_t size) {
        size_t n = 0;

        while (n < size - 1 && read(fd, ret + n, 1) == 1 && ret[n] != '\n')
                n++;
        ret[n] = 0;
}

static void check_alive(const Lab *lab) {
        _cleanup_call_ Call call = call_connect(lab);

        assert_int_equal(channel_wait_ready(call.socket_fd, -EBADF, USEC_INFINITY, false), 0);
}

/* How many scripts are on the disk. The server removes them when it has told the host of the end: it does one thing
 * after the other. */
static size_t count_scripts(const Lab *lab) {
        if (lab)
                check_alive(lab);
        _cleanup_closedir_ DIR *dir = opendir(AGENT_DIR);
        struct dirent *entry;
        size_t n = 0;

        while (dir && (entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        return n;
}

/* --- */

static void test_ping(void **state) {
        _cleanup_call_ Call call = call_connect(*state);

        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(channel_wait_ready(call.socket_fd, -EBADF, USEC_INFINITY, false), 0);
        check_alive(*state);
}

static void test_exit_codes(void **state) {
        static const struct {
                const char *script;
                int status;
        } table[] = {
                { "", 0 },
                { "exit 0", 0 },
                { "exit 1", 1 },
                { "exit 42", 42 },
                { "exit 255", 255 },
                { "exit 256", 0 },
                { "false", 1 },
                { "no-such-command", 127 },
                { "/etc/passwd", 126 },
                { "trap 'exit 7' TERM; kill -TERM $$; exit 8", 7 },
                { "(", 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_call_ Call call = call_start(*state, table[i].script, 0);
                WireExited exited = take_exited(&call);

                assert_row(exited.code == CLD_EXITED && exited.status == table[i].status, i, table[i].script);
                assert_int_equal(count_scripts(*state), 0);
        }
}

/* Death by every signal that ends a process. */
static void test_signals(void **state) {
        for (int n = 1; n <= SIGRTMAX; n++) {
                char script[64];

                if (n == SIGCHLD || n == SIGCONT || n == SIGURG || n == SIGWINCH || n == SIGSTOP || n == SIGTSTP ||
                    n == SIGTTIN || n == SIGTTOU || (n > SIGSYS && n < SIGRTMIN))
                        continue;
                snprintf(script, sizeof(script), "kill -%d $$; exit 9", n);
                _cleanup_call_ Call call = call_start(*state, script, 0);
                WireExited exited = take_exited(&call);
                assert_row((exited.code == CLD_KILLED || exited.code == CLD_DUMPED) && exited.status == n, n, script);
        }
}

/* Both outputs, apart and whole: the end of the file comes with the shell's end. */
static void test_output(void **state) {
        _cleanup_call_ Call call = call_start(
                *state, "head -c 3000000 /dev/zero | tr '\\0' x; printf END; printf errors >&2; exit 3", 0);
        _cleanup_free_ char *out = read_to_end(call.fds[0]), *err = read_to_end(call.fds[1]);
        WireExited exited = take_exited(&call);

        assert_int_equal(strlen(out), 3000003);
        assert_int_equal(strspn(out, "x"), 3000000);
        assert_string_equal(out + 3000000, "END");
        assert_string_equal(err, "errors");
        assert_int_equal(exited.status, 3);
}

/* They can be opened again by name. */
static void test_dev_stderr(void **state) {
        _cleanup_call_ Call call = call_start(*state, "echo out >/dev/stdout; echo err >/dev/stderr", 0);
        _cleanup_free_ char *out = read_to_end(call.fds[0]), *err = read_to_end(call.fds[1]);

        assert_string_equal(out, "out\n");
        assert_string_equal(err, "err\n");
}

/* What a script finds around it: nothing of ours. */
static void test_surroundings(void **state) {
        static const struct {
                const char *script, *output;
        } table[] = {
                { "grep SigBlk /proc/self/status", "SigBlk:\t0000000000000000\n" },
                /* 32 and 33 are glibc's own, which posix_spawn(3) ignores in every child */
                { "echo $((0x$(sed -n 's/SigIgn:\t//p' /proc/self/status) & ~0x180000000))", "0\n" },
                { "readlink /proc/self/fd/0", "/dev/null\n" },
                { "cat", "" },
                { "umask", "0022\n" },
                { "ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 " }, /* the last is ls's own */
                { "set -- $(cut -d' ' -f 5,6 /proc/$$/stat); [ $1 = $$ ] && [ $2 = $$ ] && echo leader", "leader\n" },
                { "echo $#", "0\n" },
                { "stat -c %a $0", "700\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_call_ Call call = call_start(*state, table[i].script, 0);
                _cleanup_free_ char *out = read_to_end(call.fds[0]), *err = read_to_end(call.fds[1]);

                assert_row(streq(out, table[i].output), i, out);
                assert_row(streq(err, ""), i, err);
                assert_int_equal(take_exited(&call).status, 0);
        }
}

/* What follows this host's name at the beginning of an environment. */
static const char *after_hostname(const char *environment) {
        char hostname[HOST_NAME_MAX + 1] = "";

        assert_int_equal(gethostname(hostname, sizeof(hostname)), 0);
        const char *rest = startswith(environment, "HOSTNAME=");
        assert_non_null(rest);
        rest = startswith(rest, hostname);
        assert_true(rest && *rest == '\n');
        return rest + 1;
}

static void test_environment(void **state) {
        _cleanup_call_ Call call = call_connect(*state);

        assert_int_equal(setenv("SECRET", "of the host", true), 0);
        send_script(&call, "/usr/bin/env", NULL, 0);
        take_started(&call);
        _cleanup_free_ char *out = read_to_end(call.fds[0]);
        assert_string_equal(after_hostname(out),
                            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/root\n"
                            "USER=root\nLOGNAME=root\nLANG=C.UTF-8\ncontainer=systemd-nspawn\n"
                            "SHELL=/bin/bash\n");
        assert_int_equal(take_exited(&call).status, 0);
}

/* What goes in comes out, and its end ends the program: nobody but the host holds the other end. */
static void test_input(void **state) {
        char *argv[] = { (char *) "cat", NULL };
        WireExec exec = { .argv = argv, .wants_stdin = true };

        for (unsigned i = 0; i < 3; i++) {
                _cleanup_call_ Call call = call_command(*state, &exec), other = call_command(*state, &exec);

                assert_int_equal(fd_write_all(call.fds[2], "one\ntwo", 7), 0);
                close(TAKE_FD(call.fds[2]));
                _cleanup_free_ char *out = read_to_end(call.fds[0]);
                assert_string_equal(out, "one\ntwo");
                assert_int_equal(take_exited(&call).status, 0);
        }
}

/* Reads from a terminal until @text came. */
static void expect(int master_fd, const char *text) {
        char seen[4096] = "";
        size_t n = 0;

        while (!strstr(seen, text)) {
                ssize_t r = read(master_fd, seen + n, sizeof(seen) - 1 - n);

                assert_true(r > 0);
                n += (size_t) r;
                seen[n] = 0;
        }
}

/* The step's controlling terminal, of the size that was asked for, whose keys send signals; nobody but the host has the
 * other end, so closing it hangs up. */
static void test_terminal(void **state) {
        char *argv[] = {
                (char *) "/bin/sh", (char *) "-c",
                (char *) "trap '' HUP; read -r x < /dev/tty; echo \"$(stty size) $x\"; test -t 0 -a -t 1 -a -t 2 && "
                         "trap - HUP && echo sleeping && exec sleep 1000",
                NULL
        };
        WireExec exec = { .argv = argv, .wants_terminal = true, .rows = 33, .columns = 111 };

        for (unsigned i = 0; i < 2; i++) {
                _cleanup_call_ Call call = call_connect(*state);

                assert_int_equal(wire_send_exec(call.socket_fd, &exec, -EBADF, -EBADF), 0);
                take_streams(&call, 1);
                assert_int_equal(fd_set_nonblock(call.fds[0], false), 0);
                assert_int_equal(fd_write_all(call.fds[0], "typed\n", 6), 0);
                expect(call.fds[0], "33 111 typed\r\nsleeping");
                if (i == 0)
                        assert_int_equal(fd_write_all(call.fds[0], "\x03", 1), 0);
                else
                        close(TAKE_FD(call.fds[0]));
                WireExited exited = take_exited(&call);
                assert_true(exited.code == CLD_KILLED && exited.status == (i == 0 ? SIGINT : SIGHUP));
        }
}

/* Looked up in the PATH of the step. */
static void test_exec_lookup(void **state) {
        const Lab *lab = *state;
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int dir_fd = open(lab->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_replace_at(dir_fd, "hello", "#!/bin/sh\necho hello $1\n", 24, 0755), 0);
        assert_int_equal(file_replace_at(dir_fd, "data", "", 0, 0644), 0);
        assert_int_equal(mkdirat(dir_fd, "sh", 0755), 0);
        assert_int_equal(string_printf(&path, "PATH=/no/such/directory:%s:/bin", lab->directory), 0);
        const struct {
                const char *program, *environment, *output;
                int error;
        } table[] = {
                { "hello", path, "hello you\n", 0 }, { "hello", NULL, NULL, ENOENT },
                { "hello", "PATH=", NULL, ENOENT },  { "data", path, NULL, EACCES },
                { "echo", path, "you\n", 0 },        { "./echo", path, NULL, ENOENT },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *argv[] = { (char *) table[i].program, (char *) "you", NULL };
                char *environment[] = { (char *) table[i].environment, NULL };
                WireExec exec = { .argv = argv, .environment = environment };
                _cleanup_call_ Call call = call_connect(lab);

                assert_int_equal(wire_send_exec(call.socket_fd, &exec, -EBADF, -EBADF), 0);
                if (table[i].error != 0) {
                        /* What is not looked up, execve() alone can judge: the host hears of it before. */
                        if (strchr(table[i].program, '/'))
                                take_started(&call);
                        WireFailed failed = take_failed(&call);
                        assert_row(failed.cause == WIRE_CAUSE_SHELL && failed.error == table[i].error, i,
                                   table[i].program);
                        continue;
                }
                take_started(&call);
                _cleanup_free_ char *out = read_to_end(call.fds[0]);
                assert_row(streq(out, table[i].output), i, out);
        }
}

/* What the host adds goes over what the agent has. */
static void test_environment_additions(void **state) {
        char *argv[] = { (char *) "/usr/bin/env", NULL };
        char *environment[] = { (char *) "A=b c\nd", (char *) "HOME=/elsewhere", (char *) "HOMER=1", (char *) "A=e",
                                NULL };
        WireExec exec = { .argv = argv, .environment = environment };
        _cleanup_call_ Call call = call_command(*state, &exec);
        _cleanup_free_ char *out = read_to_end(call.fds[0]);

        assert_string_equal(after_hostname(out),
                            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/elsewhere\n"
                            "USER=root\nLOGNAME=root\nLANG=C.UTF-8\ncontainer=systemd-nspawn\n"
                            "SHELL=/bin/bash\nA=e\nHOMER=1\n");
}

/* A directory is entered, and made where it is missing; what cannot be is the image's fault. */
static void test_exec_directory(void **state) {
        const Lab *lab = *state;
        _cleanup_free_ char *missing = NULL, *deeper = NULL;

        assert_int_equal(string_printf(&missing, "%s/new", lab->directory), 0);
        assert_int_equal(string_printf(&deeper, "%s/new/a/b", lab->directory), 0);
        const struct {
                const char *directory;
                int error;
        } table[] = {
                { "/usr/bin", 0 },
                { missing, 0 },
                { deeper, 0 },
                { "/etc/passwd", ENOTDIR },
                { "/etc/passwd/below", ENOTDIR },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) "pwd; cat", NULL };
                WireExec exec = { .argv = argv, .directory = table[i].directory };
                _cleanup_call_ Call call = call_connect(lab);
                _cleanup_free_ char *expected = NULL;

                assert_int_equal(wire_send_exec(call.socket_fd, &exec, -EBADF, -EBADF), 0);
                if (table[i].error != 0) {
                        WireFailed failed = take_failed(&call);
                        assert_row(failed.cause == WIRE_CAUSE_DIRECTORY && failed.error == table[i].error, i,
                                   table[i].directory);
                        continue;
                }
                take_started(&call);
                _cleanup_free_ char *out = read_to_end(call.fds[0]);
                assert_int_equal(string_printf(&expected, "%s\n", table[i].directory), 0);
                assert_row(streq(out, expected), i, out);
                assert_int_equal(take_exited(&call).status, 0);
        }
}

/* Directories that are asked for are there, and the user's, unless something is there already. */
static void test_directories(void **state) {
        const Lab *lab = *state;
        _cleanup_free_ char *mine = NULL, *present = NULL, *script = NULL, *expected = NULL;

        if (geteuid() != 0)
                skip();
        assert_int_equal(string_printf(&mine, "%s/mine/too", lab->directory), 0);
        assert_int_equal(string_printf(&present, "%s/present", lab->directory), 0);
        assert_int_equal(mkdir(present, 0755), 0);
        assert_int_equal(string_printf(&script, "stat -c '%%U %%n' %s %s", mine, present), 0);
        assert_int_equal(string_printf(&expected, "daemon %s\nroot %s\n", mine, present), 0);
        for (unsigned i = 0; i < 2; i++) {
                char *argv[] = { (char *) "/bin/sh", (char *) "-c", script, NULL };
                char *directories[] = { mine, (char *) "not/absolute", (char *) "", present, NULL };
                WireExec exec = { .argv = argv, .user = "daemon", .directories = directories };
                _cleanup_call_ Call call = call_command(lab, &exec);

                _cleanup_free_ char *out = read_to_end(call.fds[0]);
                assert_row(streq(out, expected), i, out);
                assert_int_equal(take_exited(&call).status, 0);
        }
        assert_int_equal(access("not", F_OK), -1);
}

static void test_no_user(void **state) {
        char *argv[] = { (char *) "/bin/true", NULL };
        WireExec exec = { .argv = argv, .user = "no-such-user" };
        _cleanup_call_ Call call = call_connect(*state);

        assert_int_equal(wire_send_exec(call.socket_fd, &exec, -EBADF, -EBADF), 0);
        WireFailed failed = take_failed(&call);
        assert_int_equal(failed.cause, WIRE_CAUSE_USER);
        assert_int_equal(failed.error, ESRCH);
        check_alive(*state);
}

/* A user of the image: its ids, groups and home, a script and pipes of its own. Needs root, as PID 1 of a container is. */
static void test_user(void **state) {
        static const struct {
                const char *user, *output;
        } table[] = {
                { "daemon", "1 1 1 daemon /usr/sbin\n" },
                { "1", "1 1 1 daemon /usr/sbin\n" },
                { "daemon:bin", "1 2 2 daemon /usr/sbin\n" },
                { "54321:12345", "54321 12345 12345 54321 /\n" },
        };

        if (geteuid() != 0)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                static const char script[] =
                        "echo $(id -u) $(id -g) $(id -G) $USER $HOME >/dev/stdout; cat $0 >/dev/null; cat </dev/stdin >&2";
                _cleanup_close_ int fd = memfd_new_sealed("script", script, strlen(script));
                char *argv[] = { (char *) "/bin/sh", NULL };
                WireExec exec = { .argv = argv, .user = table[i].user, .wants_stdin = true };
                _cleanup_call_ Call call = call_connect(*state);

                assert_int_equal(wire_send_exec(call.socket_fd, &exec, fd, -EBADF), 0);
                take_streams(&call, 3);
                close(TAKE_FD(call.fds[2]));
                _cleanup_free_ char *out = read_to_end(call.fds[0]), *err = read_to_end(call.fds[1]);
                assert_row(streq(out, table[i].output), i, out);
                assert_row(streq(err, ""), i, err);
                assert_int_equal(take_exited(&call).status, 0);
                assert_int_equal(count_scripts(*state), 0);
        }
}

/* An empty name stands for bash, or sh where there is none. */
static void test_default_shell(void **state) {
        _cleanup_call_ Call call = call_connect(*state);

        send_script(&call, "", "echo $SHELL; readlink /proc/$$/exe", 0);
        take_started(&call);
        _cleanup_free_ char *out = read_to_end(call.fds[0]);
        assert_non_null(startswith(out, access("/bin/bash", X_OK) >= 0 ? "/bin/bash\n" : "/bin/sh\n"));
}

static const char kept[] = "ONE=1\0TERM=other\0CI_PROJECT_DIR=/usr\0LINES=a\nb\0PATH=/nowhere:/usr/bin:/bin";

/* What `env` and `pwd` print with the agent's variables, or without. */
static char *show_variables(const Lab *lab, bool with, const char *directory) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-c",
                         (char *) "echo \"$ONE,$PATH,$LINES,$(pwd)\"; printenv IMAGE", NULL };
        char *environment[] = { (char *) "ONE=0", (char *) "IMAGE=i", NULL };
        const WireExec exec = {
                .argv = argv, .environment = environment, .wants_variables = with, .directory = directory
        };

        _cleanup_call_ Call call = call_command(lab, &exec);
        return read_to_end(call.fds[0]);
}

/* The variables that come with one step are there for others that want them, until new ones come. */
static void test_variables(void **state) {
        char *argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) "echo $ONE", NULL };
        const WireExec exec = { .argv = argv, .has_variables = true };

        for (unsigned i = 0; i < 2; i++) {
                _cleanup_close_ int fd = i == 0 ? memfd_new_sealed("variables", "ONE=x", 6) :
                                                  memfd_new_sealed("variables", kept, sizeof(kept));
                _cleanup_call_ Call call = call_connect(*state);

                assert_int_equal(wire_send_exec(call.socket_fd, &exec, -EBADF, fd), 0);
                take_started(&call);
                _cleanup_free_ char *out = read_to_end(call.fds[0]);
                assert_string_equal(out, "\n"); /* they are not this step's */
        }
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_free_ char *without = show_variables(*state, false, "/"),
                                    *with = show_variables(*state, true, NULL),
                                    *elsewhere = show_variables(*state, true, "/etc");
                assert_string_equal(without, "0," SEARCH_PATH ",,/\ni\n");
                assert_string_equal(with, "1,/nowhere:/usr/bin:/bin,a\nb,/usr\ni\n");
                assert_string_equal(elsewhere, "1,/nowhere:/usr/bin:/bin,a\nb,/etc\ni\n");
        }
}

static void test_exec_no_shell(void **state) {
        const Lab *lab = *state;
        _cleanup_free_ char *not_executable = NULL;
        _cleanup_close_ int dir_fd = open(lab->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_replace_at(dir_fd, "file", "#!/bin/sh\n", 10, 0644), 0);
        assert_int_equal(string_printf(&not_executable, "%s/file", lab->directory), 0);
        const struct {
                const char *shell;
                int error;
        } table[] = {
                { "/no/such/shell", ENOENT },
                { "/etc/passwd/shell", ENOTDIR },
                { "/etc", EACCES },
                { not_executable, EACCES },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_call_ Call call = call_connect(lab);

                /* The host hears of it before execve(). */
                send_script(&call, table[i].shell, "exit 0", 0);
                take_started(&call);
                WireFailed failed = take_failed(&call);
                call_forget(&call);
                assert_row(failed.cause == WIRE_CAUSE_SHELL, i, table[i].shell);
                assert_row(failed.error == table[i].error, i, strerror(failed.error));
                assert_int_equal(count_scripts(*state), 0);

                /* The same connection may try another one. */
                send_script(&call, "/bin/sh", "exit 5", 0);
                take_started(&call);
                assert_int_equal(take_exited(&call).status, 5);
        }
}

/* The agent's own fault, or the host's. */
static void test_bad_exec(void **state) {
        static char *const argv[] = { (char *) "/bin/sh", NULL };
        WireExec exec = { .argv = (char **) argv };
        _cleanup_call_ Call call = call_connect(*state);
        int fds[2];

        /* The script is no file. */
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(wire_send_exec(call.socket_fd, &exec, fds[0], -EBADF), 0);
        close(fds[0]);
        close(fds[1]);
        WireFailed failed = take_failed(&call);
        assert_int_equal(failed.cause, WIRE_CAUSE_AGENT);
        assert_int_equal(failed.error, EINVAL);

        /* No arguments, and something else than arguments. */
        assert_int_equal(wire_send(call.socket_fd, WIRE_EXEC, "\0\0\0\0", 4, NULL, 0), 0);
        assert_int_equal(take_failed(&call).error, EBADMSG);
        assert_int_equal(wire_send(call.socket_fd, WIRE_EXEC, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0sh", 16, NULL, 0), 0);
        assert_int_equal(take_failed(&call).error, EBADMSG);

        /* One connection, one step. */
        send_script(&call, "/bin/sh", "exit 4", 0);
        take_started(&call);
        send_script(&call, "/bin/sh", "exit 6", 0);
        for (unsigned i = 0; i < 2; i++) { /* in either order */
                WireMessage message;
                WireExited exited;

                assert_int_equal(wire_receive(call.socket_fd, &message), 1);
                if (message.type == WIRE_FAILED) {
                        assert_int_equal(wire_parse_failed(&message, &failed), 0);
                        assert_int_equal(failed.error, EBUSY);
                } else {
                        assert_int_equal(wire_parse_exited(&message, &exited), 0);
                        assert_int_equal(exited.status, 4);
                }
                wire_message_done(&message);
        }
}

/* --- cancellation --- */

/* Has anybody the end of a pipe into which is written? */
static bool has_writer(int fd) {
        struct pollfd pollfd = { .fd = fd };
        return poll(&pollfd, 1, 0) == 0;
}

static void test_cancel(void **state) {
        /* A child that a shell starts while the signals are on their way gets none, and what a shell with a trap forked
         * loses those that come before it executes something: each is there, and itself, before "ready". */
        static const struct {
                const char *text, *script;
                uint32_t kill_timeout_msec;
                int code, status;
        } table[] = {
                { "plain", "echo ready; exec sleep 1000", 60000, CLD_KILLED, SIGTERM },
                { "GitLab's",
                  "trap 'exit 1' TERM; (trap 'exit 1' TERM; sh -c 'echo ready; exec sleep 1000' & wait); exit 0", 60000,
                  CLD_EXITED, 1 },
                { "with children", "sleep 1000 & sleep 1000 & echo ready; wait", 60000, CLD_KILLED, SIGTERM },
                { "session of its own", "setsid -w sh -c 'echo ready; exec sleep 1000'; exit 5", 60000, CLD_KILLED,
                  SIGTERM },
                { "stopped", "echo ready; kill -STOP $$; exit 5", 60000, CLD_KILLED, SIGTERM },
                /* what its line in /proc looks like must not confuse the agent */
                { "odd name", "printf ') R 1 1 (' >/proc/$$/comm; sleep 1000 & echo ready; wait", 60000, CLD_KILLED,
                  SIGTERM },
                { "deaf", "trap '' TERM; echo ready; sleep 1000; sleep 1000; sleep 1000", 50, CLD_KILLED, SIGKILL },
                { "deaf child", "(trap '' TERM; echo ready; sleep 1000; sleep 1000)", 50, CLD_KILLED, SIGTERM },
                { "deaf, no time", "trap '' TERM; echo ready; sleep 1000", 0, CLD_KILLED, SIGKILL },
                /* each is gone before it could be seen; it ends by itself some time */
                { "deaf runaway",
                  "trap '' TERM; f() { [ $1 = 0 ] || f $(($1 - 1)) & exit 0; }; (f 20000); echo ready; sleep 1000", 50,
                  CLD_KILLED, SIGKILL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_call_ Call call = call_start(*state, table[i].script, table[i].kill_timeout_msec);
                char line[16];

                read_line(call.fds[0], line, sizeof(line));
                assert_string_equal(line, "ready");
                assert_int_equal(wire_send(call.socket_fd, WIRE_KILL, NULL, 0, NULL, 0), 0);
                WireExited exited = take_exited(&call);
                assert_row(exited.code == table[i].code && exited.status == table[i].status, i, table[i].text);

                /* Nobody is left who holds the pipes. */
                assert_row(!has_writer(call.fds[0]) && !has_writer(call.fds[1]), i, table[i].text);
                _cleanup_free_ char *out = read_to_end(call.fds[0]), *err = read_to_end(call.fds[1]);
                assert_row(streq(out, ""), i, out);
                assert_int_equal(count_scripts(*state), 0);
        }
}

/* A step has not ended as long as it is not known which processes there are. */
static void test_cancel_unlisted(_unused_ void **state) {
        Step step = { .state = STEP_CANCELLED, .kill_at_usec = USEC_INFINITY, .shell_ended = true };
        struct rlimit before;
        Surroundings surroundings;

        step.pid = fork();
        if (step.pid == 0)
                _exit(0);
        assert_int_equal(waitpid(step.pid, NULL, 0), step.pid);
        surroundings_open(&surroundings);
        assert_true(surroundings.proc_fd >= 0);
        failing_readdir(3, EIO);
        assert_false(step_cancel_progress(&surroundings, &step));
        failing_readdir(0, 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }), 0);
        bool ended = step_cancel_progress(&surroundings, &step);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_false(ended);
        assert_true(step_cancel_progress(&surroundings, &step));
        free(step.cancelled);
        surroundings_done(&surroundings);
}

/* KILL with nothing to kill, before and after, and twice. */
static void test_cancel_nothing(void **state) {
        _cleanup_call_ Call call = call_connect(*state);

        assert_int_equal(wire_send(call.socket_fd, WIRE_KILL, NULL, 0, NULL, 0), 0);
        send_script(&call, "/bin/sh", "echo ready; exec sleep 1000", 10000);
        take_started(&call);
        char line[16];
        read_line(call.fds[0], line, sizeof(line));
        assert_int_equal(wire_send(call.socket_fd, WIRE_KILL, NULL, 0, NULL, 0), 0);
        assert_int_equal(wire_send(call.socket_fd, WIRE_KILL, NULL, 0, NULL, 0), 0);
        assert_int_equal(take_exited(&call).status, SIGTERM);
        assert_int_equal(wire_send(call.socket_fd, WIRE_KILL, NULL, 0, NULL, 0), 0);
        assert_int_equal(channel_wait_ready(call.socket_fd, -EBADF, USEC_INFINITY, false), 0);
}

/* `run` was killed: so is its step, and the next works. */
static void test_host_gone(void **state) {
        _cleanup_call_ Call call = call_start(*state, "trap '' TERM; echo ready; sleep 1000; sleep 1000", 50);
        char line[16];

        read_line(call.fds[0], line, sizeof(line));
        close(TAKE_FD(call.socket_fd));
        _cleanup_free_ char *out = read_to_end(call.fds[0]), *err = read_to_end(call.fds[1]);
        assert_string_equal(out, "");

        _cleanup_call_ Call next = call_start(*state, "exit 6", 0);
        assert_int_equal(take_exited(&next).status, 6);
}

/* Steps of several connections at once do not meet. */
static void test_steps_at_once(void **state) {
        Call calls[10];

        for (int i = 0; i < (int) ELEMENTSOF(calls); i++) {
                char script[64];

                snprintf(script, sizeof(script), "echo %d; exec sleep 1000", i);
                calls[i] = call_start(*state, script, 1000);
        }
        for (size_t i = ELEMENTSOF(calls); i-- > 0;) {
                char line[32], number[32];

                snprintf(number, sizeof(number), "%zu", i);
                read_line(calls[i].fds[0], line, sizeof(line));
                assert_string_equal(line, number);
                assert_int_equal(wire_send(calls[i].socket_fd, WIRE_KILL, NULL, 0, NULL, 0), 0);
                assert_int_equal(take_exited(&calls[i]).status, SIGTERM);
                call_done(&calls[i]);
        }
}

/* --- background processes --- */

/* Ends @pid, whose parent is the server by now, and waits until it is gone. */
static void end_process(pid_t pid) {
        _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);

        assert_true(pid > 1 && pidfd >= 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(pidfd_wait(pidfd, USEC_INFINITY), 0);
}

/* It keeps stdout and stderr: the step is over all the same, and it lives on. */
static void test_background(void **state) {
        _cleanup_call_ Call call = call_start(*state, "sleep 1000 & echo $!; exit 3", 0);
        char line[16];

        assert_int_equal(take_exited(&call).status, 3);
        read_line(call.fds[0], line, sizeof(line));
        call_done(&call);
        check_alive(*state);
        end_process(atoi(line));
        check_alive(*state);
}

/* Much more than a pipe holds, after nobody listens any more: whoever writes that must not be stuck, nor killed. */
static void test_background_writer(void **state) {
        const Lab *lab = *state;
        _cleanup_free_ char *script = NULL, *fifo = NULL;

        assert_int_equal(string_printf(&fifo, "%s/done", lab->directory), 0);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(string_printf(&script, "{ read x <%s; head -c 2000000 /dev/zero; echo done >%s; } & exit 0",
                                       fifo, fifo),
                         0);
        _cleanup_call_ Call call = call_start(lab, script, 0);
        assert_int_equal(take_exited(&call).status, 0);
        call_done(&call);

        _cleanup_close_ int fd = open(fifo, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, "go\n", 3), 3);
        close(TAKE_FD(fd));
        fd = open(fifo, O_RDONLY | O_CLOEXEC);
        char line[16];
        read_line(fd, line, sizeof(line));
        assert_string_equal(line, "done");
}

/* --- hostile clients, and order --- */

static void test_garbage(void **state) {
        static const struct {
                const char *data;
                size_t size;
        } table[] = {
                { "", 0 },
                { "x", 1 },
                { "garbage that is longer than a header", 36 },
                { "\2\160\163\156\377\377\377\377", 8 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_call_ Call call = call_connect(*state);
                char byte;

                assert_int_equal(send(call.socket_fd, table[i].data, table[i].size, MSG_NOSIGNAL), table[i].size);
                assert_int_equal(recv(call.socket_fd, &byte, 1, 0), 0); /* closed */
                check_alive(*state);
        }

        /* What only the agent says, to the agent. */
        _cleanup_call_ Call call = call_connect(*state);
        for (WireType type = WIRE_PONG; type < _WIRE_TYPE_MAX; type++)
                if (type != WIRE_EXEC)
                        assert_int_equal(wire_send(call.socket_fd, type, "xxxxxxxx", 8, NULL, 0), 0);
        assert_int_equal(channel_wait_ready(call.socket_fd, -EBADF, USEC_INFINITY, false), 0);
}

/* A job that removes what is not its own hurts itself only. */
static void test_removed_script(void **state) {
        _cleanup_call_ Call call = call_start(*state, "rm -r \"${0%/*}\"; exit 4", 0);

        assert_int_equal(take_exited(&call).status, 4);
        _cleanup_call_ Call next = call_start(*state, "exit 5", 0);
        assert_int_equal(take_exited(&next).status, 5);
        assert_int_equal(count_scripts(*state), 0);
}

/* After many steps of every kind the server holds nothing of them. */
static void test_no_leak(void **state) {
        static const char *const scripts[] = { "exit 0", "kill -9 $$", "echo x; echo y >&2", "sleep 1000" };
        const Lab *lab = *state;
        _cleanup_call_ Call probe = call_connect(lab);

        /* The only connection, before and after: when the server sees the end of one is for it to say. */
        assert_int_equal(channel_wait_ready(probe.socket_fd, -EBADF, USEC_INFINITY, false), 0);
        int before = count_descriptors(lab->pid);
        for (unsigned i = 0; i < 40; i++) {
                _cleanup_call_ Call call = call_start(lab, scripts[i % ELEMENTSOF(scripts)], 50);

                if (i % ELEMENTSOF(scripts) == 3) {
                        close(TAKE_FD(call.socket_fd));
                        _cleanup_free_ char *out = read_to_end(call.fds[0]);
                } else {
                        (void) take_exited(&call);
                }

                char *argv[] = { (char *) "cat", NULL };
                WireExec exec = { .argv = argv, .wants_stdin = true, .directory = i % 2 ? "/" : "" };
                _cleanup_call_ Call with_input = call_command(lab, &exec);
        }
        /* It may need some turns to see that all is closed. */
        while (count_descriptors(lab->pid) != before) {
                assert_int_equal(channel_wait_ready(probe.socket_fd, -EBADF, USEC_INFINITY, false), 0);
                clock_sleep_usec(USEC_PER_MSEC);
        }
}

/* A server that ends with a step running leaves no script behind; see teardown_lab(). */
static void test_end_with_step(void **state) {
        _cleanup_call_ Call call = call_start(*state, "echo $$; exec sleep 1000", 0);
        Lab *lab = *state;
        char line[16];

        read_line(call.fds[0], line, sizeof(line));
        assert_int_equal(count_scripts(lab), 1);
        assert_int_equal(kill(lab->pid, SIGTERM), 0);
        assert_int_equal(waitid(P_PID, (id_t) lab->pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
        assert_int_equal(count_scripts(NULL), 0);
        /* In a container, the kernel ends it with PID 1. */
        end_process(atoi(line));
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, setup_lab, teardown_lab)

static int setup_file(_unused_ void **state) {
        /* What whoever started this test leaves open would show up in the scripts. */
        return close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

static const struct CMUnitTest tests[] = {
        WITH_LAB(test_ping),
        WITH_LAB(test_exit_codes),
        WITH_LAB(test_signals),
        WITH_LAB(test_output),
        WITH_LAB(test_dev_stderr),
        WITH_LAB(test_surroundings),
        WITH_LAB(test_variables),
        WITH_LAB(test_environment),
        WITH_LAB(test_default_shell),
        WITH_LAB(test_input),
        WITH_LAB(test_terminal),
        WITH_LAB(test_exec_lookup),
        WITH_LAB(test_environment_additions),
        WITH_LAB(test_exec_directory),
        WITH_LAB(test_directories),
        WITH_LAB(test_no_user),
        WITH_LAB(test_user),
        WITH_LAB(test_exec_no_shell),
        WITH_LAB(test_bad_exec),
        WITH_LAB(test_cancel),
        WITH_LAB(test_cancel_nothing),
        cmocka_unit_test(test_cancel_unlisted),
        WITH_LAB(test_host_gone),
        WITH_LAB(test_steps_at_once),
        WITH_LAB(test_background),
        WITH_LAB(test_background_writer),
        WITH_LAB(test_garbage),
        WITH_LAB(test_removed_script),
        WITH_LAB(test_no_leak),
        WITH_LAB(test_end_with_step),
};
UNIT_FILE(tests, .setup = setup_file);
