"""An SGLang or a vLLM in small for tests: as much of their HTTP as a client of input embeddings sees.

  fake_server.py BEHAVIOUR

Answers each prompt with "<explanation>X</explanation>" and the end of turn, X one of four letters by the largest of the
entries 10 … 13 of the marker's row. BEHAVIOUR is JSON:

  kind         "sglang", "vllm" or "other"
  width, site  D, and the index of the marker's row
  ids          [open tag, [four letters], closing tag, end of turn]
  info         the answer of GET /server_info; absent: 404                  (SGLang: also under the older name, if "old")
  key          a key without which answers are 401                          (default none)
  fail         [status, …] answers before the first good one                (default none)
  retry_after  the Retry-After of such answers                              (default none)
  spoil        ["abort" | "retract" | "length" | "stale" | "cut" | "garbage", …] what is wrong with the first answers
  log          a file that gets the body of each request for a reply, one a line, with what was made of it

An SGLang's /update_weights_from_disk takes every directory but "/missing", and its version stands in answers from then on.
Prints its port, and ends when its standard input does.
"""

import base64
import io
import json
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = json.loads(sys.argv[1])
WIDTH, SITE = BEHAVIOUR["width"], BEHAVIOUR["site"]
OPEN, LETTERS, CLOSE, END = BEHAVIOUR["ids"]
LOCK = threading.Lock()
FAIL = list(BEHAVIOUR.get("fail", []))
VERSION = ["default"]
SPOIL = list(BEHAVIOUR.get("spoil", []))


def take(items):
    with LOCK:
        return items.pop(0) if items else None


def rows_of_json(embeds):
    # As SGLang tells a prompt from a batch.
    assert isinstance(embeds[0][0], float), "a batch, or a number without a point"
    return embeds


def rows_of_bytes(text, shape, size):
    raw = base64.b64decode(text, validate=True)
    assert len(raw) == shape[0] * shape[1] * size
    if size == 4:
        values = struct.unpack(f"<{shape[0] * shape[1]}f", raw)
    else:
        bits = struct.unpack(f"<{shape[0] * shape[1]}H", raw)
        values = [struct.unpack("<f", struct.pack("<I", word << 16))[0] for word in bits]
    return [values[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]


def rows_of_tensor(text):
    import torch  # as vLLM reads it

    tensor = torch.load(io.BytesIO(base64.b64decode(text, validate=True)), weights_only=True, map_location="cpu")
    assert tensor.dim() == 2 and tensor.dtype == torch.float32
    return tensor.tolist()


def read_rows(body):
    if BEHAVIOUR["kind"] == "vllm":
        return rows_of_tensor(body["prompt_embeds"])
    assert not {"text", "input_ids"} & body.keys()
    if "input_embeds" in body:
        return rows_of_json(body["input_embeds"])
    if "input_embeds_bytes" in body:
        return rows_of_bytes(body["input_embeds_bytes"], body["input_embeds_shape"], 4)
    return rows_of_bytes(body["input_embeds_b64_bf16"], body["input_embeds_shape"], 2)


def reply_ids(rows):
    assert all(len(row) == WIDTH for row in rows)
    entries = rows[SITE][10:14]
    return [OPEN, LETTERS[entries.index(max(entries))], CLOSE, END]


def generate_answer(ids, limit, spoil):
    stopped = limit >= len(ids)
    ids = ids[:limit]
    finish = {"type": "stop", "matched": END} if stopped else {"type": "length", "length": limit}
    if spoil == "abort":
        finish = {"type": "abort", "message": "out of room", "status_code": 503}
    tuples = [[-0.25, one, None] for one in ids]
    if spoil == "length":
        tuples = tuples[1:]
    meta = {"id": "x", "finish_reason": finish, "prompt_tokens": 1, "completion_tokens": len(ids),
            "output_token_logprobs": tuples, "num_retractions": 1 if spoil == "retract" else 0,
            "weight_version": "stale" if spoil == "stale" else VERSION[0]}  # fmt: skip
    return {"text": "not to be read", "output_ids": [], "meta_info": meta}


def completion_answer(ids, limit, spoil):
    stopped = limit >= len(ids)
    ids = ids[:limit]
    logprobs = [-0.25] * (len(ids) - (spoil == "length"))
    choice = {"index": 0, "text": "not to be read", "finish_reason": "stop" if stopped else "length", "token_ids": ids,
              "logprobs": {"token_logprobs": logprobs}}  # fmt: skip
    return {"choices": [choice], "usage": {"completion_tokens": len(ids)}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, value, headers=None, cut=False):
        text = json.dumps(value).encode() if not isinstance(value, bytes) else value
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, header in (headers or {}).items():
            self.send_header(name, header)
        self.end_headers()
        self.wfile.write(text[: len(text) // 2] if cut else text)
        if cut:
            self.close_connection = True

    def locked(self):
        key = BEHAVIOUR.get("key")
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return False
        self.answer(401, {"error": {"message": "wrong key"}})
        return True

    def do_GET(self):
        if self.locked():
            return
        old = BEHAVIOUR.get("old", False)
        if "info" in BEHAVIOUR and self.path == ("/get_server_info" if old else "/server_info"):
            self.answer(200, BEHAVIOUR["info"])
        elif self.path == "/v1/models" and BEHAVIOUR["kind"] != "other":
            self.answer(200, {"object": "list", "data": [{"id": "the-model", "owned_by": BEHAVIOUR["kind"]}]})
        else:
            self.answer(404, {"detail": "Not Found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.locked():
            return
        vllm = BEHAVIOUR["kind"] == "vllm"
        if self.path == "/update_weights_from_disk" and not vllm:
            fields = json.loads(body)
            good = fields["model_path"] != "/missing"
            if good:
                VERSION[0] = fields["weight_version"]
            self.answer(200, {"success": good, "message": "", "num_paused_requests": 0})
            return
        if self.path != ("/v1/completions" if vllm else "/generate"):
            self.answer(404, {"detail": "Not Found"})
            return
        if (status := take(FAIL)) is not None:
            headers = {"Retry-After": BEHAVIOUR["retry_after"]} if "retry_after" in BEHAVIOUR else {}
            self.answer(status, {"error": {"message": "not now"}}, headers)
            return
        spoil = take(SPOIL)
        fields = json.loads(body)
        if "log" in BEHAVIOUR:
            kept = {name: value for name, value in fields.items() if "embeds" not in name or name.endswith("shape")}
            kept["embeds"] = [name for name in fields if "embeds" in name and not name.endswith("shape")]
            with LOCK, open(BEHAVIOUR["log"], "a", encoding="utf-8") as log:
                log.write(json.dumps(kept) + "\n")
        ids = reply_ids(read_rows(fields))
        if vllm:
            value = completion_answer(ids, fields["max_tokens"], spoil)
        else:
            value = generate_answer(ids, fields["sampling_params"]["max_new_tokens"], spoil)
        self.answer(200, b'{"text": "x"}' if spoil == "garbage" else value, cut=spoil == "cut")


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # Of a client that was killed, nothing is said.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
