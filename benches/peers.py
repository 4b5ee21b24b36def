"""Measures Ringfort and its peers in turn: python3 peers.py PEERS_DIR ROUNDS RINGFORT HOME WORKS THREADS; see peers.sh.

Peers stay resident and wait while others are measured; Ringfort is started anew for each round, and both time stepping alone.
"""
import importlib.util
import json
import os
import select
import statistics
import subprocess
import sys
import time

PEERS, ROUNDS, RINGFORT, HOME, WORKS, THREADS = sys.argv[1:]
ROUNDS = int(ROUNDS)
CPEER = os.path.join(HOME, "cpeer")
# Seconds that a peer may take to make itself ready (some compile and tune), and for one round.
READY_S, ROUND_S = 900, 300
# Side and steps of the small grid on which results are compared.
SMALL, SMALL_STEPS = 64, 4

# Name: peers' own name, points along each axis, axes, steps, Ringfort's kernel with its options, cells read on each side, and
# C peers; the packaged ones follow.
ALL = {
    "heat-256": ("heat3d", 256, 3, 100, ["heat"], 1,
                 [("c-naive-nt", "blocked-nt 256"), ("c-reg-nt", "reg-nt"), ("c-temporal-b64-t4", "temporal 64 4 1"),
                  ("c-temporal-b64-t8", "temporal 64 8 1")]),
    "heat-512": ("heat3d", 512, 3, 20, ["heat"], 1,
                 [("c-naive-nt", "blocked-nt 512"), ("c-temporal-b64-t4", "temporal 64 4 1"),
                  ("c-temporal-b64-t8", "temporal 64 8 1")]),
    "wave-256": ("wave3d", 256, 3, 50, ["wave", "--precision", "f32", "--set", "kernel.order=8"], 4,
                 [("c-naive", "naive"), ("c-blocked", "blocked 32 64"), ("c-reg", "reg 32")]),
    "gray-scott-2048": ("grayscott", 2048, 2, 200, ["gray-scott"], 1,
                        [("c-naive-nt", "naive-nt"), ("c-temporal-t4", "temporal 256 4 1"),
                         ("c-temporal-t8", "temporal 512 8 1")]),
}
PACKAGED = {"devito": [("devito", "x")], "numba": [("numba", "x")],
            "halide": [("halide", "plain"), ("halide-fuse4", "fuse4")]}
FUSED = {"heat3d": "fuse4-b64", "grayscott": "fuse4-b256"}
# Largest difference of a right result: the order of additions differs.
TOLERANCE = {"heat3d": 1e-13, "wave3d": 2e-5, "grayscott": 1e-13}


def packaged(work):
    """Peers in Python, as (module, name, variant); those that cannot be are named."""
    for module, variants in PACKAGED.items():
        for name, variant in variants:
            if variant == "fuse4":
                if work not in FUSED:
                    continue
                variant = FUSED[work]
            yield module, name, variant


