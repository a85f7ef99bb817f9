"""URLs: the one that creates a user, like the route of the baked project."""

import json
from http import HTTPStatus

from django.http import HttpRequest, JsonResponse
from django.urls import path

from shop.models import User


def create_user(request: HttpRequest) -> JsonResponse:
    """Create a user."""
    user = User.objects.create(**json.loads(request.body))
    shown = {name: getattr(user, name) for name in ("id", "email", "name", "created_at")}
    return JsonResponse(shown, status=HTTPStatus.CREATED)


urlpatterns = [path("users", create_user)]
