/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Looks into a playbook and a tree to explain a missing python better than ansible does. playbook.c calls this. A file
 * that cannot be read is no error here: ansible reports it. */

#include "maintain/playbook-scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define BYTES_MAX (16 << 20)

/* Returns the scalar that mapping @node has for @key, or NULL. */
static const char *scalar_of(yaml_document_t *document, const yaml_node_t *node, const char *key) {
        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
                const yaml_node_t *name = yaml_document_get_node(document, pair->key);
                const yaml_node_t *value = yaml_document_get_node(document, pair->value);

                if (name && name->type == YAML_SCALAR_NODE && streq((const char *) name->data.scalar.value, key) &&
                    value && value->type == YAML_SCALAR_NODE)
                        return (const char *) value->data.scalar.value;
        }
        return NULL;
}

static bool is_no(const char *text) {
        static const char *const words[] = { "no", "n", "false", "f", "off", "0" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasecmp(text, words[i]) == 0)
                        return true;
        return false;
}

static bool play_gathers_facts(yaml_document_t *document, const yaml_node_t *play) {
        const char *facts = scalar_of(document, play, "gather_facts"), *hosts = scalar_of(document, play, "hosts");

        /* Without `hosts` it is an imported playbook, whose first play we do not read; a play for the host itself uses
         * the host's python. */
        if (!hosts || streq(hosts, "localhost") || streq(hosts, "127.0.0.1"))
                return false;
        return !facts || !is_no(facts);
}

static bool document_begins_with_facts(yaml_document_t *document) {
        const yaml_node_t *root = yaml_document_get_root_node(document);

        if (!root || root->type != YAML_SEQUENCE_NODE ||
            root->data.sequence.items.start == root->data.sequence.items.top)
                return false;
        const yaml_node_t *play = yaml_document_get_node(document, *root->data.sequence.items.start);
        return play && play->type == YAML_MAPPING_NODE && play_gathers_facts(document, play);
}

bool playbook_begins_with_facts(const char *path) {
        _cleanup_free_ char *text = NULL;
        yaml_document_t document;
        yaml_parser_t parser;
        bool result = false;
        size_t size;

        _cleanup_close_ int fd = file_open_regular(path);
        if (fd < 0 || fd_read_all(fd, BYTES_MAX, &text, &size) < 0 || !yaml_parser_initialize(&parser))
                return false;
        yaml_parser_set_input_string(&parser, (const unsigned char *) text, size);
        if (yaml_parser_load(&parser, &document)) {
                result = document_begins_with_facts(&document);
                yaml_document_delete(&document);
        }
        yaml_parser_delete(&parser);
        return result;
}

static bool is_python(const char *name) {
        const char *version = startswith(name, "python");

        return version && strspn(version, "0123456789.") == strlen(version);
}

static int directory_has_python(int tree_fd, const char *path) {
        _cleanup_closedir_ DIR *dir = NULL;

        int r = directory_find_in_root(tree_fd, path, &dir);
        if (r <= 0)
                return r;
        for (;;) {
                const struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (is_python(entry->d_name))
                        return 1;
        }
}

int tree_has_python(int tree_fd) {
        static const char *const directories[] = { "usr/bin", "usr/local/bin", "bin" };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int r = directory_has_python(tree_fd, directories[i]);
                if (r != 0)
                        return r;
        }
        _cleanup_close_ int platform_fd = find_in_root(tree_fd, "usr/libexec/platform-python", O_PATH);
        return platform_fd == -ENOENT ? 0 : platform_fd < 0 ? platform_fd : 1;
}
