/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `toml`: prints a section for GitLab Runner's config.toml. It only prints: GitLab Runner's own file is the
 * administrator's to change. */

#include "cli/toml.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/custom-executor.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "image/image.h"
#include "maintain/named-image.h"

int toml_write_string(FILE *stream, const char *text) {
        for (const char *p = text; *p; p += utf8_length(p))
                if (utf8_length(p) == 0) /* TOML knows nothing else */
                        return -EILSEQ;

        putc('"', stream);
        for (const unsigned char *p = (const unsigned char *) text; *p; p++)
                if (*p == '"' || *p == '\\')
                        fprintf(stream, "\\%c", *p);
                else if (*p < 0x20 || *p == 0x7f)
                        fprintf(stream, "\\u%04x", *p);
                else
                        putc(*p, stream);
        putc('"', stream);
        return 0;
}

/* `    KEY = ["a", "b"]` */
static int write_array(FILE *stream, const char *key, char *const *items) {
        fprintf(stream, "    %s = [", key);
        for (size_t i = 0; items[i]; i++) {
                if (i > 0)
                        fputs(", ", stream);
                int r = toml_write_string(stream, items[i]);
                if (r < 0)
                        return r;
        }
        fputs("]\n", stream);
        return 0;
}

static int write_value(FILE *stream, const char *indent, const char *key, const char *value) {
        fprintf(stream, "%s%s = ", indent, key);
        int r = toml_write_string(stream, value);
        if (r < 0)
                return r;
        putc('\n', stream);
        return r;
}

/* Prints the key with a value to begin with where it has an effect, else why it is not there. */
static int write_directory(FILE *stream, const char *key, const char *setting, const char *usual) {
        if (!setting) {
                fputs("  # A directory inside the container.\n", stream);
                return write_value(stream, "  ", key, usual);
        }
        fprintf(stream, "  # No %s here: it would have no effect, since nspawn-runner's setting %s is ", key, key);
        int r = toml_write_string(stream, setting);
        if (r < 0)
                return r;
        putc('\n', stream);
        return r;
}

/* `    STAGE_exec = ..., STAGE_args = [...]`: the global options, and @words: the command and its own arguments. */
static int write_stage(FILE *stream, const TomlRunner *runner, const char *stage, char *const *words) {
        _cleanup_strv_ char **arguments = NULL;
        char key[32];

        int r = strv_copy(runner->global_options, &arguments);
        if (r < 0)
                return r;
        r = strv_extend_strv(&arguments, words);
        if (r < 0)
                return r;

        snprintf(key, sizeof(key), "%s_exec", stage);
        r = write_value(stream, "    ", key, runner->program);
        if (r < 0)
                return r;
        snprintf(key, sizeof(key), "%s_args", stage);
        return write_array(stream, key, arguments);
}

/* GitLab Runner's time limit for something that we limit ourselves, in seconds: ours, with room for other work. */
static uint64_t timeout_above(uint64_t usec, uint64_t least_sec) {
        return MAX(least_sec, MIN(usec / USEC_PER_SEC, UINT64_C(86400)) + 30);
}

/* What tells the runner and its GitLab. */
static int write_server(FILE *stream, const TomlRunner *runner) {
        if (!runner->url)
                fputs("  # Fill in: the name that GitLab shows for this runner.\n", stream);
        int r = write_value(stream, "  ", "name", runner->name);
        if (r < 0)
                return r;
        if (runner->url) {
                r = write_value(stream, "  ", "url", runner->url);
                return r < 0 ? r : write_value(stream, "  ", "token", runner->token);
        }
        fputs("  # Fill in: the address of your GitLab, and the token that it shows when you create the runner there\n"
              "  # (CI/CD settings of the project, group or instance: \"New runner\"). The token begins with glrt-.\n"
              "  url = \"https://gitlab.example.com/\"\n"
              "  token = \"\"\n",
              stream);
        return 0;
}

