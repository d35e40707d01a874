"""The API: what it answers, what it refuses and in which words, and that nothing makes it fail."""

import io
import json
import shutil
import struct
import zipfile
import zlib

import httpx
import numpy as np
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from PIL import Image

from umeta import load_classifier
from umeta.cli.main import main
from umeta.core.errors import ArtifactError
from umeta.web.guard import MAX_BODY
from umeta.web.lesson import MAX_SESSIONS
from umeta.web.server import MAX_IMAGES, make_app

A, B, C = 40, 90, 140


def teach(session, make, numbers=(A, B), shots=1):
    for number in numbers:
        answer = session("POST", "/examples", images=[make.glyph(number, face) for face in range(shots)], names=[str(number)])
        assert answer.status_code == 200, answer.text
    return answer.json()


def test_teach_two_classes_and_ask(session, make):
    state = teach(session, make, (A, B), shots=3)
    assert state["classes"] == [str(A), str(B)] and len(state["examples"]) == 6 and state["revision"] == 2
    answer = session("POST", "/predict", images=[make.glyph(A, 4), make.glyph(B, 4)]).json()
    assert [one["label"] for one in answer["predictions"]] == [str(A), str(B)]
    for one in answer["predictions"]:
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert one["probability"] == max(one["probabilities"].values())
        assert 0 <= one["chance"] <= 1 and one["none"] == (one["chance"] > 0.1)


def test_an_example_comes_back_as_the_procedure_sees_it_and_can_be_sent_again(session, make):
    state = teach(session, make)
    shown = session("GET", f"/examples/{state['examples'][0]['id']}")
    assert shown.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.content))), np.asarray(Image.open(io.BytesIO(make.glyph(A)))))
    again = session("POST", "/examples", images=[shown.content], names=["again"]).json()
    assert session("GET", f"/examples/{again['examples'][-1]['id']}").content == shown.content


def test_several_images_each_of_its_own_class(session, make):
    state = session("POST", "/examples", images=[make.glyph(A), make.glyph(B), make.glyph(A, 1)], names=["a", "b", "a"]).json()
    assert [example["class"] for example in state["examples"]] == ["a", "b", "a"]
    refused = session("POST", "/examples", images=[make.glyph(A), make.glyph(B), make.glyph(C)], names=["a", "b"])
    assert (refused.status_code, refused.json()["detail"]) == (422, "3 images came with 2 names; give one name, or one for each image")


def test_undo_goes_back_step_by_step(session, make):
    assert session("POST", "/undo").status_code == 409
    before = teach(session, make)
    assert session("DELETE", f"/classes?name={A}").json()["classes"] == [str(B)]
    after = session("POST", "/undo").json()
    assert after | {"revision": 0} == before | {"revision": 0} and after["revision"] == before["revision"] + 2
    session("POST", "/undo")
    assert session("POST", "/undo").json()["examples"] == []


def test_no_class_one_class_and_a_deleted_class(session, make):
    answer = session("POST", "/predict", images=[make.glyph(A)])
    assert (answer.status_code, answer.json()["detail"]) == (409, "no class has an example yet; give examples of at least two classes")
    teach(session, make, (A,))
    session("POST", "/classes", json={"name": "without examples"})
    for answer in (session("POST", "/predict", images=[make.glyph(A)]), session("GET", "/export")):
        assert (answer.status_code, answer.json()["detail"]) == (409, "only one class has examples; give examples of at least two classes")
    state = teach(session, make, (B, C))
    assert session("POST", "/predict", images=[make.glyph(A)]).json()["predictions"][0]["label"] == str(A)
    session("DELETE", f"/classes?name={A}")
    named = session("POST", "/predict", images=[make.glyph(A)]).json()["predictions"][0]
    assert set(named["probabilities"]) == {str(B), str(C)}
    gone = session("DELETE", f"/classes?name={A}")
    assert (gone.status_code, gone.json()["detail"]) == (404, "there is no such class; it may have been removed in another tab")
    assert session("GET", f"/examples/{state['examples'][0]['id']}").status_code == 404


def test_start_with_a_set_and_suggest_what_it_lacks(session, make):
    state = session("POST", "/start", json={"name": "Digits"}).json()
    assert state["classes"] == list("0123456789") == [example["class"] for example in state["examples"]]
    known = [session("GET", f"/examples/{example['id']}").content for example in state["examples"][:3]]
    order = session("POST", "/suggest?n=3", images=[*known, b"no image", make.glyph(200)]).json()["order"]
    assert order[0] == 4 and 3 not in order and len(order) == 3


