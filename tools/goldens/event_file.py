"""A TensorBoard event file for tests/train/event_file_test.cc, serialised by TensorBoard's own protocol buffers.

It is written from metrics.jsonl beside it; line i happened at 1700000000.25 + i. Made with tensorboard 2.20.0 (not
among requirements/: nothing else needs it). Usage: python tools/goldens/event_file.py
"""

import json
import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/train/golden/event_file"
BEGIN = 1700000000.25


def flat(prefix, fields):
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from flat(f"{prefix}/{name}", value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name not in ("step", "kind"):
            yield f"{prefix}/{name}", value


def main():
    session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    with open(FOLDER / "events.golden", "wb") as file:
        writer = RecordWriter(file)
        events = [
            event_pb2.Event(wall_time=BEGIN, file_version="brain.Event:2"),
            event_pb2.Event(wall_time=BEGIN, step=20, session_log=session),
        ]
        for index, text in enumerate((FOLDER / "metrics.jsonl").read_text().splitlines()):
            line = json.loads(text)
            values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in flat(line["kind"], line)]
            summary = summary_pb2.Summary(value=values)
            events.append(event_pb2.Event(wall_time=BEGIN + index, step=line["step"], summary=summary))
        for event in events:
            writer.write(event.SerializeToString())


if __name__ == "__main__":
    main()
