"""One insert a test with pytest-django, and none: what the others are compared with."""

import pytest
from shop.models import User


def test_nothing() -> None:
    pass


@pytest.mark.django_db
def test_db() -> None:
    User.objects.create(email="ada@example.com", name="Ada")


@pytest.mark.django_db(transaction=True)
def test_transaction() -> None:
    User.objects.create(email="ada@example.com", name="Ada")
