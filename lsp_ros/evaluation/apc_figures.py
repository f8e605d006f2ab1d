"""The figures of an APC training."""

import csv
from pathlib import Path


def apc_figures(run: Path) -> dict[str, float]:
    """The best validation loss of an APC training and the loss of predicting the last frame again, from its tables."""
    best: dict[str, float] | None = None
    for table in sorted((run / 'csv').rglob('metrics.csv')):
        with table.open() as file:
            for row in csv.DictReader(file):
                if not row.get('val_loss'):
                    continue
                found = {'val_loss': float(row['val_loss']), 'predict_last_frame': float(row['val_repeat_last'])}
                if best is None or found['val_loss'] < best['val_loss']:
                    best = found
    if best is None:
        raise ValueError(f'{run}: its tables hold no validation loss')
    return best
