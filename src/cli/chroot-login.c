/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-login`: a shell for the administrator in a copy of an image, which then becomes its next
 * generation. The image itself is never changed, and a copy that was not wanted, or whose shell was killed, is
 * removed. */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "image/contents.h"
#include "image/generation-collect.h"
#include "image/publish.h"
#include "machine/image-machine.h"
#include "machine/shell.h"
#include "terminal/ask.h"
#include "tree/compare.h"

#define HOST_NAME_BYTES_MAX 63
/* From our SIGTERM to SIGKILL */
#define STOP_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* A shell in a copy of an image, which becomes its next generation: jobs see all of it or nothing. The copy is the
 * root of a container like that of a playbook. The shell is a step of its agent, on a terminal if there is one. */
typedef struct Login {
        const Settings *settings;
        const Image *image; /* that the copy was made of */
        Staging staging;
        int tree_fd; /* the copy */
        int signal;  /* that ended us, or 0 */
        bool terminal;
        int signal_fd;
} Login;

/* The image's name as a host name, for the prompt. */
static void host_name(const char *image, char ret[static HOST_NAME_BYTES_MAX + 1]) {
        size_t n = 0;

        for (; *image && n < HOST_NAME_BYTES_MAX; image++) {
                bool letter = (*image >= 'a' && *image <= 'z') || (*image >= 'A' && *image <= 'Z') ||
                              (*image >= '0' && *image <= '9');
                if (letter)
                        ret[n++] = *image;
                else if (n > 0 && ret[n - 1] != '-')
                        ret[n++] = '-';
        }
        while (n > 0 && ret[n - 1] == '-')
                n--;
        ret[n] = 0;
        if (n == 0)
                strcpy(ret, "image");
}

/* *ret becomes the shell; NULL: there is none. 0 or -errno. */
static int find_shell(int tree_fd, const char **ret) {
        static const char *const shells[] = { "bash", "sh" };

        *ret = NULL;
        for (size_t i = 0; i < ELEMENTSOF(shells) && !*ret; i++) {
                int r = image_has_program(tree_fd, "/bin", shells[i]);
                if (r < 0)
                        return r;
                if (r > 0)
                        *ret = i == 0 ? "/bin/bash" : "/bin/sh";
        }
        return 0;
}

/* The exit status of the shell, or of what became of it instead. */
static int report(Login *login, const ImageMachine *machine, const StepOutcome *outcome) {
        Problem problem = { 0 };

        if (outcome->result == STEP_CANCELLED)
                login->signal = outcome->signal;
        if (step_exit_status(outcome) >= 0)
                return step_exit_status(outcome);
        image_machine_explain(machine, outcome, &problem);
        log_error("The shell %s", problem.text);
        return -ECONNABORTED;
}

/* The shell's exit status, or -errno. */
static int run_shell(Login *login, const ImageMachine *machine, const char *shell) {
        _cleanup_strv_ char **environment = NULL;
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        /* Nothing of the host's. */
        int r = shell_environment(NULL, login->terminal, &environment);
        if (r < 0)
                return log_oom();
        request.argv = ARGV(shell, "-l");
        request.environment = environment;
        request.stdin_fd = STDIN_FILENO;
        request.terminal = login->terminal;
        request.kill_timeout_usec = STOP_TIMEOUT_USEC;
        r = image_machine_run(machine, &request, &outcome);
        return r < 0 ? log_error_errno(r, "Cannot talk to the container's agent: %m") :
                       report(login, machine, &outcome);
}

static int login_locked(Login *login) {
        char name[HOST_NAME_BYTES_MAX + 1];
        Problem problem = { 0 };
        ImageMachine *machine = NULL;
        const char *shell;

        int r = find_shell(login->tree_fd, &shell);
        if (r < 0)
                return log_error_errno(r, "Cannot look for a shell in image '%s': %m", login->image->name);
        if (!shell) {
                log_error("Image '%s' has no shell (/bin/bash or /bin/sh)", login->image->name);
                return -ENOEXEC;
        }
        host_name(login->image->name, name);
        const ImageMachineRequest request = {
                .settings = login->settings,
                .name = login->image->name,
                .tree = login->staging.root_path,
                .in_place = true,
                .interactive = true,
                .hostname = name,
                .cancel_fd = login->signal_fd,
        };
        r = image_machine_start(&request, &machine, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        int status = run_shell(login, machine, shell);
        r = image_machine_stop(machine);
        return r < 0 ? log_error_errno(r, "Cannot end the container: %m") : status;
}

static int on_difference(_unused_ void *userdata, _unused_ const Difference *difference) {
        return -ECANCELED; /* one is enough */
}

/* Does the person want the result published? */
static bool is_wanted(Login *login, const Invocation *invocation, int status) {
        char question[512];

        if (login->signal > 0 || invocation_has(invocation, "discard"))
                return false;
        if (invocation_has(invocation, "publish") || !login->terminal)
                return status == 0;
        if (status == 0)
                snprintf(question, sizeof(question), "Make this the next generation of image '%s'? [Y/n] ",
                         login->image->name);
        else
                snprintf(question, sizeof(question),
                         "The shell ended with exit status %d. Make this the next generation of image '%s' anyway? "
                         "[y/N] ",
                         status, login->image->name);
        return ask_yes_or_no(question, status == 0, login->signal_fd, &login->signal);
}

/* 0 or -errno. */
static int publish_tree(Login *login) {
        _cleanup_generation_ Generation *about = NULL;
        const char *name = login->image->name;
        Problem problem = { 0 };
        uint64_t number;

        int r = generation_load_of(login->image, &about);
        if (r < 0)
                return log_error_errno(r, "Cannot read the record of image '%s': %m", name);
        about->updated_usec = 0; /* now */
        about->keep = 0;         /* as many as now: this may be the record of an old generation */
        r = publish(&login->staging, about, &number, &problem);
        if (r < 0)
                return log_error_errno(r, "Cannot publish the next generation of image '%s': %s", name,
                                       problem_text(&problem, r));
        log_notice("Image '%s' is generation %" PRIu64 " now", name, number);
        r = generations_collect_locked(&login->staging, NULL);
        if (r < 0)
                log_warning_errno(r, "Not all old generations could be removed ('nspawn-runner gc' will): %m");
        return 0;
}

/* The shell's exit status, or -errno. */
static int login_and_publish(Login *login, const Invocation *invocation) {
        login->tree_fd = staging_tree(&login->staging);
        if (login->tree_fd < 0)
                return log_error_errno(login->tree_fd, "Cannot open the copy of the image: %m");
        int status = login_locked(login);
        if (status < 0)
                return status;
        /* Publishing a copy without changes would only make an older generation go. */
        if (!invocation_has(invocation, "publish") &&
            compare_trees(login->image->fd, login->tree_fd, 0, on_difference, NULL) == 0) {
                log_notice("Nothing changed: image '%s' is as it was", login->image->name);
                return login->signal > 0 ? 128 + login->signal : status;
        }
        if (!is_wanted(login, invocation, status)) {
                log_notice("Image '%s' is as it was", login->image->name);
                return login->signal > 0 ? 128 + login->signal : status;
        }
        int r = publish_tree(login);
        return r < 0 ? r : status;
}

/* Makes a copy of the image. -ESTALE: another process published a generation before we had the lock; publishing our
 * copy would take that back. */
static int open_copy(Login *login, const Invocation *invocation, bool by_number) {
        const char *name = login->image->name;
        struct signalfd_siginfo info;

        ImageTurn turn;

        image_turn_init(invocation, name, login->signal_fd, &turn);
        busy_begin("Copying the image");
        int r = staging_open_copy(login->settings->root_dir, name, &turn.turn, login->image, login->signal_fd,
                                  &login->staging);
        busy_end();
        if (r == -EBUSY)
                log_busy(&turn);
        else if (r == -ECANCELED && read(login->signal_fd, &info, sizeof(info)) == sizeof(info))
                return 128 + (int) info.ssi_signo;
        else if (r < 0)
                log_error_errno(r, "Cannot copy image '%s': %m", name);
        if (r < 0)
                return r;
        if (by_number || image_is_still(login->settings->root_dir, name, login->image) > 0)
                return 0;
        (void) staging_discard(&login->staging);
        staging_done(&login->staging);
        return -ESTALE;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings, *image_settings;
        _cleanup_(settings_done) Settings storage = { 0 };
        _cleanup_image_ Image *image = NULL;

        if (invocation_has(invocation, "discard") && invocation_has(invocation, "publish")) {
                log_error("Give either --discard or --publish, not both");
                return COMMAND_MISUSED;
        }
        const char *name = invocation_argument(invocation, 0);
        if (image_reference_is(name)) {
                log_error(
                        "'%s' is an image of a registry, which nobody changes here: try it with chroot-run, or make an "
                        "image of your own of it (nspawn_runner_oci)",
                        name);
                return -EINVAL;
        }
        int r = hold_image_logged(settings, name, &image);
        if (r < 0)
                return r;
        r = image_settings_logged(settings, image->name, &storage, &image_settings);
        if (r < 0)
                return r;
        if (!invocation_has(invocation, "discard")) {
                r = warn_of_definition(settings, image->name);
                if (r < 0)
                        return r;
        }

        Login login = {
                .settings = image_settings,
                .image = image,
                .staging = STAGING_NONE,
                .tree_fd = -EBADF,
                .terminal = shell_has_terminal(),
        };
        login.signal_fd = signals_open();
        if (login.signal_fd < 0)
                return log_error_errno(login.signal_fd, "Cannot set up signals: %m");

        while ((r = open_copy(&login, invocation, !streq(name, image->name))) == -ESTALE) {
                image_free(TAKE_PTR(image));
                r = hold_image_logged(settings, name, &image);
                if (r < 0)
                        break;
                login.image = image;
        }
        if (r == 0) {
                r = login_and_publish(&login, invocation);
                closep(&login.tree_fd);
                int q = staging_discard(&login.staging);
                if (q < 0)
                        log_warning_errno(q, "Not all of the copy could be removed ('nspawn-runner gc' will): %m");
                staging_done(&login.staging);
        }

        close(login.signal_fd);
        return r;
}

static const CommandOption options[] = {
        { "publish", NULL, "make the copy the next generation when the shell ends with 0, without asking", 0 },
        { "discard", NULL, "throw the copy away", 0 },
        NO_WAIT_OPTION,
        { 0 },
};

const Command command_chroot_login = {
        .name = "chroot-login",
        .synopsis = "NAME",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Open a shell in a copy of an image, to change it",
};
