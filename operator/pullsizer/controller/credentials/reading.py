"""Secrets, ServiceAccounts and ConfigMaps of one namespace; what cannot be read has a reason that names the remedy."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pullsizer.cluster import KubeApi
from pullsizer.controller.credentials.reasons import unusable
from pullsizer.errors import ClusterError, MeasureError, NotFound

Json = Mapping[str, Any]

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Of an object, as the API server has them. Users write these names; nothing else may become part of a path."""


@dataclass(frozen=True)
class Secret:
    """A Secret that was read.

    :param data: as the API server writes it, in base64
    """

    name: str
    uid: str
    version: str
    annotations: Mapping[str, str]
    data: Mapping[str, str] = field(repr=False)

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def text(self, key: str) -> str:
        """:raises MeasureError: SecretInvalid"""
        try:
            return base64.b64decode(self.data[key], validate=True).decode()
        except KeyError:
            raise invalid(self, f"has no key {key!r}") from None
        except (binascii.Error, UnicodeDecodeError):
            raise invalid(self, f"has no text under {key!r}") from None


def invalid(secret: Secret, what: str) -> MeasureError:
    return unusable("SecretInvalid", f"the Secret {secret.name!r} in this namespace {what}")


class Namespace:
    """What is read in a namespace to answer one question: each object once."""

    def __init__(self, api: KubeApi, name: str) -> None:
        self._api = api
        self._core = f"/api/v1/namespaces/{name}"
        self._secrets: dict[str, Secret] = {}

    async def secret(self, name: str) -> Secret:
        """:raises MeasureError: SecretNotFound, SecretForbidden, SecretUnavailable"""
        if name not in self._secrets:
            item = await self._get("secrets", "Secret", name)
            if item is None:
                message = f"the Secret {name!r}, which should be in this namespace, does not exist"
                raise unusable("SecretNotFound", message)
            metadata = item["metadata"]
            self._secrets[name] = Secret(
                name=name,
                uid=str(metadata["uid"]),
                version=str(metadata["resourceVersion"]),
                annotations=metadata.get("annotations") or {},
                data=item.get("data") or {},
            )
        return self._secrets[name]

    async def service_account(self, name: str) -> Json | None:
        """None where there is none: KServe makes the pod without credentials then.

        :raises MeasureError: SecretForbidden, SecretUnavailable
        """
        return await self._get("serviceaccounts", "ServiceAccount", name)

    async def certificates(self, configmap: str, key: str) -> str:
        """In a ConfigMap; empty where there are none.

        :raises MeasureError: SecretForbidden, SecretUnavailable
        """
        item = await self._get("configmaps", "ConfigMap", configmap)
        found = ((item or {}).get("data") or {}).get(key)
        return found if isinstance(found, str) else ""

    async def _get(self, plural: str, kind: str, name: str) -> Json | None:
        if not _NAME.fullmatch(name):
            return None
        try:
            return await self._api.get(f"{self._core}/{plural}/{name}")
        except NotFound:
            return None
        except ClusterError as error:
            what = f"the {kind} {name!r} in this namespace"
            if error.status == 403:
                message = (
                    f"Pullsizer may not read {what}; an administrator must grant that, "
                    "with deploy/components/credentials for instance"
                )
                raise unusable("SecretForbidden", message) from None
            raise unusable("SecretUnavailable", f"{what} could not be read") from None
