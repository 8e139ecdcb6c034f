# SPDX-License-Identifier: GPL-3.0-or-later
"""With boot: yes the image's systemd starts when something in the container first asks for it, and nobody notices."""

import os
import signal
import subprocess

import pytest

import host
from lab import Site
from simulation.build import Build
from simulation.stagecall import StageCall

pytestmark = pytest.mark.host_matters  # it is the image's systemd that all of it depends on

SYSTEMD = "/usr/lib/systemd/systemd"

# Each is the first to ask for systemd in a container of its own.
ASKING = (
    "systemctl is-system-running --wait",
    "su -s /bin/bash nobody -c 'systemctl is-system-running --wait'",
    "su - nobody -s /bin/bash -c 'systemctl is-active dbus.socket'",
    "busctl --system call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s org.freedesktop.DBus",
    "loginctl list-sessions --no-legend; echo $?",
    "hostnamectl set-hostname renamed; hostname",
    "systemd-run --quiet --wait --pipe echo in a service",
    "systemd-run --quiet --scope echo in a scope",
    "systemd-analyze dump | grep -c 'Unit nspawn-runner.target'",  # it passes a descriptor
    "logger -t mark logged; until journalctl -o cat -t mark | grep logged; do sleep 0.1; done",
    "systemd-cat -t mark echo piped; until journalctl -o cat -t mark | grep piped; do sleep 0.1; done",
    "systemctl start systemd-logind && systemctl is-active systemd-logind",
    "systemctl daemon-reexec; systemctl daemon-reload; systemctl is-system-running --wait",
)
# These need no systemd, but see whether there is one.
LOOKING = """\
cat /proc/1/comm
test -d /run/systemd/system; echo $?
systemd-notify --booted; echo $?
systemctl --user is-system-running; echo $?
systemd-detect-virt; setpriv --reuid nobody --clear-groups systemd-detect-virt
readlink /dev/log
cd /run && find systemd/private systemd/journal dbus -type s -printf '%p %m %u\\n' | sort"""

# Holds a connection to systemd by way of the relay, then kills that.
KILL_RELAY = """\
import glob, os, socket
client = socket.socket(socket.AF_UNIX)
client.connect("/run/systemd/private")
client.sendall(b"\\0AUTH EXTERNAL 30\\r\\n")
print(client.recv(100)[:2].decode())
for name in glob.glob("/proc/[0-9]*/comm"):
    if open(name).read() == "nspawn-runner-r\\n":
        os.kill(int(name.split("/")[2]), 9)
print("end" if client.recv(100) == b"" else "more")
"""

# More than anybody takes, silent ones, and kept.
CROWD = """\
import os, socket
parent = os.getpid()
for path in 10 * ["/run/systemd/private", "/run/dbus/system_bus_socket"]:
    if os.fork() == 0:
        break
clients = []
for _ in range(1000 if os.getpid() != parent else 0):
    clients.append(socket.socket(socket.AF_UNIX))
    clients[-1].setblocking(False)
    try:
        clients[-1].connect(path)
    except OSError:
        pass
while os.getpid() == parent:
    try:
        os.wait()
    except ChildProcessError:
        break
print("connected" if os.getpid() == parent else "", end="")
"""


def run(build: Build, script: str) -> StageCall:
    """Runs exactly this script to its end."""
    call = build.start_script(script + "\n", raw=True)
    assert call.wait()
    return call


def finish(build: Build, script: str) -> str:
    """Runs exactly this script, which must succeed; returns its standard output."""
    call = run(build, script)
    assert call.returncode == 0, call.output
    return call.stdout.decode()


def is_booted(build: Build) -> bool:
    """Whether PID 1 is the image's systemd by now."""
    return finish(build, "readlink /proc/1/exe").endswith("/systemd\n")


@pytest.fixture(scope="module")
def expected(lab) -> dict[str, str]:
    """What scripts say in a container that booted before."""
    site = Site(lab, {"boot": "eager"})
    with site.started() as build:
        answers = {script: finish(build, script) for script in (LOOKING, *ASKING)}
    assert site.close() == []
    return answers


