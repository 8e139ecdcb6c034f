/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `setup`: from an installed program to a runner that takes jobs. Checks the host, makes the first image and the
 * helper, and puts the runner into GitLab Runner's config.toml. Calling it again changes only what was asked for. The token
 * must never be in an argument, a log, or a file that more people can read than config.toml. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/custom-executor.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/chroot-create.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/make-common.h"
#include "cli/setup-file.h"
#include "cli/setup-merge.h"
#include "cli/toml.h"
#include "config/image-name.h"
#include "definition/definition.h"
#include "doctor/check.h"
#include "maintain/named-image.h"
#include "source/suite.h"
#include "terminal/ask.h"
#include "terminal/window.h"

#define TOKEN_MAX 512U
#define HIDDEN "(hidden)"

typedef struct Setup {
        const Invocation *invocation;
        char *image;
        char *name; /* of the runner */
        const char *path, *url;
        char token[TOKEN_MAX];
        SetupFound found;
        int cancel_fd;
} Setup;

static void setup_done(Setup *setup) {
        free(setup->image);
        free(setup->name);
        explicit_bzero(setup->token, sizeof(setup->token));
        closep(&setup->cancel_fd);
}

/* The image that jobs without one get: the argument, else the setting, else the only one there is beside the helper, else one
 * called as the host's release. */
static int choose_image(Setup *setup) {
        const Settings *settings = setup->invocation->settings;
        const char *name = invocation_argument(setup->invocation, 0);
        _cleanup_(host_system_done) HostSystem host = { 0 };
        _cleanup_strv_ char **names = NULL;
        size_t n;

        if (!name)
                name = settings->default_image;
        if (name)
                return string_replace(&setup->image, name) < 0 ? log_oom() : 0;
        int r = list_images(settings->root_dir, &names);
        if (r < 0 && r != -ENOENT)
                return log_error_errno(r, "Cannot list the images in %s: %m", settings->root_dir);
        const char *only = only_image(names, &n);
        if (n > 1) {
                log_error("Which image do jobs get that name none? Name it: nspawn-runner setup IMAGE");
                log_available_images(settings);
                return COMMAND_MISUSED;
        }
        if (n == 0 && !invocation_option(setup->invocation, "suite"))
                (void) host_system_read(&host);
        name = only ? only : host.codename ? host.codename : invocation_option(setup->invocation, "suite");
        if (!name) {
                log_error("The release of this host is not known; name one with --suite");
                return COMMAND_MISUSED;
        }
        return string_replace(&setup->image, name) < 0 ? log_oom() : 0;
}

