# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# What scripts/setup, demo and test share. Sourced, never run.
#
# Every step says what it does before it starts and is skipped when nothing that it
# depends on has changed. When something is missing the message says what failed
# and what to type.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${WYVERN_BUILD_DIR:-$ROOT/build}
VENV=$BUILD/venv
LOGS=$BUILD/logs
STAMPS=$BUILD/stamps
LLVM=/usr/lib/llvm-22
LLVM_VERSION=22.1
SCRIPT=scripts/$(basename "$0")
mkdir -p "$LOGS" "$STAMPS"
# Also for the builds that tests make: a fresh machine has no make.
export CMAKE_GENERATOR=Ninja
# What still runs in the background goes when the script goes.
trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT

say() { printf '[%s %3ds] %s\n' "$SCRIPT" "$SECONDS" "$*"; }

# fail <what failed> <what to type or do>...
fail() {
  printf '\n%s: error: %s\n' "$SCRIPT" "$1" >&2
  shift
  printf '  %s\n' "$@" >&2
  exit 3
}

# run_logged <log name> <what failed> <what to do> -- command...: into a log, whose last
# line shows every 15 s that something is going on.
run_logged() {
  local log=$LOGS/$1.log what=$2 todo=$3 pid next=$((SECONDS + 15))
  shift 4
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ "$SECONDS" -ge "$next" ]; then
      say "  ... $(tail -n 1 "$log" | tr -d '\r' | cut -c1-100)"
      next=$((SECONDS + 15))
    fi
  done
  if ! wait "$pid"; then
    tail -n 20 "$log" >&2
    fail "$what" "$todo" "The whole log: $log"
  fi
}

#===-- Debian packages -----------------------------------------------------===#

PACKAGES=(
  cmake ninja-build g++ clang-22 lld-22 clang-format-22
  mlir-22-tools libmlir-22-dev llvm-22-dev llvm-22-tools
  libzstd-dev zlib1g-dev libedit-dev libcurl4-openssl-dev
  libgtest-dev python3 python3-dev python3-venv ca-certificates
)

# What the tests need besides: a browser, for the pages that are made here.
TEST_PACKAGES=(chromium)

# missing_packages [more packages]
missing_packages() {
  local package
  for package in "${PACKAGES[@]}" "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

# setup_packages [more packages]
setup_packages() {
  command -v apt-get >/dev/null || fail "this is not a Debian system (no apt-get)" \
    "The scripts are written for Debian 12. Elsewhere install LLVM/MLIR $LLVM_VERSION, CMake, Ninja and GoogleTest," \
    "then build by hand: CONTRIBUTING.md, 'Building by hand'."
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} -gt 0 ]; then
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    [ "$(id -u)" = 0 ] || fail "Debian packages are missing and only root can install them: ${missing[*]}" \
      "Type: sudo $install"
    say "installing ${#missing[@]} Debian packages (350 MB to download): ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    run_logged apt-update "apt-get update failed" "Check the network and /etc/apt/sources.list*, then run $SCRIPT again." -- \
      "${apt[@]}" update
    # Not `| grep -q`: it stops reading early, and pipefail then sees apt-cache killed.
    [[ $(apt-cache policy libmlir-22-dev) == *'Candidate: 1:22'* ]] || fail "these package sources have no LLVM/MLIR 22" \
      "Debian 12 has it in bookworm-security. Check that /etc/apt/sources.list* names it, then type: apt-get update"
    run_logged apt-install "apt-get install failed" "Try by hand: $install" -- \
      "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
  fi
  local found
  found=$("$LLVM/bin/llvm-config" --version 2>/dev/null || echo none)
  case $found in
  "$LLVM_VERSION".*) ;;
  *) fail "wrong LLVM: need $LLVM_VERSION.x in $LLVM, found $found" \
    "Type: apt-get update && apt-get install -y --no-install-recommends llvm-22-dev libmlir-22-dev mlir-22-tools" ;;
  esac
}

#===-- Python packages, in $VENV -------------------------------------------===#

setup_venv() {
  [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c 'import pip' 2>/dev/null && return
  say "creating a Python environment in ${VENV#"$ROOT"/}"
  rm -rf "$VENV" "$STAMPS"/pip-*
  run_logged venv "python3 -m venv failed" "Type: apt-get install -y python3-venv" -- /usr/bin/python3 -m venv "$VENV"
}

# A stamp carries the checksum of the requirements: a changed file installs again.
pip_stamp() { echo "$STAMPS/pip-$1-$(cksum <"$ROOT/scripts/requirements/$1.txt" | cut -d' ' -f1)"; }

pip_is_current() { [ -e "$(pip_stamp "$1")" ]; }

# pip_install <requirements name> [pip's options]
pip_install() {
  local name=$1
  shift
  pip_is_current "$name" && return
  run_logged "pip-$name" "pip could not install scripts/requirements/$name.txt" "Check the network, then run $SCRIPT again." -- \
    "$VENV/bin/pip" install --disable-pip-version-check --no-compile --no-deps "$@" -r "$ROOT/scripts/requirements/$name.txt"
  rm -f "$STAMPS/pip-$name-"*
  touch "$(pip_stamp "$name")"
}

setup_python() {
  setup_venv
  if ! pip_is_current base || ! pip_is_current test; then
    say "installing numpy, pybind11 and pytest into ${VENV#"$ROOT"/}"
  fi
  pip_install base
  pip_install test
}

# Beside the environment, not in it: what tests import has versions of its own.
MKDOCS=$BUILD/mkdocs

setup_mkdocs() {
  pip_is_current docs || say "installing MkDocs into ${MKDOCS#"$ROOT"/}"
  pip_install docs --upgrade --target "$MKDOCS"
}

# What tests import, PyTorch above all, is a download of 3 GB: it runs beside the build.
TESTED_WITH=(torch examples jax tvm-ffi transformers fla)

install_tested_with() {
  local name
  for name in "${TESTED_WITH[@]}"; do
    case $name in
    # Beside the environment, not in it: transformers would run FLA's kernels, and torch sees Triton.
    fla) pip_install fla --upgrade --target "$BUILD/fla" ;;
    *) pip_install "$name" ;;
    esac
  done
}

