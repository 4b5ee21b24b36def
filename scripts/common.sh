# shellcheck shell=bash
# Sourced by the other scripts: where the checkout is, which MPI there is, and settings that let ranks
# start as root, in a container and in greater number than cores. Sets only what is unset.

# shellcheck disable=SC2034  # for those who source this
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

heading() { printf '\n== %s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
die() { # CODE WORDS: says what happened and ends the script.
    local code=$1
    shift
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit "$code"
}

# bounded SECONDS COMMAND...: ends the command when it takes longer (exit code 124).
bounded() {
    local seconds=$1 timeout how=()
    shift
    # At a terminal the command stays within reach of the keyboard.
    [ ! -t 2 ] || how=(--foreground)
    if timeout=$(command -v timeout || command -v gtimeout); then
        "$timeout" ${how[@]+"${how[@]}"} --kill-after=10 "$seconds" "$@"
    else
        "$@"
    fi
}

# First of the given commands that exists, as a path; nothing and exit code 1 if none does.
first_of() {
    local name
    for name in "$@"; do
        [ -n "$name" ] && command -v "$name" && return
    done
    return 1
}

# Compiler wrapper and launcher of one family. $RINGFORT_OPENMPI_BIN and $RINGFORT_MPICH_BIN name the folder of one
# that is installed elsewhere; the others are the names that Debian and Fedora give them.
mpi_tool() { # openmpi|mpich mpicc|mpirun
    local family=$1 tool=$2 bin path
    case $family in
    openmpi) bin=${RINGFORT_OPENMPI_BIN:-} ;;
    *) bin=${RINGFORT_MPICH_BIN:-} ;;
    esac
    if path=$(first_of ${bin:+"$bin/$tool"} "$tool.$family" "/usr/lib64/$family/bin/$tool"); then
        echo "$path"
    elif path=$(first_of "$tool") && [ "$(mpi_family "$path")" = "$family" ]; then
        echo "$path"
    else
        return 1
    fi
}

# Family of a compiler wrapper (its mpi.h tells) or of a launcher: openmpi, mpich or other.
mpi_family() { # TOOL
    local words
    case $(basename "$1") in
    mpicc*) words=$(printf '#include <mpi.h>\nOMPI_MAJOR_VERSION MPICH_NUMVERSION\n' | "$1" -E -x c - 2>/dev/null | tail -n 1) ;;
    *) words=$("$1" --version 2>&1 || true) ;;
    esac
    case $words in
    *"Open MPI"* | *OpenRTE* | *PRRTE* | [0-9]*" MPICH_NUMVERSION") echo openmpi ;;
    *HYDRA* | *Hydra* | "OMPI_MAJOR_VERSION "[0-9]*) echo mpich ;;
    *) echo other ;;
    esac
}

# The launcher: $RINGFORT_MPIRUN, else the one that belongs to $MPICC or mpicc, else any.
find_mpirun() {
    if [ -n "${RINGFORT_MPIRUN:-}" ]; then
        command -v "$RINGFORT_MPIRUN"
        return
    fi
    local compiler family
    if compiler=$(first_of "${MPICC:-}" mpicc); then
        family=$(mpi_family "$compiler")
        if [ "$family" != other ] && mpi_tool "$family" mpirun; then
            return
        fi
    fi
    first_of mpirun mpiexec
}

unset_only() { # NAME VALUE
    [ -n "${!1+set}" ] || export "$1=$2"
}

if [ "$(id -u)" = 0 ]; then
    unset_only OMPI_ALLOW_RUN_AS_ROOT 1
    unset_only OMPI_ALLOW_RUN_AS_ROOT_CONFIRM 1
fi
# In a batch job the scheduler owns the cores: there binding and counts stay as the site wants them.
if [ -z "${SLURM_JOB_ID:-}${PBS_JOBID:-}${LSB_JOBID:-}${PJM_JOBID:-}${COBALT_JOBID:-}${FLUX_JOB_ID:-}" ]; then
    # Open MPI 4, then 5 (whose launcher is PRRTE): more ranks than cores, none of them bound, waits that yield.
    unset_only OMPI_MCA_rmaps_base_oversubscribe 1
    unset_only OMPI_MCA_hwloc_base_binding_policy none
    unset_only OMPI_MCA_mpi_yield_when_idle 1
    unset_only PRTE_MCA_rmaps_default_mapping_policy :oversubscribe
    unset_only PRTE_MCA_hwloc_default_binding_policy none
    # Containers forbid one process to read another's memory; Open MPI 4 says so once per rank.
    unset_only OMPI_MCA_btl_vader_single_copy_mechanism none
    unset_only OMPI_MCA_btl_base_warn_component_unused 0
fi