/* An address of GitLab goes into a file that programs read, and onto screens: nothing but what addresses have. */
static bool url_valid(const char *url) {
        const char *host = startswith(url, "https://");

        if (!host)
                host = startswith(url, "http://");
        return host && *host && *host != '/' &&
               url[strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-._~:/[]%")] == 0;
}

static int choose(Setup *setup) {
        const Invocation *invocation = setup->invocation;
        const char *name = invocation_option(invocation, "name"), *path = invocation_option(invocation, "toml");

        setup->path = path ? path : RUNNER_CONFIG_FILE;
        setup->url = invocation_option(invocation, "url");
        if (setup->url && !url_valid(setup->url)) {
                log_error("'%s' is no address of a GitLab server, such as https://gitlab.example.com/", setup->url);
                return COMMAND_MISUSED;
        }
        int r = choose_image(setup);
        if (r < 0)
                return r;
        if (!name && string_printf(&setup->name, "nspawn-runner %s", setup->image) < 0)
                return log_oom();
        return name && string_replace(&setup->name, name) < 0 ? log_oom() : 0;
}

static int log_file(const Setup *setup, int error) {
        if (error == -ENOENT)
                return log_error_errno(
                        error,
                        "The directory of '%s' does not exist: install GitLab Runner first, from GitLab's "
                        "packages",
                        setup->path);
        if (error == -EBADMSG)
                return log_error_errno(error, "'%s' is no text file", setup->path);
        if (error == -ESTALE)
                return log_error_errno(error, "'%s' was changed by another program meanwhile; call setup again",
                                       setup->path);
        log_error("Cannot read or write '%s': %s", setup->path, file_error_text(error));
        return error;
}

/* What is wrong with the content of config.toml. */
static int log_content(const Setup *setup, int error, Problem *problem) {
        problem->file = setup->path;
        return log_problem(error, problem);
}

/* Is everything known that config.toml will need, except for the token? */
static int look_into_file(Setup *setup) {
        _cleanup_setup_file_ SetupFile file = SETUP_FILE_NONE;
        Problem problem = { 0 };

        int r = setup_file_open(setup->path, &file);
        if (r < 0)
                return log_file(setup, r);
        r = setup_find(file.text, setup->name, &setup->found, &problem);
        if (r < 0)
                return log_content(setup, r, &problem);
        if (setup->url || setup->found.has_url)
                return 0;
        log_error("What is the address of your GitLab? Give it with --url, as in --url https://gitlab.example.com/");
        return COMMAND_MISUSED;
}

/* What GitLab's tokens are made of. The message never has the token. */
static int check_token(Setup *setup, const char *from) {
        char *token = setup->token;

        token[strcspn(token, "\r\n")] = 0;
        if (!*token) {
                log_error("There is no token in %s", from);
                return -EINVAL;
        }
        if (token[strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.=")] == 0)
                return 0;
        log_error("%s has no token of GitLab: these have neither blanks nor special characters", from);
        return -EINVAL;
}

static int read_token(Setup *setup, const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        _cleanup_close_ int fd = file_open_given(path);
        int r = fd < 0 ? fd : fd_read_all(fd, TOKEN_MAX - 1, &text, &size);
        if (r < 0) {
                log_error("Cannot read the token from '%s': %s", path, file_error_text(r));
                return r;
        }
        memcpy(setup->token, text, size + 1);
        explicit_bzero(text, size);
        return check_token(setup, path);
}

static void say(const char *text) {
        window_print(stdout, window_width(STDOUT_FILENO), 0, 0, text);
}

static int ask_token(Setup *setup) {
        int number = 0;

        if (!isatty(STDIN_FILENO)) {
                log_error(
                        "There is no terminal to ask for the runner's token: name a file that has it with --token-file");
                return COMMAND_MISUSED;
        }
        say("GitLab shows the token when you create a runner there: settings of the project, group or instance, CI/CD, "
            "Runners, New runner.");
        fflush(stdout);
        int r = ask_secret("Token (it is not shown): ", setup->cancel_fd, setup->token, sizeof(setup->token), &number);
        if (r == -EINTR)
                return 128 + number;
        if (r < 0)
                return log_error_errno(r, "Cannot read the token: %m");
        return check_token(setup, "what was typed");
}

static int get_token(Setup *setup) {
        const char *path = invocation_option(setup->invocation, "token-file");

        if (path)
                return read_token(setup, path);
        return setup->found.has_token ? 0 : ask_token(setup);
}

static bool image_exists(const Settings *settings, const char *name) {
        _cleanup_free_ char *path = NULL;

        return string_printf(&path, "%s/%s", settings->root_dir, name) >= 0 && exists_at(AT_FDCWD, path);
}

/* Do jobs fetch the image of that name from a registry? With default_registry, a bare word could be either: one that is a
 * suite, or that comes with --suite, names an image to be made here. 1, 0 or -errno, logged. */
static int is_fetched(const Setup *setup, const char *name) {
        _cleanup_(host_system_done) HostSystem host = { 0 };
        _cleanup_free_ char *reference = NULL;

        int r = named_image_reference(setup->invocation->settings, name, &reference);
        if (r < 0)
                return log_oom();
        if (r == 0 || name[strcspn(name, ":/")])
                return r;
        (void) host_system_read(&host);
        return !invocation_option(setup->invocation, "suite") && !suite_distribution(name, &host);
}

/* Makes an image, or with --dry-run says so, unless it is there. */
static int provide_image(Setup *setup, const char *name) {
        const Invocation *invocation = setup->invocation;

        if (image_exists(invocation->settings, name)) {
                printf("Image '%s' is there: %s/%s\n", name, invocation->settings->root_dir, name);
                return 0;
        }
        if (invocation_has(invocation, "dry-run")) {
                printf("Image '%s' would be made\n", name);
                return 0;
        }
        return create_image_logged(invocation, name, invocation_option(invocation, "suite"), true, setup->cancel_fd);
}

static int provide_images(Setup *setup) {
        int r = is_fetched(setup, setup->image);
        if (r < 0)
                return r;
        if (r > 0)
                printf("The first job fetches image '%s'\n", setup->image);
        r = r > 0 ? 0 : provide_image(setup, setup->image);
        if (r != 0)
                return r;
        /* A setting other than "auto" was chosen on purpose. */
        return streq(setup->invocation->settings->helper_image, "auto") ? provide_image(setup, HELPER_IMAGE) : 0;
}

/* The section for a runner that is not there yet, to be freed. */
static int make_section(const Setup *setup, const char *token, char **ret) {
        _cleanup_free_ char *section = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&section, &size);

        if (!stream)
                return log_oom();
        int r = toml_write_own_logged(
                setup->invocation,
                (TomlRunner){ .name = setup->name, .image = setup->image, .url = setup->url, .token = token }, stream);
        if (fclose(stream) != 0)
                return log_oom();
        if (r < 0)
                return r;
        *ret = TAKE_PTR(section);
        return 0;
}

static void forget(char **text) {
        if (*text)
                explicit_bzero(*text, strlen(*text));
        free(*text);
}

/* Puts the runner into the file, or says what would be. */
static int write_runner(Setup *setup) {
        const bool dry_run = invocation_has(setup->invocation, "dry-run");
        const char *token = dry_run ? HIDDEN : setup->token;
        _cleanup_setup_file_ SetupFile file = SETUP_FILE_NONE;
        _cleanup_(forget) char *section = NULL, *merged = NULL;
        Problem problem = { 0 };

        int r = setup_file_open(setup->path, &file);
        if (r < 0)
                return log_file(setup, r);
        r = setup->found.found ? 0 : make_section(setup, token, &section);
        if (r < 0)
                return r;
        const bool new_token = dry_run ? invocation_has(setup->invocation, "token-file") || !setup->found.has_token :
                                         !isempty(setup->token);
        const SetupRunner runner = { setup->name, setup->url, new_token ? token : NULL, section };
        const int outcome = setup_merge(file.text, &runner, &merged, &problem);
        if (outcome < 0)
                return log_content(setup, outcome, &problem);
        if (outcome == SETUP_UNCHANGED) {
                printf("Runner '%s' is in %s\n", setup->name, setup->path);
                return 0;
        }
        if (dry_run) {
                printf("Runner '%s' would be %s %s%s\n", setup->name,
                       outcome == SETUP_ADDED ? "added to" : "changed in", setup->path,
                       outcome == SETUP_ADDED ? ":\n" : "");
                fputs(outcome == SETUP_ADDED ? section : "", stdout);
                return 0;
        }
        r = setup_file_replace(&file, merged);
        if (r < 0)
                return log_file(setup, r);
        printf("Runner '%s' was %s %s\n", setup->name, outcome == SETUP_ADDED ? "added to" : "changed in", setup->path);
        return 0;
}

/* Only what has a definition is updated; the helper image always is. */
static void say_how_to_update(const Setup *setup) {
        const Settings *settings = setup->invocation->settings;
        _cleanup_free_ char *path = NULL;

        puts("Keep images up to date: systemctl enable --now nspawn-runner-maintenance.timer");
        if (is_fetched(setup, setup->image) == 0 && definition_find(settings, setup->image, &path, NULL) == -ENOENT)
                printf("That leaves image '%s' as it is until it has a definition, '%s/%s.yaml': see nspawn-runner-image(5)\n",
                       setup->image, settings->definitions_dir, setup->image);
}

static void say_what_follows(const Setup *setup) {
        const bool elsewhere = !streq(setup->path, RUNNER_CONFIG_FILE);

        if (!program_exists("gitlab-runner")) {
                putchar('\n');
                say("GitLab Runner is not in PATH. Install it from GitLab's packages; its service must run as root.");
                return;
        }
        putchar('\n');
        printf("GitLab Runner notices the change by itself. Check that GitLab knows the runner: gitlab-runner verify%s%s\n"
               "How many jobs may run at once: \"concurrent\" at the top of %s\n",
               elsewhere ? " -c " : "", elsewhere ? setup->path : "", setup->path);
        say_how_to_update(setup);
}

static int check_host(const Setup *setup) {
        unsigned n_missing = doctor_check(setup->invocation, true);

        if (n_missing == 0) {
                printf("Jobs can run on this host\n");
                return 0;
        }
        log_error("Jobs cannot run on this host yet: nothing was changed. 'nspawn-runner doctor' prints all checks");
        return -ENOTSUP;
}

static int run(const Invocation *invocation) {
        _cleanup_(setup_done) Setup setup = { .invocation = invocation, .cancel_fd = -EBADF };
        const bool dry_run = invocation_has(invocation, "dry-run");

        int r = choose(&setup);
        if (r < 0)
                return r;
        r = look_into_file(&setup);
        if (r < 0)
                return r;
        r = check_host(&setup);
        if (r < 0 && !dry_run)
                return r;
        r = setup.cancel_fd = open_cancel_fd_logged();
        if (r < 0)
                return r;
        r = dry_run ? 0 : get_token(&setup);
        if (r != 0)
                return r;
        r = provide_images(&setup);
        if (r != 0)
                return r;
        r = write_runner(&setup);
        if (r < 0 || dry_run)
                return r;
        say_what_follows(&setup);
        return 0;
}

static const CommandOption options[] = {
        { "url", "URL", "address of your GitLab", 0 },
        { "token-file", "FILE", "file with the token that GitLab shows for the runner; default: ask on the terminal",
          0 },
        { "name", "NAME", "name of the runner in config.toml; default: \"nspawn-runner IMAGE\"", 0 },
        { "suite", "SUITE", "release of the images that are made, such as bookworm; default: the host's", 0 },
        { "toml", "FILE", "GitLab Runner's configuration; default: " RUNNER_CONFIG_FILE, 0 },
        { "dry-run", NULL, "only say what would be done", 0 },
        NO_WAIT_OPTION,
        { 0 },
};

const Command command_setup = {
        .name = "setup",
        .synopsis = "[IMAGE]",
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Check the host, make images, add a runner to config.toml",
};
