//===- SchedTypes.td - Types and enums of the sched dialect -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_IR_SCHEDTYPES
#define WYVERN_DIALECT_SCHED_IR_SCHEDTYPES

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "wyvern/Dialect/Sched/IR/SchedDialect.td"

class Sched_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = Sched_Dialect.cppNamespace;
  let genSpecializedAttr = 0;
}

def Sched_GridOver
    : Sched_Enum<"GridOver", "what the blocks of a kernel are for", [
        I32EnumAttrCase<"sequences", 0>, I32EnumAttrCase<"slots", 1>]>;
def Sched_GridOverAttr : EnumAttr<Sched_Dialect, Sched_GridOver, "grid_over"> {
  let assemblyFormat = "$value";
}

def Sched_Fill
    : Sched_Enum<"Fill", "what brings the tiles of a channel", [
        I32EnumAttrCase<"tma", 0>, I32EnumAttrCase<"warps", 1>]>;
def Sched_FillAttr : EnumAttr<Sched_Dialect, Sched_Fill, "fill"> {
  let assemblyFormat = "$value";
}

class Sched_Type<string name, string typeMnemonic, string typeSummary>
    : TypeDef<Sched_Dialect, name> {
  let mnemonic = typeMnemonic;
  let summary = typeSummary;
}

def Sched_GlobalType
    : Sched_Type<"Global", "global", "a whole tensor of a kernel, in memory"> {
  let description = [{
    What a kernel's region sees of an operand or a result. `sched.load` and
    `sched.store` move the part that belongs to the block and the chunk.
  }];
  let parameters = (ins "::mlir::RankedTensorType":$tensor);
  let assemblyFormat = "`<` $tensor `>`";
}

def Sched_ChannelType
    : Sched_Type<"Channel", "channel", "tiles on their way between roles"> {
  let description = [{
    The tiles that one chunk hands over, with the element types they are held in.
    `sched.put` rounds to these, `sched.get` extends to the kernel's compute type, as
    a chunk program does with its outs and ins.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::Type">:$tiles);
  let assemblyFormat = "`<` $tiles `>`";
}

#endif // WYVERN_DIALECT_SCHED_IR_SCHEDTYPES
