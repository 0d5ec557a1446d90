# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops of bundles, by what their forward saves: one row a token, states of chunks, or nothing.

Judged by the op of their spec, which saves the factor, in float64 on the CPU; with a schema and fakes
of their own. test/Integration/test_gpu_torch_op.py has the same on a GPU.
"""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import op_cases
import wyvern
from op_cases import close, spec
from wyvern._core import serving
from wyvern.torch import ContextParallel, op

LAYER = spec("gated", dims={"key": 64, "value": 64})
TWO_ROWS = spec("repeated", dims={"key": 64, "value": 64})
SAVED = {
    "factor": ["factor"],
    "checkpoints": ["factor", "state"],
    "states": ["factor", "rows", "state", "mapped", "mapped_1", "mapped_2"],
    "none": [],
}
# Chunks of 64 tokens, and slots of one and of eight: 10 and 2 of these.
TOKENS = 600


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, wyvernc):
    folder = tmp_path_factory.mktemp("bundles")
    return {save: wyvern.compile(LAYER, output=folder / save, training=True, save=save) for save in SAVED}


@pytest.fixture(params=SAVED)
def bundle(request, bundles):
    return bundles[request.param]


def make(layer, dtype=torch.float64, batch=2, tokens=TOKENS, sequences=None):
    """Random operands and a state, by name; every one a leaf."""
    shapes = op(layer).shapes
    tensors = op_cases.make(layer["name"], shapes, batch, tokens, sequences)
    tensors["initial_state"] = torch.randn(sequences or batch, 4, 64, 64, dtype=torch.float64)
    return {name: x.to(dtype).requires_grad_() for name, x in tensors.items()}


def step(function, data, **options):
    """What a function returns, and the gradients of all that it takes."""
    outputs = function(**data, **options, output_final_state=True)
    seeds = op_cases.weights(outputs)
    value = sum((x.double() * seed).sum() for x, seed in zip(outputs, seeds))
    return [*outputs, *torch.autograd.grad(value, list(data.values()))]


def saved_slots(op):
    """The tokens of the slots that an op's forward saves a row of."""
    return {tokens for _, tokens in op._family.signature.find_slots()}


def test_what_is_saved(bundles):
    """The schema has what the bundle saves, and the program of the CPU saves the same."""
    for save, names in SAVED.items():
        function, bundle = op(bundles[save]), bundles[save]
        saved = function._family.signature.residuals
        assert [x.name for x in saved] == bundle.residuals == names and serving.saved_by(bundle) == save
        returned = [x.name for x in function.ops.forward._schema.returns]
        assert returned == ["o", "final_state", *names]
    assert saved_slots(op(bundles["states"])) == {64}
    assert saved_slots(op(bundles["checkpoints"])) == {512}
    assert saved_slots(op(bundles["factor"])) == saved_slots(op(bundles["none"])) == set()


def test_values_and_gradients(bundle):
    data = make(LAYER)
    close(step(op(bundle), data), step(op(LAYER), data))


def test_packed(bundle):
    data, cu = make(LAYER, batch=1, sequences=4), torch.tensor([0, 20, 20, 148, TOKENS - 3])
    close(step(op(bundle), data, cu_seqlens=cu), step(op(LAYER), data, cu_seqlens=cu))


@pytest.mark.parametrize("tokens", [128, 130])
@pytest.mark.parametrize("packed", [False, True])
def test_opcheck(bundle, packed, tokens):
    """Schemas and fakes, with sequences that end with a chunk and within one."""
    data = make(LAYER, torch.float32, batch=1, tokens=tokens)
    *operands, state = (x.detach() for x in data.values())
    cu = torch.tensor([0, tokens]) if packed else None
    ops = op(bundle).ops
    torch.library.opcheck(ops.forward, (*data.values(), cu, True))
    o, last, *saved = ops.forward(*operands, state, cu, True)
    torch.library.opcheck(ops.backward, (*operands, state, cu, *saved, torch.ones_like(o), torch.ones_like(last)))


def test_compiles_with_dynamic_shapes(bundle):
    function = op(bundle)
    layer = torch.compile(lambda **data: function(**data), fullgraph=True, dynamic=True, backend="aot_eager")
    for batch, tokens in ((2, 70), (3, 520)):
        data = make(LAYER, torch.float32, batch, tokens)
        close(step(layer, data), step(function, data), 1e-6)


def test_gradients_of_each_sample(bundle):
    """The slots of what is mapped are those of a larger batch."""
    function = op(bundle)
    data = {name: x.detach() for name, x in make(LAYER, tokens=130).items()}
    names = list(data)

    def loss(*tensors):
        o, state = function(**dict(zip(names, tensors)), output_final_state=True)
        return o.square().sum() + state.square().sum()

    gradients = torch.func.grad(loss, tuple(range(len(names))))
    both = [torch.stack([x, x.flip(0)]) for x in data.values()]
    mapped = torch.func.vmap(gradients)(*both)
    for i in range(2):
        close([x[i] for x in mapped], gradients(*(x[i] for x in both)))


def test_two_rows_a_token(tmp_path, wyvernc):
    """A chunk is fewer tokens then, and so is a slot."""
    bundle = wyvern.compile(TWO_ROWS, output=tmp_path / "two", training=True, save="states")
    assert saved_slots(op(bundle)) == {32}
    data = make(TWO_ROWS, tokens=71)
    close(step(op(bundle), data), step(op(TWO_ROWS), data))


def test_a_layer_that_erases_nothing(tmp_path, wyvernc):
    layer = spec("sum", dims={"key": 64, "value": 64})
    data = make(layer, tokens=140)
    wanted = step(op(layer), data)
    for save in ("factor", "states"):
        bundle = wyvern.compile(layer, output=tmp_path / save, training=True, save=save)
        close(step(op(bundle), data), wanted)


def test_ranks_refuse_states_of_chunks(bundles):
    data = make(LAYER, tokens=130)
    for save in SAVED:
        call = lambda: op(bundles[save])(**data, cp_context=ContextParallel.alone(segments=2))
        if save in ("factor", "none"):
            close([call()[0]], [op(LAYER)(**data)[0]])
        else:
            with pytest.raises(NotImplementedError, match="cp_context with a bundle that saves states of chunks"):
                call()
