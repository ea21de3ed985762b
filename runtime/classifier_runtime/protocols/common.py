"""What V1 and Hugging Face's shape have in common: JSON bodies, instances, whose option wins, headers of answers."""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from classifier_runtime.core.job import Instance, Result
from classifier_runtime.core.options import ALIASES, NAMES, Options, with_options
from classifier_runtime.core.serving import Facts
from classifier_runtime.errors import InvalidRequest
from classifier_runtime.messages import nearest, shown
from classifier_runtime.protocols.http import Request
from classifier_runtime.protocols.parsing import loads

_KEYS: Final = ("text", "text_pair", "b64", "parameters")
_UTF8: Final = ("utf-8", "ascii")
# What HTTP's clients write. Python knows many more, and some take minutes for a megabyte.
_CHARSETS: Final = (*_UTF8, "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "iso8859-1", "cp1252")
_OPTIONS: Final = frozenset((*NAMES, *ALIASES))
# How alike an unknown key of a body is to the one that was meant: `topk`, `id2labels`, `params` are; `outputs` is not
# `inputs`, nor `labels` an option.
_ALIKE: Final = 0.75
# To find what was meant takes 60 µs for each.
_MOST_OTHERS: Final = 64


def json_of(request: Request, example: str) -> Any:
    """The body, whatever its content type says: curl says it is a form.

    :param example: of a body, for messages
    :raises InvalidRequest:
    """
    body = request.body
    if not body:
        raise InvalidRequest(f"the body is empty; send {example}")
    content_type = request.headers.get("Content-Type", "")
    try:
        if "charset" in content_type and (charset := _charset(content_type)) not in _UTF8:
            return loads(body.decode(charset))
        return loads(body)
    except ValueError as error:  # orjson's and codecs' own are such; they name the place and not the text
        reason = error.msg if isinstance(error, orjson.JSONDecodeError) else "not in the charset that it says"
        raise InvalidRequest(f"Unrecognized request format: {reason}; send {example}") from None


def _charset(content_type: str) -> str:
    said = content_type.partition("charset=")[2].partition(";")[0].strip(' "')
    try:
        name = codecs.lookup(said).name
    except (LookupError, ValueError):
        name = ""
    if name not in _CHARSETS:
        raise InvalidRequest(f"the content type's charset {shown(said)} is not read here; send UTF-8")
    return name


def parameters(said: Any, where: str) -> Mapping[str, Any]:
    """:raises InvalidRequest: they are no object"""
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise InvalidRequest(f"{where}: not an object of options and their values")
    return said


def check_keys(body: Mapping[str, Any], known: Sequence[str]) -> None:
    """What is neither known nor nearly so means something to another server, and is ignored.

    :param known: keys of the body
    :raises InvalidRequest: an option beside `parameters`, where it would have no effect; or a misspelt one, or key
    """
    others = [key for key in body if key not in known]
    if len(others) > _MOST_OTHERS:
        raise InvalidRequest(f"{len(others)} keys that are unknown; send {', '.join(known)}, and options in parameters")
    for key in others:
        name = key if key in _OPTIONS else nearest(key, (*known, *_OPTIONS), alike=_ALIKE)
        if name in _OPTIONS:
            raise InvalidRequest(f'{shown(key)}: options belong into "parameters": {{"{name}": …}}')
        if name is not None:
            raise InvalidRequest(f"unknown key {shown(key)}; did you mean {name!r}?")


def options_of(base: Options, request: Request, said: Any) -> Options:
    """The server's, with those of the query string over them, and those of the body over these."""
    if request.query:
        base = with_options(base, request.query, where="query")
    return with_options(base, parameters(said, "parameters"))


def check(options: Options, facts: Facts) -> None:
    """:raises InvalidRequest: options that no answer can have together"""
    if options.return_probabilities and options.return_raw_logits and not options.enhanced:
        raise InvalidRequest("return_probabilities, return_raw_logits: ask for one of them, or for id2label too")
    if facts.tokens and options.aggregation_strategy != "none":
        for name in ("return_probabilities", "return_raw_logits"):
            if getattr(options, name):
                raise InvalidRequest(f"{name}: of tokens, not of entities; ask for aggregation_strategy: none")
    if facts.regression and (options.top_k or options.threshold is not None):
        name = "top_k" if options.top_k else "threshold"
        raise InvalidRequest(f"{name}: the model answers with a number, not a class of several; leave it out")


def instance_of(value: Any, where: str, options: Options, facts: Facts) -> Instance:
    """A text, a pair of them, an image, or an object that has one of these and options of its own.

    :param where: for messages: `instances[3]`
    """
    if isinstance(value, str):
        return Instance(options, image=image_of(value, where)) if facts.images else Instance(options, text=value)
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(text, str) for text in value):
            return Instance(options, text=value[0], text_pair=value[1])
        raise InvalidRequest(f'{where}: a list is a pair of texts, ["…", "…"]; this is none')
    if not isinstance(value, dict):
        raise InvalidRequest(f"{where}: neither a text nor an object")
    for key in value:
        if key not in _KEYS:
            near = nearest(key, _KEYS)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(_KEYS)}"
            raise InvalidRequest(f"{where}: unknown key {shown(key)}; {hint}")
    said = value.get("parameters")
    if said:
        options = with_options(options, parameters(said, f"{where}.parameters"), where=f"{where}.parameters")
        check(options, facts)
    elif said is not None:
        parameters(said, f"{where}.parameters")
    if "b64" in value:
        return Instance(options, image=image_of(_text(value["b64"], f"{where}.b64"), f"{where}.b64"))
    if "text" not in value:
        raise InvalidRequest(f"{where}: no {'b64' if facts.images else 'text'!r} in it")
    pair = value.get("text_pair")
    return Instance(
        options,
        text=_text(value["text"], f"{where}.text"),
        text_pair=None if pair is None else _text(pair, f"{where}.text_pair"),
    )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{where}: not a text")
    return value


def image_of(text: str, where: str) -> bytes:
    """Of base64, or of a data URI with it. Other URIs are not fetched: a server that does can be sent anywhere."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise InvalidRequest(f"{where}: a data URI without base64; write data:image/…;base64,…")
    elif text.startswith(("http://", "https://")):
        raise InvalidRequest(f"{where}: images are not fetched; send one as base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{where}: not base64 of an image") from None


def headers_of(result: Result) -> dict[str, str]:
    """Milliseconds, and how many texts were cut if any were."""
    times = result.timings
    found = {
        "x-tokenize-time": f"{times.tokenize * 1000:.3f}",
        "x-queue-time": f"{times.queue * 1000:.3f}",
        "x-inference-time": f"{times.forward * 1000:.3f}",
    }
    if result.truncated:
        found["x-truncated"] = str(result.truncated)
    return found
