/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/fd.h"
#include "base/string.h"
#include "config/config-file.h"
#include "machine/image-machine.h"
#include "maintain/playbook.h"

/* nspawn-runner itself, main() and all, with one command more for the integration tests:
 *      image-work work CONFIG NAME TREE [PLAYBOOK...] [-- COMMAND...]
 * starts a machine on the tree in place, runs the playbooks and the command in it, and says on stderr what came of it. */

#undef main
int nspawn_runner_main(int argc, char **argv);

static int complain(const Problem *problem, int r) {
        fprintf(stderr, "problem: %s\n", problem_text(problem, r));
        return 100;
}

static void print_line(_unused_ void *userdata, const char *line) {
        puts(line);
        fflush(stdout);
}

static int run_playbook(const ImageMachine *machine, char *const *argv, const char *path, int cancel_fd) {
        PlaybookResult result = { 0 };
        const Listener listener = { .cancel_fd = cancel_fd, .on_output = print_line };
        Playbook playbook = {
                .machine = machine, .name = argv[3], .tree = argv[4], .path = path, .listener = &listener
        };

        int r = playbook_run(&playbook, &result);
        fprintf(stderr, "playbook: %d ok=%u changed=%u failed=%u\n", r, result.n_ok, result.n_changed, result.n_failed);
        return r == 0 ? 0 : complain(&result.problem, r);
}

static int run_command(const ImageMachine *machine, char *const *argv) {
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        request.argv = argv;
        int r = image_machine_run(machine, &request, &outcome);
        if (r >= 0 && outcome.result == STEP_EXITED && outcome.exited.code == CLD_EXITED)
                return outcome.exited.status;
        Problem problem = { 0 };
        if (r >= 0)
                image_machine_explain(machine, &outcome, &problem);
        return complain(&problem, r);
}

static int work(int argc, char **argv, const Settings *settings, int cancel_fd) {
        _cleanup_image_machine_ ImageMachine *machine = NULL;
        Problem problem = { 0 };
        ImageMachineRequest request = {
                .settings = settings, .name = argv[3], .tree = argv[4], .in_place = true, .cancel_fd = cancel_fd
        };

        int r = image_machine_start(&request, &machine, &problem);
        if (r < 0)
                return complain(&problem, r);
        for (int i = 5; r == 0 && i < argc; i++) {
                if (streq(argv[i], "--"))
                        return run_command(machine, argv + i + 1);
                r = run_playbook(machine, argv, argv[i], cancel_fd);
        }
        return r;
}

int main(int argc, char **argv) {
        _cleanup_(settings_done) Settings settings = { 0 };
        Problem problem = { 0 };
        sigset_t mask;

        if (argc < 5 || !streq(argv[1], "work"))
                return nspawn_runner_main(argc, argv);
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return 101;
        _cleanup_close_ int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (settings_init(&settings) < 0 || config_file_read(argv[2], &settings, &problem) < 0)
                return complain(&problem, -EINVAL);
        return work(argc, argv, &settings, signal_fd);
}
