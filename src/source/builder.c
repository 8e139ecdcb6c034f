/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Plans how a suite of Debian or Ubuntu is built: which builder, mirror, keys and packages. Called for chroot-create
 * and for definitions with a suite. Only short queries to the host's apt are started here; source-suite.c runs the
 * plan. A plan must always name the keys that the packages are signed with. */

#include "source/builder.h"

#include <stdio.h>

#include "base/process.h"
#include "base/proxy.h"
#include "base/string.h"

/* Packages in addition to the smallest Debian with apt: what GitLab Runner's scripts need (git, certificates), what
 * `boot: yes` needs (systemd, dbus; systemd-sysv for /sbin/init and the commands that stop a machine), and python3 for
 * ansible. */
#define PACKAGES "git,ca-certificates,systemd,systemd-sysv,dbus,python3"

#define APT_DIRECTORY "/etc/apt"

/* debootstrap makes its equivalent of "important" when no variant is given. */
static const struct {
        const char *name, *debootstrap; /* NULL: debootstrap cannot make the variant */
} variants[] = {
        { "minbase", "minbase" }, { "essential", NULL }, { "apt", NULL },      { "required", NULL },
        { "buildd", "buildd" },   { "important", "" },   { "standard", NULL }, { "debootstrap", "" },
};

#define VARIANT_DEFAULT "minbase"

bool build_variant_known(const char *variant) {
        for (size_t i = 0; i < ELEMENTSOF(variants); i++)
                if (streq(variants[i].name, variant))
                        return true;
        return false;
}

/* Returns debootstrap's name of @variant; "": debootstrap makes it without the option; NULL: debootstrap cannot make
 * it. */
static const char *debootstrap_variant(const char *variant) {
        for (size_t i = 0; i < ELEMENTSOF(variants); i++)
                if (streq(variants[i].name, variant))
                        return variants[i].debootstrap;
        return NULL;
}

void build_plan_done(BuildPlan *plan) {
        free(plan->suite);
        mirror_done(&plan->mirror);
        free(plan->variant);
        free(plan->components);
        free(plan->packages);
        *plan = (BuildPlan){ 0 };
}

static const char *plan_keyring(const BuildPlan *plan) {
        return plan->mirror.keyring ? plan->mirror.keyring : plan->distribution->keyring;
}

static int begin_arguments(const BuildPlan *plan, const char *variant, char ***arguments) {
        int r = plan->eatmydata ? strv_extend(arguments, "eatmydata") : 0;
        if (r < 0)
                return r;
        r = strv_extend(arguments, plan->builder->program);
        if (r < 0)
                return r;
        if (!isempty(variant) && strv_extendf(arguments, "--variant=%s", variant) < 0)
                return -ENOMEM;
        if (plan->packages && strv_extendf(arguments, "--include=%s", plan->packages) < 0)
                return -ENOMEM;
        if (strv_extendf(arguments, "--components=%s", plan->components) < 0 ||
            strv_extendf(arguments, "--keyring=%s", plan_keyring(plan)) < 0)
                return -ENOMEM;
        return 0;
}

/* Adds the lines of sources.list, if we know a mirror. */
static int add_sources(const BuildPlan *plan, char ***arguments) {
        _cleanup_strv_ char **lines = NULL;

        if (!plan->mirror.archive)
                return 0;
        int r = mirror_sources_list(&plan->mirror, plan->distribution, plan->suite, plan->components, &lines);
        return r < 0 ? r : strv_extend_strv(arguments, lines);
}

