"""The routes of the admin API, and the actions that they record."""

from vigilry_ingest.app import create_admin_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.web.admin.auth import permission_of


def _routes() -> dict[str, tuple[str, ...]]:
    app = create_admin_app(Config())
    routes = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/admin"):
            permission = permission_of(app.view_functions[rule.endpoint])
            assert permission is not None, f"{rule.rule} has no @permits"
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            routes[f"{method} {rule.rule}"] = permission.actions
    return routes


ROUTES = _routes()
"""What each route declares to record, by method and rule."""
