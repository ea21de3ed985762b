"""More services than the Hub's request limit lets be asked about at once: `make bench-scale` with less of everything.

On a plane of its own, in which KServe's controller does not run: it would make three hundred Deployments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.bench.fleet import Fleet, condition, measured, until
from tests.controlplane import ControlPlane

pytestmark = pytest.mark.needs_own_plane

SERVICES: Final = 300
LIMIT: Final = 300
AT_ONCE: Final = LIMIT // 2
WRITING: Final = "patch modelpulls/status 200"
PLENTY: Final = 100_000


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with ControlPlane.create(parts=[]) as plane:
        found = Fleet(plane, LIMIT, latency=0.01)
        found.start()
        yield found


async def test_a_limit_holds_while_a_tenant_has_more_to_ask_and_another_tenant_is_next(fleet: Fleet) -> None:
    fleet.set_limit(LIMIT)
    before = set(fleet.hub_calls())
    await fleet.make("many", [f"hf://stub/model-{number}" for number in range(SERVICES)])
    found = await fleet.once("many", SERVICES, condition)
    waiting = [condition(item) for item in found if not measured(item)]
    assert len(waiting) > SERVICES - AT_ONCE - 60  # what came evenly meanwhile, every two seconds one
    assert {(item["status"], item["reason"]) for item in waiting} == {("Unknown", "Measuring")}

    # Waiting costs no writes: there are as many as models became known.
    fleet.writes()
    known = sum(map(measured, await fleet.model_pulls("many")))
    behind = len(fleet.hub_calls())
    await fleet.seconds_to_measured("few", "hf://stub/model-few", "few")
    wrote = fleet.writes()[WRITING]
    known = sum(map(measured, await fleet.model_pulls("many"))) - known
    assert wrote <= known + 2 + 1

    order = [path.removesuffix("/tree/main").rpartition("/")[2] for path in fleet.hub_calls()]
    assert order.index("model-few") <= behind + 3
    assert len(set(order) - before) < LIMIT

    fleet.set_limit(PLENTY)
    await fleet.once("many", SERVICES, measured)
    calls = {path: count for path, count in fleet.hub_calls().items() if path not in before}
    assert len(calls) == SERVICES + 1
    assert set(calls.values()) == {1}


async def test_services_with_one_model_cost_one_call(fleet: Fleet) -> None:
    fleet.set_limit(PLENTY)
    before = fleet.hub_calls()
    await fleet.make("same", ["hf://stub/model-same"] * 60)
    await fleet.once("same", 60, measured)
    assert fleet.hub_calls() - before == {"/api/models/stub/model-same/tree/main": 1}


async def test_a_restarted_controller_asks_and_writes_nothing(fleet: Fleet) -> None:
    fleet.set_limit(PLENTY)
    await fleet.make("kept", [f"hf://stub/model-k{number}" for number in range(40)])
    found = await fleet.once("kept", 40, measured)
    fleet.stop_controller()
    fleet.writes()
    calls = fleet.hub_calls()
    fleet.start_controller()
    await until(lambda: fleet.metric("pullsizer_modelpulls") >= len(found))
    await fleet.settled()
    assert fleet.hub_calls() == calls
    assert not [what for what in fleet.writes() if "modelpulls" in what]
