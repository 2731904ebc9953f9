"""The JSON schemas of all answers, by name; the description of the API has them.

An object has exactly the fields that its schema has. A test compares them with real answers.
"""

from __future__ import annotations

from typing import Any

from lightning_lite.runs.catalog import RUN_STATES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "number", "description": "Seconds since 1970."}
NULL: Schema = {"type": "null"}

#: A number of a user: JSON has none that is not finite.
ANY_NUMBER: Schema = {"anyOf": [NUMBER, {"enum": ["nan", "inf", "-inf"]}]}


def record(**fields: Schema) -> Schema:
    """Return the schema of an object that has exactly these fields."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def row(*cells: Schema) -> Schema:
    """Return the schema of an array of fixed length."""
    return {"type": "array", "prefixItems": list(cells), "minItems": len(cells), "maxItems": len(cells)}


def by_name(values: Schema) -> Schema:
    """Return the schema of an object that has any names."""
    return {"type": "object", "additionalProperties": values}


def nullable(schema: Schema) -> Schema:
    """Return the schema of a value that may be `null`."""
    return {"anyOf": [schema, NULL]}


def ref(name: str) -> Schema:
    """Return a reference to the schema with a name."""
    return {"$ref": f"#/components/schemas/{name}"}


_SAMPLE = row(TIME, nullable(NUMBER), nullable(WHOLE))

_STYLE: Schema = {
    "type": "object",
    "properties": {
        "fg": {"type": "string", "description": "Name of a colour, or #rrggbb."},
        "bg": TEXT,
        "bold": FLAG,
        "dim": FLAG,
        "italic": FLAG,
        "underline": FLAG,
        "inverse": FLAG,
        "strike": FLAG,
    },
    "additionalProperties": False,
}

#: All schemas by name.
SCHEMAS: dict[str, Schema] = {
    "Error": record(
        error={
            "type": "string",
            "description": "One sentence: the problem, the value that was found, what to do.",
        }
    ),
    "Server": record(
        version=TEXT,
        python=TEXT,
        root=TEXT,
        drives=TEXT,
        run=nullable({"type": "string", "description": "The run that the server was started for."}),
        read_only=FLAG,
        can_resume=FLAG,
        user=TEXT,
        host=TEXT,
        pid=WHOLE,
        now=TIME,
        period={"type": "number", "description": "Seconds between two questions that are advised."},
    ),
    "RunSummary": record(
        id=TEXT,
        name=nullable(TEXT),
        tags=array(TEXT),
        app=TEXT,
        state={"enum": list(RUN_STATES)},
        started=nullable(TIME),
        resumed=nullable(TIME),
        ended=nullable(TIME),
        error=nullable(TEXT),
        trouble={"type": "string", "description": "The parts that could not be read, or an empty text."},
        pid=nullable(WHOLE),
        host=nullable(TEXT),
        user=nullable(TEXT),
        works=by_name(WHOLE),
        command=array(TEXT),
        cwd=nullable(TEXT),
        python=nullable(TEXT),
        folder=TEXT,
        can_resume=FLAG,
    ),
    "Runs": record(
        runs=array(ref("RunSummary")),
        total=WHOLE,
        matching=WHOLE,
        more=FLAG,
        states=by_name(WHOLE),
        apps=array(TEXT),
        tags=array(TEXT),
        trouble=TEXT,
    ),
    "Activity": by_name(
        {
            "anyOf": [
                {
                    **record(
                        attempts=WHOLE, failed=WHOLE, to=TIME, bins=array(WHOLE), failed_bins=array(WHOLE)
                    ),
                    "additionalProperties": TIME,
                },
                record(pending={"const": True}),
                record(trouble=TEXT),
            ]
        }
    ),
    "Layout": record(running=FLAG, root=nullable(ref("LayoutTab"))),
    "LayoutTab": record(
        name=TEXT,
        component={"type": "string", "description": 'Full name of the flow or work that it shows, or "".'},
        kind={"enum": ["tabs", "page"]},
        tabs=array(ref("LayoutTab")),
        url={
            "type": "string",
            "description": "Address of the page, or an empty text as long as there is none.",
        },
        note={"type": "string", "description": "Why there is none."},
        frontend={"type": "boolean", "description": "Whether a frontend of the app serves the page."},
        left_out={"type": "integer", "description": "Number of further tabs."},
    ),
    "Run": record(
        run=ref("RunSummary"),
        now=TIME,
        generation=WHOLE,
        revision=WHOLE,
        answering={"type": "boolean", "description": "Whether the app has answered."},
        busy=nullable({"type": "number", "description": "Seconds for which its flow has been busy."}),
        trouble=TEXT,
        read=record(bytes=WHOLE, of=WHOLE),
        last_event=nullable(TIME),
        has_layout={"type": "boolean", "description": "Whether its flows show something."},
        components=array(record(name=TEXT, kind={"enum": ["flow", "work"]}, **{"class": nullable(TEXT)})),
        works=array(
            record(
                name=TEXT,
                state=TEXT,
                since=nullable(TIME),
                call=nullable(WHOLE),
                attempt=nullable(WHOLE),
                calls=WHOLE,
                succeeded=WHOLE,
                failed=WHOLE,
                progress=nullable(NUMBER),
                pid=nullable(WHOLE),
                host=nullable(TEXT),
                cpu=nullable(NUMBER),
                memory=nullable(WHOLE),
                message=TEXT,
                last_line=TEXT,
                detached=FLAG,
                **{"class": nullable(TEXT)},
            )
        ),
        errors=record(
            total=WHOLE,
            items=array(
                record(
                    work=TEXT,
                    call=nullable(WHOLE),
                    attempt=WHOLE,
                    time=TIME,
                    reason=nullable(TEXT),
                    message=TEXT,
                )
            ),
        ),
    ),
    "Usage": record(interval=NUMBER, works=by_name(array(_SAMPLE)), app=array(_SAMPLE)),
    "Timeline": record(
        to=TIME,
        now=TIME,
        begun=array(TIME),
        running=FLAG,
        rows=array(
            record(
                work=TEXT,
                calls=WHOLE,
                spans=array(
                    {
                        **row(TIME, nullable(TIME), TEXT, WHOLE, WHOLE),
                        "description": "began, ended, outcome, call, attempt",
                    }
                ),
                waits=array({**row(TIME, nullable(TIME)), "description": "asked, began"}),
                bins=array(
                    {
                        **row(TIME, TIME, WHOLE, WHOLE, NUMBER),
                        "description": "from, to, count, failed, busy (0 to 1)",
                    }
                ),
                process=array({**row(TIME, TEXT), "description": "time, stage"}),
            )
        ),
        passes=array(row(TIME, WHOLE)),
        **{"from": TIME},
    ),
    "CallSummary": record(
        work=TEXT,
        number=WHOLE,
        key=TEXT,
        stage=TEXT,
        asked=TIME,
        began=nullable(TIME),
        ended=nullable(TIME),
        attempts=WHOLE,
        arguments=TEXT,
        message=TEXT,
    ),
    "Calls": record(
        calls=array(ref("CallSummary")),
        total=nullable(WHOLE),
        more=FLAG,
        next=nullable(TEXT),
        looked=WHOLE,
    ),
    "Call": record(
        work=TEXT,
        number=WHOLE,
        key=TEXT,
        stage=TEXT,
        asked=TIME,
        began=nullable(TIME),
        ended=nullable(TIME),
        arguments=TEXT,
        is_known=FLAG,
        message=TEXT,
        value=nullable(ref("Value")),
        statuses=array(record(stage=TEXT, time=TIME, reason=nullable(TEXT), message=TEXT, attempt=WHOLE)),
        attempts=array(
            record(
                number=WHOLE,
                began=TIME,
                ended=nullable(TIME),
                outcome=TEXT,
                reason=nullable(TEXT),
                message=TEXT,
            )
        ),
        error=nullable(
            record(
                type=nullable(TEXT),
                reason=nullable(TEXT),
                message=TEXT,
                traceback=TEXT,
                frames=array(record(file=TEXT, line=WHOLE, function=TEXT, source=TEXT, user=FLAG)),
            )
        ),
        links=array(
            record(
                kind={"enum": ["drive", "path", "payload"]},
                name=TEXT,
                origin=nullable(TEXT),
                where={"enum": ["arguments", "value"]},
            )
        ),
        files=array(
            record(drive=TEXT, path=TEXT, component=TEXT, size=WHOLE, time=TIME, kind=nullable(TEXT))
        ),
        files_are_all=FLAG,
        log={**record(to=nullable(TIME)), "additionalProperties": nullable(TIME)},
    ),
    "Graph": record(
        nodes=array(record(id=TEXT, kind=TEXT, name=TEXT, state=nullable(TEXT), calls=nullable(WHOLE))),
        edges=array(record(to=TEXT, kind=TEXT, count=WHOLE, label=TEXT, **{"from": TEXT})),
        truncated=FLAG,
        read=WHOLE,
        of=WHOLE,
    ),
    "State": record(
        generation=WHOLE,
        revision=WHOLE,
        components=array(
            record(
                name=TEXT,
                kind={"enum": ["flow", "work"]},
                attributes=array(
                    record(
                        name=TEXT,
                        type=TEXT,
                        text=TEXT,
                        size=nullable(WHOLE),
                        number=nullable(ANY_NUMBER),
                        changed=nullable(TIME),
                        changes=WHOLE,
                        is_long=FLAG,
                    )
                ),
                attributes_left_out=WHOLE,
                **{"class": TEXT},
            )
        ),
    ),
    "Value": record(text=TEXT, type=TEXT, size=nullable(WHOLE), truncated=FLAG),
    "Numbers": record(
        attributes=array(TEXT),
        points=by_name(array(row(ANY_NUMBER, ANY_NUMBER))),
    ),
    "Comparison": record(
        runs=array(ref("RunSummary")),
        read=record(bytes=WHOLE, of=WHOLE),
        rows=array(record(attribute=TEXT, kind=TEXT, values=array(nullable(TEXT)), differs=FLAG)),
        truncated=FLAG,
    ),
    "LogLine": record(
        work=TEXT,
        time=nullable(TIME),
        text=TEXT,
        colours=nullable(array(row(WHOLE, WHOLE, _STYLE))),
        place=WHOLE,
    ),
    "Logs": record(
        lines=array(ref("LogLine")),
        first={"type": "string", "description": "A cursor."},
        last={"type": "string", "description": "A cursor."},
        has_earlier=FLAG,
        has_later=FLAG,
        works=array(record(name=TEXT, size=WHOLE, trouble=TEXT)),
    ),
    "LogHits": record(
        hits=array(record(work=TEXT, time=nullable(TIME), text=TEXT, place=WHOLE, cursor=TEXT)),
        looked=record(bytes=WHOLE, of=WHOLE),
        next=nullable(TEXT),
        done=FLAG,
    ),
    "Drives": record(
        place=nullable(TEXT),
        drives=array(
            record(
                id=TEXT,
                name=TEXT,
                entries=nullable(WHOLE),
                size=nullable(WHOLE),
                components=array(TEXT),
                changed=nullable(TIME),
                trouble=nullable(TEXT),
            )
        ),
        trouble=nullable(TEXT),
    ),
    "Folder": record(
        path=TEXT,
        entries=array(
            record(
                name=TEXT,
                path=TEXT,
                component=nullable(TEXT),
                kind={"enum": ["file", "folder"]},
                size=nullable(WHOLE),
                time=nullable(TIME),
                preview=nullable(TEXT),
            )
        ),
        total=nullable(WHOLE),
        more=FLAG,
        next=nullable(TEXT),
    ),
    "Preview": record(
        size=WHOLE,
        kind=nullable({"enum": ["text", "table", "image", "svg", "html"]}),
        text=nullable(TEXT),
        columns=nullable(array(TEXT)),
        rows=nullable(array(array(TEXT))),
        media_type=nullable(TEXT),
        truncated=FLAG,
        note=nullable(TEXT),
        url=nullable(TEXT),
    ),
    "Done": record(
        text=nullable({"type": "string", "description": "The stack, for the command stack."}),
        done={"type": "string", "description": "The outcome."},
    ),
    "Resumed": record(done=TEXT, pid=WHOLE),
    "Ticket": record(url=TEXT),
    "Description": {"type": "object", "description": "This document."},
    "Metrics": {"type": "string"},
}
