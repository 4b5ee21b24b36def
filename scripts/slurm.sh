#!/usr/bin/env bash
# A Slurm of one node, for trying batch scripts where there is none: needs root and Debian's packages (it installs them).
#   scripts/slurm.sh start DIR      starts munged, slurmctld and slurmd with their files in DIR; prints what to export
#   scripts/slurm.sh stop DIR       ends them
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() { die 2 "usage: scripts/slurm.sh start|stop DIR"; }
[ $# = 2 ] || usage
mkdir -p "$2"
dir=$(cd "$2" && pwd)

stop() {
    local name pid
    for name in slurmd slurmctld munged; do
        if pid=$(cat "$dir/$name.pid" 2>/dev/null); then
            kill "$pid" 2>/dev/null || true
            rm -f "$dir/$name.pid"
        fi
    done
}

start() {
    [ "$(id -u)" = 0 ] || die 1 "only root can start a Slurm"
    if ! first_of slurmctld >/dev/null || ! first_of slurmd >/dev/null || ! first_of munged >/dev/null; then
        command -v apt-get >/dev/null || die 1 "install slurmctld, slurmd and munge"
        apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge >&2
    fi
    mkdir -p "$dir/state" "$dir/spool" "$dir/munge"
    chmod 700 "$dir/munge"
    [ -f "$dir/munge/key" ] || (umask 077 && head -c 1024 /dev/urandom >"$dir/munge/key")
    local host cores
    host=$(hostname -s) cores=$(nproc)
    cat >"$dir/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
# A job that is put in the queue again starts as soon as it can.
SchedulerParameters=batch_sched_delay=1,sched_interval=2,requeue_delay=1
KillWait=5
NodeName=$host CPUs=$cores State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
    munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge/seed"
    export SLURM_CONF="$dir/slurm.conf"
    slurmctld
    slurmd
    local try
    for ((try = 0; try < 100; try++)); do
        if sinfo -h -o %T 2>/dev/null | grep -q idle; then
            echo "export SLURM_CONF=$dir/slurm.conf"
            return
        fi
        sleep 0.2
    done
    stop
    die 1 "Slurm does not come up; see $dir/slurmctld.log and $dir/slurmd.log"
}

case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
