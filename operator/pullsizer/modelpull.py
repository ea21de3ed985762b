"""The ModelPull, our one custom resource: what a component of a service pulls, how big that is, and what it should get.

One per (kind of owner, service, component, set of sources). Its status is also the durable cache of what was measured.
Written by the controller alone, by server-side apply; read by the webhook.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from pullsizer.account import NOBODY, Account
from pullsizer.model import ARCHIVES, BASES, Failure, Knowledge, ModelFacts, Source
from pullsizer.names import API_VERSION, INFERENCE_SERVICE, KIND, KSERVE_GROUP, ServiceKind

Json = Mapping[str, Any]
T = TypeVar("T")

ANONYMOUS: Final = "anonymous"
"""Scope of what anybody may know. Only facts of this scope are shared between namespaces."""

# What the definition (deploy/base/crd.yaml) allows. Whatever a user writes, the answer must be one that can be stored.
_LONGEST_TEXT: Final = 4096
_MOST_PATTERNS: Final = 1024
_LONGEST_NAME: Final = 240
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9.-]")

Condition = Literal["Measured", "Sized", "PullHealthy"]


def source_key(source: Source) -> str:
    """Names a source with its filters, and tells nothing of it: a URI may have a secret in it."""
    text = json.dumps((source.uri, source.allow, source.ignore))  # so that no text can pass for another's parts
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ServiceRef:
    """The service that a ModelPull belongs to."""

    kind: ServiceKind
    name: str
    uid: str
    api_version: str = f"{KSERVE_GROUP}/v1beta1"


@dataclass(frozen=True)
class Measurement:
    """What is known of one source, since when, and who may know it.

    :param measured_at: seconds since the epoch
    :param scope: `anonymous`, or the credential it was measured with
    """

    knowledge: Knowledge
    measured_at: float
    scope: str = ANONYMOUS


@dataclass(frozen=True)
class ModelPull:
    """The spec: what is pulled, for whom.

    :param overrides: our annotations on an LLMInferenceService, whose metadata never reaches its pods
    :param account: as whom it is pulled; no part of its name, and told to nobody
    """

    namespace: str
    service: ServiceRef
    component: str
    sources: tuple[Source, ...]
    overrides: Mapping[str, str] = field(default_factory=dict)
    account: Account = NOBODY

    @property
    def name(self) -> str:
        short = "isvc" if self.service.kind == INFERENCE_SERVICE else "llm"
        identity = "\0".join(
            (self.service.kind, self.service.name, self.component, *sorted(map(source_key, self.sources)))
        )
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        # A pod's label says the component, and labels may hold what names may not.
        readable = _NOT_IN_NAMES.sub("-", f"{short}-{self.service.name}-{self.component}".lower())
        return f"{readable[:_LONGEST_NAME].rstrip('.-')}-{digest}"

    def to_object(self) -> dict[str, Any]:
        """What is applied, without status."""
        allow, ignore = (self.sources[0].allow, self.sources[0].ignore) if self.sources else ((), ())
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/managed-by": "pullsizer"},
                "ownerReferences": [
                    {
                        "apiVersion": self.service.api_version,
                        "kind": self.service.kind,
                        "name": self.service.name,
                        "uid": self.service.uid,
                        "controller": False,
                        "blockOwnerDeletion": False,
                    }
                ],
            },
            "spec": {
                "serviceRef": {
                    "apiVersion": self.service.api_version,
                    "kind": self.service.kind,
                    "name": self.service.name,
                },
                "component": self.component,
                # For people; what may be a secret in a URI is left out. The status names sources by their keys.
                "uris": [source.public_uri[:_LONGEST_TEXT] for source in self.sources],
                "filters": {"allow": _shown(allow), "ignore": _shown(ignore)},
                "overrides": {key: value[:_LONGEST_TEXT] for key, value in self.overrides.items()},
            },
        }


def _shown(patterns: tuple[str, ...]) -> list[str]:
    return [pattern[:_LONGEST_TEXT] for pattern in patterns[:_MOST_PATTERNS]]


def model_status(source: Source, measurement: Measurement) -> dict[str, Any]:
    """One item of `status.models`."""
    item: dict[str, Any] = {
        "source": source_key(source),
        "uri": source.public_uri[:_LONGEST_TEXT],
        "scope": measurement.scope,
        "measuredAt": int(measurement.measured_at),
    }
    known = measurement.knowledge
    if isinstance(known, ModelFacts):
        ways = {"largestByXet": known.largest_by_xet, "largestByLfs": known.largest_by_lfs}
        return item | {
            "bytes": known.bytes,
            "files": known.files,
            "largestFile": known.largest,
            "archive": known.archive,
            "unpackedBytes": known.unpacked,
            "basis": known.basis,
            "revision": known.revision,
            "etag": known.etag,
            **{name: size for name, size in ways.items() if size is not None},
        }
    return item | {"failure": {"reason": known.reason, "message": known.message, "retryAfter": int(known.retry_after)}}


def measurements(model_pull: Json) -> Iterator[tuple[str, Measurement]]:
    """Of a ModelPull's status: the source's key and what is known of it. Items that cannot be read are passed over."""
    for item in (model_pull.get("status") or {}).get("models") or ():
        if not isinstance(item, Mapping):
            continue
        try:
            failure = item.get("failure")
            knowledge: Knowledge
            if failure:
                knowledge = Failure(str(failure["reason"]), str(failure["message"]), float(failure["retryAfter"]))
            else:
                knowledge = ModelFacts(
                    bytes=int(item["bytes"]),
                    files=int(item["files"]),
                    largest=int(item["largestFile"]),
                    archive=_one_of(ARCHIVES, item.get("archive", "")),
                    unpacked=int(item.get("unpackedBytes", 0)),
                    basis=_one_of(BASES, item.get("basis", "measured")),
                    revision=str(item.get("revision", "")),
                    etag=str(item.get("etag", "")),
                    largest_by_xet=_size(item.get("largestByXet")),
                    largest_by_lfs=_size(item.get("largestByLfs")),
                )
            yield (
                str(item["source"]),
                Measurement(knowledge, float(item["measuredAt"]), str(item.get("scope", ANONYMOUS))),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            continue


def _size(number: Any) -> int | None:
    return None if number is None else int(number)


def _one_of(known: tuple[T, ...], text: object) -> T:
    for word in known:
        if text == word:
            return word
    raise ValueError("a word that this version does not know")


def service_of(model_pull: Json) -> tuple[str, str] | None:
    """Kind and name of the service that a ModelPull object is for."""
    ref = (model_pull.get("spec") or {}).get("serviceRef") or {}
    kind, name = ref.get("kind"), ref.get("name")
    return (kind, name) if kind and name else None


def overrides_of(model_pull: Json) -> Mapping[str, str]:
    """Our annotations on the service's metadata, as the controller carried them over."""
    return (model_pull.get("spec") or {}).get("overrides") or {}
