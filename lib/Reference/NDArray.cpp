//===- NDArray.cpp - Arrays of float64 and their .npy files ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The .npy format, versions 1 and 2: a magic string, the header's length, a
// Python dict literal with descr, fortran_order and shape, then the elements.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Reference/NDArray.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cassert>
#include <functional>
#include <numeric>

using namespace mlir::wyvern::reference;
using llvm::StringRef;

static int64_t product(const std::vector<int64_t> &shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                         std::multiplies<int64_t>());
}

NDArray::NDArray(std::vector<int64_t> shape)
    : shape(std::move(shape)), data(product(this->shape), 0.0) {}

NDArray::NDArray(std::vector<int64_t> shape, std::vector<double> data)
    : shape(std::move(shape)), data(std::move(data)) {
  assert(getNumElements() == static_cast<int64_t>(this->data.size()));
}

int64_t NDArray::getNumElements() const { return product(shape); }

const double *NDArray::row(int64_t i, int64_t j, int64_t k) const {
  int64_t width = getRank() == 4 ? shape[3] : 1;
  return data.data() + ((i * shape[1] + j) * shape[2] + k) * width;
}

double *NDArray::row(int64_t i, int64_t j, int64_t k) {
  return const_cast<double *>(std::as_const(*this).row(i, j, k));
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// What follows `'key':` in the header, up to the next comma outside of the
/// shape's parentheses.
static StringRef headerEntry(StringRef header, StringRef key) {
  size_t at = header.find(("'" + key + "':").str());
  if (at == StringRef::npos)
    return {};
  StringRef rest = header.substr(at + key.size() + 3).ltrim();
  if (rest.consume_front("("))
    return rest.take_until([](char c) { return c == ')'; });
  return rest.take_until([](char c) { return c == ',' || c == '}'; }).trim();
}

static bool parseShape(StringRef text, std::vector<int64_t> &shape) {
  for (StringRef size : llvm::split(text, ',')) {
    int64_t value;
    if (size.trim().empty())
      continue;
    if (size.trim().getAsInteger(10, value) || value < 0)
      return false;
    shape.push_back(value);
  }
  return true;
}

template <typename T>
static bool readElements(StringRef bytes, NDArray &array) {
  int64_t count = array.getNumElements();
  if (static_cast<int64_t>(bytes.size()) != count * int64_t(sizeof(T)))
    return false;
  array.data.resize(count);
  for (int64_t i = 0; i < count; ++i)
    array.data[i] = static_cast<double>(
        llvm::support::endian::read<T, llvm::endianness::little>(
            bytes.data() + i * sizeof(T)));
  return true;
}

/// Splits a file into its header and its elements.
static bool splitNPY(StringRef bytes, StringRef &header, StringRef &elements) {
  using namespace llvm::support;
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12)
    return false;
  size_t lengthBytes = bytes[6] == 1 ? 2 : 4;
  size_t length = lengthBytes == 2 ? endian::read16le(bytes.data() + 8)
                                   : endian::read32le(bytes.data() + 8);
  if (bytes.size() < 8 + lengthBytes + length)
    return false;
  header = bytes.substr(8 + lengthBytes, length);
  elements = bytes.substr(8 + lengthBytes + length);
  return true;
}

bool mlir::wyvern::reference::readNPY(const std::string &path, NDArray &array,
                                      std::string &error) {
  auto fail = [&](const llvm::Twine &why) {
    error = (path + ": " + why).str();
    return false;
  };
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    return fail(file.getError().message());
  StringRef header, elements;
  if (!splitNPY((*file)->getBuffer(), header, elements))
    return fail("not a whole .npy file");
  if (headerEntry(header, "fortran_order") != "False")
    return fail("expected C order; save numpy.ascontiguousarray(x)");
  array = NDArray();
  if (!parseShape(headerEntry(header, "shape"), array.shape))
    return fail("malformed shape in " + header.trim());

  StringRef type = headerEntry(header, "descr").trim('\'');
  auto read = llvm::StringSwitch<bool (*)(StringRef, NDArray &)>(type)
                  .Case("<f4", readElements<float>)
                  .Case("<f8", readElements<double>)
                  .Case("<i4", readElements<int32_t>)
                  .Case("<i8", readElements<int64_t>)
                  .Default(nullptr);
  if (!read)
    return fail("expected elements <f4, <f8, <i4 or <i8, found " + type);
  if (!read(elements, array))
    return fail("expected " + llvm::Twine(array.getNumElements()) +
                " elements of type " + type + ", found " +
                llvm::Twine(elements.size()) + " bytes");
  return true;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

bool mlir::wyvern::reference::writeNPY(const std::string &path,
                                       const NDArray &array,
                                       std::string &error) {
  std::string shape;
  for (int64_t size : array.shape)
    shape += std::to_string(size) + ", ";
  std::string header = llvm::formatv(
      "{{'descr': '<f8', 'fortran_order': False, 'shape': ({0}), }", shape);
  // The elements start at a multiple of 64; the header ends in a newline.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';

  llvm::Error failed = llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
    char length[2];
    llvm::support::endian::write16le(length, header.size());
    os << StringRef("\x93NUMPY\x01\x00", 8) << StringRef(length, 2) << header;
    std::vector<char> bytes(array.data.size() * sizeof(double));
    for (auto [i, value] : llvm::enumerate(array.data))
      llvm::support::endian::write<double, llvm::endianness::little>(
          bytes.data() + i * sizeof(double), value);
    os.write(bytes.data(), bytes.size());
    return llvm::Error::success();
  });
  if (!failed)
    return true;
  error = path + ": " + llvm::toString(std::move(failed));
  return false;
}
