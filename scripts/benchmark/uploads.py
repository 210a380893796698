#!/usr/bin/env python3
"""uploads.py KUVA [MIB [REPEAT]]: upload a file of new random bytes to a kuva by PUT and by tus, with curl, and by asking
first, with kuva image upload, taking turns, and print a table: throughput until the image is active, CPU seconds of the server until then, and what its memory
(PSS) grew by meanwhile, as medians. By tus and by asking the image is a disk (shown as raw), whose hashes a job fills in later; it is
waited for between the turns and not counted, as no upload waits for it."""
import json, os, signal, socket, statistics, subprocess, sys, tempfile, threading, time, urllib.request

kuva, mib, repeat = sys.argv[1], int((sys.argv[2:] + ["1024"])[0]), int((sys.argv[3:] + ["3"])[0])
tick = os.sysconf("SC_CLK_TCK")
work = tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR"))
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    base = "http://127.0.0.1:%d" % s.getsockname()[1]
server = subprocess.Popen([kuva, "serve", "--data", work.name + "/data", "--listen", base[7:]], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=dict(os.environ, KUVA_ADMIN_PASSWORD="bench-password"))


def call(method, path, body=None, **headers):
    request = urllib.request.Request(base + path, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=60) as r:
        data = r.read()
        return r.headers, json.loads(data) if data else None


def ready():
    try:
        call("GET", "/readyz")
        return True
    except OSError:
        return False


def cpu():
    fields = open("/proc/%d/stat" % server.pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / tick


def pss():
    return sum(int(l.split()[1]) for l in open("/proc/%d/smaps_rollup" % server.pid) if l.startswith("Pss:")) / 1024


def fresh(path):
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(os.urandom(1 << 20))
    os.sync()


def curl(*args):
    p = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Auth-Token: " + token, *args], capture_output=True, text=True)
    if p.stdout != "204":
        sys.exit("curl: HTTP %s %s" % (p.stdout, p.stderr))


def put(path):
    image = call("POST", "/v2/images", {"name": "put", "disk_format": "raw", "container_format": "bare"}, X_Auth_Token=token)[1]["id"]
    curl("-X", "PUT", "-H", "Content-Type: application/octet-stream", "-T", path, base + "/v2/images/%s/file" % image)
    return image


def tus(path):
    headers, _ = call("POST", "/files", X_Auth_Token=token, Tus_Resumable="1.0.0", Upload_Length=str(mib << 20),
                      Upload_Metadata="name dHVz,disk_format cmF3,native cmF3")
    curl("-X", "PATCH", "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Offset: 0", "-H", "Content-Type: application/offset+octet-stream",
         "-T", path, base + headers["Location"])
    return headers["X-Image-Id"]


def ask(path):
    env = dict(os.environ, OS_AUTH_URL=base + "/identity/v3", OS_USERNAME="admin", OS_PASSWORD="bench-password", OS_PROJECT_NAME="admin",
               OS_USER_DOMAIN_NAME="Default", OS_PROJECT_DOMAIN_NAME="Default", OS_CLIENT_CONFIG_FILE="/nonexistent")
    env.pop("OS_CLOUD", None)
    return subprocess.run([kuva, "image", "upload", path, "--method", "ask", "--disk-format", "raw", "--name", "ask", "--quiet"],
                          check=True, capture_output=True, text=True, env=env).stdout.strip()


def active(image):
    while True:
        status = call("GET", "/v2/images/" + image, X_Auth_Token=token)[1]["status"]
        if status == "active":
            return
        if status == "queued":
            sys.exit("the upload failed")
        time.sleep(0.01)


def quiet():
    """Waits until no job runs, and for the disk."""
    while any(j["state"] in ("pending", "running") for j in call("GET", "/kuva/v1/jobs?state=pending,running", X_Auth_Token=token)[1]["jobs"]):
        time.sleep(0.1)
    os.sync()
    time.sleep(0.5)


def measure(way, path):
    fresh(path)
    quiet()
    idle = peak = pss()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, pss())
    watcher = threading.Thread(target=watch)
    watcher.start()
    busy, start = cpu(), time.monotonic()
    image = way(path)
    active(image)
    wall, busy = time.monotonic() - start, cpu() - busy
    done.set()
    watcher.join()
    quiet()
    call("DELETE", "/v2/images/" + image, X_Auth_Token=token)
    return mib / wall, busy / mib * 1024, peak - idle


try:
    while not ready():
        time.sleep(0.05)
    headers, _ = call("POST", "/identity/v3/auth/tokens", {"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "bench-password"}}},
        "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}})
    token = headers["X-Subject-Token"]
    rows = {put: [], tus: [], ask: []}
    for turn in range(repeat):
        for way in rows:
            rows[way].append(measure(way, work.name + "/file"))
    median = {way: [statistics.median(r[k] for r in runs) for k in range(3)] for way, runs in rows.items()}
    print("| way | MiB/s | server CPU, s/GiB | memory, MiB more than idle | throughput / PUT | CPU / PUT |\n|---|---|---|---|---|---|")
    for way, (speed, busy, memory) in median.items():
        print("| %s | %.0f | %.2f | %.0f | %.2f | %.2f |" % (way.__name__, speed, busy, memory, speed / median[put][0], busy / median[put][1]))
    for way, runs in rows.items():
        print("<!-- %s: %s -->" % (way.__name__, ", ".join("%.0f MiB/s %.2f s/GiB" % r[:2] for r in runs)))
finally:
    server.send_signal(signal.SIGTERM)
    server.wait()
    work.cleanup()
