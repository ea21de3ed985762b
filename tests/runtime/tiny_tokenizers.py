"""Tokenizers of every kind that classifiers have, from a list of words: WordPiece, byte-level BPE, Unigram."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters, digits, punctuation
from typing import Any, Final

WORDS: Final = """
the a an of to and in is it this that was for on with as are be at by not have from or but they you we he she his her
film movie story plot actor acting scene book food service hotel room price staff team game music song show phone
good great excellent wonderful brilliant love loved like liked happy best fine nice amazing perfect beautiful fun
bad terrible awful boring worst hate hated sad slow poor ugly stupid broken dirty rude never waste angry afraid
very really so too quite rather almost just only more most less least again still ever always often sometimes
about example text sport politics science business health weather money travel world city country company
Paris London Berlin Rome Tokyo York New John Mary Smith Anna Peter Google HuggingFace Angela Merkel Germany France
lives works born went came visited president minister capital river street house university man woman child
er in est ing ed ly ness less tion s es un re pre dis able ful ment ity hug face token ize
und der die das ist nicht sehr gut schlecht haus schön straße über le la les très bon mauvais été café niño
""".split()  # noqa: SIM905 - a list of words, and it is to be read
_LETTERS: Final = ascii_letters + digits + punctuation + "äöüßéèêñç"


@dataclass(frozen=True)
class Made:
    """A tokenizer, and what a model's config.json says of it."""

    tokenizer: Any
    size: int
    pad: int
    special_ids: Mapping[str, int]
    words: Mapping[str, Any]

    def save(self, folder: Path, longest: int) -> None:
        from transformers import PreTrainedTokenizerFast

        PreTrainedTokenizerFast(
            tokenizer_object=self.tokenizer, model_max_length=longest, **self.words
        ).save_pretrained(folder)


def make(kind: str, *, cased: bool) -> Made:
    """Of a kind of `_KINDS`."""
    return _KINDS[kind](cased)


def _vocabulary(special: tuple[str, ...], pieces: list[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(dict.fromkeys((*special, *pieces)))}


def _made(tokenizer: Any, names: tuple[str, str, str, str, str], types: bool) -> Made:
    """With `<cls> A <sep>`, and for pairs `<cls> A <sep> B <sep>`; BERT's segment ids if wanted."""
    from tokenizers.processors import TemplateProcessing

    cls, sep, pad, unk, mask = names
    ids = {name: tokenizer.token_to_id(name) for name in names}
    second = "1" if types else "0"
    between = f"{sep} {sep}" if sep == "</s>" else sep  # as RoBERTa does
    tokenizer.post_processor = TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {between} $B:{second} {sep}:{second}",
        special_tokens=[(cls, ids[cls]), (sep, ids[sep])],
    )
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if types else ["input_ids", "attention_mask"]
    return Made(
        tokenizer,
        tokenizer.get_vocab_size(),
        ids[pad],
        {"cls_token_id": ids[cls], "bos_token_id": ids[cls], "sep_token_id": ids[sep], "eos_token_id": ids[sep]},
        {
            "cls_token": cls,
            "sep_token": sep,
            "pad_token": pad,
            "unk_token": unk,
            "mask_token": mask,
            "model_input_names": inputs,
        },
    )


_BERT: Final = ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
_ROBERTA: Final = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")


def _wordpiece(names: tuple[str, str, str, str, str], order: tuple[str, ...], types: bool) -> Callable[[bool], Made]:
    def make(cased: bool) -> Made:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

        words = WORDS if cased else [word.lower() for word in WORDS]
        pieces = [
            *_LETTERS,
            *(f"##{letter}" for letter in _LETTERS),
            *words,
            *(f"##{word}" for word in words if len(word) < 5),
        ]
        tokenizer = Tokenizer(models.WordPiece(_vocabulary(order, pieces), unk_token=names[3]))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not cased)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return _made(tokenizer, names, types)

    return make


def _bytes(names: tuple[str, str, str, str, str], order: tuple[str, ...], types: bool) -> Callable[[bool], Made]:
    def make(_: bool) -> Made:
        return _made(_byte_level(order), names, types)

    return make


def _byte_level(order: tuple[str, ...]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=520,
        special_tokens=list(order),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f" {word}" for word in WORDS], trainer)
    return tokenizer


def _decoder(_: bool) -> Made:
    """No special tokens around a text, as GPT-2; a token of its own for padding."""
    tokenizer = _byte_level(("<|end|>", "<|pad|>"))
    return Made(
        tokenizer,
        tokenizer.get_vocab_size(),
        1,
        {"bos_token_id": 0, "eos_token_id": 0},
        {
            "bos_token": "<|end|>",
            "eos_token": "<|end|>",
            "pad_token": "<|pad|>",
            "model_input_names": ["input_ids", "attention_mask"],
        },
    )


def _unigram(names: tuple[str, str, str, str, str], order: tuple[str, ...], types: bool) -> Callable[[bool], Made]:
    def make(_: bool) -> Made:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

        pieces = [*(f"▁{word}" for word in WORDS), *(word for word in WORDS if len(word) < 5), "▁", *_LETTERS]
        # Whole words are likelier than their letters together.
        scores = [(piece, -2.0 - 8.0 / len(piece)) for piece in _vocabulary((), pieces)]
        tokenizer = Tokenizer(models.Unigram([*((name, 0.0) for name in order), *scores], unk_id=order.index(names[3])))
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.add_special_tokens(list(order))
        return _made(tokenizer, names, types)

    return make


_BERT_ORDER: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_ORDER: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_KINDS: Final[Mapping[str, Callable[[bool], Made]]] = {
    "wordpiece": _wordpiece(_BERT, _BERT_ORDER, types=True),
    "wordpiece-plain": _wordpiece(_BERT, _BERT_ORDER, types=False),
    "wordpiece-mpnet": _wordpiece(_ROBERTA, _ROBERTA_ORDER, types=False),
    "bytes": _bytes(_ROBERTA, _ROBERTA_ORDER, types=False),
    "bytes-bert": _bytes(_BERT, _BERT_ORDER, types=False),
    "bytes-decoder": _decoder,
    "unigram": _unigram(_ROBERTA, _ROBERTA_ORDER, types=False),
    "unigram-bert": _unigram(_BERT, _BERT_ORDER, types=True),
}
