"""From a name to a server that has answered, and is asleep."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import orjson

from classifier_runtime.errors import ModelRefused
from tests.bench.load import LoadError
from tests.controlplane import ControlPlaneError, NoToolchainError
from tests.models.recipes import NotMadeError
from tests.runtime.bench import environments
from tests.runtime.bench.asking import Client
from tests.runtime.bench.environments import Unavailable, say
from tests.runtime.bench.measure import Record, Target
from tests.runtime.bench.ours import RUNTIME
from tests.runtime.bench.processes import Crowd, Died, Started, free_ports, post
from tests.runtime.bench.server import Place, Server
from tests.runtime.bench.subjects import Subject

_REASONS: Final = (Unavailable, Died, ControlPlaneError, NoToolchainError, NotMadeError, ModelRefused, OSError)


def start(crowd: Crowd, server: Server, subject: Subject, *, alone: bool) -> tuple[Target | None, Record]:
    """Whatever keeps a peer from running is a line of the report, not the end of the bench.

    :param alone: whether the engine of one of ours is started by itself, too
    """
    head = {"model": subject.name, "target": server.name, "about": server.about}
    try:
        started = _start(crowd, server, subject)
        memory = started.megabytes
        started.sleep()
        inside = _inside(crowd, server, subject) if alone and server.ours else None
    except _REASONS as error:
        say(f"{server.name} cannot be measured: {error}")
        return None, {"kind": "failed", **head, "reason": str(error)}
    versions = environments.versions(server.environment) if server.environment is not None else []
    record = {"kind": "started", **head, "ready_s": started.ready, "pss_mb": memory, "versions": versions}
    say(f"{server.name} is ready after {started.ready:.1f} s")
    return Target(server, started, subject, inside), record


def _start(crowd: Crowd, server: Server, subject: Subject) -> Started:
    programs = Path(sys.executable).parent
    if server.environment is not None:
        programs = environments.ensure(server.environment) / "bin"
    name = f"{subject.name}-{server.name}"
    first, second = free_ports(2)
    place = Place(programs, subject, (first, second), crowd.scratch(name))
    url = f"http://127.0.0.1:{first}"
    client = Client(server, url, subject.ids)
    body = orjson.dumps(server.question(subject.texts[:1]))

    def answers() -> bool:
        answer = post(url + server.path, body)
        if answer is None:
            return False
        found = client.understood(answer)
        if len(found) != 1:
            raise Died(f"one text was asked and {len(found)} answered: {answer[:200]!r}")
        return True

    try:
        return crowd.start(name, first, server.command(place), server.variables(), answers)
    except LoadError as error:
        raise Died(str(error)) from error


def _inside(crowd: Crowd, server: Server, subject: Subject) -> Started:
    name = f"{subject.name}-{server.name}-alone"
    (port,) = free_ports(1)
    texts = crowd.scratch(name) / "texts.json"
    texts.write_bytes(orjson.dumps(subject.texts))
    command = [sys.executable, "-m", "tests.runtime.bench.inprocess", str(server.model(subject)), server.engine]
    paths = {"PYTHONPATH": os.pathsep.join((str(RUNTIME), str(RUNTIME.parent)))}
    started = crowd.start(
        name,
        port,
        [*command, str(port), str(texts)],
        paths,
        lambda: post(f"http://127.0.0.1:{port}/") is not None,
    )
    started.sleep()
    return started
