//===- ManifestTest.cpp - Manifests and headers ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Manifest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

using namespace mlir::wyvern;

namespace {
const CompilerVersions versions = {"0.1.0", "22.1.8", "13.0.88"};

ProgramInfo makeProgram() {
  ProgramInfo program;
  program.name = "layer";
  program.target = "sm_90a";
  program.tensors = {{"q",
                      TensorRole::Input,
                      "bf16",
                      false,
                      {{DimRange::Seq, 0, 0},
                       {DimRange::Time, 2, 0},
                       {DimRange::Head, 0, 4},
                       {DimRange::Whole, 0, 64}},
                      false,
                      ""},
                     {"stream",
                      TensorRole::Input,
                      "f32",
                      true,
                      {{DimRange::Seq, 0, 0}, {DimRange::Head, 0, 4}},
                      false,
                      ""},
                     {"o",
                      TensorRole::Output,
                      "bf16",
                      false,
                      {{DimRange::Whole, 0, 64}},
                      false,
                      ""}};
  KernelInfo kernel;
  kernel.symbol = kernel.file = "layer_chain";
  kernel.gridFactor = 8;
  kernel.gridCount = GridCount::Sequences;
  kernel.dynamicShared = 49152;
  kernel.params = {{ParamKind::TensorMap, "q", 0, {1, 64, 1, 64}, 128},
                   {ParamKind::Stride, "stream", 1, {}, 0},
                   {ParamKind::CuWidth, "", 0, {}, 0}};
  kernel.cubin = "abc";
  TensorInfo workspace = {"z",
                          TensorRole::Workspace,
                          "f32",
                          false,
                          {{DimRange::Chunk, 1, 0}, {DimRange::Head, 0, 4}},
                          false,
                          ""};
  program.variants = {{"separate", {workspace}, {kernel}}};
  return program;
}

KernelInfo &getKernel(ProgramInfo &program) {
  return program.variants[0].kernels[0];
}

/// The first kernel of the first variant of a manifest.
const llvm::json::Object &getKernel(const llvm::json::Object &manifest) {
  const llvm::json::Value &variant = (*manifest.getArray("variants"))[0];
  return *(*variant.getAsObject()->getArray("kernels"))[0].getAsObject();
}

std::vector<std::string> findProblems(const ProgramInfo &program) {
  std::vector<std::string> problems;
  (void)verifyProgram(program, [&](const llvm::Twine &message) {
    problems.push_back(message.str());
  });
  return problems;
}
} // namespace

TEST(ManifestTest, HoldsWhatTheRuntimeReads) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeManifest({makeProgram(), std::nullopt},
                llvm::json::Object{{"name", "layer"}}, versions, os);
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  ASSERT_TRUE(bool(value));
  const llvm::json::Object &root = *value->getAsObject();
  EXPECT_EQ(root.getInteger("schema"), 3);
  EXPECT_TRUE(root.getNull("backward"));
  EXPECT_EQ(root.getObject("spec")->getString("name"), "layer");
  const llvm::json::Object &q = *(*root.getArray("tensors"))[0].getAsObject();
  EXPECT_EQ((*q.getArray("dims"))[1].getAsObject()->getInteger("multiple"), 2);
  const llvm::json::Object &kernel = getKernel(root);
  EXPECT_EQ(kernel.getString("image"), "layer_chain.cubin");
  // sha256 of "abc", from FIPS 180-4.
  EXPECT_EQ(kernel.getString("sha256"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(kernel.getObject("grid")->getInteger("factor"), 8);
  EXPECT_EQ(kernel.getObject("grid")->getString("count"), "sequences");
  EXPECT_EQ(kernel.getObject("grid")->get("chunks"), nullptr);
  const llvm::json::Array &params = *kernel.getArray("params");
  EXPECT_EQ(params[0].getAsObject()->getInteger("swizzle"), 128);
  EXPECT_EQ(params[1].getAsObject()->getInteger("dim"), 1);
  EXPECT_EQ(params[2].getAsObject()->size(), 1u);
}

TEST(ManifestTest, HeaderNamesTensorsAndTypes) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeCHeader({makeProgram(), std::nullopt}, versions, Images::InFiles, os);
  EXPECT_NE(
      text.find("const uint16_t *q, /* [batch, tokens * 2, 4, 64] bf16 */"),
      std::string::npos);
  // A tensor called as a parameter of the launch function gets another name.
  EXPECT_NE(
      text.find("const float *stream_, /* [sequences, 4] f32, or NULL */"),
      std::string::npos);
  EXPECT_NE(text.find("{WYVERN_PARAM_STRIDE, 1, 1, 0, {0}}, /* stream */"),
            std::string::npos);
  EXPECT_NE(text.find("WYVERN_COUNT_SEQUENCES, 8, 0, 128,"), std::string::npos);
  // So do those called as its locals.
  ProgramInfo program = makeProgram();
  program.tensors[2].name = "slots8";
  std::string other;
  llvm::raw_string_ostream otherOs(other);
  writeCHeader({program, std::nullopt}, versions, Images::InFiles, otherOs);
  EXPECT_NE(other.find("uint16_t *slots8_,"), std::string::npos);
  // The workspace is not an argument.
  EXPECT_EQ(text.find("*z"), std::string::npos);
}