def environment(work, threads):
    """What peers are told of threads."""
    threads = str(threads)
    own = dict(os.environ, OMP_NUM_THREADS=threads, NUMBA_NUM_THREADS=threads, HL_NUM_THREADS=threads,
               NUMBA_THREADING_LAYER="omp", DEVITO_LOGGING="ERROR", GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
    return own


class Worker:
    """A resident peer."""

    def __init__(self, name, command, own):
        self.name, self.rates, self.check, self.rest = name, [], None, b""
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=own)

    def line(self, seconds):
        """The next line, or None after so many seconds or at the end."""
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            some = os.read(self.process.stdout.fileno(), 65536)
            if not some:
                return None
            self.rest += some
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().strip()

    def ready(self):
        while (line := self.line(READY_S)) is not None:
            if line.startswith("CHECK"):
                self.check = float(line.split()[1])
            if line == "READY":
                return True
        return False

    def seconds(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        while (line := self.line(ROUND_S)) is not None:
            if line.startswith("T "):
                return float(line.split()[1])
        return None

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ringfort(options, points, steps, threads, per_pass):
    """One measurement, as `ringfort bench` prints it."""
    command = [RINGFORT, "bench", *options, "--points", points, "--steps", str(steps), "--threads", str(threads),
               "--repeats", "1", "--json"] + (["--steps-per-pass", str(per_pass)] if per_pass else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def small_result(work, kernel, threads):
    """Ringfort's fields on the small grid, and the reference's, both from the peers' start."""
    import numpy as np

    sys.path.insert(0, PEERS)
    import common

    start = common.init(work, SMALL)
    fields = {"heat3d": ["temperature"], "wave3d": ["pressure", "pressure_before"], "grayscott": ["u", "v"]}[work]
    for field, values in zip(fields, start):
        np.save(os.path.join(HOME, f"{field}.npy"), values)
    given = {"heat3d": "diffusivity = 0.1", "wave3d": "speed = 0.31622776601683794", "grayscott": ""}[work]
    own = {"heat3d": "", "wave3d": 'order = 8, precision = "f32",',
           "grayscott": "du = 0.16, dv = 0.08, feed = 0.04, kill = 0.06,"}[work]
    files = ", ".join(f'{field} = {{ file = "{field}.npy" }}' for field in fields)
    job = os.path.join(HOME, "small.toml")
    with open(job, "w") as out:
        out.write(f'grid.points = {list(start[0].shape)}\nkernel = {{ {own} name = "{kernel}" }}\n'
                  f"fields = {{ {files}, {given} }}\ntime = {{ steps = {SMALL_STEPS}, dt = 1.0 }}\n")
    out = os.path.join(HOME, "small")
    subprocess.run([RINGFORT, "run", job, "--threads", str(threads), "--steps-per-exchange", str(SMALL_STEPS),
                    "--out", out, "--fresh"], check=True, capture_output=True)
    shown = fields if work == "grayscott" else fields[:1]
    found = []
    for field in shown:
        file = os.path.join(HOME, "found.npy")
        subprocess.run([RINGFORT, "checkpoint", "export", out, "--field", field, "--out", file], check=True,
                       capture_output=True)
        found.append(np.load(file))
    return found, common.reference(work, start, SMALL_STEPS)[: len(shown)]


DRIVER = """
import sys, runpy
import numpy as np
peers, file, work, variant, side, steps, out = sys.argv[1:]
sys.path.insert(0, peers)
sys.argv = [file, work, variant, side, steps]
import common
def worker(make, per=True):
    run, result = make(work, int(side), variant, common.init(work, int(side)))
    run(int(steps))
    np.save(out, np.stack([np.asarray(values) for values in result()][: 2 if work == "grayscott" else 1]))
common.worker = worker
runpy.run_path(file)
"""


def apart(module, name, variant, work, reach, found, own):
    """Largest difference between a packaged peer's result and Ringfort's on the small grid, where no side is within reach."""
    import numpy as np

    file, out = os.path.join(PEERS, f"peer_{module}.py"), os.path.join(HOME, f"{name}.npy")
    subprocess.run([sys.executable, "-c", DRIVER, PEERS, file, work, variant, str(SMALL), str(SMALL_STEPS), out],
                   check=True, capture_output=True, env=own, timeout=READY_S)
    theirs = np.load(out)
    # Devito has zeros beyond its sides.
    wide = SMALL_STEPS * reach if module == "devito" else 0
    inner = tuple(slice(wide, -wide or None) for _ in found[0].shape)
    return max(float(np.abs(np.asarray(a, float)[inner] - b[inner]).max()) for a, b in zip(theirs, found))


def measure(name, threads):
    """Prints the table of one work; returns Ringfort's rate and whether all results are right."""
    work, side, axes, steps, options, reach, c_peers = ALL[name]
    own, points = environment(work, threads), ",".join([str(side)] * axes)
    cells, right, differences = side**axes, True, {}
    tolerance = TOLERANCE[work]
    found = None
    if importlib.util.find_spec("numpy"):
        found, reference = small_result(work, options[0], threads)
        differences["ringfort"] = [max(float(abs(a - b).max()) for a, b in zip(found, reference)), 0.0]
    else:
        print("# Ringfort's result is not checked: this python has no numpy")
    workers = []
    if os.path.exists(CPEER):
        for peer, words in c_peers:
            variant, *more = words.split()
            workers.append((peer, None, Worker(peer, [CPEER, work, variant, str(side), str(steps), *more], own)))
            if not workers[-1][2].ready():
                print(f"SKIPPED  {peer}: it did not become ready")
                workers.pop()[2].end()
    for module, peer, variant in packaged(work):
        if not importlib.util.find_spec(module):
            print(f"SKIPPED  {peer}: this python has no {module}")
            continue
        file = os.path.join(PEERS, f"peer_{module}.py")
        worker = Worker(peer, [sys.executable, file, work, variant, str(side), str(steps)], own)
        if not worker.ready():
            print(f"SKIPPED  {peer}: it did not become ready")
            worker.end()
            continue
        workers.append((peer, module, worker))
        if found is not None:
            try:
                differences[peer] = [worker.check, apart(module, peer, variant, work, reach, found, own)]
            except (subprocess.SubprocessError, OSError, ValueError) as error:
                print(f"# {peer}: its result could not be compared with Ringfort's: {error}")
    per_pass = ringfort(options, points, steps, threads, None)["steps_per_pass"]
    rates, measured = [], []
    for number in range(ROUNDS):
        order = [None] + workers
        turn = number % len(order)
        for who in order[turn:] + order[:turn]:
            if who is None:
                measured.append(ringfort(options, points, steps, threads, per_pass))
                rates.append(cells * steps / measured[-1]["seconds"][0] / 1e9)
            elif (seconds := who[2].seconds()) is not None:
                who[2].rates.append(cells * steps / seconds / 1e9)
    middle = statistics.median(rates)
    roofline = statistics.median(one["roofline"] for one in measured) / 1e9
    copy = statistics.median(one["copy_bandwidth"] for one in measured) / 1e9
    peak = statistics.median(one["multiply_adds_per_second"] for one in measured) / 1e9
    print(f"\n{name}, {steps} steps, {threads} threads, {ROUNDS} rounds; Gcell/s. Ringfort: T = {per_pass}, roofline "
          f"{roofline:.2f} (copy {copy:.1f} GB/s, {peak:.1f} G multiply-adds/s), share {100 * middle / roofline:.0f} %")
    print(f"{'peer':20} {'median':>8} {'slowest':>8} {'fastest':>8} {'ringfort/it':>11}   from reference, from ringfort")

    def row(peer, rates, check):
        nonlocal right
        apart = differences.get(peer, [check, None])
        wrong = any(value is not None and not value <= tolerance for value in apart)
        right = right and not wrong
        shown = ", ".join("-" if value is None else f"{value:.1e}" for value in apart) + ("  WRONG" if wrong else "")
        middle_of_it = statistics.median(rates)
        print(f"{peer:20} {middle_of_it:8.3f} {min(rates):8.3f} {max(rates):8.3f} {middle / middle_of_it:11.2f}   {shown}")

    row("ringfort", rates, None)
    best = {}
    for peer, module, worker in workers:
        worker.end()
        if not worker.rates:
            print(f"SKIPPED  {peer}: it did not answer")
            continue
        row(peer, worker.rates, worker.check)
        kind = "packaged" if module else "C"
        rate = statistics.median(worker.rates)
        if rate > best.get(kind, (0, ""))[0]:
            best[kind] = (rate, peer)
    for kind, (rate, peer) in best.items():
        print(f"Ringfort over the best {kind} peer ({peer}): {middle / rate:.2f}")
    sys.stdout.flush()
    return (middle, peak), right


def main():
    all_right, done = True, {}
    for name in WORKS.split():
        if name not in ALL:
            sys.exit(f"peers.py: no work is called {name}; known are {', '.join(ALL)}")
        for threads in map(int, THREADS.split()):
            done[name, threads], right = measure(name, threads)
            all_right = all_right and right
        if {(name, 1), (name, 2)} <= done.keys():
            (one, peak_one), (two, peak_two) = done[name, 1], done[name, 2]
            print(f"{name}: 2 threads over 1: {two / one:.2f}, multiply-adds {peak_two / peak_one:.2f}")
    if not all_right:
        sys.exit(1)


main()
