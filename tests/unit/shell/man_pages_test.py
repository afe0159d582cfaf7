#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages are without fault, and say what --help says: man_pages_test.py TOPOLB TOPOLBD"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOPOLB = TOPOLBD = ""


def output_of(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout


class ManPagesTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.pages = {Path(directory.name) / "topolb.1": output_of(TOPOLB, "__man"),
                      Path(directory.name) / "topolbd.8": output_of(TOPOLBD, "--man")}
        for path, text in self.pages.items():
            path.write_text(text, encoding="utf-8")

    def rendered(self, name):
        path = next(path for path in self.pages if path.name == name)
        text = output_of("groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", path)
        return re.sub(r"\s+", " ", text)

    def test_no_reader_finds_fault(self):
        for path in self.pages:
            for command in (["mandoc", "-T", "lint"], ["groff", "-man", "-ww", "-z", "-Tutf8"],
                            ["man", "--warnings", "-E", "UTF-8", "-l"]):
                with self.subTest(page=path.name, reader=command[0]):
                    result = subprocess.run([*command, path], text=True, capture_output=True,
                                            stdin=subprocess.DEVNULL, check=False)
                    self.assertEqual((result.stderr, result.returncode), ("", 0))
                    if command[0] != "man":
                        self.assertEqual(result.stdout, "")

    def test_every_command_of_topolb_is_there(self):
        text = self.rendered("topolb.1")
        words = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", output_of(TOPOLB, "--help"), re.MULTILINE)
        self.assertIn("topology set", words)
        for command in words:
            usage = re.search(r"Usage: ((?:.|\n)*?)\n\n", output_of(TOPOLB, *command.split(), "-h"))
            self.assertIn(re.sub(r"\s+", " ", usage[1]), text)
        self.assertIn("put it in quotes, '*',", text)

    def test_every_flag_of_topolbd_is_there(self):
        text = self.rendered("topolbd.8")
        flags = re.findall(r"--[a-z-]+", output_of(TOPOLBD, "--help"))
        self.assertIn("--max-services", flags)
        for flag in flags:
            self.assertIn(flag, text)
        for flag in ("-h, --help ", "--scope all|opted-in ", "--listen ADDRESS:PORT ",
                     "--max-services N "):
            self.assertIn(flag, text)
        self.assertNotIn("--man ", text)


if __name__ == "__main__":
    TOPOLBD = sys.argv.pop()
    TOPOLB = sys.argv.pop()
    unittest.main()