int toml_write(FILE *stream, const TomlRunner *runner) {
        fputs("# For GitLab Runner's configuration, /etc/gitlab-runner/config.toml; its service must run as root.\n"
              "[[runners]]\n",
              stream);
        int r = write_server(stream, runner);
        if (r < 0)
                return r;
        fputs("  executor = \"custom\"\n", stream);
        r = write_directory(stream, "builds_dir", runner->builds_dir, BUILDS_DIR_DEFAULT);
        if (r < 0)
                return r;
        r = write_directory(stream, "cache_dir", runner->cache_dir, CACHE_DIR_DEFAULT);
        if (r < 0)
                return r;

        fputs("  # How many jobs of this runner may run at once; 0: as many as the \"concurrent\" at the top of the file "
              "says.\n"
              "  limit = 0\n"
              "  # Jobs may choose a directory of builds_dir for their project (GIT_CLONE_PATH), as with the Docker executor.\n"
              "  [runners.custom_build_dir]\n"
              "    enabled = true\n"
              "  [runners.custom]\n",
              stream);
        r = write_stage(stream, runner, "config", ARGV("gitlab-config"));
        if (r < 0)
                return r;
        if (!runner->image)
                fputs("    # A job must name its image. For one that others get, add: \"--default-image\", \"NAME\"\n",
                      stream);
        r = write_stage(stream, runner, "prepare",
                        runner->image ? ARGV("prepare", "--default-image", runner->image) : ARGV("prepare"));
        if (r < 0)
                return r;
        r = write_stage(stream, runner, "run", ARGV("run"));
        if (r < 0)
                return r;
        r = write_stage(stream, runner, "cleanup", ARGV("cleanup"));
        if (r < 0)
                return r;

        fprintf(stream,
                "    # Seconds that a cancelled stage gets to end after SIGTERM, and then to be gone after SIGKILL.\n"
                "    graceful_kill_timeout = %" PRIu64 "\n"
                "    force_kill_timeout = 30\n"
                "    # Seconds for preparing and removing a job's container, which normally take less than one.\n"
                "    # The first job of an image of a registry waits until that is fetched.\n"
                "    prepare_exec_timeout = %" PRIu64 "\n"
                "    cleanup_exec_timeout = 300\n",
                timeout_above(runner->kill_timeout_usec, 60), timeout_above(runner->start_timeout_usec, 3600));
        return 0;
}

/* The image that jobs without one get: the argument, else the setting, else the only one there is beside the helper, else
 * none. */
static int choose_image(const Invocation *invocation, char **ret) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0);
        _cleanup_free_ char *reference = NULL;
        _cleanup_strv_ char **names = NULL;
        _cleanup_image_ Image *image = NULL;
        size_t n;

        if (!name && !settings->default_image) {
                int r = list_images(settings->root_dir, &names);
                if (r < 0)
                        return log_error_errno(r, "Cannot list the images in %s: %m", settings->root_dir);
                const char *only = only_image(names, &n);
                return only && string_replace(ret, only) < 0 ? log_oom() : 0;
        }
        if (!name)
                name = settings->default_image;
        /* Images of registries are fetched by jobs. */
        int r = named_image_reference(settings, name, &reference);
        if (r < 0)
                return log_oom();
        r = reference ? 0 : hold_image_logged(settings, name, &image);
        if (r < 0 && name == settings->default_image)
                log_notice("default_image in the configuration names it");
        if (r < 0)
                return r;
        return string_replace(ret, name) < 0 ? log_oom() : 0;
}

/* GitLab Runner's calls must get the options of this call, whatever directory they start in. */
static int collect_global_options(const Invocation *invocation, char ***ret) {
        _cleanup_strv_ char **options = NULL;

        if (invocation->config_file) {
                _cleanup_free_ char *path = realpath(invocation->config_file, NULL);
                if (!path)
                        return log_error_errno(errno, "Cannot tell the path of '%s': %m", invocation->config_file);
                if (strv_extend(&options, "--config") < 0 || strv_extend(&options, path) < 0)
                        return log_oom();
        }
        if (invocation->root && (strv_extend(&options, "--root") < 0 || strv_extend(&options, invocation->root) < 0))
                return log_oom();
        *ret = TAKE_PTR(options);
        return 0;
}

int toml_write_own_logged(const Invocation *invocation, TomlRunner runner, FILE *stream) {
        _cleanup_free_ char *program = NULL, *directory = NULL;
        _cleanup_strv_ char **options = NULL;

        int r = collect_global_options(invocation, &options);
        if (r < 0)
                return r;
        r = own_executable(&program, &directory);
        if (r < 0)
                return log_error_errno(r, "Cannot tell the path of this program: %m");
        runner.program = program;
        runner.global_options = options;
        runner.builds_dir = invocation->settings->builds_dir;
        runner.cache_dir = invocation->settings->cache_dir;
        runner.kill_timeout_usec = invocation->settings->kill_timeout_usec;
        runner.start_timeout_usec = invocation->settings->start_timeout_usec;
        r = toml_write(stream, &runner);
        if (r == -EILSEQ)
                return log_error_errno(r, "A path or name is not valid UTF-8, and cannot be written in TOML");
        return r < 0 ? log_error_errno(r, "Cannot write the section: %m") : 0;
}

static int run(const Invocation *invocation) {
        _cleanup_free_ char *image = NULL, *name = NULL;

        int r = choose_image(invocation, &image);
        if (r < 0)
                return r;
        if (string_printf(&name, "nspawn-runner%s%s", image ? " " : "", image ? image : "") < 0)
                return log_oom();
        return toml_write_own_logged(invocation, (TomlRunner){ .name = name, .image = image }, stdout);
}

const Command command_toml = {
        .name = "toml",
        .synopsis = "[NAME]",
        .max_arguments = 1,
        .run = run,
        .help = "Print a [[runners]] section for GitLab Runner's config.toml",
};
