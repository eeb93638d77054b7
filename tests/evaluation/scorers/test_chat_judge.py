"""The judge and its endpoint, against a local server that answers well, slowly, wrongly, with errors and with prose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from placid_kedro.errors import EndpointError
from placid_kedro.evaluation.scorers.chat import ChatEndpoint
from placid_kedro.evaluation.scorers.chat_judge import ChatJudge, parse_rating, without_quotes

Start = Callable[..., Any]


def endpoint(url: str, cache: Path | None = None, **changes: Any) -> ChatEndpoint:
    values: dict[str, Any] = {"key": "secret", "timeout_seconds": 5.0, "retries": 2, "backoff_seconds": 0.0}
    return ChatEndpoint(url=url, model="a-model", cache=cache, **{**values, **changes})


def sentence(error: pytest.ExceptionInfo[EndpointError], *, server: str) -> str:
    said = str(error.value)
    assert server in said and "\n" not in said and "secret" not in said
    return said


def test_a_good_answer(chat_server: Start) -> None:
    server = chat_server("4", key="secret")
    rating = ChatJudge(endpoint(server.url)).rate('a cat: {red} "fox"', "a dog")
    assert (rating.score, rating.answer) == (4, "4")
    (request,) = server.requests
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["temperature"]) == ("a-model", 0)
    assert 'Prompt: a cat: {red} "fox"\nPrediction: a dog' in request["messages"][0]["content"]
    assert server.keys == ["Bearer secret"]


def test_no_key_is_sent_where_there_is_none(chat_server: Start) -> None:
    server = chat_server("4")
    ChatJudge(endpoint(server.url, key="")).rate("a cat", "a dog")
    assert server.keys == [None]


def test_captions_are_numbered_in_the_order_of_the_views(chat_server: Start) -> None:
    server = chat_server('"A brown bear."\n')
    assert ChatJudge(endpoint(server.url)).merge(["a bear", "a toy"]) == "A brown bear"
    assert "view 1: a bear\nview 2: a toy" in server.requests[0]["messages"][0]["content"]


def test_errors_that_pass_are_tried_again(chat_server: Start) -> None:
    server = chat_server(429, 503, "2")
    assert ChatJudge(endpoint(server.url)).rate("a cat", "a dog").score == 2
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "requests"), [(500, 3), (404, 1), (400, 1)])
def test_errors_that_stay_are_one_sentence(chat_server: Start, status: int, requests: int) -> None:
    server = chat_server(status)
    with pytest.raises(EndpointError) as error:
        endpoint(server.url).ask((("user", "hello"),))
    assert f"answered {status} for the model 'a-model': overloaded, try later;" in sentence(
        error, server=server.url
    )
    assert len(server.requests) == requests


def test_a_slow_server_is_tried_again_and_then_one_sentence(chat_server: Start) -> None:
    server = chat_server(600.0, "5")
    assert endpoint(server.url, timeout_seconds=3.0).ask((("user", "hello"),)) == "5"
    server = chat_server(600.0)
    with pytest.raises(EndpointError) as error:
        endpoint(server.url, timeout_seconds=0.05, retries=1).ask((("user", "hello"),))
    assert "did not answer within 0.05 s" in sentence(error, server=server.url)


@pytest.mark.parametrize("retries", [0, 1])
def test_a_server_that_is_down_is_one_sentence(retries: int) -> None:
    url = "http://127.0.0.1:9/v1"  # the discard port: nothing listens
    for call in (lambda e: e.check(), lambda e: e.ask((("user", "hello"),))):
        with pytest.raises(EndpointError) as error:
            call(endpoint(url, retries=retries))
        assert "cannot be reached" in sentence(error, server=url)


def test_a_wrong_key_is_one_sentence_that_says_where_keys_go(chat_server: Start) -> None:
    server = chat_server("4", key="another")
    for call in (lambda e: e.check(), lambda e: e.ask((("user", "hello"),))):
        with pytest.raises(EndpointError) as error:
            call(endpoint(server.url))
        said = sentence(error, server=server.url)
        assert "refuses the key that it got (401: Incorrect API key provided)" in said
        assert "conf/local/credentials.yml" in said
    assert server.requests == []


def test_a_right_key_passes_the_check_without_a_question(chat_server: Start) -> None:
    server = chat_server("4", key="secret")
    endpoint(server.url).check()
    assert server.requests == [] and server.keys == ["Bearer secret"]


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[]", b'{"choices": []}', b'{"choices": [{"text": "4"}]}']
)
def test_what_is_no_chat_completion_is_one_sentence(chat_server: Start, body: bytes) -> None:
    server = chat_server(body)
    with pytest.raises(EndpointError) as error:
        endpoint(server.url).ask((("user", "hello"),))
    assert "something else than a chat completion" in sentence(error, server=server.url)


@pytest.mark.parametrize("answer", ["", "  \n", None])
def test_an_empty_answer_is_one_sentence(chat_server: Start, answer: str | None) -> None:
    server = chat_server(answer)
    with pytest.raises(EndpointError, match="empty answer"):
        endpoint(server.url).ask((("user", "hello"),))


def test_answers_are_kept_by_request(chat_server: Start, tmp_path: Path) -> None:
    server = chat_server("4", "2", "3")
    judge = ChatJudge(endpoint(server.url, tmp_path))
    assert [judge.rate("a cat", caption).score for caption in ("a dog", "a cat", "a dog", "a cat")] == [
        4,
        2,
        4,
        2,
    ]
    assert len(server.requests) == 2
    # Another model is another request; another key is not.
    assert ChatJudge(endpoint(server.url, tmp_path, key="new")).rate("a cat", "a dog").score == 4
    assert len(server.requests) == 2
    for path in tmp_path.iterdir():
        assert "secret" not in path.read_text() and json.loads(path.read_text())["answer"] in ("4", "2")


def test_a_damaged_answer_is_asked_for_again(chat_server: Start, tmp_path: Path) -> None:
    server = chat_server("4", "5")
    judge = ChatJudge(endpoint(server.url, tmp_path))
    judge.rate("a cat", "a dog")
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    assert judge.rate("a cat", "a dog").score == 5


def test_prose_without_a_number_is_asked_about_once_more(chat_server: Start) -> None:
    server = chat_server("They differ a lot.", "Then 1.")
    assert ChatJudge(endpoint(server.url)).rate("a cat", "a dog").score == 1
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_a_judge_that_gives_no_number_is_one_sentence(chat_server: Start) -> None:
    server = chat_server("I cannot say.")
    with pytest.raises(EndpointError, match=r"'I cannot say\.' where a number from 1 to 5"):
        ChatJudge(endpoint(server.url)).rate("a cat", "a dog")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("3", 3),
        (" 5\n", 5),
        ("4.0", 4),
        ("2.5", 2),  # numpy's rounding, as in the published script
        ("3.5", 4),
        ("Score: 4", 4),
        ("**4**", 4),
        ("The score is 4 out of 5.", 4),
        ("4/5", 4),
        ("5/5", 5),
        ("On a scale of 1 to 5, I give it a 2.", 2),
        ("A 3. Again: 3.", 3),
        ("2 or 3", None),
        ("0", None),
        ("6", None),
        ("45", None),
        ("", None),
        ("nan", None),
        ("v1", None),
        ("five", None),
    ],
)
def test_the_number_in_an_answer(answer: str, score: int | None) -> None:
    assert parse_rating(answer) == score


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("A cat.", "A cat"),
        ('"A cat."', "A cat"),
        ("'A cat'.", "A cat"),
        ("a\n cat", "a cat"),
        ('"', '"'),
        ("", ""),
    ],
)
def test_captions_lose_their_quotation_marks(said: str, caption: str) -> None:
    assert without_quotes(said) == caption
