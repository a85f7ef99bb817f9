"""One insert a test with pytest-django, and none: what the others are compared with."""

from http import HTTPStatus

import pytest
from django.test import Client
from shop.models import User

ADA = {"email": "ada@example.com", "name": "Ada"}


def test_nothing() -> None:
    pass


@pytest.mark.django_db
def test_db() -> None:
    User.objects.create(**ADA)


@pytest.mark.django_db(transaction=True)
def test_transaction() -> None:
    User.objects.create(**ADA)


@pytest.mark.django_db
def test_client(client: Client) -> None:
    answer = client.post("/users", ADA, content_type="application/json")
    assert answer.status_code == HTTPStatus.CREATED
