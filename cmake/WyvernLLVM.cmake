# Finds LLVM/MLIR 22.1 and sets up what every compiler target shares.
#
# Debian's packages put MLIR where CMake does not look, name lit differently, and
# accept only an exact major.minor version.
list(APPEND CMAKE_PREFIX_PATH /usr/lib/llvm-22)
set(LLVM_EXTERNAL_LIT /usr/lib/llvm-22/bin/lit CACHE FILEPATH "lit")
find_package(MLIR 22.1 REQUIRED CONFIG)
message(STATUS "Wyvern: MLIR ${LLVM_PACKAGE_VERSION} from ${MLIR_DIR}")

list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
set(LLVM_RUNTIME_OUTPUT_INTDIR ${PROJECT_BINARY_DIR}/bin)
set(LLVM_LIBRARY_OUTPUT_INTDIR ${PROJECT_BINARY_DIR}/lib)
# `ninja mlir-doc` writes the op and pass pages to build/docs.
set(MLIR_BINARY_DIR ${PROJECT_BINARY_DIR})
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include(HandleLLVMOptions)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
separate_arguments(wyvern_llvm_definitions NATIVE_COMMAND ${LLVM_DEFINITIONS})
add_definitions(${wyvern_llvm_definitions})
add_compile_options(-Wno-deprecated-declarations)

# MLIRExecutionEngine asks for libMLIR.so beside the static MLIR libraries: two
# copies of every dialect in one process. Name what it really needs.
set_target_properties(MLIRExecutionEngine PROPERTIES INTERFACE_LINK_LIBRARIES
  "LLVM;MLIRLLVMDialect;MLIRTargetLLVMIRExport;MLIRExecutionEngineUtils")

# LLVM's own code comes from its archives: what is linked runs without libLLVM.so and
# what that drags in (Z3, ICU, libedit, ...), starts sooner, and can go into a wheel.
option(WYVERN_STATIC_LLVM "link LLVM's archives instead of libLLVM.so" ON)
if(WYVERN_STATIC_LLVM)
  set(LLVM_LINK_LLVM_DYLIB OFF)
  llvm_map_components_to_libnames(wyvern_llvm_archives
    Analysis AsmParser BitReader BitWriter CodeGen Core ExecutionEngine
    FrontendOpenMP IRReader Linker MC MIRParser OrcDebugging OrcJIT Passes
    PerfJITEvents ProfileData ScalarOpts Support SupportLSP Target
    TransformUtils NVPTX X86)
  get_property(wyvern_imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target ${wyvern_imported})
    get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
    if(libraries AND target MATCHES "^MLIR")
      list(TRANSFORM libraries REPLACE "^LLVM$" "${wyvern_llvm_archives}")
      set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
    endif()
  endforeach()
  # Of what LLVMSupport names we need no SMT solver, and zstd from its archive.
  get_target_property(libraries LLVMSupport INTERFACE_LINK_LIBRARIES)
  list(FILTER libraries EXCLUDE REGEX "libz3")
  list(TRANSFORM libraries REPLACE "^zstd::libzstd_shared$" "zstd::libzstd_static")
  set_target_properties(LLVMSupport PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
  # Nor a newer libstdc++ than a machine has (lib/Support/Random.cpp is for its glibc).
  add_link_options(-static-libstdc++)
endif()

# One precompiled header for all compiler sources: MLIR's headers cost 10-20 s a
# file without it.
add_library(WyvernPCH OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch.cpp)
llvm_update_compile_flags(WyvernPCH)
target_precompile_headers(WyvernPCH PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch.h)

# wyvern_library(<name> sources... DEPENDS ... LINK_LIBS PUBLIC ...)
function(wyvern_library name)
  add_mlir_library(${name} ${ARGN} DISABLE_INSTALL)
  foreach(target ${name} obj.${name})
    if(TARGET ${target})
      target_precompile_headers(${target} REUSE_FROM WyvernPCH)
      add_dependencies(${target} WyvernPCH)
    endif()
  endforeach()
endfunction()

# wyvern_tool(<name> sources... LINK_LIBS ...)
function(wyvern_tool name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_llvm_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  llvm_update_compile_flags(${name})
  target_precompile_headers(${name} REUSE_FROM WyvernPCH)
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS})
  # The tests depend on every tool.
  set_property(GLOBAL APPEND PROPERTY WYVERN_TOOLS ${name})
endfunction()
