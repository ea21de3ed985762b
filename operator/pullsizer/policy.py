"""The administrator's policy: ConfigMap `pullsizer-config`, key `config.yaml`.

Text in, one frozen value out, or every problem of the text at once, each as a sentence that names the key, what was
wrong with it and the remedy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from pullsizer.duration import parse_duration
from pullsizer.errors import InvalidPolicy, InvalidValue
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.quantity import parse_written
from pullsizer.suggest import nearest

Mode = Literal["Auto", "Recommend", "Disabled"]
MODES: Final[tuple[Mode, ...]] = ("Auto", "Recommend", "Disabled")

WEBHOOK_TIMEOUT_SECONDS: Final = 5
"""`timeoutSeconds` of our webhooks in deploy/base; the wait for a size must end a second before it."""


def parse_mode(value: object) -> Mode:
    """The mode that a person wrote.

    :raises InvalidValue: names the three there are, and what YAML makes of `Off`
    """
    for mode in MODES:
        if value == mode:
            return mode
    if value is False or value is True:
        word = "off" if value is False else "on"
        raise InvalidValue(f"YAML reads an unquoted {word} as {str(value).lower()}; write Auto, Recommend or Disabled")
    hint = nearest(value, MODES) if isinstance(value, str) else "; known: Auto, Recommend, Disabled"
    if isinstance(value, str) and value.casefold() in ("off", "none", "false"):
        hint = "; did you mean 'Disabled'?"
    raise InvalidValue(f"{value!r} is no mode{hint}")


def _quantity(resource: str) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse_written(value, resource))


def _cidr(value: object) -> str:
    try:
        return str(ipaddress.ip_network(str(value), strict=False))
    except ValueError:
        raise InvalidValue(f"{value!r} is not a network; write it as 10.0.0.0/8 or fd00::/8") from None


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidValue(f"{value!r} is not an endpoint; write it as https://hub.example.com")
    return value.rstrip("/")


Cpu = Annotated[int | None, _quantity(CPU)]
Bytes = Annotated[int | None, _quantity(MEMORY)]
Seconds = Annotated[float, BeforeValidator(parse_duration)]
Network = Annotated[str, BeforeValidator(_cidr)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Amounts(_Model):
    """Amounts of resources: millicores and bytes."""

    cpu: Cpu = None
    memory: Bytes = None
    ephemeral_storage: Bytes = Field(default=None, alias=EPHEMERAL_STORAGE)

    def known(self) -> dict[str, int]:
        pairs = ((CPU, self.cpu), (MEMORY, self.memory), (EPHEMERAL_STORAGE, self.ephemeral_storage))
        return {name: amount for name, amount in pairs if amount is not None}


class Limits(_Model):
    """As Amounts, but never ephemeral storage."""

    cpu: Cpu = None
    memory: Bytes = None

    @model_validator(mode="before")
    @classmethod
    def _no_disk_limit(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and EPHEMERAL_STORAGE in data:
            raise InvalidValue(
                "an ephemeral-storage limit on an init container caps the whole pod for its life; set it under requests"
            )
        return data

    def known(self) -> dict[str, int]:
        pairs = ((CPU, self.cpu), (MEMORY, self.memory))
        return {name: amount for name, amount in pairs if amount is not None}


class ResourceBlock(_Model):
    """Requests and limits, as a container has them."""

    requests: Amounts = Amounts()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _ordered(self) -> ResourceBlock:
        requests = self.requests.known()
        for name, limit in self.limits.known().items():
            if requests.get(name, 0) > limit:
                raise InvalidValue(
                    f"the {name} limit is below the {name} request; raise limits.{name} or lower requests.{name}"
                )
        return self


class Tier(ResourceBlock):
    """What models up to a size get: an administrator's own table instead of the computed values."""

    up_to: Bytes = None
    """None: models of any size, for the last row."""


class Bounds(_Model):
    """Below and above which no value of ours ever goes."""

    min: Amounts = Amounts()
    max: Amounts = Amounts()

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        least = self.min.known()
        for name, most in self.max.known().items():
            if least.get(name, 0) > most:
                raise InvalidValue(f"bounds.min.{name} is above bounds.max.{name}; swap them")
        return self


class NamespaceSelection(_Model):
    """Names, with `*` and `?`. A namespace is selected if it is included and not excluded."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


class ServiceSelection(_Model):
    """By the labels of a service, which KServe copies to its pods. Empty selects all."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class HubToken(_Model):
    """Which Secret holds a Hub token, and for which namespaces the operator may use it: the administrator's choice."""

    secret_name: str
    """In the namespace of the service."""
    key: str = "HF_TOKEN"
    namespaces: tuple[str, ...]
    """Exact names. The operator also needs the right to read the Secret there (deploy/examples/hub-token-rbac.yaml)."""


