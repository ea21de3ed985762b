"""The pods that KServe will make of a service, as far as pulls and their surroundings go: for looking ahead.

As KServe v0.20 makes them. What a pod really holds is decided in the cluster, by KServe and by other webhooks;
admission reads the pod alone.
"""

from pullsizer.kserve_pods.inference_service import inference_service_pods, pulling_pod
from pullsizer.kserve_pods.initializer import Configuration, configuration
from pullsizer.kserve_pods.llm import llm_pods
from pullsizer.kserve_pods.made import MadePod

__all__ = ["Configuration", "MadePod", "configuration", "inference_service_pods", "llm_pods", "pulling_pod"]
