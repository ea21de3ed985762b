"""Amounts of resources in a policy: what pulls get, rows by size, and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from pullsizer.errors import InvalidValue
from pullsizer.names import CPU, EPHEMERAL_STORAGE, MEMORY
from pullsizer.policy.fields import Bytes, Cpu, Model


class Amounts(Model):
    """Amounts of resources: millicores and bytes."""

    cpu: Cpu = None
    memory: Bytes = None
    ephemeral_storage: Bytes = Field(default=None, alias=EPHEMERAL_STORAGE)

    def known(self) -> dict[str, int]:
        pairs = ((CPU, self.cpu), (MEMORY, self.memory), (EPHEMERAL_STORAGE, self.ephemeral_storage))
        return {name: amount for name, amount in pairs if amount is not None}


class Limits(Model):
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


class ResourceBlock(Model):
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


class Bounds(Model):
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
