from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from pullsizer.controller.lanes import Lane, Lanes
from pullsizer.controller.questions import Question
from pullsizer.model import Source
from pullsizer.policy import SourceRules

MODEL = "hf://org/model"
HUB = Lane("")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rules(limit: int = 4, endpoint: str = "https://huggingface.co") -> SourceRules:
    hub = {"requestsPer5Minutes": limit, "endpoint": endpoint}
    return SourceRules.model_validate({"huggingFace": hub})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes(clock: Clock) -> Lanes:
    found = Lanes(clock=clock)
    found.set_rules(rules())
    return found


def use_up(lanes: Lanes, lane: Lane) -> int:
    count = 0
    while lanes.wait(lane) <= 0:
        lanes.take(lane).sent()
        count += 1
    return count


def left() -> float | None:
    return REGISTRY.get_sample_value("pullsizer_hub_requests_left")


@pytest.mark.parametrize(
    ("source", "lane"),
    [
        (Source(MODEL), HUB),
        (Source(MODEL, endpoint="https://HuggingFace.co.:443/"), HUB),
        (Source(MODEL, endpoint="https://hub.example.com/api"), Lane("hub.example.com")),
        (Source(MODEL, endpoint="not a URL"), Lane("?")),
        (Source(MODEL, endpoint="http://[::1"), Lane("?")),
        (Source("https://example.com/model.zip"), Lane(None)),
        (Source("nonsense"), Lane(None)),
    ],
)
def test_each_hub_has_a_lane_and_all_else_has_one(lanes: Lanes, source: Source, lane: Lane) -> None:
    assert lanes.of(Question(source, "")) == lane


def test_a_hub_whose_requests_are_used_up_is_closed_and_no_other_is(lanes: Lanes, clock: Clock) -> None:
    named = Lane("hub.example.com")
    assert use_up(lanes, HUB) == 3  # half at once, and the first of those that come evenly
    assert lanes.wait(HUB) == 150
    assert left() == 1
    assert use_up(lanes, named) == 3
    assert lanes.wait(Lane(None)) == 0
    clock.now += 150
    assert use_up(lanes, HUB) == 1


def test_the_limit_is_one_for_all_credentials(lanes: Lanes) -> None:
    use_up(lanes, HUB)
    assert lanes.wait(Lane("", "models")) == lanes.wait(HUB) > 0


def test_a_rest_is_for_those_who_were_told_to(lanes: Lanes, clock: Clock) -> None:
    lanes.pause(HUB, 60)
    lanes.pause(HUB, 30)
    assert lanes.wait(HUB) == 60
    assert left() == 0
    assert lanes.wait(Lane("", "models")) == 0
    clock.now += 60
    assert lanes.wait(HUB) == 0
    assert left() == 4


def test_another_hub_asked_for_no_rest_and_was_asked_nothing(lanes: Lanes) -> None:
    use_up(lanes, HUB)
    lanes.pause(HUB, 60)
    lanes.pause(Lane("hub.example.com"), 60)
    lanes.set_rules(rules(endpoint="https://mirror.example.com"))
    assert lanes.wait(HUB) == 0
    assert lanes.wait(Lane("hub.example.com")) == 60


def test_another_limit_counts_what_was_sent_before(lanes: Lanes) -> None:
    use_up(lanes, HUB)
    lanes.set_rules(rules(limit=100))
    assert left() == 97


def test_hubs_that_users_name_are_forgotten_when_nothing_of_them_counts(lanes: Lanes, clock: Clock) -> None:
    for number in range(100):
        lanes.take(Lane(f"hub-{number}.example.com")).sent()
    assert len(lanes._named) == 100
    clock.now += 300
    lanes.take(Lane("hub-7.example.com")).close()
    assert len(lanes._named) == 1


def test_what_is_no_hub_is_limited_by_nothing(lanes: Lanes) -> None:
    permission = lanes.take(Lane(None))
    permission.sent()
    permission.close()
    assert lanes.wait(Lane(None)) == 0
