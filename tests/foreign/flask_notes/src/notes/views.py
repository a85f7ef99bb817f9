from flask import Blueprint, abort, current_app, jsonify, request
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .db import Session
from .models import Note, Notebook

bp = Blueprint("notes", __name__)


@bp.get("/ping")
def ping():
    return "pong"


@bp.post("/notebooks")
def create_notebook():
    notebook = Notebook(title=request.json["title"])
    Session.add(notebook)
    try:
        Session.commit()
    except IntegrityError:
        Session.rollback()
        abort(409)
    return jsonify(id=notebook.id, title=notebook.title), 201


@bp.get("/notebooks")
def list_notebooks():
    query = select(Notebook).order_by(Notebook.title).limit(current_app.config["PAGE_SIZE"])
    return jsonify([{"id": n.id, "title": n.title} for n in Session.scalars(query)])


@bp.post("/notebooks/<int:notebook_id>/notes")
def create_note(notebook_id):
    notebook = Session.get(Notebook, notebook_id)
    if notebook is None:
        abort(404)
    note = Note(notebook=notebook, text=request.json["text"])
    Session.add(note)
    Session.commit()
    return jsonify(id=note.id, text=note.text), 201
