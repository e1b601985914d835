#!/usr/bin/env bash
# The run `smoke` through Slurm and on this machine alone; every table must be the same, byte for byte.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap '"$root/tests/slurm/cluster.sh" stop; rm -rf "$work"' EXIT
"$root/tests/slurm/cluster.sh" start

for place in slurm local; do
  mkdir "$work/$place"
  (cd "$root" && tar -c --exclude=./results --exclude=./data --exclude=./.venv --exclude=./.git --exclude=./.snakemake .) | tar -xC "$work/$place"
done
export PATH="$root/.venv/bin:$PATH"
run() {
  (cd "$work/$1" && PYTHONPATH="$work/$1/src" snakemake --workflow-profile "profiles/$2" --configfile config/smoke.yaml) \
    > "$work/$1.log" 2>&1 || { tail -n 60 "$work/$1.log" >&2; echo "error: the run through $2 failed" >&2; exit 1; }
}
start=$SECONDS; run slurm slurm; echo "through Slurm: $((SECONDS - start)) s"
jobs=$(grep -c 'has been submitted with SLURM jobid' "$work/slurm.log")
[ "$jobs" -gt 10 ] || { echo "error: only $jobs jobs went through Slurm" >&2; exit 1; }
start=$SECONDS; run local default; echo "on this machine: $((SECONDS - start)) s"
sums() { (cd "$work/$1/results/smoke" && find . \( -name '*.csv' -o -name '*.safetensors' -o -name '*.parquet' -o -name 'scorecard.*' \) -type f -exec sha256sum {} + | sort -k2); }
sums slurm > "$work/slurm.sums"; sums local > "$work/local.sums"
diff "$work/slurm.sums" "$work/local.sums" || { echo "error: tables differ" >&2; exit 1; }
echo "$jobs jobs through Slurm; $(wc -l < "$work/local.sums") tables and tensors are the same"
