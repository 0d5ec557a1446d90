//===- Choice.h - Which variant a launch would run --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_CHOICE_H
#define WYVERN_TARGET_CHOICE_H

#include "wyvern/Target/ProgramInfo.h"

#include "llvm/ADT/ArrayRef.h"

namespace mlir::wyvern {

/// The lengths that a launch knows: sequences of equally many tokens.
struct LaunchShape {
  int64_t sequences = 1;
  int64_t tokens = 0; ///< of each
};

/// Returns the estimate of each variant, as the runtime has it; none for a
/// program of one variant.
std::vector<double> estimateVariants(const ProgramInfo &program,
                                     LaunchShape shape);

/// Returns the shapes that a choice of variants is judged by: up to 64
/// sequences of 512 to 131072 tokens, half a million at most.
std::vector<LaunchShape> getJudgedShapes();

/// Returns the variants worth having, the first and at most `most` in all: each
/// time the one that saves most of the estimated time of the judged shapes, as
/// long as that is a hundredth of it. In the order of the program.
std::vector<size_t> pickVariants(const ProgramInfo &program, size_t most);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_CHOICE_H
