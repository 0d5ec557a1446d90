# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""As fla_cases.py: FLA's functions and layers of the rest of the family."""

import fla.layers
import fla.ops.comba
import fla.ops.gdn2
import fla.ops.generalized_delta_rule
import fla.ops.gla
import fla.ops.kda
import fla.ops.precond_kda
import fla.ops.rwkv7
import fla.ops.simple_gla
import torch
from fla.ops.comba.naive import naive_chunk_comba
from fla.ops.gdn2.naive import naive_recurrent_gdn2
from fla.ops.generalized_delta_rule.dplr.naive import dplr_recurrence
from fla.ops.gla.naive import naive_recurrent_gla
from fla.ops.kda.naive import naive_recurrent_kda
from fla.ops.precond_kda.naive import naive_recurrent_precond_kda
from fla.ops.simple_gla.naive import naive_recurrent_simple_gla

import wyvern.torch
from fla_cases import close, operands, run_all
from wyvern.integrations import fla as integration


def family_operands(channels=True):
    x = operands()
    x.pop("beta")
    return x | ({"g": -torch.rand(1, 70, 4, 8)} if channels else {})


def same_as(found, expected, leaves):
    """Compares results, and gradients by weights of one's own."""
    weights = [torch.randn_like(y) for y in expected]
    gradients = [torch.autograd.grad(y, leaves, weights) for y in (found, expected)]
    for ours, theirs in zip([*found, *gradients[0]], [*expected, *gradients[1]]):
        close(ours, theirs)


def compare_family(function, naive, x):
    """Compares one of FLA's functions with its recurrence in torch, forward and backward."""
    leaves = [y.requires_grad_() for y in x.values()]
    same_as(function(**x, output_final_state=True), naive(**x, output_final_state=True), leaves)


def case_the_family():
    """Each function by another of FLA's own definitions."""
    rates = {"beta": torch.rand(1, 70, 4)}
    compare_family(fla.ops.kda.chunk_kda, naive_recurrent_kda, family_operands() | rates)
    gates = {"b": torch.rand(1, 70, 4, 8), "w": torch.rand(1, 70, 4, 8)}
    compare_family(fla.ops.gdn2.chunk_gdn2, naive_recurrent_gdn2, family_operands() | gates)
    p = {"p": 0.5 * torch.randn(1, 70, 4, 8)}
    compare_family(fla.ops.comba.chunk_comba, naive_chunk_comba, family_operands(channels=False) | p | rates)
    compare_family(fla.ops.simple_gla.chunk_simple_gla, naive_recurrent_simple_gla, family_operands(channels=False))
    atk = {"g_atk": -torch.rand(1, 70, 4), "beta_atk": torch.rand(1, 70, 4)}
    normed = lambda q, k, **x: naive_recurrent_precond_kda(*(torch.nn.functional.normalize(y, dim=-1) for y in (q, k)), **x)
    compare_family(fla.ops.precond_kda.chunk_precond_kda, normed, family_operands() | atk | rates)
    x = family_operands()
    gk = x.pop("g")
    compare_family(lambda gk, **x: fla.ops.gla.chunk_gla(g=gk, **x), naive_recurrent_gla, x | {"gk": gk})
    served = ["chunk_kda", "chunk_gdn2", "chunk_comba", "chunk_simple_gla", "chunk_precond_kda", "chunk_gla"]
    assert integration.status().served == dict.fromkeys(served, 1)


def case_diagonal_plus_low_rank():
    """RWKV-7 is DPLR by other names, and with other defaults."""
    x = family_operands()
    a = torch.nn.functional.normalize(torch.randn(1, 70, 4, 8), dim=-1)
    x |= {"alpha": -a, "beta": torch.rand_like(a) * a, "gk": x.pop("g")}
    turned = {name: y.transpose(1, 2) for name, y in x.items()}
    o, state = dplr_recurrence(**turned)
    a, b, gk = (x.pop(name) for name in ("alpha", "beta", "gk"))
    ops = fla.ops.generalized_delta_rule
    for found in (
        ops.chunk_dplr_delta_rule(**x, a=a, b=b, gk=gk, output_final_state=True, safe_gate=True, chunk_size=16),
        ops.fused_recurrent_dplr_delta_rule(**x, a=a, b=b, gk=gk, output_final_state=True),
        fla.ops.rwkv7.fused_recurrent_rwkv7(x["q"], gk, x["k"], x["v"], a, b),
        fla.ops.rwkv7.chunk_rwkv7(x["q"], gk, x["k"], x["v"], a, b, 8**-0.5, output_final_state=True),
    ):
        close(found[0], o.transpose(1, 2))
        close(found[1], state)
    assert list(integration.status().served.values()) == [1] * 4


def case_layers_of_the_family():
    """Those whose recurrences were not served before; the norms of outputs are Triton kernels, and taken out."""
    norm = lambda o, gate: o * torch.sigmoid(gate)
    layers = fla.layers.KimiDeltaAttention, fla.layers.GatedDeltaProduct, fla.layers.Comba, fla.layers.GatedDeltaNet2
    for make in layers:
        layer = make(hidden_size=32, head_dim=8, num_heads=2, expand_v=1, use_short_conv=False)
        del layer.o_norm
        layer.o_norm = norm
        x = torch.randn(1, 70, 32)
        layer(x)[0].sum().backward()
        assert layer.A_log.grad.abs().sum() > 0 and layer.b_proj.weight.grad.abs().sum() > 0
        with torch.no_grad():
            layer.eval()
            few = layer(x[:, :20])[0]
            assert (few - layer.train()(x)[0][:, :20]).norm() < 1e-5 * few.norm()
    served = integration.status().served
    names = ["chunk_kda", "chunk_gated_delta_product", "chunk_comba", "chunk_gdn2"]
    assert {name: served[name] for name in names} == dict.fromkeys(names, 2)
    names = ["fused_recurrent_kda", "fused_recurrent_gated_delta_rule", "fused_recurrent_comba", "fused_recurrent_gdn2"]
    assert {name: served[name] for name in names} == dict.fromkeys(names, 1)
    assert integration.status().fell_back == {}


