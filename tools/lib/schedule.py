# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the parts of the test suite beside each other, counts test cases, and leaves nothing behind but logs."""

import fcntl
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

# Debian's own programs before others of the same name.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
TAIL_LINES = 60
REASON_LINES = 40
REASONS = 10
KEPT_LOGS = 20
HEARTBEAT_SECONDS = 60
GRACE_SECONDS = 60
SLOWEST = 10
WORTH_SECONDS = 5
CPU_TIME = Path(__file__).resolve().parent / "cpu-time"


class Failed(Exception):
    """Why a part ended early."""


def first_lines(text: str) -> str:
    """As much of what a failed case says as a screen has room for."""
    lines = text.strip().splitlines()
    return "\n".join([*lines[:REASON_LINES], *(["..."] if len(lines) > REASON_LINES else [])])


@dataclass
class Part:
    """One part, or (@product) something that parts need. Two with the same @lock never run at the same time. Of its tests,
    @width run at the same time."""

    name: str
    function: Callable[["Work"], None]
    summary: str = ""
    needs: tuple[str, ...] = ()
    lock: str = ""
    width: int = 1
    product: bool = False


@dataclass
class Count:
    """What came of a part."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    times: list[tuple[float, str]] = field(default_factory=list)
    files: dict[str, float] = field(default_factory=dict)  # CPU time
    seconds: float = 0
    cpu_seconds: float = 0


class Work:
    """A part at work: what its function is given."""

    def __init__(self, session: "Session", part: Part):
        self.session, self.part, self.count = session, part, Count()
        self.log_path = session.logs / f"{part.name}.log"
        self.cpu_path = session.directory / f"{part.name}.cpu"
        self.log = open(self.log_path, "wb", buffering=0)
        self._directory: Path | None = None

    def directory(self) -> Path:
        """A directory of the part's own, gone after the session."""
        if not self._directory:
            self._directory = self.session.directory / f"{self.part.name}.d"
            self._directory.mkdir()
        return self._directory

    def _wait(self, argv: tuple[Any, ...], env: dict[str, str] | None, stdout: Any) -> int:
        command = [str(argument) for argument in argv]
        self.log.write(("$ " + " ".join(command) + "\n").encode())
        process = self.session.start([str(CPU_TIME), str(self.cpu_path), *command], env, stdout or self.log, self.log)
        try:
            while True:
                try:
                    return process.wait(HEARTBEAT_SECONDS)
                except subprocess.TimeoutExpired:
                    self._complain_of_silence(process)
        finally:
            self.session.forget(process)

    def _complain_of_silence(self, process: subprocess.Popen) -> None:
        """A part may take as long as it needs, as machines differ; but something has to happen meanwhile."""
        if time.time() - self.log_path.stat().st_mtime > self.session.silence_seconds:
            self.session.stop([process])
            raise Failed(f"nothing was printed for {self.session.silence_seconds / 60:.0f} minutes: it hangs")

    def try_call(self, *argv: Any, env: dict[str, str] | None = None) -> bool:
        """Runs a command with its output in the log; whether it ended with 0."""
        status = self._wait(argv, env, None)
        if status:
            self.log.write(f"--> status {status}\n".encode())
        return status == 0

    def call(self, *argv: Any, env: dict[str, str] | None = None) -> None:
        """The same; anything but 0 ends the part."""
        if not self.try_call(*argv, env=env):
            raise Failed(f"'{Path(argv[0]).name}' failed")

    def output(self, *argv: Any) -> str:
        """What a command that must succeed writes to its standard output."""
        with tempfile.TemporaryFile() as file:
            status = self._wait(argv, None, file)
            file.seek(0)
            text = file.read()
            self.log.write(text)
        if status:
            raise Failed(f"'{Path(argv[0]).name}' failed with status {status}")
        return text.decode(errors="replace")

    # Results

    def check(self, name: Any, passed: bool) -> None:
        """Counts one test case."""
        self.log.write(f"{'ok' if passed else 'NOT OK'}: {name}\n".encode())
        if passed:
            self.count.passed += 1
        else:
            self.count.failed.append(str(name))

    def junit(self, *paths: Path, ended_well: bool) -> None:
        """Counts the test cases in JUnit files. Those that were skipped did not pass. @ended_well says whether the
        program that wrote them thinks so."""
        before = len(self.count.failed)
        for path in paths:
            if not path.exists():
                raise Failed(f"there is no {path.name}: the tests did not run to their end")
            shutil.copy(path, self.session.logs / f"{self.part.name}-{path.name}")
            cases = list(xml.parse(path).getroot().iter("testcase"))
            # Of chosen files there may be none with a test for this host.
            if not cases and self.session.files is None:
                self.count.failed.append(f"{path.name}: no test ran")
            for case in cases:
                where = (case.get("classname") or path.stem).rpartition(".")[2]
                self.count.times.append((float(case.get("time") or 0), f"{where}::{case.get('name')}"))
                for used in case.iterfind("properties/property[@name='cpu_seconds']"):
                    self.count.files[where] = self.count.files.get(where, 0) + float(used.get("value") or 0)
                bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
                if bad:
                    name = f"{case.get('classname') or path.stem}: {case.get('name')} ({bad[0].tag})"
                    self.count.failed.append(name)
                    self.count.reasons.append(f"{name}:\n{first_lines(bad[0].text or bad[0].get('message') or '')}")
                else:
                    self.count.passed += 1
        if not ended_well and len(self.count.failed) == before:
            self.count.failed.append("the tests ended with an error though none of them failed")

    def tap(self, *argv: Any) -> None:
        """Runs a command that prints `ok NAME` or `not ok NAME` for each of its cases and `1..N` at its end."""
        with tempfile.TemporaryFile() as file:
            status = self._wait(argv, None, file)
            file.seek(0)
            text = file.read()
        self.log.write(text)
        lines = text.decode(errors="replace").splitlines()
        said: list[str] = []  # since the last case
        cases = failed = 0
        for line in lines:
            case = re.match(r"(not )?ok (.+)", line)
            if not case:
                said.append(line)
                continue
            cases += 1
            self.check(case.group(2), not case.group(1))
            if case.group(1):
                failed += 1
                self.count.reasons.append("\n".join([f"{case.group(2)}:", *said[-REASON_LINES:]]))
            said = []
        if f"1..{cases}" not in lines or (status and not failed):
            raise Failed(f"'{Path(argv[0]).name}' ended early, with status {status}")

    def no_reports(self, directory: Path, counts: Callable[[str], bool]) -> None:
        """One test case: that no file in @directory has a text that @counts."""
        bad = [path for path in sorted(directory.iterdir()) if counts(path.read_text(errors="replace"))]
        for path in bad:
            self.log.write(f"--- {path.name}\n{path.read_text(errors='replace')}\n".encode())
        self.check("no reports", not bad)

    def cpu_seconds(self) -> float:
        """The CPU time that its commands took. It depends less on what else the machine does than their time does."""
        return sum(map(float, self.cpu_path.read_text().split())) if self.cpu_path.exists() else 0

    def tail(self, lines: int) -> str:
        """The end of the log."""
        text = self.log_path.read_bytes().decode(errors="replace")
        return "\n".join(text.rstrip("\n").split("\n")[-lines:])

    def left_out(self) -> list[str]:
        """What the tests say that they had to leave out."""
        text = self.log_path.read_bytes().decode(errors="replace")
        return sorted(set(re.findall(r"^NOT RUN: (.+)$", text, re.M)))


