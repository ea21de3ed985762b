from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from classifier_runtime import export as command
from classifier_runtime import verdict
from classifier_runtime.backends import child, openvino_convert, probe, quantize
from classifier_runtime.backends.openvino import OpenVino
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.checkpoint import OPENVINO
from classifier_runtime.errors import ModelRefused
from classifier_runtime.export import export
from classifier_runtime.fingerprint import fingerprint
from classifier_runtime.model import read
from tests.runtime import exported, tiny
from tests.runtime.backends.items import items, of_ids, same, spec
from tests.runtime.tiny_tokenizers import WORDS


def texts(count: int) -> list[str]:
    made = random.Random(3)
    return [" ".join(made.choices(WORDS, k=made.randint(1, 12))) for _ in range(count)]


def test_a_server_that_starts_from_an_export_imports_no_torch() -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from classifier_runtime.backends.choose import Wanted, load
from classifier_runtime.core.job import Item
from classifier_runtime.model import read
chosen = load(read(Path(sys.argv[1])), Wanted(device="auto"))
assert chosen.backend.forward([Item({"input_ids": np.array([2, 7, 3])}, 3)])[0].shape == (3,)
assert chosen.backend.name == "openvino", chosen
print([name for name in ("torch", "transformers", "nncf") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported.folder("bert"))],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert done.stdout.split("\n")[-2] == "[]"


def test_an_export_holds_all_that_serving_needs() -> None:
    folder = exported.folder("bert")

    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "openvino_model.bin",
        "openvino_model.xml",
        "tokenizer.json",
        "tokenizer_config.json",
        "verdict.json",
    ]
    found = verdict.read(folder)
    assert found is not None
    assert (found.backend, found.classes, found.int8) == ("openvino", 3, None)
    assert found.model == fingerprint(tiny.model("bert"))
    assert found.cpu == verdict.cpu_flags()
    assert {"openvino", "torch", "transformers"} == found.versions.keys()


def test_a_tokenizer_that_pads_or_cuts_every_text_does_so_no_more(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder = tiny.variant("bert", tmp_path / "m")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))

    export(folder, folder, timed=False)  # in place, as well

    assert len(Tokenizer.from_file(str(folder / "tokenizer.json")).encode("good film " * 9).ids) == 20
    assert read(folder).weights == "safetensors"
    assert not list(folder.glob(".export-*"))


def test_a_model_without_words_is_refused_though_transformers_makes_a_tokenizer_of_nothing(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", without=("tokenizer.json", "tokenizer_config.json"))

    with pytest.raises(ModelRefused, match=r"no tokenizer\.json, and no vocabulary to make one of"):
        export(folder, tmp_path / "out", timed=False)


def test_a_model_with_words_only_gets_the_tokenizer_that_it_lacks(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "m", without=("tokenizer.json",))
    words = json.loads((tiny.model("bert") / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(words, key=words.__getitem__)))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "model_max_length": 128}')

    export(folder, tmp_path / "out", timed=False)

    from tokenizers import Tokenizer

    made, own = (Tokenizer.from_file(str(where / "tokenizer.json")) for where in (tmp_path / "out", tiny.model("bert")))
    assert made.encode("Good film, très bon!").ids == own.encode("Good film, très bon!").ids


@pytest.mark.parametrize("name", tiny.DECODERS)
def test_what_openvino_cannot_convert_is_refused_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    level = logging.getLogger().level

    with pytest.raises(ModelRefused, match=f"OpenVINO cannot convert this {name} model, torch serves it"):
        export(tiny.model(name), tmp_path, timed=False)

    assert not list(tmp_path.iterdir())
    assert logging.getLogger().level == level


def test_backends_are_timed_and_the_figures_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Here, and not in processes, which would each import torch; that a child can do it all, `test_convert_once` shows.
    monkeypatch.setattr(child, "run", lambda work, *args: work(*args))

    found = export(tiny.model("bert"), tmp_path, threads=1)

    assert found.seconds.keys() == {"openvino", "torch-packed"}
    assert all(taken > 0 for taken in found.seconds.values())
    assert verdict.read(tmp_path) == found


