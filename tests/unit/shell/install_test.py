#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` puts where: install_test.py BUILD"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = ""

FILES = [
    "bin/topolb",
    "bin/topolbd",
    "bin/kubectl-topolb",
    "bin/kubectl_complete-topolb",
    "share/bash-completion/completions/topolb",
    "share/zsh/site-functions/_topolb",
    "share/fish/vendor_completions.d/topolb.fish",
    "share/man/man1/topolb.1",
    "share/man/man8/topolbd.8",
]


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir",
                        cls.directory.name], check=True, capture_output=True)
        cls.prefix = Path(cls.directory.name) / "usr/local"

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_every_file_is_there(self):
        for name in FILES:
            with self.subTest(name=name):
                self.assertTrue((self.prefix / name).is_file())
                self.assertGreater((self.prefix / name).stat().st_size, 100)

    def test_the_plugin_is_the_same_program(self):
        for name in ("kubectl-topolb", "kubectl_complete-topolb"):
            self.assertEqual(os.readlink(self.prefix / "bin" / name), "topolb")
        help_text = subprocess.run([self.prefix / "bin/kubectl-topolb", "--help"], text=True,
                                   capture_output=True, check=True).stdout
        self.assertIn("Usage: kubectl topolb COMMAND", help_text)


if __name__ == "__main__":
    BUILD = sys.argv.pop()
    unittest.main()