@pytest.mark.parametrize("script", ASKING)
def test_first_use(make_site, expected: dict[str, str], script: str) -> None:
    """Whoever asks first gets the same answer as in a booted container; the step and what it started go on."""
    with make_site(boot="yes").started() as build:
        before = finish(build, "sleep 1000 & echo $!").strip()
        assert not is_booted(build)
        call = run(build, f"(\n{script}\n)\nexit 7")
        assert call.stdout.decode() == expected[script], call.output
        assert call.returncode == 1 and "did not start" not in call.output, call.output
        assert is_booted(build)
        # Where systemd has no unit, so that it leaves it alone.
        assert finish(build, f"kill -0 {before}; grep -c ':/nspawn-runner$' /proc/{before}/cgroup") in ("1\n", "2\n")


def test_nothing_starts_it_unasked(make_site, expected: dict[str, str]) -> None:
    """A job sees that there is a systemd, and what it does does not start it."""
    with make_site(boot="yes").started() as build:
        finish(build, "git init -q x; python3 -c 'import socket'; getent passwd root nobody; id; apt-get --version; "
                      "dpkg-query -W systemd")
        assert finish(build, LOOKING) == expected[LOOKING]
        # Only root may ask in this way.
        assert run(build, "setpriv --reuid nobody --clear-groups python3 -c 'import socket; "
                          "socket.socket(socket.AF_UNIX).connect(\"/run/systemd/private\")'").returncode == 1
        assert not is_booted(build)


@pytest.mark.parametrize("boot", ("yes", "eager"))
@pytest.mark.parametrize("script, what", (("systemctl poweroff", "switched off"), ("systemctl reboot", "reboot"),
                                          ("kill -s RTMIN+4 1", "switched off"), ("kill -s RTMIN+5 1", "reboot")))
def test_end_of_container(make_site, boot: str, script: str, what: str) -> None:
    """A job that ends its container does so in the same way whether systemd runs or not."""
    with make_site(boot=boot).started() as build:
        call = run(build, f"{script}; sleep 1000")
        assert call.returncode == 1 and what in call.output, call.output


def test_from_the_host(make_site) -> None:
    """The host reaches the container's systemd through its D-Bus, and can switch the container off."""
    site = make_site(boot="yes")
    with site.started() as build:
        if host.has_systemd():
            asked = subprocess.run(["systemd-run", "--machine", site.machine(), "--quiet", "--wait", "--pipe",
                                    "readlink", "/proc/1/exe"], capture_output=True, text=True, check=True)
            assert asked.stdout.endswith("/systemd\n")
            shell = subprocess.run(["machinectl", "--quiet", "shell", f"root@{site.machine()}", "/bin/sh", "-c",
                                    "echo pid $$ of $(cat /proc/1/comm)"], capture_output=True, text=True, check=True)
            assert "of systemd" in shell.stdout, shell.stdout
        call = build.start_script("echo begun; sleep 1000\n", raw=True)
        call.wait_for_output(b"begun\n")
        os.kill(site.init_pid(), signal.SIGRTMIN + 4)
        assert call.wait() and call.returncode == 1 and "switched off" in call.output, call.output


def test_many_at_once(make_site) -> None:
    """Several first users, of several kinds: all are answered."""
    with make_site(boot="yes").started() as build:
        out = finish(build, "for i in 1 2 3 4 5 6; do systemctl is-active dbus.socket & "
                            "su -s /bin/bash nobody -c 'systemctl is-active dbus.socket' & logger x & done; wait")
        assert out == "active\n" * 12


def test_cancelled_at_that_moment(make_site) -> None:
    """A step that is cancelled while systemd starts ends, and the next one finds systemd."""
    with make_site(boot="yes").started() as build:
        call = build.start_script("echo begun; systemctl is-system-running; sleep 1000\n", raw=True)
        call.wait_for_output(b"begun\n")
        call.terminate()
        assert call.returncode == 2, call.output
        assert finish(build, "systemctl is-active dbus.socket") == "active\n"


def test_killed(make_site) -> None:
    """A job may kill the relay and, again and again, both agents."""
    with make_site(boot="yes").started() as build:
        assert "next" in finish(build, "echo next; python3 -c 'import os; os.kill(2, 9)'")
        finish(build, f"cat >/tmp/relay.py <<'END'\n{KILL_RELAY}END")
        assert finish(build, "python3 /tmp/relay.py; systemctl is-active dbus.socket") == "OK\nend\nactive\n"
        for _ in range(2):
            run(build, "kill -9 -1; exit 137")
            assert finish(build, "systemctl is-active dbus.socket") == "active\n"


