#!/usr/bin/env python3
"""transfer.py NAME FILE CLIENTS [CLIENTS ...]: upload FILE to an Image API v2 server with so many curl processes at
once, download it again, and print one line a figure: name value unit. The median of BENCH_REPEAT runs is printed.

Figures: throughput in MiB/s, CPU seconds per GiB of the server's processes (BENCH_PIDS="name=pid ...") and of the
clients, the greatest memory (PSS) of the server meanwhile, and what one upload adds to BENCH_STORE_DIR. Downloads
are from a cold page cache where this runs as root. With BENCH_KEEP the first upload stays. With BENCH_FRESH no two
uploads send the same bytes, or a server that keeps equal bytes once would have next to nothing to do; 16 clients then
send 256 MiB each. OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME say where and who."""
import json, os, resource, statistics, subprocess, sys, threading, time, urllib.request

name, path, counts = sys.argv[1], sys.argv[2], [int(n) for n in sys.argv[3:]]
repeat = int(os.environ.get("BENCH_REPEAT", "3"))
mib = os.path.getsize(path) / (1 << 20)
tick = os.sysconf("SC_CLK_TCK")


def out(what, value, unit):
    print("%s_%s %.3f %s" % (name, what, value, unit), flush=True)


def call(method, url, body=None, headers=None):
    request = urllib.request.Request(url, method=method, headers=headers or {})
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=60) as r:
        data = r.read()
        return r.headers, json.loads(data) if data else None


default = {"name": "Default"}
headers, answer = call("POST", os.environ["OS_AUTH_URL"] + "/auth/tokens", {"auth": {
    "identity": {"methods": ["password"], "password": {"user": {
        "name": os.environ["OS_USERNAME"], "domain": default, "password": os.environ["OS_PASSWORD"]}}},
    "scope": {"project": {"name": os.environ["OS_PROJECT_NAME"], "domain": default}}}})
token = {"X-Auth-Token": headers["X-Subject-Token"]}
base = next(e["url"] for s in answer["token"]["catalog"] if s["type"] == "image"
            for e in s["endpoints"] if e["interface"] == "public").rstrip("/").removesuffix("/v2")


def processes():
    """The server's processes, children included."""
    children = {}
    for d in filter(str.isdigit, os.listdir("/proc")):
        try:
            children.setdefault(int(open("/proc/%s/stat" % d).read().rsplit(")", 1)[1].split()[1]), []).append(int(d))
        except OSError:
            pass  # it has ended
    todo, found = [int(p.split("=")[1]) for p in os.environ.get("BENCH_PIDS", "").split()], []
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def server_cpu():
    total = 0
    for p in processes():
        try:
            fields = open("/proc/%d/stat" % p).read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / tick


def pss():
    total = 0
    for p in processes():
        try:
            total += sum(int(l.split()[1]) for l in open("/proc/%d/smaps_rollup" % p) if l.startswith("Pss:"))
        except OSError:
            pass
    return total / 1024


def client_cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def stored():
    directory = os.environ.get("BENCH_STORE_DIR")
    if not directory:
        return None
    os.sync()
    return int(subprocess.run(["du", "-sk", directory], capture_output=True, text=True).stdout.split()[0]) / 1024


def cold():
    os.sync()
    if os.getuid() == 0:
        try:
            open("/proc/sys/vm/drop_caches", "w").write("1")
        except OSError:
            pass


def together(commands):
    """Runs the commands at once; returns wall seconds, server and client CPU seconds, greatest PSS."""
    peak, done = [pss()], threading.Event()

    def watch():
        while not done.wait(0.2):
            peak[0] = max(peak[0], pss())
    watcher = threading.Thread(target=watch)
    watcher.start()
    server, client, start = server_cpu(), client_cpu(), time.monotonic()
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    ends = [p.communicate() for p in running]
    wall = time.monotonic() - start
    result = wall, server_cpu() - server, client_cpu() - client
    done.set()
    watcher.join()
    for (text, error), p in zip(ends, running):
        if p.returncode or not text.startswith("2"):
            sys.exit("curl: exit %d, HTTP %s %s" % (p.returncode, text, error))
    return result + (peak[0],)


def curl(*args):
    return ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Auth-Token: " + token["X-Auth-Token"], *args]


def fresh(n, size):
    """n files of size bytes that nobody has seen yet: every 64 KiB of them holds a new random number."""
    paths = []
    for k in range(n):
        copy = "%s.%d" % (path, k)
        paths.append(copy)
        if not os.path.exists(copy):
            with open(path, "rb") as source, open(copy, "wb") as target:
                for _ in range(size >> 20):
                    target.write(source.read(1 << 20))
        with open(copy, "r+b") as f:
            f.truncate(size)
            for at in range(0, size, 1 << 16):
                os.pwrite(f.fileno(), os.urandom(8), at)
    os.sync()
    return paths


whole = mib
for n in counts:
    mib = whole
    if os.environ.get("BENCH_FRESH") and n >= 16:
        mib = min(whole, 256)
    rows = {"upload": [], "download": []}
    grown = None
    for turn in range(repeat if n < 16 else 1):
        ids = [call("POST", base + "/v2/images", {"name": "transfer", "disk_format": "raw", "container_format": "bare"},
                    token)[1]["id"] for _ in range(n)]
        urls = [base + "/v2/images/%s/file" % i for i in ids]
        files = fresh(n, int(mib) << 20) if os.environ.get("BENCH_FRESH") else [path] * n
        before = stored() if turn == 0 else None
        rows["upload"].append(together([curl("-X", "PUT", "-H", "Content-Type: application/octet-stream", "-T", f, u)
                                        for f, u in zip(files, urls)]))
        if before is not None:
            grown = stored() - before
        cold()
        rows["download"].append(together([curl(u) for u in urls]))
        if os.environ.get("BENCH_KEEP") and turn == 0:
            continue  # what comes later may be stored as a difference to it
        for i in ids:
            call("DELETE", base + "/v2/images/" + i, None, token)
    gib = n * mib / 1024
    for what, runs in rows.items():
        wall, server, client, peak = (statistics.median(r[k] for r in runs) for k in range(4))
        out("%s_%dc" % (what, n), n * mib / wall, "MiB/s")
        out("%s_%dc_server_cpu" % (what, n), server / gib, "s/GiB")
        out("%s_%dc_client_cpu" % (what, n), client / gib, "s/GiB")
        out("%s_%dc_server_pss" % (what, n), peak, "MiB")
    if grown is not None:
        out("upload_%dc_stored" % n, grown, "MiB")
    for f in files:
        if f != path:
            os.unlink(f)
