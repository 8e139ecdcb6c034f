# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documents: what is set off as a block in README.md, CONTRIBUTING.md, docs/ and the man pages."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
DOCUMENTS = [SOURCE / "README.md", SOURCE / "CONTRIBUTING.md", *sorted((SOURCE / "docs").glob("*.md")),
             *sorted((SOURCE / "man").glob("*.scd"))]


def _fenced(lines: list[str], i: int) -> tuple[str, int]:
    """The block whose opening fence is line @i, without its indentation, and the number of the line after it."""
    indentation = lines[i][:len(lines[i]) - len(lines[i].lstrip())]
    body = []
    for number in range(i + 1, len(lines)):
        if lines[number].strip() == "```":
            return "\n".join(body) + "\n", number + 1
        body.append(lines[number].removeprefix(indentation))
    raise AssertionError(f"a block is not closed: {lines[i + 1]}")


def _indented(lines: list[str], i: int) -> tuple[str, int]:
    """The same for a block of Markdown that is only indented."""
    end = i
    while end < len(lines) and (lines[end].startswith("    ") or (not lines[end] and lines[end + 1:end + 2] and
                                                                  lines[end + 1].startswith("    "))):
        end += 1
    return "".join(line[4:] + "\n" for line in lines[i:end]), end


def blocks_of(path: Path) -> list[str]:
    """The text of each block, in order."""
    lines, found, i = path.read_text(encoding="utf-8").splitlines(), [], 0
    while i < len(lines):
        if re.match(r"\s*```\w*$", lines[i]):
            text, i = _fenced(lines, i)
            found.append(text)
        elif path.suffix == ".md" and re.match(r"    \S", lines[i]) and (i == 0 or not lines[i - 1]):
            text, i = _indented(lines, i)
            found.append(text)
        else:
            i += 1
    return found


def _names(texts: list[str]) -> dict[str, str]:
    """Each by as many of its first lines as it takes to tell it from the others."""
    out = {}
    for text in texts:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        for n in range(1, len(lines) + 1):
            name = " | ".join(lines[:n])
            if sum(" | ".join(line.strip() for line in other.splitlines() if line.strip()).startswith(name)
                   for other in texts) == 1:
                break
        out[name] = text
    return out


def all_blocks() -> dict[str, str]:
    """The text of each block by "FILE: FIRST LINE"."""
    return {f"{path.relative_to(SOURCE)}: {name}": text for path in DOCUMENTS
            for name, text in _names(blocks_of(path)).items()}
