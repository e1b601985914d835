#!/usr/bin/env bash
# A Slurm cluster of this one machine, for tests: as root, without systemd, cgroups or a database.
#     tests/slurm/cluster.sh start | stop
# It refuses to touch a machine that has a cluster of its own.
set -euo pipefail
state=${SLURM_STATE:-/var/tmp/mindgap-slurm}
conf=/etc/slurm/slurm.conf
mark='# written by tests/slurm/cluster.sh'

die() { echo "error: $*" >&2; exit 1; }

packages() {
  command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null && return
  command -v apt-get >/dev/null || die "Slurm is not installed and this is no Debian; install slurmctld, slurmd, slurm-client and munge"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
}

start() {
  [ "$(id -u)" = 0 ] || die "a Slurm daemon needs root; run it in a container"
  if [ -e $conf ] && ! grep -qxF "$mark" $conf; then
    die "$conf exists: this machine has a cluster already"
  fi
  packages
  mkdir -p "$state"/{ctld,d,log} /etc/slurm
  if [ ! -s /etc/munge/munge.key ]; then
    (umask 077; head -c 1024 /dev/urandom > /etc/munge/munge.key)
    chown munge: /etc/munge/munge.key
  fi
  install -d -o munge -g munge -m 755 /run/munge
  if ! pgrep -x munged >/dev/null; then
    runuser -u munge -- /usr/sbin/munged
    touch "$state/munged"   # ours to stop
  fi
  # The process tracker below uses no cgroups; the plugin is loaded all the same and must be one that starts.
  echo "CgroupPlugin=cgroup/v1" > /etc/slurm/cgroup.conf
  cat > $conf <<CONF
$mark
ClusterName=mindgap
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
KillWait=5
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=1000000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  # A node that has less memory than it says is drained unless told otherwise.
  echo "SlurmdParameters=config_overrides" >> $conf
  /usr/sbin/slurmctld
  /usr/sbin/slurmd -N localhost
  for _ in $(seq 100); do
    if sinfo -h -o %T 2>/dev/null | grep -q idle; then return; fi
    sleep 0.2
  done
  tail -n 5 "$state"/log/*.log >&2
  stop
  die "Slurm did not come up; the end of its logs stands above"
}

stop() {
  [ -e $conf ] && grep -qxF "$mark" $conf || return 0
  scancel -u root 2>/dev/null || true
  for name in slurmd slurmctld; do
    if [ -f "$state/$name.pid" ]; then kill "$(cat "$state/$name.pid")" 2>/dev/null || true; fi
  done
  for _ in $(seq 100); do
    pgrep -x slurmd >/dev/null || pgrep -x slurmctld >/dev/null || break
    sleep 0.1
  done
  if [ -e "$state/munged" ]; then pkill -x munged || true; fi
  rm -rf "$state" $conf /etc/slurm/cgroup.conf
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) die "usage: $0 start | stop" ;;
esac
