# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A scan and its two halves compute the same, whatever crosses between them.

The program is one that no recurrence gives: what crosses is a matrix a chunk, a matrix
whose rows are its columns, vectors and rows of two a token; it runs from the last chunk
to the first; and one out does not depend on the state at all.
"""

import subprocess

import numpy as np
import pytest

_compiler = pytest.importorskip("wyvern._compiler", reason="built without the compiler")

PROGRAM = """
#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @free_form(%x: tensor<?x?x1x8xf32> {delta.name = "x"}, %y: tensor<?x?x2x8xf32> {delta.name = "y"},
    %s0: tensor<?x2x8x8xf32> {delta.name = "initial_state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x8xf32> {delta.name = "o"}, tensor<?x?x2x8xf32> {delta.name = "p"}, tensor<?x2x8x8xf32> {delta.name = "final_state"}) {
  %o, %p, %sT = delta.chunk_scan reverse chunk = 8 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %Y = %y[seq, time, head, _] : tensor<?x?x2x8xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x8x8xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x2x8xf32>, [seq, time, head, _] : tensor<?x?x2x8xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<8x8xf32>
    %zrep = arith.constant dense<0.0> : tensor<16x8xf32>
    %z1 = arith.constant dense<0.0> : tensor<8xf32>
    %tenth = arith.constant dense<0.1> : tensor<8x8xf32>
    %e = tensor.empty() : tensor<8x8xf32>
    %Y2 = math.tanh %Y : tensor<8x8xf32>
    %XX = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%X, %X : tensor<8x8xf32>, tensor<8x8xf32>) outs(%zero : tensor<8x8xf32>) -> tensor<8x8xf32>
    %Yt = linalg.transpose ins(%Y2 : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) permutation = [1, 0]
    %rows = linalg.reduce {arith.addf} ins(%Y2 : tensor<8x8xf32>) outs(%z1 : tensor<8xf32>) dimensions = [1]
    %exp = math.exp %rows : tensor<8xf32>
    %weight = delta.mask_rows %exp, %n : tensor<8xf32>
    %W = linalg.broadcast ins(%weight : tensor<8xf32>) outs(%e : tensor<8x8xf32>) dimensions = [1]
    %sum = linalg.reduce {arith.addf} ins(%X : tensor<8x8xf32>) outs(%z1 : tensor<8xf32>) dimensions = [0]
    %D = linalg.broadcast ins(%sum : tensor<8xf32>) outs(%e : tensor<8x8xf32>) dimensions = [1]
    %twice = delta.repeat_rows %X by 2 : tensor<8x8xf32> -> tensor<16x8xf32>
    %DS = arith.mulf %D, %S : tensor<8x8xf32>
    %DS1 = arith.mulf %DS, %tenth : tensor<8x8xf32>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%XX, %DS1 : tensor<8x8xf32>, tensor<8x8xf32>) outs(%S : tensor<8x8xf32>) -> tensor<8x8xf32>
    %RS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%twice, %S1 : tensor<16x8xf32>, tensor<8x8xf32>) outs(%zrep : tensor<16x8xf32>) -> tensor<16x8xf32>
    %S2 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%twice, %RS : tensor<16x8xf32>, tensor<16x8xf32>) outs(%S1 : tensor<8x8xf32>) -> tensor<8x8xf32>
    %YS = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Yt, %S2 : tensor<8x8xf32>, tensor<8x8xf32>) outs(%zero : tensor<8x8xf32>) -> tensor<8x8xf32>
    %O = arith.mulf %W, %YS : tensor<8x8xf32>
    %next = arith.mulf %S2, %tenth : tensor<8x8xf32>
    delta.yield outs(%O, %Y2 : tensor<8x8xf32>, tensor<8x8xf32>) carry(%next : tensor<8x8xf32>)
  }
  return %o, %p, %sT : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x2x8x8xf32>
}
"""


@pytest.fixture(scope="module")
def programs(build_dir):
    """The scan, compiled whole and cut."""
    command = [build_dir / "bin" / "wyvern-opt", "-", "-delta-stage"]
    staged = subprocess.run(command, input=PROGRAM, capture_output=True, text=True, check=True).stdout
    assert staged.count("delta.chunk_map") == 1
    for binding in ("[chunk, head, _, _]", "[seq, head, _, time]", "[seq, time * 2, head, _]", "[seq, time, head]"):
        assert binding in staged
    return _compiler.compile_cpu(PROGRAM), _compiler.compile_cpu(staged)


@pytest.mark.parametrize("batch, time, cu_seqlens", [(2, 27, []), (1, 27, [0, 5, 5, 21, 24]), (3, 0, [])])
def test_the_cut_changes_nothing(programs, batch, time, cu_seqlens):
    rng = np.random.default_rng(0)
    sequences = len(cu_seqlens) - 1 if cu_seqlens else batch
    x, y, s0 = (rng.standard_normal(shape).astype(np.float32)
                for shape in ((batch, time, 1, 8), (batch, time, 2, 8), (sequences, 2, 8, 8)))
    arrays = [0.3 * x, y, s0, np.array(cu_seqlens, np.int64)]
    whole, cut = ([np.asarray(result) for result in program.run(arrays)] for program in programs)
    for one, other in zip(whole, cut):
        assert np.isfinite(one).all()
        assert np.linalg.norm(one - other) <= 1e-6 * np.linalg.norm(one)
    if time and not cu_seqlens:
        assert all(np.abs(result).max() > 0.01 for result in whole)
