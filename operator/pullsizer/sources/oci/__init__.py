"""`oci://registry/repository:tag`, and `oci+fetch://`: how big an image is that holds a model.

All three of KServe's modes are measured alike. Two of them, modelcar and native, leave the pulling to the kubelet, and
there is no container to size; so what the webhook sees is fetch. That mode (kserve_storage.py of August 2026) streams
each layer through tar and keeps what is under `models/`.

It is the registry's protocol by our own client (`client`), and not the library `oras`: that is synchronous, opens
sockets of its own which end with no question, sends a credential to whatever server a registry names, and reads a
machine's Docker configuration. What is needed of the protocol is three kinds of GET.
"""

from pullsizer.sources.oci.images import Oci

__all__ = ["Oci"]