class Session:
    """All that is common to the parts of one call: directories, processes, what was made."""

    def __init__(self, cache: Path, suite: str, silence_seconds: float):
        self.cache, self.suite, self.silence_seconds = cache, suite, silence_seconds
        self.logs = Path()
        self.products: dict[str, Path] = {}
        self.files: set[str] | None = None  # with integration tests; None for all
        self.selected: set[str] = set()  # names of the parts that are to run
        self.started = time.monotonic()
        self._processes: list[subprocess.Popen] = []
        self._lock = threading.Lock()
        self._stopping = False

    def __enter__(self) -> "Session":
        work = self.cache / "work"
        work.mkdir(parents=True, exist_ok=True)
        logs = self.cache / "logs"
        logs.mkdir(exist_ok=True)
        for old in sorted(path for path in logs.iterdir() if path.is_dir())[:-KEPT_LOGS]:
            shutil.rmtree(old)
        self.logs = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=logs))
        # As make_scratch_dir() in common.bash does it: dead sessions are recognized by the lock nobody holds.
        with open(work / "lock", "wb") as sweep:
            fcntl.flock(sweep, fcntl.LOCK_EX)
            self.directory = Path(tempfile.mkdtemp(dir=work))
            self._lock_file = open(self.directory / "lock", "wb")
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        # Short, as sockets are made below it, and on a disk, as images are.
        self.temporary = Path(tempfile.mkdtemp(prefix="nrt-", dir="/var/tmp"))
        # Some tests are other users than root: they have their homes there, and execute what was built.
        for path in (self.directory, self.temporary):
            path.chmod(0o755)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupted)
        return self

    @staticmethod
    def _interrupted(number: int, _frame: Any) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    def __exit__(self, *_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with self._lock:
            self._stopping = True
            processes = list(self._processes)
        self.stop(processes)
        for directory in (self.temporary, self.directory):
            self._unmount_below(directory)
            shutil.rmtree(directory, ignore_errors=True)
        self._lock_file.close()

    @staticmethod
    def _unmount_below(directory: Path) -> None:
        """What tests that were killed left mounted; the loop devices detach themselves."""
        with open("/proc/self/mounts", encoding="utf-8") as file:
            points = [line.split()[1] for line in file]
        for point in reversed(points):
            if point.startswith(f"{directory}/"):
                subprocess.run(["umount", "--lazy", point], check=False)

    def use(self, name: str, tree: Path) -> None:
        """Makes a root file system of the cache a product, which nobody else removes for as long as we live."""
        descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self.products[name] = tree

    # Processes

    def start(self, command: list[str], env: dict[str, str] | None, stdout: Any, stderr: Any) -> subprocess.Popen:
        """Starts a command that ends with the session."""
        environment = {"PATH": PATH, "HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8",
                       "TMPDIR": str(self.temporary), "PYTHONDONTWRITEBYTECODE": "1",
                       **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
                       **(env or {})}
        with self._lock:
            if self._stopping:
                raise Failed("interrupted")
            process = subprocess.Popen(command, env=environment, cwd=self.directory, stdin=subprocess.DEVNULL,
                                       stdout=stdout, stderr=stderr, start_new_session=True)
            self._processes.append(process)
            return process

    def forget(self, process: subprocess.Popen) -> None:
        """To be called when a command has ended."""
        with self._lock:
            self._processes.remove(process)

    @staticmethod
    def stop(processes: list[subprocess.Popen]) -> None:
        """Interrupts commands, which lets them tidy up, and kills them if that takes too long."""
        for number, patience in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, 10)):
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, number)
            deadline = time.monotonic() + patience
            while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
                time.sleep(0.05)

    # Parts

    def say(self, text: str) -> None:
        """A line on the screen."""
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)

    def run(self, parts: list[Part], selected: list[str], jobs: int) -> int:
        """Runs the selected parts and what they need, up to @jobs tests at the same time; returns the exit status."""
        self.selected = set(selected)
        by_name = {part.name: part for part in parts}
        wanted: set[str] = set()
        pending = list(selected)
        while pending:
            name = pending.pop()
            if name not in wanted:
                wanted.add(name)
                pending += by_name[name].needs
        waiting = [part for part in parts if part.name in wanted]
        done: dict[str, Count] = {}
        left_out: dict[str, list[str]] = {}
        running: dict[str, Work] = {}
        ended: "queue.Queue[Work]" = queue.Queue()
        try:
            while waiting or running:
                for part in self._ready(waiting, running, done, jobs):
                    waiting.remove(part)
                    running[part.name] = self._start(part, done, ended)
                try:
                    work = ended.get(timeout=HEARTBEAT_SECONDS)
                except queue.Empty:
                    for work in running.values():
                        self.say(f"{work.part.name}: {work.tail(1)[:100]}")
                    continue
                del running[work.part.name]
                done[work.part.name] = work.count
                left_out[work.part.name] = [] if work.part.product else work.left_out()
                self._report(work)
        except KeyboardInterrupt as interrupt:
            self.say(f"{interrupt or 'interrupted'}: stopping")
            for part in [*waiting, *(work.part for work in running.values())]:
                done[part.name] = Count(failed=["interrupted"])
        return self._summarize([part for part in parts if part.name in done], done, left_out)

    @staticmethod
    def _ready(waiting: list[Part], running: dict[str, Work], done: dict[str, Count], jobs: int) -> list[Part]:
        """What can start now, in the order of @waiting. Nobody overtakes a part that waits for room alone, or it might wait
        until the others are all done. A part that is too wide anyway runs by itself."""
        locks = {work.part.lock for work in running.values()} - {""}
        used = sum(work.part.width for work in running.values())
        ready: list[Part] = []
        for part in waiting:
            if part.lock in locks or not all(name in done for name in part.needs):
                continue
            if used and used + part.width > jobs:
                break
            ready.append(part)
            used += part.width
            locks |= {part.lock} - {""}
        return ready

    def _start(self, part: Part, done: dict[str, Count], ended: "queue.Queue[Work]") -> Work:
        work = Work(self, part)
        missing = [name for name in part.needs if done[name].failed]

        def run() -> None:
            began = time.monotonic()
            try:
                if missing:
                    raise Failed(f"needs {missing[0]}, which failed")
                part.function(work)
                if not part.product and not work.count.passed and not work.count.failed:
                    raise Failed("no test ran")
            except Failed as error:
                work.check(error, False)
            except Exception as error:  # a part that dies must not take the others with it
                work.check(f"{type(error).__name__}: {error}", False)
            work.count.seconds = time.monotonic() - began
            work.count.cpu_seconds = work.cpu_seconds()
            work.log.close()
            ended.put(work)

        self.say(f"{part.name}: begins")
        threading.Thread(target=run, daemon=True).start()
        return work

    def _report(self, work: Work) -> None:
        count, name = work.count, work.part.name
        if not count.failed:
            cases = "ready" if work.part.product else f"{count.passed} passed"
            self.say(f"{name}: {cases} ({count.seconds:.0f} s)")
            return
        self.say(f"{name}: FAILED; all of it is in {work.log_path}")
        # A log ends with what went well, too: what the failed cases say of themselves tells more than its end.
        print("\n".join(count.reasons[:REASONS]) if count.reasons else work.tail(TAIL_LINES))
        self.say(f"{name}: {count.passed} passed, {len(count.failed)} failed ({count.seconds:.0f} s)")

    def _summarize(self, parts: list[Part], done: dict[str, Count], left_out: dict[str, list[str]]) -> int:
        print()
        for part in parts:
            count = done[part.name]
            # What parts need counts only if it failed, or took time; then it is worth a line.
            if part.product and not count.failed and count.cpu_seconds < WORTH_SECONDS:
                continue
            print(f"{part.name:15} {count.passed:5} passed {len(count.failed):5} failed {count.seconds:7.0f} s"
                  f" {count.cpu_seconds:7.0f} s CPU")
            for name in count.failed[:20]:
                print(f"{'':15} failed: {name}")
        times = [(seconds, part.name, name) for part in parts for seconds, name in done[part.name].times]
        for seconds, part_name, name in sorted(times, reverse=True)[:SLOWEST]:
            print(f"slowest: {seconds:6.1f} s {part_name:15} {name}")
        used = [(seconds, part.name, name) for part in parts for name, seconds in done[part.name].files.items()]
        for seconds, part_name, name in sorted(used, reverse=True)[:SLOWEST]:
            print(f"most CPU time: {seconds:6.1f} s {part_name:15} {name}")
        for line in sorted({line for lines in left_out.values() for line in lines}):
            where = ", ".join(name for name, lines in left_out.items() if line in lines)
            print(f"not run in {where}: {line}")
        passed = sum(count.passed for count in done.values())
        failed = sum(len(count.failed) for count in done.values())
        print(f"logs: {self.logs}; {time.monotonic() - self.started:.0f} s")
        print(f"{passed} passed, {failed} failed", flush=True)
        return 1 if failed else 0
