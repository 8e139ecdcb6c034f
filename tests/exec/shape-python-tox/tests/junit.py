"""Runs the tests, and writes what came of them as JUnit does."""
import sys
import unittest
from xml.sax.saxutils import quoteattr


class Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        rows.append([test.id().rpartition(".")[2], ""])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        rows[-1][1] = f"<failure message={quoteattr(str(err[1]))}/>"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        rows[-1][1] = "<skipped/>"


rows = []
result = unittest.TextTestRunner(resultclass=Result).run(unittest.defaultTestLoader.discover("tests", top_level_dir="."))
with open(sys.argv[1], "w", encoding="utf-8") as file:
    file.write('<testsuite name="words">' + "".join(f'<testcase name="{name}">{text}</testcase>' for name, text in rows) + "</testsuite>")
sys.exit(not result.wasSuccessful())
