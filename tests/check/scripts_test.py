#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scripts say in one line what is wrong, and exit 2 when they cannot run here.

With the argument "root" the cases that take a right or a feature away from the script, which only
root can do (each in namespaces of its own); else the others.
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


def run(*command, **options):
    return subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, check=False, **options)


class ScriptsTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        # A copy that any user may read, wherever the repository is.
        self.directory.chmod(0o755)
        shutil.copytree(ROOT / "scripts", self.directory / "scripts")

    def script(self, name):
        return str(self.directory / "scripts" / name)

    def assert_one_line(self, result, code, *parts):
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)


class ArgumentsTest(ScriptsTest):
    def test_unknown_argument(self):
        result = run(self.script("test"), "--nonsense")
        self.assert_one_line(result, 2, "test: unknown argument '--nonsense'")

    def test_unknown_configuration(self):
        result = run(self.script("build"), "nonsense")
        self.assert_one_line(result, 2, "build: unknown configuration 'nonsense'")

    def test_help(self):
        for name in "test", "build", "check", "install-deps.sh", "bench":
            result = run(self.script(name), "--help")
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn(f"scripts/{name}", result.stdout)

    def test_nothing_to_install_takes_no_root_and_one_line(self):
        for arguments in [], ["--build"]:
            result = run(self.script("install-deps.sh"), *arguments)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(result.stdout, "==> dependencies: all there\n")

    def test_missing_command(self):
        (self.directory / "bin").mkdir()
        for name in "bash", "dirname":
            (self.directory / "bin" / name).symlink_to(shutil.which(name))
        result = run(self.script("build"), env={"PATH": str(self.directory / "bin")})
        self.assert_one_line(result, 2, "command 'meson' is missing: run 'sudo scripts/install-deps.sh'")

    def test_failed_command_shows_its_output_and_where_the_log_is(self):
        log = self.directory / "log"
        result = run("bash", "-c", f". {self.script('lib.sh')}; run_logged {log} sh -c 'echo why; exit 3'")
        self.assertEqual(result.returncode, 3)
        self.assertTrue(result.stderr.startswith("why\n"), result.stderr)
        self.assertIn(f"(log: {log})", result.stderr)


class RequirementsTest(ScriptsTest):
    def requires(self, function, *wrapper):
        """Runs a function of lib.sh inside `wrapper`."""
        return run(*wrapper, "bash", "-c", f". {self.script('lib.sh')}; {function}")

    def in_mount_namespace(self, preparation, command):
        return run("unshare", "--mount", "bash", "-ec", f"{preparation}; exec {command}")

    def with_os_release(self, text):
        file = self.directory / "os-release"
        file.write_text(text, encoding="utf-8")
        return self.in_mount_namespace(f"mount --bind {file} /etc/os-release",
                                       self.script("install-deps.sh"))

    def test_everything_is_there(self):
        result = self.requires("require_kernel")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_no_root(self):
        result = run(self.script("test"), user=NOBODY, group=NOBODY, extra_groups=[])
        self.assert_one_line(result, 2, "test: needs root: run 'sudo scripts/test'")

    def test_no_cgroup2(self):
        result = self.in_mount_namespace(
            "umount --all --lazy --types cgroup2",
            f"bash -c '. {self.script('lib.sh')}; require_cgroup2'")
        self.assert_one_line(result, 2, "no cgroup2 is mounted")

    def test_cgroup2_is_found_in_another_place(self):
        # A path, too long for the shell's own words to hold by chance.
        place = self.directory / "cgroup2-in-another-place"
        place.mkdir()
        result = self.in_mount_namespace(
            f"umount --all --lazy --types cgroup2; mount -t cgroup2 none {place}",
            f"bash -c '. {self.script('lib.sh')}; require_cgroup2; find_cgroup2'")
        self.assertEqual((result.stdout, result.stderr), (f"{place}\n", ""))

    def test_no_bpf(self):
        result = self.requires("require_bpf", "setpriv", "--bounding-set", "-bpf,-sys_admin",
                               "--inh-caps", "-bpf,-sys_admin")
        self.assert_one_line(result, 2, "the kernel refuses the bpf() system call")

    def test_no_btf(self):
        result = self.in_mount_namespace("mount -t tmpfs none /sys/kernel",
                                         f"bash -c '. {self.script('lib.sh')}; require_btf'")
        self.assert_one_line(result, 2, "the kernel has no BTF")

    def test_no_network_namespaces(self):
        result = self.requires("require_netns", "setpriv", "--bounding-set", "-sys_admin",
                               "--inh-caps", "-sys_admin")
        self.assert_one_line(result, 2, "cannot create a network namespace")

    def test_bpffs_is_mounted_once(self):
        result = self.in_mount_namespace(
            "umount --quiet --all --lazy --types bpf || true",
            f"bash -c '. {self.script('lib.sh')}; require_bpffs; require_bpffs; stat -fc %T /sys/fs/bpf'")
        self.assertEqual((result.stdout, result.stderr),
                         ("    mounted bpffs on /sys/fs/bpf\nbpf_fs\n", ""))

    def test_another_distribution(self):
        self.assert_one_line(self.with_os_release("ID=plan9\n"), 2, "unknown distribution 'plan9'")

    def test_another_debian(self):
        self.assert_one_line(self.with_os_release('ID=debian\nVERSION_ID="11"\n'), 2,
                             "Debian '11' is not supported")

    def with_nothing_installed(self, *wrapper):
        """No package is known to dpkg and apt, and there is no network to get one from."""
        status = self.directory / "status"
        status.touch()
        return run(
            "unshare", "--mount", "--net", "bash", "-ec",
            f"mount --bind {status} /var/lib/dpkg/status; mount -t tmpfs none /var/lib/apt/lists; "
            'mount -t tmpfs none /var/cache/apt; exec "$@"',
            "bash", *wrapper, self.script("install-deps.sh"))

    def test_packages_missing_and_no_root(self):
        result = self.with_nothing_installed("setpriv", f"--reuid={NOBODY}", "--clear-groups")
        self.assert_one_line(result, 2, "needs root to install ", "meson ")

    def test_packages_missing_and_no_mirror(self):
        result = self.with_nothing_installed()
        self.assert_one_line(result, 2, "no package mirror in reach", "build-logs/install-deps.log")

if __name__ == "__main__":
    chosen = RequirementsTest if sys.argv[1:] == ["root"] else ArgumentsTest
    unittest.main(argv=sys.argv[:1], defaultTest=chosen.__name__)
