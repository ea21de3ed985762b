"""deploy/install.yaml as tests ask about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .render import INSTALL, Document, documents

WEBHOOK: Final = "pullsizer-webhook"
CONTROLLER: Final = "pullsizer-controller"


class Manifests:
    """The objects of install.yaml, by kind, name and namespace."""

    def __init__(self, items: list[Document]) -> None:
        self.items = items

    @classmethod
    def load(cls) -> Manifests:
        return cls(documents(INSTALL.read_text()))

    def all(self, *kinds: str) -> list[Document]:
        return [item for item in self.items if item["kind"] in kinds]

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document:
        (found,) = (
            item
            for item in self.all(kind)
            if item["metadata"]["name"] == name and namespace in (None, item["metadata"].get("namespace"))
        )
        return found

    def webhooks(self, *, mutating: bool | None = None) -> list[Document]:
        """Of both configurations, or of one."""
        kinds = [f"{kind}WebhookConfiguration" for kind in ("Mutating", "Validating")]
        chosen = kinds if mutating is None else kinds[:1] if mutating else kinds[1:]
        return [webhook for item in self.all(*chosen) for webhook in item["webhooks"]]

    def containers(self) -> Iterator[Document]:
        for deployment in self.all("Deployment"):
            yield from deployment["spec"]["template"]["spec"]["containers"]

    def rules(self, account: str) -> Iterator[tuple[str, Document]]:
        """What a service account may do: where (a namespace, or `*`) and an RBAC rule."""
        for binding in self.all("ClusterRoleBinding", "RoleBinding"):
            if any(subject["name"] == account for subject in binding["subjects"]):
                where = binding["metadata"].get("namespace")
                ref = binding["roleRef"]
                for rule in self.get(ref["kind"], ref["name"], where)["rules"]:
                    yield where or "*", rule


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector does, by Kubernetes' rules: none selects everything, NotIn also what lacks the label."""
    for expression in (selector or {}).get("matchExpressions", ()):
        key, operator = expression["key"], expression["operator"]
        match = {
            "In": labels.get(key) in expression.get("values", ()),
            "NotIn": labels.get(key) not in expression.get("values", ()),
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[operator]
        if not match:
            return False
    return all(labels.get(key) == value for key, value in (selector or {}).get("matchLabels", {}).items())
