"""Asks a running server as Python programs do, with httpx.

  check_server.py PORT D_MODEL

Prints "all checks passed", or fails.
"""

import base64
import json
import struct
import sys

import httpx

PORT, WIDTH = int(sys.argv[1]), int(sys.argv[2])
CLIENT = httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60)
GREEDY = {"temperature": 0.0, "max_new_tokens": 6, "ignore_eos": True}


def post(path, body):
    answer = CLIENT.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(path, body):
    with CLIENT.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines), lines
    assert lines[-1] == "data: [DONE]", lines[-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def rows(count):
    return [[float((i * 31 + j * 17) % 97) / 50 - 1 for j in range(WIDTH)] for i in range(count)]


def check_generate():
    embeds = rows(5)
    plain = post("/generate", {"input_embeds": embeds, "sampling_params": GREEDY, "return_logprob": True})
    raw = b"".join(struct.pack(f"<{WIDTH}f", *row) for row in embeds)
    binary = {"input_embeds_bytes": base64.b64encode(raw).decode(), "input_embeds_shape": [5, WIDTH]}
    assert post("/generate", {**binary, "sampling_params": GREEDY})["output_ids"] == plain["output_ids"]
    logprobs = plain["meta_info"]["output_token_logprobs"]
    assert [entry[1] for entry in logprobs] == plain["output_ids"]
    assert len(logprobs) == plain["meta_info"]["completion_tokens"]
    batch = post("/generate", {"input_embeds": [embeds, rows(3)], "sampling_params": GREEDY})
    assert [one["meta_info"]["prompt_tokens"] for one in batch] == [5, 3]
    assert batch[0]["output_ids"] == plain["output_ids"]
    streamed = events("/generate", {"input_embeds": embeds, "sampling_params": GREEDY})
    assert streamed[-1]["output_ids"] == plain["output_ids"]
    assert streamed[-1]["text"] == plain["text"]
    assert CLIENT.put("/generate", json={"text": "a", "sampling_params": GREEDY}).status_code == 200
    # A body in chunks of an unknown length.
    body = json.dumps({"text": "a", "sampling_params": GREEDY}).encode()
    answer = CLIENT.post("/generate", content=iter([body[:10], body[10:]]))
    assert answer.status_code == 200, answer.text


def check_errors():
    answer = CLIENT.post("/generate", json={"text": "a", "input_embeds": [[1.0]]})
    assert answer.status_code == 400 and "message" in answer.json()["error"]
    answer = CLIENT.post("/generate", content=b"{")
    assert answer.status_code == 400 and answer.json()["object"] == "error"
    assert CLIENT.get("/generate").status_code == 405


def check_nla():
    vectors = rows(4)
    first = post("/v1/nla/verbalize", {"activations": vectors})
    raw = b"".join(struct.pack(f"<{WIDTH}f", *row) for row in vectors)
    octets = CLIENT.post(
        "/v1/nla/verbalize", params={"d": WIDTH}, content=raw, headers={"Content-Type": "application/octet-stream"}
    )
    assert octets.json()["rows"] == first["rows"]
    explained = post("/v1/nla/explain", {"text": "the ship", "positions": "all"})
    assert all("cosine" in token for token in explained["tokens"])
    assert explained["provenance"]["layer"] >= 0


def check_openai():
    chat = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 5}
    whole = post("/v1/chat/completions", chat)["choices"][0]["message"]["content"]
    parts = events("/v1/chat/completions", chat)
    assert "".join(part["choices"][0]["delta"]["content"] for part in parts) == whole
    names = [model["id"] for model in CLIENT.get("/v1/models").json()["data"]]
    for name in names:
        assert post("/v1/completions", {"model": name, "prompt": "a", "max_tokens": 2})["model"] == name


def check_document():
    document = CLIENT.get("/openapi.json").json()
    assert "/generate" in document["paths"]
    metrics = CLIENT.get("/metrics").text
    assert "nla_http_requests_total" in metrics


for check in (check_generate, check_errors, check_nla, check_openai, check_document):
    check()
print("all checks passed")
