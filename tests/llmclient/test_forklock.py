"""A fork must not inherit a lock that nobody will ever open."""

import os
import threading

from llmclient._forklock import ForkLock


def test_it_keeps_others_out() -> None:
    lock, inside, seen = ForkLock(), threading.Event(), []

    def enter() -> None:
        inside.set()
        with lock:
            seen.append("second")

    with lock:
        other = threading.Thread(target=enter)
        other.start()
        inside.wait()
        seen.append("first")
    other.join()
    assert seen == ["first", "second"]


def test_a_child_finds_it_open_while_a_thread_of_the_parent_holds_it() -> None:
    lock, held, done = ForkLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        with lock:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    done.set()
    holder.join()
    assert os.waitstatus_to_exitcode(status) == 7
    with lock:
        pass
