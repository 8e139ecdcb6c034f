/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs ansible-playbook on the host for a tree, and reads from its output what changed or failed. in-tree.c calls this.
 * Modules must run only in the container, through machine-exec. The playbook itself is the administrator's, and is
 * trusted as root. */

#include "maintain/playbook.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "maintain/connection.h"
#include "maintain/playbook-scan.h"
#include "source/builder.h"
#include "source/sandbox.h"
#include "tree/remove.h"

/* A subdirectory of the container's directory, so that it is removed with the container, however that ends. */
#define WORK "ansible"
#define INVENTORY "inventory.json"
#define TREE "root"
#define PLUGINS "plugins"

#define PLUGINS_VARIABLE "ANSIBLE_CONNECTION_PLUGINS"
/* Where ansible looks for connection plugins unless someone says otherwise. */
#define PLUGINS_DEFAULT "~/.ansible/plugins/connection:/usr/share/ansible/plugins/connection"

#define FATAL_BYTES_MAX 400

/* One run of ansible. */
typedef struct Run {
        const Playbook *playbook;
        PlaybookResult *result;
        char *host; /* its name in the inventory */
        char *work; /* path of the directory WORK */
        int work_fd;
        char *fatal;   /* the last line that says what failed, or NULL */
        bool in_fatal; /* @fatal goes on in the next line */
        bool in_recap;
        bool played;       /* a play ran for our host */
        bool skipped_play; /* a play was for other hosts */
} Run;

static void run_done(Run *run) {
        free(run->host);
        free(run->work);
        free(run->fatal);
        closep(&run->work_fd);
}

/* Makes the inventory's name for the image: in host names, ansible gives some characters a meaning, for example as
 * ranges. */
static int host_name(const char *image, char **ret) {
        int r = string_replace(ret, image);
        if (r < 0)
                return r;
        for (char *p = *ret; *p; p++) {
                bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                             strchr("-_.+@", *p);
                if (!plain)
                        *p = '_';
        }
        return 0;
}

static int write_inventory(const Run *run) {
        _cleanup_free_ char *tree = NULL;

        if (string_printf(&tree, "%s/" TREE, run->work) < 0)
                return -ENOMEM;
        json_auto_t *inventory = json_pack(
                "{s:{s:{s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}}}}", "all", "hosts", run->host, "ansible_connection",
                CONNECTION_NAME, "ansible_host", tree, "ansible_user", "root", "ansible_python_interpreter",
                "auto_silent",
                /* su: nearly every image has it. The shell is given, because users without login have none. */
                "ansible_become_method", "su", "ansible_become_flags", "-s /bin/sh",
                /* A tmpfs of the container, in which every user may make a directory. */
                "ansible_remote_tmp", "/dev/shm/ansible-${USER}", "ansible_pipelining", 1);
        _cleanup_free_ char *text = inventory ? json_dumps(inventory, JSON_INDENT(2)) : NULL;
        return text ? file_replace_at(run->work_fd, INVENTORY, text, strlen(text), 0600) : -ENOMEM;
}

static int prepare_work(Run *run) {
        const Playbook *playbook = run->playbook;
        const MachineDirectory *directory = &playbook->machine->directory;
        _cleanup_free_ char *self = NULL, *beside = NULL;

        int r = host_name(playbook->name, &run->host);
        if (r < 0)
                return r;
        r = string_printf(&run->work, "%s/" WORK, directory->path);
        if (r < 0)
                return r;
        r = remove_tree_at(directory->fd, WORK);
        if (r < 0)
                return r;
        r = run->work_fd = open_directory_at(directory->fd, WORK, true, 0700);
        if (r < 0)
                return r;
        r = own_executable(&self, &beside);
        if (r < 0)
                return r;
        /* The tree's path may have characters that mean something to ansible; the path of this symlink has none. */
        if (symlinkat(playbook->tree, run->work_fd, TREE) < 0 ||
            symlinkat(self, run->work_fd, CONNECTION_PROGRAM) < 0 ||
            mkdirat(run->work_fd, PLAYBOOK_TEMPORARY, 0700) < 0)
                return -errno;
        _cleanup_close_ int plugins_fd = open_directory_at(run->work_fd, PLUGINS, true, 0700);
        if (plugins_fd < 0)
                return plugins_fd;
        r = connection_write(plugins_fd);
        if (r < 0)
                return r;
        return write_inventory(run);
}

/* Passes on the caller's variables for ansible, except those that change the output, which on_line() reads. In @work
 * there is room for temporary files, and our plugin if the playbook is to run. */
