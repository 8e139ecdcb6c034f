# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of `exec` as a page: write-page makes one, whose names and logs try to get out of their place. It is read here by
a parser, and shown by a browser.

Called by meson as `python3 test-exec-page.py WRITE-PAGE`.
"""

import html.parser
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium"))), None)
VOID = {"meta"}
ELEMENTS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "div", "svg", "g", "path", "text", "rect", "a",
            "table", "tr", "th", "td", "ul", "li", "b", "i", "details", "summary", "pre"}


class Reader(html.parser.HTMLParser):
    """Finds every element, and that each is closed where it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict]] = []
        self.text: dict[str, str] = {}
        self.id = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.id = dict(attrs).get("id", self.id)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.text[self.id] = self.text.get(self.id, "") + data


class Page(unittest.TestCase):
    """One page for all."""

    @classmethod
    def setUpClass(cls):
        cls.page = subprocess.run([PROGRAM], stdout=subprocess.PIPE, check=True).stdout.decode()
        cls.reader = Reader()
        cls.reader.feed(cls.page)
        cls.reader.close()

    def test_elements(self):
        """Only ours, closed, without anything that runs or loads."""
        self.assertEqual(self.reader.open, [])
        for name, attributes in self.reader.found:
            self.assertIn(name, ELEMENTS)
            for key, value in attributes.items():
                self.assertNotRegex(key, "^on|^src|style")
                if key == "href":
                    self.assertRegex(value, r"^#log-\d+$")
        self.assertIn("default-src 'none'", self.page)

    def test_links(self):
        """Each job's log is there once."""
        ids = [attributes["id"] for _, attributes in self.reader.found if "id" in attributes]
        self.assertEqual(len(ids), len(set(ids)))
        for _, attributes in self.reader.found:
            if "href" in attributes:
                self.assertIn(attributes["href"][1:], ids)

    def test_logs(self):
        """The text is as it was, without what is for a terminal."""
        log = self.reader.text["log-0"]
        self.assertIn("$ make </pre></details><script>document.title='out'</script> done & gone\n", log)
        self.assertIn("\nprogress 100% \ufffd x31m\n", log)
        self.assertNotIn("title\x07", self.page)
        self.assertIsNone(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", self.page))

    def test_table(self):
        """What became of the jobs."""
        table = self.reader.text["jobs"]
        for line in ("<img src=x onerror='document.title=1'></script>", "publish", "'<img src=x onerror='document.title=1'>' failed",
                     "its script ended with <1>, in the last try", "start it with --manual", "failed (allowed)"):
            self.assertIn(line.removesuffix("</script>"), table)
        self.assertIn("2 tests, 1 failed, 0 skipped", self.reader.text["tests"])

    def test_browser(self):
        """A browser reads it as it was meant, and draws it."""
        self.assertTrue(BROWSER, "no chromium is installed: 'tools/install-deps check' installs it")
        with tempfile.TemporaryDirectory(prefix="nspawn-runner-test-") as directory:
            path = Path(directory) / "page.html"
            # What it draws where is asked by a script of ours, which only a page without the policy lets run.
            script = ("<script>const box = e => e.getBoundingClientRect();"
                      "const boxes = [...document.querySelectorAll('#graph rect')].map(box);"
                      "const inside = [...document.querySelectorAll('#graph g text')].every(t => box(t).right <= "
                      "box(t.parentNode.querySelector('rect')).right);"
                      "const apart = boxes.every((a, i) => boxes.every((b, k) => i == k || a.right < b.left || b.right < a.left || "
                      "a.bottom < b.top || b.bottom < a.top));"
                      "const bars = [...document.querySelectorAll('#gantt rect')].every(e => box(e).width > 1);"
                      "document.body.dataset.drawn = [boxes.length, inside, apart, bars, "
                      "document.querySelectorAll('.needs path').length].join()</script></body>")
            path.write_text(re.sub('<meta http-equiv="[^>]*>', "", self.page).replace("</body>", script), encoding="utf-8")
            done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={directory}/profile",
                                   "--window-size=1200,1600", "--dump-dom", path.as_uri()],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env={"HOME": directory})
        dom = done.stdout.decode()
        self.assertEqual(re.findall('data-drawn="([^"]*)"', dom), ["9,true,true,true,5"])
        # No script but ours, and none of theirs ran.
        self.assertEqual(dom.count("<script>"), 1)
        self.assertIn("<title>group/&lt;project&gt;: pipeline failed</title>", dom)
        self.assertNotIn("<img", dom)


if __name__ == "__main__":
    unittest.main()
