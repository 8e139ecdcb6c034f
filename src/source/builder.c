/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "source/builder.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/process.h"
#include "base/string.h"

/* Beyond the smallest Debian with apt: what GitLab Runner's scripts need (git, certificates), what `boot: yes` needs
 * (systemd, dbus; systemd-sysv for /sbin/init and the commands that stop a machine), and python3 for ansible. */
#define PACKAGES "git,ca-certificates,systemd,systemd-sysv,dbus,python3"

#define APT_DIRECTORY "/etc/apt"

/* What debootstrap calls "important" is what it makes without being asked for a variant. */
static const struct {
        const char *name, *debootstrap; /* NULL: it cannot */
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

/* @variant as debootstrap calls it, "" where it wants to hear nothing; NULL: it does not have it. */
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

        if (r >= 0)
                r = strv_extend(arguments, plan->builder->program);
        if (r >= 0 && !isempty(variant))
                r = strv_extendf(arguments, "--variant=%s", variant);
        if (r >= 0)
                r = strv_extendf(arguments, "--include=%s", plan->packages);
        if (r >= 0)
                r = strv_extendf(arguments, "--components=%s", plan->components);
        if (r >= 0)
                r = strv_extendf(arguments, "--keyring=%s", plan_keyring(plan));
        return r;
}

static int mmdebstrap_arguments(const BuildPlan *plan, const char *target, char ***ret) {
        _cleanup_strv_ char **arguments = NULL, **lines = NULL;

        int r = begin_arguments(plan, plan->variant, &arguments);
        if (r >= 0)
                r = strv_extend(&arguments, "--mode=root");
        if (r >= 0)
                /* Or it would guess from the target's name. */
                r = strv_extend(&arguments, "--format=directory");
        if (r >= 0)
                r = strv_extend(&arguments, "--");
        if (r >= 0)
                r = strv_extend(&arguments, plan->suite);
        if (r >= 0)
                r = strv_extend(&arguments, target);
        if (r >= 0 && plan->mirror.archive)
                r = mirror_sources_list(&plan->mirror, plan->distribution, plan->suite, plan->components, &lines);
        for (char **line = lines; r >= 0 && line && *line; line++)
                r = strv_extend(&arguments, *line);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

static int debootstrap_arguments(const BuildPlan *plan, const char *target, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;

        int r = begin_arguments(plan, debootstrap_variant(plan->variant), &arguments);
        if (r >= 0)
                r = strv_extend(&arguments, plan->suite);
        if (r >= 0)
                r = strv_extend(&arguments, target);
        if (r >= 0 && plan->mirror.archive)
                r = strv_extend(&arguments, plan->mirror.archive);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(arguments);
        return 0;
}

/* debootstrap takes packages of the suite as it was released only, and writes only that into sources.list. What it
 * wrote names its default mirror, which the other lines follow from where we know no mirror. */
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
        _cleanup_strv_ char **arguments = NULL, **lines = NULL;
        _cleanup_free_ char *components = strdup(plan->components);
        const char *const head[] = { "/bin/sh", "-c", debootstrap_completion_script, "complete", target, plan->suite };
        /* What makes the mirror of the security updates of the default mirror: "+" is the same one. */
        const char *security = suite_is_rolling(plan->distribution, plan->suite) ? "" :
                               plan->distribution->default_security              ? "+-security" :
                                                                                   "+";
        int r = 0;

        if (!components)
                return -ENOMEM;
        for (char *comma = components; (comma = strchr(comma, ','));)
                *comma = ' ';

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(head); i++)
                r = strv_extend(&arguments, head[i]);
        if (r >= 0)
                r = strv_extend(&arguments, components);
        if (r >= 0)
                r = strv_extend(&arguments, plan_keyring(plan));
        if (r >= 0)
                r = strv_extend(&arguments, security);
        if (r >= 0 && plan->mirror.archive)
                r = mirror_sources_list(&plan->mirror, plan->distribution, plan->suite, plan->components, &lines);
        for (char **line = lines; r >= 0 && line && *line; line++)
                r = strv_extend(&arguments, *line);
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

