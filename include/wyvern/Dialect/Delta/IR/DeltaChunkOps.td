//===- DeltaChunkOps.td - Chunk programs: scan, map, yield -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTACHUNKOPS
#define WYVERN_DIALECT_DELTA_IR_DELTACHUNKOPS

include "mlir/IR/OpAsmInterface.td"
include "wyvern/Dialect/Delta/IR/DeltaInterfaces.td"
include "wyvern/Dialect/Delta/IR/DeltaSequenceOps.td"

// What both chunk programs share: bound operands, bound outs, a region on tiles.
class Delta_ChunkProgramOp<string opMnemonic, list<Trait> traits = []>
    : Delta_Op<opMnemonic, !listconcat([
        IsolatedFromAbove, AttrSizedOperandSegments,
        SingleBlock, RecursiveMemoryEffects, Delta_ChunkProgramOpInterface,
        DeclareOpInterfaceMethods<OpAsmOpInterface,
            ["getAsmBlockArgumentNames", "getAsmResultNames"]>], traits)> {
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  code sharedClassDeclaration = [{
    Block &getBlock() { return getBody().front(); }
    YieldOp getYield();
    /// `index`: the valid tokens of this chunk, 0 < n <= chunk.
    BlockArgument getValid() { return getBlock().getArgument(0); }
    BlockArgument getInArg(unsigned i) { return getBlock().getArgument(1 + i); }
    BindingAttr getInBinding(unsigned i) {
      return cast<BindingAttr>(getInBindings()[i]);
    }
    BindingAttr getOutBinding(unsigned i) {
      return cast<BindingAttr>(getOutBindings()[i]);
    }
    BlockArgument getCarryArg(unsigned i) {
      return getBlock().getArgument(1 + getIns().size() + i);
    }
    BindingAttr getCarryBinding(unsigned i) {
      return cast<BindingAttr>(getCarryBindings()[i]);
    }
  }];
}

