# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job may do to its own machine without losing a step: the agent waits at nothing that a job made."""

from lab import IMAGE, Site
from simulation.build import Build
from simulation.jobspec import Job

PATIENCE = 60  # seconds; a stage that hangs is noticed then

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
    if not call.wait(PATIENCE):
        call.terminate(5, 5)
        raise AssertionError(f"{script!r} did not end: {call.output}")
    assert call.returncode == 0, call.output
    return call.stdout


def test_waits_at_nothing(any_boot_site: Site) -> None:
    """Where a job put pipes nothing waits: not the next step, not the end of one that is cancelled."""
    with any_boot_site.started() as build:
        finish(build, "rm /dev/null; mkfifo /dev/null; rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group")
        assert finish(build, "read -r x || echo eof; stat -L -c %t:%T /dev/fd/0") == b"eof\n1:3\n"
        finish(build, COVER_PROC)
        assert finish(build, "echo fine") == b"fine\n"
        call = build.start_script("setsid sleep 1000 & echo begun; sleep 1000", raw=True)
        call.wait_for_output(b"begun\n")
        call.terminate(PATIENCE, 5)
        assert call.returncode == 2, call.output
        assert finish(build, "umount /proc; pgrep sleep || echo none") == b"none\n"


def test_journal_listens(make_site) -> None:
    """With boot: yes, the first thing that a job does may be to log."""
    with make_site(boot="yes").started() as build:
        finish(build, "set -e; logger -t mark first; systemctl start systemd-journald; journalctl --sync; "
                      "journalctl -o cat -t mark | grep first")


def test_locale_of_the_image(make_site, tiny_root) -> None:
    """LANG names a locale that the image has: others make programs warn."""
    site = make_site(root=tiny_root)
    with site.started(Job(image=IMAGE)) as build:
        assert finish(build, "echo $LANG") == b"C.UTF-8\n"  # of a libc that has no files for it
    (tiny_root / IMAGE / "etc/ld.so.cache").touch()
    with site.started(Job(image=IMAGE)) as build:
        assert finish(build, "echo $LANG") == b"C\n"