static int mmdebstrap_arguments(const BuildPlan *plan, const char *target, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;

        int r = begin_arguments(plan, plan->variant, &arguments);
        if (r < 0)
                return r;
        /* Without --format, mmdebstrap would guess one from the target's name. */
        r = strv_extend_many(&arguments, "--mode=root", "--format=directory", "--", plan->suite, target);
        if (r < 0)
                return r;
        r = add_sources(plan, &arguments);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

static int debootstrap_arguments(const BuildPlan *plan, const char *target, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;

        int r = begin_arguments(plan, debootstrap_variant(plan->variant), &arguments);
        if (r < 0)
                return r;
        r = strv_extend_many(&arguments, plan->suite, target, plan->mirror.archive);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

/* debootstrap installs packages only from the suite as it was released, and writes only that suite into
 * sources.list. Where we know no mirror, its line names debootstrap's default mirror, and the lines for updates are
 * made from that. */
static const char debootstrap_completion_script[] =
        "set -e\n"
        "target=$1 suite=$2 components=$3 keyring=$4 security=$5\n"
        "shift 5\n"
        "list=$target/etc/apt/sources.list\n"
        "if [ $# -eq 0 ]; then\n"
        "        mirror=$(sed -n 's/^deb \\([^ ]*\\) .*/\\1/p' \"$list\" | head -n 1)\n"
        "        mirror=${mirror%/}\n"
        "        set -- \"deb [signed-by=$keyring] $mirror $suite $components\"\n"
        "        if [ -n \"$security\" ]; then\n"
        "                set -- \"$@\" \"deb [signed-by=$keyring] $mirror $suite-updates $components\" \\\n"
        "                        \"deb [signed-by=$keyring] $mirror${security#+} $suite-security $components\"\n"
        "        fi\n"
        "fi\n"
        "printf '%s\\n' \"$@\" >\"$list\"\n"
        "mountpoint -q \"$target/proc\" || mount -t proc proc \"$target/proc\"\n"
        "echo 'I: Updating packages'\n"
        "chroot \"$target\" apt-get -q -o APT::Update::Error-Mode=any update\n"
        "chroot \"$target\" apt-get -q -y dist-upgrade\n"
        "chroot \"$target\" apt-get -q clean\n";

static int debootstrap_completion(const BuildPlan *plan, const char *target, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;
        _cleanup_free_ char *components = strdup(plan->components);
        /* What to append to the default mirror to get the mirror of its security updates; "+": the same mirror. */
        const char *security = suite_is_rolling(plan->distribution, plan->suite) ? "" :
                               plan->distribution->default_security              ? "+-security" :
                                                                                   "+";

        if (!components)
                return -ENOMEM;
        for (char *comma = components; (comma = strchr(comma, ','));)
                *comma = ' ';

        int r = strv_extend_many(&arguments, "/bin/sh", "-c", debootstrap_completion_script, "complete", target,
                                 plan->suite, components, plan_keyring(plan), security);
        if (r < 0)
                return r;
        r = add_sources(plan, &arguments);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

const Builder builder_mmdebstrap = {
        .program = "mmdebstrap",
        .names_packages = false,
        .arguments = mmdebstrap_arguments,
        .completion = NULL,
};

const Builder builder_debootstrap = {
        .program = "debootstrap",
        .names_packages = true,
        .arguments = debootstrap_arguments,
        .completion = debootstrap_completion,
};

static const Builder *find_builder(void) {
        /* mmdebstrap drives the host's own apt. */
        if (program_exists("mmdebstrap") && program_exists("apt-get"))
                return &builder_mmdebstrap;
        return program_exists("debootstrap") ? &builder_debootstrap : NULL;
}

static int find_suite(const char *suite, const HostSystem *host, BuildPlan *plan, Problem *reterr_problem) {
        if (!suite && !host->codename)
                return problem_set(reterr_problem, -EINVAL,
                                   "This host's os-release names no suite of Debian or Ubuntu: choose one with "
                                   "--suite.");
        plan->suite = strdup(suite ? suite : host->codename);
        if (!plan->suite)
                return -ENOMEM;

        plan->distribution = suite_distribution(plan->suite, host);
        if (plan->distribution)
                return 0;
        _cleanup_free_ char *nearest = suite ? suite_nearest(suite) : NULL;
        if (nearest)
                return problem_set(reterr_problem, -EINVAL,
                                   "'%s' is no suite of Debian or Ubuntu that this host knows; did you mean '%s'?",
                                   suite, nearest);
        return problem_set(reterr_problem, -EINVAL,
                           "'%s' is no suite of Debian or Ubuntu that this host knows%s. The package "
                           "distro-info-data on the host lists newer suites.",
                           plan->suite, suite ? "" : " (it is this host's own: choose another with --suite)");
}

static int host_mirror(const HostSystem *host, const Distribution *distribution, Mirror *ret) {
        _cleanup_apt_sources_ AptSources sources = { 0 };

        /* The host's apt knows nothing of other distributions. */
        if (!streq_null(host->id, distribution->name) || !host->codename)
                return 0;
        int r = apt_sources_read(APT_DIRECTORY, &sources);
        return r < 0 ? r : mirror_pick(&sources, distribution, host->codename, ret);
}

static int find_mirror(const BuildRequest *request, const HostSystem *host, BuildPlan *plan) {
        int r = host_mirror(host, plan->distribution, &plan->mirror);
        if (r < 0)
                return r;
        r = request->mirror ? mirror_replace(&plan->mirror, plan->distribution, request->mirror) : 0;
        if (r < 0)
                return r;
        return request->keyring ? string_replace(&plan->mirror.keyring, request->keyring) : 0;
}

static int join(char **text, char *const *words) {
        for (; words && *words; words++) {
                int r = string_append(text, ",", "%s", *words);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int find_packages(const BuildRequest *request, BuildPlan *plan) {
        int r = request->only_packages ? 0 : string_replace(&plan->packages, PACKAGES);
        if (r < 0)
                return r;
        r = join(&plan->packages, request->packages);
        if (r < 0)
                return r;
        r = join(&plan->components, request->components);
        if (r < 0)
                return r;
        return plan->components ? 0 : string_replace(&plan->components, plan->distribution->components);
}

static int find_variant(const BuildRequest *request, BuildPlan *plan, Problem *reterr_problem) {
        const char *variant = request->variant ? request->variant : VARIANT_DEFAULT;

        if (!build_variant_known(variant))
                return problem_set(reterr_problem, -EINVAL, "There is no variant '%s' of Debian and Ubuntu.", variant);
        if (plan->builder == &builder_debootstrap && !debootstrap_variant(variant))
                return problem_set(reterr_problem, -EINVAL, "Variant '%s' needs mmdebstrap, which is not installed.",
                                   variant);
        return string_replace(&plan->variant, variant);
}

/* Takes the newer of the keyring's two names (X.pgp) if the host has only that file. */
static int find_keyring(BuildPlan *plan) {
        const char *keyring = plan->distribution->keyring;
        _cleanup_free_ char *newer = NULL;

        if (plan->mirror.keyring || access(keyring, R_OK) >= 0)
                return 0;
        if (string_printf(&newer, "%.*s.pgp", (int) (strrchr(keyring, '.') - keyring), keyring) < 0)
                return -ENOMEM;
        return access(newer, R_OK) < 0 ? 0 : string_replace(&plan->mirror.keyring, newer);
}

/* Finds the keyring that the request names, or else the distribution's own. */
static int check_keyring(const BuildRequest *request, BuildPlan *plan, Problem *reterr_problem) {
        int r = find_keyring(plan);

        if (r < 0 || access(plan_keyring(plan), R_OK) >= 0)
                return r;
        if (request->keyring)
                return problem_set(reterr_problem, -EINVAL, "The keyring %s cannot be read: %s.", request->keyring,
                                   strerror(errno));
        return problem_set(
                reterr_problem, -EINVAL,
                "%s, the file with the keys of %s's packages, is missing: install the package %s. If this "
                "host's distribution does not have it, unpack it (dpkg-deb -x) from %s, and name the file in "
                "the image's definition (nspawn_runner_keyring).",
                plan_keyring(plan), plan->distribution->label, plan->distribution->keyring_package,
                plan->distribution->keyring_url);
}

BuildRequest build_request_of(const SourceSpec *spec) {
        return (BuildRequest){
                .suite = spec->suite,
                .mirror = spec->mirror,
                .keyring = spec->keyring,
                .variant = spec->variant,
                .components = spec->components,
                .packages = spec->packages,
                .only_packages = spec->only_packages,
        };
}

int build_plan_make(const BuildRequest *request, BuildPlan *ret, Problem *reterr_problem) {
        _cleanup_build_plan_ BuildPlan plan = { .builder = find_builder() };
        _cleanup_(host_system_done) HostSystem host = { 0 };

        if (!plan.builder)
                return problem_set(reterr_problem, -EINVAL,
                                   "Neither mmdebstrap nor debootstrap is installed: install one of them.");

        int r = host_system_read(&host);
        if (r == -ENOMEM)
                return r;
        r = find_suite(request->suite, &host, &plan, reterr_problem);
        if (r < 0)
                return r;
        r = find_variant(request, &plan, reterr_problem);
        if (r < 0)
                return r;
        r = find_packages(request, &plan);
        if (r < 0)
                return r;
        r = find_mirror(request, &host, &plan);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return problem_set(reterr_problem, -EINVAL,
                                   "The package sources of this host cannot be read from " APT_DIRECTORY ": %s",
                                   strerror(-r));
        r = check_keyring(request, &plan, reterr_problem);
        if (r < 0)
                return r;

        plan.eatmydata = program_exists("eatmydata");
        *ret = plan;
        plan = (BuildPlan){ 0 };
        return 0;
}

int builder_environment(char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        const char *path = getenv("PATH");

        /* The caller's PATH, in which the builder was found, comes first; dpkg insists on the directories of system
         * programs. */
        int r = strv_extendf(&environment, "PATH=%s%s" SEARCH_PATH, path ? path : "", isempty(path) ? "" : ":");
        if (r < 0)
                return r;
        r = strv_extend_many(&environment, "HOME=/root", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
                             "DEBIAN_FRONTEND=noninteractive");
        if (r < 0)
                return r;
        r = proxy_environment(&environment);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

const char *builder_step(const char *line) {
        return startswith(line, "I: ");
}
