/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "descriptors.h"
#include "machine/step.h"
#include "machine/terminal.h"

/* step_run() in a process of its own, which gives it stdout, stderr and signals of its own, against an agent in another
 * one that may be a hostile one. The test itself reads the output. */

#define SHELL "/bin/shell"
#define SCRIPT "the script\n"
#define OUTPUT_MAX_BYTES (4 << 20)

/* In the agent's process: assertions of cmocka belong to the test's. */
#define CHECK(condition)                                                               \
        do {                                                                           \
                if (!(condition)) {                                                    \
                        fprintf(stderr, "agent, line %d: %s\n", __LINE__, #condition); \
                        _exit(1);                                                      \
                }                                                                      \
        } while (0)

/* What the test and its agent tell each other besides: a byte each time. */
static int to_agent[2], from_agent[2];

/* What the next step gets for its input. */
static int input_fd = -EBADF;
/* Is that a terminal which the step is to have one for? */
static bool with_terminal;
/* Does it ask for lines? They go to stdout, in brackets. */
static bool with_lines;

typedef struct Result {
        int r;
        StepOutcome outcome;
        int leaked_fds;
} Result;

typedef struct Run {
        pid_t host, agent;
        int fds[2]; /* its stdout and stderr: read ends of pipes, or negative */
        int result_fd;
        char *output[2];
        size_t size[2];
} Run;

static pid_t fork_child(void) {
        pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGPIPE, SIG_IGN);
        }
        assert_true(pid >= 0);
        return pid;
}

static uint64_t limit_usec; /* of the step; 0: none */

static void print_line(_unused_ void *userdata, const char *line) {
        dprintf(STDOUT_FILENO, "[%s]", line);
}

static void run_host(int socket_fd, int script_fd, const int targets[static 2], uint64_t kill_timeout_usec,
                     int result_fd) {
        Result result = { .r = -EIO };

        if (dup2(targets[0], STDOUT_FILENO) < 0 || dup2(targets[1], STDERR_FILENO) < 0)
                _exit(1);
        close(targets[0]);
        close(targets[1]);
        int before = count_descriptors(0);
        StepRequest request = STEP_REQUEST_PLAIN;
        request.argv = (char *[]){ (char *) SHELL, NULL };
        request.script_fd = script_fd;
        request.stdin_fd = input_fd;
        request.terminal = with_terminal;
        request.on_line = with_lines ? print_line : NULL;
        request.kill_timeout_usec = kill_timeout_usec;
        request.timeout_usec = limit_usec;
        result.r = step_run(socket_fd, &request, &result.outcome);
        result.leaked_fds = count_descriptors(0) - before;
        _exit(fd_write_all(result_fd, &result, sizeof(result)) < 0);
}

/* Starts both. @targets are descriptors for stdout and stderr (consumed), or negative for pipes to the test. */
static void run_start(Run *run, void (*agent)(int socket_fd), const int targets[static 2], uint64_t kill_timeout_usec) {
        _cleanup_close_ int script_fd = memfd_new_sealed("script", SCRIPT, strlen(SCRIPT));
        int sockets[2], results[2], outputs[2];

        *run = (Run){ .fds = { -EBADF, -EBADF } };
        assert_int_equal(pipe2(to_agent, O_CLOEXEC), 0);
        assert_int_equal(pipe2(from_agent, O_CLOEXEC), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        assert_int_equal(pipe2(results, O_CLOEXEC), 0);
        for (size_t i = 0; i < 2; i++) {
                int fds[2];

                outputs[i] = targets[i];
                if (targets[i] >= 0)
                        continue;
                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                run->fds[i] = fds[0];
                outputs[i] = fds[1];
        }

        run->host = fork_child();
        if (run->host == 0) {
                close(sockets[1]);
                for (size_t i = 0; i < 2; i++) {
                        closep(&run->fds[i]);
                        closep(&to_agent[i]);
                        closep(&from_agent[i]);
                }
                run_host(sockets[0], script_fd, outputs, kill_timeout_usec, results[1]);
        }
        for (size_t i = 0; i < 2; i++)
                close(outputs[i]);
        close(sockets[0]);
        close(results[1]);
        run->result_fd = results[0];
        run->agent = fork_child();
        if (run->agent == 0) {
                for (size_t i = 0; i < 2; i++)
                        closep(&run->fds[i]);
                close(results[0]);
                close(to_agent[1]);
                close(from_agent[0]);
                agent(sockets[1]);
                _exit(0);
        }
        close(to_agent[0]);
        close(from_agent[1]);
        close(sockets[1]);
}

static void run_read_output(Run *run) {
        for (size_t i = 0; i < 2; i++)
                if (run->fds[i] >= 0)
                        run->output[i] = malloc(OUTPUT_MAX_BYTES);
        while (run->fds[0] >= 0 || run->fds[1] >= 0) {
                struct pollfd pollfds[2] = { { .fd = run->fds[0], .events = POLLIN },
                                             { .fd = run->fds[1], .events = POLLIN } };

                assert_true(poll(pollfds, 2, -1) > 0);
                for (size_t i = 0; i < 2; i++) {
                        if (!pollfds[i].revents)
                                continue;
                        /* Of an endless output, only the beginning is kept. */
                        size_t offset = MIN(run->size[i], (size_t) OUTPUT_MAX_BYTES - 65536);
                        ssize_t n = read(run->fds[i], run->output[i] + offset, 65536);
                        assert_true(n >= 0);
                        run->size[i] += (size_t) n;
                        if (n == 0)
                                close(TAKE_FD(run->fds[i]));
                }
        }
}

/* Reads the output to its end, and what step_run() said. */
static Result run_finish(Run *run) {
        Result result = { .r = -EIO };
        int status;

        run_read_output(run);
        assert_int_equal(read(run->result_fd, &result, sizeof(result)), sizeof(result));
        assert_int_equal(waitpid(run->host, &status, 0), run->host);
        assert_int_equal(status, 0);
        close(to_agent[1]);
        assert_int_equal(waitpid(run->agent, &status, 0), run->agent);
        assert_int_equal(status, 0);
        close(from_agent[0]);
        close(run->result_fd);
        assert_int_equal(result.leaked_fds, 0);
        return result;
}

static void run_free(Run *run) {
        free(run->output[0]);
        free(run->output[1]);
}

static const int pipes[2] = { -EBADF, -EBADF };

/* Runs a whole step and forgets its output. */
static Result run_step(void (*agent)(int socket_fd)) {
        _cleanup_(run_free) Run run;

        run_start(&run, agent, pipes, 10 * USEC_PER_SEC);
        return run_finish(&run);
}

static void wait_for_agent(void) {
        char byte;

        assert_int_equal(read(from_agent[0], &byte, 1), 1);
}

/* --- parts of agents --- */

static void agent_tell(void) {
        CHECK(write(from_agent[1], "x", 1) == 1);
}

/* Until the test says so, or ends. */
static void agent_wait(void) {
        char byte;

        (void) read(to_agent[0], &byte, 1);
}

static void agent_take_exec(int socket_fd) {
        WireMessage message;
        WireExec exec;
        char script[64] = "";

        CHECK(wire_receive(socket_fd, &message) == 1);
        CHECK(message.type == WIRE_EXEC);
        CHECK(wire_parse_exec(&message, &exec) == 0);
        CHECK(streq(exec.argv[0], SHELL) && !exec.argv[1]);
        CHECK(exec.wants_stdin == (input_fd >= 0 && !with_terminal) && exec.wants_terminal == with_terminal);
        CHECK(message.n_fds == 1);
        CHECK(read(message.fds[0], script, sizeof(script)) == (ssize_t) strlen(SCRIPT));
        CHECK(streq(script, SCRIPT));
        wire_exec_done(&exec);
        wire_message_done(&message);
}

/* Answers EXEC with the read ends of pipes whose write ends are @ret. */
static void agent_answer(int socket_fd, int ret[static 2]) {
        int read_ends[2];

        for (size_t i = 0; i < 2; i++) {
                int fds[2];

                CHECK(pipe2(fds, O_CLOEXEC) == 0);
                (void) fcntl(fds[1], F_SETPIPE_SZ, 256 * 1024);
                read_ends[i] = fds[0];
                ret[i] = fds[1];
        }
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), read_ends, 2) == 0);
        close(read_ends[0]);
        close(read_ends[1]);
}

