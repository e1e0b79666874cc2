"""Six made-up rows of metadata, which several tests alter."""

import pandas as pd

from lesions.datasets.ham10000 import COLUMNS

HEADER = ",".join(COLUMNS)
ROWS = [
    "HAM_1,ISIC_1,bkl,histo,80.0,male,scalp",
    "HAM_1,ISIC_2,bkl,histo,80,male,scalp",
    "HAM_2,ISIC_3,nv,follow_up,,female,back",
    "HAM_3,ISIC_4,mel,histo,0,unknown,unknown",
    "HAM_4,ISIC_5,akiec,consensus,45,female,face",
    "HAM_5,ISIC_6,vasc,confocal,120,male,foot",
]


def table(*rows):
    return pd.DataFrame([row.split(",") for row in rows], columns=list(COLUMNS), dtype=str)


def replaced(old, new, *rows):
    return [row.replace(old, new) if n in rows else row for n, row in enumerate(ROWS)]
