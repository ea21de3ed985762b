"""Names that others rely on: ours, and those of KServe and Kubernetes that we read."""

from __future__ import annotations

from typing import Final, Literal

GROUP: Final = "pullsizer.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "ModelPull"
PLURAL: Final = "modelpulls"

SIZING: Final = f"{GROUP}/sizing"
"""Pod annotation in which the webhook says what it did and why."""
INJECT: Final = f"{GROUP}/inject"
"""Label on a namespace or pod; `disabled` keeps the webhook from being called at all."""

POLICY_CONFIGMAP: Final = "pullsizer-config"
ACCEPTED_CONFIGMAP: Final = "pullsizer-config-accepted"
POLICY_KEY: Final = "config.yaml"
NODE_DISK_KEY: Final = "largest-ephemeral-storage"
NODE_MEMORY_KEY: Final = "largest-memory"
"""Keys of the accepted ConfigMap: what the largest known node could give, so that replicas decide alike."""
CA_SECRET: Final = "pullsizer-ca"  # noqa: S105 - names of Secrets, not secrets
LEAF_SECRET: Final = "pullsizer-webhook-tls"  # noqa: S105
LEASE: Final = "pullsizer-controller"
SERVICE: Final = "pullsizer-webhook"
WEBHOOK_CONFIGURATION: Final = "pullsizer.dev"
"""Of both configurations. Mutating ones are called in the order of their names: this sorts after
`inferenceservice.serving.kserve.io`, whose webhook adds the container that ours sizes."""
FIELD_MANAGER: Final = "pullsizer-controller"

CPU: Final = "cpu"
MEMORY: Final = "memory"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
RESOURCES: Final = (CPU, MEMORY, EPHEMERAL_STORAGE)

ServiceKind = Literal["InferenceService", "LLMInferenceService"]
INFERENCE_SERVICE: Final = "InferenceService"
LLM_INFERENCE_SERVICE: Final = "LLMInferenceService"
KSERVE_GROUP: Final = "serving.kserve.io"
KSERVE_CONFIGMAP: Final = "inferenceservice-config"
ISVC_LABEL: Final = "serving.kserve.io/inferenceservice"
ISVC_COMPONENT_LABEL: Final = "component"
LLM_PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
LLM_PART_OF: Final = "llminferenceservice"
LLM_NAME_LABEL: Final = "app.kubernetes.io/name"
LLM_COMPONENT_LABEL: Final = "app.kubernetes.io/component"
STORAGE_INITIALIZER: Final = "storage-initializer"
LIMIT_RANGER_ANNOTATION: Final = "kubernetes.io/limit-ranger"
