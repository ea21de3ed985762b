"""Who may use what: the policy's word, before anything is read; and which variables are for which store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from pullsizer.account import SETTINGS
from pullsizer.controller.credentials.kinds import AZURE, HDFS
from pullsizer.model import Source, Store
from pullsizer.policy import HubToken, SourceRules

_OF_STORE: Final[Mapping[Store, frozenset[str]]] = {
    "hf": frozenset({"HF_TOKEN"}),
    "s3": SETTINGS
    | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"},
    "gs": frozenset({"GOOGLE_APPLICATION_CREDENTIALS"}),
    "azure": frozenset(AZURE),
    "azure-file": frozenset(AZURE),
    "git": frozenset({"GIT_USERNAME", "GIT_PASSWORD"}),
    "hdfs": frozenset(HDFS),
    "oci": frozenset({"KSERVE_OCI_DOCKER_CONFIG"}),
    "modelscope": frozenset({"MODELSCOPE_API_TOKEN"}),
}
IDENTITIES: Final[Mapping[Store, str]] = {
    # Annotations by which a ServiceAccount gets the rights of a cloud's identity, inside of its own pods alone.
    "s3": "eks.amazonaws.com/role-arn",
    "gs": "iam.gke.io/gcp-service-account",
    "azure": "azure.workload.identity/client-id",
    "azure-file": "azure.workload.identity/client-id",
}


def variables_for(source: Source) -> frozenset[str]:
    """Of the downloader, those that concern the source. No store is shown what is for another."""
    if source.store == "http":
        # As the downloader: whatever is set for the URI's own host.
        return frozenset({f"{_host(source.uri)}-headers"})
    return _OF_STORE.get(source.store, frozenset()) if source.store else frozenset()


def may_use(source: Source, namespace: str, rules: SourceRules) -> bool:
    """Whether a namespace's credentials may be tried for the source."""
    return namespace in rules.credentials.namespaces or hub_token_rule(source, namespace, rules) is not None


def named_by_secret(source: Source, namespace: str, rules: SourceRules) -> bool:
    """Whether a Secret of the namespace may say where the source is, so that asking elsewhere first would be wrong."""
    return source.store in ("s3", "hdfs") and namespace in rules.credentials.namespaces


def hub_token_rule(source: Source, namespace: str, rules: SourceRules) -> HubToken | None:
    """The administrator's token is for the administrator's Hub, and never for one that a user names."""
    rule = rules.hugging_face.token
    return rule if rule and source.store == "hf" and not source.endpoint and namespace in rule.namespaces else None


def _host(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""
