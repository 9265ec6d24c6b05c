"""`nastk export --push` against a small server with the calls of Hugging Face's own."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nastk import ConfigurationError, NastkError
from nastk_export import hub

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")


class Service(BaseHTTPRequestHandler):
    """Answers as the real service does: makes repositories, takes files in a commit."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.path == "/api/repos/create":
            self.server.repository = json.loads(body)
            status = self.server.refuse or 200
            self.answer({"url": f"{self.server.address}/ada/flowers", "error": "no"}, status)
        elif self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            self.answer(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for f in files
                    ]
                }
            )
        elif self.path.endswith("/commit/main"):
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            address = f"{self.server.address}/ada/flowers/commit/1"
            self.answer({"commitUrl": address, "commitOid": "1" * 40})
        else:
            self.answer({})

    def do_GET(self):
        self.answer({"sha": "0" * 40, "id": "ada/flowers", "siblings": []})

    def answer(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def service(monkeypatch, tmp_path):
    import huggingface_hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.asked, server.files, server.refuse, server.repository = [], {}, None, None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    whole = huggingface_hub.HfApi
    monkeypatch.setattr(
        huggingface_hub, "HfApi", lambda: whole(endpoint=server.address, token="hf_made_up")
    )
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("---\nlicense: mit\n---\n# A card\n")
    (tmp_path / "out" / "model.onnx").write_bytes(bytes(range(256)))
    return tmp_path / "out"


def test_a_folder_becomes_a_repository(service, folder):
    address = hub.push(folder, "ada/flowers", private=True)
    assert address == f"{service.address}/ada/flowers"
    assert service.files == {
        "README.md": (folder / "README.md").read_bytes(),
        "model.onnx": bytes(range(256)),
    }
    assert service.repository["name"] == "flowers"
    asked = service.repository
    assert asked.get("private") is True or asked["visibility"] == "private"
    assert {token for _, token in service.asked} == {"Bearer hf_made_up"}


def test_a_refused_upload_says_so_and_keeps_the_folder(service, folder):
    service.refuse = 403
    with pytest.raises(NastkError, match=r"upload to ada/flowers failed: .* `hf auth login`"):
        hub.push(folder, "ada/flowers")
    assert (folder / "model.onnx").is_file()


@pytest.mark.parametrize("name", ["flowers", "ada/", "a b/c", "/x", "a/b/c"])
def test_a_name_of_another_form_is_refused_at_once(name):
    with pytest.raises(ConfigurationError, match="--push takes USER/NAME"):
        hub.check(name)
