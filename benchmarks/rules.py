# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The recurrences that are timed: one table, of which the spec, the inputs, the reference
and the calls of peers follow.

With S' the state before a token and S the one behind it, o = scale S^T q, and, row by row,

    delta     S = S' + k (beta (v - S'^T k))^T
    gated     the same of exp(g) S', g a value head
    kda       the same, g a key channel
    product   the same for each of n rows k, v, beta of a token
    rwkv7     S = Diag(exp g) S' + b (S'^T a)^T + k v^T
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What one recurrence takes, and what it is called."""

    decay: str  # as a spec says it: none | head | channel
    operands: tuple  # as FLA's function takes them
    public: str  # FLA's public function, whose name ours has too
    module: str  # where FLA has that
    jla: str = ""  # jla's kind; empty where its layout is another
    jla_names: tuple = ()  # of operands that jla calls otherwise: (ours, theirs)

    @property
    def has_rates(self):
        return "beta" in self.operands

    def steps(self, rows):
        """The steps of a token with `rows` rows, as a spec has them."""
        if self.has_rates:
            step = {"write": "k", "value": "v", "rate": "beta"}
            return [step | {"repeat": rows} if rows > 1 else step]
        erase = {"write": "b", "erase": "a", "rate": -1, "reads": "before_decay"}
        return [erase, {"write": "k", "erase": "none", "value": "v"}]


RULES = {
    "delta": Rule("none", ("q", "k", "v", "beta"), "chunk_delta_rule", "delta_rule", "deltanet"),
    "gated": Rule("head", ("q", "k", "v", "g", "beta"), "chunk_gated_delta_rule", "gated_delta_rule", "gated_deltanet"),
    "kda": Rule("channel", ("q", "k", "v", "g", "beta"), "chunk_kda", "kda", "kda"),
    "product": Rule("none", ("q", "k", "v", "beta"), "chunk_gated_delta_product", "gated_delta_product"),
    "rwkv7": Rule("channel", ("q", "g", "k", "v", "a", "b"), "chunk_rwkv7", "rwkv7", "rwkv7", (("g", "w"),)),
}


def call_of(function, case, scale, **options):
    """`function`, by FLA's name and signature, as one of the operands of `case` alone."""
    options |= {"scale": scale, "output_final_state": True}
    if case.rule != "product":
        return lambda *operands: function(*operands, **options)
    options["num_householder"] = case.rows
    return lambda q, k, v, beta: function(q, k, v, None, beta, **options)
