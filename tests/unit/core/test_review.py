"""AdmissionReviews in, answers out."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.admission.review import Request, allow, decode, deny
from pullsizer.errors import InvalidReview


def review(version: str = "admission.k8s.io/v1", **request: Any) -> bytes:
    return orjson.dumps({"apiVersion": version, "kind": "AdmissionReview", "request": {"uid": "u-1", **request}})


def test_all_that_we_read_of_a_request_is_read() -> None:
    found = decode(
        review(
            kind={"group": "", "version": "v1", "kind": "Pod"},
            operation="CREATE",
            namespace="team-a",
            object={"metadata": {"name": "a"}},
            oldObject={"metadata": {"name": "b"}},
            userInfo={"username": "me"},
            dryRun=True,
            subResource="status",
        )
    )
    assert found == Request(
        api_version="admission.k8s.io/v1",
        uid="u-1",
        kind="Pod",
        operation="CREATE",
        namespace="team-a",
        object={"metadata": {"name": "a"}},
        old_object={"metadata": {"name": "b"}},
        user="me",
        dry_run=True,
        subresource="status",
    )


def test_a_deletion_has_no_object_and_a_creation_no_old_one() -> None:
    found = decode(review(object=None, oldObject=None))
    assert (found.object, found.old_object, found.namespace, found.dry_run) == ({}, {}, "", False)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is empty; send an AdmissionReview"),
        (b"\xff", "the body is not JSON; send an AdmissionReview"),
        (b"{", "the body is not JSON; send an AdmissionReview"),
        (b"[" * 100_000, "the body is not JSON; send an AdmissionReview"),
        (b"[]", "the body is not an AdmissionReview"),
        (b'"AdmissionReview"', "the body is not an AdmissionReview"),
        (b'{"kind": "Pod", "apiVersion": "v1"}', "the body is not an AdmissionReview"),
        (
            review("admission.k8s.io/v2"),
            "AdmissionReview 'admission.k8s.io/v2' is not served; send admission.k8s.io/v1 or admission.k8s.io/v1beta1",
        ),
        (b'{"kind": "AdmissionReview"}', "AdmissionReview 'None' is not served"),
        (
            b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}',
            "the AdmissionReview has no request with a uid",
        ),
        (
            b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": 7}}',
            "the AdmissionReview has no request with a uid",
        ),
    ],
)
def test_what_is_no_review_is_refused_with_what_it_is(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidReview) as found:
        decode(body)
    assert str(found.value).startswith(problem)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["uid", "kind", "operation", "namespace", "object", "oldObject", "userInfo", "dryRun", "subResource"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_request_is_read_or_an_invalid_review(request: dict[str, Any]) -> None:
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    try:
        found = decode(orjson.dumps(body))
    except InvalidReview:
        assert not isinstance(request.get("uid"), str)
        return
    assert found.uid == request["uid"]
    assert isinstance(found.object, dict)
    assert isinstance(found.old_object, dict)


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_the_answer_is_of_the_version_and_the_uid_of_the_question(version: str) -> None:
    request = decode(review(version))
    for body in (allow(request), deny(request, "no")):
        answer = orjson.loads(body)
        assert (answer["apiVersion"], answer["kind"]) == (version, "AdmissionReview")
        assert answer["response"]["uid"] == "u-1"


def test_without_a_patch_the_answer_has_none() -> None:
    assert orjson.loads(allow(decode(review())))["response"] == {"uid": "u-1", "allowed": True}


def test_a_patch_is_json_patch_in_base64() -> None:
    patch = [{"op": "add", "path": "/a", "value": "ü"}]
    response = orjson.loads(allow(decode(review()), patch))["response"]
    assert response["patchType"] == "JSONPatch"
    assert orjson.loads(base64.b64decode(response["patch"], validate=True)) == patch


def test_a_refusal_says_why_and_does_not_patch() -> None:
    response = orjson.loads(deny(decode(review()), "write 15Gi", ["a warning"]))["response"]
    assert response == {
        "uid": "u-1",
        "allowed": False,
        "status": {"code": 422, "reason": "Invalid", "message": "write 15Gi"},
        "warnings": ["a warning"],
    }


def test_warnings_stay_within_what_kubernetes_passes_on() -> None:
    warnings = orjson.loads(allow(decode(review()), warnings=["x" * 1000] * 50))["response"]["warnings"]
    assert [len(warning) for warning in warnings] == [256] * 10
