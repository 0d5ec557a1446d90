//===- RoundingPasses.td - What computes in 16 bits --------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_ROUNDINGPASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_ROUNDINGPASSES

include "mlir/Pass/PassBase.td"

def HalveDecayPass : Pass<"delta-halve-decay"> {
  let summary = "a decay a channel as factors of plain products";
  let description = [{
    Where each channel has a decay of its own, it stands inside of the sum of
    `delta.decay_dot`, and no matrix product can have it as it is: exp(h_i) exp(-p_j)
    overflows. This pass halves the tokens of a chunk. Of all pairs of a token in
    the second half of a block of 2 s and one in its first half the decay passes the
    block's middle, and is a product of two factors of one token each, both of them at
    most 1: those of `delta.sum_to_middle`. So with F_s = exp(sum_to_middle g half s)

    ```
    decay_dot a, b    = sum over s of (a * F_s)(b * F_s)^T, of the pairs of half s
    decay_apply m, x  = sum over s of F_s * (m_s (x * F_s)),  m_s the pairs of half s of m
    ```

    over s = 1, 2, 4, ... below the tokens of a chunk, and for the pairs of one token
    without a factor. No exponent is a difference of running sums, which would cancel
    after a strong decay, and none is positive, for all gates from 0 to -inf.

    Blocks of `near` tokens are not halved. Signed sums from their middle are factors of
    all their pairs of different tokens in one product, F and 1 / F:

    ```
    decay_dot a, b    = (a * F)(b / F)^T, of such pairs, + ...
    decay_apply m, x  = F * (m_near (x / F)) + ...
    ```

    which are within e^-64 and e^64: operands of bf16 lose nothing by them, as they have
    the exponents of f32; those of f16 cannot hold them. Gates below -64 / (near / 2)
    count as that there, so that with 8 near tokens decays are right to 1.1e-7.

    Decay products of one chunk share their factors. Those that are terms of one sum,
    with the same factor for their rows, are added up before they are multiplied by it:
    a tensor core adds the second to the first. Others are left alone.

    The gradient of a gate is a reverse running sum of rows q * dq - k * dk, in which a pair
    of later tokens stands with both signs. It leaves nothing there if both sides have the
    same numbers: where products of type `operand-type` are terms of such a sum, what they
    are multiplied by in it is rounded as the operand of the other side's product is. With F
    as above, for a dq of `decay_apply m, k` and a dk of `decay_apply transpose m, q`,

    ```
    q * dq - k * dk   = q' * (m k') - k' * (m^T q') of each kind of pairs,
                        q' = round(q * F), k' = round(k * F) or round(k / F)
    ```

    That is one sum more for a map to hold, and operands are read once more. In a map that
    makes more than three matrices (d_g, dq and dk are three) halves of `far` tokens or
    more come first. They leave little in a gate's gradient: their sums, as they are, are
    multiplied by q and k once, before others are held. In one that makes more than
    `most-sums` it is left as it is, with a remark.

    Before (types left out):

    ```mlir
    %P = delta.decay_dot upto_token %Q, %K decay(%G : tensor<2x128xf32>)
    ```

    After:

    ```mlir
    %0 = linalg.contract ins(%Q, %K) outs(%zero)                  // Q K^T
    %1 = delta.decay_mask upto_token %0 near 1
    %y = delta.sum_to_middle %G half 1
    %F = math.exp %y
    %Q1 = arith.mulf %Q, %F
    %K1 = arith.mulf %K, %F
    %2 = linalg.contract ins(%Q1, %K1) outs(%zero)
    %3 = delta.decay_mask upto_token %2 half 1
    %P = arith.addf %1, %3
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"near", "near", "int64_t", "1",
           "tokens of a block that is one product: a power of two, 1 for operands "
           "of 16 bits that are no bf16">,
    Option<"operandType", "operand-type", "std::string", "\"\"",
           "what operands of products are rounded to: bf16 or f16; empty for nothing">,
    Option<"mostSums", "most-sums", "int64_t", "4",
           "matrices that a map makes, at most, for a gate's gradient among them to be "
           "made of rounded operands">,
    Option<"far", "far", "int64_t", "32",
           "tokens of halves, at the least, of which such a gradient has the sums where "
           "the map makes more than three matrices">,
  ];
  let statistics = [
    Statistic<"numHalved", "num-halved", "decay products made of plain ones">,
    Statistic<"numGateTerms", "num-gate-terms",
              "terms of gradients of gates made of rounded operands">,
    Statistic<"numGateSumsLeft", "num-gate-sums-left",
              "gradients of gates beside too many sums for that">,
    Statistic<"numJoined", "num-joined",
              "decay products added to others before these are scaled">,
  ];
}

def AssignPrecisionPass : Pass<"delta-assign-precision"> {
  let summary = "round the operands of matmuls, and nothing else";
  let description = [{
    Both operands of every `linalg.contract`, `delta.decay_dot` and
    `delta.decay_apply` in a chunk program get an `arith.truncf` to the operand
    type, each value one, right after its definition. Accumulators, decays, rates, solves and carries keep the
    compute type. The truncf of an in that is stored in the operand type is exact.

    What goes from one chunk program to another, or from a forward to its backward
    (`delta.residual`), is stored in the operand type if it is a matrix, or is only
    ever read through such a truncf; it is then rounded where it leaves its program.
    A matrix that one program reads, and adds to something, is a sum that goes on: it
    keeps its type.
    Vectors (rates, gates and what is summed for their gradients) keep their type.

    Some roundings would be most of an error, and get a second part with what they
    took away (16 significant bits in all). A product that is added to a carry is
    computed for both parts if its operand is an in times vectors (a decay), because
    it would otherwise be the only inexact term (types left out):

    ```mlir
    %EVb = arith.truncf %EV
    %x = arith.extf %EVb
    %rest = arith.subf %EV, %x
    %restb = arith.truncf %rest
    %S0 = linalg.contract ins(%K, %restb) outs(%S)
    %S1 = linalg.contract ins(%K, %EVb) outs(%S0)
    ```

    An `erase_factor` keeps what rounding takes away left of its blocks (`to`).
    And rows of tokens that go to a program which sums a vector from them (the gradient
    of a rate) are two outs; the program adds them again for the sum, and its products
    take the first. A state that another program stores and that multiplies the carry
    (between the segments of `delta-segment`) is two outs too, and what it is added to;
    the product is three: of all parts but the two small ones.

    This is the only pass that rounds. What it makes also runs on the CPU, which
    is the sharpest test of a GPU kernel.

    Before (some types left out):

    ```mlir
    %z = delta.chunk_map ... outs([seq, time, head, _] : tensor<?x?x16x64xf32>)
    ...
    %R = linalg.contract ins(%Z, %ncW : tensor<64x64xf32>, tensor<64x128xf32>)
        outs(%W : tensor<64x128xf32>) -> tensor<64x128xf32>
    ```

    After:

    ```mlir
    %z = delta.chunk_map ... outs([seq, time, head, _] : tensor<?x?x16x64xbf16>)
    ...
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %ncWb = arith.truncf %ncW : tensor<64x128xf32> to tensor<64x128xbf16>
    %R = linalg.contract ins(%Zb, %ncWb : tensor<64x64xbf16>, tensor<64x128xbf16>)
        outs(%W : tensor<64x128xf32>) -> tensor<64x128xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let options = [
    Option<"operandType", "operand-type", "std::string", /*default=*/"\"bf16\"",
           "element type of matmul operands: bf16 or f16">,
  ];
  let statistics = [
    Statistic<"numRounded", "num-rounded", "truncations inserted">,
    Statistic<"numSplit", "num-split",
              "operands and results that get a second part">,
    Statistic<"numNarrowed", "num-narrowed",
              "results of chunk programs stored in the operand type">,
  ];
}

def TakeDiagonalsPass : Pass<"delta-take-diagonals"> {
  let summary = "row dots of two tiles out of their product";
  let description = [{
    In each `delta.chunk_map`, a sum over columns of x * y is read off the diagonal of
    x y^T, where the map has that product: both of ins that the product reads as they are
    stored, so that the numbers are the same. What is summed is then a matrix in
    registers, and not two that are read from shared memory.

    Before (types left out):

    ```mlir
    %0 = arith.truncf %X : tensor<64x128xf32> to tensor<64x128xbf16>    // X is stored so
    %1 = arith.truncf %R : tensor<64x128xf32> to tensor<64x128xbf16>
    %XR = linalg.contract ins(%0, %1) outs(%zero)                      // X R^T
    %2 = arith.mulf %X, %R
    %dbeta = linalg.reduce { arith.addf } ins(%2) dimensions = [1]
    ```

    After:

    ```mlir
    %XR = linalg.contract ins(%0, %1) outs(%zero)
    %2 = delta.decay_mask upto_token %XR near 1
    %dbeta = linalg.reduce { arith.addf } ins(%2) dimensions = [1]
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numTaken", "num-taken", "row dots taken out of a product">,
  ];
}

def PadDimsPass : Pass<"delta-pad-dims"> {
  let summary = "tiles of head dimensions in whole blocks of columns";
  let description = [{
    What the tensor cores multiply lies in shared memory in blocks of 64 columns. In
    every chunk program a dimension that is kept whole and is no multiple of `columns`
    is bound to `_ * columns`: its tiles go on to a multiple, with zeros in an in, and
    what an out has there is not stored. Tensors stay as they are, and nothing is
    copied. Zeros add nothing to a product, so results have the same bits. The halves of a
    row (`delta.split_columns`) stay as they are: of a row that grows they are its first
    columns, as before. They have a multiple of 8 columns, or it is an error.

    Before:

    ```mlir
    ins(%K = %k[seq, time, head, _] : tensor<?x?x4x96xbf16>) ...     // %K : tensor<64x96xf32>
    ```

    After, with columns = 64:

    ```mlir
    ins(%K = %k[seq, time, head, _ * 64] : tensor<?x?x4x96xbf16>) ...  // %K : tensor<64x128xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let options = [
    Option<"columns", "columns", "int64_t", /*default=*/"64",
           "what dimensions are padded to a multiple of">,
  ];
  let statistics = [
    Statistic<"numPadded", "num-padded", "operands and results with other tiles">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_ROUNDINGPASSES
