# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a spec may say beyond its steps: `compute`, levels, sums that go on, prologues, bounds. Each makes a spec that
means something into another one that does; `edits` then are what must be refused in it."""

LOGITS = ["b", "b_2", "logits"]


def extend(rng, good):
    """Adds some of it to a spec whose one step has names for its operands."""
    if rng.random() < 0.4:
        _add_levels(rng, good)
    elif rng.random() < 0.3:
        _add_prologue(rng, good)
    if rng.random() < 0.5:
        _add_compute(rng, good)
    sums = any("running_sum" in str(x) for x in good.get("compute", []))
    if (sums or "levels" in good) and rng.random() < 0.5:
        good["resume"] = True


def _add_levels(rng, good):
    good["levels"] = "log"
    good["max_tokens"] = rng.choice([1, 2, 64, 100, 8192])


def _add_prologue(rng, good):
    parts = ["norm", "scale"]
    if isinstance(good["steps"][0]["rate"], str):
        parts.append("rates")
    if good.get("decay", "none") != "none":
        parts.append("decay")
        if rng.random() < 0.3:
            good["lower_bound"] = -5
    good["prologue"] = rng.sample(parts, rng.randint(1, len(parts)))


def _add_compute(rng, good):
    step, made = good["steps"][0], []
    rotates = good["dims"]["key"] % 2 == 0 and step.get("repeat", 1) == 1 and rng.random() < 0.4
    if rotates:
        made += [{"phi": "running_sum(theta)"}, {"q": "rotate(q, phi)"}]
    if rng.random() < 0.6:
        made.append({step["write"]: _key(rng, step["write"], good)})
    if isinstance(step["rate"], str) and "prologue" not in good:
        made.append({step["rate"]: f"{rng.choice([1, 2, 0.5])} * sigmoid({rng.choice(LOGITS)})"})
    if good.get("decay", "none") == "head" and "prologue" not in good:
        made.append({"g": "-exp(A_log) * softplus(f + dt_bias)"})
        good.setdefault("parameters", {}).update({"A_log": "head", "dt_bias": "head"})
    if made:
        good["compute"] = made


def _key(rng, name, good):
    """An expression of a key's row."""
    row = rng.choice([f"normalize({name})", f"silu({name})", f"({name} - shift)", f"{name} * (1 + gain)", f"-{name}"])
    if "gain" in row:
        good.setdefault("parameters", {})["gain"] = "key"
    return row if rng.random() < 0.5 else f"normalize({row}) * 0.5"


def edits(rng, good):
    """Paths, and what must not stand there in a spec that `extend` has made."""
    wrong = [(("resume",), rng.choice(["yes", 1, [], {}])), (("levels",), rng.choice(["linear", 2, [], True]))]
    wrong += [(("prologue",), rng.choice(["softmax", [1], {}, ["norm", "norm", "x"]]))]
    wrong += [(("variants",), rng.choice(["fast", [1], {}])), (("lower_bound",), rng.choice([0, 1, "x", [], "nan"]))]
    if "levels" in good:
        wrong += [(("max_tokens",), rng.choice([0, -1, 1.5, "x", None, 2**64]))]
        wrong += [(("steps", 0, "reads"), "before_decay")]
    elif "compute" not in good:
        wrong += [(("resume",), True), (("max_tokens",), 64)]
    bad = ["tanh(k)", "normalize()", "k k", "(k", "1 +", "", "k / 2", "rotate(k)", "running_sum(k) + 1", "2", "é", [], 1]
    wrong += [(("compute",), rng.choice(["k", {}, {"k": "normalize(k)"}, [1], [{}], [["k", "v"]], [{"k": "k", "v": "v"}]]))]
    wrong += [(("compute",), [{good["steps"][0]["write"]: rng.choice(bad)}])]
    if "compute" in good:
        wrong += [(("compute", 0), {"nobody": "normalize(x_9)"}), (("parameters",), rng.choice([1, [], {"A_log": "row"}]))]
        wrong += [(("parameters",), {"nobody": "head"}), (("inputs",), rng.choice([1, {"nobody": "key"}, {"b": 1}]))]
    return wrong