def test_a_backend_that_cannot_be_loaded_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = exported.folder("bert") / OPENVINO
    monkeypatch.setattr(child, "run", lambda work, *args: work(*args))
    monkeypatch.setattr(probe, "PACKABLE", frozenset())

    found = probe.timings(dataclasses.replace(spec("bert"), pad_id=None), file, 1)

    assert found.keys() == {"openvino"}
    assert "torch-padded cannot be timed" in caplog.text


def test_without_figures_it_is_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise child.ChildDied("ended by itself")

    monkeypatch.setattr(child, "run", killed)

    assert probe.fastest(probe.timings(spec("bert"), Path("model"), 1)) == "openvino"


def test_a_rival_must_win_by_the_margin() -> None:
    assert probe.fastest({"openvino": 1.0, "torch-packed": 0.86}) == "openvino"
    assert probe.fastest({"openvino": 1.0, "torch-packed": 0.84}) == "torch-packed"
    assert probe.fastest({"torch-packed": 0.1}) == "openvino"
    assert probe.fastest({}) == "openvino"


def test_a_verdict_of_another_version_is_none(tmp_path: Path) -> None:
    for content in ("", "[]", '{"backend": "openvino"}', '{"cpu": [], "future": 1}'):
        (tmp_path / "verdict.json").write_text(content)
        assert verdict.read(tmp_path) is None


def test_int8_passes_the_gate_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibration = tmp_path / "texts.txt"
    calibration.write_text("\n".join(texts(200)))
    # Of random weights int8 is coarse: what is tested is that the figure decides, whatever it is.
    monkeypatch.setattr(quantize, "AGREEMENT", 0.5)

    found = export(tiny.model("bert"), tmp_path / "out", int8=True, calibration=calibration)

    assert found.int8 is not None
    assert 0.5 <= found.int8["agreement"] <= 1
    assert (found.int8["calibration"], found.int8["gate"]) == (100, 100)
    answers = OpenVino(read(tmp_path / "out"), tmp_path / "out" / OPENVINO).forward(items("bert"))
    same(answers, TorchPadded(spec("bert")).forward(items("bert")), 0.5)
    assert (tmp_path / "out" / "openvino_model.bin").stat().st_size < (
        exported.folder("bert") / "openvino_model.bin"
    ).stat().st_size

    monkeypatch.setattr(quantize, "AGREEMENT", 1.01)
    with pytest.raises(ModelRefused, match=r"int8 answers as float32 does in .* of 100 texts, and 101% is the least"):
        export(tiny.model("bert"), tmp_path / "refused", int8=True, calibration=calibration)
    assert not list((tmp_path / "refused").iterdir())


def test_too_few_texts_prove_nothing(tmp_path: Path) -> None:
    calibration = tmp_path / "texts.txt"
    calibration.write_text("\n".join(texts(199)))

    with pytest.raises(ModelRefused, match="199 texts, and 200 is the least"):
        quantize.quantize(spec("bert"), exported.folder("bert") / OPENVINO, calibration)


@pytest.mark.parametrize("name", ["regression", "vit"])
def test_int8_is_refused_where_nothing_tells_whether_it_is_right(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="--int8 is for text classifiers"):
        quantize.quantize(spec(name), tmp_path / OPENVINO, tmp_path / "texts.txt")


def test_calibration_texts_may_be_pairs_in_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "a"}\n\n{"text": "b", "text_pair": "c"}\n')
    assert quantize.texts(file) == ["a", ("b", "c")]

    file.write_text('{"text": "a"}\n{"txt": "b"}\n')
    with pytest.raises(ModelRefused, match="line 2: not"):
        quantize.texts(file)


def test_int8_and_its_texts_belong_together(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="--int8 and --calibration belong together"):
        export(tiny.model("bert"), tmp_path, int8=True)


