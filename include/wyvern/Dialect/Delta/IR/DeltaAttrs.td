//===- DeltaAttrs.td - Attributes of the delta dialect -----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTAATTRS
#define WYVERN_DIALECT_DELTA_IR_DELTAATTRS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "wyvern/Dialect/Delta/IR/DeltaDialect.td"

class Delta_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = Delta_Dialect.cppNamespace;
  let genSpecializedAttr = 0;
}

def Delta_Direction
    : Delta_Enum<"Direction", "order in which a scan visits its chunks",
                 [I32EnumAttrCase<"forward", 0>, I32EnumAttrCase<"reverse", 1>]>;
def Delta_DirectionAttr : EnumAttr<Delta_Dialect, Delta_Direction, "direction"> {
  let assemblyFormat = "$value";
}

def Delta_DimKind
    : Delta_Enum<"DimKind", "what one dimension of a bound operand ranges over", [
        I32EnumAttrCase<"seq", 0>, I32EnumAttrCase<"time", 1>,
        I32EnumAttrCase<"chunk", 2>, I32EnumAttrCase<"head", 3>,
        I32EnumAttrCase<"whole", 4, "_">, I32EnumAttrCase<"slot", 5>]>;

class Delta_Attr<string name, string attrMnemonic>
    : AttrDef<Delta_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Delta_StepAttr : Delta_Attr<"Step", "step"> {
  let summary = "which operands one step of a recurrence has, and how it reads";
  let description = [{
    One generalised Householder step `S += x (y - b e^T S*)` of
    `delta.recurrence`. The operands of all steps are one flat list; a step owns,
    in this order, its write key `x`, its erase key `e` (if `hasErase`), its value
    `v` (`term` is `value`: y = b v) or written row `y` (`term` is `written`), and
    its rate `b` (if `hasRate`; otherwise b is the constant `rate`). `maxRate` is what
    the rate may reach at most, where that is said.
    `repeat` = n means n such steps a token, their operands of `T * n` rows.
    With `beforeDecay` S* is the state before the token's decay.
  }];
  let parameters = (ins "bool":$hasErase, "bool":$hasValue, "bool":$hasWritten,
                        "bool":$hasRate, "bool":$beforeDecay, "int64_t":$repeat,
                        "::mlir::FloatAttr":$rate,
                        OptionalParameter<"::mlir::FloatAttr">:$maxRate);
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Operands this step owns in the flat list of `delta.recurrence`.
    unsigned getNumOperands() const {
      return 1 + getHasErase() + getHasValue() + getHasWritten() + getHasRate();
    }
  }];
}

def Delta_BindingAttr : Delta_Attr<"Binding", "binding"> {
  let summary = "what each dimension of a chunk operand ranges over";
  let description = [{
    One entry a dimension: `seq` (one sequence), `time` (cut into chunks; `time * n`
    for n rows a token; `time * n row i` for row i of these alone, where an out has zeros in
    the others; `time * n in m` for a tile of m rows, more than a chunk's n rows
    a token, with zeros behind these in an in), `chunk` (one slot a chunk; `chunk * n`
    for one every n chunks, `chunk * n + i` for an out of chunk i of these), `head` (one head, or one of a group's shared heads; `head * n + i` for
    head i of each n), `slot` (the sequence's slot of a pool of states), `_` (kept
    whole; `_ * n` with zeros behind it, up to a multiple of n; `_ from a to b`, of an in, for
    its elements a to b - 1; `_ split n` for one of n equal parts, that of head j being part
    j modulo n, and an out then having one head for n of the program's; `_ split n * m` for
    parts that are multiples of m, of which the last one has zeros behind its elements). The tile of an operand keeps `time`, as
    chunk * n rows (or m), and `_`; the other dimensions are dropped.

    Example: `#delta.binding<[seq, time * 2, head, _]>`.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::wyvern::delta::BoundDim">:$dims);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// Parses `[seq, time * 2, head, _]`, without the attribute's mnemonic.
    static ::mlir::FailureOr<BindingAttr> parseDims(::mlir::AsmParser &parser);
    /// Prints what `parseDims` reads.
    void printDims(::llvm::raw_ostream &os) const;
    /// True if some dimension is of this kind.
    bool has(DimKind kind) const;
    /// Rows a token of the `time` dimension; 1 if there is none.
    int64_t getTimeMultiple() const;
    /// The row of each token's that tiles have, where they have one of several.
    std::optional<int64_t> getTimeRow() const;
    /// The same with tiles of a chunk's rows only.
    BindingAttr withOwnRows() const;
    /// Chunks a slot of the `chunk` dimension; 1 if there is none.
    int64_t getChunkMultiple() const;
    /// Which of these chunks an out is of; 0 if there is none.
    int64_t getChunkOffset() const;
    /// Heads of the program that share one of an out's, each with a part of its
    /// elements; 1 if none is split.
    int64_t getParts() const;
    /// The tile of `type` for one (sequence, head, chunk): `chunk` tokens, floats
    /// as `compute`.
    ::mlir::RankedTensorType getTileType(::mlir::RankedTensorType type,
                                         int64_t chunk,
                                         ::mlir::Type compute) const;
  }];
}

def Delta_BindingArrayAttr
    : TypedArrayAttrBase<Delta_BindingAttr, "one binding an operand">;
def Delta_StepArrayAttr : TypedArrayAttrBase<Delta_StepAttr, "list of steps">;

def Delta_FloatTensor : RankedTensorOf<[AnyFloat]>;
def Delta_CuSeqlens : 1DTensorOf<[I32, I64]>;
// One integer a sequence.
def Delta_Indices : 1DTensorOf<[I32, I64]>;

#endif // WYVERN_DIALECT_DELTA_IR_DELTAATTRS