static void agent_start(int socket_fd, int ret[static 2]) {
        agent_take_exec(socket_fd);
        agent_answer(socket_fd, ret);
}

static void agent_exited(int socket_fd, int code, int status) {
        WireExited exited = { code, status };

        CHECK(wire_send(socket_fd, WIRE_EXITED, &exited, sizeof(exited), NULL, 0) == 0);
}

static void agent_receive_type(int socket_fd, WireType type) {
        WireMessage message;

        CHECK(wire_receive(socket_fd, &message) == 1);
        CHECK(message.type == type);
        wire_message_done(&message);
}

/* Until the host has closed its end. */
static void agent_wait_closed(int socket_fd) {
        WireMessage message;

        while (wire_receive(socket_fd, &message) > 0)
                wire_message_done(&message);
}

/* --- output --- */

#define BLOCK 10007
#define N_BLOCKS 300

static void fill(char *block, size_t i, size_t stream) {
        for (size_t n = 0; n < BLOCK; n++)
                block[n] = (char) (n * 31 + i * 7 + stream);
}

/* All bytes there are, on both in turn, and EXITED as soon as the last is written. */
static void agent_writes_much(int socket_fd) {
        char block[BLOCK];
        int fds[2];

        agent_start(socket_fd, fds);
        for (size_t i = 0; i < N_BLOCKS; i++)
                for (size_t stream = 0; stream < 2; stream++) {
                        fill(block, i, stream);
                        CHECK(fd_write_all(fds[stream], block, BLOCK) == 0);
                }
        agent_exited(socket_fd, CLD_EXITED, 7);
        agent_wait(); /* the ends of the pipes stay open, as for a background process */
}

static void check_much(const char *data, size_t size, size_t stream) {
        char block[BLOCK];

        assert_int_equal(size, BLOCK * N_BLOCKS);
        for (size_t i = 0; i < N_BLOCKS; i++) {
                fill(block, i, stream);
                assert_memory_equal(data + i * BLOCK, block, BLOCK);
        }
}

