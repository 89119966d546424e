#!/usr/bin/env bash
# A Slurm cluster of this machine alone, to try grids on: `cluster/one_node.sh start|stop [FOLDER]`, and `node` to start
# the node's daemon again after a crash. It wants Debian's packages and root, needs no systemd, and keeps everything it
# has in FOLDER, outputs/cluster by default. Two of its devices are called GPUs, since Dora's jobs ask for those; they are none.
set -euo pipefail
PACKAGES='slurm-wlm munge slurmdbd mariadb-server-core mariadb-client-core'
PORT=${CLUSTER_PORT:-16817} # this one and the three after it
PATH=$PATH:/usr/sbin
command=${1:-}
folder=$(realpath -m "${2:-outputs/cluster}")

fail() { echo "error: $*" >&2; exit 1; }

need() {
    [ "$(id -u)" = 0 ] || fail "the cluster's daemons are to be started by root: use sudo, or a container."
    for program in munged mariadbd slurmdbd slurmctld slurmd; do
        command -v "$program" >/dev/null \
            || fail "$program is not installed: apt-get install --no-install-recommends $PACKAGES."
    done
}

# Waits until a command succeeds, three minutes at most: it takes seconds, unless the machine is busy.
await() { timeout 180 bash -c "until $1 >/dev/null 2>&1; do sleep 0.1; done" || fail "$2, see $folder/log."; }

# Runs a daemon in the background, out of the reach of Ctrl-C, and notes its process id down.
daemon() {
    local name=$1
    shift
    setsid "$@" >"$folder/log/$name" 2>&1 </dev/null &
    echo $! >"$folder/run/$name.pid"
}

configure() {
    local host cpus memory
    host=$(hostname -s) cpus=$(nproc)
    memory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024))
    cat >"$folder/slurm.conf" <<END
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
SlurmUser=root
AuthType=auth/munge
# A job that is requeued waits until the credentials it had have expired: two minutes by default.
AuthInfo=socket=$folder/run/munge.socket,cred_expire=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.own.pid
SlurmdPidFile=$folder/run/slurmd.own.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 2))
AccountingStoragePass=$folder/run/munge.socket
# What asks for more than there is is refused, and not kept waiting for ever.
EnforcePartLimits=ALL
# The node may have more CPUs than the machine: the jobs of a small base do not fill one.
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=20
# submitit ignores SIGTERM, so every cancelled job waits for this.
KillWait=5
# Numbers are not given twice where the folder was made anew: Dora keeps runs by them.
FirstJobId=$(($(date +%s) % 50000000))
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((cpus > 2 ? cpus : 2)) RealMemory=$memory Gres=gpu:2
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
    cat >"$folder/gres.conf" <<END
Name=gpu File=/dev/null
Name=gpu File=/dev/zero
END
    echo 'CgroupPlugin=cgroup/v1' >"$folder/cgroup.conf"
    cat >"$folder/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((PORT + 2))
SlurmUser=root
PidFile=$folder/run/slurmdbd.own.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 3))
StorageUser=slurm
StoragePass=slurm
END
    chmod 600 "$folder/slurmdbd.conf"
}

start_munge() {
    dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
    chmod 400 "$folder/munge.key"
    daemon munged munged --foreground --force --socket="$folder/run/munge.socket" --key-file="$folder/munge.key" \
        --pid-file="$folder/run/munged.own.pid" --log-file="$folder/log/munged.own" \
        --seed-file="$folder/run/munge.seed"
    await "munge --socket='$folder/run/munge.socket' -n" 'munged does not answer'
}

start_database() {
    local socket="$folder/run/database.socket"
    mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --user=root \
        --datadir="$folder/database" >"$folder/log/mariadb-install-db" 2>&1
    daemon mariadbd mariadbd --no-defaults --user=root --bind-address=127.0.0.1 --port=$((PORT + 3)) \
        --socket="$socket" --datadir="$folder/database" --innodb-flush-log-at-trx-commit=0 --pid-file="$folder/run/mariadbd.own.pid"
    await "mariadb --no-defaults -u root -S '$socket' -e 'select 1'" 'the database does not answer'
    mariadb --no-defaults -u root -S "$socket" -e "create user slurm@'%' identified by 'slurm'; \
        grant all on slurm_acct_db.* to slurm@'%'"
    daemon slurmdbd env SLURM_CONF="$folder/slurmdbd.conf" slurmdbd -D
    await "sacctmgr -n list cluster" 'slurmdbd does not answer'
    sacctmgr -i add cluster one_node >"$folder/log/sacctmgr"
}

start() {
    need
    [ ! -e "$folder" ] || fail "$folder is there already: stop that cluster first, or name another folder."
    mkdir -p "$folder"/{run,log,state,spool,database}
    configure
    export SLURM_CONF="$folder/slurm.conf"
    start_munge
    start_database
    daemon slurmctld slurmctld -D
    node
    echo "The cluster is up. In the shell that is to use it:"
    echo "    export SLURM_CONF=$folder/slurm.conf"
}

node() {
    export SLURM_CONF="$folder/slurm.conf"
    daemon slurmd slurmd -D
    await "sinfo -h -t idle,mixed,allocated -o %n | grep ." 'the node does not answer'
}

stop() {
    [ -d "$folder/run" ] || fail "there is no cluster in $folder."
    SLURM_CONF="$folder/slurm.conf" scancel --state=RUNNING --signal=KILL --user="$(id -un)" 2>/dev/null || true
    for name in slurmd slurmctld slurmdbd mariadbd munged; do
        local pid
        pid=$(cat "$folder/run/$name.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        timeout 10 tail --pid="$pid" -f /dev/null || kill -9 "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
}

case $command in
    start | stop | node) "$command" ;;
    *) fail "say start, stop or node, and a folder if outputs/cluster will not do." ;;
esac