class HuggingFace(_Model):
    endpoint: Endpoint = "https://huggingface.co"
    """The Hub, or a mirror of it. May be an address that `allowCIDRs` would not allow: an administrator named it."""
    token: HubToken | None = None


class SourceRules(_Model):
    """What the operator may ask about models, and where."""

    allow_cidrs: tuple[Network, ...] = Field(default=(), alias="allowCIDRs")
    """Networks that are not public but may be asked all the same. Public addresses always may."""
    hugging_face: HuggingFace = HuggingFace()
    timeout: Seconds = 10
    """For measuring one model, redirects and all."""


class Policy(_Model):
    """The whole policy."""

    mode: Mode = "Auto"
    model_pull_resources: ResourceBlock = ResourceBlock.model_validate(
        # What a pull of unknown size gets. Limits: enough for every downloader but hf's on files above 3 GiB
        # (docs/sizing.md); requests stay reserved for the pod's whole life, so they are a quarter of that.
        {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
    )
    tiers: tuple[Tier, ...] = ()
    bounds: Bounds = Bounds()
    wait_for_size: Seconds = 2
    refresh_after: Seconds = 86400
    namespaces: NamespaceSelection = NamespaceSelection()
    services: ServiceSelection = ServiceSelection()
    sources: SourceRules = SourceRules()

    @model_validator(mode="before")
    @classmethod
    def _mode(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "mode" in data:
            try:
                parse_mode(data["mode"])
            except InvalidValue as error:
                raise InvalidValue(f"mode: {error}") from None
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        if self.wait_for_size > WEBHOOK_TIMEOUT_SECONDS - 1:
            raise InvalidValue(
                f"waitForSize: must end a second before the webhook's own timeout of {WEBHOOK_TIMEOUT_SECONDS}s; "
                f"write {WEBHOOK_TIMEOUT_SECONDS - 1}s or less"
            )
        if self.sources.timeout < 1:
            raise InvalidValue("sources.timeout: no store answers in less than a second every time; write 1s or more")
        if self.refresh_after < 60:
            raise InvalidValue("refreshAfter: models are asked about again at most once a minute; write 1m or more")
        sizes = [tier.up_to for tier in self.tiers]
        if any(size is None for size in sizes[:-1]):
            raise InvalidValue("tiers: only the last row may lack upTo; give the others one")
        ordered = [size for size in sizes if size is not None]
        if ordered != sorted(set(ordered)):
            raise InvalidValue("tiers: upTo must grow from row to row; sort the rows")
        return self

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether pods in the namespace, with those labels, are ours to size."""
        chosen = self.namespaces
        if not any(fnmatchcase(namespace, pattern) for pattern in chosen.include):
            return False
        if any(fnmatchcase(namespace, pattern) for pattern in chosen.exclude):
            return False
        return all(labels.get(key) == value for key, value in self.services.match_labels.items())


DEFAULT: Final = Policy(mode="Recommend")
"""Until a policy was accepted: decide and say so, and change nothing."""


class _UniqueKeys(yaml.SafeLoader):
    """Refuses what YAML would let pass in silence.

    Of two equal keys it keeps the last. A policy needs no aliases, and a few lines of them can stand for gigabytes.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} is there twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


def load_policy(text: str) -> Policy:
    """The policy that the text says.

    :raises InvalidPolicy: with every problem found
    """
    try:
        data = yaml.load(text, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise InvalidPolicy((f"config.yaml is not valid YAML{where}: {error.problem}",)) from None
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
        # PyYAML's own constructors stumble over tags such as `!!bool maybe`.
        raise InvalidPolicy((f"config.yaml is not valid YAML: {type(error).__name__}",)) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InvalidPolicy((f"config.yaml must be a mapping of keys such as mode; it is a {type(data).__name__}",))
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        raise InvalidPolicy(tuple(_sentences(error))) from None


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        context = problem.get("ctx", {}).get("error")
        if problem["type"] == "extra_forbidden":
            known = _keys_at(problem["loc"][:-1])
            yield f"{path}: unknown key{nearest(str(problem['loc'][-1]), known)}"
        elif isinstance(context, Exception):
            yield f"{path}: {context}" if path else str(context)
        else:
            yield f"{path}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the policy knows at a place in it."""
    model: type[BaseModel] = Policy
    for part in location:
        if isinstance(part, int):
            continue
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                found = _model_of(field.annotation)
                if found is not None:
                    model = found
                break
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_of(argument):
            return found
    return None
