"""The blueprint of all views that need an admin key."""

from flask import Blueprint, Flask
from werkzeug.routing import BaseConverter

from vigilry_ingest.web.admin import audit, documents, keys, projects, sources
from vigilry_ingest.web.admin.auth import require_admin_key, stop_acting


class _NameConverter(BaseConverter):
    """Any name as the last part of a path: it may have slashes, also at its ends."""

    regex = ".+"
    part_isolating = False


def register_admin(app: Flask) -> None:
    """Register the views of the admin API."""
    app.url_map.converters["name"] = _NameConverter
    admin = Blueprint("admin", __name__, url_prefix="/admin")
    admin.before_request(require_admin_key)
    for resource in (projects, keys, sources, audit):
        admin.register_blueprint(resource.blueprint)
    app.register_blueprint(admin)
    app.register_blueprint(documents.blueprint)
    app.teardown_request(stop_acting)
