//===- Products.h - What comes after the last phase -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_PRODUCTS_H
#define WYVERN_LIB_DRIVER_PRODUCTS_H

#include "Options.h"
#include "Report.h"

#include "wyvern/Spec/LayerSpec.h"
#include "wyvern/Target/CompileModule.h"
#include "wyvern/Target/ProgramInfo.h"
#include "wyvern/Target/Ptxas.h"

namespace mlir::wyvern {

/// Something that --emit takes and that is not MLIR.
struct Product {
  StringLiteral name;
  StringLiteral description;
  bool needsPtxas;
  bool needsCompiler;
};

/// The programs that a product is made with.
struct ProductTools {
  std::optional<Ptxas> ptxas;
  std::optional<ModuleCompiler> compiler;
};

ArrayRef<Product> getProducts();

/// Finds what `product` needs.
llvm::Expected<ProductTools> findTools(const Product &product,
                                       const DriverOptions &options);

/// The product of this name, or null.
const Product *findProduct(StringRef name);

/// Assembles `bundle` if there is a ptxas, and writes `product`. `spec` is null
/// if the input was IR.
ExitCode writeProduct(const DriverOptions &options, const Product &product,
                      const LayerSpec *spec, BundleInfo bundle,
                      const ProductTools &tools, const Report *report);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_PRODUCTS_H
