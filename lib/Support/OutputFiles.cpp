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

/// Writes to a stream that is open. What could not be written, such as to a
/// full disk, would otherwise end the process where the stream does.
static std::error_code writeTo(llvm::raw_fd_ostream &os, StringRef contents) {
  os << contents;
  os.flush();
  std::error_code ec = os.error();
  os.clear_error();
  return ec;
}

/// Writes to what is no regular file, such as a device or a pipe: putting a
/// file in its place would take it away from everybody else.
static std::error_code writeThrough(StringRef file, StringRef contents) {
  std::error_code ec;
  llvm::raw_fd_ostream os(file, ec, fs::CD_OpenExisting, fs::FA_Write,
                          fs::OF_None);
  return ec ? ec : writeTo(os, contents);
}

/// Writes a temporary file and moves it to `file`.
static std::error_code writeBeside(StringRef file, StringRef contents) {
  unsigned mode = fs::all_read | fs::all_write;
  auto temporary = fs::TempFile::create(file + ".tmp-%%%%%%", mode);
  if (!temporary)
    return llvm::errorToErrorCode(temporary.takeError());
  llvm::raw_fd_ostream os(temporary->FD, /*shouldClose=*/false);
  if (std::error_code ec = writeTo(os, contents)) {
    llvm::consumeError(temporary->discard());
    return ec;
  }
  return llvm::errorToErrorCode(temporary->keep(file));
}

llvm::Error mlir::wyvern::writeFile(StringRef file, StringRef contents) {
  fs::file_status status;
  std::error_code ec;
  // Of a link, what it points to is written.
  SmallString<128> target(file);
  if (file == "-") {
    ec = writeTo(llvm::outs(), contents);
  } else if (fs::status(file, status) || !fs::exists(status)) {
    ec = writeBeside(file, contents);
  } else if (fs::is_directory(status)) {
    ec = std::make_error_code(std::errc::is_a_directory);
  } else if (!fs::is_regular_file(status)) {
    ec = writeThrough(file, contents);
  } else {
    ec = fs::real_path(file, target);
    if (!ec)
      ec = writeBeside(target, contents);
  }
  return ec ? makeError(file == "-" ? "standard output" : file, ec)
            : llvm::Error::success();
}

/// A folder name beside `folder` that is not taken.
static SmallString<128> makeSibling(StringRef folder) {
  SmallString<128> sibling;
  fs::createUniquePath(folder + ".tmp-%%%%%%", sibling, /*MakeAbsolute=*/false);
  return sibling;
}

/// Fails if `folder` is there and holds anything but regular files of the names
/// in `replaceable`: it is then somebody's, not an earlier output.
static llvm::Error checkReplaceable(StringRef folder,
                                    ArrayRef<std::string> replaceable) {
  auto refuse = [&](const Twine &why) {
    return llvm::createStringError(
        "cannot write '" + folder + "': it is there already and " + why +
        "; remove it, or choose another place with -o");
  };
  if (!fs::exists(folder))
    return llvm::Error::success();
  if (!fs::is_directory(folder))
    return refuse("is no folder");
  std::error_code ec;
  fs::directory_iterator entry(folder, ec, /*follow_symlinks=*/false), end;
  for (; entry != end && !ec; entry.increment(ec))
    if (StringRef name = path::filename(entry->path());
        entry->type() != fs::file_type::regular_file ||
        !llvm::is_contained(replaceable, name))
      return refuse("is not an earlier output, which would not hold '" + name +
                    "'");
  return ec ? makeError(folder, ec) : llvm::Error::success();
}

/// Removes the folder of an earlier output, of which `checkReplaceable` knows
/// all files. What has come into it since stays, and is reported.
static llvm::Error removeEarlier(StringRef folder,
                                 ArrayRef<std::string> replaceable) {
  for (StringRef name : replaceable) {
    SmallString<128> file(folder);
    path::append(file, name);
    fs::remove(file);
  }
  if (std::error_code ec = fs::remove(folder))
    return llvm::createStringError(ec,
                                   "cannot remove the earlier output, now '" +
                                       folder + "': " + ec.message());
  return llvm::Error::success();
}

/// Makes room for a folder in the place of an earlier output: moves that aside,
/// to `old`. A file system of layers, as containers have, moves no folder of a
/// lower layer; there it is removed.
static llvm::Error moveEarlier(StringRef folder, StringRef old,
                               ArrayRef<std::string> replaceable) {
  std::error_code ec = fs::rename(folder, old);
  if (ec == std::errc::cross_device_link)
    return removeEarlier(folder, replaceable);
  return ec ? makeError(folder, ec) : llvm::Error::success();
}

/// The folder that `folder` stands for: not a link to it, which would be
/// replaced instead of what it points to.
static llvm::Expected<std::string> resolve(StringRef folder) {
  SmallString<128> real;
  fs::file_status status;
  if (fs::status(folder, status, /*follow=*/false) ||
      status.type() == fs::file_type::file_not_found)
    return folder.rtrim('/').str();
  if (std::error_code ec = fs::real_path(folder, real))
    return makeError(folder, ec);
  return real.str().str();
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

llvm::Error mlir::wyvern::writeFolder(StringRef path,
                                      ArrayRef<OutputFile> files,
                                      ArrayRef<std::string> replaceable) {
  llvm::Expected<std::string> folder = resolve(path);
  if (!folder)
    return folder.takeError();
  if (llvm::Error error = checkReplaceable(*folder, replaceable))
    return error;
  SmallString<128> fresh = makeSibling(*folder), old = makeSibling(*folder);
  auto cleanUp = llvm::make_scope_exit([&] { fs::remove_directories(fresh); });
  if (llvm::Error error = writeInto(fresh, files))
    return error;
  if (fs::exists(*folder))
    if (llvm::Error error = moveEarlier(*folder, old, replaceable))
      return error;
  bool isAside = fs::exists(old);
  if (std::error_code ec = fs::rename(fresh, *folder)) {
    if (isAside)
      fs::rename(old, *folder);
    return makeError(*folder, ec);
  }
  return isAside ? removeEarlier(old, replaceable) : llvm::Error::success();
}
