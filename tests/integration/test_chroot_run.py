# SPDX-License-Identifier: GPL-3.0-or-later
"""chroot-run: a command in a throw-away machine of an image."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from lab import IMAGE, Site
from pace import wait_until
from terminal import Terminal

pytestmark = pytest.mark.supervisor_matters


def call(site: Site, *command: str, data: bytes = b"") -> subprocess.CompletedProcess:
    """Runs it with @data for its input."""
    return subprocess.run(site.argv("chroot-run", IMAGE, "--", *command), input=data, capture_output=True,
                          check=False)


def test_command(any_site: Site) -> None:
    """Arguments, input, both outputs and the exit status, on every storage and in both boot modes."""
    done = call(any_site, "sh", "-c", 'cat; echo "$1|$2" >&2; exit 42', "x", "two words", "-c", data=b"input\n")
    assert (done.returncode, done.stdout, done.stderr) == (42, b"input\n", b"two words|-c\n"), done


@pytest.mark.parametrize("script,status", (
    ("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)))
def test_status(site: Site, script: str, status: int) -> None:
    """As shells have it."""
    assert call(site, "sh", "-c", script).returncode == status


def test_cannot_execute(site: Site) -> None:
    """As shells have it, with a message."""
    done = call(site, "no-such-program")
    assert done.returncode == 127 and b"'no-such-program' cannot be executed: No such file" in done.stderr, done
    done = call(site, "/etc/passwd")
    assert done.returncode == 126 and b"'/etc/passwd' cannot be executed: Permission denied" in done.stderr, done


def test_much_data(site: Site) -> None:
    """Through the machine and back, whole."""
    data = os.urandom(20_000_000)
    assert call(site, "cat", data=data).stdout == data


def test_unread_input(site: Site) -> None:
    """Who reads nothing is not waited for."""
    done = call(site, "echo", "done", data=bytes(10_000_000))
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_output_before_input(site: Site) -> None:
    """A command that writes much before it reads does not block."""
    done = call(site, "sh", "-c", "head -c 3000000 /dev/zero; exec cat", data=bytes(3_000_000))
    assert done.stdout == bytes(6_000_000)


def test_open_input(site: Site) -> None:
    """An input that never ends keeps nobody."""
    with subprocess.Popen(site.argv("chroot-run", IMAGE, "--", "head", "-n", "1"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"line\n")
        process.stdin.flush()
        assert process.stdout.read() == b"line\n"
        assert process.wait() == 0


def test_changes_are_thrown_away(site: Site) -> None:
    """The image stays as it is; the next one finds nothing."""
    assert call(site, "sh", "-c", "echo x >/etc/new; rm /etc/os-release").returncode == 0
    assert call(site, "sh", "-c", "test ! -e /etc/new && test -e /etc/os-release").returncode == 0
    assert site.traces() == []


def test_without_dashes(site: Site) -> None:
    """As long as no argument looks like an option of ours."""
    done = site.call("chroot-run", IMAGE, "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done


def test_usage(site: Site) -> None:
    """An image is needed, and options before the two dashes are ours."""
    done = site.call("chroot-run")
    assert done.returncode == 2 and "missing argument" in done.stderr, done
    done = site.call("chroot-run", IMAGE, "ls", "-la")
    assert done.returncode == 2 and "unknown option '-la'; put '--' before the command" in done.stderr, done
    done = site.call("chroot-run", "-it", IMAGE)
    assert done.returncode == 2 and "no terminal for --tty" in done.stderr, done
    done = site.call("chroot-run", "no-such-image", "--", "true")
    assert done.returncode == 1 and "There is no image 'no-such-image'" in done.stderr, done
    done = site.call("chroot-run", IMAGE, "--", "echo", "x" * 70000)
    assert done.returncode == 1 and "too long" in done.stderr, done


def test_terminal(site: Site) -> None:
    """On a terminal there is one inside: for a shell, and for a command. In a pipe the shell reads commands."""
    with Terminal(site.argv("chroot-run", "-it", IMAGE), rows=33, columns=111) as terminal:
        terminal.type("stty size; tty -s && echo on $TERM\n")
        terminal.expect("33 111")
        terminal.expect("on vt100")
        terminal.type("exit 4\n")
        assert terminal.wait() == 4
    # The shell itself becomes the program: dash loses a Ctrl-C that comes while it starts another.
    with Terminal(site.argv("chroot-run", IMAGE, "--", "sh", "-c", "tty; echo re'a'dy; exec sleep 1000")) as terminal:
        terminal.expect("/dev/pts/")
        terminal.expect("ready")
        terminal.type("\x03")
        assert terminal.wait() == 128 + signal.SIGINT
    done = subprocess.run(site.argv("chroot-run", IMAGE), input=b"tty; exit 3\n", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"not a tty\n"), done


def test_bind(site: Site, tmp_path: Path) -> None:
    """What is bound for one call: to change, or only to read; from where the person is."""
    tmp_path.chmod(0o755)
    for name in ("change", "read"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    script = "cat /mnt/c/file $0/file; echo new > /mnt/c/new; touch $0/new"
    done = subprocess.run(site.argv("chroot-run", "--bind", "change:/mnt/c", "--bind-ro", str(tmp_path / "read"), IMAGE,
                                    "--", "sh", "-c", script, str(tmp_path / "read")), cwd=tmp_path, capture_output=True,
                          text=True, check=False)
    assert done.stdout == "changeread" and done.returncode == 1 and "Read-only" in done.stderr, done
    assert (tmp_path / "change/new").read_text() == "new\n" and (tmp_path / "change/new").stat().st_uid == 0
    assert not (tmp_path / "read/new").exists()
    (tmp_path / "read/link").symlink_to("file")
    os.chown(tmp_path / "read/file", 1234, 5)
    script = "cat link; stat -c %u:%g file; echo more >> file; rm link; id -u > new; touch /mnt/c/newer; ls"
    done = subprocess.run(site.argv("chroot-run", "--bind", "change:/mnt/c", "--rw-copy", "read:/mnt/copy", IMAGE, "--",
                                    "sh", "-ec", f"cd /mnt/copy; {script}"), cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert done.stdout == "read1234:5\nfile\nnew\n" and done.returncode == 0, done
    assert sorted(os.listdir(tmp_path / "read")) == ["file", "link"] and (tmp_path / "change/newer").exists()
    assert (tmp_path / "read/file").read_text() == "read" and site.traces() == []
    done = site.call("chroot-run", "--rw-copy", str(tmp_path / "read/file"), IMAGE, "--", "true")
    assert done.returncode == 1 and "Cannot open directory" in done.stderr, str(done)
    for bind, why in ((str(tmp_path / "none"), "Cannot find"), (f"{tmp_path}:/", "--bind must be"),
                      (str(site.root), "root_dir")):
        done = site.call("chroot-run", "--bind", bind, IMAGE, "--", "true")
        assert done.returncode in (1, 2) and why in done.stderr, (bind, str(done))


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
def test_cancelled(site: Site, number: int) -> None:
    """The command is ended, and all of the machine removed."""
    with subprocess.Popen(site.argv("chroot-run", IMAGE, "--", "sh", "-c", "echo ready; exec sleep 1000"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait() == 128 + number
    assert site.traces() == []


def test_killed(site: Site) -> None:
    """The machine ends with its command, and gc removes the rest."""
    with subprocess.Popen(site.argv("chroot-run", IMAGE, "--", "sh", "-c", "echo ready; exec sleep 1000"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.kill()
    wait_until(lambda: not site.job_pids())
    assert site.call("gc").returncode == 0
    assert site.traces() == []


def test_many_at_once(site: Site) -> None:
    """Each has a machine of its own."""
    processes = [subprocess.Popen(site.argv("chroot-run", IMAGE, "--", "sh", "-c", f"echo {i} >/n; sleep 0.2; cat /n"),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for i in range(5)]
    assert [process.communicate()[0] for process in processes] == [f"{i}\n".encode() for i in range(5)]
    assert [process.returncode for process in processes] == [0] * 5


def test_machine_ends(site: Site) -> None:
    """Said, with the reason."""
    done = call(site, "python3", "-c", "import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)")
    assert done.returncode == 1 and b"lost its container" in done.stderr, done
