//===- Version.cpp - Which Wyvern this is ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/Version.h"

#include "llvm/Config/llvm-config.h"

llvm::StringRef mlir::wyvern::getVersion() { return WYVERN_VERSION; }

llvm::StringRef mlir::wyvern::getLLVMVersion() { return LLVM_VERSION_STRING; }
