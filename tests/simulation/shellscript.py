# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes stage scripts in the form gitlab-runner's bash generator gives them.

The envelope (shebang, trap, pipefail, errexit, the whole body as one $'...' string evaluated in a
subshell with stdin from /dev/null) is reproduced to the byte; stage bodies do what the real ones do.
"""

import os
from typing import Any

BOLD_GREEN = "\033[32;1m"
YELLOW = "\033[0;33m"
RESET = "\033[0;m"

_TRAP = "trap 'exit 1' TERM"
_ESCAPES = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r",
            39: b"\\'", 92: b"\\\\"}
_LITERAL = frozenset(b",-./0123456789@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_ESCAPED = [_ESCAPES.get(byte, bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte) for byte in range(256)]


def escape(text: str) -> str:
    """Quotes @text as gitlab-runner's ShellEscape does: $'...' as soon as one byte needs it."""
    if not text:
        return "''"
    data = text.encode()
    word = b"".join(map(_ESCAPED.__getitem__, data)).decode()
    return word if _LITERAL.issuperset(data) else f"$'{word}'"


def posix_escape(text: str) -> str:
    """The variant of FF_POSIXLY_CORRECT_ESCAPES: a double-quoted string."""
    if not text:
        return "''"
    escaped = "".join("\\" + c if c in '`"\\$' else c for c in text)
    return f'"{escaped}"' if escaped != text or set(text) & set(" !#%&()*<=>?[|") else escaped


def envelope(body: str, *, shell: str = "bash", trace: bool = False, legacy_eval: bool = False,
             quote: Any = escape) -> str:
    """The script file gitlab-runner hands to run_exec, around the commands in @body."""
    lines = [f"#!/usr/bin/env {shell}\n", _TRAP + "\n"]
    if trace:
        lines.append("set -o xtrace")
    lines.append('case "$(set -o)" in *"pipefail"*) set -o pipefail;; esac; set -o errexit')
    lines.append("set +o noclobber")
    if legacy_eval:
        lines.append(": | eval " + quote(body))
    else:
        lines.append(f"({_TRAP}; eval {quote(body)}) < /dev/null")
    lines.append("exit 0")
    return "\n".join(lines) + "\n"


