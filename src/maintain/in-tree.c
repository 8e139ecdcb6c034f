/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs in a tree what its definition asks for before the tree is published: upgrade, playbook, test. make.c calls this,
 * and definition-check.c, which only has a playbook checked. Programs of the tree must run only in a container; ansible
 * itself runs on the host. */

#include "maintain/in-tree.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/string.h"
#include "machine/image-machine.h"
#include "maintain/playbook.h"
#include "tree/packages.h"
#include "tree/remove.h"

/* Asks no questions, and keeps configuration files that were changed in the image. Packages that are already installed
 * cost nothing. Without --error-on=any, apt would go on with old lists when it cannot reach a mirror (apt-get(8),
 * --error-on=any; older versions ignore the option). */
static const char upgrade_script[] =
        "export DEBIAN_FRONTEND=noninteractive\n"
        "options='-qq -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold'\n"
        "apt-get -qq -o APT::Update::Error-Mode=any update\n"
        "apt-get $options dist-upgrade\n"
        "if [ $# -gt 0 ]; then apt-get $options install -- \"$@\"; fi\n"
        "apt-get -qq clean\n"
        "rm -rf /var/lib/apt/lists/*\n";

static int start(const InTree *in_tree, bool in_place, ImageMachine **ret, Problem *reterr_problem) {
        ImageMachineRequest request = {
                .settings = in_tree->settings,
                .name = in_tree->definition->name,
                .tree = in_tree->tree,
                .in_place = in_place,
                .environment = in_tree->environment,
                .user = in_place ? NULL : in_tree->user,
                .working_dir = in_place ? NULL : in_tree->working_dir,
                .cancel_fd = in_tree->listener->cancel_fd,
        };

        return image_machine_start(&request, ret, reterr_problem);
}

static void on_line(void *userdata, const char *line) {
        listener_output(userdata, line);
}

/* Runs @argv in the container. Returns 0, or -errno with @reterr_problem; -EIO: the command's exit status was not 0.
 * @what begins the sentence "... ended with exit status 1". */
static int run(const InTree *in_tree, const ImageMachine *machine, char *const *argv, const char *what,
               Problem *reterr_problem) {
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        request.argv = argv;
        request.on_line = on_line;
        request.userdata = (void *) in_tree->listener;
        int r = image_machine_run(machine, &request, &outcome);
        if (r < 0)
                return r;
        if (outcome.result == STEP_EXITED && outcome.exited.code == CLD_EXITED && outcome.exited.status == 0)
                return 0;
        if (outcome.result == STEP_CANCELLED) {
                /* The step consumed the signal. Send it again, so that everything that waits on cancel_fd sees it,
                 * too. */
                (void) kill(getpid(), outcome.signal);
                return -ECANCELED;
        }
        image_machine_explain(machine, &outcome, reterr_problem);
        return problem_set(reterr_problem, -EIO, "%s %s", what, reterr_problem->text);
}

/* Makes a hash of the installed packages; 0 if the tree has no dpkg. */
static int packages_hash(const char *tree, uint64_t *ret) {
        static const uint8_t key[16] = "dpkg";
        _cleanup_free_ char *data = NULL;
        size_t size;
        Hash hash;

        *ret = 0;
        _cleanup_close_ int tree_fd = open_directory_at(AT_FDCWD, tree, false, 0);
        if (tree_fd < 0)
                return tree_fd;
        int r = file_find_in_root(tree_fd, DPKG_STATUS, PACKAGES_FILE_BYTES_MAX, &data, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        hash_init(&hash, key);
        hash_update(&hash, data, size);
        *ret = hash_finish(&hash);
        return 0;
}

static int upgrade(const InTree *in_tree, const ImageMachine *machine, bool *changed, Problem *reterr_problem) {
        _cleanup_strv_ char **argv = NULL;
        uint64_t before, after;

        listener_step(in_tree->listener, "Upgrading its packages");
        int r = packages_hash(in_tree->tree, &before);
        if (r < 0)
                return r;
        if (before == 0)
                return 0; /* no dpkg, so no apt */
        if (strv_extend_many(&argv, "/bin/sh", "-e", "-c", upgrade_script, "upgrade") < 0 ||
            strv_extend_strv(&argv, in_tree->definition->source.packages) < 0)
                return -ENOMEM;
        r = run(in_tree, machine, argv, "the upgrade of its packages", reterr_problem);
        if (r < 0)
                return r;
        r = packages_hash(in_tree->tree, &after);
        if (r < 0)
                return r;
        if (after != before)
                *changed = true;
        return r;
}

static int play(const InTree *in_tree, const ImageMachine *machine, bool *changed, Problem *reterr_problem) {
        PlaybookResult result = { 0 };
        Playbook playbook = {
                .machine = machine,
                .name = in_tree->definition->name,
                .tree = in_tree->tree,
                .path = in_tree->definition->path,
                .listener = in_tree->listener,
        };

        listener_step(in_tree->listener, "Running its playbook");
        int r = playbook_run(&playbook, &result);
        if (r == 0) {
                *changed = *changed || result.changed;
                return 0;
        }
        *reterr_problem = result.problem;
        return r > 0 ? -EIO : r;
}

static int upgrade_and_play(const InTree *in_tree, const ImageMachine *machine, bool *changed,
                            Problem *reterr_problem) {
        int r = in_tree->upgrade ? upgrade(in_tree, machine, changed, reterr_problem) : 0;

        return r < 0 || !in_tree->definition->has_tasks ? r : play(in_tree, machine, changed, reterr_problem);
}

int in_tree_update(const InTree *in_tree, bool *ret_changed, Problem *reterr_problem) {
        ImageMachine *machine;

        if (!in_tree->upgrade && !in_tree->definition->has_tasks)
                return 0;
        listener_step(in_tree->listener, "Starting a container in its tree");
        int r = start(in_tree, true, &machine, reterr_problem);
        if (r < 0)
                return r;
        r = upgrade_and_play(in_tree, machine, ret_changed, reterr_problem);
        int q = image_machine_stop(machine);
        return r < 0 ? r : q;
}

int in_tree_test(const InTree *in_tree, Problem *reterr_problem) {
        ImageMachine *machine;

        listener_step(in_tree->listener, "Testing it");
        int r = start(in_tree, false, &machine, reterr_problem);
        if (r < 0)
                return r;
        r = run(in_tree, machine, in_tree->definition->test, "its test (nspawn_runner_test)", reterr_problem);
        int q = image_machine_stop(machine);
        return r < 0 ? r : q;
}

int in_tree_check(const InTree *in_tree, const char *work, int work_fd, Problem *reterr_problem) {
        PlaybookCheck check = {
                .name = in_tree->definition->name,
                .path = in_tree->definition->path,
                .work = work,
                .listener = in_tree->listener,
        };

        if (!in_tree->definition->has_tasks)
                return 0;
        listener_step(in_tree->listener, "Checking the playbook");
        int r = playbook_check(&check, reterr_problem);
        (void) remove_tree_at(work_fd, PLAYBOOK_TEMPORARY);
        return r > 0 ? -EIO : r;
}
