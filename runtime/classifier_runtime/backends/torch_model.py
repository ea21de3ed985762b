"""A model of transformers' in memory: how it is loaded, and how its logits come to the host."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
import transformers

from classifier_runtime.core.job import Floats
from classifier_runtime.errors import DeviceLost, ModelFailed, ModelRefused, OutOfMemory
from classifier_runtime.model import ModelSpec, TaskName

log = logging.getLogger(__name__)
# A server's log is for lines, and its start has progress of its own.
transformers.utils.logging.disable_progress_bar()

AUTO: Final[Mapping[TaskName, Any]] = {
    "text-classification": transformers.AutoModelForSequenceClassification,
    "token-classification": transformers.AutoModelForTokenClassification,
    "image-classification": transformers.AutoModelForImageClassification,
}
DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def load(spec: ModelSpec, *, device: str, dtype: str, threads: int | None) -> Any:
    """The model, ready to compute.

    :param threads: of torch's, on the CPU; None leaves them
    :raises ModelRefused: weights that are not all there, or that this transformers cannot read
    """
    if threads is not None:
        torch.set_num_threads(threads)
    # Equal logits on every device: no TF32 where float32 is asked for, in convolutions neither.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    try:
        model, info = AUTO[spec.task].from_pretrained(
            spec.path,
            config=_config(spec),
            dtype=DTYPES[dtype],
            use_safetensors=spec.weights == "safetensors",
            trust_remote_code=spec.remote_code,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError) as error:
        raise ModelRefused(f"{spec.path}: transformers {transformers.__version__} cannot load it: {error}") from error
    missing = sorted(info["missing_keys"])
    if missing:
        # transformers fills them with random numbers, and the answers would be such.
        raise ModelRefused(
            f"{spec.path}: weights are missing ({', '.join(missing[:3])}); was it fine-tuned and saved whole?"
        )
    model.eval().requires_grad_(requires_grad=False)
    return model.to(device)


def _config(spec: ModelSpec) -> Any:
    """With as many labels as the weights have: transformers counts `id2label`, and fails on one that is partial."""
    names = dict(enumerate(spec.labels.names))
    said = {key: value for key, value in spec.config.items() if key not in ("id2label", "label2id", "num_labels")}
    said |= {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    if spec.remote_code:
        config = transformers.AutoConfig.from_pretrained(spec.path, trust_remote_code=True, id2label=names)
    else:
        try:
            kind = transformers.CONFIG_MAPPING[spec.model_type]
        except KeyError:
            raise ModelRefused(
                f"{spec.path}: transformers {transformers.__version__} knows no model_type {spec.model_type!r}; "
                "it may be newer, or older, than the model"
            ) from None
        config = kind.from_dict(said)
    if spec.pad_id is not None:
        config.get_text_config().pad_token_id = spec.pad_id
    return config


def logits(model: Any, batch: Mapping[str, Any], **more: Any) -> Floats:
    """Of one batch, in one copy to the host: float32 and contiguous, whatever dtype and device the model has.

    :raises ModelFailed: an error of the device's
    """
    with errors(), torch.inference_mode():
        return host(model(**_to_device(batch, model), **more).logits)


def host(values: torch.Tensor) -> Floats:
    """NumPy knows no bfloat16, no device and no gradient; binary outputs want rows one after another."""
    array: Floats = values.detach().float().contiguous().cpu().numpy()
    return array


@contextmanager
def errors() -> Iterator[None]:
    """What torch raises, as errors of ours."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory("the device has not enough memory for this batch") from error
    except torch.AcceleratorError as error:
        raise DeviceLost("the device failed; the process has to be started anew") from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # what the CPU's allocator says; it has no class of its own
            raise OutOfMemory("not enough memory for this batch") from error
        raise ModelFailed("the model failed; the log says why") from error


def _to_device(arrays: Mapping[str, Any], model: Any) -> dict[str, torch.Tensor]:
    """Floats in the model's dtype, ids as they are."""
    found = {}
    for name, array in arrays.items():
        tensor = torch.from_numpy(array)
        found[name] = tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
    return found
