#!/bin/sh
# SPDX-License-Identifier: MIT
# vgpu-bench measures all that it promises, says so in table and JSON alike, and
# its sums are right; on the cpu engine, in seconds. No time is judged here.
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
bench=$B/native/plain/bin/vgpu-bench
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
. tests/harness/tap.sh

check 'a quick run on the cpu engine' "$(timeout 900 "$bench" --quick \
	--engine cpu --json "$dir/json" 2>&1 >"$dir/table" || echo "exit status $?")"

check 'JSON: all rows, exact sums, no system call of a polling front' "$(python3 - "$dir/json" <<'PYTHON' 2>&1
import json, sys

with open(sys.argv[1]) as f:
    run = json.load(f)
rows = run["rows"]
sizes = [1 << i for i in range(10, 21, 2)]
for section in "bare", "in-place", "staged":
    got = [r["elements"] for r in rows if r["section"] == section]
    if got != sizes:
        print("%s: sizes %s" % (section, got))
for row in rows:
    order = [row[k] for k in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
    if sorted(order) != order or order[0] <= 0:
        print("percentiles of", row)
    if row["elements"] and (not row["exact"] or row["engine"] != "cpu"):
        print("not exact, or not by the cpu engine:", row)
    if row["section"] in ("in-place", "staged"):
        if row["peer"] != "bare" or row["how"] != "host":
            print("no peer, or another path:", row)
nops = [r["name"] for r in rows if r["section"] == "nop"]
if len(nops) != 4 or any(r["ratio"] is None for r in rows if r["section"] == "nop"):
    print("round trips:", nops)
batches = sorted((r["name"], r["batch"]) for r in rows if r["section"] == "batch")
if [b for _, b in batches] != [8, 64] * 3:
    print("batches:", batches)
counts = {c["name"]: c for c in run["counts"]}
if len(counts) != 5:
    print("counts:", sorted(counts))
# null where this system lets nobody watch.
polled = counts["polled"]
if (polled["front_calls"] or 0) * 2 > polled["requests"]:
    print("system calls of a polling front:", polled)
library = {r["name"]: r for r in rows if r["section"] == "compute"}
if len(library) != 12:
    print("calls of the library:", sorted(library))
for name, row in library.items():
    if row["engine"] != "cpu" or (name.startswith("launch") != ("no GPU" in row["how"])):
        print("not by the cpu engine, or it claims to launch:", row)
if any(r["section"] == "bare-compute" for r in rows):
    print("bare CUDA without a GPU")
if [c["batch"] for c in run["calls"]] != [1, 8, 64]:
    print("batches of launches:", run["calls"])
for c in run["calls"]:
    # However many there are: one system call, and at most one event.
    if c["enters"] != c["ops"] or c["sent"] > c["ops"] or c["fence_enters"] < c["ops"]:
        print("calls of a batch:", c)
adds = [r for r in rows if r["section"] == "neighbour"]
if len(adds) != 3 or any("no GPU" not in r["how"] for r in adds):
    print("adds beside a neighbour:", adds)
if [r["name"] for r in rows if r["section"] == "bare-neighbour"] != ["wake-up of a process asleep as long"]:
    print("two bare processes on no GPU")
if [s["weights"] for s in run["shares"]] != [[1, 0]] * 2 + [[1, n] for n in (1, 1, 2, 2, 3, 3)]:
    print("shares:", run["shares"])
for s in run["shares"]:
    # Both got on, and the daemon has charged both.
    if any(w and not k for w, k in zip(s["weights"], s["kernels"])):
        print("one of them starved:", s)
    if s["weights"][1] and not all(s["used_ns"]):
        print("one of them is not charged:", s)
if len(run["skipped"]) != 2:
    print("what was not measured:", run["skipped"])
if run["engine"]["name"] != "cpu" or any(t["reached"] is not None for t in run["targets"]):
    print("a processor is judged as a GPU:", run["engine"], run["targets"])
PYTHON
)"

check 'the table says what the rows say' "$(for text in 'engine cpu on .*: no GPU' \
	'^polled  ' '^polled, each side' '^event, both sleep  ' '^default, front sleeps  ' \
	'^1 Ki .* native, in place .* cpu .* host' '^1 Mi .* native, staged .* cpu .* host' \
	'^64 Ki .* bare .* cpu .* threads' \
	'^launch, quiet, batches of 64 .* library .* ns each .*no GPU' \
	'^copy, host to device .* library .* GB/s' '^sgemm, order 96.* library ' 'NOP, polled .* not judged: no GPU' \
	'^wake-up of a process .* bare ' '^idle one.s add, beside 1 ms .* guests .*no GPU' \
	'^20 us kernels, both busy, 1:2, .* guests ' '^not measured: neighbours by MPS: no GPU' \
	'^kernels by weight, .* not judged: no GPU'; do
	grep -Eq "$text" "$dir/table" || echo "missing: $text"
done
grep 'WRONG SUMS' "$dir/table")"

check 'options that are none' "$(for o in '--engine gpu' '--fast' 'words' '--neighbours'; do
	# shellcheck disable=SC2086 # options and their arguments
	"$bench" $o >/dev/null 2>&1
	[ $? = 2 ] || echo "$o is taken"
done)"

if command -v gnuplot >/dev/null 2>&1; then
	check 'the plots' "$(echo '{}' >"$dir/other"
		for plot in plot plot-neighbours; do
			rm -f "$dir/svg"
			"tests/bench/$plot" "$dir/json" "$dir/svg" 2>&1 >/dev/null
			grep -q '</svg>' "$dir/svg" || echo "$plot: no svg"
			! "tests/bench/$plot" "$dir/other" "$dir/svg" 2>/dev/null || echo "$plot draws anything"
		done)"
else
	n=$((n + 1))
	echo "ok $n - the plots # skip no gnuplot"
fi
checked
