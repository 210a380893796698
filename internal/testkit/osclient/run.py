"""Runs commands of Debian's openstack or glance client, unmodified, in one process.

One JSON object a line comes in, {"args": [...], "env": {...}}, and one goes out,
{"code": 0, "out": "...", "err": "..."}. Starting an interpreter for each
command would cost most of a second.
"""
import io
import json
import logging
import os
import sys

if sys.argv[1] == "glanceclient":
    from glanceclient.shell import OpenStackImagesShell

    run, keepers = lambda args: OpenStackImagesShell().main(args), ()
else:
    from openstackclient import shell
    from openstackclient.common import clientmanager

    run, keepers = shell.main, clientmanager.ClientManager.__mro__

answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    call = json.loads(line)
    os.environ.clear()
    os.environ.update(call["env"])
    out, err = io.StringIO(), io.StringIO()
    sys.stdout, sys.stderr = out, err
    # The client keeps its sessions for the life of the process: not the last user's.
    for owner in keepers:
        for cached in vars(owner).values():
            if hasattr(cached, "_handle"):
                cached._handle = None
    root = logging.getLogger("")
    for handler in list(root.handlers):
        root.removeHandler(handler)
    try:
        code = run(call["args"])
    except SystemExit as e:
        code = e.code
    except BaseException as e:
        code = 70
        print(repr(e), e, file=err)
    if not isinstance(code, int):
        code = 0 if code is None else 1
    answers.write(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}) + "\n")
    answers.flush()
