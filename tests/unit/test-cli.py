# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as it is called: exit statuses, where output goes, and the parts that need no root.

Called by meson as `python3 test-cli.py PROGRAM`.
"""

import json
import os
import pty
import socket
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

PROGRAM = os.path.abspath(sys.argv.pop(1))
STAGES = [["gitlab-config"], ["prepare"], ["run", "script"], ["cleanup"]]


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)
        self.root = self.path / "images"
        # An empty configuration keeps the host's own out of it.
        self.config = self.path / "config.yaml"
        self.config.write_text(f"root_dir: {self.root}\nruntime_dir: {self.path}/r\n")

    def call(self, *arguments, config=True, **environment):
        argv = [PROGRAM, *(["--config", str(self.config)] if config else []), *arguments]
        keep = {key: value for key, value in os.environ.items()
                if not key.startswith("CUSTOM_ENV_") and key not in ("JOB_RESPONSE_FILE", "SYSTEM_FAILURE_EXIT_CODE")}
        return subprocess.run(argv, env=keep | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def make_image(self, name):
        (self.root / name / "usr" / "bin").mkdir(parents=True)
        (self.root / name / "etc").mkdir()

    def test_help_and_version(self):
        for arguments in ([], ["-h"], ["--help"], ["run", "--help"], ["--help", "run"], ["--version"]):
            with self.subTest(arguments=arguments):
                result = self.call(*arguments, config=False)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertTrue(result.stdout)
        # Help is there also when the configuration is not.
        self.assertEqual(self.call("--config", "/nonexistent", "run", "--help", config=False).returncode, 0)

    def test_usage_errors(self):
        for arguments, part in (
            (["prepaer"], "did you mean 'prepare'?"),
            (["xyzzy"], "unknown command 'xyzzy'"),
            (["help"], "did you mean '--help'?"),
            (["--bogus"], "unknown option '--bogus'"),
            (["chroot-login"], "missing argument"),
            (["chroot-run", "x", "ls", "-la"], "unknown option '-la'; put '--' before the command"),
            (["chroot-run", "x", "ls", "--all"], "unknown option '--all'; put '--' before the command"),
            (["chroot-run", "--all", "x", "ls"], "unknown option '--all'"),
            (["status", "x"], "unexpected argument 'x'"),
            (["gc", "--dry-rum"], "did you mean '--dry-run'?"),
            (["run"], "missing argument"),
            (["--root", "relative", "chroot-list"], "--root must be"),
            (["chroot-maintenance", "--jobs", "0"], "--jobs must be a number from 1"),
            (["chroot-login", "--publish", "--discard", "x"], "Give either --discard or --publish, not both"),
            (["chroot-rollback", "x", "newest"], "A generation is a number"),
        ):
            with self.subTest(arguments=arguments):
                result = self.call(*arguments)
                if os.geteuid() != 0 and "Only root" in result.stderr:
                    continue  # that comes first
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertIn(part, result.stderr)

    def test_hostile_words_forge_no_lines(self):
        result = self.call("a\nERROR: forged\x1b[2J\u009b")
        self.assertIn("'a\\x0aERROR: forged\\x1b[2J\\xc2\\x9b'", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 2)

    def test_configuration_errors(self):
        self.config.write_text("boot: no\nmemory-max: 1G\n")
        for arguments in [*STAGES, ["status"], ["toml"]]:
            with self.subTest(arguments=arguments):
                result = self.call(*arguments, SYSTEM_FAILURE_EXIT_CODE="77")
                self.assertEqual(result.returncode, 77 if arguments in STAGES else 1)
                self.assertEqual(result.stdout, "")
                self.assertIn(f"{self.config}:2:1: unknown setting 'memory-max'; did you mean 'memory_max'?",
                              result.stderr)

    def test_stages_fail_as_system(self):
        """Whatever is wrong with a call is not the job's fault."""
        for arguments in STAGES:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.call(*arguments, "--bogus", SYSTEM_FAILURE_EXIT_CODE="77").returncode, 77)
                self.assertEqual(self.call(*arguments, "--bogus").returncode, 2)
                self.assertEqual(self.call(*arguments, "--bogus", SYSTEM_FAILURE_EXIT_CODE="x").returncode, 2)

    def test_missing_configuration(self):
        result = self.call("--config", "/nonexistent", "toml", config=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Cannot read configuration file '/nonexistent'", result.stderr)

    def test_pipe_in_place_of_a_file(self):
        """Nobody waits for whoever may write to it."""
        path = Path(self.define("one", "create_command: [/bin/true]"))
        path.unlink()
        os.mkfifo(path)
        result = self.call("check")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"Cannot read definition '{path}': it is no regular file", result.stderr)
        result = self.call("--config", str(path), "toml", config=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"Cannot read configuration file '{path}': it is no regular file", result.stderr)
        self.assertEqual(self.call("--config", "/dev/null", "toml", config=False).returncode, 0)

    def test_root_option(self):
        for value in ("relative", "/a/../b", "/"):
            with self.subTest(value=value):
                result = self.call("--root", value, "toml")
                self.assertEqual(result.returncode, 2)
                self.assertIn("--root must be an absolute path", result.stderr)

    def test_lost_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            for arguments, status in (["--help"], 1), (["toml"], 1), (["gitlab-config"], 2):
                with self.subTest(arguments=arguments):
                    result = subprocess.run([PROGRAM, "--config", self.config, *arguments], stdout=full,
                                            stderr=subprocess.PIPE, text=True)
                    self.assertEqual(result.returncode, status)
                    self.assertIn("No space left on device", result.stderr)

    def test_closed_descriptors(self):
        """Started without stdin, stdout and stderr, nothing that is opened gets their numbers."""
        result = subprocess.run(["/bin/sh", "-c", 'exec "$0" --config "$1" toml <&- >&- 2>&-', PROGRAM, self.config])
        self.assertEqual(result.returncode, 0)

    def test_gitlab_config(self):
        for shell, kind in ((None, None), ("/bin/bash", "bash"), ("sh", "sh"), ("/usr/bin/pwsh", "pwsh"), ("zsh", None)):
            with self.subTest(shell=shell):
                self.config.write_text("builds_dir: /b\ncache_dir: '/c \"d\"'\n" + (f"shell: {shell}\n" if shell else ""))
                result = self.call("gitlab-config")
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                config = json.loads(result.stdout)
                self.assertEqual(config.pop("shell", None), kind)
                self.assertEqual(config.pop("driver")["name"], "nspawn-runner")
                self.assertEqual(config, {"builds_dir": "/b", "cache_dir": '/c "d"', "builds_dir_is_shared": False,
                                          "hostname": socket.gethostname()})

    def test_gitlab_config_leaves_directories(self):
        """Those of GitLab Runner's configuration are in effect where there is no key, and each alone."""
        for text, keys in (("builds_dir: null\n", {"cache_dir"}), ("cache_dir: ~\n", {"builds_dir"}),
                           ("builds_dir: null\ncache_dir: null\n", set())):
            with self.subTest(text=text):
                self.config.write_text(text)
                config = json.loads(self.call("gitlab-config").stdout)
                self.assertEqual(config.keys() & {"builds_dir", "cache_dir"}, keys)
                runner = self.toml("toml")
                self.assertEqual(runner.keys() & {"builds_dir", "cache_dir"}, {"builds_dir", "cache_dir"} - keys)

    def test_gitlab_config_names_the_machine(self):
        result = self.call("gitlab-config", CUSTOM_ENV_CI_JOB_ID="4711")
        self.assertTrue(json.loads(result.stdout)["hostname"].endswith("-4711"))

    def toml(self, *arguments, **options):
        result = self.call(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        (runner,) = tomllib.loads(result.stdout)["runners"]
        self.assertEqual(runner["executor"], "custom")
        for stage in "config", "prepare", "run", "cleanup":
            self.assertEqual(runner["custom"][f"{stage}_exec"], PROGRAM)
        return runner

    def test_toml(self):
        given = ["--config", str(self.config)]
        runner = self.toml("toml")
        self.assertEqual(runner.keys() & {"builds_dir", "cache_dir"}, set())
        self.assertEqual(runner["custom"]["config_args"], [*given, "gitlab-config"])
        self.assertEqual(runner["custom"]["prepare_args"], [*given, "prepare"])
        self.assertEqual(runner["custom"]["run_args"], [*given, "run"])
        self.assertEqual(runner["custom"]["cleanup_args"], [*given, "cleanup"])

        # The only image is the one; of several, the one that is named.
        self.make_image("small")
        self.assertEqual(self.toml("toml")["custom"]["prepare_args"], [*given, "prepare", "--default-image", "small"])
        self.make_image("it's\"big\\")
        self.assertEqual(self.toml("toml")["custom"]["prepare_args"], [*given, "prepare"])
        self.assertEqual(self.toml("toml", "it's\"big\\")["custom"]["prepare_args"],
                         [*given, "prepare", "--default-image", "it's\"big\\"])

    def test_toml_default_image(self):
        self.make_image("small")
        self.make_image("large")
        with self.config.open("a") as f:
            f.write("default_image: large\n")
        self.assertIn("large", self.toml("toml")["custom"]["prepare_args"])
        self.assertIn("small", self.toml("toml", "small")["custom"]["prepare_args"])

    def test_toml_absolute_paths(self):
        """GitLab Runner calls from other directories."""
        os.chdir(self.path)
        self.config.write_text("")
        runner = self.toml("--config", "./config.yaml", "--root", str(self.root), "toml", config=False)
        self.assertEqual(runner["custom"]["run_args"],
                         ["--config", str(self.config.resolve()), "--root", str(self.root), "run"])

    def test_toml_unknown_image(self):
        self.make_image("small")
        for name in "other", "..", "small/x", "":
            with self.subTest(name=name):
                result = self.call("toml", name)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("small", self.call("toml", "other").stderr)

    def stderr_of(self, *arguments, terminal=False, **environment):
        """What goes to a terminal, or to a file that the environment can name with {device} and {inode}."""
        read, write = pty.openpty() if terminal else os.pipe()
        state = os.fstat(write)
        environment = {key: value.format(device=state.st_dev, inode=state.st_ino)
                       for key, value in environment.items()}
        with subprocess.Popen([PROGRAM, "--config", str(self.config), *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=write, env={"PATH": os.environ["PATH"], **environment}):
            os.close(write)
            text = b""
            try:
                while data := os.read(read, 4096):
                    text += data
            except OSError: # the terminal's other end is closed
                pass
        os.close(read)
        return text.decode()

    def test_messages(self):
        self.make_image("bookworm")
        plain = "ERROR: There is no image 'bookwrm'; did you mean 'bookworm'?"
        rollback = ("chroot-rollback", "bookwrm") if os.geteuid() == 0 else ("chroot-run", "bookwrm", "--", "true")
        self.assertIn(plain, self.stderr_of(*rollback))
        colored = self.stderr_of(*rollback, terminal=True, TERM="xterm")
        self.assertIn("\033[1;31mERROR: \033[0mThere is no image", colored)
        for environment in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}):
            self.assertIn(plain, self.stderr_of(*rollback, terminal=True, **environment))
        self.assertIn(f"<3>{plain}", self.stderr_of(*rollback, JOURNAL_STREAM="{device}:{inode}"))
        self.assertIn("<5>Images in ", self.stderr_of(*rollback, JOURNAL_STREAM="{device}:{inode}"))
        self.assertNotIn("<3>", self.stderr_of(*rollback, JOURNAL_STREAM="{device}:0"))
        self.assertEqual(self.stderr_of("--quiet", *rollback).strip(), plain)

    def test_doctor_json(self):
        result = self.call("doctor", "--json")
        self.assertIn(result.returncode, (0, 1))
        checks = json.loads(result.stdout)["checks"]
        self.assertEqual(result.returncode, int(any(check["result"] == "missing" for check in checks)))
        self.assertTrue(all(check["name"] and check["result"] in ("ok", "note", "missing") for check in checks))

    def define(self, name, *variables, tasks=""):
        definitions = self.path / "definitions"
        definitions.mkdir(exist_ok=True)
        self.config.write_text(self.config.read_text().split("definitions_dir")[0] + f"definitions_dir: {definitions}\n")
        lines = "".join(f"    nspawn_runner_{line}\n" for line in variables)
        (definitions / f"{name}.yaml").write_text(f"- hosts: all\n  vars:\n{lines}{tasks}")
        return str(definitions / f"{name}.yaml")

    def test_check_shows_where_settings_come_from(self):
        path = self.define("one", "create_command: [/bin/true]", "memory_max: 1G")
        result = self.call("check", "--json")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        report = json.loads(result.stdout)
        self.assertTrue(report["ok"])
        self.assertEqual([(file["path"], file["kind"], file["findings"]) for file in report["files"]],
                         [(str(self.config), "configuration", []), (path, "definition", [])])
        values = {(row["image"], row["name"]): (row["value"], row["from"], row["line"]) for row in report["settings"]}
        self.assertEqual(values[None, "root_dir"], (str(self.root), str(self.config), 1))
        self.assertEqual(values[None, "boot"], ("auto", None, None))
        self.assertEqual(values["one", "memory_max"], ("1G", path, 4))
        self.assertNotIn(("one", "boot"), values)

        result = self.call("--root", "/elsewhere", "check")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"root_dir +/elsewhere +--root\n")
        # one image: all that its jobs have
        result = self.call("check", "one")
        self.assertRegex(result.stdout, r"one +boot +auto +default\n")
        self.assertRegex(result.stdout, rf"one +memory_max +1G +{path}:4\n")

    def test_check_finds_mistakes(self):
        one = self.define("one", "create_command: [/bin/true]", "bind: [/srv/x]")
        two = self.define("two", "from: three", "bind: [/srv/x/y]")
        bad = self.define("bad", "memry_max: 1G")
        self.define("circle", "from: circle")
        self.define("old", "chroot_suite: bookwrm")
        result = self.call("check")
        self.assertEqual(result.returncode, 1)
        for part in (f"{one}:4:1: bind: '/srv/x' contains '/srv/x/y'", f"{two}:3:5: there is no image 'three'",
                     f"{two}:4:1: bind: '/srv/x/y' is below '/srv/x'", "did you mean 'nspawn_runner_memory_max'?",
                     "circle", "'bookwrm' is no suite of Debian or Ubuntu that this host knows; did you mean "
                     "'bookworm'?"):
            self.assertIn(part, result.stderr)
        self.assertIn(f"{self.config}: ok", result.stdout)
        findings = {file["path"]: file["findings"] for file in json.loads(self.call("check", "--json").stdout)["files"]}
        self.assertEqual([(finding["level"], finding["line"]) for finding in findings[bad]], [("error", 3)])
        # files by themselves
        self.assertEqual(self.call("check", one).returncode, 1) # the other's binds are still there
        (self.path / "other.yaml").write_text("boot: no\nbot: no\n")
        result = self.call("check", str(self.path / "other.yaml"))
        self.assertIn("other.yaml:2:1: unknown setting 'bot'; did you mean 'boot'?", result.stderr)
        self.assertEqual(self.call("check", "nothing").returncode, 1)
        # the configuration itself
        self.config.write_text(f"root_dir: {self.root}\nbot: no\n")
        result = self.call("check")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{self.config}:2:1: unknown setting 'bot'", result.stderr)

    def test_maintenance_forecast(self):
        self.define("one", "create_command: [/bin/true]")
        self.define("two", "from: one")
        self.define("three", "from: missing")
        self.define("four", "oci: registry.example/a/b:1", "maint_recreate: yes")
        self.make_image("four")
        self.make_image("hand")
        self.define("hand", tasks="  tasks:\n    - debug:\n")
        result = self.call("chroot-maintenance", "--dry-run", "--json")
        self.assertEqual(result.returncode, 1)
        self.assertEqual({row["image"]: (row["action"], row["why"]) for row in json.loads(result.stdout)["images"]}, {
            "one": ("create", "command /bin/true"), "two": ("create", "from one"),
            "three": ("fail", "there is no image 'missing', which it is made from"),
            "four": ("make anew", "nspawn_runner_maint_recreate is set"), "hand": ("update", "run its playbook")})
        self.assertFalse((self.root / "one").exists())

    def test_doctor_with_bad_configuration(self):
        self.config.write_text("boot: perhaps\n")
        result = self.call("doctor")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"missing  configuration: {self.config}:1:7: 'boot' must be", result.stdout)


if __name__ == "__main__":
    unittest.main()
