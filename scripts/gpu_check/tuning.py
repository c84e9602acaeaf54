"""kernels/tuning.csv, made of the records: which kernel variant a card takes for which product.

A card's rows are those that its newest measured build embedded, changed by what that visit measured. The fastest median
at a shape is its variant; but the choice that the build made stays if the fastest is ahead by no more than the larger
of their two spreads, since a table that changes with the noise of every visit would change the bits of results for nothing.
It gets a row all the same: a shape without one takes after its neighbours, whose rows may change.
"""
import csv
import io
from collections.abc import Iterable

COLUMNS = ["card", "precision", "transposes", "m", "n", "k", "variant", "splits"]

Shape = tuple[str, str, int, int, int]  # precision, transposes, m, n, k
Choice = tuple[str, int]  # variant, splits


def table(records: Iterable[dict]) -> str:
    """The file: its header, and the rows of each card's newest record that measured any."""
    newest: dict[str, dict] = {}
    for record in sorted(records, key=lambda record: record.get("date", "")):
        if record.get("stages", {}).get("tune", {}).get("figures"):
            newest[record["card"]] = record
    return written((card, rows(newest[card])) for card in sorted(newest))


def written(cards: Iterable[tuple[str, dict[Shape, Choice]]]) -> str:
    """The file with these rows of these cards."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for card, choices in cards:
        for shape, choice in sorted(choices.items()):
            writer.writerow([card, *shape, *choice])
    return text.getvalue()


def embedded(record: dict) -> dict[Shape, Choice]:
    """The rows for its card that the measured build had, as kit.json names them."""
    found = {}
    for row in record.get("kit", {}).get("tuning", []):
        if row["card"] == record["card"]:
            shape = (row["precision"], row["transposes"], *(int(row[key]) for key in "mnk"))
            found[shape] = (row["variant"], int(row["splits"]))
    return found


def shape_of(line: dict) -> Shape:
    return (line["tune"], line["transposes"], line["m"], line["n"], line["k"])


def rows(record: dict) -> dict[Shape, Choice]:
    found = embedded(record)
    checked = checks(record)
    shapes: dict[Shape, list[dict]] = {}
    for line in record["stages"]["tune"]["figures"]:
        shapes.setdefault(shape_of(line), []).append(line)
    for shape, lines in shapes.items():
        # Today's choice may stay unproven, if the checks were cut off; nothing takes its place unproven.
        lines = [
            line for line in in_one_cache(lines)
            if checked.get(line["variant"], line.get("chosen_now", False))
        ]
        if lines:
            line = best(lines)
            found[shape] = (line["variant"], line["splits"])
    return found


def checks(record: dict) -> dict[str, bool]:
    """Whether each variant that was checked on this card was right, in every kernel that has one of that name."""
    found: dict[str, bool] = {}
    for check in record["stages"].get("variants", {}).get("checks", []):
        found[check["variant"]] = found.get(check["variant"], True) and check.get("status") == "ok"
    return found


def in_one_cache(lines: list[dict]) -> list[dict]:
    """Times with operands in the cache, as a training step meets them, where there are any."""
    return [line for line in lines if line.get("cache") == "warm"] or lines


def best(lines: list[dict]) -> dict:
    fastest = min(lines, key=lambda line: line["seconds"])
    today = next((line for line in lines if line.get("chosen_now")), None)
    if today is None:
        return fastest
    spread = max(line.get("spread") or 0 for line in (today, fastest))
    return today if today["seconds"] <= fastest["seconds"] * (1 + spread) else fastest
