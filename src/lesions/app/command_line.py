"""The command `lesions`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lesions.app.models import find_model, list_models

# Names in `lesions.datasets.layouts.recognise`, which predicting need not import.
LAYOUTS = ("auto", "folders", "ham10000", "isic_archive", "isic_challenge", "pad_ufes_20", "table")
OK, FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 if a photograph failed, 2 for wrong usage."""
    options = _make_parser().parse_args(arguments)
    # Nothing here needs BLAS, and when NumPy and OpenCV are imported, the threads of their OpenBLAS
    # keep all cores busy for longer than a prediction takes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for number, stream in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, stream) is None:  # closed: nothing else may get its number
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
            if getattr(sys, stream).fileno() != number:
                os.dup2(getattr(sys, stream).fileno(), number)
    # In CSV and JSON, bytes of a file name that are not UTF-8 are written as they are.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    sys.stderr.reconfigure(errors="backslashreplace")
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except ValueError as error:
        print(f"lesions: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # of `lesions … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"lesions: {where}{error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def run_program() -> NoReturn:
    """Run the command and end the process.

    It does not unload what was imported, which would take a tenth of the time of one prediction.
    """
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _make_parser():
    parser = argparse.ArgumentParser(
        prog="lesions",
        description="Name skin lesions in dermatoscopic photographs. Research software, not a "
        "medical device.",
        epilog="for example: lesions predict photo.jpg",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="predict photographs")
    predict.add_argument(
        "photographs", nargs="+", metavar="PHOTO", help="file, folder, pattern, or - for stdin"
    )
    _add_model(predict)
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="write a table")
    form.add_argument("--json", action="store_true", help="write one JSON object per line")
    predict.add_argument("--top", type=_positive, default=3, metavar="N", help="classes shown (3)")
    predict.set_defaults(run=_predict)

    explain = commands.add_parser("explain", help="draw where a model looks in photographs")
    explain.add_argument("photographs", nargs="+", metavar="PHOTO", help="file, folder or pattern")
    _add_model(explain)
    explain.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    explain.add_argument(
        "--class", dest="code", metavar="CODE", help="class to explain (the predicted one)"
    )
    explain.set_defaults(run=_explain)

    evaluate = commands.add_parser("evaluate", help="score a model on labelled photographs")
    evaluate.add_argument("folder", type=Path, metavar="FOLDER", help="photographs and metadata")
    _add_model(evaluate)
    evaluate.add_argument(
        "--out", type=Path, default="lesions-evaluation", help="folder to write (%(default)s)"
    )
    evaluate.add_argument(
        "--layout", choices=LAYOUTS, default="auto", help="of the folder (auto: recognise it)"
    )
    evaluate.add_argument(
        "--map",
        action="append",
        default=[],
        type=_pair,
        metavar="DIAGNOSIS=CODE",
        help="a diagnosis of the metadata, and its class; may be repeated",
    )
    evaluate.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="DIAGNOSIS",
        help="leave this diagnosis out; may be repeated",
    )
    evaluate.set_defaults(run=_evaluate)

    serve = commands.add_parser("serve", help="show a page, and answer requests of programs")
    serve.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="may be repeated; default: all that 'lesions models' lists",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address (%(default)s: this computer)")
    serve.add_argument("--port", type=_port, default=8000, help="(%(default)s; 0: a free one)")
    serve.set_defaults(run=_serve)

    models = commands.add_parser("models", help="list the models")
    models.set_defaults(run=_list)

    info = commands.add_parser("info", help="describe a model")
    _add_model(info)
    info.set_defaults(run=_describe)
    return parser


def _add_model(parser):
    parser.add_argument("--model", metavar="NAME|PATH", help="default: the one of this package")


def _positive(text):
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _port(text):
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _pair(text):
    diagnosis, equals, code = text.rpartition("=")
    if not (equals and diagnosis and code):
        raise argparse.ArgumentTypeError(f"{text!r} is not DIAGNOSIS=CODE, such as naevus=nv")
    return diagnosis, code


def _predict(options):
    from lesions.app.predict import predict  # each command imports what it needs

    form = "csv" if options.csv else "json" if options.json else "text"
    return predict(options.photographs, find_model(options.model), form=form, top=options.top)


def _explain(options):
    from lesions.app.explain import explain

    return explain(options.photographs, find_model(options.model), options.out, code=options.code)


def _evaluate(options):
    try:
        import pandas  # noqa: F401
    except ImportError:
        raise ValueError(
            "'lesions evaluate' needs pandas, scikit-learn and others; run pip install "
            "'.[train]' in a clone of the repository"
        ) from None
    from lesions.app.evaluate import evaluate

    source = {
        "layout": options.layout,
        "map": dict(options.map),
        "exclude": options.exclude,
    }
    return evaluate(options.folder, find_model(options.model), options.out, **source)


def _serve(options):
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise ValueError(
            "'lesions serve' needs FastAPI and others; run pip install '.[serve]' in a clone of "
            "the repository"
        ) from None
    from lesions.app.web.server import serve

    return serve(options.model, host=options.host, port=options.port)


def _list(options):
    for name, path in list_models().items():
        print(f"{name}  {path}")
    return OK


def _describe(options):
    from lesions.app.describe import describe

    print(describe(find_model(options.model)))
    return OK