def test_crowd(make_site) -> None:
    """Thousands of silent connections start systemd once, and keep nobody from the next step."""
    with make_site(boot="yes").started() as build:
        assert finish(build, f"python3 - <<'END'\n{CROWD}END") == "connected"
        assert finish(build, "until systemctl is-active dbus.socket; do sleep 0.1; done") == "active\n"
        # Of one who stays nobody else takes notice, either.
        finish(build, "python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); "
                      "s.connect(\"/run/systemd/private\"); time.sleep(1000)' &")
        assert finish(build, "systemctl is-active dbus.socket") == "active\n"


@pytest.mark.parametrize("script, what", (
    (f"rm {SYSTEMD}", f"{SYSTEMD} cannot be executed: No such file or directory"),
    (f"printf '#!/bin/sh\\nexit 3\\n' >{SYSTEMD}", f"'{SYSTEMD} --version' failed with exit status 3"),
    (f"printf '#!/bin/sh\\nkill -SEGV $$\\n' >{SYSTEMD}", f"'{SYSTEMD} --version' was killed by SIGSEGV"),
    (f"printf '#!/bin/sh\\nsleep 1000\\n' >{SYSTEMD}", f"'{SYSTEMD} --version' did not end"),
    ("mkfifo /run/systemd/system.conf.d", f"{SYSTEMD} cannot be executed: Not a directory"),
))
def test_cannot_start(make_site, script: str, what: str) -> None:
    """When systemd cannot be started, whoever asked gets an error, the log says why, and the step goes on."""
    with make_site(boot="yes").started() as build:
        call = run(build, f"cp {SYSTEMD} /tmp/kept; {script}; logger x; systemctl daemon-reload; echo goes on; exit 0")
        assert call.returncode == 0 and call.stdout == b"goes on\n" and what in call.output, call.output
        # Mended, it starts.
        finish(build, f"mv /tmp/kept {SYSTEMD}; rm -f /run/systemd/system.conf.d")
        assert finish(build, "systemctl is-active dbus.socket") == "active\n"


def test_hangs_as_first_process(make_site) -> None:
    """A systemd that says its version and then does nothing: steps go on without it."""
    with make_site(boot="yes").started() as build:
        finish(build, f"printf '#!/bin/sh\\n[ \"$1\" = --version ] || exec sleep 1000\\n' >{SYSTEMD}")
        assert finish(build, "systemctl daemon-reload & until grep -q sleep /proc/1/comm; do sleep 0.1; done; "
                             "echo goes on") == "goes on\n"
        assert finish(build, "echo next") == "next\n"


def test_sockets_replaced(make_site) -> None:
    """Where a job has put something else, nothing waits and nothing ends."""
    with make_site(boot="yes").started() as build:
        finish(build, "cd /run/systemd/system; mkfifo nspawn-runner.target; mkdir dbus.socket.d; "
                      "ln -s /etc/passwd dbus.socket.d/nspawn-runner.conf; mkdir /run/systemd/system.conf.d; "
                      "mkfifo /run/systemd/system.conf.d/nspawn-runner.conf")
        finish(build, "rm /run/systemd/private; mkfifo /run/systemd/private")
        assert "goes on" in finish(build, "systemctl daemon-reload; echo goes on")
        assert finish(build, "su -s /bin/bash nobody -c 'systemctl is-active dbus.socket'") == "active\n"
        assert finish(build, "grep -c root: /etc/passwd") == "1\n"


def test_no_bus(make_site, tmp_path) -> None:
    """An image without D-Bus, or with its socket masked, has no socket of that name; systemctl of root works."""
    tmp_path.chmod(0o755)
    (tmp_path / "empty").touch()
    site = make_site(boot="yes", bind_ro=[f"{tmp_path}/empty:/usr/lib/systemd/system/dbus.socket"])
    with site.started() as build:
        assert finish(build, "ls /run/dbus; systemctl is-active systemd-journald.socket; ls /run/dbus") == "active\n"
