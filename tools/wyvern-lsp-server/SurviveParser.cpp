//===- SurviveParser.cpp - A parser that does not end the server ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An editor sends what one is typing, and LLVM's parser crashes on some
// operations that are not finished. The server that calls it is LLVM's too, and
// has no hook: so the linker puts this function in the place of the parser
// (`--wrap`, CMakeLists.txt), which it then is called as `__real_`.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/ParseMLIR.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

LogicalResult parse(const llvm::SourceMgr &sources, Block *block,
                    const ParserConfig &config, AsmParserState *state,
                    AsmParserCodeCompleteContext *completion) //
    asm("__real_" WYVERN_PARSE_SYMBOL);

LogicalResult parseOrRefuse(const llvm::SourceMgr &sources, Block *block,
                            const ParserConfig &config, AsmParserState *state,
                            AsmParserCodeCompleteContext *completion) //
    asm("__wrap_" WYVERN_PARSE_SYMBOL);

LogicalResult parseOrRefuse(const llvm::SourceMgr &sources, Block *block,
                            const ParserConfig &config, AsmParserState *state,
                            AsmParserCodeCompleteContext *completion) {
  // The attempt comes by here too.
  static thread_local bool isAttempt = false;
  if (isAttempt)
    return parse(sources, block, config, state, completion);
  const llvm::MemoryBuffer *buffer =
      sources.getMemoryBuffer(sources.getMainFileID());
  MLIRContext *context = config.getContext();
  isAttempt = true;
  auto crash = wyvern::findParserCrash(buffer->getBuffer(),
                                       context->getDialectRegistry(),
                                       context->allowsUnregisteredDialects());
  isAttempt = false;
  if (crash)
    return emitError(FileLineColLoc::get(context, buffer->getBufferIdentifier(),
                                         1, 1))
           << "cannot parse: " << *crash;
  return parse(sources, block, config, state, completion);
}
