"""A unit test that needs nothing: what it takes is pytest's, and what is loaded beside it."""


def test_a_sum() -> None:
    assert sum((1, 2)) == int("3")
