"""The commands for people: their flags, their help and examples. What they do is imported when they do it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

PlanFormat = Literal["table", "json", "yaml", "patch"]
Format = Literal["table", "json", "yaml"]

Policy = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The policy: config.yaml, or the ConfigMap with it. Without: the defaults, as installed.",
        show_default=False,
    ),
]
Output = Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.")]
WithCredentials = Annotated[
    bool,
    typer.Option(
        "--with-credentials",
        help="Show stores the credentials of this shell: HF_TOKEN, AWS_ACCESS_KEY_ID and such.",
    ),
]
AllowPrivate = Annotated[
    bool,
    typer.Option("--allow-private", help="Ask private addresses too; without, only those that the policy allows."),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=1, metavar="SECONDS", help="For one model; else the policy's sources.timeout.", show_default=False
    ),
]


def plan(
    *,
    files: Annotated[
        list[str],
        typer.Option(
            "--file", "-f", metavar="FILE", help="Services, pods, lists of them; - is standard input. Repeatable."
        ),
    ],
    policy: Policy = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help='Facts of models, as JSON: {"uri": …, "bytes": "59Gi", "files": 28}, or a list of such. Without uri: '
            "of whatever is pulled. Repeatable.",
            show_default=False,
        ),
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Ask the stores how big the models are.")] = False,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of what names none in the files.")] = "default",
    output: Annotated[
        PlanFormat, typer.Option("--output", "-o", help="For people, for programs, or the JSON patch alone.")
    ] = "table",
    with_credentials: WithCredentials = False,
    allow_private: AllowPrivate = False,
    timeout: Timeout = None,
) -> int:
    """Show what the webhook would do with services and pods.

    By the webhook's own code, without a cluster: for each pod that KServe makes of an InferenceService or
    LLMInferenceService, what its pull gets and why. LimitRanges, Namespaces, Nodes, ClusterStorageContainers,
    ModelPulls and the ConfigMaps inferenceservice-config and pullsizer-config count where the files have them.

    \b
    Examples:
      pullsizer plan -f service.yaml --measure
      pullsizer plan -f service.yaml --config config.yaml --model model.json
      kubectl get isvc,limits,ns -A -o yaml | pullsizer plan -f - --measure -o json
      echo '{"bytes": "600G", "largest": "10G"}' | pullsizer plan -f service.yaml --model -

    Exit code 3: a model could not be measured, or a pod is left alone as no resources would be valid.
    """
    from pullsizer.cli import plan as command  # noqa: PLC0415
    from pullsizer.cli.measuring import Asking  # noqa: PLC0415

    asking = Asking(with_credentials, allow_private, timeout) if measure else None
    return command.run(files, policy=policy, models=models or [], namespace=namespace, form=output, asking=asking)


def size(
    *,
    uris: Annotated[
        list[str], typer.Argument(metavar="URI…", help="As in a service: hf://owner/model, s3://bucket/model.")
    ],
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Only such files, as STORAGE_ALLOW_PATTERNS. Repeatable.", show_default=False
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Not such files, as STORAGE_IGNORE_PATTERNS. Repeatable.", show_default=False
        ),
    ] = None,
    policy: Policy = None,
    output: Output = "table",
    with_credentials: WithCredentials = False,
    allow_private: AllowPrivate = False,
    timeout: Timeout = None,
) -> int:
    """Measure models, and say what pulling them would get.

    \b
    Examples:
      pullsizer size hf://Qwen/Qwen2.5-7B-Instruct
      pullsizer size hf://meta-llama/Llama-3.3-70B-Instruct --with-credentials
      pullsizer size https://minio.lab:9000/models/iris.tar.gz --allow-private
      pullsizer size hf://Qwen/Qwen3-32B -o json > models.json   # for plan --model

    Exit code 3: a model could not be measured.
    """
    from pullsizer.cli import size as command  # noqa: PLC0415
    from pullsizer.cli.measuring import Asking  # noqa: PLC0415

    asking = Asking(with_credentials, allow_private, timeout)
    return command.run(uris, allow=allow or [], ignore=ignore or [], policy=policy, form=output, asking=asking)


def config_check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="config.yaml, or the ConfigMap with it; - is standard input.")
    ],
    output: Output = "table",
) -> int:
    """Check a policy: every problem, what it would put in force, and what looks like a mistake.

    \b
    Examples:
      pullsizer config check config.yaml
      kubectl get configmap pullsizer-config -n pullsizer-system -o yaml | pullsizer config check -

    Exit code 3: the policy would be refused.
    """
    from pullsizer.cli import config_check as command  # noqa: PLC0415

    return command.run(file, form=output)


def explain(
    *,
    pod: Annotated[str | None, typer.Argument(metavar="POD", help="Its name.", show_default=False)] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", metavar="FILE", help="Its manifest, instead of a cluster.", show_default=False),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="The pod's; else the kubeconfig's.", show_default=False),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(envvar="KUBECONFIG", help="How to reach the cluster; else as kubectl does.", show_default=False),
    ] = None,
    system_namespace: Annotated[str, typer.Option(help="Where Pullsizer itself lives.")] = "pullsizer-system",
    kserve_namespace: Annotated[str, typer.Option(help="Where KServe's ConfigMap is.")] = "kserve",
    output: Output = "table",
) -> int:
    """Say what was done to a pod's pulls and why, or why nothing was.

    Reads the annotation that the webhook left on the pod. Where there is none, it looks at labels, the policy and
    KServe's configuration, as far as you may read them.

    \b
    Examples:
      pullsizer explain qwen-predictor-6c9f7d5b8-x2x9k -n models
      kubectl get pod qwen-predictor-6c9f7d5b8-x2x9k -o yaml | pullsizer explain -f -

    Exit code 3: the pod was not sized.
    """
    from pullsizer.cli import explain as command  # noqa: PLC0415

    if file is not None:
        return command.from_file(file, pod, namespace or "default", form=output)
    if pod is None:
        raise typer.BadParameter("name a pod, or give its manifest by -f")
    return command.from_cluster(
        pod,
        kubeconfig=kubeconfig,
        namespace=namespace,
        system=system_namespace,
        kserve=kserve_namespace,
        form=output,
    )
