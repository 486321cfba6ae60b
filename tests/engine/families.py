"""Tiny random models of the families that people use, built on the spot.

Every family gives the settings by which transformers' configuration of it becomes tiny; a window is 6 tokens where a
family has one, so that short texts are longer than it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

WINDOW = 6
VOCABULARY = 97
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 0,
    "head_dim": 8,
    "attention_dropout": 0.0,
}
MOE = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
MLA = {
    "q_lora_rank": 12, "kv_lora_rank": 12, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6,
    "num_key_value_heads": 4, "head_dim": 4, "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1,
    "topk_group": 1, "first_k_dense_replace": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
}  # fmt: skip
MIXED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW}
GPT = {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 128, "rotary_dim": 4}
MAMBA = {
    "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_ssm": 64, "mamba_n_groups": 1, "mamba_d_state": 8,
    "mamba_expand": 2, "mamba_chunk_size": 8,
}  # fmt: skip
LINEAR = {
    "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}  # fmt: skip

# settings beside COMMON; a name that is no model type gives it as "model_type"
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama-scaled-positions": {"model_type": "llama", "rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}},
    "qwen2": {},
    "qwen2-window": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    "qwen3": {},
    "smollm3": {"no_rope_layers": [1, 0]},
    "mistral": {"sliding_window": None},
    "mistral-window": {"model_type": "mistral", "sliding_window": WINDOW},
    "ministral": MIXED,
    "ministral3": {},
    "phi": {},
    "phi3": {"sliding_window": None},
    "phi3-window": {"model_type": "phi3", "sliding_window": WINDOW},
    "gemma": {},
    "gemma2": {**MIXED, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 2.0},
    "gemma3_text": MIXED,
    "gemma3": {"text_config": {**COMMON, **MIXED}, "vision_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}, "mm_tokens_per_image": 4},
    "gemma3n_text": {**MIXED, "num_kv_shared_layers": 0, "vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8, "laurel_rank": 4, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.0, 0.0], "intermediate_size": [48, 48]},
    "gemma4_text": {**MIXED, "vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8, "global_head_dim": 8, "num_kv_shared_layers": 0},
    "cohere": {"logit_scale": 0.25},
    "cohere2": {**MIXED, "logit_scale": 0.25},
    "granite": {"logits_scaling": 4.0, "attention_multiplier": 0.3, "residual_multiplier": 0.7, "embedding_multiplier": 2.0},
    "olmo": {},
    "olmo2": {},
    "olmo3": MIXED,
    "glm": {"partial_rotary_factor": 0.5},
    "glm4": {"partial_rotary_factor": 0.5},
    "starcoder2": {"sliding_window": None},
    "starcoder2-window": {"model_type": "starcoder2", "sliding_window": WINDOW},
    "exaone4": {**MIXED, "sliding_window_pattern": 2},
    "stablelm": {},
    "gpt_neox": {},
    "gpt2": GPT,
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0},
    "bloom": {"n_head": 4, "n_layer": 2},
    "falcon": {"head_dim": None, "new_decoder_architecture": False, "alibi": False},
    "falcon-alibi": {"head_dim": None, "model_type": "falcon", "new_decoder_architecture": False, "alibi": True},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 128},
    "gptj": GPT,
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": WINDOW},
    "codegen": {**GPT},
    "gpt_bigcode": GPT,
    "xglm": {"d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4, "dropout": 0.0},
    "nemotron": {},
    "helium": {},
    "hunyuan_v1_dense": {},
    "ernie4_5": {},
    "seed_oss": {},
    "apertus": {},
    "arcee": {},
    "minicpm3": {**{k: v for k, v in MLA.items() if k in ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "num_key_value_heads")}, "dim_model_base": 16, "scale_depth": 1.4, "scale_emb": 2},
    "nanochat": {},
    "persimmon": {},
    "mixtral": {**MOE, "sliding_window": None},
    "qwen2_moe": {**MOE, "shared_expert_intermediate_size": 24, "decoder_sparse_step": 1},
    "qwen3_moe": {**MOE, "decoder_sparse_step": 1},
    "olmoe": MOE,
    "granitemoe": {**MOE, "logits_scaling": 4.0},
    "phimoe": MOE,
    "jetmoe": {**MOE, "kv_channels": 8, "num_key_value_heads": 2, "num_attention_heads": 4},
    "gpt_oss": {**MOE, **MIXED},
    "deepseek_v2": MLA,
    "deepseek_v3": MLA,
    "dots1": {**MOE, "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    "glm4_moe": {**MOE, "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    "ernie4_5_moe": {**MOE, "moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 1, "moe_layer_start_index": 1},
    "hunyuan_v1_moe": {**MOE, "moe_topk": 2},
    "llama4_text": {**MOE, "attention_chunk_size": WINDOW, "intermediate_size_mlp": 48, "no_rope_layers": [1, 0], "layer_types": ["chunked_attention", "full_attention"], "interleave_moe_layer_step": 2},
    "dbrx": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 128, "ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 32}, "attn_config": {"kv_n_heads": 2}},
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_ff_dim": 48, "conv_L_cache": 3},
    "qwen3_next": {**LINEAR, **MOE, "shared_expert_intermediate_size": 24},
    "qwen3_5_text": LINEAR,
    "granitemoehybrid": {**MAMBA, **MOE, "layer_types": ["mamba", "attention"], "shared_intermediate_size": 24, "num_local_experts": 0},
    "bamba": {**MAMBA, "attn_layer_indices": [1], "num_hidden_layers": 2},
    "falcon_h1": {**MAMBA},
    "jamba": {"attn_layer_offset": 1, "attn_layer_period": 2, "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 2, "mamba_d_state": 8, "mamba_dt_rank": 4},
    "zamba2": {"mamba_d_state": 8, "n_mamba_heads": 4, "mamba_headdim": 16, "mamba_ngroups": 1, "chunk_size": 8, "hybrid_layer_ids": [1], "layers_block_type": ["mamba", "hybrid"], "num_mem_blocks": 1, "attention_hidden_size": 64, "attention_head_dim": 16},
    "nemotron_h": {"layers_block_type": ["mamba", "attention"], "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 8},
    "mamba": {"state_size": 8},
    "mamba2": {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
    "falcon_mamba": {"state_size": 8},
    "rwkv": {"attention_hidden_size": 32, "context_length": 128},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "attention_window_size": WINDOW, "lru_width": 32},
}  # fmt: skip


def config_of(name: str) -> PretrainedConfig:
    """The tiny configuration of a family."""
    own = dict(FAMILIES[name])
    kind = own.pop("model_type", name)
    settings = {**COMMON, **own}
    if settings["head_dim"] is None:
        del settings["head_dim"]
    return AutoConfig.for_model(kind, **settings)


def save_family(name: str, folder: Path) -> Path:
    """A tiny model of the family, saved; its weights are such that every part of it shows in the logits."""
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_config(config_of(name))
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn_like(weight)
            weight.copy_(noise / weight.shape[-1] ** 0.5 if weight.dim() > 1 else weight + 0.1 * noise)
    model.save_pretrained(folder)
    return folder
