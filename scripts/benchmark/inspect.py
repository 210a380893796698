#!/usr/bin/env python3
"""Measures kuva inspect on a raw disk and on the same as qcow2, against virt-inspector
where it is installed, and through the depot of a server, and prints tables in Markdown.

  inspect.py KUVA RAW [DIR]

CPU is user and system time of a process and of what it started; memory the greatest
resident set of one of them, no less than this program's own 15 MiB. What is read is in the
page cache. REPEAT=5: the median counts. virt-inspector starts a machine of its own, here
without KVM, and is run once to make its helper disk, then REPEAT_VIRT=1 times; SUPERMIN_*
may name the kernel for it. A DIR is where the server's data and the qcow2 lie (TMPDIR)."""
import json, os, shutil, socket, statistics, subprocess, sys, tempfile, time, urllib.error, urllib.request

kuva, raw = os.path.abspath(sys.argv[1]), sys.argv[2]
work = tempfile.mkdtemp(prefix="kuva-inspect.", dir=sys.argv[3] if len(sys.argv) > 3 else None)
repeat = int(os.environ.get("REPEAT", "5"))
KNOWN = 25.0  # CPU seconds of virt-inspector without applications, when last measured on such a machine


def run(args, out=subprocess.DEVNULL, env=None):
    """Runs a command: wall, CPU, memory in MiB."""
    began = time.monotonic()
    p = subprocess.Popen(args, stdout=out, stderr=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        return None
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def median(rows):
    return [statistics.median(r[i] for r in rows) for i in range(3)]


def inspect(path):
    rows = []
    for _ in range(repeat):
        with open(work + "/report", "wb") as out:
            row = run([kuva, "inspect", "--json", path], out)
        if row is None:
            sys.exit("kuva inspect %s failed" % path)
        rows.append(row)
    return median(rows), json.load(open(work + "/report"))


def line(what, row, read=None):
    print("| %s | %.2f | %.2f | %.0f | %s |" % (what, row[1], row[0], row[2], "" if read is None else "%.1f" % (read / 1048576)), flush=True)


def virt():
    if os.environ.get("NO_VIRT") or not shutil.which("virt-inspector"):
        return None
    env = dict(os.environ, LIBGUESTFS_BACKEND="direct", LIBGUESTFS_BACKEND_SETTINGS="force_tcg")
    args = ["virt-inspector", "--no-applications", "--no-icon", "--format=raw", "-a", raw]
    if run(args, env=env) is None:
        return None
    rows = [run(args, env=env) for _ in range(int(os.environ.get("REPEAT_VIRT", "1")))]
    return median(rows) if all(rows) else None


def depot():
    """Wall time from the upload's answer to the report, and of asking for it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    url = "http://127.0.0.1:%d" % port
    with open(work + "/log", "wb") as log:
        server = subprocess.Popen([kuva, "serve", "--data", work + "/data", "--listen", "127.0.0.1:%d" % port],
                                  stdout=log, stderr=log, env=dict(os.environ, KUVA_ADMIN_PASSWORD="bench-password"))

    def call(method, path, body=None, kind="application/json", length=None):
        headers = {"Content-Type": kind}
        if token:
            headers["X-Auth-Token"] = token
        if length is not None:
            headers["Content-Length"] = str(length)
        return urllib.request.urlopen(urllib.request.Request(url + path, body, headers, method=method))

    def cpu():
        fields = open("/proc/%d/stat" % server.pid).read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    token = None
    try:
        for _ in range(300):
            try:
                call("GET", "/readyz")
                break
            except OSError:
                time.sleep(0.1)
        login = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "bench-password"}}},
                          "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}
        token = call("POST", "/identity/v3/auth/tokens", json.dumps(login).encode()).headers["X-Subject-Token"]
        image = json.load(call("POST", "/v2/images", json.dumps({"name": "disk", "disk_format": "raw", "container_format": "bare"}).encode()))["id"]
        with open(raw, "rb") as f:
            call("PUT", "/v2/images/%s/file" % image, f, "application/octet-stream", os.path.getsize(raw))
        began, spent = time.monotonic(), cpu()
        while True:
            try:
                asked = time.monotonic()
                report = json.load(call("GET", "/kuva/v1/images/%s/report" % image))
                break
            except urllib.error.HTTPError as e:
                if e.code != 409 or time.monotonic() - began > 60:
                    raise
                time.sleep(0.005)
        now = time.monotonic()
        asking = []
        for _ in range(20):
            at = time.monotonic()
            call("GET", "/kuva/v1/images/%s/report" % image).read()
            asking.append(time.monotonic() - at)
        return now - began, cpu() - spent, report["cost"], statistics.median(asking)
    finally:
        server.terminate()
        server.wait()


try:
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, work + "/disk.qcow2"], check=True)
    print("| inspection | CPU s | wall s | memory MiB | read MiB |\n|---|---|---|---|---|")
    plain, report = inspect(raw)
    line("`kuva inspect`, raw", plain, report["cost"]["bytes_read"])
    packed, packed_report = inspect(work + "/disk.qcow2")
    line("`kuva inspect`, qcow2", packed, packed_report["cost"]["bytes_read"])
    other = virt()
    if other:
        line("`virt-inspector`", other)
    wall, cpu, cost, asking = depot()
    print()
    if other:
        print("%.0f times less CPU than virt-inspector without a list of packages." % (other[1] / plain[1]))
    else:
        print("virt-inspector does not run here; against the %.0f CPU s that it took when last measured: %.0f times less." % (KNOWN, KNOWN / plain[1]))
    data = os.stat(raw).st_blocks * 512
    print("Read: %.1f %% of the disk's %d MiB of data. Through the depot: the report was there %.2f s after the upload's answer (the"
          % (100 * report["cost"]["bytes_read"] / data, data >> 20, wall))
    print("inspection itself %.2f s; %.2f CPU s of the server since then); asking for it again takes %.0f ms." % (cost["milliseconds"] / 1000, cpu, asking * 1000))
finally:
    shutil.rmtree(work)
