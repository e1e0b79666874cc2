"""Six made-up rows in HAM10000's form, to be altered, that several tests share."""

import pandas as pd

from lesions.taxonomy import COLUMNS

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


def replaced(old, new, *places):
    return [row.replace(old, new) if n in places else row for n, row in enumerate(ROWS)]
