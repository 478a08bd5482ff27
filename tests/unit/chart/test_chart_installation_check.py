"""The script that `helm test` runs, against an API server and an operator of a few lines."""

import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "charts" / "discord-gateway-operator" / "files" / "check_installation.py"


class Operator(ThreadingHTTPServer):
    """Answers every GET alike."""

    answer = (200, "ready")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/readyz"


class Answers(BaseHTTPRequestHandler):
    server: Operator

    def do_GET(self):
        status, text = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def operator() -> Iterator[Operator]:
    with Operator(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def check(url: str, kinds: set[str]) -> None:
    script = runpy.run_path(str(SCRIPT))
    script["main"].__globals__["served_kinds"] = lambda: kinds
    script["main"](url)


def test_it_is_content_with_a_definition_and_a_ready_operator(operator, capsys):
    check(operator.url, {"DiscordGateway"})

    assert capsys.readouterr().out.count("ok: ") == 2


def test_it_says_that_the_definition_is_missing(operator):
    with pytest.raises(SystemExit, match=r"without DiscordGateway: install the chart with crds\.enabled=true"):
        check(operator.url, set())


def test_it_says_why_the_operator_is_not_ready(operator):
    operator.answer = (503, "the API server does not answer\n")

    with pytest.raises(SystemExit, match=r"not ready: .* answered 503: the API server does not answer$"):
        check(operator.url, {"DiscordGateway"})


def test_it_says_that_nobody_answers():
    with pytest.raises(SystemExit, match=r"does not answer at http://127\.0\.0\.1:1/readyz"):
        check("http://127.0.0.1:1/readyz", {"DiscordGateway"})