static int problem(char **ret_problem, const char *format, ...) _printf_(2, 3);
static int problem(char **ret_problem, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(ret_problem, format, ap);
        va_end(ap);
        if (r < 0) {
                *ret_problem = NULL;
                return -ENOMEM;
        }
        return -EINVAL;
}

static const Builder *find_builder(void) {
        /* mmdebstrap drives the host's own apt. */
        if (program_exists("mmdebstrap") && program_exists("apt-get"))
                return &builder_mmdebstrap;
        return program_exists("debootstrap") ? &builder_debootstrap : NULL;
}

static int find_suite(const char *suite, const HostSystem *host, BuildPlan *plan, char **ret_problem) {
        if (!suite && !host->codename)
                return problem(ret_problem,
                               "This host's os-release names no suite of Debian or Ubuntu: choose one with "
                               "--suite.");
        plan->suite = strdup(suite ? suite : host->codename);
        if (!plan->suite)
                return -ENOMEM;

        plan->distribution = suite_distribution(plan->suite, host);
        if (!plan->distribution)
                return problem(ret_problem,
                               "'%s' is no suite of Debian or Ubuntu that this host knows%s. Newer suites "
                               "become known with the package distro-info-data.",
                               plan->suite, suite ? "" : " (it is this host's own: choose another with --suite)");
        return 0;
}

static int host_mirror(const HostSystem *host, const Distribution *distribution, Mirror *ret) {
        _cleanup_apt_sources_ AptSources sources = { 0 };

        /* Of another distribution the host's apt knows nothing. */
        if (!streq_null(host->id, distribution->name) || !host->codename)
                return 0;
        int r = apt_sources_read(APT_DIRECTORY, &sources);
        return r < 0 ? r : mirror_pick(&sources, distribution, host->codename, ret);
}

static int find_mirror(const BuildRequest *request, const HostSystem *host, BuildPlan *plan) {
        int r = host_mirror(host, plan->distribution, &plan->mirror);
        if (r >= 0 && request->mirror)
                r = mirror_replace(&plan->mirror, plan->distribution, request->mirror);
        if (r >= 0 && request->keyring)
                r = string_replace(&plan->mirror.keyring, request->keyring);
        return r;
}

static int join(char **text, char *const *words) {
        for (; words && *words; words++) {
                char *longer;

                int r = *text ? string_printf(&longer, "%s,%s", *text, *words) : string_printf(&longer, "%s", *words);
                if (r < 0)
                        return r;
                free(*text);
                *text = longer;
        }
        return 0;
}

static int find_packages(const BuildRequest *request, BuildPlan *plan) {
        int r = string_replace(&plan->packages, PACKAGES);
        if (r >= 0)
                r = join(&plan->packages, request->packages);
        if (r >= 0)
                r = join(&plan->components, request->components);
        if (r >= 0 && !plan->components)
                r = string_replace(&plan->components, plan->distribution->components);
        return r;
}

static int find_variant(const BuildRequest *request, BuildPlan *plan, char **ret_problem) {
        const char *variant = request->variant ? request->variant : VARIANT_DEFAULT;

        if (!build_variant_known(variant))
                return problem(ret_problem, "There is no variant '%s' of Debian and Ubuntu.", variant);
        if (plan->builder == &builder_debootstrap && !debootstrap_variant(variant))
                return problem(ret_problem, "Variant '%s' needs mmdebstrap, which is not installed.", variant);
        return string_replace(&plan->variant, variant);
}

