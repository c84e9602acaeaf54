"""kit.json: what a build is made of, so that its record can say so where there is no repository.

    PYTHONPATH=scripts python3 -m gpu_check.kit KIT --commit C --src TREE --kernels TREE --benches TREE --built FILE

For scripts/gpu-kit, which has laid the programs into KIT by then; writes to standard output. TREE are git trees of the
files as they lie here, committed or not; FILE has a line of name and seconds for each program that was built.
"""
import argparse
import csv
import datetime
import json
import lzma
import re
import subprocess
import sys
import tarfile
from pathlib import Path


TREES = ("src", "kernels", "benches")


def run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def files(root: Path, tree: str) -> dict[str, str]:
    """Each file of a tree, and the id of its content; none of a tree that is not in this clone."""
    try:
        lines = run("git", "-C", root, "ls-tree", "-r", tree).splitlines()
    except subprocess.CalledProcessError:
        return {}
    return {line.split("\t", 1)[1]: line.split()[2] for line in lines}


# The folder of kernels for one architecture.
HOPPER = "hopper"


def parts(kernels: Path, path: str) -> set[str]:
    """A file of kernels and the headers beside it that it includes: what decides what is compiled."""
    found, left = set(), [path]
    while left:
        if (name := left.pop()) not in found and (kernels / name).is_file():
            found.add(name)
            left += re.findall(r'^\s*#\s*include\s*"([^"]+)"', (kernels / name).read_text(), re.MULTILINE)
    return found


def newest_record(root: Path) -> tuple[str | None, dict]:
    records = {file.name: json.loads(file.read_text()) for file in (root / "docs/gpu").glob("*.json")}
    name = max(records, key=lambda name: records[name]["date"], default=None)
    return name, records.get(name, {})


def files_by_family(paths: list[str]) -> dict[str, list[str]]:
    """The files of kernels that programs embed: each a family of its own, those for Hopper one together."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        if path.endswith(".cu") and folder in ("", HOPPER):
            found.setdefault(folder or name.removesuffix(".cu"), []).append(path)
    return found


def families(root: Path, kernels: str, record: dict, tests: list[str]) -> list[dict]:
    """The families of kernels, newest first: when each or a header of its was changed last, whether that is since the record,
    its tests.

    A record that names no trees, or one that is not in this clone, is compared by its date.
    """
    here, committed = files(root, kernels), files(root, "HEAD:kernels")
    measured = files(root, record.get("trees", {}).get("kernels", ""))
    found = []
    for family, paths in files_by_family(list(here)).items():
        own = set().union(*(parts(root / "kernels", path) for path in paths))

        def differs(other: dict[str, str]) -> bool:
            return any(here.get(file) != other.get(file) for file in own)

        names = [f"kernels/{file}" for file in sorted(own)]
        date = now() if differs(committed) else run("git", "-C", root, "log", "-1", "--format=%cI", "--", *names).strip()
        moment = datetime.datetime.fromisoformat(date).astimezone(datetime.timezone.utc)
        if measured:
            changed = differs(measured)
        else:
            changed = not record or moment > datetime.datetime.fromisoformat(record["date"])
        count = sum(test.startswith(f"kernels::{family}::") for test in tests)
        found.append({"family": family, "date": moment.isoformat(), "changed": changed, "tests": count})
    return sorted(found, key=lambda family: family["date"], reverse=True)


def sizes(kit: Path) -> dict[str, int]:
    """Bytes of each program and folder in the kit."""
    return {
        path.name: sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
        for path in sorted(kit.iterdir()) if path.name != "kit.json"
    }


def pack(kit: Path, archive: Path) -> None:
    """The kit as one file to carry. Its programs have the kernels' images and much of their code in common, so the window
    is wider than all of them; a stronger preset takes ten times as long for a tenth less."""
    window = {"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 27}
    with lzma.open(archive, "wb", filters=[window]) as file, tarfile.open(fileobj=file, mode="w|") as tar:
        tar.add(kit, kit.name)


def build_of(doctor: str) -> tuple[str, list[str]]:
    """The toolkit and the architectures that a program says it embeds."""
    try:
        build = json.loads(doctor)["build"]
        nvcc, architectures = build["nvcc"], build["images"]
    except (ValueError, LookupError) as error:
        sys.exit(f"gpu-kit: `cotangent doctor --format json` does not say what is embedded: {error!r}")
    if not nvcc:
        sys.exit("gpu-kit: no nvcc was found, so the kit would hold no kernels: run scripts/install-nvcc, or set NVCC")
    return nvcc, architectures


def described(root: Path, kit: Path, commit: str, trees: dict[str, str], built: dict[str, float]) -> dict:
    # Whether it finds a GPU here does not matter, so neither does its exit status.
    doctor = subprocess.run([kit / "cotangent", "doctor", "--format", "json"], capture_output=True, text=True).stdout
    nvcc, architectures = build_of(doctor)
    tests = re.findall(r"^(\S+): test$", run(kit / "tests", "--list"), re.MULTILINE)
    since, record = newest_record(root)
    tuning = root / "kernels/tuning.csv"
    rows = list(csv.DictReader(tuning.read_text().splitlines())) if tuning.exists() else []
    return {
        "commit": commit, "trees": trees, "date": now(), "rustc": run("rustc", "--version").strip(),
        "nvcc": nvcc, "architectures": architectures,
        "since": since, "families": families(root, trees["kernels"], record, tests),
        "tuning": rows,
        "sizes": sizes(kit), "build_seconds": built,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path, metavar="KIT")
    for option in ("commit", *TREES):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--built", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    built = dict(line.split() for line in arguments.built.read_text().splitlines())
    trees = {name: getattr(arguments, name) for name in TREES}
    seconds = {name: float(value) for name, value in built.items()}
    print(json.dumps(described(Path.cwd(), arguments.kit, arguments.commit, trees, seconds), indent=2))


if __name__ == "__main__":
    main()
