#!/usr/bin/env python3
"""many.py URL PID: requests a second of show and of lists of 20 in a large table, as lines "figure value unit"."""
import json, os, re, subprocess, sys, urllib.request

url, pid = sys.argv[1], sys.argv[2]
seconds, conns = os.environ.get("BENCH_SECONDS", "10"), os.environ.get("BENCH_CONNS", "16")
login = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
    "name": "admin", "domain": {"id": "default"}, "password": "bench-password"}}},
    "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}
request = urllib.request.Request(url + "/identity/v3/auth/tokens", json.dumps(login).encode(), {"Content-Type": "application/json"})
token = urllib.request.urlopen(request).headers["X-Subject-Token"]


def get(path):
    return json.load(urllib.request.urlopen(urllib.request.Request(url + path, headers={"X-Auth-Token": token})))


def cpu():
    fields = open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


page = get("/v2/images?limit=1000")
middle = page["images"][500]["id"]
for name, path in (("show_many", "/v2/images/" + middle), ("list20_many", "/v2/images?limit=20"),
                   ("list20_many_by_name", "/v2/images?limit=20&sort=name:asc"),
                   ("list20_many_behind_a_marker", "/v2/images?limit=20&marker=" + middle)):
    before = cpu()
    out = subprocess.run(["wrk", "-t2", "-c" + conns, "-d" + seconds + "s", "--timeout", "30s", "--latency", "-H", "X-Auth-Token: " + token, url + path],
                         capture_output=True, text=True).stdout
    spent = cpu() - before
    rate, count = re.search(r"Requests/sec:\s+([\d.]+)", out), re.search(r"(\d+) requests in", out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    print("wrk%s_%s %s req/s" % (conns, name, rate.group(1)))
    print("wrk%s_%s_p99 %.2f ms" % (conns, name, float(p99.group(1)) * {"us": .001, "ms": 1, "s": 1000}[p99.group(2)]))
    print("cpu_wrk%s_%s %.3f ms/req" % (conns, name, spent * 1000 / max(1, int(count.group(1)))), flush=True)
    if re.search(r"Non-2xx", out):
        sys.exit("many.py: errors: " + out)
