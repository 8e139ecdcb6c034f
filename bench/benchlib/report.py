# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns figures into Markdown: a table per measurement, then one that compares with what is to be reached."""

from statistics import median

from .contenders import Driver
from .gitlab import STAGES
from .measure import LEVELS

MS = 1000


def table(head, rows, left=1):
    """A Markdown table; the first @left columns are text, the others numbers."""
    lines = [head, [":--" if i < left else "--:" for i in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def ratio(value, base):
    return f"{value / base:.2f}" if base else "–"


def ms(seconds):
    value = seconds * MS
    return f"{value:.2f}" if value < 20 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


class Report:
    def __init__(self, contenders):
        self._contenders = {contender.name: contender for contender in contenders}
        self._targets = []
        self._sections = []

    def text(self):
        parts = list(self._sections)
        if self._targets:
            parts.append("### Targets\n\n" + table(
                ("what", "measured", "compared with", "ratio", "target", "reached"), self._targets, left=3))
        return "\n".join(parts)

    def missed(self):
        return [row[0] for row in self._targets if row[-1] == "**no**"]

    def add(self, measure, figures):
        getattr(self, "_" + measure.replace("-", "_"))(figures)

    def _section(self, title, *args, note="", **kwargs):
        self._sections.append(f"### {title}\n\n" + table(*args, **kwargs) + (f"\n{note}\n" if note else ""))

    def _target(self, what, measured, compared, value, limit, reached):
        self._targets.append((what, measured, compared, value, limit, "yes" if reached else "**no**"))

    def _drivers(self, figures):
        return [name for name in figures if isinstance(self._contenders.get(name), Driver)]

    def _title(self, name):
        return self._contenders[name].title

    def _jobs(self, figures):
        whole = {name: median(job["whole"] for job in played) for name, played in figures.items()}
        rows = []
        for name, played in figures.items():
            def middle(stage, played=played):
                return ms(median(job["stages"][stage] for job in played))
            rows.append((
                self._title(name), middle("config"), middle("prepare"),
                ms(median(job["stages"][stage] for job in played for stage in STAGES)), middle("cleanup"),
                ms(whole[name]), ratio(whole[name], whole.get("floor")),
                ratio(whole[name], whole.get("by-hand")),
                ms(median(job["cpu"] for job in played)), ms(median(job["left"] for job in played))))
        rounds = len(next(iter(figures.values())))
        self._section(
            "Whole jobs, one after the other",
            ("", "config", "prepare", "one run", "cleanup", "whole job", "/ floor", "/ by hand", "CPU",
             "left running after cleanup"), rows,
            note=f"Milliseconds, medians of {rounds} jobs each; a job is config, prepare, six runs, cleanup.")

        if "overlay-noboot" in whole and "floor" in whole:
            value, base = whole["overlay-noboot"], whole["floor"]
            self._target("whole job, overlay, boot: no", f"{ms(value)} ms", f"floor, {ms(base)} ms",
                         ratio(value, base), "≤ 2", value <= 2 * base)
        if "overlay-boot" in whole and "by-hand" in whole:
            value, base = whole["overlay-boot"], whole["by-hand"]
            self._target("whole job, overlay, boot: yes", f"{ms(value)} ms", f"by hand, {ms(base)} ms",
                         ratio(value, base), "≤ 0.5", value <= base / 2)
        elif "overlay-boot" in whole:
            self._targets.append(("whole job, overlay, boot: yes", f"{ms(whole['overlay-boot'])} ms",
                                  "by hand", "–", "≤ 0.5", "not measured: systemd is not PID 1"))

    def _empty_run(self, figures):
        names = {"nothing": "a script with nothing in it", "empty": "GitLab's form of an empty script"}
        medians = {kind: {name: median(seconds) for name, seconds in by_name.items()}
                   for kind, by_name in figures.items()}
        rows = [(self._title(name), *(cell for kind in names for cell in (
            ms(medians[kind][name]), ratio(medians[kind][name], medians[kind].get("host")))))
            for name in medians["nothing"]]
        self._section(
            "One run of an empty script",
            ("", *(cell for kind in names for cell in (names[kind], "/ host"))), rows,
            note=f"Milliseconds, medians of {len(figures['nothing']['host'])}.")
        for name in self._drivers(medians["nothing"]):
            for kind, text in names.items():
                value, base = medians[kind][name], medians[kind]["host"]
                self._target(f"run of {text}, {name}", f"{ms(value)} ms", f"bash on the host, {ms(base)} ms",
                             ratio(value, base), "≤ 1.5", value <= 1.5 * base)

    def _throughput(self, figures):
        rates = {name: {level: median(values) for level, values in by_level.items()}
                 for name, by_level in figures.items()}
        self._section(
            "Jobs per second, several at once",
            ("", *(f"{level} at once" for level in LEVELS), "8 / 1"),
            [(self._title(name), *(f"{by_level[level]:.1f}" for level in LEVELS),
              ratio(by_level[8], by_level[1])) for name, by_level in rates.items()])
        for name in self._drivers(rates):
            value, base = rates[name][8], rates[name][1]
            self._target(f"throughput of 8 at once, {name}", f"{value:.1f} jobs/s",
                         f"1 at once, {base:.1f} jobs/s", ratio(value, base), "≥ 1.5", value >= 1.5 * base)

    def _services(self, figures):
        prepare = {int(count): median(seconds) for count, seconds in figures.items()}
        self._section(
            "prepare of a job with services",
            ("services", "prepare", "/ none"),
            [(str(count), ms(value), ratio(value, prepare[0])) for count, value in prepare.items()],
            note=f"Milliseconds, medians of {len(next(iter(figures.values())))}; overlay, boot: no, network: private.")
        self._target("prepare with one service", f"{ms(prepare[1])} ms", f"without, {ms(prepare[0])} ms",
                     ratio(prepare[1], prepare[0]), "≤ 1.6", prepare[1] <= 1.6 * prepare[0])

    def _network(self, figures):
        prepare = {name: median(seconds) for name, seconds in figures["prepare"].items()}
        cpu = {name: median(seconds) for name, seconds in figures["cpu"].items()}
        rates = {kind: {name: median(values) / (1 << 20) for name, values in by_name.items()}
                 for kind, by_name in figures["download"].items()}
        fast, wire = rates["unlimited"], rates["gigabit"]
        host = "host-itself"
        self._section(
            "Networks",
            ("", "prepare, ms", "CPU of a job, ms", "download, MiB/s", "/ first row", "at 1 Gbit/s, MiB/s", "/ first row"),
            [(title, ms(prepare[name]) if name in prepare else "–", ms(cpu[name]) if name in cpu else "–", f"{fast[name]:.0f}", ratio(fast[name], fast[host]),
              f"{wire[name]:.0f}", ratio(wire[name], wire[host]))
             for name, title in ((host, "without a container"), ("host", "network: host"), ("private", "network: private"))],
            note=f"Medians of {len(figures['prepare']['host'])}; overlay, boot: no. The server is on the same host.")
        more = prepare["private"] - prepare["host"]
        self._target("prepare with network: private", f"{ms(prepare['private'])} ms",
                     f"with network: host, {ms(prepare['host'])} ms", f"+{ms(more)} ms", "≤ +5 ms", more <= 0.005)
        self._target("download at 1 Gbit/s with network: private", f"{wire['private']:.0f} MiB/s",
                     f"without a container, {wire[host]:.0f} MiB/s", ratio(wire["private"], wire[host]), "≥ 0.9",
                     wire["private"] >= 0.9 * wire[host])

    def _leftovers(self, figures):
        kinds = list(next(iter(figures.values()))[0]["left"])
        rows = []
        for name, rounds in figures.items():
            worst = {kind: max(each["left"][kind] for each in rounds) for kind in kinds}
            stuck = any(each["until_gone"] is None for each in rounds)
            total = sum(worst.values())
            rows.append((self._title(name), *worst.values(), "never" if stuck else "–" if total == 0 else
                         ms(max(each["until_gone"] for each in rounds))))
            if name in self._drivers(figures):
                self._target(f"left after cleanup, {name}",
                             ", ".join(f"{n} {kind}" for kind, n in worst.items() if n) or "nothing",
                             "nothing", "–", "0", total == 0)
        self._section(
            "What is left when cleanup has returned",
            ("", *kinds, "gone after ms"), rows,
            note=f"The highest count in {len(rounds)} jobs, each of which had left three processes running.")

    def _output(self, figures):
        rates = {kind: {name: median(values) for name, values in by_name.items()}
                 for kind, by_name in figures.items()}
        self._section(
            "Output through run",
            ("", *(cell for kind in rates for cell in (f"{kind}, MiB/s", "/ host"))),
            [(self._title(name), *(cell for kind in rates for cell in (
                f"{rates[kind][name] / (1 << 20):.0f}", ratio(rates[kind][name], rates[kind].get("host")))))
             for name in next(iter(rates.values()))])
        for kind, by_name in rates.items():
            for name in self._drivers(by_name):
                value, base = by_name[name], by_name["host"]
                self._target(f"output of {kind}, {name}", f"{value / (1 << 20):.0f} MiB/s",
                             f"cat on the host, {base / (1 << 20):.0f} MiB/s", ratio(value, base), "≥ 0.5",
                             value >= base / 2)

    def _image_size(self, figures):
        rows = []
        for name, sizes in figures.items():
            small, large = median(sizes["small"]), median(sizes["large"])
            rows.append((self._title(name), ms(small), ms(large), ratio(large, small)))
            self._target(f"prepare of a large image, {name}", f"{ms(large)} ms",
                         f"small image, {ms(small)} ms", ratio(large, small), "0.8 to 1.2",
                         0.8 <= large / small <= 1.2)
        self._section("Prepare and the size of the image", ("", "small", "large", "large / small"), rows,
                      note="Milliseconds, medians.")

    def _memory(self, figures):
        rows = []
        for name, figure in figures.items():
            per_job, peaks = figure["per_job"], figure["peaks"]
            highest = max(peaks, key=peaks.get)
            seen = (f"{each['processes']} × {process}" for process, each in figure["per_name"].items())
            rows.append((self._title(name), f"{per_job['Pss']:.0f}", f"{per_job['Rss']:.0f}",
                         f"{peaks[highest]} ({highest})",
                         ", ".join(seen)))
            for key, text in (("Pss", "proportional"), ("Rss", "resident")):
                self._target(f"memory per idle job ({text}), {name}", f"{per_job[key]:.0f} KiB", "2 MiB",
                             ratio(per_job[key], 2048), "≤ 1", per_job[key] <= 2048)
            self._target(f"peak of any process of the driver, {name}", f"{peaks[highest]} KiB", "6 MiB",
                         ratio(peaks[highest], 6144), "≤ 1", peaks[highest] <= 6144)
        self._section("Memory", ("", "PSS per idle job", "RSS per idle job", "highest peak", "processes seen"),
                      rows, note="KiB, the driver's processes only (those of systemd-nspawn and of the image are"
                                 " not counted).")
