"""The parent of the embedded postmaster: a few lines of standard library, run by path and without site packages.

It reaps the server, so that no zombie looks like a live one in a container whose first process reaps nothing; and it
stops the server when every holder is gone without having said so (kill -9).

The server and all its children inherit a lock: it tells everybody, in other containers too, that they still live.

Arguments: holders-lock decision-lock server-lock log-file uid gid postgres-command…
Prints the postmaster's pid and detaches.
"""

import fcntl
import os
import signal
import sys


def main() -> None:
    holders_path, decision_path, server_path, log_path, uid, gid, *command = sys.argv[1:]
    if os.fork():
        os._exit(0)
    os.setsid()  # A Ctrl-C or a closed terminal is meant for the holders.
    holders, decision = os.open(holders_path, os.O_RDWR), os.open(decision_path, os.O_RDWR)
    in_use = os.open(server_path, os.O_RDWR)
    fcntl.flock(in_use, fcntl.LOCK_EX)
    server = os.fork()
    if not server:
        os.set_inheritable(in_use, True)
        become_server(log_path, int(uid), int(gid), command)
    os.close(in_use)
    os.write(1, b"%d\n" % server)
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    os.chdir("/")
    signal.signal(signal.SIGCHLD, lambda *_: os._exit(0))
    if os.waitpid(server, os.WNOHANG)[0]:  # It died before we listened for that.
        os._exit(0)
    while True:
        # Granted when no holder is left. Given back at once, for a new starter takes the decision lock first.
        fcntl.flock(holders, fcntl.LOCK_EX)
        fcntl.flock(holders, fcntl.LOCK_UN)
        fcntl.flock(decision, fcntl.LOCK_EX)
        try:
            fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(decision, fcntl.LOCK_UN)
            continue
        os.kill(server, signal.SIGINT)  # Fast stop; both locks are kept until the server is gone.
        while True:
            signal.pause()


def become_server(log_path: str, uid: int, gid: int, command: list[str]) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.umask(0o077)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    try:
        os.execv(command[0], command)  # noqa: S606  there is no shell, and nobody but our supervisor gives commands
    except OSError as error:
        os.write(2, f"FATAL:  {command[0]}: {error.strerror}\n".encode())
    os._exit(1)


if __name__ == "__main__":
    main()
