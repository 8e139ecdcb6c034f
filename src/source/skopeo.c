/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Knows how to run skopeo and what its error messages mean, for source-oci.c and oci-push.c. skopeo runs confined, so
 * all files that it needs for registries are named here. Credentials must never become arguments. */

#include "source/skopeo.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"

#define DOCKER_DAEMON "docker-daemon:"

/* Environment variables by which skopeo finds credentials, registries, keys and its own files. */
static const char *const passed_on[] = {
        "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
};

static int add_environment(char ***ret) {
        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++) {
                const char *value = getenv(passed_on[i]);
                int r = isempty(value) ? 0 : strv_extendf(ret, "%s=%s", passed_on[i], value);
                if (r < 0)
                        return r;
        }
        return 0;
}

void skopeo_done(Skopeo *skopeo) {
        strv_free(skopeo->environment);
        strv_free(skopeo->readable);
}

static int add_readable(Skopeo *skopeo, const char *variable, const char *below) {
        const char *value = getenv(variable);

        return value && *value == '/' ? strv_extendf(&skopeo->readable, "%s%s", value, below) : 0;
}

/* SSL_CERT_DIR may list several directories for Go programs. */
static int add_certificates(Skopeo *skopeo) {
        const char *directories = getenv("SSL_CERT_DIR");

        int r = add_readable(skopeo, "SSL_CERT_FILE", "");
        if (r < 0)
                return r;
        while (!isempty(directories)) {
                size_t n = strcspn(directories, ":");

                if (*directories == '/' && strv_extendf(&skopeo->readable, "%.*s", (int) n, directories) < 0)
                        return -ENOMEM;
                directories += n + (directories[n] == ':');
        }
        return 0;
}

/* Adds the files that skopeo has to read for registries: containers-auth.json(5), containers-registries.conf(5),
 * containers-certs.d(5), containers-policy.json(5). */
static int add_files_for_registries(Skopeo *skopeo) {
        int r = strv_extend_many(&skopeo->readable, "/etc/containers", "/etc/docker/certs.d",
                                 "/var/lib/containers/sigstore", "/run/containers/0/auth.json",
                                 "/root/.config/containers", "/root/.docker/config.json");
        if (r < 0)
                return r;
        r = add_readable(skopeo, "REGISTRY_AUTH_FILE", "");
        if (r < 0)
                return r;
        r = add_readable(skopeo, "DOCKER_CONFIG", "/config.json");
        if (r < 0)
                return r;
        r = add_readable(skopeo, "XDG_RUNTIME_DIR", "/containers/auth.json");
        return r < 0 ? r : add_certificates(skopeo);
}

int skopeo_for(const char *reference, Skopeo *ret) {
        _cleanup_(skopeo_done) Skopeo skopeo = { 0 };
        /* Directories and archives: TRANSPORT:PATH[:NAME] */
        const char *rest = strchr(reference, ':');

        int r = add_environment(&skopeo.environment);
        if (r < 0)
                return r;
        r = add_files_for_registries(&skopeo);
        if (r < 0)
                return r;
        skopeo.daemon = startswith(reference, DOCKER_DAEMON);
        skopeo.online = skopeo.daemon || startswith(reference, SKOPEO_REGISTRY);
        if (skopeo.daemon)
                r = strv_extend(&skopeo.readable, "/var/run/docker.sock");
        else if (!skopeo.online && rest && rest[1] == '/')
                r = strv_extendf(&skopeo.readable, "%.*s", (int) strcspn(rest + 1, ":"), rest + 1);
        if (r < 0)
                return r;
        *ret = skopeo;
        skopeo = (Skopeo){ 0 };
        return 0;
}

/* Without --authfile, skopeo stores them where a login session or the next boot removes them, and services do not look. */
#define WANTS_CREDENTIALS                                    \
        "the registry %s wants other credentials: as root, " \
        "'skopeo login --authfile /root/.config/containers/auth.json %s' stores them"

static const SkopeoFailure failures[] = {
        { "HTTP response to HTTPS client", false,
          "the registry speaks plain HTTP, which anybody on the way can change. If you want that, add to "
          "/etc/containers/registries.conf: [[registry]], location = \"%s\", insecure = true" },
        { "manifest unknown", true, "the registry %s has no such image" },
        { "name unknown", true, "the registry %s has no such image" },
        { "repository name not known", true, "the registry %s has no such image" },
        { "unauthorized", true, WANTS_CREDENTIALS },
        { "authentication required", true, WANTS_CREDENTIALS },
        { "access denied", true, WANTS_CREDENTIALS },
        { "denied: ", true, WANTS_CREDENTIALS },
        { "certificate signed by unknown authority", false,
          "this host does not trust the certificate of the registry: put its authority's into "
          "/etc/containers/certs.d/%s/ca.crt" },
        { "connection refused", false, "the registry %s cannot be reached" },
        { "no such host", false, "the registry %s cannot be reached: there is no such host" },
        { "no route to host", false, "the registry %s cannot be reached" },
        { "i/o timeout", false, "the registry %s does not answer" },
};
static const SkopeoFailure no_manifest = { "not found", true, "the registry %s has no such image" };

const SkopeoFailure *skopeo_failure(const char *line) {
        for (size_t i = 0; i < ELEMENTSOF(failures); i++)
                if (strcasestr(line, failures[i].says))
                        return &failures[i];
        /* "not found" alone could also mean a program that skopeo needs. */
        return strcasestr(line, "reading manifest") && strcasestr(line, "not found") ? &no_manifest : NULL;
}

int skopeo_explain(const SkopeoFailure *failure, const char *reference, Problem *reterr_problem) {
        const char *host = startswith(reference, SKOPEO_REGISTRY), *rest = failure->means;
        char text[PROBLEM_TEXT_MAX] = "";
        size_t n = 0;

        if (!host)
                host = reference;
        for (const char *place; n < sizeof(text) && (place = strstr(rest, "%s")); rest = place + 2)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%.*s%.*s", (int) (place - rest), rest,
                                       (int) strcspn(host, "/"), host);
        return problem_set(reterr_problem, -EIO, "%.*s%s", (int) MIN(n, sizeof(text)), text, rest);
}
