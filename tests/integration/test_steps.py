# SPDX-License-Identifier: GPL-3.0-or-later
"""Between steps: processes and files live on. Within a step: output arrives whole, in order, in its own stream."""

import hashlib
import os
import subprocess
import threading

import pytest

import host
from lab import Site
from pace import PATIENCE
from simulation.build import Build
from simulation.jobspec import Job

SERVER = """\
python3 - <<'END' > /tmp/server.log 2>&1 &
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"served-" + self.rfile.readline())
server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
open("/tmp/port.new", "w").write(str(server.server_address[1]))
import os; os.rename("/tmp/port.new", "/tmp/port")
server.serve_forever()
END
while ! test -e /tmp/port; do sleep 0.02; done"""
CLIENT = "exec 3<>/dev/tcp/127.0.0.1/$(cat /tmp/port); echo hello >&3; cat <&3"


def finish(build: Build, body: str, stage: str = "build_script") -> bytes:
    """Runs a script that must end by itself; returns its standard output."""
    call = build.start_script(body, stage)
    if not call.wait(PATIENCE):
        call.terminate(5, 5)
        raise AssertionError(f"{body!r} did not end: {call.output}")
    assert call.returncode == 0, call.output
    return call.stdout


@pytest.mark.host_matters
def test_server_answers_in_after_script(any_site: Site) -> None:
    """A server started in the background by one step serves the next, in every combination."""
    result = any_site.run(Job([SERVER], [CLIENT]))
    assert result.state == "success", result.log
    assert "served-hello" in result.log


@pytest.mark.host_matters
def test_processes_and_files_last(any_boot_site: Site) -> None:
    """A background process is the same one in each step, even when its shell has ended."""
    with any_boot_site.started() as build:
        # A shell's child is a shell for a moment.
        pid = finish(build, "sleep 1000 >/dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done; echo $!")
        pid = pid.strip().decode()
        for stage in ("after_script", "archive_cache", "no_such_stage_yet"):
            assert finish(build, f"tr '\\0' ' ' < /proc/{pid}/cmdline", stage) == b"sleep 1000 "


@pytest.mark.host_matters
def test_who_is_killed_for_want_of_memory(any_boot_site: Site) -> None:
    """The kernel prefers what steps and services are to what keeps the machine."""
    boots = any_boot_site.settings["boot"] == "yes"
    # Hosts that are containers themselves may not be allowed to; test_limits.py runs where they are.
    lower = subprocess.run(["sh", "-c", "echo -100 >/proc/self/oom_score_adj"], capture_output=True, check=False)
    with any_boot_site.started() as build:
        scores = finish(build, "cat /proc/self/oom_score_adj /proc/1/oom_score_adj").split()
        assert scores == [b"0", b"-100" if lower.returncode == 0 else b"0"]
        if boots:
            finish(build, "systemd-run --unit=service sleep 1000")
            service = finish(build, "cat /proc/$(systemctl show -P MainPID service)/oom_score_adj")
            assert service == b"0\n"


@pytest.mark.host_matters
def test_tmp_stays(make_site) -> None:
    """/tmp is the job's from the beginning: whatever units a job starts, nothing is mounted over it, nothing removed."""
    with make_site(boot="yes").started() as build:
        finish(build, "echo mine > /tmp/file; mkdir /tmp/directory; touch -d '1 year ago' /tmp/old")
        finish(build, "systemctl start local-fs.target sysinit.target; systemctl start tmp.mount || true")
        assert finish(build, "cat /tmp/file; ls /tmp/old; ! mountpoint -q /tmp").split() == [b"mine", b"/tmp/old"]


@pytest.mark.parametrize("how", ("sleep 1000 &", "setsid sleep 1000 &", "nohup sleep 1000 &",
                                 "(sleep 1000; echo late) &", "coproc sleep 1000", "sleep 1000 2>&1 | cat &"))
def test_open_stdout_does_not_hold_up_the_stage(any_boot_site: Site, how: str) -> None:
    """gitlab-runner waits for end-of-file; what a step leaves running must not keep it waiting."""
    with any_boot_site.started() as build:
        assert finish(build, f"{how}\necho done") == b"done\n"
        assert finish(build, "echo next") == b"next\n"


