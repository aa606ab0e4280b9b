#!/usr/bin/env python3
"""Runs every fuzz target, and adds what each took to tests/fuzz/taken.toml, which later runs add to.

    fuzz.py SECONDS [TARGET...]    so long for each target, as many side by side as there are processors
    fuzz.py merge [TARGET...]      keeps of what target/fuzzed holds what teaches the targets something new
    fuzz.py coverage               how much of each parser the corpora reach, by the toolchain's llvm-tools or Debian's llvm

Its working folder is the project's. Inputs that were found lie in target/fuzzed/TARGET, those that did harm beside it.
"""

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path.cwd()
ROOMS = [
    "config",
    "gateway/bridge",
    "gateway/media",
    "gateway/sip",
    "gateway/tgcall",
    "messages",
    "tests/telegram",
]
# Whose comparisons the fuzzer does not look at, which would take half of the time: its words stand in fuzz/words.
UNTRACED = {"gateway/sip"}
TAKEN = ROOT / "tests/fuzz/taken.toml"
FUZZED = ROOT / "target/fuzzed"
BUILT = ROOT / "target/fuzz"
TOOLS = ROOT / "target/tools/bin"
# Who does not come back in so many seconds by the clock on the wall, which runs on while others compute, hangs if it does so
# again alone. What an input may cost at most is in limits.rs; what a target keeps in all, in megabytes, is here.
LONGEST_S = 60
MOST_MB = 512
# How long an input may be, where 4096 bytes would be for nothing but slowness: nobody dials so much.
LENGTHS = {
    "bodies": 2048, "caller_id": 512, "codec": 1024, "datagram": 1024, "dial": 256, "endpoint": 1024, "line": 2048,
    "packets": 1024, "proven": 1024, "relay": 2048, "settings": 2048,
}
# Where targets that write files write them: no disk has to be waited for.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
# What of the rooms reads bytes of strangers.
PARSERS = ROOT / "tests/fuzz/parsers.toml"


