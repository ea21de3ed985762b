"""The API server, for both roles: a raw-JSON client, watches, the Lease."""

from pullsizer.cluster.client import KubeApi
from pullsizer.cluster.lease import Leadership
from pullsizer.cluster.reflector import Reflector

__all__ = ["KubeApi", "Leadership", "Reflector"]
