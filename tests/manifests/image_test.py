#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs run in the root file system that becomes the image: nothing lacks, and nothing is in it
that has no business there.

    image_test.py TOPOLBD TOPOLB
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOTFS = Path(__file__).resolve().parents[2] / "k8s/rootfs.sh"
MAX_BYTES = 60 << 20

OBJECTS = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
"""


class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.root = Path(cls.directory.name)
        subprocess.run([ROOTFS, cls.root, *sys.argv[1:3]], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def run_inside(self, *command):
        def enter():
            os.chroot(self.root)
            os.chdir("/")
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              preexec_fn=enter, env={"PATH": "/usr/local/bin"})

    def test_programs_run(self):
        for command in ["topolbd", "--version"], ["topolb", "version"]:
            result = self.run_inside(*command)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("0.1.0", result.stdout)

    def test_they_read_and_print(self):
        (self.root / "objects").mkdir()
        (self.root / "objects/web.yaml").write_text(OBJECTS)
        result = self.run_inside("topolb", "plan", "--manifests", "/objects", "--node", "n1")
        self.assertIn("default/web", result.stdout, result.stderr)

    def test_files(self):
        files = [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]
        self.assertLess(sum(path.stat().st_size for path in files), MAX_BYTES)
        programs = {path.name for path in files
                    if path.stat().st_mode & 0o111 and ".so" not in path.name}
        self.assertEqual(programs, {"topolbd", "topolb"}, "no shell, no package manager")
        self.assertTrue((self.root / "usr/lib/ssl/certs/ca-certificates.crt").exists())
        licences = self.root / "usr/share/doc"
        self.assertGreater(len(list(licences.glob("*/copyright"))), 10)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
