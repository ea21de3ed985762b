"""The administrator's policy: ConfigMap `pullsizer-config`, key `config.yaml`.

Text in, one frozen value out, or every problem of the text at once, each as a sentence that names the key, what was
wrong with it and the remedy.
"""

from pullsizer.policy.fields import MODES, Mode, Profile, Tune, parse_mode, parse_tune
from pullsizer.policy.policy import DEFAULT, WEBHOOK_TIMEOUT_SECONDS, Policy
from pullsizer.policy.resources import Amounts, Bounds, Limits, ResourceBlock, Tier
from pullsizer.policy.sources import HubToken, HuggingFace, SourceRules
from pullsizer.policy.text import load_policy

__all__ = [
    "DEFAULT",
    "MODES",
    "WEBHOOK_TIMEOUT_SECONDS",
    "Amounts",
    "Bounds",
    "HubToken",
    "HuggingFace",
    "Limits",
    "Mode",
    "Policy",
    "Profile",
    "ResourceBlock",
    "SourceRules",
    "Tier",
    "Tune",
    "load_policy",
    "parse_mode",
    "parse_tune",
]