/* Where the distribution's keyring has only the newer of its two names, that one it is. */
static int find_keyring(BuildPlan *plan) {
        const char *keyring = plan->distribution->keyring;
        _cleanup_free_ char *newer = NULL;

        if (plan->mirror.keyring || access(keyring, R_OK) >= 0)
                return 0;
        if (string_printf(&newer, "%.*s.pgp", (int) (strrchr(keyring, '.') - keyring), keyring) < 0)
                return -ENOMEM;
        return access(newer, R_OK) < 0 ? 0 : string_replace(&plan->mirror.keyring, newer);
}

/* The keyring that the request names, or the one that the distribution has. */
static int check_keyring(const BuildRequest *request, BuildPlan *plan, char **ret_problem) {
        int r = find_keyring(plan);

        if (r < 0 || access(plan_keyring(plan), R_OK) >= 0)
                return r;
        if (request->keyring)
                return problem(ret_problem, "The keyring %s cannot be read: %s.", request->keyring, strerror(errno));
        return problem(ret_problem,
                       "%s, with the keys that %s's packages are signed with, is missing: install the package %s.",
                       plan_keyring(plan), plan->distribution->label, plan->distribution->keyring_package);
}

int build_plan_make(const BuildRequest *request, BuildPlan *ret, char **ret_problem) {
        _cleanup_build_plan_ BuildPlan plan = { .builder = find_builder() };
        _cleanup_(host_system_done) HostSystem host = { 0 };

        if (!plan.builder)
                return problem(ret_problem, "Neither mmdebstrap nor debootstrap is installed: install one of them.");

        int r = host_system_read(&host);
        if (r == -ENOMEM)
                return r;
        r = find_suite(request->suite, &host, &plan, ret_problem);
        if (r >= 0)
                r = find_variant(request, &plan, ret_problem);
        if (r >= 0)
                r = find_packages(request, &plan);
        if (r >= 0)
                r = find_mirror(request, &host, &plan);
        if (r >= 0)
                r = check_keyring(request, &plan, ret_problem);
        if (r < 0)
                return r;

        plan.eatmydata = program_exists("eatmydata");
        *ret = plan;
        plan = (BuildPlan){ 0 };
        return 0;
}

/* What the host's apt has for a proxy: NULL for none. */
static char *apt_proxy(const char *key) {
        char *argv[] = { "apt-config", "--format", "%v", "dump", (char *) key, NULL };
        Spawn spawn = SPAWN_INHERIT;
        _cleanup_free_ char *output = NULL;

        spawn.argv = argv;
        spawn.stderr_fd = -EBADF;
        if (process_capture(&spawn, 4096, &output) != 0)
                return NULL;
        output[strcspn(output, "\r\n")] = 0;
        return isempty(output) || strcasecmp(output, "DIRECT") == 0 ? NULL : TAKE_PTR(output);
}

static int add_proxy(char ***environment, const char *variable, const char *apt_key) {
        const char *value = getenv(variable);

        if (!isempty(value))
                return strv_extendf(environment, "%s=%s", variable, value);
        _cleanup_free_ char *proxy = apt_key ? apt_proxy(apt_key) : NULL;
        return proxy ? strv_extendf(environment, "%s=%s", variable, proxy) : 0;
}

int builder_environment(char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        const char *path = getenv("PATH");
        static const char *const fixed[] = {
                "HOME=/root",
                "LANG=C.UTF-8",
                "LC_ALL=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive",
        };

        /* Where the builder was found comes first; dpkg insists on the directories of the system's own programs. */
        int r = strv_extendf(&environment, "PATH=%s%s/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                             path ? path : "", isempty(path) ? "" : ":");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(fixed); i++)
                r = strv_extend(&environment, fixed[i]);
        if (r >= 0)
                r = add_proxy(&environment, "http_proxy", "Acquire::http::Proxy");
        if (r >= 0)
                r = add_proxy(&environment, "https_proxy", "Acquire::https::Proxy");
        if (r >= 0)
                r = add_proxy(&environment, "no_proxy", NULL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(environment);
        return 0;
}

const char *builder_step(const char *line) {
        return startswith(line, "I: ");
}
