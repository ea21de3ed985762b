"""The control plane's processes, certificates, ports and documents, without a control plane."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.controlplane import ports, warden
from tests.controlplane.cluster import Cluster, Document
from tests.controlplane.errors import ControlPlaneError
from tests.controlplane.pki import Pki
from tests.controlplane.processes import Processes

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path / "plane")
    yield made
    if made.folder.exists():
        made.close()


def test_a_part_that_dies_while_it_starts_is_reported_with_the_end_of_its_log(processes: Processes) -> None:
    script = "seq 1 100; echo the reason; exit 3"
    part = processes.start("part", ["sh", "-c", script], {}, lambda: False)
    with pytest.raises(ControlPlaneError) as caught:
        processes.wait_ready(part)
    lines = str(caught.value).splitlines()
    assert lines[0] == "part died with status 3; the end of its log:"
    assert lines[1:] == [*map(str, range(77, 101)), "the reason"]


def test_a_part_that_never_serves_is_reported_with_the_end_of_its_log(processes: Processes) -> None:
    part = processes.start("part", ["sh", "-c", "echo waiting; sleep 60"], {}, lambda: False)
    with pytest.raises(ControlPlaneError, match=r"part is not ready after 0 s:\nwaiting"):
        processes.wait_ready(part, timeout=0.3)


def test_a_program_that_does_not_exist_is_reported(processes: Processes) -> None:
    part = processes.start("part", ["/no/such/program"], {}, lambda: False)
    with pytest.raises(ControlPlaneError, match="/no/such/program cannot be started"):
        processes.wait_ready(part)


def test_a_name_is_used_by_one_process_at_a_time(processes: Processes) -> None:
    processes.start("part", ["sleep", "60"], {})
    with pytest.raises(ControlPlaneError, match="part runs already"):
        processes.start("part", ["sleep", "60"], {})
    processes.stop("part")
    processes.start("part", ["sleep", "60"], {})


def test_a_process_started_by_a_thread_outlives_the_thread(processes: Processes) -> None:
    thread = threading.Thread(target=processes.start, args=("part", ["sleep", "60"], {}))
    thread.start()
    thread.join()
    time.sleep(0.1)
    processes.check("part")


def test_those_who_do_not_heed_the_signal_are_killed_all_the_same(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.controlplane.processes.GRACE", 0.2)
    part = processes.start("deaf", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"], {})
    while "up" not in processes.tail("deaf"):
        time.sleep(0.02)
    assert processes.stop("deaf") == -signal.SIGKILL
    assert part.popen.poll() == -signal.SIGKILL


OWNER = """
import sys, time
from pathlib import Path
from tests.controlplane.processes import Processes
processes = Processes(Path(sys.argv[1]))
processes.start("one", ["sleep", "600"], {})
# Its child ignores polite signals and has a session of its own.
processes.start("two", ["sh", "-c", "trap '' TERM HUP INT; setsid sleep 600 & sleep 600"], {})
print(processes.mark, flush=True)
if sys.argv[2:] == ["leave"]:
    sys.exit()
time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=["SIGKILL", "SIGTERM", "exit"])
def test_nothing_is_left_whatever_ends_the_owner(end: signal.Signals | None, tmp_path: Path) -> None:
    folder = tmp_path / "plane"
    command = [sys.executable, "-c", OWNER, str(folder), *([] if end else ["leave"])]
    owner = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        mark = owner.stdout.readline().strip()
    try:
        if end:
            until(lambda: len(warden.marked(mark)) == 4, "all four of its processes run")
            owner.send_signal(end)
            owner.wait(5)
        until(lambda: not warden.marked(mark), "no process is left")
        until(lambda: not folder.exists(), "no file is left")
    finally:
        owner.kill()
        owner.wait()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_ports_are_never_given_twice_and_below_those_of_outgoing_connections() -> None:
    given = [ports.free_port() for _ in range(50)]
    assert len(set(given)) == 50
    assert max(given) < ports._first_ephemeral()


def test_addresses_are_in_a_certificate_as_addresses(tmp_path: Path) -> None:
    crt, key = Pki(tmp_path).server("it", hosts=("127.0.0.1", "it.svc"))
    names = x509.load_pem_x509_certificate(crt.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.value.get_values_for_type(x509.DNSName) == ["it.svc"]
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_has_a_ca_keeps_it(tmp_path: Path) -> None:
    assert Pki(tmp_path).ca_bundle == Pki(tmp_path).ca_bundle


def test_webhooks_are_registered_by_url_and_otherwise_as_shipped() -> None:
    rules = [{"operations": ["CREATE"]}]
    by_service = {"service": {"name": "s", "namespace": "n", "path": "/mutate"}, "caBundle": "old"}
    documents: list[Document] = [
        {"kind": "Service", "metadata": {"name": "s"}},
        {"kind": "MutatingWebhookConfiguration", "webhooks": [{"clientConfig": by_service, "rules": rules}]},
        {
            "kind": "CustomResourceDefinition",
            "spec": {"conversion": {"webhook": {"clientConfig": {"service": {"path": "/convert"}}}}},
        },
    ]
    before = json.dumps(documents)

    kept = Cluster.webhook_by_url(documents, 9443)
    given = Cluster.webhook_by_url(documents, 9443, "new")

    assert kept[0] == documents[0]
    expected = {"url": "https://127.0.0.1:9443/mutate", "caBundle": "old"}
    assert kept[1]["webhooks"] == [{"clientConfig": expected, "rules": rules}]
    assert kept[2]["spec"]["conversion"]["webhook"]["clientConfig"] == {"url": "https://127.0.0.1:9443/convert"}
    assert given[1]["webhooks"][0]["clientConfig"] == expected | {"caBundle": "new"}
    assert json.dumps(documents) == before, "the caller's documents are left alone"
