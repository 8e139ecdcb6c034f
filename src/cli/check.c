/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `check`: says what is wrong with the configuration and with definitions of images, and which settings apply and
 * why. Makes and changes nothing, and needs no root but for playbooks. */

#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/check-report.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/make-common.h"
#include "config/config-data.h"
#include "config/config-file.h"
#include "config/image-name.h"
#include "config/yaml-reader.h"
#include "maintain/definition-check.h"

typedef struct CheckRun {
        const Invocation *invocation;
        CheckReport report;
        Listener listener;
        const char *config;           /* path */
        bool config_read;             /* it is there */
        Settings settings;            /* the configuration's */
        unsigned lines[SETTINGS_MAX]; /* in it */
        Definition **definitions;     /* those that could be read */
        size_t n_definitions;
        bool detailed; /* files were named: show all settings of their images' jobs */
} CheckRun;

static void on_finding(void *userdata, bool is_warning, const Problem *problem) {
        CheckRun *run = userdata;

        check_report_finding(&run->report, is_warning, problem, -EINVAL);
}

static void on_output(void *userdata, const char *line) {
        const CheckRun *run = userdata;

        /* Lines that are printed when nothing is wrong, too, are left out. */
        if (!run->report.json && !startswith(line, "playbook: ") && line[0])
                log_notice("  %s", line);
}

/* Where setting @i of the configuration comes from. */
static const char *origin(const CheckRun *run, size_t i, unsigned *ret_line) {
        *ret_line = run->lines[i];
        if (run->invocation->root && streq(setting_name(settings_info(i)), "root_dir")) {
                *ret_line = 0;
                return "--root";
        }
        return run->lines[i] > 0 ? run->config : NULL;
}

