# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small random models of transformers, and a step of their training."""

import torch
import transformers

SHARED = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "linear_num_value_heads": 4,
    "linear_value_head_dim": 24,
    "pad_token_id": 0,
}
EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
}
QWEN = {"head_dim": 16, "linear_num_key_heads": 2, "linear_key_head_dim": 16}
KIMI = {
    "linear_head_dim": 16,
    "linear_num_heads": 4,
    "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "mlp_layer_types": ["dense"] * 4,
}
MODELS = {
    "KimiLinear": ("KimiLinearConfig", SHARED | KIMI),
    "Qwen3Next": ("Qwen3NextConfig", SHARED | QWEN | EXPERTS),
    "Qwen3_5": ("Qwen3_5TextConfig", SHARED | QWEN),
    "OlmoHybrid": ("OlmoHybridConfig", SHARED | {"linear_num_key_heads": 4, "linear_key_head_dim": 12}),
}


def functions_of(name):
    """How a model's functions of chunks and of steps are counted."""
    rule = "kda" if name.startswith("Kimi") else "gated_delta_rule"
    return f"chunk_{rule}", f"fused_recurrent_{rule}"


def make(name):
    """A model of three layers of Gated DeltaNet or Kimi Delta Attention and one of attention, with projections
    that are not as small and decays that are not as fast as in a new model."""
    torch.manual_seed(0)
    config, sizes = MODELS[name]
    model = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, config)(**sizes))
    assert list(model.config.layer_types).count("linear_attention") == 3
    for parameter_name, parameter in model.named_parameters():
        if "A_log" in parameter_name:
            parameter.data.uniform_(-4, 0)
        elif "_proj" in parameter_name:
            parameter.data.normal_(0, 0.2)
    return model


def step(model, tokens):
    """Logits, loss, and the gradients by name."""
    model.zero_grad()
    out = model(tokens, labels=tokens, use_cache=False)
    out.loss.backward()
    gradients = {name: x.grad.clone() for name, x in model.named_parameters() if x.grad is not None}
    return out.logits.detach(), out.loss.detach(), gradients


def error(x, expected):
    return ((x - expected).norm() / expected.norm()).item()
