"""What names of models tell, on names as they are met in practice."""

from __future__ import annotations

import pytest

from fusiond import guess

NAMES = [
    ("qwen3:8b", "qwen", 8.0, True),
    ("qwen3:0.6b", "qwen", 0.6, True),
    ("qwen3:30b-a3b", "qwen", 30.0, True),
    ("qwen3:4b-instruct", "qwen", 4.0, False),
    ("qwen3-coder:30b", "qwen", 30.0, False),
    ("qwen2.5:14b", "qwen", 14.0, False),
    ("llama3.2", "llama", None, False),
    ("meta-llama/llama-3.3-70b-instruct:free", "llama", 70.0, False),
    ("hf.co/unsloth/gemma-3-27b-it-GGUF:Q4_K_M", "gemma", 27.0, False),
    ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm", 0.135, False),
    ("mixtral:8x7b", "mixtral", 56.0, False),
    ("mistralai/Mixtral-8x22B-Instruct-v0.1", "mixtral", 176.0, False),
    ("deepseek-r1:7b", "deepseek", 7.0, True),
    ("deepseek/deepseek-reasoner", "deepseek", None, True),
    ("gpt-oss:120b-cloud", "gpt", 120.0, True),
    ("openai/gpt-5-mini", "gpt", None, True),
    ("openai/gpt-4o", "gpt", None, False),
    ("openai/o3-mini", "o", None, True),
    ("gemma3n:e4b", "gemma", None, False),
    ("phi4-reasoning:14b", "phi", 14.0, True),
    ("magistral:24b", "magistral", 24.0, True),
    ("4096", "4096", None, False),
]


@pytest.mark.parametrize(("model", "family", "size", "reasoning"), NAMES, ids=[name for name, *_ in NAMES])
def test_a_name_tells_family_size_and_whether_it_thinks(model: str, family: str, size: float | None, reasoning: bool) -> None:
    """Owners, quantisations, contexts and tags are not mistaken for the name proper; what is not said is None."""
    assert (guess.family(model), guess.size(model), guess.reasoning(model)) == (family, pytest.approx(size) if size else None, reasoning)


@pytest.mark.parametrize(
    ("model", "cloud"), [("gpt-oss:120b-cloud", True), ("minimax-m2:cloud", True), ("cloud-7b:latest", False), ("qwen3:8b", False)]
)
def test_ollama_says_by_the_tag_what_runs_elsewhere(model: str, cloud: bool) -> None:
    """Only the end of the tag counts."""
    assert guess.cloud(model) is cloud
