"""What is told of a run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtime.bench.aims import AIMS, MINILM, Aim
from tests.runtime.bench.figures import Figures
from tests.runtime.bench.report import told

RUN = {"kind": "run", "ours": ["openvino-fp32", "openvino-int8", "torch-packed"], "lossy": ["openvino-int8"]}


def cell(target: str, number: int, texts_s: float, name: str = "c64", **other: Any) -> dict[str, Any]:
    record = {
        "kind": "cell",
        "model": MINILM,
        "target": target,
        "cell": name,
        "round": number,
        "texts_s": texts_s,
        "latency_ms": [1.0, 2.0],
        "health_ms": [3.0],
        "answered": 100,
        "wrong": 0,
        "errors": {},
        "cpu": 1.9,
        "client_cpu": 0.1,
        "others_cpu": 0.0,
        "load_before": 0.1,
        "pss_mb": 300.0,
    }
    return record | other


def aim(title: str) -> Aim:
    (found,) = (one for one in AIMS if one.title == title)
    return found


def test_ratios_are_taken_within_a_round_so_that_a_slow_moment_of_the_machine_is_in_both() -> None:
    rates = {"kserve": (100.0, 50.0, 100.0), "torch-packed": (300.0, 150.0, 300.0)}
    records = [cell(name, number, one) for name, found in rates.items() for number, one in enumerate(found)]

    assert Figures(records).ratios(MINILM, "c64", "torch-packed", "kserve") == pytest.approx([3, 3, 3])


def test_a_round_that_one_of_the_two_missed_has_no_ratio() -> None:
    records = [cell("kserve", 0, 100), cell("torch-packed", 0, 200), cell("torch-packed", 1, 400)]

    assert Figures(records).ratios(MINILM, "c64", "torch-packed", "kserve") == pytest.approx([2])


def test_the_best_peer_is_the_fastest_that_is_not_ours() -> None:
    records = [RUN, cell("kserve", 0, 100), cell("infinity-onnx", 0, 170), cell("torch-packed", 0, 300)]

    assert Figures(records).best_peer(MINILM, "c64") == "infinity-onnx"


def test_float32_and_int8_are_judged_each_by_itself() -> None:
    rates = {"kserve": 100, "openvino-fp32": 270, "torch-packed": 250, "openvino-int8": 600}
    figures = Figures([RUN, *(cell(name, 0, one) for name, one in rates.items())])

    assert aim("MiniLM, 64 clients, fp32, over KServe").value(figures) == pytest.approx(2.7)
    assert aim("MiniLM, 64 clients, int8, over KServe").value(figures) == pytest.approx(6)


def test_what_was_served_is_a_share_of_what_the_engine_did_alone_in_the_same_round() -> None:
    alone = {"kind": "inside", "model": MINILM, "target": "torch-packed", "cell": "c64", "round": 0, "texts_s": 400}
    figures = Figures([RUN, cell("torch-packed", 0, 300), alone])

    assert figures.shares(MINILM, "c64", "torch-packed") == pytest.approx([0.75])


def test_the_loss_of_accuracy_is_told_in_points() -> None:
    accuracies = {"openvino-fp32": 0.830, "openvino-int8": 0.827}
    records = [{"kind": "accuracy", "model": MINILM, "target": name, "accuracy": a} for name, a in accuracies.items()]
    figures = Figures([RUN, cell("openvino-fp32", 0, 300), cell("openvino-int8", 0, 500), *records])

    assert aim("int8, loss of accuracy on held-out sentences").value(figures) == pytest.approx(0.3)


def test_an_aim_that_was_not_measured_is_neither_met_nor_missed() -> None:
    lines = [one.told(Figures([RUN])) for one in AIMS]

    assert all(line.endswith("not measured") for line in lines)


@pytest.mark.parametrize(("value", "verdict"), [(25.0, "met"), (25.1, "MISSED")])
def test_an_aim_that_bounds_from_above_is_met_by_its_bound(value: float, verdict: str) -> None:
    assert Aim("Health", 25.0, lambda _: value, most=True).told(Figures([])).endswith(verdict)


def test_a_peer_that_could_not_be_started_is_in_the_report_with_its_reason() -> None:
    failed = {"kind": "failed", "model": MINILM, "target": "triton", "about": "Triton", "reason": "no libpython3.11.so"}

    assert "no libpython3.11.so" in told([RUN, failed])


def test_errors_and_wrong_answers_are_in_the_report() -> None:
    started = {"kind": "started", "model": MINILM, "target": "kserve", "about": "KServe", "ready_s": 9.0, "pss_mb": 900}
    report = told([RUN, started, cell("kserve", 0, 100, wrong=1, errors={"HTTP/1.1 500": 3})])

    assert "99.00 % of    100" in report
    assert "3 x HTTP/1.1 500" in report


def test_figures_of_a_machine_that_others_used_come_with_a_warning() -> None:
    assert "WARNING" not in told([RUN, cell("kserve", 0, 100)])
    assert "0.80 at most" in told([RUN, cell("kserve", 0, 100, others_cpu=0.8)])