/* One line in two parts, one with another end, and one without any in each output. */
static void agent_writes_lines(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        CHECK(fd_write_all(fds[0], "fir", 3) == 0);
        agent_tell();
        agent_wait();
        CHECK(fd_write_all(fds[0], "st\nsecond\rlast", 14) == 0);
        CHECK(fd_write_all(fds[1], "error\n\nlast error", 17) == 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_wait(); /* the ends of the pipes stay open, as for a background process */
}

static void test_lines(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        with_lines = true;
        run_start(&run, agent_writes_lines, pipes, 10 * USEC_PER_SEC);
        with_lines = false;
        wait_for_agent();
        assert_int_equal(write(to_agent[1], "x", 1), 1);
        Result result = run_finish(&run);
        assert_int_equal(result.outcome.result, STEP_EXITED);
        assert_int_equal(run.size[1], 0);
        /* Each output has its order; between the two there is none. */
        run.output[0][run.size[0]] = 0;
        const char *first = strstr(run.output[0], "[first][second]"), *last = strstr(run.output[0], "[last]");
        const char *error = strstr(run.output[0], "[error]"), *last_error = strstr(run.output[0], "[last error]");
        assert_true(first && last && error && last_error && first < last && error < last_error);
        assert_int_equal(run.size[0], strlen("[first][second][last][error][last error]"));
}

/* --- input --- */

#define INPUT_BYTES (3 * 1000 * 1000)

/* Answers EXEC; @ret gets the ends that a step has: stdin, stdout, stderr. */
static void agent_start_with_input(int socket_fd, int ret[static 3]) {
        int host_ends[3], fds[2];

        agent_take_exec(socket_fd);
        for (size_t i = 0; i < 3; i++) {
                CHECK(pipe2(fds, O_CLOEXEC) == 0);
                ret[i] = fds[i == 0 ? 0 : 1];
                host_ends[i] = fds[i == 0 ? 1 : 0];
        }
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted),
                        (int[]){ host_ends[1], host_ends[2], host_ends[0] }, 3) == 0);
        for (size_t i = 0; i < 3; i++)
                close(host_ends[i]);
}

/* cat(1) */
static void agent_copies(int socket_fd) {
        static char block[BLOCK];
        int fds[3];
        ssize_t n;

        agent_start_with_input(socket_fd, fds);
        while ((n = read(fds[0], block, sizeof(block))) > 0)
                CHECK(fd_write_all(fds[1], block, (size_t) n) == 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
}

/* Output comes through while nobody takes the input. */
static void agent_reads_late(int socket_fd) {
        static char block[BLOCK];
        size_t size = 0;
        int fds[3];
        ssize_t n;

        agent_start_with_input(socket_fd, fds);
        for (unsigned i = 0; i < 100; i++)
                CHECK(fd_write_all(fds[1], block, BLOCK) == 0);
        while ((n = read(fds[0], block, sizeof(block))) > 0)
                size += (size_t) n;
        agent_exited(socket_fd, CLD_EXITED, size == INPUT_BYTES);
}

static void agent_reads_some(int socket_fd) {
        char byte;
        int fds[3];

        agent_start_with_input(socket_fd, fds);
        CHECK(read(fds[0], &byte, 1) == 1);
        close(fds[0]);
        agent_exited(socket_fd, CLD_EXITED, 5);
}

/* The program had ended before the host looked at the pipe. */
static void agent_reads_nothing(int socket_fd) {
        int fds[2], outputs[2][2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(fds, O_CLOEXEC) == 0 && pipe2(outputs[0], O_CLOEXEC) == 0 && pipe2(outputs[1], O_CLOEXEC) == 0);
        close(fds[0]);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted),
                        (int[]){ outputs[0][0], outputs[1][0], fds[1] }, 3) == 0);
        agent_exited(socket_fd, CLD_EXITED, 6);
}

/* No input, though it was asked for. */
static void agent_forgets_input(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_wait_closed(socket_fd);
}

/* A file that is not ours to write to. */
static void agent_passes_file(int socket_fd) {
        int fds[2], outputs[2][2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(outputs[0], O_CLOEXEC) == 0 && pipe2(outputs[1], O_CLOEXEC) == 0);
        fds[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted),
                        (int[]){ outputs[0][0], outputs[1][0], fds[1] }, 3) == 0);
        agent_wait_closed(socket_fd);
}

static int make_input(void) {
        _cleanup_free_ char *data = malloc(INPUT_BYTES);

        for (size_t i = 0; i < INPUT_BYTES; i++)
                data[i] = (char) (i * 31 + i / 1000);
        int fd = memfd_new_sealed("input", data, INPUT_BYTES);
        assert_true(fd >= 0);
        return fd;
}

