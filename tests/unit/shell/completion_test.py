#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The completions of topolb in real shells: completion_test.py TOPOLB"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOPOLB = ""

KUBECONFIG = """
contexts: [{name: prod, context: {cluster: c}}, {name: test, context: {cluster: c}}]
"""

MANIFEST = """
{kind: Service, apiVersion: v1, metadata: {namespace: default, name: web},
 spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}
---
{kind: Service, apiVersion: v1, metadata: {namespace: shop, name: db},
 spec: {clusterIP: 10.96.0.2, ports: [{port: 80}]}}
---
{kind: Node, apiVersion: v1, metadata: {name: n1, labels: {example.com/rack: r1}}}
"""

# What is typed, and the words offered at its end. DIRECTORY is one that holds MANIFEST.
CASES = [
    ("pl", ["plan"]),
    ("service ", ["list", "show"]),
    ("topology s", ["set"]),
    ("completion ", ["bash", "fish", "zsh"]),
    ("help ma", ["map"]),
    ("help map ", ["dump", "list"]),
    ("map dump se", ["service_names", "sets", "settings"]),
    ("check --sc", ["--scope"]),
    ("plan --node n1 --a", ["--all-nodes"]),
    ("plan --scope ", ["all", "opted-in"]),
    ("status -o ", ["json", "table"]),
    ("topology get --context ", ["prod", "test"]),
    ("plan --manifests DIRECTORY --node ", ["n1"]),
    ("explain --manifests DIRECTORY ", ["default/web", "shop/db"]),
    ("explain --manifests DIRECTORY def", ["default/web"]),
    ("plan --manifests DIRECTORY/b", ["DIRECTORY/below/"]),
    ("topology set default/web kubernetes.io/h", ["kubernetes.io/hostname"]),
    ("topology set default/web topology.kubernetes.io/zone '*' topo",
     ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]),
    ("foo ", []),
]

# Each shell gets all that is typed, line by line, and answers with the words of each and "#".
BASH = """
. <("$TOPOLB" completion bash)
[ "$(complete -p topolb)" = 'complete -F _topolb topolb' ] || exit 1
compopt() { :; }  # is for completions that run in a prompt
while IFS= read -r line; do
  eval "COMP_WORDS=($line)"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _topolb
  for word in "${COMPREPLY[@]}"; do
    if [ -d "$word" ]; then word+=/; fi
    printf '%s\\n' "$word"
  done
  echo "#"
done <<<"$TYPED"
"""

# The real _describe and _path_files put their words where only a prompt sees them.
ZSH = """
autoload -Uz compinit && compinit -u -D
. <("$TOPOLB" completion zsh)
[[ ${_comps[topolb]} == _topolb ]] || exit 1
_describe() { local item; for item in "${(@P)2}"; do print -r -- "${item%%:*}"; done }
_path_files() { print -rl -- ${words[CURRENT]}*(/N) | sed 's|.$|&/|'; }
while IFS= read -r line; do
  words=("${(@z)line}")
  [[ $line == *' ' ]] && words+=('')
  CURRENT=${#words}
  _topolb
  echo "#"
done <<<"$TYPED"
"""

FISH = """
"$TOPOLB" completion fish | source
for line in (string split \\n -- "$TYPED")
    complete -C "$line" | string replace -r '\\t.*' ''
    echo "#"
end
"""


class CompletionTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        (self.directory / "below").mkdir()
        (self.directory / "all.yaml").write_text(MANIFEST, encoding="utf-8")
        (self.directory / ".kube").mkdir()
        (self.directory / ".kube/config").write_text(KUBECONFIG, encoding="utf-8")

    def offered(self, shell, script, typed):
        """The words, sorted, for each of the lines typed."""
        # Found by its name, as for a user, and with a home where nothing else is set up.
        lines = "\n".join(f"topolb {line}" for line in typed)
        environment = {"PATH": f"{Path(TOPOLB).parent}:{os.environ['PATH']}", "TERM": "dumb",
                       "HOME": str(self.directory), "TOPOLB": TOPOLB,
                       "TYPED": lines.replace("DIRECTORY", str(self.directory))}
        result = subprocess.run([*shell, script], env=environment, text=True, timeout=60,
                                cwd=self.directory, capture_output=True, check=False)
        self.assertEqual(result.stderr, "")
        answers = result.stdout.replace(str(self.directory), "DIRECTORY").split("#\n")
        self.assertEqual(answers.pop(), "")
        return [sorted(filter(None, answer.split("\n"))) for answer in answers]

    def check(self, shell, script):
        answers = self.offered(shell, script, [typed for typed, _ in CASES])
        self.assertEqual(len(answers), len(CASES))
        for (typed, expected), answer in zip(CASES, answers):
            with self.subTest(typed=typed):
                self.assertEqual(answer, expected)

    def test_bash(self):
        self.check(["bash", "--norc", "-c"], BASH)

    def test_zsh(self):
        self.check(["zsh", "-f", "-c"], ZSH)

    def test_fish(self):
        self.check(["fish", "--no-config", "-c"], FISH)

    def test_a_star_is_quoted_in_bash(self):
        answers = self.offered(["bash", "--norc", "-c"], BASH, ["topology set default/web "])
        self.assertIn("\\*", answers[0])

    def test_bash_cuts_words_at_equals_signs(self):
        script = BASH.replace('eval "COMP_WORDS=($line)"',
                              "COMP_WORDS=(topolb plan --scope = op)")
        self.assertEqual(self.offered(["bash", "--norc", "-c"], script, ["-"]), [["opted-in"]])

    def test_kubectl_gets_the_words_of_its_plugin(self):
        link = self.directory / "kubectl_complete-topolb"
        link.symlink_to(TOPOLB)
        result = subprocess.run([link, "service", "l"], text=True, capture_output=True, check=True)
        self.assertEqual(
            result.stdout,
            "list\tthe Services in the kernel, and where their traffic goes\n:4\n")


if __name__ == "__main__":
    TOPOLB = os.path.abspath(sys.argv.pop())
    unittest.main()
