#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule of scripts/check finds what it forbids, in the right line, and lets the rest pass."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check"
APACHE = "// SPDX-License-Identifier: Apache-2.0\n"
DUAL = "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n"
LATER = "TO" + "DO"

# rule, what the case is about, path, content, the start of the finding (None: no finding)
CASES = [
    ("format", "two blanks", "userspace/util/a.cpp", "int  a;\n", "userspace/util/a.cpp:1: "),
    ("format", "as it should be", "userspace/util/a.cpp", "int a;\n", None),
    ("shell", "unquoted variable", "scripts/a", "#!/bin/bash\nrm $1\n", "scripts/a:2: "),
    ("shell", "no shell script", "scripts/a", "#!/usr/bin/env python3\nrm $1\n", None),
    ("licences", "none", "userspace/util/a.h", "#pragma once\n", "userspace/util/a.h:1: "),
    ("licences", "Apache", "userspace/util/a.h", APACHE, None),
    ("licences", "below the shebang", "scripts/a", "#!/bin/sh\n#" + APACHE[2:], None),
    ("licences", "BPF with Apache", "bpf/a.bpf.c", APACHE, "bpf/a.bpf.c:1: "),
    ("licences", "maps with Apache", "maps/a.h", APACHE, "maps/a.h:1: "),
    ("licences", "BPF", "bpf/a.bpf.c", DUAL, None),
    ("licences", "BPF of a test", "tests/bpf/a.bpf.c", DUAL, None),
    ("licences", "userspace with dual", "userspace/util/a.h", DUAL, "userspace/util/a.h:1: "),
    ("licences", "JSON has no comments", "tests/a.json", "{}\n", None),
    ("includes", "core from util", "userspace/util/a.h", '\n#include "core/plan.h"\n',
     "userspace/util/a.h:2: util may not include core/plan.h"),
    ("includes", "kube from dataplane", "userspace/dataplane/a.h", '#include "kube/decode.h"\n',
     "userspace/dataplane/a.h:1: "),
    ("includes", "dataplane from kube", "userspace/kube/a.h", '#include "dataplane/a.h"\n',
     "userspace/kube/a.h:1: "),
    ("includes", "agent from cli", "userspace/cli/a.h", '#include "agent/loop.h"\n',
     "userspace/cli/a.h:1: "),
    ("includes", "map layout from core", "userspace/core/a.h", '#include "maps/layout.h"\n',
     "userspace/core/a.h:1: only dataplane may include maps/layout.h"),
    ("includes", "skeleton from cli", "userspace/cli/a.cpp", '#include "lb_sock.skel.h"\n',
     "userspace/cli/a.cpp:1: "),
    ("includes", "map layout from dataplane", "userspace/dataplane/a.h", '#include "maps/layout.h"\n', None),
    ("includes", "downwards", "userspace/agent/a.h", '#include "kube/decode.h"\n', None),
    ("pure", "a clock", "userspace/core/a.h", "#include <chrono>\n", "userspace/core/a.h:1: "),
    ("pure", "a thread", "userspace/core/a.h", "#include <thread>\n", "userspace/core/a.h:1: "),
    ("pure", "environment", "userspace/core/a.cpp", 'std::getenv("A");\n', "userspace/core/a.cpp:1: "),
    ("pure", "a container", "userspace/core/a.h", "#include <map>\n", None),
    ("pure", "a clock elsewhere", "userspace/agent/a.h", "#include <chrono>\n", None),
    ("leftovers", "in code", "bpf/a.bpf.c", f"// {LATER}: more\n", "bpf/a.bpf.c:1: "),
    ("leftovers", "a test switched off", "tests/unit/a.cpp", "TEST(A, DISABLED" + "_b)\n",
     "tests/unit/a.cpp:1: "),
    ("leftovers", "a skip", "tests/unit/a.cpp", "GTEST" + "_SKIP();\n", "tests/unit/a.cpp:1: "),
    ("leftovers", "part of a word", "userspace/util/a.h", f"int {LATER}S;\n", None),
    ("size", "501 lines", "userspace/util/a.h", "\n" * 501, "userspace/util/a.h:501: "),
    ("size", "500 lines", "userspace/util/a.h", "\n" * 500, None),
    ("decisions", "not in the index", "docs/decisions/0001-a.md", "", "docs/decisions/0001-a.md:1: "),
]


class RulesTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.write("docs/decisions/README.md", APACHE + "[A](0002-a.md)\n")

    def write(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def check(self, *arguments):
        command = [sys.executable, str(CHECK), "--root", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_builds_are_not_checked(self):
        self.write("build-x/a.cpp", "int  a;\n")
        self.assertEqual(self.check("format").stdout, "format: ok\n")

    def test_a_listed_decision_is_fine(self):
        self.write("docs/decisions/0002-a.md", "")
        self.assertEqual(self.check("decisions").returncode, 0)

    def tidy(self, **sources):
        """Runs the rule on these sources of one target."""
        self.write(".clang-tidy", "Checks: '-*,modernize-use-nullptr'\nWarningsAsErrors: '*'\n"
                                  "HeaderFilterRegex: '/userspace/'\n")
        commands = []
        for name, content in sources.items():
            source = f"userspace/util/{name}.cpp"
            self.write(source, content)
            commands.append({"directory": f"{self.root}/build", "file": f"../{source}",
                             "command": f"c++ -c ../{source}", "output": f"util/{name}.o"})
        self.write("build/compile_commands.json", json.dumps(commands))
        return self.check("--build", str(self.root / "build"), "tidy")

    def test_tidy_finding(self):
        result = self.tidy(a="int a;\n", b="int* pointer() {\n  return 0;\n}\n")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stdout, r"^userspace/util/b.cpp:2: use nullptr .*\(tidy\)\n$")

    def test_tidy_clash_of_two_sources(self):
        result = self.tidy(a="static const int kA = 1;\n", b="static const int kA = 2;\n")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("userspace/util/b.cpp:1: redefinition of 'kA'", result.stdout)

    def test_tidy_silent(self):
        result = self.tidy(a="static const int kA = 1;\n", b="static const int kB = 2;\n")
        self.assertEqual((result.stdout, result.returncode), ("tidy: ok\n", 0), result.stderr)

    def test_tidy_without_a_build_cannot_run(self):
        result = self.check("--build", str(self.root / "build"), "tidy")
        self.assertEqual(result.returncode, 2)
        self.assertIn("run scripts/build first", result.stderr)

    def test_unknown_rule(self):
        self.assertEqual(self.check("nonsense").returncode, 2)


def case_test(rule, path, content, expected):
    def test(self):
        self.write(path, content)
        result = self.check(rule)
        if expected is None:
            self.assertEqual((result.stdout, result.returncode), (f"{rule}: ok\n", 0))
        else:
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertTrue(result.stdout.startswith(expected), result.stdout)
            self.assertTrue(result.stdout.endswith(f"({rule})\n"), result.stdout)

    return test


for number, (rule_, about, path_, content_, expected_) in enumerate(CASES):
    name = f"test_{number:02}_{rule_}_{about.replace(' ', '_')}"
    setattr(RulesTest, name, case_test(rule_, path_, content_, expected_))

if __name__ == "__main__":
    unittest.main()
