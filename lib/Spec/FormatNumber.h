//===- FormatNumber.h - Numbers as specs print them -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_SPEC_FORMATNUMBER_H
#define WYVERN_LIB_SPEC_FORMATNUMBER_H

#include <string>

namespace mlir::wyvern {

/// Returns the shortest decimal that reads back as `value`.
std::string formatNumber(double value);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_SPEC_FORMATNUMBER_H
