"""The page of a run that trains, from `archspec fit --serve`."""

import threading

import pytest
from support.commands import LONG

pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")

from archspec.serve.run_server import RunServer  # noqa: E402
from archspec.training.callbacks import RunFacts  # noqa: E402


@pytest.fixture
def served(tmp_path):
    """A server of a folder with a page and a secret file, its address, and what ends it."""
    (tmp_path / "index.html").write_text("<title>epoch 1</title>", encoding="utf-8")
    (tmp_path / "origin.json").write_text("{}", encoding="utf-8")
    urls: list[str] = []
    server = RunServer(urls.append)
    server.begins(RunFacts("net", epochs=2, images=10, batch=2, folder=tmp_path))
    (url,) = urls
    with httpx.Client(base_url=url.removesuffix("index.html"), timeout=LONG) as client:
        yield client, server
    server.close()


def test_the_page_is_served_as_it_is_now(served, tmp_path):
    client, _ = served
    assert "epoch 1" in client.get("index.html").text
    (tmp_path / "index.html").write_text("<title>epoch 2</title>", encoding="utf-8")
    answer = client.get("index.html")
    assert "epoch 2" in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["origin.json", "../pyproject.toml", "%2e%2e/spec.yaml", ""])
def test_nothing_else_of_the_folder_is_served(served, name):
    client, _ = served
    assert client.get(name).status_code in {403, 404}


def test_a_file_that_is_not_written_yet_is_said_to_be(served):
    client, _ = served
    answer = client.get("best.keras")
    assert (answer.status_code, answer.text) == (404, "the run has not written this file yet\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
    ],
)
def test_pages_of_others_get_nothing(served, headers, status):
    client, _ = served
    assert client.get("index.html", headers=headers).status_code == status


def test_an_address_without_the_secret_gets_nothing(served):
    client, _ = served
    root = client.base_url.copy_with(path="/index.html")
    assert client.get(root).status_code == 403


def test_it_ends_with_the_run_once_an_open_page_has_come_for_the_last_state(served):
    client, server = served
    client.get("index.html")  # a page is open
    ending = threading.Thread(target=server.ends, args=(None,))
    ending.start()
    assert client.get("index.html").status_code == 200
    ending.join(60)
    assert not ending.is_alive()
    client.close()


def test_a_port_that_is_taken_is_no_trouble(served, tmp_path):
    client, _ = served
    urls: list[str] = []
    other = RunServer(urls.append)
    other.begins(RunFacts("net", epochs=2, images=10, batch=2, folder=tmp_path))
    other.close()
    assert httpx.URL(urls[0]).port != client.base_url.port
