"""A model hub in small for tests: the API and small files on one port, large files on another, as a CDN is.

  hub_server.py ROOT LOG BEHAVIOUR

ROOT/OWNER/NAME/… are the files of repositories; .safetensors and .bin are large files (sha256), the rest small (git sha1).
LOG gets one JSON line a request: {"port": "api"|"cdn", "path", "range", "authorization", "status"}. BEHAVIOUR is JSON:

  commit          the commit of every repository                      (40 hex digits)
  revisions       names that lead to it                               (default ["main"])
  page_size       files in a page of the list                         (default 1000)
  token           a token without which answers are 401               (default none)
  restricted      answer 403 GatedRepo for files                      (default false)
  no_ranges       ignore Range                                        (default false)
  fail            {file: [status, …]} answers before the first good one
  retry_after     the Retry-After of such answers                     (default "0")
  cut             {file: [bytes, …]} bodies cut after so many bytes, one an answer
  corrupt         {file: n} answers whose first byte is wrong         (-1: all)
  extra_paths     further paths in the list

Prints both ports on one line, and ends when its standard input does.
"""

import hashlib
import json
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

ROOT = pathlib.Path(sys.argv[1])
LOG = open(sys.argv[2], "a", buffering=1, encoding="utf-8")
BEHAVIOUR = json.loads(sys.argv[3])
COMMIT = BEHAVIOUR["commit"]
LARGE = (".safetensors", ".bin")
LOCK = threading.Lock()
PORTS = {}


def entry(folder, path):
    data = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if not name.endswith(LARGE):
        return {"type": "file", "oid": sha1, "size": len(data), "path": name}
    lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return {"type": "file", "oid": hashlib.sha1(lfs["oid"].encode()).hexdigest(), "size": len(data), "path": name, "lfs": lfs}


def entries(folder):
    found = [entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
    found += [{"type": "file", "oid": "0" * 40, "size": 1, "path": path} for path in BEHAVIOUR.get("extra_paths", [])]
    return [{"type": "directory", "oid": "1" * 40, "size": 0, "path": "sub"}, *found]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=None, cut=None, length=None):
        line = {
            "port": "api" if self.server.server_port == PORTS["api"] else "cdn",
            "path": self.path,
            "range": self.headers.get("Range"),
            "authorization": self.headers.get("Authorization"),
            "status": status,
        }
        with LOCK:
            LOG.write(json.dumps(line) + "\n")
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def document(self, value, headers=None):
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status, code):
        self.answer(status, b'{"error": "no"}', {"X-Error-Code": code, "X-Error-Message": "no"})

    def do_GET(self):
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.split("/") if part]
        if self.server.server_port == PORTS["cdn"]:
            return self.content(ROOT.joinpath(*parts), "/".join(parts[2:]))
        token = BEHAVIOUR.get("token")
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            return self.refuse(401, "RepoNotFound")
        if parts[:2] == ["api", "models"]:
            return self.api(parts[2:], url.query)
        return self.resolve(parts)

    def api(self, parts, query):
        folder = ROOT / parts[0] / parts[1]
        if not folder.is_dir():
            return self.refuse(404, "RepoNotFound")
        if parts[2] == "revision":
            if parts[3] not in [COMMIT, *BEHAVIOUR.get("revisions", ["main"])]:
                return self.refuse(404, "RevisionNotFound")
            files = [{"rfilename": file["path"]} for file in entries(folder) if file["type"] == "file"]
            return self.document({"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": files})
        assert parts[2] == "tree" and parts[3] == COMMIT and "recursive=true" in query, self.path
        size = BEHAVIOUR.get("page_size", 1000)
        begin = int(query.split("cursor=")[1]) if "cursor=" in query else 0
        found = entries(folder)
        headers = {}
        if begin + size < len(found):
            here = f"http://127.0.0.1:{PORTS['api']}{self.path.split('?')[0]}"
            headers["Link"] = f'<{here}?recursive=true&cursor={begin + size}>; rel="next"'
        return self.document(found[begin : begin + size], headers)

    def do_HEAD(self):
        """What huggingface_hub asks before it fetches a file, or instead."""
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/") if part]
        if parts[2] != "resolve" or parts[3] not in [COMMIT, *BEHAVIOUR.get("revisions", ["main"])]:
            return self.answer(404)
        folder = ROOT / parts[0] / parts[1]
        path = folder.joinpath(*parts[4:])
        if not path.is_file():
            return self.answer(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        found = entry(folder, path)
        headers = {"X-Repo-Commit": COMMIT}
        if "lfs" not in found:
            headers["ETag"] = f'"{found["oid"]}"'
            return self.answer(200, headers=headers, length=found["size"])
        headers["X-Linked-ETag"] = f'"{found["lfs"]["oid"]}"'
        headers["X-Linked-Size"] = str(found["size"])
        headers["Location"] = f"http://127.0.0.1:{PORTS['cdn']}/{'/'.join(parts[:2] + parts[4:])}"
        return self.answer(302, headers=headers)

    def resolve(self, parts):
        assert parts[2] == "resolve" and parts[3] == COMMIT, self.path
        if BEHAVIOUR.get("restricted"):
            return self.refuse(403, "GatedRepo")
        name = "/".join(parts[4:])
        path = ROOT / parts[0] / parts[1] / name
        if not name.endswith(LARGE):
            return self.content(path, name)
        target = f"http://127.0.0.1:{PORTS['cdn']}/{parts[0]}/{parts[1]}/{name}"
        return self.answer(302, b"", {"Location": target, "X-Repo-Commit": COMMIT})

    def content(self, path, name):
        with LOCK:
            failures = BEHAVIOUR.get("fail", {}).get(name, [])
            status = failures.pop(0) if failures else None
            cuts = BEHAVIOUR.get("cut", {}).get(name, [])
            cut = cuts.pop(0) if cuts and not status else None
            corrupt = BEHAVIOUR.get("corrupt", {}).get(name, 0)
            if corrupt > 0:
                BEHAVIOUR["corrupt"][name] -= 1
        if status:
            return self.answer(status, b"later", {"Retry-After": BEHAVIOUR.get("retry_after", "0")})
        data = path.read_bytes()
        if corrupt:
            data = bytes([data[0] ^ 1]) + data[1:]
        wanted = self.headers.get("Range")
        if not wanted or BEHAVIOUR.get("no_ranges"):
            return self.answer(200, data, {}, cut)
        begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if begin >= len(data):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        return self.answer(206, data[begin:], {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}, cut)


def main():
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    PORTS["api"], PORTS["cdn"] = (server.server_port for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(PORTS["api"], PORTS["cdn"], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
