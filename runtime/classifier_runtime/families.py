"""What config.json does not say, and is so of every model of a type."""

from __future__ import annotations

from typing import Final


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Their positions begin at the padding id + 1: of 514, 512 can be used.
OFFSET_POSITIONS: Final = _types("""
    camembert data2vec-text esm ibert longformer mpnet roberta roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod
""")
# They tell a pair's first text from its second by token_type_ids, and so do their tokenizers.
SEGMENTS: Final = _types("""
    albert bert big_bird convbert deberta deberta-v2 electra ernie fnet funnel megatron-bert mobilebert mra
    nystromformer rembert roc_bert roformer squeezebert xlnet yoso
""")
# They need boxes, entities, tables or sound beside the text: without, they answer, and wrongly.
MORE_THAN_TEXT: Final = _types("""
    bros data2vec-audio hubert layoutlm layoutlmv2 layoutlmv3 lilt luke markuplm sew tapas unispeech unispeech-sat
    wav2vec2 wav2vec2-bert wav2vec2-conformer wavlm whisper
""")
# Of those whose config.json does not say how many types there are: XLNet has no table of them, it compares them.
TYPES: Final = {"xlnet": 4}
# They classify by the last place of the sequence, so that padding must come before the text.
PAD_LEFT: Final = _types("xlnet")
# They classify by an end-of-text token of each text, and want as many in each text of a batch.
SAME_ENDS: Final = _types("bart blenderbot led mbart mt5 mvp plbart t5 umt5")
# Packed attention was proved equal to padded for these, by tests; the start-up check alone does not prove it.
PACKABLE: Final = _types("albert bert camembert distilbert electra roberta xlm-roberta")
# Of an image: a patch of 16 x 16, which most vision transformers have, is a token.
PIXELS_PER_TOKEN: Final = 256
