#!/bin/sh
# All records of tick_to_alert and in_process again, into benches/record/: under ten minutes on two cores that do nothing else.
# Afterwards everything in that folder is ready to be committed; `lead.md` in it is the tables that the README and the record quote.
#
#   benches/all.sh [DIR [OPTION...]]        OPTION goes to each run of tick_to_alert: --cores 2,3,4,5,6,7
#   QUICK=1 benches/all.sh DIR              the same commands in a minute, to see whether they work
set -eu
cd "$(dirname "$0")/.."
out=${1:-benches/record/tick-to-alert-$(nproc)-cores}
[ $# -eq 0 ] || shift
cargo build --release --bin hairtrigger --bin tick_to_alert
tool=target/release/tick_to_alert
disk=target/tick-to-alert
mkdir -p "$out" "$disk"
began=$(date +%s)

# Name of the folder, then the mode and its options.
run() {
    name=$1
    shift
    if [ -n "${QUICK:-}" ]; then
        set -- "$@" --seconds 0.3 --rounds 1
    fi
    echo "== $name"
    rm -rf "${out:?}/$name"
    # One that fails does not take the others with it: its folder is missing then, and it is named at the end.
    "$tool" "$@" --out "$out/$name" || failed="$failed $name"
}
failed=
many=10000000
[ -z "${QUICK:-}" ] || many=100000

run rates --rates 10000,100000,500000 --bursts --beyond --stages "$@"
run rules --rates 10000,100000 --rules "1000000,$many" --seconds 1 --rounds 2 "$@"
run churn --rates 10000,100000 --churn 10000 --rounds 2 "$@"
run mix --rates 500000 --mix 100 --beyond --rounds 2 "$@"
if [ ! -f "$disk/day.itch" ]; then
    target/release/hairtrigger generate --out "$disk/day.itch" --messages 8000000 --seed 1
fi
run pace --pace "$disk/day.itch" --rates 10000 --beyond --seconds 1 --rounds 1 "$@"
run sets sets --disk "$disk" --seconds 1 --rounds 2 "$@"
run limit limit --rules "1000,$many" --seconds 0.5 --rounds 1 "$@"
run storm storm "$@"
# One knob each, against the run "rates".
run idle-yield --rates 100,10000 --idle yield --seconds 1 --rounds 2 "$@"
run idle-park --rates 100,10000 --idle park --seconds 1 --rounds 2 "$@"
run log-on-disk --rates 10000,100000 --seconds 1 --rounds 2 --folder "$disk/engine" "$@"
run buffer-64k --rates 100000 --bursts --beyond --seconds 1 --rounds 2 --set 'feed.receive_buffer="64KiB"' "$@"
run locked --rates 10000 --seconds 1 --rounds 2 --set memory.lock=true "$@"
cargo bench --bench in_process | tee "$out/in-process.txt"

# What leads each report, together.
{
    echo "# Figures of $(git describe --always --dirty=+), $(nproc) cores"
    echo
    echo "Made by \`benches/all.sh\`; \`table.txt\` in each folder has all percentiles, its first line the command, its second the machine."
    for name in rates rules churn mix pace sets limit storm idle-yield idle-park log-on-disk buffer-64k locked; do
        printf '\n## %s\n\n' "$name"
        if [ ! -f "$out/$name/table.txt" ]; then
            echo "not measured: the run failed"
        elif grep -q '^|' "$out/$name/table.txt"; then
            grep '^|' "$out/$name/table.txt"
        else
            sed 1,2d "$out/$name/table.txt" | sed 's/^/    /'
        fi
    done
    printf '\n## stages\n\n'
    sed -n '/^stages of/,/has it > read *engine/p' "$out/rates/table.txt" | sed 's/^/    /'
    printf '\n## in process\n\n'
    sed 1d "$out/in-process.txt" | sed 's/^/    /'
} >"$out/lead.md"
echo "all of it took $(($(date +%s) - began)) s; the tables are in $out/lead.md${failed:+; FAILED:$failed}"
[ -z "$failed" ]
