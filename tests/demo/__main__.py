"""`make demo`: a real Kubernetes with the real KServe, Pullsizer installed on it, five services, and what they got.

KEEP=1 leaves all of it running in the background.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from string import Template
from typing import Any, Final

import yaml

from tests.controlplane import ControlPlane, ControlPlaneError, versions
from tests.controlplane.daemon import CHECKOUT, Daemon
from tests.demo.report import Sized, render, sized
from tests.installation import Installation, start_hub

SERVICES: Final = Path(__file__).with_name("services.yaml")
NAMESPACE: Final = "demo"
_SERVE: Final = "--serve"
_LABELS: Final = {
    "InferenceService": "serving.kserve.io/inferenceservice",
    "LLMInferenceService": "app.kubernetes.io/name",
}


def main() -> int:
    keep = os.environ.get("KEEP", "") not in ("", "0")
    begin = time.monotonic()
    try:
        if sys.argv[1:] == [_SERVE]:
            _serve()
            return 0
        if keep:
            return _detached()
        say(f"Starting Kubernetes {versions.KUBERNETES} with KServe {versions.KSERVE} on this machine.")
        with ControlPlane.create() as plane:
            show(plane)
            say("Stopping everything. `KEEP=1 make demo` leaves it running for you to look around.")
    except ControlPlaneError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    say(f"Done in {time.monotonic() - begin:.0f} s.")
    return 0


def say(text: str) -> None:
    print(f"\n— {text}\n" if text.endswith(":") else f"— {text}", flush=True)


def show(plane: ControlPlane) -> None:
    """The demo itself, on a control plane that runs."""
    say("Installing Pullsizer from deploy/base; its two roles run beside the cluster, with their own ServiceAccounts.")
    stub = start_hub(plane)
    policy = (
        "mode: Auto\n"
        "sources:\n"
        "  huggingFace:\n"
        f"    endpoint: {stub}\n"
        "  # The stand-in for a web server is on this machine; without this line loopback is never called.\n"
        "  allowCIDRs: [127.0.0.1/32]\n"
    )
    Installation(plane, policy).start()
    services = [item for item in yaml.safe_load_all(Template(SERVICES.read_text()).substitute(STUB=stub)) if item]
    say(f"Applying {len(services)} services ({SERVICES.relative_to(CHECKOUT)}).")
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    plane.apply(services, f"--namespace={NAMESPACE}")
    say("What became of the container that pulls each model:")
    print(render([_until_sized(plane, item) for item in services]), flush=True)
    say("What Pullsizer knows (kubectl get mpull):")
    plane.until(lambda: len(_measured(plane)) >= len(services), 30, "every ModelPull is measured")
    print(plane.kubectl("get", "modelpulls", f"--namespace={NAMESPACE}"))
    say("What it told the services' owners (kubectl get events):")
    plane.until(lambda: len(_events(plane)) >= len(services), 30, "an Event for each service")
    for event in _events(plane):
        print(f"{event['type']:<8}{event['reason']:<18}{event['involvedObject']['name']:<15}{event['message']}")
    print(flush=True)


def _until_sized(plane: ControlPlane, service: dict[str, Any]) -> Sized:
    title = f"{service['kind']} {service['metadata']['name']}"
    found = plane.until(lambda: _pull(plane, service), 60, f"{title} is sized")
    assert found is not None
    return found


def _pull(plane: ControlPlane, service: dict[str, Any]) -> Sized | None:
    name = service["metadata"]["name"]
    selector = f"--selector={_LABELS[service['kind']]}={name}"
    found = plane.kubectl("get", "pods", f"--namespace={NAMESPACE}", selector, "--output=json")
    return next(filter(None, (sized(name, pod) for pod in json.loads(found)["items"])), None)


def _measured(plane: ControlPlane) -> list[dict[str, Any]]:
    return [
        item
        for item in plane.get("modelpulls", namespace=NAMESPACE)["items"]
        for condition in item.get("status", {}).get("conditions", ())
        if (condition["type"], condition["status"]) == ("Measured", "True")
    ]


def _events(plane: ControlPlane) -> list[dict[str, Any]]:
    """Ours, the oldest first."""
    found: list[dict[str, Any]] = plane.get("events", namespace=NAMESPACE)["items"]
    ours = [item for item in found if "pullsizer" in json.dumps([item.get("source"), item.get("reportingComponent")])]
    return sorted(ours, key=lambda item: str(item["metadata"]["creationTimestamp"]))


def _detached() -> int:
    """The demo in a process of its own that stays; what it says is passed on until it has said all."""
    if Daemon().pid() is not None:
        raise ControlPlaneError("a cluster of this checkout is already up; `make cluster-down` ends it")
    say(f"Starting Kubernetes {versions.KUBERNETES} with KServe {versions.KSERVE} on this machine, to stay.")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo", _SERVE],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
        if Daemon().pid() is not None:
            process.returncode = 0  # it goes on, and nobody waits for it
        return process.wait()


def _serve() -> None:
    """What `_detached` starts. Its words go to whoever reads, until all is said; what its own children say, to the log.

    So the pipe is in nobody's hands but ours, and its end is ours to make.
    """
    daemon = Daemon()
    told = os.fdopen(os.dup(1), "w")
    with daemon.log.open("wb") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    sys.stdout = sys.stderr = told

    def show_and_let_go(plane: ControlPlane) -> None:
        show(plane)
        print(_NEXT.substitute(kubeconfig=plane.kubeconfig, kubectl=plane.kubectl_path, namespace=NAMESPACE))
        sys.stdout, sys.stderr = sys.__stdout__ or told, sys.__stderr__ or told
        told.close()

    daemon.serve(show_and_let_go)


_NEXT: Final = Template("""\
— It stays up. In your shell:

export KUBECONFIG=$kubeconfig
alias kubectl=$kubectl

kubectl get inferenceservices,llminferenceservices,pods -n $namespace
kubectl get mpull -n $namespace
kubectl describe isvc ernie-28b -n $namespace
kubectl explain mpull.status
kubectl edit configmap pullsizer-config -n pullsizer-system     # try `mode: Off`
kubectl annotate isvc ernie-28b -n $namespace pullsizer.dev/model-size=15gigs

The end: make cluster-down""")


if __name__ == "__main__":
    sys.exit(main())
