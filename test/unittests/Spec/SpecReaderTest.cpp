//===- SpecReaderTest.cpp - Reading specs as a library --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Spec/SpecReader.h"
#include "wyvern/Spec/SpecToModule.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// A text as the main file of a SourceMgr that collects its diagnostics.
class SpecReaderTest : public ::testing::Test {
protected:
  FailureOr<LayerSpec> read(StringRef text) {
    setText(text);
    return readYAMLSpec(sources);
  }

  void setText(StringRef text) {
    sources = llvm::SourceMgr();
    sources.AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(text, "layer.yaml"), SMLoc());
    sources.setDiagHandler(
        [](const llvm::SMDiagnostic &diagnostic, void *errors) {
          static_cast<std::vector<std::string> *>(errors)->push_back(
              (Twine(diagnostic.getLineNo()) + ":" +
               Twine(diagnostic.getColumnNo() + 1) + ": " +
               diagnostic.getMessage())
                  .str());
        },
        &errors);
  }

  llvm::SourceMgr sources;
  std::vector<std::string> errors;
};

const char *const gated = R"(name: gated
heads: {key: 2, value: 6}
dims: {key: 64, value: 32}
decay: head
steps:
  - {write: m * k, value: v, rate: beta, repeat: 2}
  - {write: x, erase: none, written: w * v2, rate: -1}
)";
} // namespace

TEST_F(SpecReaderTest, FillsInDefaults) {
  FailureOr<LayerSpec> spec = read(gated);
  ASSERT_TRUE(succeeded(spec));
  EXPECT_EQ(spec->dtype, ElementKind::BF16);
  EXPECT_EQ(spec->scale, 0.125);
  ASSERT_EQ(spec->steps.size(), 2u);
  EXPECT_EQ(spec->steps[0].erase.str(), "m * k");
  EXPECT_EQ(spec->steps[0].rate.str(), "beta");
  EXPECT_EQ(spec->steps[0].constantRate, 1.0);
  EXPECT_TRUE(spec->steps[1].erase.isAbsent());
  EXPECT_EQ(spec->steps[1].constantRate, -1.0);
}

TEST_F(SpecReaderTest, ListsOperandsInOrder) {
  FailureOr<LayerSpec> spec = read(gated);
  ASSERT_TRUE(succeeded(spec));
  std::vector<std::string> names;
  for (const SpecOperand &operand : getOperands(*spec))
    names.push_back(operand.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"q", "g", "m", "k", "v", "beta", "x", "w",
                                      "v2", "initial_state", "cu_seqlens"}));
  EXPECT_EQ(getOperands(*spec)[2].repeat, 2);
  EXPECT_EQ(getOperands(*spec)[6].repeat, 1);
}

TEST_F(SpecReaderTest, PrintsWhatItReads) {
  FailureOr<LayerSpec> spec = read(gated);
  ASSERT_TRUE(succeeded(spec));
  std::string printed, again;
  llvm::raw_string_ostream printedStream(printed), againStream(again);
  printSpec(*spec, printedStream);
  FailureOr<LayerSpec> back = read(printed);
  ASSERT_TRUE(succeeded(back));
  printSpec(*back, againStream);
  EXPECT_EQ(printed, again);
}

TEST_F(SpecReaderTest, BuildsAModuleThatVerifies) {
  FailureOr<LayerSpec> spec = read(gated);
  ASSERT_TRUE(succeeded(spec));
  MLIRContext context;
  OwningOpRef<ModuleOp> module = buildModule(&context, *spec, &sources);
  EXPECT_TRUE(succeeded(verify(*module)));
  EXPECT_TRUE(module->lookupSymbol("gated"));
}

TEST_F(SpecReaderTest, DiagnosticsReachTheHandler) {
  EXPECT_TRUE(failed(read("name: x\nheads: {key: 3, value: 4}\n"
                          "dims: {key: 1, value: 1}\nsteps: []\ndtype: f8\n")));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].rfind("5:8: expected dtype to be one of", 0), 0u);
}

TEST_F(SpecReaderTest, NoTextCrashesTheReaders) {
  // Every prefix of a spec, read as YAML and as JSON.
  std::string json = R"({"model_type": "delta_net", "a": [1, {"b": null}]})";
  for (size_t i = 0; i <= StringRef(gated).size(); ++i)
    (void)read(StringRef(gated).take_front(i));
  for (size_t i = 0; i <= json.size(); ++i) {
    setText(StringRef(json).take_front(i));
    EXPECT_TRUE(failed(readModelConfig(sources)));
  }
  EXPECT_TRUE(failed(read(std::string(1000, '['))));
  EXPECT_TRUE(failed(read(std::string(1000, '{'))));
  EXPECT_TRUE(failed(read(StringRef("name: \0 x", 9))));
  EXPECT_TRUE(failed(read("steps: \"")));
  EXPECT_TRUE(failed(read("a: |\n  b\n")));
}