def Delta_ChunkScanOp
    : Delta_ChunkProgramOp<"chunk_scan", [AttrSizedResultSegments]> {
  let summary = "a chunk program: sequential over chunks, parallel over heads";
  let description = [{
    For every (sequence, head) the region runs once a chunk, from the first to the
    last (`forward`) or back (`reverse`), and hands its carries from one chunk to
    the next. A carry starts at its init and ends in the matching final result.

    Every dimension of an operand is bound (`#delta.binding`): the block argument of
    an in is the slice for this (sequence, head, chunk), with `time` cut to `chunk`
    tokens. Element types convert to `compute` on entry and back on exit, so the
    region has no casts at its edges.

    * Partial chunks: ins are zero-extended past the sequence's end (by selection,
      never by multiplication), outs are truncated. Out rows that no sequence owns
      are zero.
    * Heads: an in's head dimension divides `heads`; an out's or a carry's equals
      it. A sum over a group of heads is never hidden in an out.
    * Sequences: as for `delta.recurrence`; an empty or absent `cu_seqlens` means
      one sequence a batch row.
    * A `chunk` dimension has slot floor(cu[n] / chunk) + n + c for chunk c of
      sequence n (dense: n * ceil(T / chunk) + c), and seq is then dropped.

    * Slots: with `slots` the carries are pools, bound to `slot`: sequence n starts at
      slot `read[n]` of the init and ends at slot `write[n]` of the final, all other slots
      of which are the init's. A sequence with read[n] < `first` is padding: it has no
      tokens, and its out rows are zero. Where write[n] < `first`, or `write` is empty,
      nothing is written. `lengths`, if it is not empty, cuts sequence n to its first
      lengths[n] tokens. With `else zeros` a sequence that reads no slot is no padding:
      it begins with zeros.
    * Kept states: `keep` has an entry for each slot of a `chunk` dimension, or is empty. The
      carries behind chunk c of sequence n also go to slot keep[c'] of the finals, c' the
      chunk's slot, where that is at least `first`. One carry that starts anew every few chunks,
      and so lies in no pool itself, is kept `into` a pool: the last result is that pool, and
      `keep` says what the `first` slot is.
    * Rounding: with `round(seeds)` what leaves for a pool of bf16 is rounded down or up at random,
      up with the probability that makes its expectation the f32: by 16 bits that are a
      function of seeds[n], or of 0 if `seeds` is empty, and of the element's number in its slot
      (docs/serving.md). Otherwise it is rounded to nearest.

    The region may hold only: same-shape `arith`/`math` on floats, constants,
    `tensor.empty`, `linalg.{contract, elementwise, broadcast, reduce, transpose,
    fill}` and the chunk ops of this dialect. Constraints: docs/spec.md.

    Example:

    ```mlir
    %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
        ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
            %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
        carry(%S = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
        outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
      %zero = arith.constant dense<0.0> : tensor<64x64xf32>
      %O = linalg.contract
          indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                           affine_map<(m, n, k) -> (k, n)>,
                           affine_map<(m, n, k) -> (m, n)>]
          ins(%Q, %S : tensor<64x64xf32>, tensor<64x64xf32>)
          outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
      %S1 = linalg.contract
          indexing_maps = [affine_map<(m, n, k) -> (k, m)>,
                           affine_map<(m, n, k) -> (k, n)>,
                           affine_map<(m, n, k) -> (m, n)>]
          ins(%Q, %V : tensor<64x64xf32>, tensor<64x64xf32>)
          outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
      delta.yield outs(%O : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
    }
    ```
  }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$ins,
                       Variadic<Delta_FloatTensor>:$inits,
                       Optional<Delta_CuSeqlens>:$cu_seqlens,
                       Optional<Delta_Indices>:$read_slots,
                       Optional<Delta_Indices>:$write_slots,
                       Optional<Delta_Indices>:$lengths,
                       Optional<Delta_Indices>:$keep_slots,
                       Optional<Delta_Indices>:$seeds,
                       Optional<Delta_FloatTensor>:$pool,
                       Delta_DirectionAttr:$direction, I64Attr:$chunk,
                       I64Attr:$heads, TypeAttr:$compute,
                       Delta_BindingArrayAttr:$in_bindings,
                       Delta_BindingArrayAttr:$carry_bindings,
                       Delta_BindingArrayAttr:$out_bindings,
                       DefaultValuedAttr<I64Attr, "0">:$first_slot,
                       UnitAttr:$else_zeros);
  let results = (outs Variadic<Delta_FloatTensor>:$outs,
                      Variadic<Delta_FloatTensor>:$finals,
                      Optional<Delta_FloatTensor>:$kept);
  // A scan that keeps nothing into a pool; then those whose carries are one a
  // sequence, or one a run of chunks.
  let builders = [
    OpBuilder<(ins "::mlir::TypeRange":$outs, "::mlir::TypeRange":$finals,
                   "::mlir::ValueRange":$ins, "::mlir::ValueRange":$inits,
                   "::mlir::Value":$cu_seqlens, "::mlir::Value":$read_slots,
                   "::mlir::Value":$write_slots, "::mlir::Value":$lengths,
                   "::mlir::Value":$keep_slots, "::mlir::Value":$seeds,
                   "Direction":$direction, "int64_t":$chunk, "int64_t":$heads,
                   "::mlir::Type":$compute, "::mlir::ArrayAttr":$in_bindings,
                   "::mlir::ArrayAttr":$carry_bindings,
                   "::mlir::ArrayAttr":$out_bindings, "int64_t":$first_slot,
                   CArg<"bool", "false">:$else_zeros),
              [{
                build($_builder, $_state, outs, finals, /*kept=*/::mlir::Type(),
                      ins, inits, cu_seqlens, read_slots, write_slots, lengths,
                      keep_slots, seeds, /*pool=*/::mlir::Value(), direction,
                      chunk, heads, compute, in_bindings, carry_bindings,
                      out_bindings, first_slot, else_zeros);
              }]>,
    OpBuilder<(ins "::mlir::TypeRange":$outs, "::mlir::TypeRange":$finals,
                   "::mlir::ValueRange":$ins, "::mlir::ValueRange":$inits,
                   "::mlir::Value":$cu_seqlens, "Direction":$direction,
                   "int64_t":$chunk, "int64_t":$heads, "::mlir::Type":$compute,
                   "::mlir::ArrayAttr":$in_bindings,
                   "::mlir::ArrayAttr":$carry_bindings,
                   "::mlir::ArrayAttr":$out_bindings),
              [{
                build($_builder, $_state, outs, finals, ins, inits, cu_seqlens,
                      ::mlir::Value(), ::mlir::Value(), ::mlir::Value(),
                      ::mlir::Value(), ::mlir::Value(), direction, chunk,
                      heads, compute, in_bindings, carry_bindings, out_bindings,
                      /*first_slot=*/0, /*else_zeros=*/false);
              }]>,
    OpBuilder<(ins "::mlir::TypeRange":$outs, "::mlir::TypeRange":$finals,
                   "::mlir::ValueRange":$ins, "::mlir::ValueRange":$inits,
                   "::mlir::Value":$cu_seqlens, "DirectionAttr":$direction,
                   "::mlir::IntegerAttr":$chunk, "::mlir::IntegerAttr":$heads,
                   "::mlir::TypeAttr":$compute,
                   "::mlir::ArrayAttr":$in_bindings,
                   "::mlir::ArrayAttr":$carry_bindings,
                   "::mlir::ArrayAttr":$out_bindings),
              [{
                build($_builder, $_state, outs, finals, ins, inits, cu_seqlens,
                      direction.getValue(), chunk.getInt(), heads.getInt(),
                      compute.getValue(), in_bindings, carry_bindings,
                      out_bindings);
              }]>
  ];
  let extraClassDeclaration = sharedClassDeclaration # [{
    /// True if the carries are pools, of which each sequence has a slot.
    bool hasSlots() { return getReadSlots() != nullptr; }
    /// Takes over where the carries of `other`, which are pools or none, are
    /// read, written and kept, how they are rounded and how long its sequences
    /// are.
    void setSlots(ChunkScanOp other);
    /// Says that carries are no pools.
    void removeSlots();
    /// The binding of the pool that its carry is kept into.
    BindingAttr getPoolBinding();
  }];
}

