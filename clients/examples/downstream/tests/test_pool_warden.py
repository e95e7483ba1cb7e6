"""The warden warns in time, whether it is called or run."""

import subprocess
import sys

import pool_warden


def test_a_pool_is_reported_once_it_is_nine_tenths_full(smokestack):
    gold = smokestack.pools["gold"]
    gold.fill(0.9)
    assert pool_warden.warnings(smokestack.address) == []

    smokestack.advance_until_full(gold, 0.95)  # the database goes on writing

    [line] = pool_warden.warnings(smokestack.address)
    assert line.startswith("arrays/a1/pools/gold is 95")


def test_the_command_says_so_by_its_exit_code(smokestack):
    command = [sys.executable, pool_warden.__file__, smokestack.address]
    assert subprocess.run(command, check=False).returncode == 0
    smokestack.pools["gold"].fill(1.0)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "arrays/a1/pools/gold is 100.0% full\n")