@pytest.mark.host_matters
def test_background_writer_is_drained(any_boot_site: Site) -> None:
    """A process that goes on writing after its step neither blocks nor dies, and disturbs no other step."""
    with any_boot_site.started() as build:
        finish(build, "(while ! test -e /tmp/go; do sleep 0.02; done; head -c 2000000 /dev/zero; "
                      "head -c 2000000 /dev/zero >&2; touch /tmp/written) &")
        finish(build, "touch /tmp/go")
        assert finish(build, "while ! test -e /tmp/written; do sleep 0.02; done; echo ok") == b"ok\n"


@pytest.mark.host_matters
def test_systemctl_start(make_site) -> None:
    """With boot: yes a job can start services, which are there in the next step."""
    with make_site(boot="yes").started() as build:
        finish(build, "printf '[Service]\\nExecStart=/bin/sleep 1000\\n' > /etc/systemd/system/t.service\n"
                      "systemctl daemon-reload\nsystemctl start t.service")
        assert finish(build, "systemctl is-active t.service", "after_script") == b"active\n"
        assert finish(build, "systemd-run --wait --pipe -q echo from-a-unit") == b"from-a-unit\n"


def test_every_byte(any_boot_site: Site) -> None:
    """All byte values, no newline at the end, nothing added."""
    data = bytes(range(256)) * 3 + b"\x00\xff no newline"
    octal = "".join(f"\\\\{byte:03o}" for byte in data)
    with any_boot_site.started() as build:
        call = build.start_script(f"printf '%b' \"$(echo '{octal.replace(chr(92) * 2, chr(92) + '0')}')\"")
        assert call.wait(PATIENCE) and call.returncode == 0
        assert call.stdout == data and call.stderr == b""


def test_streams_stay_apart(any_boot_site: Site) -> None:
    """Standard output and error are not mixed, and each is in order."""
    body = "for i in {1..20000}; do echo out $i; echo err $i >&2; done"
    with any_boot_site.started() as build:
        call = build.start_script(body)
        assert call.wait(PATIENCE) and call.returncode == 0
        assert call.stdout == "".join(f"out {i}\n" for i in range(1, 20001)).encode()
        assert call.stderr == "".join(f"err {i}\n" for i in range(1, 20001)).encode()


@pytest.mark.parametrize("target", ("/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"))
def test_reopened_stderr(any_site: Site, target: str) -> None:
    """Scripts may open their own standard error by name, also in a user namespace, and as another user."""
    with any_site.started() as build:
        call = build.run_script(f"echo by-name > {target}; echo again >> {target}; "
                                f"su nobody -s /bin/sh -c 'echo of-nobody > {target}'")
        assert (call.stdout, call.stderr) == (b"", b"by-name\nagain\nof-nobody\n")


