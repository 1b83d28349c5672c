"""Every operation by its dialect, and its usual path at a provider's address.

A path that begins with `/` follows the base address, `^/` begins at the host's root, each `../`
goes up one step of the base's path. `{model}` is where the model's name stands. Of an operation
`x`, `x.stream` is where its streams are asked for, where that is another path.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CHAT = "openai-chat"
ANTHROPIC = "anthropic"

TASKS = ("chat", "embeddings", "rerank", "images", "speech", "transcription", "moderation")
"""What operations are for, whatever their dialect (`Operation.task`)."""

PATHS: Mapping[str, str] = MappingProxyType(
    {
        "chat": "/chat/completions",
        "completions": "/completions",
        "edits": "/edits",
        "embeddings": "/embeddings",
        "moderations": "/moderations",
        "images.generations": "/images/generations",
        "images.edits": "/images/edits",
        "images.variations": "/images/variations",
        "speech": "/audio/speech",
        "transcriptions": "/audio/transcriptions",
        "translations": "/audio/translations",
    }
)
"""Where OpenAI's dialect has its operations, below the version path."""

EXTRA: Mapping[str, str] = MappingProxyType(
    {
        "ocr": "/ocr",
        "images.other": "/images/generations",
        "speech.other": "/audio/speech",
        "moderations.other": "/moderations",
    }
)
"""Operations of no dialect of their own, which a preset must name; `x.other` is nearly OpenAI's x:
requests are rendered for it, beside x itself only those that say what the provider takes otherwise.
"""

_AIGC = "^/api/v1/services/aigc"
_DIALECTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    (CHAT, PATHS),
    (
        "openai-responses",
        {
            "responses": "/responses",
            "responses.input_tokens": "/responses/input_tokens",
            "responses.compact": "/responses/compact",
        },
    ),
    (
        ANTHROPIC,
        {
            "messages": "/messages",
            "messages.count_tokens": "/messages/count_tokens",
        },
    ),
    (
        "gemini",
        {
            "generate": "/models/{model}:generateContent",
            "generate.stream": "/models/{model}:streamGenerateContent?alt=sse",
            "gemini.count_tokens": "/models/{model}:countTokens",
            "gemini.embed": "/models/{model}:embedContent",
            "gemini.embed_single": "/models/{model}:embedContent",
            "gemini.batch_embed": "/models/{model}:batchEmbedContents",
            "gemini.predict": "/models/{model}:predict",
        },
    ),
    (
        "ollama",
        {
            "ollama.chat": "../api/chat",
            "ollama.generate": "../api/generate",
            "ollama.embed": "../api/embed",
            "ollama.embeddings": "../api/embeddings",
        },
    ),
    (
        "bedrock-converse",
        {
            "converse": "/model/{model}/converse",
            "converse.stream": "/model/{model}/converse-stream",
            "bedrock.invoke": "/model/{model}/invoke",
            "bedrock.invoke.stream": "/model/{model}/invoke-with-response-stream",
        },
    ),
    (
        "cohere",
        {
            "cohere.chat": "^/v2/chat",
            "cohere.embed": "^/v2/embed",
            "cohere.rerank": "^/v2/rerank",
        },
    ),
    (
        "dashscope",
        {
            "dashscope.chat": f"{_AIGC}/text-generation/generation",
            "dashscope.multimodal": f"{_AIGC}/multimodal-generation/generation",
            "dashscope.embed": "^/api/v1/services/embeddings/text-embedding/text-embedding",
            "dashscope.images": f"{_AIGC}/text2image/image-synthesis",
            "dashscope.rerank": "^/api/v1/services/rerank/text-rerank/text-rerank",
        },
    ),
    ("rerank", {"rerank": "/rerank"}),
    ("cloudflare", {"cloudflare.run": "../run/{model}"}),
    ("deepl", {"deepl.translate": "^/v2/translate"}),
    (
        "replicate",
        {
            "replicate.predict": "/models/{model}/predictions",
            "replicate.version": "/predictions",
        },
    ),
)
DIALECTS: Mapping[str, Mapping[str, str]] = MappingProxyType(dict(_DIALECTS))
"""Dialect → operation → path."""

ALL: Mapping[str, str] = MappingProxyType(
    {name: path for table in (*DIALECTS.values(), EXTRA) for name, path in table.items()}
)
"""Operation → its usual path."""

_OPTIONS = (
    (CHAT, "thinking thoughts accepts flat_text json_schema fetch_images image_size"),
    ("openai-responses", ""),
    (ANTHROPIC, "thinking fetch_urls system_inside anthropic_version"),
    ("gemini", "thinking signatures nested_media schema embed embed_most images voices"),
    (
        "ollama",
        "num_ctx keep_alive think num_batch num_gpu main_gpu num_thread use_mmap num_keep min_p "
        "typical_p repeat_last_n repeat_penalty draft_num_predict",
    ),
    (
        "bedrock-converse",
        "guardrailConfig performanceConfig requestMetadata additionalModelRequestFields "
        "embed images rerank_version",
    ),
    ("cohere", "safety_mode citation_options strict_tools priority input_type"),
    (
        "dashscope",
        "multimodal images cache_marks workspace plugin data_inspection enable_code_interpreter "
        "enable_search enable_thinking thinking_budget incremental_output max_input_tokens "
        "repetition_penalty search_options translation_options vl_high_resolution_images",
    ),
    ("rerank", ""),
    ("cloudflare", "image_field max_tokens lora repetition_penalty chat_template_kwargs"),
    (
        "deepl",
        "target_lang source_lang context formality glossary_id model_type split_sentences "
        "preserve_formatting tag_handling tag_handling_version outline_detection splitting_tags "
        "non_splitting_tags ignore_tags style_id translation_memory_id "
        "translation_memory_threshold custom_instructions enable_beta_languages system_prompt",
    ),
    ("replicate", "defaults wait inputs image_list messages"),
)
OPTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {dialect: frozenset(names.split()) for dialect, names in _OPTIONS}
)
"""Dialect → what a channel or the catalog may tell its renderer: `Hints.options`."""