TEST(ManifestTest, AcceptsAGoodProgram) {
  EXPECT_EQ(findProblems(makeProgram()), std::vector<std::string>());
}

TEST(ManifestTest, RefusesParametersOfUnknownTensors) {
  ProgramInfo program = makeProgram();
  getKernel(program).params[0].tensor = "k";
  ASSERT_EQ(findProblems(program).size(), 1u);
  EXPECT_EQ(findProblems(program)[0],
            "program layer: kernel layer_chain names no known tensor: k");
}

TEST(ManifestTest, RefusesTensorsOutOfOrder) {
  ProgramInfo program = makeProgram();
  std::swap(program.tensors[1], program.tensors[2]);
  EXPECT_EQ(findProblems(program).size(), 1u);
}

TEST(ManifestTest, RefusesWhatDescriptorsCannotHold) {
  ProgramInfo program = makeProgram();
  program.tensors[0].dims.resize(6);
  program.tensors[1].dtype = "f8";
  getKernel(program).params[1].dim = 2;
  getKernel(program).block = 2048;
  // Six dimensions also disagree with the box, and two of them are empty.
  EXPECT_EQ(findProblems(program).size(), 7u);
}

TEST(ManifestTest, GridOfSlotsOfSeveralChunks) {
  ProgramInfo program = makeProgram();
  getKernel(program).gridChunks = 8;
  ASSERT_EQ(findProblems(program).size(), 1u);
  EXPECT_EQ(findProblems(program)[0], "program layer: kernel layer_chain has "
                                      "chunks a slot, but another grid");
  getKernel(program).gridCount = GridCount::Slots;
  EXPECT_TRUE(findProblems(program).empty());

  std::string text, header;
  llvm::raw_string_ostream os(text), headerOs(header);
  writeManifest({program, std::nullopt}, nullptr, versions, os);
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  ASSERT_TRUE(bool(value));
  const llvm::json::Object &kernel = getKernel(*value->getAsObject());
  EXPECT_EQ(kernel.getObject("grid")->getInteger("chunks"), 8);
  writeCHeader({program, std::nullopt}, versions, Images::InFiles, headerOs);
  EXPECT_NE(header.find("NULL, 0, WYVERN_COUNT_SLOTS, 8, 8, 128,"),
            std::string::npos);

  getKernel(program).gridChunks = 0;
  program.variants[0].workspace[0].dims[0].multiple = 0;
  EXPECT_EQ(findProblems(program).size(), 2u);
}

static BundleInfo makeTrainingBundle() {
  BundleInfo bundle{makeProgram(), makeProgram()};
  bundle.backward->name = "layer_backward";
  // 64 x 8 numbers of two bytes for each two chunks of 64 tokens.
  TensorInfo saved = {"states",
                      TensorRole::Output,
                      "bf16",
                      false,
                      {{DimRange::Chunk, 2, 0},
                       {DimRange::Head, 0, 4},
                       {DimRange::Whole, 0, 64},
                       {DimRange::Whole, 0, 8}},
                      true,
                      "the state before each chunk"};
  auto insert = [&](ProgramInfo &program, size_t position) {
    program.tensors.insert(program.tensors.begin() + position, saved);
  };
  insert(bundle.forward, 3);
  saved.role = TensorRole::Input;
  insert(*bundle.backward, 2);
  return bundle;
}

TEST(ManifestTest, TrainingBundleHoldsBothPrograms) {
  std::string text, header;
  llvm::raw_string_ostream os(text), headerOs(header);
  BundleInfo bundle = makeTrainingBundle();
  writeManifest(bundle, nullptr, versions, os);
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  ASSERT_TRUE(bool(value));
  const llvm::json::Object &root = *value->getAsObject();
  const llvm::json::Object &residual =
      *(*root.getArray("residuals"))[0].getAsObject();
  EXPECT_EQ(residual.getString("name"), "states");
  EXPECT_EQ(residual.getNumber("bytes_per_token_head"), 2 * 64 * 8 / 128.0);
  EXPECT_EQ(residual.getString("what"), "the state before each chunk");
  const llvm::json::Object &backward = *root.getObject("backward");
  EXPECT_EQ(backward.getInteger("chunk"), 64);
  EXPECT_EQ(backward.getArray("tensors")->size(), 4u);
  EXPECT_EQ(backward.getArray("variants")->size(), 1u);

  writeCHeader(bundle, versions, Images::InFiles, headerOs);
  EXPECT_NE(header.find("layer_backward_launch(wyvern_program *program"),
            std::string::npos);
  EXPECT_NE(header.find("const int64_t slots2 = cu_seqlens ? tokens / 128 + "
                        "packed : batch * ((tokens + 127) / 128);"),
            std::string::npos);
}