class NormInTorch(torch.nn.Module):
    """What FLA's norm of the output computes in a Triton kernel."""

    def __init__(self, norm, activation):
        super().__init__()
        self.norm, self.activation = norm, activation

    def forward(self, o, gate=None):
        o = torch.nn.functional.rms_norm(o, o.shape[-1:], self.norm.weight, self.norm.eps)
        return o if gate is None else o * self.activation(gate)


def without_triton(layer, activation):
    """FLA's layer, with its norm and convolutions in torch."""
    layer.o_norm = NormInTorch(layer.o_norm, activation)
    for name in ("q_conv1d", "k_conv1d", "v_conv1d"):
        if hasattr(layer, name):
            convolution = getattr(layer, name)
            width, groups = convolution.weight.shape[2], convolution.weight.shape[0]

            def convolve(x, convolution=convolution, width=width, groups=groups, **_):
                x = torch.nn.functional.pad(x.transpose(1, 2), (width - 1, 0))
                y = torch.nn.functional.conv1d(x, convolution.weight, convolution.bias, groups=groups)
                return torch.nn.functional.silu(y.transpose(1, 2)), None

            delattr(layer, name)
            setattr(layer, name, convolve)
    return layer


# Few programs, since each is compiled here.
LAYERS = [
    ("KimiDeltaAttention", {"num_v_heads": 4}, torch.sigmoid),
    ("KimiDeltaAttention", {"num_v_heads": 4, "safe_gate": True, "lower_bound": -5.0, "use_short_conv": False}, torch.sigmoid),
    ("GatedDeltaProduct", {"num_v_heads": 4, "conv_bias": True}, torch.nn.functional.silu),
    ("GatedDeltaProduct", {"use_forget_gate": False, "num_householder": 3, "use_output_gate": False}, None),
    ("GatedDeltaNet2", {"allow_neg_eigval": True}, torch.sigmoid),
    ("Comba", {"num_v_heads": 4}, torch.sigmoid),
    ("Comba", {"num_v_heads": 4, "use_inner_decay": False, "use_output_correction": False}, torch.sigmoid),
]


def case_layers_of_ours_are_theirs():
    """One seed makes the same parameters, by the same names; and the same results, forward and backward."""
    x = torch.randn(2, 70, 32)
    for name, options, activation in LAYERS:
        sizes = {"hidden_size": 32, "head_dim": 8, "num_heads": 2, "expand_v": 1, **options}
        theirs, ours = (seeded(getattr(package, name), sizes) for package in (fla.layers, wyvern.torch))
        assert list(ours.state_dict()) == list(theirs.state_dict()), name
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value, msg=f"{name}.{key}")
        ours.load_state_dict(seeded(getattr(fla.layers, name), sizes, 1).state_dict(), strict=True)
        theirs.load_state_dict(ours.state_dict())
        theirs = without_triton(theirs, activation)
        results = [layer(x)[0] for layer in (ours, theirs)]
        close(results[0], results[1])
        weights = torch.randn_like(x)
        gradients = [torch.autograd.grad((y * weights).sum(), layer.b_proj.weight) for y, layer in zip(results, (ours, theirs))]
        close(gradients[0][0], gradients[1][0])


def case_rwkv7_of_ours_is_theirs():
    """Two layers, of which the second takes the values of the first; theirs with its Triton kernels in torch."""
    import fla.layers.rwkv7 as module
    from fla.modules.token_shift import token_shift_ref
    from fla.ops.rwkv7.fused_addcmul import torch_addcmul_rwkv7
    from fla.ops.rwkv7.fused_k_update import k_update_ref
    from fla.ops.rwkv7.gate_output_correction import gate_output_correction_ref

    module.token_shift = lambda x, cu_seqlens, **_: (token_shift_ref(x, cu_seqlens), None)
    module.fused_addcmul_rwkv7, module.fused_k_rwkv7 = torch_addcmul_rwkv7, k_update_ref
    module.gate_output_correction = gate_output_correction_ref
    x, firsts = torch.randn(1, 70, 32), [None, None]
    for index in range(2):
        sizes = {"hidden_size": 32, "head_dim": 8, "layer_idx": index, "num_hidden_layers": 2}
        ours, theirs = wyvern.torch.RWKV7Attention(**sizes), module.RWKV7Attention(**sizes)
        mine = ours.state_dict()
        assert list(mine) == list(theirs.state_dict())
        for name, value in theirs.state_dict().items():
            # What is not drawn at random begins as theirs.
            if "_proj" not in name and "lora.0" not in name and not name.endswith("lora.2.weight"):
                torch.testing.assert_close(mine[name], value, msg=name)
        for parameter in theirs.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        for cu_seqlens in (None, torch.tensor([0, 30, 70])):
            results = [
                layer(x, v_first=first, cu_seqlens=cu_seqlens) for layer, first in zip((ours, theirs), firsts)
            ]
            close(results[0][0], results[1][0])
            close(results[0][3], results[1][3])
            gradients = [torch.autograd.grad(y[0].sum(), layer.k_k, retain_graph=True) for y, layer in zip(results, (ours, theirs))]
            close(gradients[0][0], gradients[1][0])
        firsts = [y[3] for y in results]
    assert integration.status().fell_back == {}


def seeded(make, sizes, seed=0):
    torch.manual_seed(seed)
    return make(**sizes)


if __name__ == "__main__":
    run_all(globals())