@pytest.mark.parametrize("stream", ("stdout", "stderr"))
def test_much_output(site: Site, stream: str) -> None:
    """256 MiB arrive whole and in order. The pattern's length is odd, so that exchanged blocks are noticed."""
    size = 1 << 28
    command = f"yes 0123456789abcdef | head -c {size}"
    received = hashlib.blake2b()
    length = 0

    def sink(data: bytes) -> None:
        nonlocal length
        received.update(data)
        length += len(data)
    sinks = (sink, lambda data: None) if stream == "stdout" else (lambda data: None, sink)
    with site.started() as build:
        call = build.start_script("set +o pipefail; " + command + (" >&2" if stream == "stderr" else ""), sinks=sinks)
        assert call.wait() and call.returncode == 0
    expected = hashlib.blake2b()
    line = b"0123456789abcdef\n" * 65536
    for _ in range(size // len(line)):
        expected.update(line)
    expected.update(line[:size % len(line)])
    assert length == size and received.hexdigest() == expected.hexdigest()


def test_reader_that_stops(any_boot_site: Site) -> None:
    """While nobody reads one run's output, it waits; other runs of the job work; afterwards nothing is missing."""
    size = 3_000_000
    resume, stopped, received = threading.Event(), threading.Event(), bytearray()

    def sink(data: bytes) -> None:
        received.extend(data)
        stopped.set()
        resume.wait(PATIENCE)
    with any_boot_site.started() as build:
        call = build.start_script(f"yes 0123456789abcdef | head -c {size} || :; echo end; touch /tmp/ended",
                                  sinks=(sink, sink))
        assert stopped.wait(PATIENCE)
        assert finish(build, "test ! -e /tmp/ended; echo meanwhile") == b"meanwhile\n"
        resume.set()
        assert call.wait(PATIENCE) and call.returncode == 0
    assert len(received) == size + 4 and received.endswith(b"end\n")


def test_last_bytes_before_exit(site: Site) -> None:
    """What a script writes just before it ends is never lost: many short runs."""
    with site.started() as build:
        for number in range(100):
            assert finish(build, f"echo begin-{number}; echo -n {number}") == f"begin-{number}\n{number}".encode()


def test_standard_input_and_session(any_boot_site: Site) -> None:
    """Standard input is at its end, there is no terminal, and each run has a session of its own."""
    script = "#!/bin/bash\nreadlink /proc/$$/fd/0; read -r x || echo eof; tty; cut -d' ' -f5,6 /proc/$$/stat; echo $$\n"
    with any_boot_site.started() as build:
        call = build.start_script(script, raw=True)
        assert call.wait(PATIENCE)
        device, end, tty, ids, pid = call.stdout.decode().splitlines()
        assert (device, end, tty) == ("/dev/null", "eof", "not a tty")
        assert ids == f"{pid} {pid}"


def test_no_stray_descriptors(any_boot_site: Site) -> None:
    """The script's shell has its three streams and the script, nothing of the agent's or the host's."""
    with any_boot_site.started() as build:
        lines = build.run_script("#!/bin/bash\nls -l /proc/$$/fd\n", raw=True).stdout.decode().splitlines()[1:]
    numbers = {line.split()[-3] for line in lines}
    assert {"0", "1", "2"} <= numbers and len(numbers) <= 4, lines
    assert not [line for line in lines if "socket:" in line], lines


@pytest.mark.host_matters
def test_driver_is_gone_after_the_stage(site: Site) -> None:
    """A finished run leaves no process of the driver but the job's own supervisor."""
    with site.started() as build:
        before = set(site.job_pids())
        build.run_script("true")
        assert set(site.job_pids()) <= before


def test_huge_script(site: Site) -> None:
    """A script of several megabytes, with an argument list that would not fit on a command line."""
    with site.started() as build:
        body = "".join(f"true {number} {'x' * 1000}\n" for number in range(4000)) + "echo end"
        assert finish(build, body) == b"end\n"


def test_script_cannot_be_changed(site: Site) -> None:
    """What a step writes to its own script never reaches the runner's file."""
    script = '#!/bin/bash\nfor f in "$0" /proc/$$/fd/255 /proc/$$/fd/3; do (echo hacked > $f) 2>/dev/null; done\n'
    with site.started() as build:
        argv = build.run_argv(script)
        call = build.start("build_script", argv)
        assert call.wait(PATIENCE)
        assert host.read(argv[-2]) == script


def test_run_from_another_directory(site: Site) -> None:
    """A relative script path is looked up where the runner called us."""
    with site.started() as build:
        path = build.script_file("#!/bin/bash\necho relative\n")
        done = subprocess.run(site.argv("run", "script", "some_stage"), cwd=os.path.dirname(path),
                              env=build.environment(), capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stdout) == (0, b"relative\n"), done.stderr


def test_pipes_in_place_of_scripts(site: Site) -> None:
    """What a job makes where the agent puts the next scripts keeps it from nothing."""
    with site.started() as build:
        build.run_script("for n in $(seq 50); do rm -f /run/nspawn-runner/script.1.$n; mkfifo "
                         "/run/nspawn-runner/script.1.$n; done", raw=True)
        for number in range(5):
            assert build.run_script(f"echo {number}", raw=True).stdout == f"{number}\n".encode()
