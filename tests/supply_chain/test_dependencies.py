"""What the project is built from: licences, origins and checksums of all crates, and which of them nobody keeps any more.

    python3 -m unittest discover -s tests/supply_chain

This reads `cargo metadata` and `Cargo.lock` and needs nothing else. `cargo deny` checks the same, and advisories beside. It is
not used, because building it takes as many crates again as the project itself, minutes of each check from a clean checkout,
and because its advisories are a repository that is fetched at each run: what a commit's check says would change with the
day. So a crate that is found to be abandoned, or to have a hole, is changed by hand, or stands in `UNMAINTAINED` with the reason.
"""
import json
import re
import subprocess
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Licences that a program may be handed on under without conditions other than to name its authors. A crate is taken under
# one of those that it offers.
LICENCES = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
}

# Crates that are not looked after any more, by advisories of RustSec, and why they are here all the same. A new one is refused.
UNMAINTAINED = {
    "paste": "pulp, which dispatches to AVX2 and AVX-512, is written with it (RUSTSEC-2024-0436: archived, not faulty); it "
    "runs while pulp is compiled and is in no program",
}

# Others that are known to be left behind or replaced, so that none of them comes in unnoticed.
LEFT_BEHIND = {
    "adler", "ansi_term", "atty", "backoff", "bincode", "derivative", "dotenv", "fxhash", "instant", "json", "lazy_static",
    "mach", "net2", "number_prefix", "proc-macro-error", "proc-macro-error2", "rust-crypto", "rustls-pemfile", "safemem",
    "serde_cbor", "serde_yaml", "stdweb", "structopt", "term", "tempdir", "time-macros-impl", "twoway", "unic-common",
    "yaml-rust",
}

# Names of which two versions are built, each with who holds the older one. More of them are time and space for nothing.
TWICE = {
    "getrandom": "half's random numbers",
    "hashbrown": "safetensors",
    "miniz_oxide": "png",
    "r-efi": "the older getrandom, on UEFI alone",
    "rand": "half's random numbers",
    "rand_chacha": "half's random numbers",
    "rand_core": "half's random numbers",
    "syn": "macros of math-core and, by way of gemm, of sysctl",
    "thiserror": "sysctl, by way of gemm",
    "thiserror-impl": "sysctl, by way of gemm",
    "windows-sys": "owo-colors, of shuttle, on Windows alone",
}


def metadata():
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def is_allowed(expression):
    """Whether a licence expression (SPDX 2.3, annex D) leaves a choice that `LICENCES` allows."""
    tokens = re.findall(r"[()]|[\w.+-]+", expression.replace("/", " OR "))

    def any_of():
        allowed = all_of()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            allowed = all_of() or allowed
        return allowed

    def all_of():
        allowed = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            allowed = one() and allowed
        return allowed

    def one():
        token = tokens.pop(0)
        if token == "(":
            allowed = any_of()
            tokens.pop(0)
            return allowed
        if tokens and tokens[0] == "WITH":
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in LICENCES

    return any_of()


class Dependencies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = [package for package in metadata()["packages"] if package["source"]]
        with open(ROOT / "Cargo.lock", "rb") as lock:
            cls.locked = [package for package in tomllib.load(lock)["package"] if package["name"] != "cotangent"]

    def test_every_licence_is_one_that_a_program_may_be_handed_on_under(self):
        self.assertGreater(len(self.packages), 100)
        refused = [(p["name"], p["license"]) for p in self.packages if not is_allowed(p["license"] or "none")]
        self.assertEqual(refused, [])

    def test_every_crate_comes_from_the_one_registry_with_a_checksum(self):
        sources = {package.get("source") for package in self.locked}
        self.assertEqual(len(sources), 1, sources)
        self.assertTrue(sources.pop().startswith("registry+"), "a folder or a repository is no source")
        without = [package["name"] for package in self.locked if not re.fullmatch(r"[0-9a-f]{64}", package.get("checksum", ""))]
        self.assertEqual(without, [])

    def test_no_crate_comes_in_that_nobody_keeps(self):
        names = {package["name"] for package in self.locked}
        self.assertEqual(sorted(names & LEFT_BEHIND), [], "take something else, or say in UNMAINTAINED why not")
        self.assertEqual(sorted(set(UNMAINTAINED) - names), [], "is gone: take it off the list")

    def test_two_versions_of_a_crate_are_built_only_where_it_is_known(self):
        versions = {}
        for package in self.locked:
            versions.setdefault(package["name"], []).append(package["version"])
        twice = {name for name, found in versions.items() if len(found) > 1}
        self.assertEqual(sorted(twice), sorted(TWICE))


class Expressions(unittest.TestCase):
    def test_a_choice_is_allowed_if_one_of_it_is_and_a_sum_if_all_are(self):
        for expression, allowed in [
            ("MIT", True),
            ("GPL-3.0", False),
            ("GPL-3.0 OR MIT", True),
            ("MIT/Apache-2.0", True),
            ("MIT AND GPL-3.0", False),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", True),
            ("(MIT OR Apache-2.0) AND GPL-3.0", False),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", True),
            ("Apache-2.0 WITH Other-exception", False),
            ("none", False),
        ]:
            self.assertEqual(is_allowed(expression), allowed, expression)


if __name__ == "__main__":
    unittest.main()
