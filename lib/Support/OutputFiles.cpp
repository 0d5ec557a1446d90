//===- OutputFiles.cpp - Files that are whole or absent -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/OutputFiles.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static llvm::Error makeError(StringRef file, std::error_code ec) {
  return llvm::createStringError(ec, "cannot write '" + file +
                                         "': " + ec.message());
}

llvm::Error mlir::wyvern::writeFile(StringRef file, StringRef contents) {
  llvm::Error error = llvm::writeToOutput(file, [&](llvm::raw_ostream &os) {
    os << contents;
    return llvm::Error::success();
  });
  if (!error)
    return error;
  return llvm::createStringError("cannot write '" + file +
                                 "': " + llvm::toString(std::move(error)));
}

/// A folder name beside `folder` that is not taken.
static SmallString<128> makeSibling(StringRef folder) {
  SmallString<128> sibling;
  fs::createUniquePath(folder + ".tmp-%%%%%%", sibling, /*MakeAbsolute=*/false);
  return sibling;
}

/// True if there is nothing at `folder`, or only an earlier output.
static bool mayReplace(StringRef folder, StringRef marker) {
  std::error_code ec;
  if (!fs::exists(folder))
    return true;
  if (!fs::is_directory(folder))
    return false;
  SmallString<128> file(folder);
  path::append(file, marker);
  return fs::exists(file) ||
         (fs::directory_iterator(folder, ec) == fs::directory_iterator() &&
          !ec);
}

static llvm::Error writeInto(StringRef folder, ArrayRef<OutputFile> files) {
  if (std::error_code ec =
          fs::create_directories(folder, /*IgnoreExisting=*/true, fs::all_all))
    return makeError(folder, ec);
  for (const OutputFile &file : files) {
    SmallString<128> name(folder);
    path::append(name, file.name);
    if (llvm::Error error = writeFile(name, file.contents))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error mlir::wyvern::writeFolder(StringRef folder,
                                      ArrayRef<OutputFile> files,
                                      StringRef marker) {
  while (folder.size() > 1 && folder.ends_with("/"))
    folder = folder.drop_back();
  if (!mayReplace(folder, marker))
    return llvm::createStringError(
        "cannot write '" + folder +
        "': it is there already and is not an "
        "earlier output (no " +
        marker + " in it); remove it, or choose another place with -o");
  SmallString<128> fresh = makeSibling(folder), old = makeSibling(folder);
  auto cleanUp = llvm::make_scope_exit([&] {
    fs::remove_directories(fresh);
    if (!old.empty())
      fs::remove_directories(old);
  });
  if (llvm::Error error = writeInto(fresh, files))
    return error;
  if (fs::exists(folder))
    if (std::error_code ec = fs::rename(folder, old))
      return makeError(folder, ec);
  if (std::error_code ec = fs::rename(fresh, folder)) {
    // Put the earlier output back; if even that fails, it must not be removed.
    if (fs::exists(old) && fs::rename(old, folder))
      old.clear();
    return makeError(folder, ec);
  }
  return llvm::Error::success();
}