static void test_input(_unused_ void **state) {
        static const struct {
                const char *text;
                void (*agent)(int socket_fd);
                int r, status;
        } table[] = {
                { "all of it", agent_copies, 0, 0 },
                { "late", agent_reads_late, 0, 1 },
                { "some of it", agent_reads_some, 0, 5 },
                { "none of it", agent_reads_nothing, 0, 6 },
                { "no pipe", agent_forgets_input, -EBADMSG, 0 },
                { "no pipe but a file", agent_passes_file, -EBADMSG, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(run_free) Run run;

                input_fd = make_input();
                run_start(&run, table[i].agent, pipes, 0);
                Result result = run_finish(&run);
                close(TAKE_FD(input_fd));
                assert_row(result.r == table[i].r, i, table[i].text);
                if (result.r < 0)
                        continue;
                assert_row(result.outcome.result == STEP_EXITED, i, table[i].text);
                assert_row(result.outcome.exited.status == table[i].status, i, table[i].text);
                if (table[i].agent != agent_copies)
                        continue;
                assert_int_equal(run.size[0], INPUT_BYTES);
                for (size_t j = 0; j < INPUT_BYTES; j++)
                        assert_true(run.output[0][j] == (char) (j * 31 + j / 1000));
        }
}

/* Somebody types: what comes late arrives, and nothing waits for it when the step has ended. */
static void agent_echoes_line(int socket_fd) {
        char line[4] = "";
        int fds[3];

        agent_start_with_input(socket_fd, fds);
        agent_tell();
        CHECK(read(fds[0], line, 3) == 3);
        CHECK(fd_write_all(fds[1], line, 3) == 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
}

static void test_input_pipe(_unused_ void **state) {
        _cleanup_(run_free) Run run;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        input_fd = fds[0];
        run_start(&run, agent_echoes_line, pipes, 0);
        wait_for_agent();
        assert_int_equal(write(fds[1], "hey", 3), 3);
        Result result = run_finish(&run);
        assert_int_equal(result.r, 0);
        assert_int_equal(result.outcome.result, STEP_EXITED);
        assert_int_equal(run.size[0], 3);
        assert_memory_equal(run.output[0], "hey", 3);
        close(TAKE_FD(input_fd));
        close(fds[1]);
}

static void check_exited(const Result *result, int code, int status) {
        assert_int_equal(result->r, 0);
        assert_int_equal(result->outcome.result, STEP_EXITED);
        assert_int_equal(result->outcome.exited.code, code);
        assert_int_equal(result->outcome.exited.status, status);
}

static void test_output(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        run_start(&run, agent_writes_much, pipes, 0);
        Result result = run_finish(&run);
        check_exited(&result, CLD_EXITED, 7);
        for (size_t i = 0; i < 2; i++)
                check_much(run.output[i], run.size[i], i);
}

/* Into files, which splice() takes or, with O_APPEND, does not. */
static void test_output_files(void **state) {
        static const int flags[] = { 0, O_APPEND };

        for (size_t f = 0; f < ELEMENTSOF(flags); f++) {
                _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                int targets[2];
                _cleanup_(run_free) Run run;

                for (size_t i = 0; i < 2; i++)
                        targets[i] = openat(dir_fd, i ? "err" : "out",
                                            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | flags[f], 0600);
                run_start(&run, agent_writes_much, targets, 0);
                Result result = run_finish(&run);
                check_exited(&result, CLD_EXITED, 7);
                for (size_t i = 0; i < 2; i++) {
                        _cleanup_free_ char *data = NULL;
                        size_t size;

                        assert_int_equal(file_read_at(dir_fd, i ? "err" : "out", OUTPUT_MAX_BYTES, &data, &size), 0);
                        check_much(data, size, i);
                }
        }
}

#define SOME 200000 /* more than our stdout holds, less than the container's pipe does */

static void agent_writes_some(int socket_fd) {
        static char data[SOME];
        int fds[2];

        memset(data, 'x', sizeof(data));
        agent_start(socket_fd, fds);
        CHECK(fd_write_all(fds[0], data, sizeof(data)) == 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_tell();
        agent_wait();
}

/* The step has ended before anybody reads. */
static void test_slow_reader(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        run_start(&run, agent_writes_some, pipes, 0);
        wait_for_agent();
        Result result = run_finish(&run);
        check_exited(&result, CLD_EXITED, 0);
        assert_int_equal(run.size[0], SOME);
        assert_int_equal(run.size[1], 0);
}

static void agent_writes_to_the_deaf(int socket_fd) {
        static char data[1 << 20];
        int fds[2];

        agent_start(socket_fd, fds);
        agent_wait(); /* until stdout has no reader */
        CHECK(fd_write_all(fds[0], data, sizeof(data)) == 0);
        CHECK(fd_write_all(fds[1], data, sizeof(data)) == 0);
        CHECK(fd_write_all(fds[0], data, sizeof(data)) == 0);
        agent_exited(socket_fd, CLD_EXITED, 3);
}

/* The step does not suffer from it, and the other output is whole. */
static void test_reader_closes(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        run_start(&run, agent_writes_to_the_deaf, pipes, 0);
        close(TAKE_FD(run.fds[0]));
        assert_int_equal(write(to_agent[1], "x", 1), 1);
        Result result = run_finish(&run);
        check_exited(&result, CLD_EXITED, 3);
        assert_int_equal(run.size[1], 1 << 20);
}

/* No space on the disk, as for a reader that closed. */
static void test_full_target(_unused_ void **state) {
        const int targets[2] = { open("/dev/full", O_WRONLY | O_CLOEXEC), -EBADF };
        _cleanup_(run_free) Run run;

        run_start(&run, agent_writes_much, targets, 0);
        Result result = run_finish(&run);
        check_exited(&result, CLD_EXITED, 7);
        check_much(run.output[1], run.size[1], 1);
}

/* A file that must not grow takes what fits. */
static void test_sealed_target(_unused_ void **state) {
        _cleanup_close_ int file_fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct stat st;

        assert_int_equal(ftruncate(file_fd, 3 * 4096), 0);
        assert_int_equal(fcntl(file_fd, F_ADD_SEALS, F_SEAL_GROW), 0);
        const int targets[2] = { fcntl(file_fd, F_DUPFD_CLOEXEC, 3), -EBADF };
        _cleanup_(run_free) Run run;

        run_start(&run, agent_writes_much, targets, 0);
        Result result = run_finish(&run);
        check_exited(&result, CLD_EXITED, 7);
        check_much(run.output[1], run.size[1], 1);
        assert_int_equal(fstat(file_fd, &st), 0);
        assert_int_equal(st.st_size, 3 * 4096);
        assert_int_equal(lseek(file_fd, 0, SEEK_CUR), 3 * 4096);
}

/* A process that the step left behind writes and writes. */
static void agent_endless_writer(int socket_fd) {
        static char data[65536];
        int fds[2];

        agent_start(socket_fd, fds);
        pid_t pid = fork();
        if (pid == 0) {
                while (fd_write_all(fds[0], data, sizeof(data)) >= 0)
                        ;
                _exit(0); /* at the end of the last reader */
        }
        close(fds[0]);
        CHECK(fd_write_all(fds[1], "done", 4) == 0);
        agent_exited(socket_fd, CLD_EXITED, 5);
        CHECK(waitpid(pid, NULL, 0) == pid);
}

static void test_endless_writer(_unused_ void **state) {
        const int table[] = {
                -EBADF, /* a pipe */
                open("/dev/null", O_WRONLY | O_CLOEXEC),
                open("/dev/full", O_WRONLY | O_CLOEXEC),
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const int targets[2] = { table[i], -EBADF };
                _cleanup_(run_free) Run run;

                run_start(&run, agent_endless_writer, targets, 0);
                Result result = run_finish(&run);
                check_exited(&result, CLD_EXITED, 5);
                assert_int_equal(run.size[1], 4);
        }
}

/* --- how it ends --- */

static WireExited next_exited;

static void agent_exits(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_exited(socket_fd, next_exited.code, next_exited.status);
}

static void test_exit_codes(_unused_ void **state) {
        static const WireExited table[] = {
                { CLD_EXITED, 0 },       { CLD_EXITED, 1 },       { CLD_EXITED, 42 },      { CLD_EXITED, 255 },
                { CLD_KILLED, SIGTERM }, { CLD_KILLED, SIGKILL }, { CLD_DUMPED, SIGSEGV }, { CLD_KILLED, 64 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                next_exited = table[i];
                Result result = run_step(agent_exits);
                check_exited(&result, table[i].code, table[i].status);
        }
}

static void agent_no_shell(int socket_fd) {
        WireFailed failed = { WIRE_CAUSE_SHELL, ENOENT };

        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_FAILED, &failed, sizeof(failed), NULL, 0) == 0);
}

static void agent_no_user(int socket_fd) {
        WireFailed failed = { WIRE_CAUSE_USER, ESRCH };

        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_FAILED, &failed, sizeof(failed), NULL, 0) == 0);
}