def test_the_command_says_what_was_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "config.json cannot be read" in caplog.text

    with pytest.raises(SystemExit):
        command.main(["--help"])
    assert "--calibration" in capsys.readouterr().out


def test_an_image_without_torch_says_that_it_cannot_export() -> None:
    code = """
import sys
sys.modules["torch"] = None
from classifier_runtime.__main__ import main
sys.exit(main(["export", "model", "out"]))
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert done.returncode == 2
    assert "export needs torch, which is not installed; use the image with torch" in done.stderr


def test_without_nncf_int8_is_refused_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.delitem(sys.modules, "classifier_runtime.backends.quantize")
    monkeypatch.delattr("classifier_runtime.backends.quantize")

    with pytest.raises(ModelRefused, match="--int8 needs nncf, which is not installed"):
        export(tiny.model("bert"), tmp_path / "out", int8=True, calibration=tmp_path / "texts.txt")
    assert not (tmp_path / "out").exists()


def test_an_export_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(exported.folder("bert"), tmp_path / "m")
    before = {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir()}
    monkeypatch.setattr(command, "_facts", lambda *_: (_ for _ in ()).throw(OSError("no space left")))

    with pytest.raises(OSError, match="no space left"):
        export(tiny.model("bert"), tmp_path / "m", timed=False)

    assert {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir()} == before


def test_a_full_disk_is_told_of_and_is_not_the_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")  # all that OpenVINO says of it

    monkeypatch.setattr("openvino.save_model", full)

    with pytest.raises(OSError, match=r"openvino_model.xml cannot be written, and \d+ MiB are free there; make room"):
        export(tiny.model("bert"), tmp_path, timed=False)
    assert not list(tmp_path.iterdir())
    assert command.main([str(tiny.model("bert")), str(tmp_path)]) == 2


def test_killed_between_two_files_an_export_is_no_model_rather_than_half_of_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(exported.folder("bert"), tmp_path / "m")
    seen: list[set[str]] = []
    replace = Path.replace

    def watched(self: Path, to: Path) -> Path:
        seen.append({file.name for file in to.parent.iterdir() if file.is_file()})
        return replace(self, to)

    monkeypatch.setattr(Path, "replace", watched)
    export(tiny.model("bert"), tmp_path / "m", timed=False)

    assert len(seen) == 6
    assert not any(OPENVINO in names for names in seen[:-1])
    assert [name in seen[-1] for name in (OPENVINO, "verdict.json")] == [True, False]


def test_what_a_killed_export_left_is_swept_away_later(tmp_path: Path) -> None:
    for name, age in (("old", 7 * 3600), ("new", 60)):
        (tmp_path / f".export-{name}").mkdir()
        os.utime(tmp_path / f".export-{name}", (time.time() - age,) * 2)

    export(tiny.model("bert"), tmp_path, timed=False)

    assert [file.name for file in tmp_path.glob(".export-*")] == [".export-new"]


def test_the_engines_own_batches_are_timed() -> None:
    sample = [of_ids([5] * length) for length in (10, 200, 12, 400, 11, 300)]

    batches = list(probe._batches(sample, lambda items, longest, _: items * longest))

    assert sorted(one.tokens for batch in batches for one in batch) == [10, 11, 12, 200, 300, 400]
    assert [10, 11, 12] in [sorted(one.tokens for one in batch) for batch in batches]


def test_images_are_timed_in_batches_of_as_many_as_the_engine_takes() -> None:
    large = dataclasses.replace(spec("vit"), config={"image_size": 224}, path=tiny.model("bert"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino_convert, "image_size", lambda _: (224, 224))
        assert [one.tokens for one in openvino_convert.sample(large, [1, 1])] == [196, 196]


def test_no_one_is_told_what_is_exported() -> None:
    """OpenVINO's telemetry sends model and versions to its maker, and waits for a network that pods have not."""
    from openvino.tools.ovc import convert_impl

    assert convert_impl.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
