# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of the test suite, and which integration tests, a change can break: for tools/run-tests --changed.

Meant for the minutes before a commit; what is merged has been through everything.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

CODE = ("format", "build", "unit")
RUN = ("integration", "nested-12", "nested-13")
PACKAGE = ("package-12", "package-13")
QUICKSTART = ("quickstart", "quickstart-here")
ALL = None  # every integration test, or every part

# For paths that begin so: parts, and integration tests if those are among the parts. Of several rows the longest
# beginning counts. What is in no row can break everything.
ROWS: dict[str, tuple[tuple[str, ...] | None, str | None]] = {
    "README.md": (("unit",), ""),
    "NEWS.md": (("unit",), ""),
    "CONTRIBUTING.md": (("unit",), ""),
    "LICENSE": (("unit",), ""),
    "docs/": (("unit",), ""),
    "docs/recipes.md": (("unit", "integration"), "recipes"),
    "man/": (("build", "unit"), ""),
    "shell-completion/": (("shellcheck", "unit"), ""),
    "systemd/": (("build", *RUN), "maintenance_units report"),
    "debian/": (("shellcheck", "unit", *PACKAGE), ""),
    "examples/": (("shellcheck", "unit", "package-13"), ""),
    "tools/build-deb": (("shellcheck", *PACKAGE), ""),
    "tools/lib/check-package": (("shellcheck", *PACKAGE), ""),
    "bench/": ((*CODE, "shellcheck"), ""),
    "tests/fuzz/": ((*CODE, "fuzz"), ""),
    "tests/unit/": (CODE, ""),
    "tests/simulation/": (("unit", *QUICKSTART, *RUN), ALL),
    "tests/integration/": (("unit", *RUN), ALL),
    "tests/programs/": ((*CODE, *RUN), "generations playbooks"),
    "tools/quickstart": (("shellcheck", *QUICKSTART), ""),
    "tools/lib/check-quickstart": (("shellcheck", *QUICKSTART), ""),
    "tools/vm": (("shellcheck", "vm"), ""),
    "tools/nested-host": (("shellcheck", "nested-12", "nested-13"), "job supervisor"),
    "src/agent/": ((*CODE, *RUN, "fuzz", "sanitize"), "agent cancel chroot_run exec_run exit isolation job "
                                                    "playbooks steps supervisor"),
    "src/cli/": ((*CODE, *RUN), "badinput chroot_run config definition doctor_toml exit generations images maintenance "
                                "registry_images setup status_gc upstream_table"),
    "src/config/": ((*CODE, *RUN, "fuzz"), "badinput binds config definition doctor_toml job"),
    "src/container/": ((*CODE, *RUN, "vm"), "binds cancel chroot_run crash isolation job parallel status_gc "
                                            "supervisor"),
    "src/definition/": ((*CODE, *RUN, "fuzz"), "definition maintenance maintenance_hostile maintenance_sources"),
    "src/doctor/": ((*CODE, *RUN), "doctor_toml setup"),
    "src/exec/": ((*CODE, "integration"), "exec_run"),
    "src/gitlab/": ((*CODE, *RUN, "fuzz"), "exit identity job real_jobs real_runner upstream_table"),
    "src/image/": ((*CODE, *RUN), "generations images maintenance maintenance_crash maintenance_together room "
                                  "registry_images status_gc storage"),
    "src/job/": ((*CODE, *RUN), "cancel crash exit identity job parallel registry_images services status_gc store "
                                "supervisor"),
    "src/machine/": ((*CODE, *RUN, "vm"), "badinput cancel chroot_run crash definition exit isolation job playbooks "
                                          "status_gc supervisor"),
    "src/maintain/": ((*CODE, *RUN), "images maintenance maintenance_crash maintenance_hostile maintenance_sources "
                                     "maintenance_together playbooks registry_images"),
    "src/preload/": ((*CODE, *RUN), "binds isolation"),
    "src/source/": ((*CODE, *RUN, "fuzz"), "images maintenance_hostile maintenance_sources push registry_images"),
    "src/storage/": ((*CODE, *RUN, "vm"), "crash disk generations isolation job storage"),
    "src/tree/": ((*CODE, *RUN), "crash generations images maintenance maintenance_crash maintenance_hostile storage"),
    "src/wire/": ((*CODE, *RUN, "fuzz", "sanitize"), "agent cancel exit job steps"),
}


@dataclass
class Selection:
    """What to run. @parts and @files are None where that is everything."""

    parts: set[str] | None = field(default_factory=set)
    files: set[str] | None = field(default_factory=set)

    def add(self, parts: tuple[str, ...] | None, files: str | None) -> None:
        """Also these."""
        self.parts = None if parts is ALL or self.parts is None else self.parts | set(parts)
        if parts is ALL or files is ALL or self.files is None:
            self.files = None
        else:
            self.files |= {f"test_{name}.py" for name in files.split()}


def select(paths: list[str]) -> Selection:
    """What changes of these files can break."""
    selection = Selection()
    for path in paths:
        name = path.removeprefix("tests/integration/")
        if name == "test_limits.py":
            selection.add(("unit", "vm"), "")
        elif name != path and name.startswith("test_"):
            selection.add(("unit", *RUN), name.removeprefix("test_").removesuffix(".py"))
        else:
            rows = [row for row in ROWS if path.startswith(row)]
            selection.add(*(ROWS[max(rows, key=len)] if rows else (ALL, ALL)))
    return selection


def changed(source: Path, base: str) -> list[str]:
    """The files of the work tree that are not as they are in commit @base, removed ones too."""
    out = []
    for command in (["diff", "--name-only", "--no-renames", base], ["ls-files", "--others", "--exclude-standard"]):
        out += subprocess.run(["git", "-C", source, *command], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.splitlines()
    return out
