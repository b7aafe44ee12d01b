"""What is asked at each arrival."""

from llmclient.load._workload import Ask, workload
from llmclient.testing._messages import input_tokens

ARRIVALS = [(float(number), 100, 20) for number in range(1_000)]


def test_models_and_streams_are_drawn_evenly_and_the_same_every_time() -> None:
    asks = workload(ARRIVALS, ["a", "b"], 0.25, seed=1)
    assert [ask.number for ask in asks] == list(range(1, 1_001))
    assert 430 <= sum(ask.model == "a" for ask in asks) <= 570
    assert 200 <= sum(ask.stream for ask in asks) <= 300
    assert asks == workload(ARRIVALS, ["a", "b"], 0.25, seed=1) != workload(ARRIVALS, ["a", "b"], 0.25, seed=2)


def test_shares_of_all_and_nothing_are_exact() -> None:
    assert all(ask.stream for ask in workload(ARRIVALS, ["a"], 1.0, seed=0))
    assert not any(ask.stream for ask in workload(ARRIVALS, ["a"], 0.0, seed=0))


def test_a_prompt_is_as_long_as_it_should_be() -> None:
    for tokens in (20, 100, 5_000):
        body = Ask(7, 0.0, "a", tokens, 50, stream=False).body()
        # A dozen tokens of JSON are around it.
        assert tokens <= input_tokens(body) <= tokens + 15
        assert (body["model"], body["max_tokens"]) == ("a", 50)


def test_an_empty_row_of_a_trace_asks_for_one_token() -> None:
    [ask] = workload([(0.0, 0, 0)], ["a"], 0.0, seed=0)
    assert (ask.input_tokens, ask.output_tokens) == (1, 1)
