"""Makes a tiny Qwen3-VL with random weights, for tests of the protocol around it.

    python make_model.py FOLDER

It runs in the server's environment, so it imports nothing of this project. What it says is noise;
what matters is that a real server loads it, shows it images, and constrains it to schemas. Its
tokenizer is trained on the prompts and tools of this project, so that they fit its context.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTEXT = 32_768
VOCABULARY = 3_000
WIDTH = 128
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
TOOL_TAGS = ("<tool_call>", "</tool_call>")
PATCH = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
PIXELS = {"shortest_edge": 64 * 64, "longest_edge": 64 * 32 * 32}
"""An image costs 4 to 64 tokens of 32 x 32 pixels."""
SHARED, RARE, FREQUENT = 0.1, -2.0, 0.7
TEMPLATE = """
{%- macro show(content) -%}
{%- if content is string -%}{{ content }}
{%- elif content -%}
{%- for part in content -%}
{%- if part.type == 'image' or 'image_url' in part -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif 'text' in part -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- if tools -%}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif -%}
{%- for message in messages -%}<|im_start|>{{ message.role }}
{{ show(message.content) }}
{%- for call in message.tool_calls or [] -%}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def main(folder: Path) -> None:
    """Write everything that a server needs to load the model."""
    import torch

    transformers: Any = importlib.import_module("transformers")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save_pretrained(folder)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    torch.manual_seed(0)
    config = transformers.Qwen3VLConfig(**shape(len(tokenizer), ids))
    model = transformers.Qwen3VLForConditionalGeneration(config)
    lean(model, tokenizer)
    model.to(torch.bfloat16).save_pretrained(folder)
    for name, content in processors(ids).items():
        (folder / name).write_text(json.dumps(content, indent=1))


def train_tokenizer() -> Any:
    """Return Qwen's tokenizer with a small vocabulary of its own."""
    from tokenizers.pre_tokenizers import ByteLevel

    qwen: Any = importlib.import_module("transformers").Qwen2TokenizerFast
    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    base = qwen(vocab=letters, merges=[], unk_token=None)
    tokenizer = base.train_new_from_iterator(corpus(), VOCABULARY)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    tokenizer.add_tokens(list(TOOL_TAGS))
    tokenizer.eos_token, tokenizer.pad_token = "<|im_end|>", "<|endoftext|>"
    tokenizer.chat_template = TEMPLATE.strip()
    tokenizer.model_max_length = CONTEXT
    return tokenizer


def lean(model: Any, tokenizer: Any) -> None:
    """Make blanks rare and the ends of strings frequent, so that replies come to an end.

    All tokens share one coordinate; through it the head raises or lowers whole groups of tokens.
    Without, a grammar that allows blanks between tokens is left to an endless choice of blanks.
    """
    import torch

    with torch.no_grad():
        model.get_input_embeddings().weight[:, 0] = SHARED
        head = model.get_output_embeddings().weight
        for token in range(len(tokenizer)):
            text = tokenizer.decode([token])
            if text and not text.strip(" \t\r\n"):
                head[token, 0] = RARE
            elif '"' in text:
                head[token, 0] = FREQUENT


def corpus() -> Iterator[str]:
    """Yield the texts that the model will be shown most: prompts, tools, and JSON."""
    for path in sorted([*ROOT.glob("prompts/*.md"), *ROOT.glob("tools/*.py")]):
        yield path.read_text(encoding="utf-8")
    schema = {"type": "object", "properties": {"photo_id": {"type": "string", "maxLength": 64}}}
    tool = {"type": "function", "function": {"name": "zoom", "strict": True, "parameters": schema}}
    yield from [json.dumps(tool), json.dumps({"latitude": 50.08, "longitude": 14.43})] * 20


def shape(vocabulary: int, ids: dict[str, int]) -> dict[str, Any]:
    """Return the configuration: two layers that see, two that speak."""
    return {
        "text_config": {
            "vocab_size": -(-vocabulary // 64) * 64,
            "hidden_size": WIDTH,
            "intermediate_size": 2 * WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "max_position_embeddings": CONTEXT,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<|im_end|>"],
        },
        "vision_config": {
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "patch_size": PATCH["patch_size"],
            "temporal_patch_size": PATCH["temporal_patch_size"],
            "spatial_merge_size": PATCH["merge_size"],
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0],
        },
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }


def processors(ids: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Return the files beside the weights: how images are prepared, where a reply ends."""
    common = {
        "processor_class": "Qwen3VLProcessor",
        **PATCH,
        "size": PIXELS,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return {
        "preprocessor_config.json": {"image_processor_type": "Qwen2VLImageProcessor", **common},
        "video_preprocessor_config.json": {
            "video_processor_type": "Qwen3VLVideoProcessor",
            **common,
            "fps": 2,
        },
        "generation_config.json": {
            "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]],
            "pad_token_id": ids["<|endoftext|>"],
        },
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
