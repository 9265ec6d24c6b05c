"""`show_table`: what a table holds, as the commands print it."""

import json as json_module
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nastk_tables.table import Table


def show_table(path: Path, table: "Table", json: bool) -> None:
    """Prints the content of a table on stdout, as text or as JSON."""
    rows = [_row(table, number) for number in range(len(table.columns))]
    if json:
        content = {
            "path": str(path),
            "space": table.space,
            "architectures": len(table),
            "bytes": path.stat().st_size,
            "sha256": table.digest,
            "sources": list(table.sources),
            "columns": rows,
            "provenance": dict(table.provenance),
        }
        print(json_module.dumps(content, indent=2))
        return
    print(f"{path}: {len(table):,} architectures of {table.space}, {path.stat().st_size:,} bytes")
    print(f"sha256 {table.digest}; made from {', '.join(table.sources)}")
    for text in _provenance(table):
        print(text)
    for row in rows:
        known = f"{row['known']:,} values"
        print(f"  {row['name']:<34}{row['unit'] or '-':<4}{known:<15}{_span(row)}")


def _provenance(table: "Table") -> list[str]:
    """Returns in words how the networks of a table of one's own were trained."""
    found = table.provenance
    if not found:
        return []
    recipe, data, failed = found["evaluator"], found["data"], len(found["failed"])
    return [
        f"{found['architectures']}: {found['networks']:,} different networks, seeds "
        f"{', '.join(map(str, found['seeds']))}, {found['seconds'] / 3600:.2f} hours of training"
        + (f"; {failed} trainings failed" if failed else ""),
        f"on {data['name']} {_pairs(data['options'])}".rstrip(),
        f"by {recipe['name']} {_pairs(recipe['options'])}".rstrip(),
    ]


def _pairs(options: Mapping[str, Any]) -> str:
    """Returns options that are set as text: `epochs=20 batch_size=32`."""
    return " ".join(
        f"{name}={json_module.dumps(value) if not isinstance(value, str) else value}"
        for name, value in options.items()
        if value is not None
    )


def _row(table: "Table", number: int) -> dict[str, Any]:
    """Returns the meaning of column `number`, its number of known values, and the extremes."""
    import numpy as np

    column, values = table.columns[number], table.values[number]
    values = values[~np.isnan(values)]
    return {
        "name": column.name,
        "unit": "",
        **column.to_json(),
        "known": int(values.size),
        "least": float(values.min()) if values.size else None,
        "greatest": float(values.max()) if values.size else None,
    }


def _span(row: dict[str, Any]) -> str:
    """Returns the extremes of a column as text, empty if no value is known."""
    return "" if row["least"] is None else f"{row['least']:.4f} to {row['greatest']:.4f}"