static void agent_no_directory(int socket_fd) {
        WireFailed failed = { WIRE_CAUSE_DIRECTORY, ENOTDIR };

        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_FAILED, &failed, sizeof(failed), NULL, 0) == 0);
}

static void agent_fails(int socket_fd) {
        WireFailed failed = { WIRE_CAUSE_AGENT, ENOSPC };

        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_FAILED, &failed, sizeof(failed), NULL, 0) == 0);
}

static void agent_ends(int socket_fd) {
        agent_take_exec(socket_fd);
}

static void agent_ends_unread(_unused_ int socket_fd) {
}

static void agent_ends_in_step(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        CHECK(fd_write_all(fds[0], "last words", 10) == 0);
}

static void agent_fails_late(int socket_fd) {
        WireFailed failed = { WIRE_CAUSE_SHELL, ENOEXEC };
        int fds[2];

        agent_start(socket_fd, fds);
        CHECK(wire_send(socket_fd, WIRE_FAILED, &failed, sizeof(failed), NULL, 0) == 0);
        agent_wait_closed(socket_fd);
}

/* Killed by its step, which goes on, writes, and ends. */
static void agent_is_killed(int socket_fd) {
        int out[2], err[2], fds[4] = { 0 };

        agent_take_exec(socket_fd);
        CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
        pid_t pid = fork_child();
        if (pid == 0) {
                char byte;

                /* It goes on when the agent, its parent, is gone: the test has no other word of that. */
                CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
                close(socket_fd);
                close(out[0]);
                CHECK(read(to_agent[0], &byte, 1) == 1);
                CHECK(fd_write_all(out[1], "last words", 10) == 0);
                _exit(7);
        }
        fds[0] = out[0];
        fds[1] = err[0];
        fds[2] = pidfd_open_cloexec(pid);
        CHECK(fds[2] >= 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), fds, 3) == 0);
}

static void test_killed_agent(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        run_start(&run, agent_is_killed, pipes, 0);
        assert_int_equal(write(to_agent[1], "x", 1), 1);
        Result result = run_finish(&run);
        assert_int_equal(result.r, 0);
        /* Nobody can be asked whether the machine lives. */
        assert_int_equal(result.outcome.result, STEP_MACHINE_GONE);
        assert_int_equal(run.size[0], 10);
        assert_memory_equal(run.output[0], "last words", 10);
}

static void test_failures(_unused_ void **state) {
        static const struct {
                const char *text;
                void (*agent)(int socket_fd);
                StepResult result;
                int error; /* 0: any */
        } table[] = {
                { "no shell", agent_no_shell, STEP_NO_SHELL, ENOENT },
                { "agent fails", agent_fails, STEP_FAILED, ENOSPC },
                { "no user", agent_no_user, STEP_NO_USER, ESRCH },
                { "no directory", agent_no_directory, STEP_NO_DIRECTORY, ENOTDIR },
                { "no shell after all", agent_fails_late, STEP_NO_SHELL, ENOEXEC },
                { "agent ends", agent_ends, STEP_MACHINE_GONE, ECONNRESET },
                { "agent ends without reading", agent_ends_unread, STEP_MACHINE_GONE, 0 },
                { "agent ends while the step runs", agent_ends_in_step, STEP_MACHINE_GONE, ECONNRESET },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Result result = run_step(table[i].agent);

                assert_row(result.r == 0, i, table[i].text);
                assert_row(result.outcome.result == table[i].result, i, table[i].text);
                assert_row(table[i].error == 0 || result.outcome.error == table[i].error, i, table[i].text);
        }
}

static void agent_gives_notice(int socket_fd) {
        WireNotice notice = { WIRE_NOTICE_FAILED, 127 };
        int fds[2];

        agent_start(socket_fd, fds);
        CHECK(wire_send(socket_fd, WIRE_NOTICE, &notice, sizeof(notice), NULL, 0) == 0);
        agent_exited(socket_fd, CLD_EXITED, 7);
}

