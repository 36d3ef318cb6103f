#!/bin/sh
# The canonical runs of tick_to_alert, into benches/record/: under four minutes on two cores that do nothing else.
# Another folder, and more options for each run: benches/tick_to_alert.sh DIR --cores 2,3,4,5,6,7
set -eu
cd "$(dirname "$0")/.."
out=${1:-benches/record/tick-to-alert-$(nproc)-cores}
[ $# -eq 0 ] || shift
cargo build --release --bin hairtrigger --bin tick_to_alert
run() {
    name=$1
    shift
    target/release/tick_to_alert --out "$out/$name" "$@"
}
run rates --rates 10000,100000,500000 --bursts --beyond "$@"
run rules --rates 10000,100000 --rules 1000000,10000000 --rounds 2 "$@"
run churn --rates 10000,100000 --churn 10000 --rounds 2 "$@"
run quiet --rates 500000 --mix 100 --beyond "$@"
