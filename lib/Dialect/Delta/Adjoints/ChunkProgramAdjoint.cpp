//===- ChunkProgramAdjoint.cpp - Derivatives of chunk programs ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReverseProgram.h"
#include "Rules.h"

#include "wyvern/Dialect/Delta/Utils/HeadSums.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

static LogicalResult checkProgram(ChunkProgramOpInterface program,
                                  Adjoint &adjoint) {
  // A carry that all sequences share would end as whichever came last.
  for (unsigned i = 0; i < program.getInits().size(); ++i)
    if (!program.getCarryBinding(i).has(DimKind::seq) &&
        !program.getCarryBinding(i).has(DimKind::chunk))
      return program.emitOpError()
             << "carry #" << i << " is bound to " << program.getCarryBinding(i)
             << ", expected a seq dimension: only then has each sequence a "
                "state of its own to differentiate";
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    for (BoundDim dim : program.getInBinding(i).getDims())
      if (dim.kind == DimKind::head && dim.multiple != 1 &&
          adjoint.isActive(in))
        return program.emitOpError()
               << "in #" << i << " is bound to " << program.getInBinding(i)
               << ": the gradient of one head in " << dim.multiple
               << " is not supported; read every head, or take this in out of "
                  "what is differentiated";
  return success();
}

/// True for a sum over the heads that another program has stored for nothing
/// else. Each of them has the gradient of its group's sum, which the backward
/// of that program reads as an in that its heads share: it is not stored for
/// each.
static bool passesGradientOn(ChunkProgramOpInterface program) {
  if (!isHeadSum(program))
    return false;
  Value summed = program.getIns().front();
  return isa_and_nonnull<ChunkProgramOpInterface>(summed.getDefiningOp()) &&
         llvm::all_of(summed.getUsers(),
                      [&](Operation *user) { return user == program; });
}

namespace {
template <typename OpT>
struct ChunkProgramRule : AdjointRule<ChunkProgramRule<OpT>, OpT> {
  static LogicalResult derive(OpT op, Adjoint &adjoint) {
    auto program = cast<ChunkProgramOpInterface>(op.getOperation());
    if (passesGradientOn(program)) {
      adjoint.addGradient(program.getIns().front(),
                          adjoint.getGradient(program.getOuts().front()));
      return success();
    }
    if (failed(checkProgram(program, adjoint)))
      return failure();
    return ReverseProgram(program, adjoint).build();
  }
};
} // namespace

void delta::registerChunkProgramAdjoints(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, DeltaDialect *) {
    ChunkScanOp::attachInterface<ChunkProgramRule<ChunkScanOp>>(*context);
    ChunkMapOp::attachInterface<ChunkProgramRule<ChunkMapOp>>(*context);
  });
}