/* It is part of the outcome and changes nothing else of it. */
static void test_notice(_unused_ void **state) {
        Result result = run_step(agent_gives_notice);

        check_exited(&result, CLD_EXITED, 7);
        assert_int_equal(result.outcome.notice.kind, WIRE_NOTICE_FAILED);
        assert_int_equal(result.outcome.notice.detail, 127);
}

static void agent_gives_nonsense(int socket_fd) {
        WireNotice notice = { _WIRE_NOTICE_MAX, 0 };
        int fds[2];

        agent_start(socket_fd, fds);
        CHECK(wire_send(socket_fd, WIRE_NOTICE, &notice, sizeof(notice), NULL, 0) == 0);
        agent_wait_closed(socket_fd);
}

/* What was written before the machine ended is there. */
static void test_last_words(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        run_start(&run, agent_ends_in_step, pipes, 0);
        (void) run_finish(&run);
        assert_int_equal(run.size[0], 10);
        assert_memory_equal(run.output[0], "last words", 10);
}

/* --- hostile agents --- */

static void agent_no_descriptors(int socket_fd) {
        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), NULL, 0) == 0);
        agent_wait_closed(socket_fd);
}

static void agent_one_descriptor(int socket_fd) {
        int fds[2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), fds, 1) == 0);
        agent_wait_closed(socket_fd);
}

/* The first is a pipe, the other is not. */
static void send_odd_descriptor(int socket_fd, int fd) {
        int fds[2];

        agent_take_exec(socket_fd);
        CHECK(fd >= 0 && pipe2(fds, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), (int[]){ fds[0], fd }, 2) ==
              0);
        agent_wait_closed(socket_fd);
}

static void agent_odd_pidfd(int socket_fd) {
        int fds[2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted),
                        (int[]){ fds[0], fds[0], fds[0] }, 3) == 0);
        agent_wait_closed(socket_fd);
}

static void agent_many_descriptors(int socket_fd) {
        int fds[2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted),
                        (int[]){ fds[0], fds[0], fds[0], fds[0] }, 4) == 0);
        agent_wait_closed(socket_fd);
}

static void agent_zero(int socket_fd) {
        send_odd_descriptor(socket_fd, open("/dev/zero", O_RDONLY | O_CLOEXEC));
}

static void agent_socket(int socket_fd) {
        send_odd_descriptor(socket_fd, socket_fd);
}

static void agent_directory(int socket_fd) {
        send_odd_descriptor(socket_fd, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void agent_file(int socket_fd) {
        send_odd_descriptor(socket_fd, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
}

static void agent_starts_twice(int socket_fd) {
        int fds[2], again[2];

        agent_start(socket_fd, fds);
        CHECK(pipe2(again, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), again, 2) == 0);
        agent_wait_closed(socket_fd);
}

static void agent_exits_first(int socket_fd) {
        agent_take_exec(socket_fd);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_wait_closed(socket_fd);
}

static void agent_odd_exit(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_exited(socket_fd, CLD_EXITED, 256);
        agent_wait_closed(socket_fd);
}

static void agent_pongs(int socket_fd) {
        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_PONG, NULL, 0, NULL, 0) == 0);
        agent_wait_closed(socket_fd);
}

static void agent_executes(int socket_fd) {
        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_EXEC, "\0\0\0\0x", 6, NULL, 0) == 0);
        agent_wait_closed(socket_fd);
}

static void agent_garbage(int socket_fd) {
        agent_take_exec(socket_fd);
        CHECK(send(socket_fd, "garbage that is longer than a header", 36, MSG_NOSIGNAL) == 36);
        agent_wait_closed(socket_fd);
}

static void agent_empty_message(int socket_fd) {
        agent_take_exec(socket_fd);
        CHECK(send(socket_fd, "", 0, MSG_NOSIGNAL) == 0);
        agent_wait_closed(socket_fd);
}

/* The wrong ends of pipes: nothing can be read from them. They are read ends when they are opened again. */
static void agent_write_ends(int socket_fd) {
        int fds[2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), (int[]){ fds[1], fds[1] },
                        2) == 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_wait_closed(socket_fd);
}

/* What it passed is still its own too: it makes it wait again. */
static void agent_blocks(int socket_fd) {
        int out[2], err[2], available;

        agent_take_exec(socket_fd);
        CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), (int[]){ out[0], err[0] },
                        2) == 0);
        CHECK(write(out[1], "x", 1) == 1);
        do { /* until it was read: from then on nothing is set any more */
                CHECK(ioctl(out[0], FIONREAD, &available) == 0);
                clock_sleep_usec(USEC_PER_MSEC);
        } while (available > 0);
        CHECK(fd_set_nonblock(out[0], false) == 0);
        CHECK(write(out[1], "y", 1) == 1);
        do {
                CHECK(ioctl(out[0], FIONREAD, &available) == 0);
                clock_sleep_usec(USEC_PER_MSEC);
        } while (available > 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_wait_closed(socket_fd);
}