start_tested_with() {
  TESTED_WITH_PID=
  local name missing=()
  for name in "${TESTED_WITH[@]}"; do pip_is_current "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing what tests import in the background: ${missing[*]} (with torch 2 GB to download; logs: ${LOGS#"$ROOT"/}/pip-*.log)"
  install_tested_with &
  TESTED_WITH_PID=$!
}

wait_for_tested_with() {
  [ -n "$TESTED_WITH_PID" ] || return 0
  kill -0 "$TESTED_WITH_PID" 2>/dev/null && say "waiting for what tests import"
  wait "$TESTED_WITH_PID" || exit $?
}

#===-- CUDA tools ----------------------------------------------------------===#

# find_cuda_tool <name>: an installed toolkit's, else the wheel's; empty if none.
find_cuda_tool() {
  local candidate
  for candidate in "${CUDA_HOME:-/usr/local/cuda}/bin/$1" "$(command -v "$1" || true)" \
    "$VENV"/lib/python3*/site-packages/nvidia/cu13/bin/"$1"; do
    if [ -x "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
}

# PTX 8.8 (CUDA 12.9) is the oldest that the compiler writes.
ptxas_is_usable() {
  local release
  release=$("$1" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
  [ -n "$release" ] && [ "$(printf '%s\n12.9\n' "$release" | sort -V | head -n 1)" = 12.9 ]
}

# Exports WYVERN_PTXAS, the ptxas that wyvernc and the tests use.
setup_ptxas() {
  local found=${WYVERN_PTXAS:-$(find_cuda_tool ptxas)}
  if [ -n "$found" ] && ! ptxas_is_usable "$found"; then
    [ -z "${WYVERN_PTXAS:-}" ] || fail "WYVERN_PTXAS=$found is no ptxas of CUDA 12.9 or newer" "Type: unset WYVERN_PTXAS"
    say "$found is older than CUDA 12.9: using the ptxas of a wheel"
    found=
  fi
  if [ -z "$found" ]; then
    pip_is_current ptxas || say "no CUDA toolkit here: installing ptxas from the nvidia-cuda-nvcc wheel"
    pip_install ptxas
    found=$(echo "$VENV"/lib/python3*/site-packages/nvidia/cu13/bin/ptxas)
    ptxas_is_usable "$found" || fail "the ptxas of the nvidia-cuda-nvcc wheel does not run: $found" \
      "Install a CUDA toolkit (12.9 or newer), or name its ptxas: WYVERN_PTXAS=/path/to/ptxas $SCRIPT"
  fi
  export WYVERN_PTXAS=$found
}

# Exports WYVERN_NVDISASM, for the SASS checks.
setup_nvdisasm() {
  local found
  found=${WYVERN_NVDISASM:-$(find_cuda_tool nvdisasm)}
  if [ -z "$found" ]; then
    pip_is_current nvdisasm || say "installing nvdisasm from its wheel"
    pip_install nvdisasm
    found=$(find_cuda_tool nvdisasm)
  fi
  [ -n "$found" ] || fail "no nvdisasm" "Install a CUDA toolkit, or name it: WYVERN_NVDISASM=/path/to/nvdisasm $SCRIPT"
  export WYVERN_NVDISASM=$found
}

#===-- The build -----------------------------------------------------------===#

configure() {
  # One compiler, so that what it warns of can be an error.
  local options=(
    -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 -DLLVM_USE_LINKER=lld -DCMAKE_COMPILE_WARNING_AS_ERROR=ON
    "-DPython3_EXECUTABLE=$VENV/bin/python" "-DPython_EXECUTABLE=$VENV/bin/python" "-Dpybind11_DIR=$("$VENV/bin/python" -m pybind11 --cmakedir)"
  )
  # CMake reruns by itself when its files change; this is for our own options.
  local stamp
  stamp=$STAMPS/configure-$(echo "$ROOT ${options[*]}" | cksum | cut -d' ' -f1)
  [ -e "$stamp" ] && [ -e "$BUILD/build.ninja" ] && return
  say "configuring"
  run_logged configure "CMake could not configure the build" "Read the message above; a clean start: rm -rf ${BUILD#"$ROOT"/}" -- \
    cmake -G Ninja -S "$ROOT" -B "$BUILD" "${options[@]}"
  rm -f "$STAMPS"/configure-*
  touch "$stamp"
}

# build <targets>...
build() {
  configure
  if [ -e "$BUILD/bin/wyvernc" ]; then say "building what changed"; else say "building (minutes, the first time)"; fi
  if ! NINJA_STATUS='[%f/%t %es] ' ninja -C "$BUILD" "$@" </dev/null; then
    fail "the build failed" "The messages above say why. A clean start: rm -rf ${BUILD#"$ROOT"/}"
  fi
}
