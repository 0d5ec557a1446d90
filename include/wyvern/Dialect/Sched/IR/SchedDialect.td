//===- SchedDialect.td - The sched dialect --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_IR_SCHEDDIALECT
#define WYVERN_DIALECT_SCHED_IR_SCHEDDIALECT

include "mlir/IR/OpBase.td"

def Sched_Dialect : Dialect {
  let name = "sched";
  let cppNamespace = "::mlir::wyvern::sched";
  let summary = "Who computes what of a chunk program, and what joins them";
  let description = [{
    A `sched.kernel` is one launch: a grid of thread blocks, and in each block a few
    **roles**. A role is what some of the block's warps do for each chunk; its region
    holds the closed set of chunk operations of the `delta` dialect, on whole tiles
    that have no layout. A **channel** hands tiles from the role that puts them to
    the roles that get them, a few chunks ahead.

    So fusing two chunk programs is moving operations between regions and making a
    channel of each value that crosses. Strategies write this dialect; the
    conversion to `tile` translates it and decides nothing.

    Whatever would be a hang on a GPU (a channel that nobody fills, a cycle of
    channels without slack, a budget that does not fit) is a verifier error here.
    `convert-sched-to-delta` makes chunk programs of kernels again, which a CPU runs,
    so a schedule can be judged without a GPU.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::mlir::wyvern::delta::DeltaDialect"];
}

#endif // WYVERN_DIALECT_SCHED_IR_SCHEDDIALECT
