import os
import unittest

from words import words


class Words(unittest.TestCase):
    def test_words(self):
        for text, n in (("", 0), ("one", 1), (" one  two\nthree ", 3)):
            with self.subTest(text=text):
                self.assertEqual(words(text), n)

    @unittest.skipUnless(os.environ.get("DJANGO") == "5.0", "for Django 5.0 only")
    def test_new(self):
        self.assertEqual(words("five"), 1)
