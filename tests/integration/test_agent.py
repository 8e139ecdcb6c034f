# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job may do to its own machine without losing a step."""

import os
import shutil
from pathlib import Path

import pytest

from lab import IMAGE, Site
from simulation.build import Build
from simulation.jobspec import Job
from simulation.stagecall import StageCall

pytestmark = pytest.mark.host_matters  # it is the image's systemd that much depends on

STRACE = shutil.which("strace")

# Pipes over /proc that nobody reads or writes, under the numbers that processes have and will have.
COVER_PROC = """\
mkdir /tmp/proc
cd /tmp/proc
mkdir self $(seq 1 100)
for d in self $(seq 1 100); do mkfifo $d/stat $d/oom_score_adj; done
cd /
mount --bind /tmp/proc /proc"""


def finish(build: Build, script: str) -> bytes:
    """Runs exactly this script, which must end by itself and with success; returns its standard output."""
    call = build.start_script(script + "\n", raw=True)
    assert call.wait() and call.returncode == 0, call.output
    return call.stdout


def ends_with(build: Build, script: str, status: int) -> str:
    """The script must end by itself, fail, and have that exit status; returns all of its output."""
    call = build.start_script(script + "\n", raw=True)
    check_end(build, call, status)
    return call.output


def check_end(build: Build, call: StageCall, status: int) -> None:
    """The script of this call ends by itself and with that exit status."""
    assert call.wait()
    number = Path(build.exit_code_file)
    assert call.returncode == 1 and number.exists(), (call.returncode, call.output)
    assert number.read_text().strip() == str(status), call.output


# Linux tells others than the parent how a process ended from then on.
TELLS_STATUS = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 15)


def test_kill_everything(any_boot_site: Site) -> None:
    """A script may signal every process but itself, the agent among them: it goes on, and so does the job."""
    known = TELLS_STATUS or any_boot_site.settings["boot"] == "no"
    with any_boot_site.started() as build:
        output = ends_with(build, "kill -9 -1; echo still; exit 7", 7 if known else 137)
        assert "still" in output and ("is not known" in output) is not known
        # From another process: the script is killed, too.
        output = ends_with(build, "python3 -c 'import os; os.kill(-1, 9)'; exit 7", 137)
        assert "machine" not in output, output
        assert "still" in ends_with(build, "kill -TERM -1; kill -HUP -1; kill -USR1 -1; echo still; exit 8", 8)
        assert finish(build, "echo next") == b"next\n"


@pytest.mark.skipif(not STRACE, reason="strace is not in PATH")
def test_kernel_does_not_tell(make_site, tmp_path: Path) -> None:
    """On Linux before 6.15 a script whose agent was killed counts as killed, and the log says why."""
    with make_site(boot="yes").started() as build:
        argv = build.run_argv("kill -9 -1; exit 7\n", "build_script")
        call = build.start("build_script", ["strace", "-qq", "-o", str(tmp_path / "log"), "-e", "trace=ioctl", "-e",
                                            "inject=ioctl:error=ENOTTY", *argv])
        check_end(build, call, 137)
        assert "is not known" in call.output, call.output
        assert finish(build, "echo next") == b"next\n"


@pytest.mark.parametrize("command", (
    # As needrestart and upgrades do it.
    "systemctl restart '*'; systemctl restart nspawn-runner-agent.service; systemctl daemon-reexec",
    "systemctl stop '*.socket' '*.service' '*.mount' '*.target'",
    "systemctl isolate rescue.target",
))
def test_units_are_restarted(make_site, command: str) -> None:
    """Whatever a job does to all units of its machine, the step goes on, and the agent can be started again."""
    with make_site(boot="yes").started() as build:
        assert "still" in ends_with(build, f"systemctl start dbus; {command}; echo still; exit 3", 3)
        assert finish(build, "grep -c nspawn-runner$ /proc/self/cgroup") != b"0\n"
        ends_with(build, "kill -9 -1; exit 137", 137)
        assert finish(build, "echo next") == b"next\n"


def test_waits_at_nothing(any_boot_site: Site) -> None:
    """Where a job put pipes nothing waits: not the next step, not the end of one that is cancelled."""
    with any_boot_site.started() as build:
        finish(build, "rm /dev/null; mkfifo /dev/null; rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group")
        finish(build, "mv /bin/bash /bin/moved; mkfifo -m 755 /bin/bash; rm -r /run/nspawn-runner; "
                      "mkfifo /run/nspawn-runner")
        assert finish(build, "read -r x || echo eof; stat -L -c %t:%T /dev/fd/0") == b"eof\n1:3\n"
        finish(build, COVER_PROC)
        assert finish(build, "echo fine") == b"fine\n"
        call = build.start_script("setsid sleep 1000 & echo begun; sleep 1000", raw=True)
        call.wait_for_output(b"begun\n")
        call.terminate()
        assert call.returncode == 2, call.output
        assert finish(build, "umount /proc; pgrep sleep || echo none") == b"none\n"


def test_journal_listens(make_site) -> None:
    """With boot: yes, the first thing that a job does may be to log."""
    with make_site(boot="yes").started() as build:
        finish(build, "set -e; logger -t mark first; systemctl start systemd-journald; journalctl --sync; "
                      "journalctl -o cat -t mark | grep first")


def test_eager(make_site) -> None:
    """With boot: eager the image's systemd is there before the first step."""
    with make_site(boot="eager").started() as build:
        assert finish(build, "readlink /proc/1/exe").endswith(b"/systemd\n")


@pytest.mark.any_host
def test_locale_of_the_image(make_site, tiny_root) -> None:
    """LANG names a locale that the image has: others make programs warn."""
    site = make_site(root=tiny_root)
    with site.started(Job(image=IMAGE)) as build:
        assert finish(build, "echo $LANG") == b"C.UTF-8\n"  # of a libc that has no files for it
    (tiny_root / IMAGE / "etc/ld.so.cache").touch()
    with site.started(Job(image=IMAGE)) as build:
        assert finish(build, "echo $LANG") == b"C\n"
