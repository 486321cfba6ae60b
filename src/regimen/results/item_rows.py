"""The layout of items.parquet: one row for each item that an end point was scored on.

Owns the columns. Does not know who writes or reads them. Imports pyarrow: import it where it is used.
"""

from __future__ import annotations

import pyarrow as pa

ITEM_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("item_id", pa.string()),
        ("cluster", pa.string()),
        ("prompt_hash", pa.string()),
        ("target", pa.string()),
        ("prediction", pa.string()),
        ("positive", pa.string()),
        ("score", pa.float64()),
        ("logprobs", pa.list_(pa.float64())),
        ("text", pa.string()),
        ("truncated", pa.bool_()),
        ("failed", pa.bool_()),
        ("detail", pa.string()),
        ("nats", pa.float64()),
        ("bytes", pa.int64()),
        ("tokens", pa.int64()),
        ("values", pa.map_(pa.string(), pa.float64())),
        ("bleu_counts", pa.list_(pa.float64())),
        ("entity_counts", pa.list_(pa.float64())),
        ("shots", pa.int64()),
        ("twin", pa.bool_()),
    ]
)
