/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides whether a text may be the id of a job or a machine. Whoever makes an id or finds one in a directory calls
 * this, before it becomes part of a path, a unit or a host name. Nothing may pass that means something else in any of
 * these. */

#include "base/id.h"

#include <string.h>

#include "base/string.h"

const char *id_problem(const char *id) {
        size_t n = strlen(id);

        if (n == 0)
                return "is empty";
        if (n > ID_MAX)
                return "is longer than " TEXT_OF(ID_MAX) " characters";
        for (const char *p = id; *p; p++)
                if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                      strchr("-.", *p)))
                        return "has a character that is not a letter, a digit, '-' or '.'";
        if (strchr("-.", id[0]) || strchr("-.", id[n - 1]))
                return "does not begin and end with a letter or a digit";
        /* Each part of a host name is to begin and end so. */
        if (strstr(id, "..") || strstr(id, ".-") || strstr(id, "-."))
                return "has a '.' that is not between letters or digits";
        return NULL;
}

#define SERVICE_SUFFIX ".s"

int id_of_service(const char *id, unsigned number, char **ret) {
        _cleanup_free_ char *service = NULL;

        if (number == 0 || number > ID_SERVICES_MAX)
                return -ERANGE;
        int r = string_printf(&service, "%s" SERVICE_SUFFIX "%u", id, number);
        if (r < 0)
                return r;
        if (strlen(service) > ID_MAX)
                return -ENAMETOOLONG;
        *ret = TAKE_PTR(service);
        return 0;
}

unsigned id_service_number(const char *id, size_t *ret_length) {
        const char *suffix = strrchr(id, '.');
        const char *digits = suffix ? startswith(suffix, SERVICE_SUFFIX) : NULL;
        uint64_t number;

        if (suffix == id || isempty(digits) || *digits == '0' || parse_uint64(digits, &number) < 0 ||
            number > ID_SERVICES_MAX)
                return 0;
        if (ret_length)
                *ret_length = (size_t) (suffix - id);
        return (unsigned) number;
}
