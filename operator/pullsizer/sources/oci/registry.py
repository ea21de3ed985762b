"""One repository of a registry, as long as one question takes: its manifests, and pieces of its blobs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Final, Literal

from yarl import URL

from pullsizer.errors import MeasureError
from pullsizer.sources.answers import refuse
from pullsizer.sources.archives import Read
from pullsizer.sources.client import Answer, Client
from pullsizer.sources.failures import failure, shown
from pullsizer.sources.oci import manifests
from pullsizer.sources.oci.logins import Login, askable, challenge, may_know
from pullsizer.sources.oci.reference import DIGEST, Reference
from pullsizer.sources.ranges import pieces
from pullsizer.sources.redirects import Private, follow

_MANIFEST: Final = 4 << 20
"""Bytes, as registries themselves bound it (distribution-spec, "Pushing Manifests")."""
_TOKEN_ANSWER: Final = 64 << 10
_TOKEN: Final = re.compile(r"[!-~]{1,16384}")


class Registry:
    """A repository, and the token that we got for it.

    :param url: of the registry
    :param login: is told to the registry and its own token server, and to nobody else
    """

    def __init__(self, client: Client, url: URL, reference: Reference, login: Login | None) -> None:
        self._client = client
        self._url = url
        self._reference = reference
        self._login = login
        self._about = f"the registry {shown(reference.registry)}"
        self._private = Private(url, {})
        self._known = False
        self._refused = "for what the pull secret holds" if login else "to everybody"

    async def digest(self, wanted: str) -> str:
        """What a tag names at the moment; empty where the registry tells that only with the manifest.

        Docker's counts GETs of manifests as pulls, of which it gives strangers few; HEAD is free.
        """
        found = await self._ask("HEAD", wanted)
        told = found.headers.get("Docker-Content-Digest", "")
        return told if DIGEST.fullmatch(told) else ""

    async def manifest(self, wanted: str) -> tuple[str, manifests.Image | manifests.Index]:
        """A manifest and its digest, by a tag or a digest. What it says is what that digest stands for."""
        found = await self._ask("GET", wanted, most=_MANIFEST)
        algorithm = wanted.partition(":")[0] if ":" in wanted else "sha256"
        digest = f"{algorithm}:{hashlib.new(algorithm, found.body).hexdigest()}"
        if ":" in wanted and wanted != digest:
            raise failure("InvalidAnswer", f"{self._about} answers with another manifest than the one with the digest")
        try:
            return digest, manifests.parse(found.body)
        except ValueError:
            raise failure(
                "InvalidAnswer", f"{self._about} answers with what is no manifest of an image for {self._shown}"
            ) from None

    def blob(self, layer: manifests.Layer) -> Read:
        """Reads pieces of a layer, once a manifest was read. Where its bytes are elsewhere, no token goes there."""
        return pieces(self._client, self._at("blobs", layer.digest), layer.size, self._about, self._private)

    @property
    def _shown(self) -> str:
        return shown(str(self._reference))

    def _at(self, what: str, name: str) -> URL:
        return self._url.with_path(f"/v2/{self._reference.repository}/{what}/{name}")

    async def _ask(self, method: Literal["GET", "HEAD"], wanted: str, *, most: int = 0) -> Answer:
        url, headers = self._at("manifests", wanted), {"Accept": manifests.ACCEPT}
        found, where = await follow(
            self._client, method, url, self._about, headers=headers, private=self._private, most=most
        )
        # Where a redirect led elsewhere, it is not the registry that asks who we are.
        if found.status == 401 and not self._known and where.origin() == self._url.origin():
            self._private = Private(self._url, await self._introduce(found))
            self._known = True
            found, _ = await follow(
                self._client, method, url, self._about, headers=headers, private=self._private, most=most
            )
        if found.status in (401, 403):  # Docker's, for one, says so of images that do not exist
            raise self._unauthorized()
        if found.status != 200:
            refuse(found, self._about, f"image as {self._shown}")
        return found

    async def _introduce(self, found: Answer) -> Mapping[str, str]:
        """What to send so that the registry knows us: our login itself, or a token that its realm gives for it."""
        asked = challenge(", ".join(found.headers.getall("WWW-Authenticate", [])))
        if asked is None:
            raise self._unauthorized()
        if not asked.bearer:
            if self._login is None:
                raise self._unauthorized()
            return {"Authorization": self._login.authorization}
        try:
            realm = URL(asked.realm).with_fragment(None)
        except ValueError:
            realm = URL()
        if not askable(realm, self._url):
            raise failure("InvalidAnswer", f"{self._about} gives tokens at what is no https URL")
        # No more than pulling from this repository, whatever the registry would have us ask for.
        query = {"service": asked.service} if asked.service else {}
        realm = realm.update_query({**query, "scope": f"repository:{self._reference.repository}:pull"})
        told = {}
        if self._login is not None and may_know(realm, self._url):
            told = {"Authorization": self._login.authorization}
        elif self._login is not None:
            self._refused = (
                "to strangers; its tokens are on another domain, which is not told what the pull secret holds"
            )
        private = Private(realm, told)
        answer, _ = await follow(self._client, "GET", realm, self._about, private=private, most=_TOKEN_ANSWER)
        if answer.status == 429 or answer.status >= 500:
            refuse(answer, self._about, "token")
        if answer.status != 200:
            raise self._unauthorized()
        return {"Authorization": f"Bearer {self._token(answer.body)}"}

    def _token(self, body: bytes) -> str:
        try:
            found = json.loads(body)
            token = found.get("token") or found.get("access_token")
        except (ValueError, RecursionError, AttributeError):
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise failure("InvalidAnswer", f"{self._about} gives what is no token")
        return token

    def _unauthorized(self) -> MeasureError:
        return failure("Unauthorized", f"{self._about} has no {self._shown}, or does not give it {self._refused}")
