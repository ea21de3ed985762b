"""How S3 is spoken to: KServe's annotations on a Secret or a ServiceAccount, keys of the Secret, its own ConfigMap.

In that order, for each variable by itself; KServe v0.20.0, pkg/credentials/s3/utils.go, BuildS3EnvVars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pullsizer.names import KSERVE_GROUP

_ANNOTATIONS: Final[Mapping[str, str]] = {
    "S3_VERIFY_SSL": "s3-verifyssl",
    "awsAnonymousCredential": "s3-useanoncredential",
    "AWS_DEFAULT_REGION": "s3-region",
    "S3_USER_VIRTUAL_BUCKET": "s3-usevirtualbucket",
    "S3_USE_ACCELERATE": "s3-useaccelerate",
    "AWS_CA_BUNDLE": "s3-cabundle",
    "AWS_CA_BUNDLE_CONFIGMAP": "s3-cabundle-configmap",
}
_ENDPOINT, _HTTPS = "s3-endpoint", "s3-usehttps"


def s3_variables(
    annotations: Mapping[str, str], in_secret: Callable[[str], str | None], configured: Mapping[str, str]
) -> dict[str, str]:
    """Variables of the downloader.

    :param in_secret: the value of a key, None where the Secret has none, or where there is no Secret
    :param configured: what KServe's ConfigMap says, by the names of the variables
    """

    def value(variable: str, annotation: str) -> str:
        annotated = annotations.get(f"{KSERVE_GROUP}/{annotation}")
        if annotated is not None:
            return annotated
        written = in_secret(variable)
        return configured.get(variable, "") if written is None else written

    found = {}
    endpoint = value("S3_ENDPOINT", _ENDPOINT).strip()
    if endpoint:
        if not endpoint.lower().startswith(("http://", "https://")):
            plain = value("S3_USE_HTTPS", _HTTPS) == "0"
            endpoint = f"http://{endpoint}" if plain else f"https://{endpoint}"
        found["AWS_ENDPOINT_URL"] = endpoint
    for variable, annotation in _ANNOTATIONS.items():
        if text := value(variable, annotation):
            found[variable] = text
    return found