class StageScripts:
    """Bodies of the stage scripts of one build.

    @build has: variables (list of objects with key, value, file), project_dir, hostname, job,
    runner_command (the name called for caches and artifacts).
    """

    def __init__(self, build: Any):
        self.build = build
        self.job = build.job
        self.tmp = build.project_dir + ".tmp"
        self.quote = posix_escape if build.flag("FF_POSIXLY_CORRECT_ESCAPES") else escape

    def write(self, stage: str) -> str | None:
        """The whole script of @stage, or None when gitlab-runner would skip that stage."""
        writer = getattr(self, "_" + stage, None) or (lambda: self._user_step(stage))
        body = writer()
        if body is None:
            return None
        return envelope("".join(line + "\n" for line in body), shell=self.build.shell or "bash",
                        trace=self.build.variable("CI_DEBUG_TRACE").lower() in ("true", "1"),
                        legacy_eval=self.build.flag("FF_USE_LEGACY_BASH_EVAL"), quote=self.quote)

    # Pieces

    def _notice(self, text: str) -> str:
        return "echo " + self.quote(f"{BOLD_GREEN}{text}{RESET}")

    def _command(self, *argv: str) -> str:
        return " ".join(self.quote(arg) for arg in argv)

    def _exports(self, env_only: bool = False) -> list[str]:
        out = []
        for var in self.build.variables:
            path = f"{self.tmp}/{var.key}"
            if var.file and not env_only:
                out += [f'mkdir -p "{self.tmp}"',
                        f"printf '%s' {self.quote(var.value)} > \"{path}\"",
                        f'export {self.quote(var.key)}="{path}"']
            else:
                value = path if var.file else var.value
                out.append(f"export {self.quote(var.key)}={self.quote(value)}")
        gitlab_env = f"{self.tmp}/gitlab_runner_env"
        return out + [f"export GITLAB_ENV={self.quote(gitlab_env)}",
                      f'mkdir -p "{self.tmp}"', f'touch "{gitlab_env}"',
                      f'while read -r line; do export "$line"; done < "{gitlab_env}"']

    def _rm(self, path: str) -> str:
        return f'{self.quote("rm")} "-f" "{path}"'

    def _rmdir(self, path: str) -> list[str]:
        return [f'if [ -d "{path}" ]; then', f'  chmod "-R" "u+rwX" "{path}"', "fi",
                f'rm "-r" "-f" "{path}"']

    def _user_commands(self, commands: list[str]) -> list[str]:
        out = []
        for number, command in enumerate(c.strip() for c in commands):
            first, newline, _ = command.partition("\n")
            if not command:
                out.append("echo")
            elif not newline:
                out.append(self._notice("$ " + command))
            elif self.build.flag("FF_SCRIPT_SECTIONS"):
                out += self._section(f"script_step_{number}", command)
            else:
                out.append(self._notice(f"$ {first} # collapsed multi-line command"))
            out.append(command)
        return out

    def _section(self, name: str, command: str) -> list[str]:
        clock = "$(awk 'BEGIN{srand(); print srand()}')"
        title = self.quote(f"{BOLD_GREEN}$ {command}{RESET}")
        options = "[hide_duration=true,collapsed=true]"
        return [f"printf '%b\\n' section_start:{clock}:section_{name}{options}\r\033[0K{title}",
                f"printf '%b\\n' section_end:{clock}:section_{name}\r\033[0K"]

    def _git_cleanup(self) -> list[str]:
        git = self.build.project_dir + "/.git"
        out = [self._rm(f"{git}/{name}") for name in
               ("index.lock", "shallow.lock", "HEAD.lock", "hooks/post-checkout", "config.lock")]
        out += [f'if [ -d "{git}/refs" ]; then',
                f'  find "{git}/refs" -name "*.lock" -type f -exec rm -f {{}} +', "fi"]
        if self.build.git_strategy != "none":
            for directory in (f"{self.tmp}/git-template", git):
                out += [self._rm(f"{directory}/config"), *self._rmdir(f"{directory}/hooks")]
        return out

    # Stages, in the order of a job

    def _prepare_script(self) -> list[str]:
        via = f" via {self.build.hostname}" if self.build.hostname else ""
        return [f'echo "Running on $(hostname){via}..."', self._rm(f"{self.tmp}/gitlab_runner_env"),
                self._rm(f"{self.tmp}/masking.db")]

    def _get_sources(self) -> list[str]:
        project = self.build.project_dir
        out = self._exports() + ["export GIT_TERMINAL_PROMPT=0", "export GCM_INTERACTIVE=Never",
                                 "export GIT_LFS_SKIP_SMUDGE=1"]
        strategy = self.build.git_strategy
        if strategy == "none":
            out += [self._notice("Skipping Git repository setup"),
                    self._command("mkdir", "-p", project)]
        elif strategy == "empty":
            out += [self._notice("Skipping Git repository setup and creating an empty build directory"),
                    *self._rmdir(project), self._command("mkdir", "-p", project)]
        else:
            out += self._fetch(project, strategy)
        if self.build.variable("GIT_CHECKOUT").lower() == "false" or strategy in ("none", "empty"):
            return out + [self._notice("Skipping Git checkout")]
        git = self.job.git
        return out + [
            self._notice(f"Checking out {git['sha'][:8]} as detached HEAD (ref is {git['ref']})..."),
            self._command("git", "-c", "submodule.recurse=false", "checkout", "-f", "-q", git["sha"]),
            self._command("git", "clean", "-ffdx"), *self._pull_large_files()]

    def _pull_large_files(self) -> list[str]:
        """Git LFS, if whoever fetches the sources has it."""
        if self.build.variable("GIT_LFS_SKIP_SMUDGE").lower() in ("true", "1"):
            return []
        return [f"if {self._command('git', 'lfs', 'version')} >/dev/null 2>&1 ; then",
                "  " + self._command("git", "lfs", "pull"), "fi"]

    def _fetch(self, project: str, strategy: str) -> list[str]:
        git = self.job.git
        template = f"{self.tmp}/git-template"
        out = self._git_cleanup() + [self._command("mkdir", "-p", template)]
        for key, value in (("init.defaultBranch", "none"), ("fetch.recurseSubmodules", "false"),
                           ("credential.interactive", "never"), ("gc.autoDetach", "false")):
            out.append(self._command("git", "config", "-f", f"{template}/config", key, value))
        if strategy == "clone":
            out += self._rmdir(project)
        fetch = self._command("git", "fetch", "origin", "--no-recurse-submodules", *git["refspecs"],
                              "--prune", "--quiet")
        return out + [self._notice("Fetching changes..."),
                      self._command("git", "init", project, "--template", template),
                      self._command("cd", project),
                      f"if {self._command('git', 'remote', 'add', 'origin', git['repo_url'])}"
                      " >/dev/null 2>&1 ; then",
                      "  " + self._notice("Created fresh repository."), "else",
                      "  " + self._command("git", "remote", "set-url", "origin", git["repo_url"]), "fi",
                      fetch]

    def _clear_worktree(self) -> list[str]:
        project = self.build.project_dir
        return [self._notice("Deleting tracked and untracked files..."), f'if [ -d "{project}" ]; then',
                "  " + self._command("cd", project),
                "  git rm -rf --ignore-unmatch --quiet .", "  git clean -ffdx -q", "fi"]

    def _with_runner_command(self, what: str, command: list[str]) -> list[str]:
        return self._if_runner_command(what, ["  " + self._command(self.build.runner_command, *command)])

    def _cache_file(self, key: str) -> str:
        """Where a local cache is, as the runner names it: seen from the project's directory."""
        slug = self.build.project_dir.removeprefix(self.build.builds_dir).strip("/")
        return os.path.relpath(f"{self.build.cache_dir}/{slug}/{key}/cache.zip", self.build.project_dir)

    def _extract(self, keys: list[str]) -> list[str]:
        """The first of those caches that can be extracted."""
        command = [self.build.runner_command, "cache-extractor", "--file", self._cache_file(keys[0]), "--timeout", "10"]
        out = [self._notice(f"Checking cache for {keys[0]}..."), f"if {self._command(*command)}; then",
               "  " + self._notice("Successfully extracted cache"), "else",
               "  echo " + self.quote(f"{YELLOW}Failed to extract cache{RESET}")]
        return out + (self._extract(keys[1:]) if keys[1:] else []) + ["fi"]

    def _if_runner_command(self, what: str, lines: list[str]) -> list[str]:
        name = self.build.runner_command
        warning = f"{YELLOW}Missing {name}. {what} is disabled.{RESET}"
        return self._exports() + [self._command("cd", self.build.project_dir),
                                  f"if {name} --version >/dev/null 2>&1 ; then", *lines, "else",
                                  "  echo " + self.quote(warning), "fi"]

    def _restore_cache(self) -> list[str] | None:
        lines: list[str] = []
        for cache in self.job.cache:
            if cache.get("policy", "pull-push") in ("pull-push", "pull"):
                lines += self._extract([cache["key"], *(cache.get("fallback_keys") or [])])
        return self._if_runner_command("Extracting cache", lines) if lines else None

    def _download_artifacts(self) -> list[str] | None:
        return self._with_runner_command("Artifacts downloading", ["artifacts-downloader"]) \
            if self.job.dependencies else None

    def _user_step(self, stage: str) -> list[str] | None:
        for step in self.job.steps:
            if "step_" + step["name"] == stage:
                return self._exports() + [self._command("cd", self.build.project_dir)] + \
                    self._user_commands(step["script"])
        return None

    def _after_script(self) -> list[str] | None:
        if not self.job.after_script:
            return None
        return self._exports() + [self._command("cd", self.build.project_dir),
                                  self._notice("Running after script...")] + \
            self._user_commands(self.job.after_script)

    def _archive_cache(self) -> list[str] | None:
        lines: list[str] = []
        for cache in self.job.cache:
            if cache.get("policy", "pull-push") not in ("pull-push", "push"):
                continue
            paths = [word for path in cache.get("paths") or [] for word in ("--path", path)]
            command = [self.build.runner_command, "cache-archiver", "--file", self._cache_file(cache["key"]),
                       "--timeout", "10", *paths]
            lines += [self._notice(f"Creating cache {cache['key']}..."), f"if {self._command(*command)}; then",
                      "  " + self._notice("Created cache"), "else",
                      "  echo " + self.quote(f"{YELLOW}Failed to create cache{RESET}"), "fi"]
        return self._if_runner_command("Creating cache", lines) if lines else None

    _archive_cache_on_failure = _archive_cache

    def _upload(self, *whens: str) -> list[str] | None:
        if not any(a.get("when", "on_success") in whens for a in self.job.artifacts):
            return None
        return self._with_runner_command("Uploading artifacts", ["artifacts-uploader"])

    def _upload_artifacts_on_success(self) -> list[str] | None:
        return self._upload("on_success", "always")

    def _upload_artifacts_on_failure(self) -> list[str] | None:
        return self._upload("on_failure", "always")

    def _cleanup_file_variables(self) -> list[str]:
        names = ["gitlab_runner_env", "masking.db", ".gitlab-runner.ext.conf", ".glr.gconf"]
        names += [var.key for var in self.build.variables if var.file]
        return self._exports(env_only=True) + [self._rm(f"{self.tmp}/{name}") for name in names] + \
            self._git_cleanup()
