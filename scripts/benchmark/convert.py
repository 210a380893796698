#!/usr/bin/env python3
"""Measures kuva convert against qemu-img convert -m 2 -W, one after the other for
each pair of formats, on one raw disk, and prints a table in Markdown.

  convert.py KUVA RAW [DIR]   RAW may be sparse:SIZE:DATA, in GiB, made in DIR
  convert.py KUVA first [DIR] time to the first byte of each format, into a pipe, of
                              a sparse disk of 1 TiB with 256 MiB of data

Both sides end with the file synced: kuva does so itself, qemu-img is followed by
sync FILE, which counts. CPU is user and system time of the processes; memory the
greatest resident set, no less than this program's own 15 MiB. REPEAT=3: the median
counts, the two sides take turns.
Files lie in DIR (default: TMPDIR); what is read is in the page cache."""
import os, random, shutil, statistics, subprocess, sys, tempfile, time

kuva, raw = os.path.abspath(sys.argv[1]), sys.argv[2]
work = tempfile.mkdtemp(prefix="kuva-convert.", dir=sys.argv[3] if len(sys.argv) > 3 else None)
repeat = int(os.environ.get("REPEAT", "3"))
only = os.environ.get("ONLY", "")

PLAIN = [("raw", []), ("qcow2", []), ("vmdk", []), ("vpc", []), ("vhdx", []), ("vdi", [])]
PACKED = [("qcow2", ["-c"], "qcow2 zlib"), ("qcow2", ["-c", "-o", "compression_type=zstd"], "qcow2 zstd"),
          ("vmdk", ["-o", "subformat=streamOptimized"], "vmdk stream")]


def sparse(path, size, data):
    """A disk of size GiB with data GiB in stretches of 1 to 32 MiB: a third random, a third words, a third in between."""
    rng = random.Random(7)
    noise = rng.randbytes(32 << 20)
    words = b" ".join(rng.choice([b"the", b"quick", b"brown", b"fox", b"jumps", b"over", b"lazy", b"dogs"]) + b"%x" % rng.getrandbits(16)
                      for _ in range(4 << 20))[:32 << 20]
    mixed = b"".join(noise[i:i + 2048] + words[i:i + 2048] for i in range(0, 32 << 20, 2048))[:32 << 20]
    with open(path, "wb") as f:
        f.truncate(size << 30)
        left, at = data << 30, 1 << 20
        step = (size << 30) // ((data << 30) // (16 << 20))
        while left > 0 and at < (size << 30):
            n = min(left, rng.randrange(1, 32) << 20)
            f.seek(at)
            f.write(rng.choice([noise, words, mixed])[:n])
            left -= n
            at += max(step, n)


def run(*args):
    """Runs a command: wall, CPU, memory in MiB."""
    began = time.monotonic()
    p = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        sys.exit("failed: " + " ".join(args))
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def once(side, src, fmt, options, out):
    if os.path.exists(out):
        os.remove(out)
    if side == "kuva":
        return run(kuva, "convert", "-q", "-O", fmt, *options, src, out)
    a = run("qemu-img", "convert", "-m", "2", "-W", "-O", fmt, *options, src, out)
    b = run("sync", out)
    return a[0] + b[0], a[1] + b[1], a[2]


def measure(label, src, fmt, options):
    if only and only not in label:
        return
    got = {"kuva": [], "qemu": []}
    sizes = {}
    for i in range(repeat):
        for side in ("kuva", "qemu") if i % 2 else ("qemu", "kuva"):
            out = os.path.join(work, "out")
            got[side].append(once(side, src, fmt, options, out))
            sizes[side] = os.stat(out).st_blocks * 512
    k, q = ([statistics.median(x[i] for x in got[s]) for i in range(3)] for s in ("kuva", "qemu"))
    print("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f | %.2f | %.0f / %.0f |" %
          (label, k[0], q[0], q[0] / k[0], k[1], q[1], q[1] / k[1], sizes["kuva"] / sizes["qemu"], k[2], q[2]), flush=True)


def first():
    """From the start of the process on; qemu-img cannot write to pipes."""
    src = os.path.join(work, "disk.raw")
    noise = random.Random(7).randbytes(1 << 20)
    with open(src, "wb") as f:
        f.truncate(1 << 40)
        for i in range(256):
            f.seek(i << 32)
            f.write(noise)
    print("| view | first byte ms |\n|---|---|")
    for fmt, options, name in [(f, o, f) for f, o in PLAIN] + PACKED:
        took = []
        for _ in range(repeat):
            began = time.monotonic()
            p = subprocess.Popen([kuva, "convert", "-q", "-O", fmt, *options, src, "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if not p.stdout.read(1):
                sys.exit("nothing came of " + name)
            took.append(time.monotonic() - began)
            p.kill()
            p.stdout.close()
            p.wait()
        print("| %s | %.0f |" % (name, statistics.median(took) * 1000), flush=True)


try:
    if raw == "first":
        first()
        sys.exit()
    if raw.startswith("sparse:"):
        _, size, data = raw.split(":")
        raw = os.path.join(work, "disk.raw")
        if os.fork() == 0:  # its memory would be counted among that of the children
            sparse(raw, int(size), int(data))
            os._exit(0)
        if os.wait()[1]:
            sys.exit("the disk cannot be made")
    print("| pair | kuva s | qemu-img s | times as fast | kuva CPU s | qemu-img CPU s | CPU ratio | size ratio | memory MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for fmt, _ in PLAIN:
        src = raw
        if fmt != "raw":
            src = os.path.join(work, "src")
            subprocess.run(["qemu-img", "convert", "-O", fmt, raw, src], check=True)
            subprocess.run(["sync", src], check=True)
        for to, options in PLAIN:
            measure("%s → %s" % (fmt, to), src, to, options)
    for to, options, name in PACKED:
        measure("raw → " + name, raw, to, options)
    for to, options, name in PACKED:
        src = os.path.join(work, "src")
        subprocess.run(["qemu-img", "convert", "-m", "2", "-W", "-O", to, *options, raw, src], check=True)
        measure(name + " → raw", src, "raw", [])
        measure(name + " → qcow2", src, "qcow2", [])
finally:
    shutil.rmtree(work)
