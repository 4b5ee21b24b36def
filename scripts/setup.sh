#!/usr/bin/env bash
# Installs what is missing to build and run Ringfort; with --tests also what scripts/test.sh needs.
# Does nothing, quickly, when nothing is missing.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tests=no
case ${1:-} in
"") ;;
--tests) tests=yes ;;
-h | --help)
    echo "usage: scripts/setup.sh [--tests]"
    exit 0
    ;;
*) die 2 "unknown argument $1; usage: scripts/setup.sh [--tests]" ;;
esac

python_packages=("numpy>=2" "zarr>=3" "xarray>=2024.10")

has_compiler() { first_of "${CC:-}" cc gcc clang >/dev/null; }

# An MPI that a small C file compiles against, as the build will find it.
has_mpi() {
    [ -n "${MPI_PKG_CONFIG:-}${CRAY_MPICH_DIR:-}" ] && return
    local compiler
    compiler=$(first_of "${MPICC:-}" mpicc) && compiles_mpi "$compiler" && find_mpirun >/dev/null
}

compiles_mpi() { echo '#include <mpi.h>' | "$1" -E -x c - >/dev/null 2>&1; }

has_mpich() {
    local compiler
    compiler=$(mpi_tool mpich mpicc) && compiles_mpi "$compiler" && mpi_tool mpich mpirun >/dev/null
}

has_openmpi() {
    local compiler
    compiler=$(mpi_tool openmpi mpicc) && compiles_mpi "$compiler" && mpi_tool openmpi mpirun >/dev/null
}

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    local file
    for file in /usr/lib/llvm*/lib/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib/libclang*.so* /usr/lib64/libclang*.so* \
        /usr/lib64/llvm*/lib/libclang*.so* /usr/local/lib/libclang*.so* /opt/homebrew/opt/llvm/lib/libclang.dylib \
        /usr/local/opt/llvm/lib/libclang.dylib /Library/Developer/CommandLineTools/usr/lib/libclang.dylib; do
        # libclang-cpp is another library.
        case $file in *libclang-cpp* | *libclang_rt*) continue ;; esac
        [ -e "$file" ] && return
    done
    return 1
}

# A Python of 3.11 or later (zarr 3 asks for it) that can make virtual environments.
find_python() {
    local name
    for name in "${RINGFORT_PYTHON_BASE:-}" python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if [ -n "$name" ] && command -v "$name" >/dev/null &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

has_python_packages() {
    "$checkout/.venv/bin/python" - "${python_packages[@]}" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version

for wanted in sys.argv[1:]:
    name, least = wanted.split(">=")
    number = [int(part) for part in version(name).split(".")[:2]]
    if number < [int(part) for part in least.split(".")]:
        sys.exit(1)
PYTHON
}

# What is missing, and the system packages that would bring it.
missing=()
debian=()
lack() { # WHAT DEBIAN_PACKAGE...
    missing+=("$1")
    shift
    debian+=("$@")
}
find_missing() {
    missing=()
    debian=()
    has_compiler || lack "a C compiler" gcc libc6-dev
    has_mpi || lack "an MPI library with headers (mpicc, mpirun)" openmpi-bin libopenmpi-dev
    has_libclang || lack "libclang (bindgen reads the MPI headers with it)" libclang-dev
    command -v ps >/dev/null || lack "ps (the demo finds the rank to kill with it)" procps
    if [ $tests = yes ]; then
        has_openmpi || lack "Open MPI (the tests run under both families)" openmpi-bin libopenmpi-dev
        has_mpich || lack "MPICH (the tests run under both families)" mpich libmpich-dev
        if [ "$(uname -s)" = Linux ]; then
            command -v strace >/dev/null || lack "strace (system calls fail on demand)" strace
            first_of mkfs.ext4 /sbin/mkfs.ext4 /usr/sbin/mkfs.ext4 >/dev/null ||
                lack "mkfs.ext4 (a file system whose power is cut)" e2fsprogs
        fi
        has_python_packages || find_python >/dev/null || lack "Python 3.11 or later with venv" python3 python3-venv
    fi
}

by_hand() { # REASON: says what to install and ends.
    {
        echo "setup.sh: $1"
        echo "missing:"
        printf '  %s\n' "${missing[@]}"
        echo "packages that hold all of it:"
        echo "  Debian, Ubuntu  apt-get install gcc libc6-dev openmpi-bin libopenmpi-dev libclang-dev procps"
        echo "  Fedora, RHEL    dnf install gcc openmpi-devel clang-devel procps-ng && module load mpi/openmpi-x86_64"
        echo "  macOS           brew install open-mpi llvm"
        if [ $tests = yes ]; then
            echo "and for the tests:"
            echo "  Debian, Ubuntu  apt-get install mpich libmpich-dev python3 python3-venv strace e2fsprogs"
            echo "  Fedora, RHEL    dnf install mpich-devel python3 strace e2fsprogs"
            echo "  macOS           brew install python, and an MPICH in a folder of its own named by RINGFORT_MPICH_BIN"
        fi
        echo "A build without MPI needs none of the libraries: cargo build --release --no-default-features"
    } >&2
    exit 1
}

install_debian() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            as_root=(sudo)
        else
            by_hand "neither root nor able to use sudo"
        fi
    fi
    note "setup: installing ${debian[*]}"
    local package
    for package in "${debian[@]}"; do
        if ! apt-cache show "$package" >/dev/null 2>&1; then
            "${as_root[@]}" apt-get update -qq || note "setup: apt-get update failed"
            break
        fi
    done
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${debian[@]}")
    "${as_root[@]}" "${install[@]}" >&2 ||
        # The lists may be older than the archive.
        { "${as_root[@]}" apt-get update -qq >&2 && "${as_root[@]}" "${install[@]}" >&2; } ||
        by_hand "apt-get could not install ${debian[*]}"
}

command -v cargo >/dev/null || die 1 "no cargo on the PATH; install Rust with rustup, https://rustup.rs"

find_missing
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || by_hand "this system has no apt-get"
    install_debian
    find_missing
    [ ${#missing[@]} -eq 0 ] || by_hand "installed the packages, yet something is still missing"
fi

if [ $tests = yes ]; then
    for component in rustfmt clippy; do
        tool=${component/rust/}
        cargo "$tool" --version >/dev/null 2>&1 || {
            command -v rustup >/dev/null ||
                die 1 "cargo $tool is missing, and so is rustup; install the package of your system that holds $component"
            rustup component add "$component" >&2 || die 1 "rustup could not add $component"
        }
    done

    if ! has_python_packages; then
        python=$(find_python)
        note "setup: making .venv with $("$python" --version) and ${python_packages[*]}"
        "$python" -m venv --clear "$checkout/.venv"
        "$checkout/.venv/bin/python" -m pip install --quiet --disable-pip-version-check "${python_packages[@]}" >&2
        has_python_packages || die 1 "pip installed ${python_packages[*]}, yet .venv does not hold them"
    fi

    if ! command -v cargo-deny >/dev/null && ! [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo-deny" ]; then
        note "setup: building cargo-deny, which takes some minutes"
        cargo install cargo-deny --locked --quiet >&2
    fi
fi
