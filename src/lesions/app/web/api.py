"""The API of `lesions serve`, and its page."""

import asyncio
import base64
import logging
from collections.abc import Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException

import lesions.examples
from lesions.app.explain import explain_photographs
from lesions.app.formats import DISCLAIMER
from lesions.app.predict import predict_photographs
from lesions.app.web import answers
from lesions.app.web.models import Served, describe
from lesions.app.web.queue import Queue
from lesions.app.web.uploads import FIELD, MAX_BYTES, MAX_FILES, read_files
from lesions.explain.maps import colour
from lesions.imaging.uploads import is_photograph
from lesions.inference.self_test import check

PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
LOG = logging.getLogger("lesions")
FAILURES = {
    400: "The body is not valid multipart/form-data",
    403: "The request comes from the page of another server",
    404: "There is no such model",
    408: "The request took too long",
    413: f"The request has more than {MAX_BYTES:,} bytes",
    415: "No file is of a format that can be read",
    422: "No file can be read",
    429: "Too many requests wait",
    503: "The server is not ready, or has no answer in time",
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                            "description": "JPEG, PNG, TIFF, WebP or BMP",
                        }
                    },
                }
            }
        },
    }
}


def make_app(served: Mapping[str, Served], queue: Queue | None = None) -> FastAPI:
    """Return the web application.

    Parameters
    ----------
    served
        Name to model, not empty; the first is used where a request names none.
    """
    queue = queue or Queue()
    # Why nothing is predicted yet; filled anew when the self-test is over.
    faults = ["the self-test is under way"]

    async def test_itself():
        faults[:] = await queue.run_untimed(lambda: _find_faults(served))

    @asynccontextmanager
    async def lifespan(_):
        testing = asyncio.create_task(test_itself())
        yield
        await testing
        queue.close()

    app = FastAPI(
        title="lesions",
        description=f"Names skin lesions in dermatoscopic photographs. {DISCLAIMER}",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(_AddHeaders)
    app.add_exception_handler(StarletteHTTPException, _say_what_is_wrong)
    app.add_exception_handler(RequestValidationError, _say_what_is_invalid)
    app.add_exception_handler(Exception, _say_that_it_is_our_fault)

    def refuse_unless_ready():
        if faults:
            raise HTTPException(503, f"The server is not ready: {'; '.join(faults)}")

    @app.get("/healthz", summary="Whether the server runs")
    async def say_healthy() -> answers.Status:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="Whether the models answer a self-test photograph as they should",
        responses=_failures(503),
    )
    async def say_ready() -> answers.Status:
        refuse_unless_ready()
        return {"status": "ok"}

    @app.get("/models", summary="The models, and how good they are")
    async def list_models() -> answers.Models:
        return {
            "disclaimer": DISCLAIMER,
            "models": [describe(name, one) for name, one in served.items()],
            "examples": list(lesions.examples.list_examples()),
            "limits": {"files": MAX_FILES, "bytes": MAX_BYTES},
        }

    @app.post(
        "/predict",
        summary="Predict one or several photographs",
        responses=_failures(*FAILURES),
        openapi_extra=BODY,
        response_model_exclude_unset=True,
    )
    async def predict(
        request: Request,
        model: Annotated[
            str | None, Query(description="one of /models; default: the first")
        ] = None,
        explain: Annotated[bool, Query(description="add where the model looks")] = False,
    ) -> answers.Predictions:
        refuse_unless_ready()
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise HTTPException(403, "The request comes from the page of another server")
        name = next(iter(served)) if model is None else model
        if name not in served:
            raise HTTPException(404, f"There is no model {name}; choose from {', '.join(served)}")
        chosen = served[name].model
        if explain and "class_map" not in chosen.outputs:
            raise HTTPException(422, f"The model {name} has no class maps; leave explain out")
        async with queue:
            sources = await read_files(request)
            rows = await queue.run(partial(_answer, chosen, sources, explain))
        if any("error" not in row for row in rows):
            return {"disclaimer": DISCLAIMER, "model": name, "predictions": rows}
        known = any(is_photograph(source.encoded) for source in sources)
        failure = {"error": rows[0]["error"], "predictions": rows}
        return JSONResponse(failure, 422 if known else 415)

    @app.get("/", include_in_schema=False)
    async def show_page():
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/examples", StaticFiles(directory=lesions.examples.FOLDER))
    return app


class _AddHeaders:
    """Add `HEADERS` to every response but that of a fault of the server, which Starlette makes."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _find_faults(served):
    """Return what is wrong with models, after each has predicted the self-test photograph."""
    faults = []
    for name, one in served.items():
        if one.measured.self_test is None:
            LOG.warning("No answer to the self-test is stored for the model %s", name)
        try:
            check(one.model, one.measured.self_test)
        except Exception as error:  # whatever it is: else /readyz would say "under way" for ever
            LOG.exception("The model %s fails the self-test", name)
            faults.append(str(error))
    return faults


def _answer(model, sources, explain, given_up):
    rows = []
    for source in sources:  # one by one, to stop in between: some files take seconds to decode
        if given_up.is_set():
            break
        if not explain:
            [[row]] = predict_photographs(model, [source])
        else:
            [(row, image, heat)] = explain_photographs(model, [source])
            if heat is not None:
                pictures = {"photograph": _encode(".jpg", image)}
                pictures["evidence"] = _encode(".png", colour(heat))
                row["explanation"] = pictures
        rows.append(row)
    return rows


def _encode(suffix, image):
    return base64.b64encode(cv2.imencode(suffix, image[:, :, ::-1])[1]).decode()


def _failures(*statuses):
    return {
        status: {"model": answers.Failure, "description": FAILURES[status]} for status in statuses
    }


async def _say_what_is_wrong(_, error):
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _say_what_is_invalid(_, error):
    faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return JSONResponse({"error": "; ".join(faults)}, 422)


async def _say_that_it_is_our_fault(_, error):
    return JSONResponse({"error": "The server failed; its log has the reason"}, 500)
