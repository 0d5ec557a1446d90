# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs and model configs of which is known whether they mean something.

Each starts as a random one that does; then, in half of the cases, one thing in it is
made nonsense, and must be refused.
"""

import copy
import json

import computes

NAMES = ["k", "v", "w", "beta", "a_1", "Key", "r2"]
# What is no name of a tensor, or of no new one.
NO_NAMES = ["none", "nan", "Infinity", "null", "TRUE", "2x", "a b", "d_q", "d_o", "o", "cu_seqlens", "out", "é", "a-b"]
NO_SIZES = [0, -1, 1.5, "x", None, True, [], {}, 10**9, 2**64]
NO_NUMBERS = ["nan", "inf", "-inf", "x", [], {}, 10**39, "1e-46"]


def spec(rng):
    """A spec as plain data, and whether it is one."""
    heads = rng.choice([1, 2, 3, 16])
    good = {
        "name": rng.choice(["layer", "_x", "delta_net2"]),
        "heads": {"key": heads, "value": heads * rng.choice([1, 2, 3])},
        "dims": {"key": rng.choice([1, 16, 64, 1024]), "value": rng.choice([1, 24, 64])},
        "decay": rng.choice(["none", "head", "channel"]),
        "dtype": rng.choice(["bf16", "f16", "f32"]),
        "scale": rng.choice([1, 0.5, -2, 0, 1e-3]),
        "steps": [_step(rng)],
    }
    for key in ("decay", "dtype", "scale"):
        if rng.random() < 0.3:
            del good[key]
    edits = _spec_edits(rng)
    if rng.random() < 0.5:
        computes.extend(rng, good)
        edits = computes.edits(rng, good)
    return _perhaps_wrong(rng, good, edits)


def _step(rng):
    write, value, rate = rng.sample(NAMES, 3)
    step = {"write": write, "value": value, "rate": rng.choice([rate, 1, 0.5, 2])}
    if rng.random() < 0.3:
        step["repeat"] = rng.choice([1, 2, 4])
    return step


def _spec_edits(rng):
    name, size, number = rng.choice(NO_NAMES), rng.choice(NO_SIZES), rng.choice(NO_NUMBERS)
    side = rng.choice(["key", "value"])
    return [
        (("name",), rng.choice([None, 1, "2x", "a b", "", [], "a/b"])),
        (("heads", side), size),
        (("dims", side), size),
        (("heads",), rng.choice([None, 3, [1, 1], {"key": 1}, {"key": 2, "value": 3}])),
        (("dims",), rng.choice([None, 64, {"value": 64}])),
        (("decay",), rng.choice(["gate", None, True, 1, []])),
        (("dtype",), rng.choice(["int8", "bfloat16", None, 16])),
        (("scale",), number),
        (("steps",), rng.choice([None, {}, "k", [1], [[]]])),
        (("steps", 0, rng.choice(["write", "value"])), rng.choice([name, [], {}, 1, "a *", "k + v"])),
        (("steps", 0, "rate"), rng.choice([number if number != "x" else "nan", name, [], None])),  # x is a name
        (("steps", 0, "repeat"), rng.choice([*NO_SIZES, 65])),
        (("steps", 0, "reads"), rng.choice(["now", None, 1])),
        (("steps", 0, "colour"), "red"),
        (("colour",), "red"),
    ]


# === Model configs ===

_QWEN = {
    "model_type": "qwen3_next",
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 64,
    "num_hidden_layers": 4,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "linear_attention"],
}
_CONFIGS = [
    {"model_type": "delta_net", "hidden_size": 256, "num_heads": 4, "expand_k": 1, "num_hidden_layers": 2},
    {"model_type": "gated_deltanet", "head_dim": 64, "num_heads": 2, "expand_v": 1.5, "num_hidden_layers": 3},
    {"model_type": "gated_deltaproduct", "head_dim": 64, "num_heads": 2, "num_householder": 2, "num_hidden_layers": 1},
    _QWEN,
]


def config(rng):
    """A config.json as plain data, and whether a layer can be read from it."""
    good = copy.deepcopy(rng.choice(_CONFIGS))
    good["torch_dtype"] = rng.choice(["bfloat16", "float16", None])
    good["unknown"] = rng.choice([1, None, {"x": [1, "a"]}])
    sizes = [key for key, value in good.items() if type(value) is int and key not in ("unknown", "expand_k")]
    edits = [((rng.choice(sizes),), rng.choice(NO_SIZES)) for _ in range(6)]
    edits += [
        (("model_type",), rng.choice(["llama", None, 1])),
        (("torch_dtype",), rng.choice(["int8", 1, []])),
    ]
    if "expand_v" in good:
        edits += [(("expand_v",), rng.choice([0.3, -1, 0, "x", [], 1e-9, 1e9]))]
    if "layer_types" in good:
        types = rng.choice([["linear-attention"] * 4, [None] * 4, "linear_attention", ["full_attention"] * 4, [], {}])
        edits += [(("layer_types",), types), (("layer_types", 1), rng.choice(["linear", None, 1]))]
    # Null where there is a default is the default; a layer is counted by its type.
    defaults = ["num_householder"] + ["num_hidden_layers"] * ("layer_types" in good)
    edits = [(path, value) for path, value in edits if value is not None or path[0] not in defaults]
    return _perhaps_wrong(rng, good, edits)


# === What both share ===


def _perhaps_wrong(rng, good, edits):
    if rng.random() < 0.5:
        return good, True
    path, value = rng.choice(edits)
    wrong = copy.deepcopy(good)
    place = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return wrong, False


def text(rng, data):
    """JSON, which is YAML too; numbers that JSON has no words for stand as they are."""
    plain = json.dumps(data, indent=rng.choice([None, 1]))
    for word in NO_NAMES + NO_NUMBERS:
        if isinstance(word, str) and rng.random() < 0.5 and word.isascii() and " " not in word:
            plain = plain.replace(f'"{word}"', word)
    return plain
