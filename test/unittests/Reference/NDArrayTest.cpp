//===- NDArrayTest.cpp - .npy files that are not as they should be --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What numpy writes and reads is tested from Python.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Reference/NDArray.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

using namespace mlir::wyvern::reference;

namespace {

class NPYTest : public ::testing::Test {
protected:
  void SetUp() override {
    llvm::SmallString<64> name;
    ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("array", "npy", name));
    path = name.str().str();
  }
  void TearDown() override { llvm::sys::fs::remove(path); }

  /// Writes version 1 of the format by hand.
  void write(const std::string &header, const std::string &elements) {
    std::error_code code;
    llvm::raw_fd_ostream os(path, code);
    os << llvm::StringRef("\x93NUMPY\x01\x00", 8)
       << static_cast<char>(header.size()) << '\0' << header << elements;
  }

  std::string path, error;
  NDArray array;
};

TEST_F(NPYTest, RoundTrip) {
  NDArray written({2, 0, 3});
  ASSERT_TRUE(writeNPY(path, written, error)) << error;
  ASSERT_TRUE(readNPY(path, array, error)) << error;
  EXPECT_EQ(array.shape, written.shape);
  written = NDArray({2, 2}, {1, -0.5, 1e300, 3});
  ASSERT_TRUE(writeNPY(path, written, error)) << error;
  ASSERT_TRUE(readNPY(path, array, error)) << error;
  EXPECT_EQ(array.data, written.data);
}

TEST_F(NPYTest, RefusesOtherElements) {
  write("{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }", "ab");
  EXPECT_FALSE(readNPY(path, array, error));
  EXPECT_EQ(error,
            path + ": expected elements <f4, <f8, <i4 or <i8, found <f2");
}

TEST_F(NPYTest, RefusesFortranOrder) {
  write("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "abcd");
  EXPECT_FALSE(readNPY(path, array, error));
  EXPECT_EQ(error,
            path + ": expected C order; save numpy.ascontiguousarray(x)");
}

TEST_F(NPYTest, RefusesTruncatedFiles) {
  write("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", "abcd");
  EXPECT_FALSE(readNPY(path, array, error));
  EXPECT_EQ(error, path + ": expected 2 elements of type <f4, found 4 bytes");
  std::error_code code;
  llvm::raw_fd_ostream(path, code) << "\x93NUM";
  EXPECT_FALSE(readNPY(path, array, error));
  EXPECT_EQ(error, path + ": not a whole .npy file");
}

TEST_F(NPYTest, RefusesMissingFiles) {
  EXPECT_FALSE(readNPY(path + ".not-there", array, error));
  EXPECT_EQ(error, path + ".not-there: No such file or directory");
}

} // namespace
