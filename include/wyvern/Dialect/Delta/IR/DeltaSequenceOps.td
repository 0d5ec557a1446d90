//===- DeltaSequenceOps.td - The sequence level ------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTASEQUENCEOPS
#define WYVERN_DIALECT_DELTA_IR_DELTASEQUENCEOPS

include "mlir/Interfaces/SideEffectInterfaces.td"
include "wyvern/Dialect/Delta/IR/DeltaAttrs.td"

class Delta_Op<string opMnemonic, list<Trait> traits = []>
    : Op<Delta_Dialect, opMnemonic, traits>;

def Delta_RecurrenceOp
    : Delta_Op<"recurrence", [Pure, AttrSizedOperandSegments]> {
  let summary = "a matrix state edited by decays and Householder-like steps";
  let description = [{
    For every sequence n and value head, with a state S (K x V) that starts at
    `initial_state` (zero if absent), token by token:

    ```
    S' = S;   S <- Diag(exp(g_t)) S            decay: none | head | channel
    each step, `repeat` times:
              S <- S + x (y - b e^T S*)        y = b v (value), y (written), or 0
    o_t = scale * q_t^T S
    ```

    x is the write key, e the erase key (no erase term if absent), b the rate, S*
    is the current S, or S' for a `before_decay` step. `final_state` is S after the
    last token. `g` is the *log* decay and must be <= 0. `max_rate` of a step is what b
    may reach at most, 1 if nothing is said: it changes no result but for its rounding
    (docs/numerics.md).

    With `level_scales` lam of L levels a value head, S is the sum of L states: what
    token s wrote is in state level(t, s) when token t reads, and each is read with a
    scale of its own. Levels are those of a Fenwick tree over positions in the sequence:

    ```
    o_t = scale * q_t^T (lam_t[0] S[0] + ... + lam_t[L-1] S[L-1])
    level(t, t) = 0,   level(t, s) = 1 + the highest bit in which t and s differ
    ```

    A sequence then has at most 2^(L-1) tokens, and no step reads before the decay.
    Without `positions` there is no initial state, and `final_state` is the sum of all
    levels. With `positions` p, a number a sequence, tokens of sequence n are those from
    position p_n on, and states have a head for each level of a value head. State l is
    then what the tokens since the last multiple of 2^l have written of the first half of
    2^l tokens, since level l reads it in the second half.

    Heads: `output` has HV value heads; every other operand has h heads, h divides
    HV, and value head j uses head floor(j / (HV / h)).

    Sequences: with an empty `cu_seqlens` (or none) there are B sequences of T
    tokens. Otherwise B = 1 and sequence n is the tokens
    `cu_seqlens[n] <= t < cu_seqlens[n+1]`; output rows at and past the last entry
    are zero.

    Constraints are numbered in docs/spec.md.

    Example:

    ```mlir
    %o, %sT = delta.recurrence query(%q) decay(%g)
        step(write %k erase %k value %v rate %beta)
        initial_state(%s0) cu_seqlens(%cu) scale 0.125
        : tensor<?x?x1x64xf32>, tensor<?x?x2xf32>, tensor<?x?x1x64xf32>,
          tensor<?x?x1x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2xf32>,
          tensor<?x2x64x64xf32>, tensor<?xi64>
        -> (tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>)
    %p, %pT = delta.recurrence query(%q) decay(%g)
        step(write %k value %v) cu_seqlens(%cu) level_scales(%lam) scale 1.0
        : tensor<?x?x1x64xf32>, tensor<?x?x2xf32>, tensor<?x?x1x64xf32>,
          tensor<?x?x2x64xf32>, tensor<?xi64>, tensor<?x?x28xf32>
        -> (tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>)
    ```
  }];
  let arguments = (ins Delta_FloatTensor:$query,
                       Optional<Delta_FloatTensor>:$decay,
                       Variadic<Delta_FloatTensor>:$step_operands,
                       Optional<Delta_FloatTensor>:$initial_state,
                       Optional<Delta_CuSeqlens>:$cu_seqlens,
                       Optional<Delta_FloatTensor>:$level_scales,
                       Optional<Delta_FloatTensor>:$positions,
                       Delta_StepArrayAttr:$steps, F64Attr:$scale);
  let results = (outs Delta_FloatTensor:$output,
                      Delta_FloatTensor:$final_state);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// One step with its operands by role; absent ones are null.
    struct Step {
      Value write, erase, value, written, rate;
      double constantRate = 1.0;
      std::optional<double> maxRate;
      int64_t repeat = 1;
      bool beforeDecay = false;

      /// Returns the step without its operands.
      StepAttr getAttr(MLIRContext *context) const;
      /// True if the erase term may have a factor above 1: the step may then
      /// reflect a key's value, not only shrink it.
      bool mayExceedOne() const {
        double least = rate ? 1.0 : std::abs(constantRate);
        return std::max(maxRate.value_or(1.0), least) > 1.0;
      }
    };
    SmallVector<Step> getStepList();

    int64_t getValueHeads() { return getOutput().getType().getDimSize(2); }
    int64_t getKeyDim() { return getQuery().getType().getDimSize(3); }
    int64_t getValueDim() { return getOutput().getType().getDimSize(3); }
    /// Returns the levels of a value head; 0 without level scales.
    int64_t getNumLevels() {
      return getLevelScales()
                 ? getLevelScales().getType().getDimSize(2) / getValueHeads()
                 : 0;
    }
    /// Returns how many tokens a sequence has at most: any number without levels.
    int64_t getMostTokens() {
      int64_t levels = getNumLevels();
      return levels ? int64_t(1) << (levels - 1)
                    : std::numeric_limits<int64_t>::max();
    }
    /// True if there is a decay and it has one gate a key channel.
    bool hasChannelDecay() {
      return getDecay() && getDecay().getType().getRank() == 4;
    }
  }];
}