def test_the_exported_classifier_answers_the_same(session, make, tmp_path):
    teach(session, make, (A, B, C), shots=2)
    answer = session("GET", "/export")
    assert answer.headers["content-type"] == "application/zip"
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    asked = make.glyph(B, 7)
    (tmp_path / "asked.png").write_bytes(asked)
    probabilities = load_classifier(tmp_path / "classifier").predict_proba([tmp_path / "asked.png"])[0]
    told = session("POST", "/predict", images=[asked]).json()["predictions"][0]["probabilities"]
    np.testing.assert_allclose(probabilities, [told[str(number)] for number in sorted((A, B, C), key=str)], atol=1e-5)


def bomb(width, height):
    """A PNG whose header promises more pixels than it has."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


SECRET = b"evil-marker"
NOT_IMAGES = {
    "text": SECRET,
    "empty": b"",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://evil-marker/"/></svg>',
    "html": b"<!doctype html><script>evil-marker</script>",
    "html with the mark of a PNG": b"\x89PNG\r\n\x1a\n<script>evil-marker</script>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nevil-marker",
    "broken": bomb(20, 20)[:40],
    "a strange chunk": b"\x89PNG\r\n\x1a\n\x00\x00\x00\x04evil-marker",
}


@pytest.mark.parametrize("name", NOT_IMAGES)
@pytest.mark.parametrize("place", ["/examples", "/predict", "/suggest"])
def test_what_is_no_image_is_refused_and_never_echoed(session, make, name, place):
    teach(session, make)
    before = session("GET").json()
    answer = session("POST", place, images=[NOT_IMAGES[name]], names=["x"] if place == "/examples" else None)
    assert answer.status_code == 415, answer.text
    assert answer.json()["detail"].startswith("this is not an image that can be read") and "evil" not in answer.text
    assert session("GET").json() == before


def test_a_bad_image_among_good_ones(session, make):
    teach(session, make)
    answer = session("POST", "/predict", images=[make.glyph(A), b"x", bomb(9000, 9000), make.glyph(B)]).json()["predictions"]
    assert [one.get("label") for one in answer] == [str(A), None, None, str(B)]
    assert answer[1].keys() == {"error"} and answer[2]["error"] == "too large: 9000x9000 is over 50 megapixels"
    refused = session("POST", "/examples", images=[make.glyph(A), b"x"], names=["new"])
    assert refused.status_code == 415 and refused.json()["detail"].endswith("(number 2 of 2); nothing was added")
    assert session("GET").json()["classes"] == [str(A), str(B)]


def test_bombs_and_too_much_at_once(session, make):
    teach(session, make)
    answer = session("POST", "/predict", images=[bomb(30000, 30000)])
    assert answer.status_code == 413 and "over 50 megapixels" in answer.json()["detail"]
    large = io.BytesIO()
    Image.new("1", (7000, 7000)).save(large, "PNG")
    answer = session("POST", "/predict", images=[large.getvalue()] * 6)
    assert (answer.status_code, answer.json()["detail"]) == (413, "the images together have over 200 megapixels; send fewer at a time")
    answer = session("POST", "/predict", images=[make.glyph(A)] * (MAX_IMAGES + 1))
    assert (answer.status_code, answer.json()["detail"]) == (422, "65 images came; send up to 64 at a time")


@pytest.mark.parametrize("announced", [True, False])
def test_a_request_that_is_too_large(client, announced):
    content = bytes(MAX_BODY + 1) if announced else (bytes(1 << 20) for _ in range(33))
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/sessions/none/predict", content=content, headers=headers)
    assert answer.status_code == 413, answer.text
    assert answer.json()["detail"].startswith("a request may hold up to 32 MB")


def test_names_and_numbers_have_limits(session, make):
    for name in ("", " ", "a\nb", "x" * 61, "\x00", "none of these", " None of these"):
        assert session("POST", "/classes", json={"name": name}).status_code == 422
        assert session("POST", "/examples", images=[make.glyph(A)], names=[name]).status_code == 422
    assert session("POST", "/classes", json={"name": "ヒューマン <b>"}).json()["classes"] == ["ヒューマン <b>"]
    for index in range(49):
        session("POST", "/classes", json={"name": str(index)})
    answer = session("POST", "/classes", json={"name": "one more"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "a session holds up to 50 classes; remove one first")
    for _ in range(7):
        session("POST", "/examples", images=[make.glyph(A)] * 64, names=["0"])
    answer = session("POST", "/examples", images=[make.glyph(A)] * 64, names=["0"])
    assert answer.status_code == 422 and "up to 500 examples; there are 448, and 64 more came" in answer.json()["detail"]


def test_a_failure_of_form_says_where_and_echoes_nothing(session):
    answer = session("POST", "/classes", json={"name": {"evil": "evil-marker"}})
    assert answer.status_code == 422 and answer.json()["detail"] == "name: Input should be a valid string"
    assert session("POST", "/suggest?n=evil-marker", images=[b"x"]).json()["detail"].startswith("n: ")


def test_sessions_are_apart_and_the_oldest_makes_room(run):
    client = TestClient(make_app(run), base_url="http://127.0.0.1:8000")
    keys = [client.post("/api/sessions").json()["id"] for _ in range(MAX_SESSIONS + 1)]
    client.post(f"/api/sessions/{keys[1]}/classes", json={"name": "a"})
    assert client.get(f"/api/sessions/{keys[2]}").json()["classes"] == []
    gone = client.get(f"/api/sessions/{keys[0]}")
    assert (gone.status_code, gone.json()["detail"]) == (404, "there is no such session; the server may have been restarted")
    assert client.delete(f"/api/sessions/{keys[1]}").status_code == 204
    assert client.get(f"/api/sessions/{keys[1]}").status_code == 404


@pytest.mark.parametrize("path", ["/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/..%2f..%2fserver.py", "/api/../../x", "/api/x/y"])
def test_no_path_leads_out_of_the_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and "import" not in answer.text


def test_the_page_and_its_headers(client):
    for path, kind in (("/", "text/html"), ("/page.js", "javascript"), ("/page.css", "text/css")):
        answer = client.get(path)
        assert answer.status_code == 200 and kind in answer.headers["content-type"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_run_that_was_altered_is_not_served_and_one_altered_later_is_not_read_again(run, make, tmp_path):
    shutil.copytree(run, tmp_path / "proto")
    client = TestClient(make_app(tmp_path / "proto"), base_url="http://127.0.0.1:8000")
    weights = tmp_path / "proto" / "procedure" / "tensors.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    path = f"/api/sessions/{client.post('/api/sessions').json()['id']}"
    for name in "ab":
        client.post(f"{path}/examples", files=[("images", make.glyph(ord(name)))], data={"names": name})
    assert client.post(f"{path}/predict", files=[("images", make.glyph(97))]).status_code == 200
    with pytest.raises(ArtifactError, match="was altered"):
        make_app(tmp_path / "proto")


def test_the_verb_refuses_what_others_could_reach(run, capsys):
    assert main(["serve", str(run), "--host", "0.0.0.0"]) == 2
    assert "can be reached by others; give --token" in capsys.readouterr().err
    assert main(["serve", str(run), "--token", "short"]) == 2
    assert main(["serve", str(run / "none")]) == 2


def test_the_document_describes_every_request(bare):
    document = bare.get("/api/openapi.json").json()
    assert len(document["paths"]) == 11
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"] and operation["description"]
    assert "HTTPValidationError" not in json.dumps(document["paths"])


def test_schemathesis_finds_no_failure(bare, make):
    """Random requests by the OpenAPI document; the session is a real one in half of them."""
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", bare.app)
    key = bare.post("/api/sessions").json()["id"]
    for name in "ab":
        bare.post(f"/api/sessions/{key}/examples", files=[("images", make.glyph(ord(name)))], data={"names": name})
    seen = []

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def check(case):
            if case.path_parameters and "session" in case.path_parameters and len(seen) % 2:
                case.path_parameters["session"] = key
            seen.append(case.call().status_code)
            assert seen[-1] < 500, case.as_curl_command()

        given(case=operation.as_strategy())(check)()
    assert len(seen) > 50 and {200, 201, 404, 422} <= set(seen)


def test_over_a_socket_too(run, make):
    with make.serving(run, make.free_port()) as address, httpx.Client(base_url=address) as client:
        path = f"/api/sessions/{client.post('/api/sessions').json()['id']}"
        assert client.post(f"{path}/start", json={"name": "Greek letters"}).status_code == 200
        assert client.post(f"{path}/predict", files=[("images", make.glyph(A))]).status_code == 200
        assert client.get("/api", headers={"host": "evil.example"}).status_code == 403
        assert "server" not in client.get("/").headers