static int add_configuration(CheckRun *run) {
        for (size_t i = 0; settings_info(i); i++) {
                unsigned line;
                const char *file = origin(run, i, &line);

                int r = check_report_setting(&run->report, NULL, &run->settings, settings_info(i), file, line);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Adds the settings that jobs of the image get from its definition; with @detailed, all others, too. */
static int add_definition(CheckRun *run, const Definition *definition) {
        for (size_t i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                bool given = definition->settings_given[i];
                unsigned line;
                const char *file = origin(run, i, &line);

                if (!setting_is_machine(info) || (!given && !run->detailed))
                        continue;
                int r = check_report_setting(
                        &run->report, definition->name, given ? &definition->settings : &run->settings, info,
                        given ? definition->path : file, given ? definition->setting_lines[i] : line);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Reads the configuration. If it is wrong, that is reported, and what was read until there counts. */
static int check_configuration(CheckRun *run, bool report) {
        Problem problem = { 0 };

        int r = config_file_read_lines(run->config, &run->settings, run->lines, &problem);
        run->config_read = r != -ENOENT;
        if (r == -ENOENT && !run->invocation->config_file)
                r = 0;
        if (r == -ENOMEM)
                return log_oom();
        const bool is_right = r == 0;
        if (is_right && run->invocation->root &&
            setting_assign(&run->settings, setting_find("root_dir"), run->invocation->root) < 0)
                return log_error_errno(EINVAL, "--root is not a path that can be used");
        if (is_right && !report)
                return 0;
        int q = check_report_begin(&run->report, run->config, NULL);
        if (q < 0)
                return q;
        if (r < 0)
                check_report_finding(&run->report, false, &problem, r);
        check_report_end(&run->report, run->config_read ? "ok" : "does not exist: all settings have their defaults");
        return 0;
}

static int check_definition(CheckRun *run, const char *path, const char *name) {
        _cleanup_definition_ Definition *definition = NULL;
        DefinitionCheck check = {
                .settings = &run->settings,
                .name = name,
                .path = path,
                .listener = &run->listener,
                .on_finding = on_finding,
                .userdata = run,
        };

        int r = check_report_begin(&run->report, path, name);
        if (r < 0)
                return r;
        busy_begin("Checking");
        r = definition_check(&check, &definition);
        busy_end();
        if (r < 0)
                return log_error_errno(r, r == -ECANCELED ? "Stopped by a signal" : "Cannot check '%s': %m", path);
        check_report_end(&run->report, "ok");
        if (!definition)
                return 0;
        Definition **longer = reallocarray(run->definitions, run->n_definitions + 1, sizeof(*longer));
        if (!longer)
                return log_oom();
        run->definitions = longer;
        longer[run->n_definitions++] = TAKE_PTR(definition);
        return 0;
}

/* Checks the definition of image @name, which has one or is refused. */
static int check_image(CheckRun *run, const char *name) {
        _cleanup_free_ char *path = NULL, *shadowed = NULL;
        Problem problem = { 0 };

        int r = definition_find(&run->settings, name, &path, &shadowed);
        if (r == -ENOENT || r == -EINVAL) {
                log_error(
                        "'%.200s' is neither a file nor an image with a definition: there is neither '%s/%s.yaml' nor "
                        "'%s/%s.yaml'",
                        name, run->settings.definitions_dir, name, run->settings.root_dir, name);
                run->report.n_faults++;
                return 0;
        }
        if (r < 0)
                return log_oom();
        r = check_definition(run, path, name);
        if (r < 0 || !shadowed)
                return r;
        (void) problem_set(&problem, 0, "image '%s' has two definitions: this one is used, '%s' is not", name,
                           shadowed);
        check_report_finding(&run->report, true, &problem, 0);
        return 0;
}

/* A configuration is a mapping, a definition a list. What is neither, or cannot be read, is taken for a definition. */
static bool is_configuration(const char *path) {
        _cleanup_free_ char *data = NULL;
        Problem ignored = { 0 };
        YamlReader reader;
        size_t size;

        if (config_data_read("file", path, &data, &size, &ignored) < 0 ||
            yaml_reader_init(&reader, data, size, &ignored) < 0)
                return false;
        bool mapping = yaml_begin(&reader) >= 0 && reader.event.type == YAML_MAPPING_START_EVENT;
        yaml_reader_done(&reader);
        return mapping;
}

/* Checks a configuration that is not in use now: it is only read. */
static int check_other_configuration(CheckRun *run, const char *path) {
        _cleanup_(settings_done) Settings settings = { 0 };
        Problem problem = { 0 };

        if (settings_init(&settings) < 0)
                return log_oom();
        int r = check_report_begin(&run->report, path, NULL);
        if (r < 0)
                return r;
        r = config_file_read(path, &settings, &problem);
        if (r < 0)
                check_report_finding(&run->report, false, &problem, r);
        check_report_end(&run->report, "ok");
        return 0;
}

static int check_argument(CheckRun *run, const char *argument) {
        const char *slash = strrchr(argument, '/'), *file = slash ? slash + 1 : argument;
        const char *end = endswith(file, ".yaml");
        _cleanup_free_ char *name = NULL;

        if (!end)
                end = endswith(file, ".yml");
        if (!slash && !end)
                return check_image(run, argument);
        if (is_configuration(argument))
                return check_other_configuration(run, argument);
        name = end ? strndup(file, (size_t) (end - file)) : strdup(file);
        if (!name)
                return log_oom();
        if (image_name_problem(name)) {
                log_error("'%s' cannot be a definition: no image can have the name '%.200s', which %s", argument, name,
                          image_name_problem(name));
                run->report.n_faults++;
                return 0;
        }
        return check_definition(run, argument, name);
}

static int check_all(CheckRun *run) {
        _cleanup_strv_ char **names = NULL, **unusable = NULL;

        int r = definition_list(&run->settings, &names, &unusable);
        if (r < 0)
                return log_error_errno(r, "Cannot list the definitions: %m");
        for (char **path = unusable; path && *path; path++) {
                log_no_definition(*path);
                run->report.n_faults++;
        }
        for (char **name = names; name && *name; name++) {
                r = check_image(run, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Images that are made from themselves. */
static int check_order(CheckRun *run) {
        _cleanup_free_ Problem *problems = calloc(run->n_definitions + 1, sizeof(*problems));

        if (!problems || definition_order(run->definitions, run->n_definitions, problems) < 0)
                return log_oom();
        for (size_t i = 0; i < run->n_definitions; i++) {
                if (!problems[i].text[0])
                        continue;
                int r = check_report_begin(&run->report, run->definitions[i]->path, run->definitions[i]->name);
                if (r < 0)
                        return r;
                check_report_finding(&run->report, false, &problems[i], -EINVAL);
        }
        return 0;
}

static int check_arguments(CheckRun *run) {
        for (unsigned i = 0; i < run->invocation->n_arguments; i++) {
                int r = check_argument(run, invocation_argument(run->invocation, i));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The settings that apply, for the report. */
static int add_settings(CheckRun *run) {
        int r = run->detailed ? 0 : add_configuration(run);

        if (r < 0)
                return r;
        for (size_t i = 0; i < run->n_definitions; i++) {
                r = add_definition(run, run->definitions[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check(CheckRun *run) {
        const Invocation *invocation = run->invocation;

        int r = check_configuration(run, invocation->n_arguments == 0);
        if (r < 0)
                return r;
        r = invocation->n_arguments > 0 ? check_arguments(run) : check_all(run);
        if (r < 0)
                return r;
        r = check_order(run);
        if (r < 0)
                return r;
        r = add_settings(run);
        return r < 0 ? r : check_report_print(&run->report);
}

static int init_and_check(CheckRun *run) {
        if (settings_init(&run->settings) < 0)
                return log_oom();
        int r = check_report_init(&run->report, invocation_has(run->invocation, "json"));
        return r < 0 ? r : check(run);
}

static int run(const Invocation *invocation) {
        CheckRun run = {
                .invocation = invocation,
                .listener = { .cancel_fd = open_cancel_fd_logged(), .on_output = on_output },
                .config = invocation->config_file ? invocation->config_file : CONFIG_FILE_DEFAULT,
                .detailed = invocation->n_arguments > 0,
        };

        if (run.listener.cancel_fd < 0)
                return run.listener.cancel_fd;
        run.listener.userdata = &run;
        int r = init_and_check(&run);
        for (size_t i = 0; i < run.n_definitions; i++)
                definition_free(run.definitions[i]);
        free(run.definitions);
        settings_done(&run.settings);
        check_report_done(&run.report);
        close(run.listener.cancel_fd);
        return r < 0 ? r : run.report.n_faults > 0;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_check = {
        .name = "check",
        .synopsis = "[FILE...]",
        .max_arguments = COMMAND_ARGUMENTS_ANY,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_BAD_CONFIG | COMMAND_DEFINITION,
        .run = run,
        .help = "Check the configuration and the definitions of images, and show what applies",
};