def targets():
    """Every target with its room."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room / "fuzz/fuzz_targets").glob("*.rs")):
            found[path.stem] = room
    return found


def build(room):
    """Builds the targets of a room, and gives their folder."""
    env = os.environ | {"RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_DIR": str(BUILT), "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    flags = ["--no-trace-compares"] if room in UNTRACED else []
    subprocess.run(["cargo", "fuzz", "build", "-s", "none", *flags], cwd=ROOT / room / "fuzz", env=env, check=True)
    [folder] = BUILT.glob("*/release")
    return folder


def fuzz(target, room, folder, seconds):
    """Runs one target, and gives how many inputs it took, how many places of the program they reached, and what went wrong."""
    found = FUZZED / target
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-timeout={LONGEST_S}", f"-rss_limit_mb={MOST_MB}", f"-artifact_prefix={FUZZED}/{target}-"]
    words = ROOT / room / "fuzz/words" / target
    taken, places, until = 0, 0, time.monotonic() + seconds
    while (left := math.ceil(until - time.monotonic())) > 0:
        command = [folder / target, *limits, found, ROOT / room / "fuzz/corpus" / target]
        command += [f"-max_total_time={left}", f"-max_len={LENGTHS.get(target, 4096)}"]
        command += [f"-dict={words}"] if words.exists() else []
        run = subprocess.run(
            [*command, "-print_final_stats=1", "-verbosity=1"],
            capture_output=True, text=True, errors="replace", env=os.environ | {"TMPDIR": MEMORY},
        )
        executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", run.stderr)
        taken += int(executed[1]) if executed else 0
        places = max([places, *map(int, re.findall(r"cov: (\d+)", run.stderr))])
        if run.returncode == 0:
            break
        late = re.search(r"Test unit written to (\S+-timeout-\S+)", run.stderr)
        if not late or subprocess.run([folder / target, *limits, late[1]], capture_output=True).returncode:
            return taken, places, run.stderr[-3000:]
        # The machine stood still, and not the target.
        Path(late[1]).unlink()
    return taken, places, None


def note(target, taken, places):
    """Adds what a run took."""
    known = tomllib.loads(TAKEN.read_text()) if TAKEN.exists() else {}
    before = known.get(target, {"inputs": 0, "places": 0})
    known[target] = {"inputs": before["inputs"] + taken, "places": max(places, before["places"])}
    lines = ["# What the fuzz targets took so far, and how many places of the program they reached. `make fuzz` adds to it."]
    for name in sorted(known):
        lines += ["", f"[{name}]", f"inputs = {known[name]['inputs']}", f"places = {known[name]['places']}"]
    TAKEN.write_text("\n".join(lines) + "\n")


def run(seconds, wanted):
    chosen = {target: room for target, room in targets().items() if not wanted or target in wanted}
    folders = {room: build(room) for room in dict.fromkeys(chosen.values())}
    faults = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {
            target: pool.submit(fuzz, target, room, folders[room], seconds) for target, room in chosen.items()
        }
        for target, going in runs.items():
            taken, places, fault = going.result()
            note(target, taken, places)
            print(f"{target:12} {taken:12,} inputs, {places:6} places" + ("" if fault is None else ", FAILED"), flush=True)
            if fault is not None:
                faults += 1
                print(fault, file=sys.stderr)
    total = sum(row["inputs"] for row in tomllib.loads(TAKEN.read_text()).values())
    print(f"{total:,} inputs so far")
    return faults == 0


def merge(wanted):
    for target, room in targets().items():
        if wanted and target not in wanted or not (FUZZED / target).exists():
            continue
        corpus = ROOT / room / "fuzz/corpus" / target
        [folder] = BUILT.glob("*/release")
        before = len(list(corpus.iterdir()))
        subprocess.run(
            # What reaches a place that no other does, whatever else it is.
            [folder / target, "-set_cover_merge=1", "-use_counters=0", f"-timeout={LONGEST_S}", corpus,
             FUZZED / target],
            check=True, capture_output=True, env=os.environ | {"TMPDIR": MEMORY},
        )
        print(f"{target:12} {before} files, now {len(list(corpus.iterdir()))}")
    return True


def llvm(tool):
    """The toolchain's, which fits for certain, or one of the system's."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    for path in Path(sysroot).glob(f"lib/rustlib/*/bin/{tool}"):
        return path
    for version in range(40, 17, -1):
        if path := shutil.which(f"{tool}-{version}"):
            return path
    return None


def coverage():
    cov, profdata = llvm("llvm-cov"), llvm("llvm-profdata")
    if not (cov and profdata):
        print("NEITHER the toolchain's llvm-tools NOR llvm 18 or later is there: places of the fuzzer's own counters are in taken.toml")
        return True
    # What others wrote is not counted, and need not be built again.
    counted = ROOT / "target/counted"
    counted.parent.mkdir(exist_ok=True)
    counted.write_text('#!/bin/sh\nexec "$@" -C instrument-coverage\n')
    counted.chmod(0o755)
    env = os.environ | {
        "CARGO_TARGET_DIR": str(ROOT / "target"),
        "RUSTC_WORKSPACE_WRAPPER": str(counted),
        "LLVM_PROFILE_FILE": "/dev/null",
    }
    names = [tomllib.loads((ROOT / room / "Cargo.toml").read_text())["package"]["name"] for room in ROOMS]
    packages = [word for name in names for word in ("-p", name)]
    built = subprocess.run(
        ["cargo", "test", "--locked", *packages, "--test", "corpus", "--no-run", "--color=never"],
        env=env, check=True, stderr=subprocess.PIPE, text=True,
    ).stderr
    programs = [ROOT / word for word in re.findall(r"\((target/\S+)\)", built)]
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "all.profdata"
        for program in programs:
            subprocess.run([program, "-q"], env=os.environ | {"LLVM_PROFILE_FILE": f"{folder}/%m.profraw"}, check=True,
                           capture_output=True)
        subprocess.run([profdata, "merge", "-sparse", *Path(folder).glob("*.profraw"), "-o", profile], check=True)
        objects = [word for program in programs[1:] for word in ("-object", program)]
        report = subprocess.run(
            [cov, "report", programs[0], *objects, f"-instr-profile={profile}"], check=True, capture_output=True, text=True
        ).stdout
    seen = {}
    for line in report.splitlines():
        words = line.split()
        if len(words) > 3 and words[0].endswith(".rs"):
            seen[words[0]] = (int(words[1]), int(words[2]))
    is_enough = True
    for parser, files in tomllib.loads(PARSERS.read_text()).items():
        rows = [row for path, row in seen.items() if any(file in path for file in files)]
        regions, missed = sum(row[0] for row in rows), sum(row[1] for row in rows)
        share = 100 * (regions - missed) / max(regions, 1)
        is_enough &= share >= 90
        print(f"{parser:24} {regions:6} regions, {share:5.1f} %" + ("" if share >= 90 else "  BELOW 90"))
    return is_enough


def main():
    match sys.argv[1:]:
        case ["merge", *wanted]:
            return merge(wanted)
        case ["coverage"]:
            return coverage()
        case [seconds, *wanted]:
            return run(int(seconds), wanted)
    sys.exit(__doc__)


sys.exit(0 if main() else 1)
