"""Parts that need no supervisord."""

import ipaddress
import os
import socket
import sys
import unittest

from harness import PLUGIN

sys.path.insert(0, PLUGIN)

from bunkhouse_plugin import backoff, listeners, output  # noqa: E402
from bunkhouse_plugin.life import Life  # noqa: E402
from bunkhouse_plugin.promise import Promise, Turns, run  # noqa: E402
from bunkhouse_plugin.secrecy import redact  # noqa: E402
from bunkhouse_plugin.spec import Backoff, Readiness  # noqa: E402


class BackoffDelay(unittest.TestCase):
    RULE = Backoff(min_seconds=2, max_seconds=60, healthy_seconds=10)

    def test_it_doubles_up_to_the_cap_and_half_of_it_is_chance(self):
        self.assertEqual([backoff.delay(self.RULE, n, 1) for n in (1, 2, 3, 6, 7, 1000)], [2, 4, 8, 60, 60, 60])
        self.assertEqual([backoff.delay(self.RULE, n, 0) for n in (1, 2, 10**6)], [1, 2, 30])


class Lives(unittest.TestCase):
    def test_deadlines(self):
        rule = Readiness(kind="notify", startup_seconds=10, watchdog_seconds=5)
        life = Life(generation=1, started=100, started_at=0)
        self.assertEqual((life.overdue(rule, 109.9), life.due(rule)), (None, 110))
        self.assertIn("not ready 10 s", life.overdue(rule, 110))
        life.become_ready(108, 0)
        self.assertEqual((life.overdue(rule, 112.9), life.due(rule)), (None, 113))
        life.heard = 112
        self.assertEqual((life.overdue(rule, 113), life.due(rule)), (None, 117))
        self.assertIn("no sign of life for 5 s", life.overdue(rule, 117))
        life.end(117, "why", False, 3)
        self.assertEqual(life.due(rule), 120)

    def test_each_kind_is_ready_in_its_way(self):
        life = Life(generation=1, started=100, started_at=0)
        ready = [Readiness(kind, 10, None) for kind in ("notify", "listen", "process")]
        self.assertEqual([life.is_ready(rule, 100.5) for rule in ready], [False, False, False])
        self.assertEqual([life.is_ready(rule, 101) for rule in ready], [False, False, True])


class Secrecy(unittest.TestCase):
    def test_nothing_of_a_secret_is_shown(self):
        for text, shown in (
            ("near 'abcdefghij' at line 1", "near '***' at line 1"),
            ("abcdefghij and abcdefghij", "*** and ***"),
            ("it ends in the middle: abcdefgh", "it ends in the middle: ***"),
            ("efghij' is where it begins", "***' is where it begins"),
            ("abcde alone does not tell", "abcde alone does not tell"),
            ("short: pw", "short: ***"),
            ("abcdefghij-longer", "***"),
            ("", ""),
        ):
            self.assertEqual(redact(text, ("abcdefghij", "pw", "", "abcdefghij-longer")), shown)


class Listeners(unittest.TestCase):
    def test_netlink_and_procfs_agree(self):
        # A machine may have no address of IPv6, but the wildcard can be bound.
        with socket.create_server(("127.0.0.1", 0)) as four, socket.create_server(("::", 0), family=socket.AF_INET6) as six:
            for look in (listeners.by_netlink, listeners.by_procfs):
                found = look()
                for sock in (four, six):
                    address, port = sock.getsockname()[:2]
                    expected = (os.getuid(), os.fstat(sock.fileno()).st_ino, ipaddress.ip_address(address).packed)
                    self.assertIn(expected, found[port], look.__name__)

    def test_only_who_can_be_met_counts(self):
        def met(host, *addresses):
            sockets = [listeners.Listener(0, 0, ipaddress.ip_address(each).packed) for each in addresses]
            return [str(ipaddress.ip_address(each.address)) for each in listeners.reached(sockets, ipaddress.ip_address(host))]

        everywhere = ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1", "127.0.0.2", "::1", "10.0.0.7")
        self.assertEqual(met("127.0.0.1", *everywhere), ["127.0.0.1", "0.0.0.0", "::", "::ffff:7f00:1"])
        self.assertEqual(met("0.0.0.0", *everywhere), ["0.0.0.0", "::", "10.0.0.7"])


class Coroutines(unittest.TestCase):
    def test_turns_are_taken_in_order_also_after_an_error(self):
        turns, done, first = Turns(), [], Promise()

        async def work(number, before=None):
            async with turns("ann"):
                if before is not None:
                    await before
                done.append(number)
                if number == 1:
                    raise ValueError

        promises = [run(work(0, first)), run(work(1)), run(work(2))]
        self.assertEqual((done, turns.busy("ann")), ([], True))
        first.resolve()
        self.assertEqual((done, turns.busy("ann")), ([0, 1, 2], False))
        self.assertRaises(ValueError, promises[1].result)


class Characters(unittest.TestCase):
    def test_a_cut_is_never_inside_a_character(self):
        text = "aü世🤖" * 3
        data = text.encode()
        for end in range(len(data) + 1):
            piece = data[:end]
            whole = piece[: len(piece) - output._begun(piece)]
            self.assertTrue(text.startswith(whole.decode()))
            self.assertLess(len(piece) - len(whole), 4)


if __name__ == "__main__":
    unittest.main()