def Delta_ChunkMapOp : Delta_ChunkProgramOp<"chunk_map"> {
  let summary = "a chunk program without a carry: parallel over chunks too";
  let description = [{
    `delta.chunk_scan` without carries and so without an order: every (sequence,
    head, chunk) is independent. Bindings, partial chunks, heads and sequences are
    those of `delta.chunk_scan`.

    Example:

    ```mlir
    %p = delta.chunk_map chunk = 64 heads = 2 compute = f32
        ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
            %K = %k[seq, time, head, _] : tensor<?x?x1x64xbf16>)
        outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
      %P = delta.decay_dot upto_token %Q, %K
          : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
      delta.yield outs(%P : tensor<64x64xf32>)
    }
    ```
  }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$ins,
                       Optional<Delta_CuSeqlens>:$cu_seqlens,
                       I64Attr:$chunk, I64Attr:$heads, TypeAttr:$compute,
                       Delta_BindingArrayAttr:$in_bindings,
                       Delta_BindingArrayAttr:$out_bindings);
  let results = (outs Variadic<Delta_FloatTensor>:$outs);
  let extraClassDeclaration = sharedClassDeclaration # [{
    // A map has no carries; these make it a ChunkProgramOpInterface.
    ::mlir::ValueRange getInits() { return {}; }
    ::mlir::ValueRange getFinals() { return {}; }
    ::mlir::ArrayAttr getCarryBindings() {
      return ::mlir::ArrayAttr::get(getContext(), {});
    }
  }];
}

def Delta_YieldOp
    : Delta_Op<"yield", [Pure, Terminator, AttrSizedOperandSegments,
                         ParentOneOf<["ChunkScanOp", "ChunkMapOp"]>]> {
  let summary = "ends a chunk: its outs, and its carries for the next chunk";
  let description = [{
    Example:

    ```mlir
    delta.yield outs(%O : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
    ```
  }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$outs,
                       Variadic<Delta_FloatTensor>:$carries);
  let assemblyFormat = [{
    oilist(`outs` `(` $outs `:` type($outs) `)`
         | `carry` `(` $carries `:` type($carries) `)`) attr-dict
  }];
}

#endif // WYVERN_DIALECT_DELTA_IR_DELTACHUNKOPS
