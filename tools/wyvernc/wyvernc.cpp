//===- wyvernc.cpp - The compiler -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Driver/Driver.h"

int main(int argc, char **argv) { return mlir::wyvern::runDriver(argc, argv); }
