"""Make a tiny audio-language model with random weights, to try servers that need a model.

    PYTHON scripts/make_tiny_model.py FOLDER

PYTHON needs `torch` and `transformers`. The model has the architecture of Qwen2-Audio, about
300,000 weights, and a tokenizer of bytes. Its answers are noise; what matters is which requests
the server takes.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

AUDIO, BEGIN_AUDIO, END_AUDIO = "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", AUDIO, BEGIN_AUDIO, END_AUDIO]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<|audio_bos|><|AUDIO|><|audio_eos|>\n{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main(folder: Path) -> None:
    """Write the model, its tokenizer and its processor."""
    torch: Any = importlib.import_module("torch")
    tokenizers: Any = importlib.import_module("tokenizers")
    transformers: Any = importlib.import_module("transformers")

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    raw = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab={char: n for n, char in enumerate(alphabet)}, merges=[])
    )
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        additional_special_tokens=SPECIAL,
        chat_template=TEMPLATE,
    )
    extractor = transformers.WhisperFeatureExtractor(feature_size=128, return_attention_mask=True)
    processor = transformers.Qwen2AudioProcessor(
        feature_extractor=extractor,
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
        audio_token=AUDIO,
        audio_bos_token=BEGIN_AUDIO,
        audio_eos_token=END_AUDIO,
    )
    config = transformers.Qwen2AudioConfig(
        audio_config={
            "num_mel_bins": 128,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "d_model": 64,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": 320,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32_768,
            "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        },
        audio_token_index=tokenizer.convert_tokens_to_ids(AUDIO),
    )
    torch.manual_seed(0)
    model = transformers.Qwen2AudioForConditionalGeneration(config).to(torch.float32)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = sum(parameter.numel() for parameter in model.parameters())
    print(f"{folder}: {weights:,} weights, {len(tokenizer)} tokens")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