/* The other process that reads makes what is there less than what was said to be. */
static void agent_reads_itself(int socket_fd) {
        static char buffer[4096];
        int out[2], err[2];

        agent_take_exec(socket_fd);
        CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
        CHECK(fd_set_nonblock(out[0], true) == 0 && fd_set_nonblock(out[1], true) == 0);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;) {
                        (void) write(out[1], buffer, sizeof(buffer));
                        (void) read(out[0], buffer, sizeof(buffer));
                }
        }
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), (int[]){ out[0], err[0] },
                        2) == 0);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_wait_closed(socket_fd);
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void test_hostile(_unused_ void **state) {
        static const struct {
                const char *text;
                void (*agent)(int socket_fd);
                int r;
                StepResult result;
        } table[] = {
                { "STARTED without descriptors", agent_no_descriptors, -EBADMSG, 0 },
                { "STARTED with one descriptor", agent_one_descriptor, -EBADMSG, 0 },
                { "a device", agent_zero, -EBADMSG, 0 },
                { "a socket", agent_socket, -EBADMSG, 0 },
                { "a directory", agent_directory, -EBADMSG, 0 },
                { "a file", agent_file, -EBADMSG, 0 },
                { "STARTED twice", agent_starts_twice, 0, STEP_MACHINE_GONE }, /* its descriptors are garbage by then */
                { "a NOTICE that means nothing", agent_gives_nonsense, -EBADMSG, 0 },
                { "EXITED without STARTED", agent_exits_first, -EBADMSG, 0 },
                { "something else than a pidfd", agent_odd_pidfd, -EBADMSG, 0 },
                { "one descriptor too many", agent_many_descriptors, -EBADMSG, 0 },
                { "no exit status", agent_odd_exit, -EBADMSG, 0 },
                { "PONG", agent_pongs, -EBADMSG, 0 },
                { "EXEC", agent_executes, -EBADMSG, 0 },
                { "garbage", agent_garbage, 0, STEP_MACHINE_GONE },
                { "an empty message", agent_empty_message, 0, STEP_MACHINE_GONE },
                { "write ends", agent_write_ends, 0, STEP_EXITED },
                { "a pipe that waits", agent_blocks, 0, STEP_EXITED },
                { "a pipe with another reader", agent_reads_itself, 0, STEP_EXITED },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Result result = run_step(table[i].agent);

                assert_row(result.r == table[i].r, i, table[i].text);
                assert_row(result.r < 0 || result.outcome.result == table[i].result, i, table[i].text);
        }
}

/* --- terminals --- */

static void open_terminal(int ret[static 2]) {
        int locked = 0;

        ret[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(ret[0] >= 0 && ioctl(ret[0], TIOCSPTLCK, &locked) == 0);
        ret[1] = ioctl(ret[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(ret[1] >= 0);
}

static void agent_answer_with(int socket_fd, int fd) {
        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), &fd, 1) == 0);
        close(fd);
}

static void agent_passes_null(int socket_fd) {
        agent_answer_with(socket_fd, open("/dev/null", O_RDWR | O_CLOEXEC));
        agent_wait_closed(socket_fd);
}

static void agent_passes_pipe(int socket_fd) {
        int fds[2];

        CHECK(pipe2(fds, O_CLOEXEC) == 0);
        agent_answer_with(socket_fd, fds[0]);
        agent_wait_closed(socket_fd);
}

/* The end that is the step's: what is typed would be the host's own. */
static void agent_passes_slave(int socket_fd) {
        int fds[2];

        open_terminal(fds);
        agent_answer_with(socket_fd, fds[1]);
        agent_wait_closed(socket_fd);
}

/* All that it wrote is delivered, also what nobody has read when it ended. */
static void agent_has_terminal(int socket_fd) {
        int fds[2];

        open_terminal(fds);
        agent_answer_with(socket_fd, fds[0]);
        CHECK(fd_write_all(fds[1], "hello\n", 6) == 0);
        close(fds[1]);
        agent_exited(socket_fd, CLD_EXITED, 9);
        agent_wait_closed(socket_fd);
}

/* Keeps the master, and has whoever uses it wait: its flags are those of all that were duplicated from it. */
static void agent_blocks_terminal(int socket_fd) {
        struct pollfd pollfd = { .fd = socket_fd, .events = POLLIN };
        int fds[2];

        open_terminal(fds);
        Terminal raw;
        CHECK(terminal_begin(fds[1], &raw) == 0); /* all that is typed counts, also what is no line */
        agent_take_exec(socket_fd);
        CHECK(wire_send(socket_fd, WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), &fds[0], 1) == 0);
        agent_tell();
        while (poll(&pollfd, 1, 1) == 0)
                CHECK(fcntl(fds[0], F_SETFL, O_RDWR) == 0);
        agent_receive_type(socket_fd, WIRE_KILL);
        agent_exited(socket_fd, CLD_KILLED, SIGHUP);
        agent_wait_closed(socket_fd);
}

/* More is typed than the container takes; then somebody wants to leave. */
static void leave_terminal(int master_fd, int signal) {
        static char typed[32 * 1024];
        _cleanup_(run_free) Run run;

        memset(typed, 'x', sizeof(typed));
        run_start(&run, agent_blocks_terminal, pipes, 10 * USEC_PER_MSEC);
        wait_for_agent();
        assert_int_equal(fd_write_all(master_fd, typed, sizeof(typed)), 0);
        if (signal != 0)
                assert_int_equal(kill(run.host, signal), 0);
        else
                assert_int_equal(fd_write_all(master_fd, "a\x1d\x1d\x1d", 4), 0);
        Result result = run_finish(&run);
        assert_int_equal(result.r, 0);
        assert_int_equal(result.outcome.result, STEP_CANCELLED);
        assert_int_equal(result.outcome.signal, signal != 0 ? signal : SIGHUP);
}

static void test_terminal_hostile(_unused_ void **state) {
        static const int signals[] = { SIGHUP, SIGTERM, 0 };
        struct termios before, after;
        int fds[2];

        open_terminal(fds);
        input_fd = fds[1];
        with_terminal = true;
        assert_int_equal(tcgetattr(fds[1], &before), 0);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                leave_terminal(fds[0], signals[i]);
                assert_int_equal(tcflush(fds[1], TCIFLUSH), 0);
                assert_int_equal(tcgetattr(fds[1], &after), 0);
                assert_int_equal(before.c_lflag, after.c_lflag);
        }
        input_fd = -EBADF;
        with_terminal = false;
        close(fds[0]);
        close(fds[1]);
}

