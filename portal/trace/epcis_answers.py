"""What every EPCIS answer shares: discovery headers, problems by name, pages of events."""

from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from logistics.epcis.document import DOCUMENT_BYTES_MAX, EVENTS_MAX
from logistics.epcis.errors import EventError, QueryError, TooLargeError
from logistics.epcis.vocabulary import CONTEXT
from portal.trace.shelf import Page

JSON_LD: Final = "application/ld+json"
HEADERS: Final = {
    "GS1-EPCIS-Version": "2.0.0",
    "GS1-EPCIS-Min": "2.0.0",
    "GS1-EPCIS-Max": "2.0.0",
    "GS1-CBV-Version": "2.0.0",
    "GS1-EPC-Format": "Always_GS1_Digital_Link, Always_EPC_URN, No_Preference",
    "GS1-CBV-XML-Format": "Always_Web_URI",
    "GS1-EPCIS-Capture-Limit": str(EVENTS_MAX),
    "GS1-EPCIS-Capture-File-Size-Limit": str(DOCUMENT_BYTES_MAX),
    "GS1-Capture-Error-Behaviour": "rollback",
}


async def bounded_body(request: Request) -> bytes:
    """The body, read only as far as one may be; raises TooLargeError."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > DOCUMENT_BYTES_MAX:
            raise TooLargeError("", f"more than {DOCUMENT_BYTES_MAX:,} bytes")
    return bytes(data)


def problem(error: EventError | QueryError) -> JSONResponse:
    """What is wrong, as RFC 9457 and EPCIS 2.0 (section 12.7) say it: kind, title, field."""
    if isinstance(error, QueryError):
        kind, status, field = "QueryParameterException", 400, error.parameter
    elif isinstance(error, TooLargeError):
        kind, status, field = "CaptureLimitExceededException", 413, error.field
    else:
        kind, status, field = "ValidationException", 400, error.field
    body = {
        "type": f"epcisException:{kind}",
        "title": str(error)[:500],
        "status": status,
        "detail": error.reason[:500],
        "instance": field,
    }
    return JSONResponse(body, status, headers=HEADERS, media_type="application/problem+json")


def query_document(page: Page, name: str = "SimpleEventQuery", subscription: str = "") -> Any:
    """An EPCISQueryDocument of a page's events."""
    named = {"subscriptionID": subscription} if subscription else {}
    return {
        "@context": [CONTEXT],
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": page.events[0]["recordTime"] if page.events else "1970-01-01T00:00:00Z",
        "epcisBody": {
            "queryResults": {
                "queryName": name,
                **named,
                "resultsBody": {"eventList": list(page.events)},
            }
        },
    }


def page_response(request: Request, page: Page) -> Response:
    """A page with the header that leads to the next one."""
    headers = dict(HEADERS)
    if page.next_token:
        address = request.url.include_query_params(nextPageToken=page.next_token)
        headers["Link"] = f'<{address}>; rel="next"'
        headers["GS1-Next-Page-Token-Expires"] = "2099-12-31T23:59:59Z"
    return JSONResponse(query_document(page), headers=headers, media_type=JSON_LD)
