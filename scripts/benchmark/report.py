#!/usr/bin/env python3
"""report.py DIR: read the figures that run left in DIR and print them as Markdown: first what we want to beat, with
the ratio, then all of them."""
import os, sys

folder = sys.argv[1]


def read(name):
    figures = {}
    path = os.path.join(folder, name + ".txt")
    if os.path.exists(path):
        for line in open(path):
            fields = line.split()
            try:
                figures[fields[0]] = (float(fields[1]), fields[2])
            except (IndexError, ValueError):
                pass
    return figures


kuva, glance, borg, floor = read("kuva"), read("glance"), read("borg"), read("floor")


def total(figures, start, *names):
    found = [figures[start % n][0] for n in names if start % n in figures]
    return sum(found) if found else None


def value(figures, name):
    return figures[name][0] if name in figures else None


def show(x):
    return "–" if x is None else "%.3g" % x if abs(x) < 1000 else "%.0f" % x


def row(what, unit, ours, theirs, goal, reached):
    """goal is said in words; reached(ratio) tells whether it is met, ratio being ours/theirs."""
    ratio = ours / theirs if ours is not None and theirs else None
    verdict = "–" if ratio is None else "yes" if reached(ratio) else "**no**"
    print("| %s | %s | %s | %s | %s | %s | %s |" % (what, unit, show(ours), show(theirs), show(ratio), goal, verdict))


said = {"1c": "one client", "4c": "four clients"}
peers = ("keystone", "glance", "mariadb", "memcached")
print("| what | unit | kuva | other | ratio | goal | met |")
print("|---|---|---|---|---|---|---|")
if glance:
    for clients, goal in (("1c", 1.7), ("4c", 1.0)):
        key = "random_upload_" + clients
        row("upload, %s / Glance" % said[clients], "MiB/s", value(kuva, key), value(glance, key), "≥ %.1f" % goal, lambda r, g=goal: r >= g)
    for clients in ("1c", "4c"):
        key = "random_download_" + clients
        row("download, %s, cold / Glance" % said[clients], "MiB/s", value(kuva, key), value(glance, key), "≥ 1", lambda r: r >= 1)
    row("download of a real disk / Glance", "MiB/s", value(kuva, "disk_download_1c"), value(glance, "disk_download_1c"), "≥ 1", lambda r: r >= 1)
    conns = os.environ.get("BENCH_CONNS", "16")
    row("show / Glance", "requests/s", value(kuva, "wrk%s_show" % conns), value(glance, "wrk%s_show" % conns), "≥ 30", lambda r: r >= 30)
    row("list of 20 / Glance", "requests/s", value(kuva, "wrk%s_list20" % conns), value(glance, "wrk%s_list20" % conns), "≥ 60", lambda r: r >= 60)
    row("memory, idle / Glance, Keystone, MariaDB", "MiB PSS", value(kuva, "pss_kuva_start"), total(glance, "pss_%s_start", *peers), "≤ 0.1", lambda r: r <= 0.1)
    row("memory, 16 uploads / the same", "MiB PSS", value(kuva, "random_upload_16c_server_pss"), value(glance, "random_upload_16c_server_pss"), "≤ 0.25", lambda r: r <= 0.25)
for clients in ("1c", "4c"):
    row("upload, %s, server CPU / md5sum + sha512sum" % said[clients], "s/GiB", value(kuva, "random_upload_%s_server_cpu" % clients),
        value(floor, "md5sum_sha512sum"), "≤ 1.4", lambda r: r <= 1.4)
depot = {}
path = os.path.join(folder, "depot.txt")
if os.path.exists(path):
    for line in open(path):
        if line.startswith("BenchmarkStoreDisk"):
            fields = line.split()
            depot = {unit: float(number) for number, unit in zip(fields[2::2], fields[3::2])}
if glance:
    row("list of 20 in %s / Glance at 5,000" % os.environ.get("BENCH_MANY", "1,000,000"), "requests/s", value(kuva, "wrk%s_list20_many" % conns),
        value(glance, "wrk%s_list20" % conns), "≥ 60", lambda r: r >= 60)
if borg:
    # The depot alone: a PUT also pays for MD5 and SHA-512 of every byte, holes too.
    for what in ("disk", "snapshot"):
        row("store a %s, sealed, CPU / borg" % what, "s", depot.get("CPU-s-" + what), value(borg, "store_%s_cpu" % what), "≤ 1", lambda r: r <= 1)
        row("store a %s, size / borg" % what, "MiB", depot.get("MiB-" + what), value(borg, "store_%s_bytes" % what), "≤ 1", lambda r: r <= 1)

print("\n<details><summary>All figures</summary>\n")
print("| figure | unit | kuva | Glance |")
print("|---|---|---|---|")
for name in dict.fromkeys(list(kuva) + list(glance)):
    unit = (kuva.get(name) or glance.get(name))[1]
    print("| %s | %s | %s | %s |" % (name, unit, show(value(kuva, name)), show(value(glance, name))))
if os.path.exists(path):
    print("\nThe depot and the cutter alone (`go test -bench`):\n")
    for line in open(path):
        if line.startswith("Benchmark"):
            print("    " + line.rstrip())
print("\n</details>")
