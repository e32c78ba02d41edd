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

  lora         of a vLLM: false: started without VLLM_ALLOW_RUNTIME_LORA_UPDATING; or the answer to every load, as
               [status, message]                                            (default true)
  behind       of a vLLM: the URL of an `nla serve` that holds the weights and writes the replies. Adapters are then read
               from disk as a vLLM reads them, and it is told to load them
  raw          of a vLLM: its logprobs are not those of the temperature     (default false)

An SGLang's /update_weights_from_disk takes every directory but "/missing", and its version stands in answers from then on.
So do a vLLM's addresses for adapters, whose names are models from then on.
Prints its port, and ends when its standard input does.
"""

import base64
import io
import json
import os
import re
import struct
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = json.loads(sys.argv[1])
WIDTH, SITE = BEHAVIOUR["width"], BEHAVIOUR["site"]
OPEN, LETTERS, CLOSE, END = BEHAVIOUR["ids"]
LOCK = threading.Lock()
FAIL = list(BEHAVIOUR.get("fail", []))
VERSION = ["default"]
SPOIL = list(BEHAVIOUR.get("spoil", []))
ADAPTERS = {}  # a vLLM's: name -> path


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


def post(url, value):
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def written_behind(rows, fields):
    common = ["temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty",
              "skip_special_tokens", "stop_token_ids"]  # fmt: skip
    parameters = {name: fields[name] for name in common} | {"no_stop_trim": True}
    parameters |= {"max_new_tokens": fields["max_tokens"], "min_new_tokens": fields["min_tokens"]}
    if "seed" in fields:
        parameters["sampling_seed"] = fields["seed"]
    body = {"input_embeds": rows, "sampling_params": parameters, "return_logprob": True}
    meta = post(BEHAVIOUR["behind"] + "/generate", body)["meta_info"]
    logprobs, ids, _ = zip(*meta["output_token_logprobs"])
    return list(ids), list(logprobs), meta["finish_reason"]["type"]


def written_here(rows, fields):
    ids = reply_ids(rows)
    reason = "stop" if fields["max_tokens"] >= len(ids) else "length"
    ids = ids[: fields["max_tokens"]]
    return ids, [-0.25] * len(ids), reason


def completion_answer(rows, fields, spoil):
    ids, logprobs, reason = (written_behind if "behind" in BEHAVIOUR else written_here)(rows, fields)
    if BEHAVIOUR.get("raw"):
        logprobs = [2 * one - 1 for one in logprobs]
    if spoil == "length":
        logprobs = logprobs[1:]
    choice = {"index": 0, "text": "not to be read", "finish_reason": reason, "token_ids": ids,
              "logprobs": {"token_logprobs": logprobs}}  # fmt: skip
    model = "stale" if spoil == "stale" else fields["model"]
    return {"model": model, "choices": [choice], "usage": {"completion_tokens": len(ids)}}


def check_adapters(path):
    """As vLLM's PEFTHelper and LoRAModel do."""
    with open(os.path.join(path, "adapter_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    assert config["r"] > 0 and config["lora_alpha"] > 0
    assert not config.get("modules_to_save") and not config.get("use_dora") and config.get("bias", "none") == "none"
    with open(os.path.join(path, "adapter_model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    tensors = {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    assert tensors
    for name, shape in tensors.items():
        module, side = re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])\.weight", name).groups()
        assert module.split(".")[-1] in config["target_modules"], name
        assert shape[0 if side == "A" else 1] == config["r"], name


def load_adapter(fields):
    """The status, and the message, in vLLM's words."""
    name, path = fields["lora_name"], fields["lora_path"]
    if isinstance(BEHAVIOUR.get("lora"), list):
        return tuple(BEHAVIOUR["lora"])
    if name in ADAPTERS:
        return 400, f"The lora adapter '{name}' has already been loaded."
    if path == "/missing":
        return 404, f"Loading lora {name} failed: No adapter found for {path}"
    if "behind" in BEHAVIOUR:
        check_adapters(path)
        answer = post(BEHAVIOUR["behind"] + "/update_weights_from_disk", {"model_path": path, "weight_version": name})
        assert answer["success"], answer
    ADAPTERS[name] = path
    return 200, f"Success: LoRA adapter '{name}' added successfully."


def unload_adapter(fields):
    name = fields["lora_name"]
    if ADAPTERS.pop(name, None) is None:
        return 404, f"The lora adapter '{name}' cannot be found."
    return 200, f"Success: LoRA adapter '{name}' removed successfully."


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
            models = [{"id": "the-model", "owned_by": BEHAVIOUR["kind"], "root": "/base"}]
            models += [{"id": name, "owned_by": "vllm", "root": path} for name, path in ADAPTERS.items()]
            self.answer(200, {"object": "list", "data": models})
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
        lora = {"/v1/load_lora_adapter": load_adapter, "/v1/unload_lora_adapter": unload_adapter}
        if vllm and self.path in lora and BEHAVIOUR.get("lora", True):
            status, message = lora[self.path](json.loads(body))
            error = {"error": {"message": message, "type": "x", "param": None, "code": status}}
            self.answer(status, message.encode() if status == 200 else error)
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
        if vllm and fields["model"] not in ["the-model", *ADAPTERS]:
            self.answer(404, {"error": {"message": f"The model `{fields['model']}` does not exist."}})
            return
        rows = read_rows(fields)
        if vllm:
            value = completion_answer(rows, fields, spoil)
        else:
            value = generate_answer(reply_ids(rows), fields["sampling_params"]["max_new_tokens"], spoil)
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