def Delta_SumTokensOp
    : Delta_Op<"sum_tokens", [Pure, AttrSizedOperandSegments]> {
  let summary = "sums over the tokens of all sequences";
  let description = [{
    The gradient of what all tokens share, such as a bias a head, is the sum of what each
    token has of it. Every result has the shape of its operand without the first two
    dimensions, batch and tokens:

    ```
    y_h = sum of x_bth over all b and t that sequences own
    ```

    With a `cu_seqlens` that is not empty those are b = 0 and t < cu_seqlens[N]; with
    `rows` n of each token's rows t < n cu_seqlens[N]. The order of the sum is fixed by the
    shapes alone, so that every run gives the same bits.

    Example:

    ```mlir
    %dA, %dbias = delta.sum_tokens %x, %y cu_seqlens(%cu : tensor<?xi64>)
        : tensor<?x?x4xf32>, tensor<?x?x4xf32> -> tensor<4xf32>, tensor<4xf32>
    ```
  }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$tensors,
                       Optional<Delta_CuSeqlens>:$cu_seqlens,
                       DefaultValuedAttr<I64Attr, "1">:$rows);
  let results = (outs Variadic<Delta_FloatTensor>:$sums);
  let assemblyFormat = [{
    $tensors (`rows` $rows^)?
    (`cu_seqlens` `(` $cu_seqlens^ `:` type($cu_seqlens) `)`)? attr-dict
    `:` type($tensors) `->` type($sums)
  }];
  let hasVerifier = 1;
}

def Delta_RunningSumOp
    : Delta_Op<"running_sum",
               [Pure, AttrSizedOperandSegments, AllTypesMatch<["x", "sums"]>]> {
  let summary = "sums over the tokens of each sequence so far";
  let description = [{
    For every sequence, head and channel, from `init`, or zero if there is none:

    ```
    y_t = init + sum of x_s over s <= t       total = y of the last token
    reverse:   y_t = init + sum of x_s over s >= t       total = y of the first
    ```

    With `wrapped` sums are of angles: a multiple of 2 pi less, which keeps digits in
    a long sequence. Rows that no sequence owns are zero, and the total of a sequence
    without tokens is its init. Sequences are as for `delta.recurrence`.

    With `slots` init and total are a pool with a row a slot, as pools of `delta.chunk_scan`
    are: sequence n starts from row read_n, or from zero where that is below `first`, and its
    total goes to row write_n, if that is not below `first` and there is one. With `keep` the sum
    behind every run of `every` tokens, and behind the last, goes to a row of its own as well:
    its entry is that of a chunk as long.

    Example:

    ```mlir
    %phi, %end = delta.running_sum %theta init(%p0 : tensor<?x4x64xf32>)
        cu_seqlens(%cu : tensor<?xi64>) wrapped
        : tensor<?x?x4x64xf32> -> tensor<?x4x64xf32>
    %angles, %pool1 = delta.running_sum %theta init(%pool : tensor<?x4x64xf32>)
        slots(%read, %write : tensor<?xi32>, tensor<?xi32>, first = 0)
        keep(%kept : tensor<?xi32>, every 64) wrapped
        : tensor<?x?x4x64xf32> -> tensor<?x4x64xf32>
    ```
  }];
  let arguments = (ins Delta_FloatTensor:$x, Optional<Delta_FloatTensor>:$init,
                       Optional<Delta_CuSeqlens>:$cu_seqlens,
                       Optional<Delta_Indices>:$read_slots,
                       Optional<Delta_Indices>:$write_slots,
                       Optional<Delta_Indices>:$keep_slots,
                       UnitAttr:$reverse, UnitAttr:$wrapped,
                       DefaultValuedAttr<I64Attr, "0">:$first_slot,
                       DefaultValuedAttr<I64Attr, "0">:$every);
  let results = (outs Delta_FloatTensor:$sums, Delta_FloatTensor:$total);
  let assemblyFormat = [{
    $x (`init` `(` $init^ `:` type($init) `)`)?
    (`slots` `(` $read_slots^ `,` $write_slots `:` type($read_slots) `,`
    type($write_slots) `,` `first` `=` $first_slot `)`)?
    (`keep` `(` $keep_slots^ `:` type($keep_slots) `,` `every` $every `)`)?
    (`cu_seqlens` `(` $cu_seqlens^ `:` type($cu_seqlens) `)`)?
    (`reverse` $reverse^)? (`wrapped` $wrapped^)? attr-dict
    `:` type($x) `->` type($total)
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_DELTA_IR_DELTASEQUENCEOPS
