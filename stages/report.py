"""Stage `report`: put the whole study on one page that opens without a network."""

from lesions.stage import model_files, read_params, read_paths

from lesions.panels import COHORT
from lesions.report import fingerprint, read_each, render

STUDY = ("differences", "split", "balance", "audit", "learning_curves", "comparison_table")
PICTURES = ("contact_sheet", "near_duplicates")
MODELS = {"details": ".json", "mistakes": ".png"}
MODELS |= dict.fromkeys(("roc", "precision_recall", "reliability", "referral"), ".csv")
TRACED = ("labels", "groups", "partitions")


def main():
    flags = (*MODELS, "cohort", *STUDY, *PICTURES, *TRACED, "predictions", "template", "report")
    paths = read_paths(__doc__, *flags)
    params = read_params()
    inputs = read_each({name: getattr(paths, name) for name in (*STUDY, *PICTURES)})
    inputs["cohort"] = read_each({name: paths.cohort / f"{name}.csv" for name in COHORT})
    for name, suffix in MODELS.items():
        inputs[name] = read_each(model_files(getattr(paths, name), params.models, suffix=suffix))
    inputs["external"] = {
        name: read_each(model_files(paths.details, params.models, suffix=f"_on_{name}.json"))
        for name in params.data.external
    }
    traced = [getattr(paths, name) for name in TRACED]
    traced += model_files(paths.predictions, params.models, suffix=".csv").values()
    page = render(
        paths.template.read_text(encoding="utf-8"),
        inputs,
        settings=params.model_dump(),
        fingerprints={file.as_posix(): fingerprint(file) for file in traced},
    )
    paths.report.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