static void test_terminal(_unused_ void **state) {
        static void (*const hostile[])(int) = { agent_passes_null, agent_passes_pipe, agent_passes_slave };
        int fds[2];

        open_terminal(fds);
        input_fd = fds[1];
        with_terminal = true;
        for (size_t i = 0; i < ELEMENTSOF(hostile); i++)
                assert_int_equal(run_step(hostile[i]).r, -EBADMSG);

        _cleanup_(run_free) Run run;
        run_start(&run, agent_has_terminal, pipes, 10 * USEC_PER_SEC);
        Result result = run_finish(&run);
        assert_int_equal(result.r, 0);
        assert_int_equal(result.outcome.exited.status, 9);
        assert_int_equal(run.size[0], 7);
        assert_memory_equal(run.output[0], "hello\r\n", 7);
        input_fd = -EBADF;
        with_terminal = false;
        close(fds[0]);
        close(fds[1]);
}

/* --- cancellation --- */

static void agent_obeys(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_tell();
        agent_receive_type(socket_fd, WIRE_KILL);
        CHECK(fd_write_all(fds[0], "ouch", 4) == 0);
        agent_exited(socket_fd, CLD_KILLED, SIGTERM);
        agent_wait_closed(socket_fd);
}

/* The step ends well, but too late to count. */
static void agent_succeeds(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_tell();
        agent_receive_type(socket_fd, WIRE_KILL);
        agent_exited(socket_fd, CLD_EXITED, 0);
        agent_wait_closed(socket_fd);
}

static void agent_gives_up(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_tell();
        agent_receive_type(socket_fd, WIRE_KILL);
}

/* Cancelled before it was started. */
static void agent_is_slow(int socket_fd) {
        int fds[2];

        agent_take_exec(socket_fd);
        agent_tell();
        agent_receive_type(socket_fd, WIRE_KILL);
        agent_answer(socket_fd, fds);
        agent_exited(socket_fd, CLD_KILLED, SIGTERM);
        agent_wait_closed(socket_fd);
}

/* Neither that nor anything else: `run` ends when its time is over. */
static void agent_ignores(int socket_fd) {
        int fds[2];

        agent_start(socket_fd, fds);
        agent_tell();
        agent_wait_closed(socket_fd);
}

static void test_cancel(_unused_ void **state) {
        static const struct {
                const char *text;
                void (*agent)(int socket_fd);
                int signal;
                const char *output;
        } table[] = {
                { "obedient", agent_obeys, SIGTERM, "ouch" },  { "obedient", agent_obeys, SIGINT, "ouch" },
                { "obedient", agent_obeys, SIGHUP, "ouch" },   { "successful", agent_succeeds, SIGTERM, "" },
                { "gone", agent_gives_up, SIGTERM, "" },       { "slow", agent_is_slow, SIGTERM, "" },
                { "disobedient", agent_ignores, SIGTERM, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(run_free) Run run;

                run_start(&run, table[i].agent, pipes, 10 * USEC_PER_MSEC);
                wait_for_agent();
                assert_int_equal(kill(run.host, table[i].signal), 0);
                Result result = run_finish(&run);
                assert_row(result.r == 0 && result.outcome.result == STEP_CANCELLED, i, table[i].text);
                assert_row(result.outcome.signal == table[i].signal, i, table[i].text);
                assert_row(run.size[0] == strlen(table[i].output), i, table[i].text);
                assert_memory_equal(run.output[0], table[i].output, run.size[0]);
        }
}

/* Nobody cancels it: its time is over. */
static void test_timeout(_unused_ void **state) {
        _cleanup_(run_free) Run run;

        limit_usec = 10 * USEC_PER_MSEC;
        run_start(&run, agent_ignores, pipes, 10 * USEC_PER_MSEC);
        limit_usec = 0;
        Result result = run_finish(&run);
        assert_int_equal(result.r, 0);
        assert_int_equal(result.outcome.result, STEP_CANCELLED);
        assert_int_equal(result.outcome.signal, SIGALRM);
}

/* The step has ended, but nobody reads what it wrote: that does not keep `run` from ending. */
static void test_cancel_delivery(_unused_ void **state) {
        _cleanup_(run_free) Run run;
        int available = 0;

        run_start(&run, agent_writes_some, pipes, 10 * USEC_PER_SEC);
        wait_for_agent();
        while (available < 65536) { /* our stdout is full */
                assert_int_equal(ioctl(run.fds[0], FIONREAD, &available), 0);
                clock_sleep_usec(USEC_PER_MSEC);
        }
        assert_int_equal(kill(run.host, SIGTERM), 0);
        assert_int_equal(waitid(P_PID, (id_t) run.host, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
        Result result = run_finish(&run);
        assert_int_equal(result.r, 0);
        assert_int_equal(result.outcome.result, STEP_CANCELLED);
        assert_int_equal(result.outcome.signal, SIGTERM);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_input_pipe),
        cmocka_unit_test_setup_teardown(test_output_files, setup_directory, teardown_directory),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_reader_closes),
        cmocka_unit_test(test_full_target),
        cmocka_unit_test(test_sealed_target),
        cmocka_unit_test(test_endless_writer),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_notice),
        cmocka_unit_test(test_killed_agent),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_terminal_hostile),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_cancel_delivery),
};
UNIT_FILE(tests);
