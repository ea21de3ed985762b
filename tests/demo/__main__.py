"""`make demo`: a real Kubernetes with the real KServe, Pullsizer installed on it, services, and what they got.

First five whose pulls are sized, then two classifiers that are also served, and asked.

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
from tests.demo import classifiers, local
from tests.demo.pods import NAMESPACE, until_sized
from tests.demo.report import render
from tests.installation import Installation, start_hub

SERVICES: Final = Path(__file__).with_name("services.yaml")
_SERVE: Final = "--serve"


def main() -> int:
    keep = os.environ.get("KEEP", "") not in ("", "0")
    begin = time.monotonic()
    try:
        if sys.argv[1:] == [_SERVE]:
            _serve()
            return 0
        made = classifiers.models()
        if keep:
            return _detached()
        say(f"Starting Kubernetes {versions.KUBERNETES} with KServe {versions.KSERVE} on this machine.")
        with ControlPlane.create() as plane:
            show(plane, made)
            say("Stopping everything. `KEEP=1 make demo` leaves it running for you to look around.")
    except ControlPlaneError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    say(f"Done in {time.monotonic() - begin:.0f} s.")
    return 0


def say(text: str) -> None:
    print(f"\n— {text}\n" if text.endswith(":") else f"— {text}", flush=True)


def show(plane: ControlPlane, made: classifiers.Models) -> list[local.Local]:
    """The demo itself, on a control plane that runs; the model servers that it leaves running."""
    say("Installing Pullsizer from deploy/base; its two roles run beside the cluster, with their own ServiceAccounts.")
    stub = start_hub(plane, repositories=made.repositories())
    classifiers.install(plane)  # now, as KServe takes a moment to know of it
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
    print(render([until_sized(plane, item)[0] for item in services]), flush=True)
    say("What Pullsizer knows (kubectl get mpull):")
    plane.until(lambda: len(_measured(plane)) >= len(services), 30, "every ModelPull is measured")
    print(plane.kubectl("get", "modelpulls", f"--namespace={NAMESPACE}"))
    say("What it told the services' owners (kubectl get events):")
    names = {item["metadata"]["name"] for item in services}
    plane.until(lambda: names <= {event["involvedObject"]["name"] for event in _events(plane)}, 30, "an Event for each")
    for event in _events(plane):
        print(f"{event['type']:<8}{event['reason']:<18}{event['involvedObject']['name']:<15}{event['message']}")
    print(flush=True)
    return _classifiers(plane, made)


def _classifiers(plane: ControlPlane, made: classifiers.Models) -> list[local.Local]:
    """Two services that are served, too."""
    services = classifiers.services()
    file = classifiers.SERVICES.relative_to(CHECKOUT)
    say(f"Applying two classifiers for the runtime pullsizer-classifier ({file}); their pulls are sized as any:")
    plane.apply(services, f"--namespace={NAMESPACE}")
    pulls, pods = zip(*(until_sized(plane, item) for item in services), strict=True)
    servers = [
        local.start(plane, pull.service, pod, made.exported[pull.service])
        for pull, pod in zip(pulls, pods, strict=True)
    ]
    print(render(list(pulls)), flush=True)
    say("No kubelet starts containers here, so this machine does: as KServe wrote them, but for folder and address:")
    for server in servers:
        local.until_ready(plane, server)
        print(f"{server.name:<11}{server.command}", flush=True)
    say("Ids, as KServe's own server answers; and labels, where a request asks for them:")
    classifiers.ask_all(servers, made)
    return servers


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
    made, daemon = classifiers.models(), Daemon()
    told = os.fdopen(os.dup(1), "w")
    with daemon.log.open("wb") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    sys.stdout = sys.stderr = told

    def show_and_let_go(plane: ControlPlane) -> None:
        words = {server.name: f"{server.url}/ui" for server in show(plane, made)}
        words |= {"kubeconfig": str(plane.kubeconfig), "kubectl": str(plane.kubectl_path), "namespace": NAMESPACE}
        print(_NEXT.substitute(words))
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

In a browser: $sentiment, to write about a film; $digits, to drop a picture of a digit

The end: make cluster-down""")


if __name__ == "__main__":
    sys.exit(main())
