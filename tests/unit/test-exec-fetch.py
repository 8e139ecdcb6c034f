# SPDX-License-Identifier: GPL-3.0-or-later
"""`exec --fetch`: files of other projects and servers, fetched from a real git server and a real web server on loopback.

Called by meson as `python3 test-exec-fetch.py PROGRAM`.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from gitserver import git, git_server  # pylint: disable=wrong-import-position

PROGRAM = os.path.abspath(sys.argv.pop(1))
USER = 54321
COMPONENT = ("spec: {inputs: {stage: {default: test}}, component: [name, sha, version, reference]}\n---\n"
             "'%s $[[ component.name ]] $[[ component.sha ]] $[[ component.version ]] $[[ component.reference ]]':"
             " {script: x, stage: '$[[ inputs.stage ]]'}\n")
UNKNOWN = "f" * 40


class Fetch(unittest.TestCase):
    """One server for all: the instance of the project, which also stands for gitlab.com."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="nspawn-runner-test-"))
        cls.base = Path(cls.temporary)
        cls.base.chmod(0o755)
        cls.server = cls.enterClassContext(git_server(cls.base / "server", tls=True))
        cls.host = cls.server.url.removeprefix("https://")
        cls.server.add("ci", {"a.yml": "include: [/sub/*.yml, {project: group/other, file: o.yml}]\na: {script: x}\n"})
        cls.server.commit("ci", {"sub/b.yml": "b: {script: x}\n", "sub/c.yml": "c: {script: x}\n", "never.yml": "n: {script: x}\n"},
                          "main", "feature/x")
        cls.server.add("other", {"o.yml": "include: local.yml\no: {script: x}\n", "local.yml": "l: {script: x}\n"})
        # Of these two, one leaves out what was not asked for, and one does not.
        git("config", "uploadpack.allowFilter", "true", cwd=cls.server.directory / "group/ci.git")
        cls.server.add("tools", {"README": "x"})
        cls.ids = {}
        for tag in ("v1.0.0", "1.1.0", "1.1.1", "1.10.0", "2.0.0-rc1", "odd"):
            cls.ids[tag] = cls.server.commit("tools", {"templates/lint.yml": COMPONENT % tag}, f"refs/tags/{tag}")
        git("tag", "-a", "-m", "x", "1.2.0", cls.ids["1.1.1"], cwd=cls.server.directory / "group/tools.git")
        cls.ids["main"] = cls.server.commit("tools", {"templates/lint.yml": COMPONENT % "main",
                                                      "templates/deep/template.yml": COMPONENT % "deep"}, "main", "1.5", "3")

    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")))
        self.directory.chmod(0o755)
        self.top, self.home = self.directory / "project", self.directory / "home"
        self.home.mkdir()
        git("init", "-q", self.top)
        git("remote", "add", "origin", f"{self.server.url}/group/project.git", cwd=self.top)

    def call(self, configuration, *options, **environment):
        (self.top / ".gitlab-ci.yml").write_text(configuration)
        authority = str(self.server.directory / "authority")
        # From where each git would read all the authorities that Debian trusts, which takes most of its time.
        nothing = str(self.home)
        return subprocess.run([PROGRAM, "exec", "--list", "--json", *options], cwd=self.top, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, check=False,
                              env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1",
                                   "GIT_SSL_CAINFO": authority, "GIT_SSL_CAPATH": nothing, "CURL_CA_BUNDLE": authority,
                                   **environment})

    def names(self, configuration, *options, **environment):
        done = self.call(configuration, *options, **environment)
        self.assertEqual(done.returncode, 0, done)
        if "--fetch" not in options:
            self.assertEqual(done.stderr, "")
        return [job["name"] for job in json.loads(done.stdout)["jobs"]]

    def fails(self, configuration, part, *options, **environment):
        done = self.call(configuration, *options, **environment)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertIn(part, done.stderr)
        return done.stderr

    def test_project(self):
        """A project, with what its files include; what was fetched serves later calls, until it is fetched again."""
        include = "include: {project: group/ci, file: a.yml}\n"
        error = self.fails(include, f"'group/ci:a.yml' is not here; fetch it with --fetch, or give a directory that stands in for it: "
                                    f"--include-root {self.host}/group/ci=DIR")
        self.assertNotIn("Fetching", error)
        self.assertEqual(self.names(include, "--fetch"), ["b", "c", "l", "o", "a"])
        requests = self.server.requests
        self.assertEqual(self.names(include), ["b", "c", "l", "o", "a"])
        self.assertEqual(self.server.requests, requests)
        first = git("rev-parse", "main", cwd=self.server.directory / "group/ci.git")
        self.server.commit("ci", {"a.yml": "new: {script: x}\n"}, "main", "refs/tags/odd")
        self.assertEqual(self.names(include), ["b", "c", "l", "o", "a"])
        self.assertEqual(self.names(include, "--fetch"), ["new"])
        self.assertEqual(self.names(include), ["new"])
        for ref, jobs in (("feature/x", ["b", "c", "l", "o", "a"]), ("odd", ["new"]), (first, ["b", "c", "l", "o", "a"]), ("refs/heads/main", ["new"])):
            with self.subTest(ref=ref):
                self.assertEqual(self.names(f"include: {{project: group/ci, file: a.yml, ref: {ref}}}\n", "--fetch"), jobs)
                self.assertEqual(self.names(f"include: {{project: group/ci, file: a.yml, ref: {ref}}}\n"), jobs)
        rules = "a: {script: x, rules: [{exists: {project: group/ci, paths: [sub/*.yml], ref: odd}}]}\nd: {script: x}\n"
        self.assertEqual(self.names(rules), ["a", "d"])
        # Only a file that was asked for is here; others can be listed.
        self.fails("include: {project: group/ci, file: never.yml, ref: odd}\n", "is not here; fetch it with --fetch")

    def test_mistakes(self):
        """What cannot be fetched is named, with the reason; nothing that a configuration says becomes an option or a path."""
        os.symlink("a.yml", self.server.directory / "work-other/link.yml")
        os.symlink("/etc", self.server.directory / "work-other/etc")
        self.server.commit("other", {"large.yml": "#" * (5 << 20)}, "main")
        for include, part in (("project: group/none, file: a.yml", "cannot fetch 'group/none:a.yml': "),
                              ("project: group/ci, file: a.yml, ref: none", "it has no such branch, tag, version or commit"),
                              ("project: group/ci, file: a.yml, ref: abc123", "it has no such branch, tag, version or commit"),
                              (f"project: group/ci, file: a.yml, ref: {UNKNOWN}", f"{UNKNOWN}"),
                              ("project: group/ci, file: none.yml", "file 'group/ci:none.yml' is not there"),
                              ("project: group/other, file: link.yml", "cannot read 'group/other:link.yml': it is a symbolic link"),
                              ("project: group/other, file: etc/x.yml", "file 'group/other:etc/x.yml' is not there"),
                              ("project: group/other, file: large.yml", "cannot read 'group/other:large.yml': it is too large"),
                              ("project: group/ci, file: ../../../../etc/x.yml", "is not there"),
                              ("project: ../ci, file: a.yml", "is no address of a project"),
                              ("project: '--upload-pack=x/y', file: a.yml", "is no address of a project"),
                              ("project: 'a/b?c', file: a.yml", "is no address of a project"),
                              ("project: group/ci, file: a.yml, ref: --upload-pack=x", "nothing can be called '--upload-pack=x' there"),
                              ("project: group/ci, file: a.yml, ref: 'refs/*'", "nothing can be called 'refs/*' there"),
                              ("project: group/ci, file: a.yml, ref: 'a..b'", "nothing can be called"),
                              ("project: group/ci, file: a.yml, ref: '~latest'", "nothing can be called"),
                              ("project: group/ci, file: a.yml, ref: [x]", "'ref' must be a text"),
                              ("component: $CI_SERVER_FQDN/group/tools/none@main", "neither templates/none.yml nor templates/none/template.yml"),
                              ("component: $CI_SERVER_FQDN/group/ci/a@~latest", "it has no tag that is a version"),
                              ("component: 127.0.0.1:1/group/ci/a@1", "--include-root 127.0.0.1:1/group/ci=DIR")):
            with self.subTest(include=include):
                self.fails(f"include: {{{include}}}\n", part, "--fetch")
        # Without a server there are no other projects of it.
        git("remote", "set-url", "origin", "/srv/git/project.git", cwd=self.top)
        self.fails("include: {project: group/ci, file: a.yml}\n", "this project has no remote 'origin' on a server", "--fetch")

    def test_components(self):
        """Versions as GitLab finds them."""
        def get(version):
            (name,) = self.names(f"include: {{component: $CI_SERVER_FQDN/group/tools/lint@{version}}}\n", "--fetch")
            self.assertEqual(self.names(f"include: {{component: $CI_SERVER_FQDN/group/tools/lint@{version}}}\n"), [name])
            return name.split(" ")

        for version, tag, number in (("~latest", "1.10.0", "1.10.0"), ("1", "1.10.0", "1.10.0"), ("1.1", "1.1.1", "1.1.1"), ("1.0", "v1.0.0", "1.0.0"),
                                     ("1.0.0", None, None), ("v1.0.0", "v1.0.0", "1.0.0"), ("1.2", "1.1.1", "1.2.0"), ("2.0.0-rc1", "2.0.0-rc1", ""),
                                     ("odd", "odd", ""), ("main", "main", ""), ("1.5", "main", ""), ("3", "main", "")):
            with self.subTest(version=version):
                if tag:
                    self.assertEqual(get(version), [tag, "lint", self.ids[tag], number or version, version])
                else:
                    self.fails(f"include: {{component: $CI_SERVER_FQDN/group/tools/lint@{version}}}\n", "it has no such", "--fetch")
        self.assertEqual(get(self.ids["odd"])[0], "odd")
        self.assertEqual(self.names("include: {component: $CI_SERVER_FQDN/group/tools/deep@main, inputs: {stage: build}}\n", "--fetch")[0][:5], "deep ")
        self.fails("include: {component: $CI_SERVER_FQDN/group/tools/deep@main, inputs: {stag: build}}\n", "stag")

    def test_remote(self):
        """A file of a web server: its digest, limits and redirections; a URL's secrets are not shown."""
        text = "r: {script: x}\n"
        digest = "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        wrong = "sha256-" + base64.b64encode(hashlib.sha256(b"").digest()).decode()
        self.server.pages |= {"/r.yml": (200, text), "/r.yml?token=secret": (200, text), "/large.yml": (200, "#" * (5 << 20)), "/none.yml": (404, "x"),
                              "/moved.yml": (302, f"{self.server.url}/r.yml"), "/file.yml": (302, "file:///etc/passwd"),
                              "/plain.yml": (302, f"{self.server.url.replace('https', 'http')}/r.yml"), "/loop.yml": (302, f"{self.server.url}/loop.yml")}
        url = self.server.url
        self.fails(f"include: '{url}/r.yml'\n", f"'{url}/r.yml' is not here; fetch it with --fetch")
        for include in (f"'{url}/r.yml'", f"{{remote: '{url}/r.yml', integrity: '{digest}'}}", f"'{url}/moved.yml'", f"{{remote: '{url}/r.yml', cache: true}}"):
            with self.subTest(include=include):
                self.assertEqual(self.names(f"include: {include}\n", "--fetch"), ["r"])
                self.assertEqual(self.names(f"include: {include}\n"), ["r"])
        for options in (["--fetch"], []):
            self.fails(f"include: {{remote: '{url}/r.yml', integrity: '{wrong}'}}\n",
                       f"'{url}/r.yml' is not the file that 'integrity' means; it has '{digest}'", *options)
        self.server.pages["/r.yml"] = (200, text + "s: {script: x}\n")
        self.fails(f"include: {{remote: '{url}/r.yml', integrity: '{digest}'}}\n", "is not the file that 'integrity' means", "--fetch")
        self.assertEqual(self.names(f"include: {{remote: '{url}/r.yml', integrity: '{digest}'}}\n"), ["r"])
        for include, part in ((f"'{url}/none.yml'", "404"), (f"'{url}/large.yml'", "cannot fetch"), (f"'{url}/plain.yml'", "rotocol"),
                              (f"'{url}/file.yml'", "rotocol"), (f"'{url}/loop.yml'", "redirects"), ("'https://127.0.0.1:1/x.yml'", "cannot fetch"),
                              (f"{{remote: '{url}/r.yml', integrity: sha1-x}}", "'integrity' must be 'sha256-'"), (f"'{url}/a b.yml'", "has blanks")):
            with self.subTest(include=include):
                self.assertNotIn("root:", self.fails(f"include: {include}\n", part, "--fetch"))
        secret = url.replace("https://", "https://me:password@") + "/r.yml?token=secret"
        done = self.call(f"include: '{secret}'\n", "--fetch")
        self.assertEqual(done.returncode, 0, done)
        for error in (done.stderr, self.fails(f"include: '{secret}1'\n", "404", "--fetch"), self.fails(f"include: '{secret}2'\n", "is not here")):
            self.assertNotIn("secret", error)
            self.assertNotIn("password", error)

    def test_template(self):
        """GitLab's own templates are files of a repository on gitlab.com, for which curl's configuration names another address here."""
        self.server.pages |= {"/gitlab-org/gitlab/-/raw/master/lib/gitlab/ci/templates/Jobs/Build.gitlab-ci.yml": (200, "t: {script: x}\n"),
                              "/gitlab-org/gitlab/-/raw/master/lib/gitlab/ci/templates/A%20b%3F.gitlab-ci.yml": (200, "u: {script: x}\n")}
        (self.home / ".curlrc").write_text(f"connect-to = gitlab.com:443:{self.host}\n")
        self.assertEqual(self.names("include: [{template: Jobs/Build.gitlab-ci.yml}, {template: 'A b?.gitlab-ci.yml'}]\n", "--fetch"), ["t", "u"])
        self.assertEqual(self.names("include: {template: Jobs/Build.gitlab-ci.yml}\n"), ["t"])
        self.fails("include: {template: ../Jobs/Build.gitlab-ci.yml}\n", "is not there", "--fetch")
        # GitLab finds templates in some directories without these.
        self.server.pages["/gitlab-org/gitlab/-/raw/master/lib/gitlab/ci/templates/Pages/HTML.gitlab-ci.yml"] = (200, "v: {script: x}\n")
        self.assertEqual(self.names("include: {template: HTML.gitlab-ci.yml}\n", "--fetch"), ["v"])
        self.assertEqual(self.names("include: {template: HTML.gitlab-ci.yml}\n"), ["v"])
        self.fails("include: {template: None.gitlab-ci.yml}\n", "404", "--fetch")

    def test_secrets(self):
        """User and password of origin's URL are for git only: on no command line, in no message and in no file of the cache."""
        programs = self.directory / "bin"
        programs.mkdir()
        (programs / "git").write_text(f"#!/bin/sh\nprintf '%s ' \"$@\" >>{self.directory}/arguments\nexec {shutil.which('git')} \"$@\"\n")
        (programs / "git").chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        url = self.server.url.replace("https://", "https://m%65:se%63ret%40word@")
        include = "include: {project: group/other, file: o.yml}\no: {script: 'echo'}\n"
        self.server.wanted = "Basic " + base64.b64encode(b"me:secret@word").decode()
        try:
            self.fails(include, "cannot fetch", "--fetch")
            git("remote", "set-url", "origin", f"{url}/group/project.git", cwd=self.top)
            done = self.call(include, "--fetch", PATH=path)
            self.assertEqual(done.returncode, 0, done)
            shown = done.stdout + done.stderr + self.call(include, "--explain", "o").stdout + (self.directory / "arguments").read_text()
            shown += self.call("include: {project: group/none, file: o.yml}\n", "--fetch", PATH=path).stderr
            for file in (self.home / ".cache").rglob("*"):
                shown += file.read_text(errors="replace") if file.is_file() else ""
            for part in ("secret@word", "se%63ret", "secret%40"):
                self.assertNotIn(part, shown)
        finally:
            self.server.wanted = ""

    def test_server_below_a_path(self):
        """Other projects are below the same path."""
        os.symlink("group", self.server.directory / "gitlab")
        self.addCleanup(os.unlink, self.server.directory / "gitlab")
        git("remote", "set-url", "origin", f"{self.server.url}/gitlab/x.git", cwd=self.top)
        self.fails("include: {project: other, file: o.yml}\n", "cannot fetch", "--fetch")
        self.assertEqual(self.names("include: {component: $CI_SERVER_FQDN/tools/lint@main}\n", "--fetch", "--server", f"{self.server.url}/gitlab")[0][:5], "main ")

    def test_beginning_of_a_commit(self):
        """As git takes it: at least four digits, which one commit only begins with; names are stronger."""
        first = git("rev-list", "--max-parents=0", "feature/x", cwd=self.server.directory / "group/ci.git")
        for ref in (first[:8], first[:20]):
            self.assertEqual(self.names(f"include: {{project: group/ci, file: a.yml, ref: '{ref}'}}\n", "--fetch")[-1], "a")
            self.assertEqual(self.names(f"include: {{project: group/ci, file: a.yml, ref: '{ref}'}}\n")[-1], "a")
        self.assertEqual(self.names(f"include: {{component: $CI_SERVER_FQDN/group/tools/lint@{self.ids['odd'][:9]}}}\n", "--fetch")[0][:3], "odd")
        self.fails("include: {project: group/ci, file: a.yml, ref: '00000000'}\n", "no such branch, tag, version or commit", "--fetch")

    def test_ssh(self):
        """Other projects come the same way as this one; git gets the user's own ssh, and nothing of what the repository here names."""
        ssh = self.directory / "ssh"
        ssh.write_text(f"#!/bin/sh\necho \"$@\" >>{self.directory}/calls\nfor last; do :; done\ncd {self.server.directory}\nexec sh -c \"$last\"\n")
        trap = self.directory / "trap"
        trap.write_text(f"#!/bin/sh\ntouch {self.directory}/caught\nexit 1\n")
        for program in (ssh, trap):
            program.chmod(0o755)
        git("remote", "set-url", "origin", "git@gitlab.example.com:group/project.git", cwd=self.top)
        for name in ("core.sshCommand", "credential.helper", "core.gitProxy", "core.askPass"):
            git("config", name, str(trap), cwd=self.top)
        git("config", "url.ext::sh -c touch% caught.insteadOf", "git@gitlab.example.com:", cwd=self.top)
        self.assertEqual(self.names("include: {project: group/other, file: o.yml}\n", "--fetch", GIT_SSH_COMMAND=str(ssh), GIT_DIR=str(self.top / ".git")),
                         ["l", "o"])
        self.assertIn("git@gitlab.example.com", (self.directory / "calls").read_text())
        self.assertFalse((self.directory / "caught").exists())
        ssh.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
        self.fails("include: {project: group/other, file: o.yml}\n", "Permission denied (publickey).; Could not read from remote repository.; or give",
                   "--fetch", GIT_SSH_COMMAND=str(ssh))

    @unittest.skipUnless(os.geteuid() == 0, "it needs root")
    def test_as_the_user(self):
        """Under sudo, the cache is the caller's, and so are the programs that fetch."""
        programs = self.directory / "bin"
        programs.mkdir()
        for name in ("git", "curl"):
            (programs / name).write_text(f"#!/bin/sh\nid -u >>{self.directory}/users\nexec {shutil.which(name)} \"$@\"\n")
            (programs / name).chmod(0o755)
        (self.directory / "users").touch()
        (self.directory / "users").chmod(0o666)
        self.server.pages["/u.yml"] = (200, "u: {script: x}\n")
        (self.top / ".gitlab-ci.yml").touch()
        subprocess.run(["chown", "-R", f"{USER}:{USER}", self.top, self.home], check=True)
        self.assertEqual(self.names(f"include: [{{project: group/other, file: local.yml}}, '{self.server.url}/u.yml']\n", "--fetch", SUDO_UID=str(USER),
                                    SUDO_GID=str(USER), PATH=f"{programs}:{os.environ['PATH']}", XDG_CACHE_HOME=str(self.home / "cache")), ["l", "u"])
        self.assertEqual(set((self.directory / "users").read_text().split()), {str(USER)})
        self.assertEqual({path.lstat().st_uid for path in (self.home / "cache").rglob("*")}, {USER})
        self.assertEqual((self.home / "cache/nspawn-runner").stat().st_mode & 0o077, 0)


if __name__ == "__main__":
    unittest.main()