static int ansible_environment(const char *work, char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        char **fixed = ARGV("ANSIBLE_STDOUT_CALLBACK=default", "ANSIBLE_NOCOLOR=True", "ANSIBLE_FORCE_COLOR=False",
                            "ANSIBLE_NOCOWS=True", "ANSIBLE_INVENTORY_ENABLED=yaml,host_list",
                            "ANSIBLE_RETRY_FILES_ENABLED=False", "PYTHONUNBUFFERED=1");

        int r = builder_environment(&environment);
        if (r < 0)
                return r;
        for (char **variable = environ; *variable; variable++) {
                bool ours = false;

                for (size_t i = 0; fixed[i]; i++)
                        ours |= strncmp(*variable, fixed[i], strcspn(fixed[i], "=") + 1) == 0;
                if (startswith(*variable, "ANSIBLE_") && !startswith(*variable, "ANSIBLE_LOCAL_TEMP=") &&
                    !startswith(*variable, PLUGINS_VARIABLE "=") && !ours)
                        r = strv_extend(&environment, *variable);
                if (r < 0)
                        return r;
        }
        r = strv_extend_strv(&environment, fixed);
        if (r < 0)
                return r;
        r = strv_extendf(&environment, "ANSIBLE_LOCAL_TEMP=%s/" PLAYBOOK_TEMPORARY, work);
        if (r < 0)
                return r;
        const char *plugins = getenv(PLUGINS_VARIABLE);
        r = strv_extendf(&environment, PLUGINS_VARIABLE "=%s/" PLUGINS ":%s", work,
                         isempty(plugins) ? PLUGINS_DEFAULT : plugins);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

static unsigned recap_number(const char *line, const char *key) {
        const char *found = strstr(line, key);
        return found ? (unsigned) strtoul(found + strlen(key), NULL, 10) : 0;
}

/* "NAME    : ok=3  changed=1  unreachable=0  failed=0  skipped=0 ..." */
static void read_recap(Run *run, const char *line) {
        const char *rest = startswith(line, run->host);

        if (!rest || (*rest != ' ' && *rest != ':'))
                return;
        rest += strspn(rest, " ");
        if (*rest != ':')
                return;
        run->played = true;
        run->result->n_ok = recap_number(rest, " ok=");
        run->result->n_changed = recap_number(rest, " changed=");
        run->result->n_failed = recap_number(rest, " failed=") + recap_number(rest, " unreachable=");
        run->result->changed = run->result->n_changed > 0;
}

/* Notes what failed: a line, or an object that ansible prints over several lines. */
static void note_fatal(Run *run, const char *line) {
        /* "[ERROR]: " is what ansible-core 2.19 prints. */
        if (startswith(line, "fatal: ") || startswith(line, "ERROR! ") || startswith(line, "[ERROR]: ")) {
                free(run->fatal);
                run->fatal = strndup(line, FATAL_BYTES_MAX);
                run->in_fatal = endswith(line, "{");
        } else if (run->in_fatal && run->fatal) {
                run->in_fatal = !streq(line, "}");
                line += strspn(line, " ");
                if (strlen(run->fatal) + strlen(line) < FATAL_BYTES_MAX)
                        (void) string_append(&run->fatal, " ", "%s", line);
        }
}

static void on_line(void *userdata, const char *line) {
        Run *run = userdata;

        if (startswith(line, "PLAY RECAP "))
                run->in_recap = true;
        else if (run->in_recap)
                read_recap(run, line);
        note_fatal(run, line);
        if (startswith(line, "skipping: no hosts matched"))
                run->skipped_play = true;

        listener_output(run->playbook->listener, line);
}

static int run_ansible(Run *run) {
        _cleanup_strv_ char **environment = NULL;
        _cleanup_free_ char *inventory = NULL;

        int r = ansible_environment(run->work, &environment);
        if (r < 0)
                return r;
        r = strv_extendf(&environment, CONNECTION_VARIABLE "=%s", run->playbook->machine->directory.path);
        if (r < 0)
                return r;
        r = string_printf(&inventory, "%s/" INVENTORY, run->work);
        if (r < 0)
                return r;
        char **argv = ARGV("ansible-playbook", "--inventory", inventory, run->playbook->path);
        const Listener listener = {
                .cancel_fd = run->playbook->listener->cancel_fd,
                .on_line = on_line,
                .userdata = run,
        };
        Sandbox sandbox = { .argv = argv, .envp = environment, .listener = &listener };
        return sandbox_run(&sandbox);
}

#define PYTHON_HINT                                                                                                   \
        "it has no python, which ansible's modules need: install it when the image is made, or with a raw task in a " \
        "first play with 'gather_facts: no'"

static int report(Run *run, int r, bool has_python) {
        PlaybookResult *result = run->result;

        /* ansible reports no error for a playbook that is only for other hosts. */
        if (r == 0 && run->skipped_play && !run->played)
                return problem_set(
                        &result->problem, -EINVAL,
                        "The playbook did nothing: its host is called '%s', and no play's 'hosts:' matches that. "
                        "'hosts: all' matches each image",
                        run->host);
        if (r == 0)
                return 0;
        if (r == -ECANCELED)
                return problem_set(&result->problem, r, "The playbook was cancelled");
        if (r < 0)
                return problem_set(&result->problem, r, "Cannot run ansible-playbook: %m");
        return problem_set(&result->problem, r, "The playbook failed%s%s%s", run->fatal ? ": " : "",
                           run->fatal ? run->fatal : "", has_python ? "" : "; the image may be why: " PYTHON_HINT);
}

int playbook_run(const Playbook *playbook, PlaybookResult *ret) {
        _cleanup_(run_done) Run run = { .playbook = playbook, .result = ret, .work_fd = -EBADF };

        *ret = (PlaybookResult){ 0 };
        if (!program_exists("ansible-playbook"))
                return problem_set(&ret->problem, -ENOPKG,
                                   "ansible-playbook is not installed: it is in package ansible-core");
        if (access(playbook->path, R_OK) < 0)
                return problem_set(&ret->problem, -errno, "Cannot read playbook '%s': %m", playbook->path);
        _cleanup_close_ int tree_fd = open_directory_at(AT_FDCWD, playbook->tree, false, 0);
        if (tree_fd < 0)
                return problem_set(&ret->problem, tree_fd, "Cannot open tree '%s': %m", playbook->tree);
        int has_python = tree_has_python(tree_fd);
        if (has_python < 0)
                return problem_set(&ret->problem, has_python, "Cannot look for python in tree '%s': %m",
                                   playbook->tree);
        if (!has_python && playbook_begins_with_facts(playbook->path))
                return problem_set(&ret->problem, -ENOEXEC, "The playbook of image '%s' cannot run: " PYTHON_HINT,
                                   playbook->name);

        int r = prepare_work(&run);
        if (r < 0)
                return problem_set(&ret->problem, r, "Cannot set up '%s' for ansible: %m",
                                   run.work ? run.work : playbook->machine->directory.path);
        return report(&run, run_ansible(&run), has_python);
}

/* ansible explains an error in several lines; the first one sums it up. */
typedef struct Check {
        const PlaybookCheck *request;
        char *first; /* the first line that says what is wrong; NULL: none yet */
} Check;

static void check_line(void *userdata, const char *line) {
        Check *check = userdata;
        const char *text = startswith(line, "ERROR! ");

        if (!text)
                text = startswith(line, "[ERROR]: ");
        if (text && !check->first)
                check->first = strdup(text);
        listener_output(check->request->listener, line);
}

int playbook_check(const PlaybookCheck *request, Problem *reterr_problem) {
        Check check = { .request = request };
        _cleanup_strv_ char **environment = NULL;
        _cleanup_free_ char *host = NULL, *inventory = NULL;

        if (!program_exists("ansible-playbook"))
                return problem_set(reterr_problem, -ENOPKG,
                                   "ansible-playbook is not installed: it is in package ansible-core");
        int r = host_name(request->name, &host);
        if (r < 0)
                return r;
        r = string_printf(&inventory, "%s,", host);
        if (r < 0)
                return r;
        r = ansible_environment(request->work, &environment);
        if (r < 0)
                return r;
        char **argv = ARGV("ansible-playbook", "--syntax-check", "--inventory", inventory, request->path);
        const Listener listener = {
                .cancel_fd = request->listener->cancel_fd,
                .on_line = check_line,
                .userdata = &check,
        };
        Sandbox sandbox = { .argv = argv, .envp = environment, .listener = &listener };
        r = sandbox_run(&sandbox);
        if (r > 0)
                (void) problem_set(reterr_problem, r, "Its playbook cannot be used: %s",
                                   check.first ? check.first : "see above");
        else if (r < 0 && r != -ECANCELED)
                (void) problem_set(reterr_problem, r, "Cannot run ansible-playbook: %m");
        free(check.first);
        return r;
}
