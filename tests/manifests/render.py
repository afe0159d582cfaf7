# SPDX-License-Identifier: Apache-2.0
"""What kustomize and Helm make of k8s/, as objects: by small renderers of our own, which know what
our files use and take anything else for an error; and by the real programs where they are."""

import copy
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = ROOT / "k8s/helm/topolb"


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def name_of(thing):
    metadata = thing["metadata"]
    return f'{thing["kind"]} {metadata.get("namespace", "")}/{metadata["name"]}'


def by_name(things):
    """No two of one name."""
    named = {name_of(thing): thing for thing in things}
    if len(named) != len(things):
        raise RuntimeError(f"an object comes twice: {sorted(map(name_of, things))}")
    return named


def objects_in(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


def patch_place(thing, path):
    """The container that a JSON patch's path leads into, and the last step."""
    *steps, last = path.strip("/").split("/")
    for step in steps:
        thing = thing[int(step)] if isinstance(thing, list) else thing[step]
    return thing, last


def apply_patch(thing, patch):
    """JSON patch, RFC 6902: add at a list's end, replace."""
    for operation in yaml.safe_load(patch):
        place, last = patch_place(thing, operation["path"])
        if operation["op"] == "add" and last == "-":
            place.append(operation["value"])
        elif operation["op"] == "replace":
            key = int(last) if isinstance(place, list) else last
            place[key]  # must be there
            place[key] = operation["value"]
        else:
            raise RuntimeError(f"render.py does not know the patch {operation}")


def move_to_namespace(thing, namespace):
    if "namespace" in thing["metadata"]:
        thing["metadata"]["namespace"] = namespace
    for subject in thing.get("subjects", []):
        subject["namespace"] = namespace


def kustomize(directory, things=None):
    """`kustomize build DIRECTORY`; `things`: those that a component is put over."""
    directory = Path(directory).resolve()
    plan = yaml.safe_load((directory / "kustomization.yaml").read_text())
    unknown = plan.keys() - {"apiVersion", "kind", "namespace", "resources", "labels", "patches",
                             "components"}
    if unknown:
        raise RuntimeError(f"render.py does not know {unknown} of {directory}")
    things = list(things or [])
    for resource in plan.get("resources", []):
        path = directory / resource
        things += kustomize(path) if path.is_dir() else objects_in(path.read_text())
    for component in plan.get("components", []):
        things = kustomize(directory / component, things)
    for thing in things:
        if "namespace" in plan:
            move_to_namespace(thing, plan["namespace"])
        for labels in plan.get("labels", []):
            thing["metadata"].setdefault("labels", {}).update(labels["pairs"])
        for patch in plan.get("patches", []):
            target = patch["target"]
            if (thing["kind"], thing["metadata"]["name"]) == (target["kind"], target["name"]):
                apply_patch(thing, patch["patch"])
    return things


def real_kustomize(directory):
    """The program's word on the same, None where it is not installed."""
    program = os.environ.get("KUSTOMIZE") or shutil.which("kustomize")
    return objects_in(run(program, "build", directory)) if program else None


class Chart:
    """Renders the chart; the renderer is compiled into `cache`."""

    def __init__(self, cache):
        Path(cache).mkdir(parents=True, exist_ok=True)
        self.program = Path(cache) / "render_chart"
        environment = os.environ | {
            "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "",
            "GOCACHE": str(Path(cache).resolve() / "go-cache")}
        run("go", "build", "-o", self.program, HERE / "render_chart.go", env=environment)

    def _with_values(self, values, *command):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            return objects_in(run(*[file.name if word == "VALUES" else word for word in command]))

    def render(self, values, namespace="kube-system"):
        return self._with_values(values, self.program, CHART, namespace, "VALUES")

    def real(self, values, namespace="kube-system"):
        """As `helm template` prints it, None where there is no Helm."""
        program = os.environ.get("HELM") or shutil.which("helm")
        if not program:
            return None
        return self._with_values(values, program, "template", "topolb", CHART, "--namespace",
                                 namespace, "--values", "VALUES")


def with_pod_monitor(way, directory):
    """A copy of k8s/ in `directory`, and in it the overlay `way` with the component; its path."""
    shutil.copytree(ROOT / "k8s", Path(directory) / "k8s")
    overlay = Path(directory) / "k8s/overlays" / f"{way}-monitored"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [f"../{way}"], "components": ["../../components/pod-monitor"]}))
    return overlay


def container_of(things):
    daemon_set = by_name(things)["DaemonSet kube-system/topolb"]
    return copy.deepcopy(daemon_set["spec"]["template"]["spec"]["containers"][0])
