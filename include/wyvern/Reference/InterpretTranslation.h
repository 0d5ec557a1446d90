//===- InterpretTranslation.h - wyvern-translate --interpret ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_REFERENCE_INTERPRETTRANSLATION_H
#define WYVERN_REFERENCE_INTERPRETTRANSLATION_H

namespace mlir::wyvern::reference {

/// Registers `--interpret` and its options with mlir-translate's driver.
void registerInterpretTranslation();

} // namespace mlir::wyvern::reference

#endif // WYVERN_REFERENCE_INTERPRETTRANSLATION_H
