"""What deploy/chart has from elsewhere: `python -m tests.deploy.chart` writes it, with `--check` it only looks.

CRD, rights and webhook configurations come from deploy/base, and the policy's values from its config.yaml, so that
there is one place where each is written by hand. The rest of the chart is written by hand too; a test compares what it
renders to with what deploy/base does.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.controlplane import ControlPlaneError, binaries

from .manifests import Manifests
from .render import BASE, ROOT, documents
from .values_schema import policy_schema

CHART: Final = ROOT / "deploy" / "chart"
VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
COPIED: Final = ("crd.yaml", "rbac-webhook.yaml", "rbac-controller.yaml", "rbac-users.yaml", "admission.yaml")
"""Manifests of deploy/base of which only namespaces and labels are Helm's."""

_POLICY: Final = re.compile(
    r"(?<=helm upgrade`: it works within seconds, and no pod is restarted\.\n)(?s:.*?)(?=# ====)"
)
_REFERENCE: Final = "#/$defs/policy/properties/"


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.chart", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where it is not up to date")
    check = parser.parse_args(argv).check
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    if not check:
        for path, text in generated().items():
            path.write_text(text)
    elif stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"{names}: not what deploy/base and the policy make of it; run `make chart`", file=sys.stderr)
        return 1
    return 0


def generated() -> dict[Path, str]:
    """The files that are not, or not wholly, written by hand."""
    templates = {CHART / "templates" / name: template(name, (BASE / name).read_text()) for name in COPIED}
    return {**templates, VALUES: values(VALUES.read_text()), SCHEMA: schema(SCHEMA.read_text())}


def template(name: str, manifest: str) -> str:
    """The manifest as a template: its namespaces are Helm's to choose, and its labels have Helm's beside them."""
    if "{{" in manifest:
        raise ValueError(f"deploy/base/{name}: a template would act on the {{{{ in it; find another way to write that")
    # Quoted where it stands alone: namespaces may have names of digits.
    text = re.sub(r"(?<=[ \[])pullsizer-system(?=[],\n])", "{{ .Release.Namespace | quote }}", manifest)
    text = text.replace("pullsizer-system", "{{ .Release.Namespace }}")
    text = text.replace("namespace: kserve\n", "namespace: {{ .Values.kserveNamespace | quote }}\n")
    # Of whole objects only: metadata further in is indented.
    text = re.sub(r"^metadata:\n(?:  .*\n)+", _labelled, text, flags=re.MULTILINE)
    if name == "crd.yaml":
        # With the definition every ModelPull would go: what was learnt, and what another installation needs.
        text = text.replace("\nmetadata:\n", "\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1)
    return f"# Written by `make chart` from deploy/base/{name}.\n{text}"


def _labelled(metadata: re.Match[str]) -> str:
    include = '    {{- include "pullsizer.labels" . | nindent 4 }}\n'
    if "  labels:\n" in metadata[0]:
        return metadata[0].replace("  labels:\n", f"  labels:\n{include}")
    return f"{metadata[0]}  labels:\n{include}"


def values(text: str) -> str:
    """values.yaml with the policy's settings as config.yaml has them; its first lines speak of the file itself."""
    _, settings = (BASE / "config.yaml").read_text().split("\n\n", 1)
    written, places = _POLICY.subn(lambda _: f"\n{settings}\n", text)
    if places != 1:
        raise ValueError(
            f"{VALUES.relative_to(ROOT)}: where does the policy go? {_POLICY.pattern} is there {places} times"
        )
    return written


def schema(text: str) -> str:
    """values.schema.json with the policy as it is now; all other properties are written by hand."""
    document = json.loads(text)
    policy = policy_schema()
    own = {key: value for key, value in document["properties"].items() if not _of_policy(value)}
    document["properties"] = {key: {"$ref": _REFERENCE + key} for key in policy["properties"]} | own
    document["$defs"]["policy"] = policy
    return json.dumps(document, indent=2) + "\n"


def _of_policy(value: dict[str, Any]) -> bool:
    return str(value.get("$ref", "")).startswith(_REFERENCE)


def helm_template(*args: str, values: str = "", namespace: str = "pullsizer-system") -> Manifests:
    """What `helm install` of the chart would apply.

    :param values: a values file's text
    :raises ControlPlaneError: with what Helm says of it
    """
    command = [
        str(binaries.path("helm")),
        "template",
        "pullsizer",
        str(CHART),
        f"--namespace={namespace}",
        "--values=-",
    ]
    done = subprocess.run([*command, *args], input=values, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ControlPlaneError(f"helm template: {done.stderr.strip()}")
    return Manifests(documents(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