/// Two variants, with costs of kernels that are the same and of one that is
/// not.
static ProgramInfo makeVariants() {
  ProgramInfo program = makeProgram(), other = makeProgram();
  program.machine = {132, 2300, 4000};
  getKernel(program).cost = {1, 2, 6000, 1500, 1000, 65536};
  KernelInfo shared = getKernel(program);
  shared.symbol = shared.file = "layer_map";
  getKernel(other).cost = {64, 1, 6000, 3000, 2000, 4096};
  getKernel(other).ptx = "another";
  for (ProgramInfo *each : {&program, &other})
    each->variants[0].kernels.insert(each->variants[0].kernels.begin(), shared);
  other.variants[0].name = "segments-4096";
  EXPECT_TRUE(succeeded(
      addVariant(program, std::move(other), [](const llvm::Twine &) {})));
  return program;
}

TEST(ManifestTest, VariantsShareTheFilesOfEqualKernels) {
  ProgramInfo program = makeVariants();
  EXPECT_EQ(findProblems(program), std::vector<std::string>());
  const std::vector<KernelInfo> &first = program.variants[0].kernels,
                                &second = program.variants[1].kernels;
  EXPECT_EQ(second[0].getImageName(), "layer_map.cubin");
  EXPECT_EQ(first[1].getImageName(), "layer_chain.cubin");
  EXPECT_EQ(second[1].getImageName(), "layer_chain.segments-4096.cubin");
}

TEST(ManifestTest, HoldsVariantsAndTheirCosts) {
  std::string text, header;
  llvm::raw_string_ostream os(text), headerOs(header);
  writeManifest({makeVariants(), std::nullopt}, nullptr, versions, os);
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  ASSERT_TRUE(bool(value));
  const llvm::json::Object &root = *value->getAsObject();
  EXPECT_EQ(root.getObject("machine")->getInteger("sms"), 132);
  const llvm::json::Object &second =
      *(*root.getArray("variants"))[1].getAsObject();
  EXPECT_EQ(second.getString("name"), "segments-4096");
  EXPECT_EQ(second.getArray("workspace")->size(), 1u);
  const llvm::json::Object &cost =
      *(*second.getArray("kernels"))[1].getAsObject()->getObject("cost");
  EXPECT_EQ(cost.getInteger("step_chunks"), 64);
  EXPECT_EQ(cost.getInteger("residents"), 1);
  EXPECT_EQ(cost.getInteger("step_bytes"), 4096);
  // A bundle's files, each once or more: whoever writes a new one removes them.
  EXPECT_TRUE(llvm::is_contained(listBundleFiles(text),
                                 "layer_chain.segments-4096.cubin"));

  writeCHeader({makeVariants(), std::nullopt}, versions, Images::InFiles,
               headerOs);
  EXPECT_NE(header.find("{\"segments-4096\", 1, "
                        "layer_segments_4096_workspace, 2, "
                        "layer_segments_4096_kernels, {0, 0, 0, 0}},"),
            std::string::npos);
  EXPECT_NE(header.find("{64, 1, 6000, 3000, 2000, 4096}},"),
            std::string::npos);
  EXPECT_NE(header.find("{132, 2300, 4000},"), std::string::npos);
}

TEST(ManifestTest, FilesOfSchema2AreABundlesToo) {
  EXPECT_TRUE(
      llvm::is_contained(listBundleFiles(R"({"schema": 2, "name": "layer",
                          "compiler": {"wyvern": "0.1.0"},
                          "kernels": [{"image": "layer_map.cubin"}],
                          "backward": null})"),
                         "layer_map.cubin"));
}

TEST(ManifestTest, RefusesVariantsThatDiffer) {
  ProgramInfo program = makeProgram(), other = makeProgram();
  other.tensors[1].optional = false;
  std::string problem;
  EXPECT_TRUE(
      failed(addVariant(program, other, [&](const llvm::Twine &message) {
        problem = message.str();
      })));
  EXPECT_NE(problem.find("takes other tensors"), std::string::npos);
}

TEST(ManifestTest, RefusesSeveralVariantsWithoutCosts) {
  ProgramInfo program = makeVariants();
  program.variants[1].name = "separate";
  getKernel(program).cost.residents = 0;
  ASSERT_EQ(findProblems(program).size(), 2u);
  EXPECT_EQ(
      findProblems(program)[0],
      "program layer: kernel layer_map has no cost, by which a launch chooses "
      "a variant or the length of segments");
  EXPECT_EQ(findProblems(program)[1],
            "program layer: variant separate is listed twice");
}

TEST(ManifestTest, RefusesResidualsThatTheBackwardDoesNotTake) {
  auto report = [](const llvm::Twine &) {};
  BundleInfo bundle = makeTrainingBundle();
  EXPECT_TRUE(succeeded(verifyBundle(bundle, report)));
  bundle.backward->tensors[2].dims[3].size = 16;
  EXPECT_TRUE(failed(verifyBundle(bundle, report)));
  bundle = makeTrainingBundle();
  bundle.backward->tensors[2].optional = true;
  EXPECT_TRUE(failed(verifyBundle(bundle, report)));
  bundle = makeTrainingBundle();
  bundle.backward.reset();
  EXPECT_TRUE(failed(verifyBundle(bundle, report)));
}
