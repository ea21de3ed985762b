"""The finding: from what a service names to what its store is asked with.

KServe v0.20.0, pkg/webhook/admission/pod/storage_initializer_injector.go, CommonStorageInitialization: a `storage:` is
all that counts where there is one; else the Secret of the annotation; else all of the ServiceAccount's, in their order.
What the container's own definition adds outweighs these.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from pullsizer.account import Account
from pullsizer.cluster import KubeApi
from pullsizer.controller.credentials import hub, refusals
from pullsizer.controller.credentials.found import Found, scope_of
from pullsizer.controller.credentials.kinds import variables_of
from pullsizer.controller.credentials.reading import Namespace, Secret
from pullsizer.controller.credentials.rules import IDENTITIES, hub_token_rule, variables_for
from pullsizer.controller.credentials.s3 import s3_variables
from pullsizer.controller.credentials.storage_spec import entry_of, storage_uri, storage_variables
from pullsizer.errors import MeasureError
from pullsizer.kserve_credentials import CredentialConfig
from pullsizer.model import Source
from pullsizer.policy import SourceRules
from pullsizer.sources.access import STRANGER, Access

Json = Mapping[str, Any]
Given = dict[str, tuple[str, Secret | None]]
"""Variables of the downloader, and where each comes from."""

MOST_SECRETS: Final = 32
"""Of one ServiceAccount that are read. KServe reads all; nobody has so many, and anybody could write a thousand."""
_AS_FILES: Final = ("GOOGLE_APPLICATION_CREDENTIALS", "HDFS_NAMENODE")
"""Of kinds that are mounted: of two such Secrets the first is, and of two that are variables the last counts."""
_CA_BUNDLE: Final = "cabundle.crt"
_NAMESPACE_CA: Final = "global-ca-bundle"


class Credentials:
    """Finds what a source may be asked with.

    :param config: what KServe's ConfigMap says about credentials at this moment
    :param kserve_namespace: where KServe's own ConfigMap with certificates is
    """

    def __init__(self, api: KubeApi, config: Callable[[], CredentialConfig], kserve_namespace: str) -> None:
        self._api = api
        self._config = config
        self._kserve_namespace = kserve_namespace

    async def find(self, source: Source, namespace: str, account: Account, rules: SourceRules) -> Found:
        """What the policy lets us use of a namespace's; where it lets us use nothing, what needs no permission.

        :raises MeasureError: something that the service names cannot be read, or makes no sense
        """
        token = hub_token_rule(source, namespace, rules)
        if token is not None:
            secret, text = await hub.token(Namespace(self._api, namespace), token)
            access = Access(scope_of(namespace, [secret], ""), {"HF_TOKEN": text})
            return Found(access, source, refusals.with_secrets(source, [secret]))
        if namespace in rules.credentials.namespaces:
            return await self._find(source, namespace, account)
        if account.storage is not None:
            raise refusals.storage_not_allowed()
        wanted = variables_for(source)
        environment = {name: value for name, value in account.settings if name in wanted and source.endpoint}
        return _found(source, namespace, environment, [], refusals.not_allowed(source))

    async def storage_uri(self, namespace: str, account: Account, path: str) -> str:
        """The URI that a `storage:` means.

        :raises MeasureError: it cannot be read, or is none
        """
        assert account.storage is not None
        entry = await self._entry(Namespace(self._api, namespace), account)
        return storage_uri(account.storage, path, entry)

    async def _find(self, source: Source, namespace: str, account: Account) -> Found:
        reading, wanted = Namespace(self._api, namespace), variables_for(source)
        refused = refusals.nothing_found(source, account)
        if account.storage is not None:
            given = await self._of_storage(reading, account)
        else:
            service_account = await reading.service_account(account.service_account) or {}
            given = await self._of_service_account(reading, service_account, account)
            if source.store == "oci":
                given |= await _pull_secret(reading, service_account, account)
            identity = IDENTITIES.get(source.store, "") if source.store else ""
            if identity in _annotations(service_account):
                refused = refusals.identity(source, account, identity)
        for variable, name, key in account.variables:
            if variable in wanted:
                secret = await reading.secret(name)
                given[variable] = (secret.text(key), secret)
        given |= {name: (value, None) for name, value in account.settings}
        if source.store == "s3":
            given["AWS_CA_BUNDLE"] = (await self._certificates(reading, namespace, given), None)
        found = {name: value for name, value in given.items() if name in wanted and value[0]}
        secrets = [secret for _, secret in found.values() if secret is not None]
        if secrets:
            refused = refusals.with_secrets(source, secrets)
        environment = {name: text for name, (text, _) in found.items()}
        return _found(source, namespace, environment, secrets, refused)

    async def _of_storage(self, reading: Namespace, account: Account) -> Given:
        assert account.storage is not None
        entry = await self._entry(reading, account)
        secret = await reading.secret(self._storage_secret(account)) if entry else None
        return {name: (text, secret) for name, text in storage_variables(account.storage, entry).items()}

    async def _entry(self, reading: Namespace, account: Account) -> Mapping[str, str]:
        assert account.storage is not None
        try:
            secret = await reading.secret(self._storage_secret(account))
        except MeasureError as error:
            if error.reason != "SecretNotFound" or account.storage.key:
                raise
            return {}
        return entry_of(account.storage, secret)

    def _storage_secret(self, account: Account) -> str:
        return account.secret or self._config().storage_secret

    async def _of_service_account(self, reading: Namespace, service_account: Json, account: Account) -> Given:
        config, given = self._config(), Given()
        if not service_account:
            return given
        annotations = _annotations(service_account)
        if IDENTITIES["s3"] in annotations:
            given |= {name: (text, None) for name, text in s3_variables(annotations, lambda _: None, config.s3).items()}
        listed = [str(item.get("name")) for item in service_account.get("secrets") or () if item.get("name")]
        for name in [account.secret] if account.secret else listed[:MOST_SECRETS]:
            secret = await reading.secret(name)
            found = variables_of(secret, config)
            if not any(name in given for name in _AS_FILES if name in found):
                given |= {name: (text, secret) for name, text in found.items()}
        return given

    async def _certificates(self, reading: Namespace, namespace: str, given: Given) -> str:
        """In a ConfigMap that a Secret or KServe names; where it names only a path, that is inside of its image."""
        path, named = (given.get(name, ("", None))[0] for name in ("AWS_CA_BUNDLE", "AWS_CA_BUNDLE_CONFIGMAP"))
        common = self._config().ca_configmap
        if common and namespace != self._kserve_namespace:
            common = _NAMESPACE_CA
        if not (named or common):
            return ""
        return await reading.certificates(named or common, posixpath.basename(path) or _CA_BUNDLE)


async def _pull_secret(reading: Namespace, service_account: Json, account: Account) -> Given:
    """The first `imagePullSecrets` of the pod: its own, or those that Kubernetes gives it of its ServiceAccount."""
    of_account = (str(item.get("name")) for item in service_account.get("imagePullSecrets") or () if item.get("name"))
    name = account.pull_secret or next(of_account, "")
    if not name:
        return {}
    secret = await reading.secret(name)
    return {"KSERVE_OCI_DOCKER_CONFIG": (secret.text(".dockerconfigjson"), secret)}


def _annotations(item: Json) -> Mapping[str, str]:
    return (item.get("metadata") or {}).get("annotations") or {}


def _found(
    source: Source, namespace: str, environment: dict[str, str], secrets: list[Secret], refused: MeasureError
) -> Found:
    endpoint = source.endpoint or environment.get("AWS_ENDPOINT_URL", "")
    access = Access(scope_of(namespace, secrets, endpoint), environment) if environment or endpoint else STRANGER
    return Found(access, replace(source, endpoint=endpoint) if endpoint else source, refused)
